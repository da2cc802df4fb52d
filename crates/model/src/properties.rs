//! A message's properties as text: `key 0x01 value 0x02 key 0x01 value 0x02 …`.

/// Ends a name.
pub const NAME_END: u8 = 1;
/// Ends a value; the last one may be missing.
pub const VALUE_END: u8 = 2;
/// Longest text in bytes (its length travels as a signed 16-bit number).
pub const LEN_MAX: usize = i16::MAX as usize;

/// Lookup words, separated by blanks.
pub const KEYS: &str = "KEYS";
/// The filter word.
pub const TAGS: &str = "TAGS";
/// Whether the sender waits until the message is stored by the broker's policy.
pub const WAIT: &str = "WAIT";
/// Delay level 1–18.
pub const DELAY: &str = "DELAY";
/// The id that the client gave.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// Marks a half message.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
/// The producer group of a half message.
pub const PRODUCER_GROUP: &str = "PGROUP";
/// The topic that a delayed or half message is meant for.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue that a delayed or half message is meant for.
pub const REAL_QUEUE_ID: &str = "REAL_QID";
/// The topic that a retried message came from.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// The first id of a retried message.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// How often a message was delivered, as its sender counts.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// The limit of deliveries that its sender sets.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// The topic that a dead letter came from.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The id of a dead letter before it died.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// Of a dead letter that an operator has put back into its group's retry topic: where the dead letter is stored.
pub const DLQ_RESENT_FROM: &str = "DLQ_RESENT_FROM";
/// Deliver after so many seconds.
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Deliver after so many milliseconds.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Deliver at this time (ms since the epoch).
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// When a message that waits is due (ms since the epoch).
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// When a delivered message began to wait (ms since the epoch).
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When a message that waited was delivered (ms since the epoch).
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// In the timer topic: why the messages that this record names wait no more.
pub const TIMER_MARK: &str = "TIMER_MARK";
/// Most bytes that delivery adds to the properties of a message that waited.
pub const TIMER_ADDED_LEN_MAX: usize = 96;
/// The region of the broker that stored the message.
pub const MSG_REGION: &str = "MSG_REGION";
/// Whether clients trace the message.
pub const TRACE_ON: &str = "TRACE_ON";
/// The cluster of the broker that a request came through.
pub const CLUSTER: &str = "CLUSTER";
/// The order key.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// The instance that the message belongs to.
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// When a consumer began to consume.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// Kind of a message that the system sends on a client's behalf (`reply`).
pub const MESSAGE_TYPE: &str = "MSG_TYPE";
/// Ties a reply to its request.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// The client that waits for a reply.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";

/// When the broker handed a reply to the client that waits.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";

/// What asks for a delivery at a time, apart from [`DELAY`].
pub const TIMER_ASKED: [&str; 3] = [TIMER_DELAY_SEC, TIMER_DELAY_MS, TIMER_DELIVER_MS];
/// What brokers note of such a wait.
pub const TIMER_NOTED: [&str; 3] = [TIMER_OUT_MS, TIMER_ENQUEUE_MS, TIMER_DEQUEUE_MS];

/// Whether a property says only how a message came to where it is, so that it is not the message's any more when that
/// is stored once more, as a retry or a dead letter: what it waits for then is decided anew.
#[must_use]
pub fn is_spent(name: &str) -> bool {
    [DELAY, WAIT, CLUSTER].contains(&name) || TIMER_ASKED.contains(&name) || TIMER_NOTED.contains(&name)
}

/// The properties that a message is found and filtered by; of equal names the last counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// [`TAGS`].
    pub tags: Option<&'a str>,
    /// [`KEYS`].
    pub keys: Option<&'a str>,
    /// [`UNIQ_KEY`].
    pub unique_key: Option<&'a str>,
}

impl<'a> Labels<'a> {
    /// The labels in a properties text.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let mut labels = Self::default();
        iter(text).for_each(|(name, value)| labels.note(name, value));
        labels
    }

    /// Notes a property if it is a label.
    pub fn note(&mut self, name: &str, value: &'a str) {
        match name {
            TAGS => self.tags = Some(value),
            KEYS => self.keys = Some(value),
            UNIQ_KEY => self.unique_key = Some(value),
            _ => {}
        }
    }
}

/// The pairs of a text, in order. Parts without a name end are passed over, as the original does.
#[inline(always)]
pub fn iter(text: &str) -> Pairs<'_> {
    Pairs { text, ends: Ends::of(text.as_bytes()), start: 0 }
}

