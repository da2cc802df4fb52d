//! Files that earlier programs wrote.

use super::*;

fn check_fixture(files: [(&'static str, &'static [u8]); 2], changes: usize) {
    simulate(10, |machine| async move {
        let host = machine.boot();
        host.disk.create_dir(Path::new(DIR)).unwrap();
        for (name, bytes) in files {
            host.disk.create(&Path::new(DIR).join(name), 0).unwrap().write_at(bytes, 0).unwrap();
        }
        let metadata = open(&host);
        let state = metadata.read();
        assert_eq!(state.version, Version(changes as u64));
        assert_eq!(state.topics.keys().map(Topic::as_str).collect::<Vec<_>>(), ["orders"]);
        assert_eq!(state.topics.get("orders").unwrap().attributes.get("message.type").unwrap(), "NORMAL");
        assert_eq!(state.groups.keys().map(Group::as_str).collect::<Vec<_>>(), ["billing"]);
        assert_eq!(state.groups.get("billing").unwrap().retry_max, 3);
        assert_eq!(state.kv("ORDER_TOPIC_CONFIG", "orders"), Some("a:4;b:4"));
        assert_eq!(state.delay_progress.get(&3), Some(&QueueOffset(8)));
        assert_eq!(metadata.groups_with_offsets(), [group("billing")]);
        let of_group = metadata.offsets_of_group(&group("billing"));
        assert_eq!(
            of_group,
            vec![(topic("orders"), QueueId(0), QueueOffset(2)), (topic("orders"), QueueId(1), QueueOffset(7))]
        );
    });
}

#[test]
fn files_of_format_1_are_read() {
    let first: [(&str, &[u8]); 2] = [
        ("journal", include_bytes!("../../../tests/fixtures/metadata-v1/journal")),
        ("snapshot", include_bytes!("../../../tests/fixtures/metadata-v1/snapshot")),
    ];
    check_fixture(first, FIRST_CHANGES);
    let sealed: [(&str, &[u8]); 2] = [
        ("journal", include_bytes!("../../../tests/fixtures/metadata-v1-sealed/journal")),
        ("snapshot", include_bytes!("../../../tests/fixtures/metadata-v1-sealed/snapshot")),
    ];
    check_fixture(sealed, fixture_changes().len());
}

/// What the fixture of the first program holds; the second one was closed by a program that seals, and deletes more.
const FIRST_CHANGES: usize = 17;

/// What the fixture holds: the snapshot the first five, the journal the others.
fn fixture_changes() -> Vec<Change> {
    let mut orders = TopicConfig::new(topic("orders"), 4);
    orders.attributes.insert("message.type".to_owned(), "NORMAL".to_owned());
    let mut billing = GroupConfig::new(group("billing"));
    billing.retry_max = 3;
    let at = |queue, offset| (group("billing"), topic("orders"), QueueId(queue), QueueOffset(offset));
    let order = |value: &str| Change::KvSet {
        namespace: "ORDER_TOPIC_CONFIG".to_owned(),
        key: "orders".to_owned(),
        value: value.to_owned(),
    };
    vec![
        Change::TopicSet(orders),
        Change::GroupSet(billing),
        order("a:4"),
        Change::DelayProgress { level: 3, offset: QueueOffset(5) },
        Change::Offsets(vec![at(0, 9), at(1, 5)]),
        Change::TopicSet(TopicConfig::new(topic("gone"), 1)),
        Change::TopicDeleted(topic("gone")),
        order("a:4;b:4"),
        Change::DelayProgress { level: 3, offset: QueueOffset(8) },
        Change::Offsets(vec![at(1, 7), at(0, 1)]),
        Change::OffsetsReset { reason: "asked for".to_owned(), entries: vec![at(0, 2)], pressed: false },
        Change::GroupSet(GroupConfig::new(group("other"))),
        Change::GroupDeleted(group("other")),
        Change::Offsets(vec![(group("other"), topic("orders"), QueueId(0), QueueOffset(1))]),
        Change::OffsetsForgotten { group: Some(group("other")), topic: None },
        Change::KvSet { namespace: "n".to_owned(), key: "k".to_owned(), value: "v".to_owned() },
        Change::KvDeleted { namespace: "n".to_owned(), key: "k".to_owned() },
        Change::TopicSet(TopicConfig::new(topic("gone"), 1)),
        Change::GroupSet(GroupConfig::new(group("other"))),
        Change::Offsets(vec![
            (group("billing"), topic("gone"), QueueId(0), QueueOffset(1)),
            (group("other"), topic("orders"), QueueId(0), QueueOffset(1)),
        ]),
        Change::TopicDeleted(topic("gone")),
        Change::GroupForgotten(group("other")),
    ]
}

/// Writes the fixture anew: run it by name after a new format version, into the folder of that version.
#[test]
#[ignore = "writes tests/fixtures"]
fn write_fixture() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/metadata-v1-sealed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (part, options) in [
            (0..5, Options { compact_bytes_min: 1, ..Options::default() }),
            (5..fixture_changes().len(), Options::default()),
        ] {
            let metadata = Metadata::open(&Host::real(), &dir, options).unwrap();
            for change in &fixture_changes()[part] {
                metadata.propose(change.clone()).await.unwrap();
            }
            metadata.close().await.unwrap();
        }
    });
}
