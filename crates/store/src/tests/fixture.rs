//! Files written by the first version of each format are read by today's code.
//!
//! `cargo test -p store -- --ignored write_fixture` makes them; it must be run only for a new version, into a new folder.
#![allow(clippy::disallowed_methods, reason = "fixtures are copied and made with plain files")]

use super::*;
use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// A group's retry topic may be so long that its length needs two bytes.
fn long_topic() -> String {
    format!("%RETRY%{}", "g".repeat(120))
}

fn messages() -> Vec<Draft<'static>> {
    let mut drafts = vec![
        draft("orders", 0, b"first", "KEYS\u{1}k1 k2\u{2}TAGS\u{1}TagA\u{2}UNIQ_KEY\u{1}id1\u{2}"),
        draft("orders", 1, b"", ""),
        draft("orders", 0, b"second", "TAGS\u{1}TagB\u{2}"),
        draft("refunds", 3, &[0xFF; 300], "UNIQ_KEY\u{1}id2\u{2}"),
        draft(&long_topic(), 0, "größe".as_bytes(), "RETRY_TOPIC\u{1}orders\u{2}"),
    ];
    drafts[3].born_host = SocketAddr::from((Ipv6Addr::LOCALHOST, 7));
    drafts[4].reconsume_times = 2;
    drafts
}

#[tokio::test]
#[ignore = "makes the files that the other test reads"]
async fn write_fixture() {
    let dir = fixture();
    fs::create_dir_all(&dir).unwrap();
    let (store, _) = open(small(&dir));
    for draft in messages() {
        let queue = store.queue(&Topic::from_stored(&draft.topic), draft.queue_id);
        let append = Append { queue, draft, wait: Wait::Policy, joined: false };
        store.append(vec![append]).unwrap().await.remove(0).unwrap();
    }
    // An atomic batch over two queues.
    let mut batch = vec![message(&store, "orders", 0, b"one", ""), message(&store, "refunds", 3, b"two", "")];
    batch[0].joined = true;
    assert!(store.append(batch).unwrap().await.iter().all(Result::is_ok));
    store.retain(&Retention::default()).unwrap();
    store.close().await;
    drop(store);
    fs::remove_file(dir.join("lock")).unwrap();
    for entry in fs::read_dir(dir.join("log")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(format!("{:020}", 0)) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => assert!(fs::copy(&path, &target).unwrap() > 0),
        }
    }
}

fn check(store: &Store) {
    assert_eq!(bodies(store, &queue(store, "orders", 0)).unwrap(), [&b"first"[..], b"second", b"one"]);
    assert_eq!(bodies(store, &queue(store, "orders", 1)).unwrap(), [b""]);
    assert_eq!(bodies(store, &queue(store, "refunds", 3)).unwrap(), [vec![0xFF; 300], b"two".to_vec()]);
    assert_eq!(bodies(store, &queue(store, &long_topic(), 0)).unwrap(), ["größe".as_bytes()]);
    let found = store.lookup(&Topic::from_stored("orders"), "k2", 0..=i64::MAX, 9).unwrap();
    assert_eq!(Record::parse(&found[0]).unwrap().to_draft(), messages()[0]);
    let mut entries = Vec::new();
    queue(store, "orders", 0).entries(QueueOffset(1), 1, &mut entries).unwrap();
    assert_eq!(entries[0].tag_hash, model::java_hash("TagB"));
}

#[tokio::test]
async fn version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let (store, recovered) = open(small(dir.path()));
    let damages = (recovered.damages.len(), recovered.cut, recovered.runs_rebuilt, recovered.queues);
    assert_eq!(damages, (0, None, 0, 4));
    check(&store);
    assert_eq!(send(&store, "orders", 0, b"more").await.queue_offset.0, 3);
}

#[tokio::test]
async fn version_1_is_read_without_its_index() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture().join("log"), &dir.path().join("log"));
    let (store, recovered) = open(small(dir.path()));
    assert_eq!((recovered.damages.len(), recovered.cut, recovered.queues), (0, None, 4));
    check(&store);
}

#[tokio::test]
async fn a_later_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let path = dir.path().join("log").join(format!("{:020}", 0));
    let mut bytes = fs::read(&path).unwrap();
    bytes[11] = 2;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let opened = Store::open(&Host::real(), small(dir.path()));
    assert!(matches!(opened, Err(crate::OpenError::Version { found: 2, known: 1, .. })));
}