/// See [`iter`].
pub struct Pairs<'a> {
    text: &'a str,
    ends: Ends<'a>,
    /// Where the next name starts.
    start: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (from, end) = (self.start, self.ends.next()?);
            self.start = end + 1;
            if self.text.as_bytes()[end] == VALUE_END {
                continue;
            }
            // A name end within a value is part of it.
            let value_end = loop {
                match self.ends.next() {
                    Some(end) if self.text.as_bytes()[end] == NAME_END => {}
                    end => break end.unwrap_or(self.text.len()),
                }
            };
            self.start = value_end + 1;
            return self.text.get(from..end).zip(self.text.get(end + 1..value_end));
        }
    }
}

/// Where names and values end. Every message that is sent is read by this, so eight bytes are looked at together.
struct Ends<'a> {
    bytes: &'a [u8],
    /// Bytes that were looked at.
    at: usize,
    /// High bits at the last eight of them that are still to be told.
    hits: u64,
}

impl<'a> Ends<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, hits: 0 }
    }

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        while self.hits == 0 {
            let word = match self.bytes.get(self.at..)? {
                [] => return None,
                rest => rest.first_chunk().map_or_else(|| last_word(rest), |word| u64::from_le_bytes(*word)),
            };
            self.hits = ends_in(word);
            self.at += 8;
        }
        let found = self.at - 8 + (self.hits.trailing_zeros() / 8) as usize;
        self.hits &= self.hits - 1;
        Some(found)
    }
}

/// Fewer than eight bytes; those that are missing are no ends.
fn last_word(bytes: &[u8]) -> u64 {
    let mut word = [u8::MAX; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// High bits at the bytes that end a name or a value.
#[inline(always)]
fn ends_in(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // No byte borrows of its neighbour, because its high bit is set: it stays set unless the others are below the number.
    let is_below = |number: u8| !((word | HIGHS) - ONES * u64::from(number)) & !word & HIGHS;
    const { assert!(VALUE_END == NAME_END + 1, "two comparisons find both") };
    is_below(VALUE_END + 1) & !is_below(NAME_END)
}

/// The value of a property; the last one wins where a name stands twice.
#[must_use]
pub fn get<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    iter(text).filter(|(other, _)| *other == name).last().map(|(_, value)| value)
}

/// Appends a pair, ending the text before it if it was left open.
pub fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with(char::from(VALUE_END)) {
        text.push(char::from(VALUE_END));
    }
    text.push_str(name);
    text.push(char::from(NAME_END));
    text.push_str(value);
    text.push(char::from(VALUE_END));
}

/// The text without the properties whose names are left out.
#[must_use]
pub fn leaving_out(text: &str, is_left_out: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    for (name, value) in iter(text).filter(|(name, _)| !is_left_out(name)) {
        push(&mut kept, name, value);
    }
    kept
}

/// The text without the named properties.
#[must_use]
pub fn without(text: &str, names: &[&str]) -> String {
    leaving_out(text, |name| names.contains(&name))
}

/// The text with a property set to a value.
#[must_use]
pub fn with(text: &str, name: &str, value: &str) -> String {
    let mut changed = without(text, &[name]);
    push(&mut changed, name, value);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_clients_write() {
        let text = "KEYS\u{1}a b\u{2}TAGS\u{1}t\u{2}broken\u{2}WAIT\u{1}true";
        let check = |name: &str, expected: Option<&str>| assert_eq!(get(text, name), expected, "{name}");
        check("KEYS", Some("a b"));
        check("WAIT", Some("true"));
        check("broken", None);
        check("none", None);
        assert_eq!(without(text, &["KEYS", "WAIT"]), "TAGS\u{1}t\u{2}");
        assert_eq!(get(&with(text, "TAGS", "u"), "TAGS"), Some("u"));
    }

    proptest! {
        #[test]
        fn what_was_pushed_is_found(pairs in proptest::collection::vec(("[a-z]{1,8}", "[a-zA-Z0-9 é]{0,12}"), 0..8)) {
            let mut text = String::new();
            for (name, value) in &pairs {
                push(&mut text, name, value);
            }
            let read: Vec<_> = iter(&text).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(read, pairs);
        }

        #[test]
        fn any_text_is_read_part_by_part(text in "[a-c\u{0}\u{1}\u{2}\u{3}é]{0,40}") {
            let expected: Vec<_> = text.split('\u{2}').filter_map(|part| part.split_once('\u{1}')).collect();
            prop_assert_eq!(iter(&text).collect::<Vec<_>>(), expected);
            let expected = iter(&text).filter(|(name, _)| *name == "a").last().map(|(_, value)| value);
            prop_assert_eq!(get(&text, "a"), expected);
        }
    }
}
