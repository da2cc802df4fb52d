//! What of a message is indexed beside its place: the hash of its tags, and a hash for each of its keys.

use model::java_hash;
use model::properties::Labels;
use xxhash_rust::xxh3::xxh3_64;

/// What the index keeps of a message's labels. Made from a draft when it is written and from a record when the
/// index is rebuilt, by the same function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) tag_hash: i32,
    few: [u64; 2],
    few_count: u8,
    more: Vec<u64>,
}

impl Digest {
    /// The digest of a message of a topic with these labels.
    pub(crate) fn of(topic: &str, labels: &Labels<'_>) -> Self {
        let mut digest = Self { tag_hash: labels.tags.map_or(0, java_hash), ..Self::default() };
        let words = labels.keys.into_iter().flat_map(words);
        labels.unique_key.into_iter().chain(words).for_each(|key| digest.push(topic, key));
        digest
    }

    fn push(&mut self, topic: &str, key: &str) {
        let hash = key_hash(topic, key);
        match self.few.get_mut(usize::from(self.few_count)) {
            Some(slot) => {
                *slot = hash;
                self.few_count += 1;
            }
            None => self.more.push(hash),
        }
    }

    /// The hashes of its keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u64> {
        self.few[..usize::from(self.few_count)].iter().chain(&self.more).copied()
    }
}

/// The words of a `KEYS` property.
pub(crate) fn words(keys: &str) -> impl Iterator<Item = &str> {
    keys.split(' ').filter(|word| !word.is_empty())
}

/// The hash under which a key of a topic is found: XXH3 of topic, a zero byte, key.
pub(crate) fn key_hash(topic: &str, key: &str) -> u64 {
    /// Longest text that is put together on the stack.
    const STACK_LEN: usize = 256;
    let len = topic.len() + 1 + key.len();
    if len <= STACK_LEN {
        let mut text = [0; STACK_LEN];
        text[..topic.len()].copy_from_slice(topic.as_bytes());
        text[topic.len() + 1..len].copy_from_slice(key.as_bytes());
        return xxh3_64(&text[..len]);
    }
    xxh3_64(&[topic.as_bytes(), &[0], key.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_tags_and_every_key() {
        let of = |text: &str| Digest::of("t", &Labels::of(text));
        let digest = of("KEYS\u{1}a  b c\u{2}TAGS\u{1}TagA\u{2}UNIQ_KEY\u{1}u\u{2}");
        assert_eq!(digest.tag_hash, 2598919);
        let expected = ["u", "a", "b", "c"].map(|key| key_hash("t", key));
        assert_eq!(digest.keys().collect::<Vec<_>>(), expected);
        assert_eq!(of("other\u{1}x\u{2}"), Digest::default());
    }

    #[test]
    fn long_keys_hash_like_short_ones() {
        let key = "k".repeat(1000);
        assert_eq!(key_hash("t", &key), xxh3_64(format!("t\0{key}").as_bytes()));
        assert_eq!(key_hash("t", "k"), xxh3_64(b"t\0k"));
    }
}
