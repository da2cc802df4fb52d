use super::*;

#[tokio::test]
async fn what_was_appended_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, recovered) = open(small(dir.path()));
    assert_eq!((recovered.damages.len(), recovered.cut, recovered.queues), (0, None, 0));
    for number in 0u32..300 {
        let place = send(&store, "t", number % 3, &number.to_be_bytes()).await;
        assert_eq!(place.queue_offset.0, u64::from(number / 3));
    }
    let check = |store: &Store| {
        for id in 0..3 {
            let queue = queue(store, "t", id);
            assert_eq!((queue.min_offset().0, queue.max_offset().0), (0, 100));
            let expected: Vec<Vec<u8>> = (0..100).map(|n: u32| (n * 3 + id).to_be_bytes().to_vec()).collect();
            assert_eq!(bodies(store, &queue).unwrap(), expected);
        }
    };
    check(&store);
    store.close().await;
    check(&store);
    assert!(matches!(store.append(vec![]), Err(AppendError::Closed)));
    drop(store);
    let (store, recovered) = open(small(dir.path()));
    assert_eq!((recovered.cut.clone(), recovered.damages.len(), recovered.runs_rebuilt), (None, 0, 0));
    assert_eq!((recovered.queues, recovered.scanned_bytes), (3, 0));
    check(&store);
}

#[tokio::test]
async fn dropping_without_closing_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5u64 {
        let (store, recovered) = open(small(dir.path()));
        assert_eq!((recovered.cut, recovered.damages.len()), (None, 0));
        let queue = queue(&store, "t", 0);
        assert_eq!(queue.max_offset().0, round * 40);
        for number in 0..40 {
            assert_eq!(send(&store, "t", 0, &[number; 100]).await.queue_offset.0, round * 40 + u64::from(number));
        }
        assert_eq!(bodies(&store, &queue).unwrap().len() as u64, (round + 1) * 40);
    }
}

#[tokio::test]
async fn batches_keep_order_and_async_queues_are_seen_when_written() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(Options { flush: Flush::Async, ..small(dir.path()) });
    let mut batch: Vec<_> =
        (0..50u8).map(|n| message(&store, "t", u32::from(n) % 2, &[n], "TAGS\u{1}a\u{2}")).collect();
    batch.iter_mut().take(20).for_each(|append| append.joined = true);
    let places = store.append(batch).unwrap().await;
    assert!(places.iter().all(Result::is_ok));
    let queue = queue(&store, "t", 1);
    assert_eq!(queue.max_offset().0, 25);
    let mut entries = Vec::new();
    queue.entries(QueueOffset(3), 2, &mut entries).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.offset.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(entries[0].tag_hash, model::java_hash("a"));
    assert!(matches!(queue.entries(QueueOffset(26), 1, &mut entries), Err(ReadError::NoOffset { .. })));
    let read = store.read_at(entries[0].physical).unwrap();
    assert_eq!(Record::parse(&read).unwrap().body, [7]);
    assert!(matches!(store.read_at(PhysicalOffset(entries[0].physical.0 + 1)), Err(ReadError::NoRecord { .. })));
    store.close().await;
}

#[tokio::test]
async fn no_entry_is_missed_while_entries_move_to_runs() {
    const COUNT: u64 = 2000;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(Options { flush: Flush::Async, ..small(dir.path()) });
    let reader = rt::spawn_blocking({
        let queue = queue(&store, "t", 0);
        move || loop {
            let end = queue.max_offset().0;
            let from = end.saturating_sub(40);
            let mut entries = Vec::new();
            queue.entries(QueueOffset(from), usize::MAX, &mut entries).unwrap();
            assert!(from + entries.len() as u64 >= end, "{} entries from {from} on, up to {end}", entries.len());
            if end == COUNT {
                break;
            }
        }
    });
    for _ in 0..COUNT {
        send(&store, "t", 0, b"message").await;
    }
    reader.await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn waiting_ends_when_a_message_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    let queue = queue(&store, "t", 0);
    let waiting = rt::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.wait_beyond(QueueOffset(1)).await }
    });
    send(&store, "t", 0, b"a").await;
    send(&store, "t", 0, b"b").await;
    waiting.await.unwrap();
    assert_eq!(queue.max_offset().0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_woken_however_the_message_falls_into_it() {
    let dir = tempfile::tempdir().unwrap();
    for flush in [Flush::Async, Flush::Sync] {
        let (store, _) = open(Options { flush, ..small(dir.path()) });
        let queue = queue(&store, "t", 0);
        let from = queue.max_offset().0;
        for offset in from..from + 500 {
            let waiting = rt::spawn({
                let queue = Arc::clone(&queue);
                async move { queue.wait_beyond(QueueOffset(offset)).await }
            });
            send(&store, "t", 0, b"message").await;
            waiting.await.unwrap();
        }
        store.close().await;
    }
}

#[tokio::test]
async fn messages_are_found_by_key_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    let topic = Topic::from_stored("t");
    for number in 0..100 {
        let properties = format!("KEYS\u{1}k{} all\u{2}UNIQ_KEY\u{1}id{number}\u{2}", number % 10);
        let append = message(&store, "t", number % 4, &[number as u8], &properties);
        store.append(vec![append]).unwrap().await.remove(0).unwrap();
    }
    let found = |key: &str, max| {
        let records = store.lookup(&topic, key, 0..=i64::MAX, max).unwrap();
        records.iter().map(|bytes| Record::parse(bytes).unwrap().body[0]).collect::<Vec<_>>()
    };
    assert_eq!(found("k3", 3), [93, 83, 73]);
    assert_eq!(found("id42", 9), [42]);
    assert_eq!(found("all", 1000).len(), 100);
    assert_eq!(found("none", 9), Vec::<u8>::new());
    assert!(store.lookup(&topic, "all", 0..=5, 9).unwrap().is_empty());
    let queue = queue(&store, "t", 0);
    let mut entries = Vec::new();
    queue.entries(QueueOffset(0), 100, &mut entries).unwrap();
    let check = |time, boundary, expected| assert_eq!(queue.offset_at(time, boundary), Ok(QueueOffset(expected)));
    check(0, Boundary::Lower, 0);
    check(0, Boundary::Upper, 0);
    check(i64::MAX, Boundary::Lower, 25);
    check(i64::MAX, Boundary::Upper, 24);
    let time = entries[12].store_timestamp;
    let first = entries.iter().position(|entry| entry.store_timestamp == time).unwrap() as u64;
    let last = entries.iter().rposition(|entry| entry.store_timestamp == time).unwrap() as u64;
    check(time, Boundary::Lower, first);
    check(time, Boundary::Upper, last);
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(Options { pending_bytes_max: 64 * 1024, ..small(dir.path()) });
    let refused = |appends| store.append(appends).err().unwrap();
    assert!(matches!(
        refused(vec![message(&store, "t", 0, &[0; 20_000], "")]),
        AppendError::TooLarge { what: "record", .. }
    ));
    let mut two = vec![message(&store, "t", 0, &[0; 10_000], ""), message(&store, "t", 0, &[0; 10_000], "")];
    two[0].joined = true;
    assert!(matches!(refused(two), AppendError::TooLarge { what: "batch", .. }));
    let (mut busy, mut accepted) = (0, Vec::new());
    for _ in 0..200 {
        match store.append(vec![message(&store, "t", 0, &[1; 10_000], "")]) {
            Ok(appending) => accepted.push(appending),
            Err(AppendError::Busy { .. }) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    for appending in accepted {
        appending.await.remove(0).unwrap();
    }
    assert!(busy > 0);
    store.close().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the thread must stand still, not only this task")]
async fn what_waited_too_long_for_its_write_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(Options { wait_max_ms: 300, ..small(dir.path()) });
    send(&store, "t", 0, b"in time").await;
    // Meanwhile the writer falls asleep. It is told of the next one by another task of this thread.
    rt::sleep(std::time::Duration::from_millis(50)).await;
    let appending = store.append(vec![message(&store, "t", 0, b"late", "")]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(400));
    assert!(matches!(appending.await[..], [Err(AppendError::Overdue { .. })]));
    assert_eq!(queue(&store, "t", 0).max_offset().0, 1);
}

/// A store with one message in one queue and then 400 in another, opened anew.
async fn filled(dir: &Path) -> Store {
    let (store, _) = open(small(dir));
    send(&store, "idle", 0, b"only one").await;
    for number in 0..400u32 {
        send(&store, "t", 0, &[number as u8; 200]).await;
    }
    store.close().await;
    drop(store);
    open(small(dir)).0
}

#[tokio::test]
async fn retention_removes_old_segments_and_keeps_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let queue_t = queue(&store, "t", 0);
    assert_eq!(store.retain(&Retention::default()).unwrap().segments, 0);
    let retained = store.retain(&Retention { bytes_max: Some(40_000), ..Retention::default() }).unwrap();
    assert!(retained.segments >= 2, "{retained:?}");
    let min = store.positions().min;
    assert_eq!(min.0, retained.bytes);
    let first = queue_t.min_offset();
    assert!(first.0 > 0 && first < queue_t.max_offset());
    assert_eq!(bodies(&store, &queue_t).unwrap().len() as u64, 400 - first.0);
    assert!(matches!(queue_t.entries(QueueOffset(0), 1, &mut Vec::new()), Err(ReadError::NoOffset { .. })));
    drop(store);
    // Even without any index the end of a queue that has no messages any more is known.
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, recovered) = open(small(dir.path()));
    assert_eq!(recovered.damages, []);
    let (idle, queue_t) = (queue(&store, "idle", 0), queue(&store, "t", 0));
    assert_eq!((idle.min_offset().0, idle.max_offset().0), (1, 1));
    assert_eq!((queue_t.min_offset(), queue_t.max_offset().0), (first, 400));
    assert_eq!(send(&store, "idle", 0, b"next").await.queue_offset.0, 1);
    assert_eq!(bodies(&store, &queue_t).unwrap().len() as u64, 400 - first.0);
    store.retain(&Retention { before: i64::MAX, ..Retention::default() }).unwrap();
    assert!(queue_t.min_offset() > first && store.positions().min < store.positions().written);
    assert_eq!(bodies(&store, &idle).unwrap().len(), (idle.max_offset().0 - idle.min_offset().0) as usize);
}

#[tokio::test]
async fn the_space_of_removed_segments_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let files = || std::fs::read_dir(dir.path().join("log")).unwrap().count();
    let before = files();
    let retention = Retention { bytes_max: Some(0), ..Retention::default() };
    let retained = store.retain(&retention).unwrap();
    assert!(retained.segments > 2, "{retained:?}");
    assert!(store.give_back().unwrap());
    drop(store);
    // What one process leaves the next one does.
    let (store, recovered) = open(small(dir.path()));
    assert_eq!(recovered.damages, []);
    while store.give_back().unwrap() {}
    assert!(files() < before, "{} files, {before} before", files());
}

#[tokio::test]
async fn a_topic_kept_longer_keeps_its_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    for number in 0..400u32 {
        send(&store, if number == 100 { "precious" } else { "t" }, 0, &[number as u8; 200]).await;
    }
    store.close().await;
    drop(store);
    let (store, _) = open(small(dir.path()));
    let precious = queue(&store, "precious", 0);
    let longer = vec![(precious.topic().clone(), 0)];
    let retained = store.retain(&Retention { before: i64::MAX, longer, bytes_max: None }).unwrap();
    assert!(retained.segments > 0, "{retained:?}");
    assert_eq!(bodies(&store, &precious).unwrap(), [[100; 200]]);
    store.retain(&Retention { before: i64::MAX, ..Retention::default() }).unwrap();
    assert_eq!(precious.min_offset(), precious.max_offset());
}

#[tokio::test]
async fn segments_of_which_all_is_hidden_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let (idle, queue_t) = (queue(&store, "idle", 0), queue(&store, "t", 0));
    let mut entries = Vec::new();
    queue_t.entries(QueueOffset(0), 400, &mut entries).unwrap();
    queue_t.hide_before(entries[300].physical);
    assert_eq!(
        store.retain(&Retention::default()).unwrap().segments,
        0,
        "the first one has a message of another topic"
    );
    idle.hide_before(entries[300].physical);
    assert!(store.retain(&Retention::default()).unwrap().segments > 2);
    assert!(store.positions().min <= entries[300].physical);
    assert_eq!((queue_t.min_offset().0, bodies(&store, &queue_t).unwrap().len()), (300, 100));
    assert_eq!(idle.min_offset(), idle.max_offset());
}

#[tokio::test]
async fn the_index_is_the_same_when_it_is_made_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    for number in 0..300u32 {
        let properties = format!("KEYS\u{1}k{number} x\u{2}TAGS\u{1}t{}\u{2}UNIQ_KEY\u{1}u{number}\u{2}", number % 5);
        let append = message(&store, &format!("t{}", number % 4), number % 3, &vec![1; number as usize], &properties);
        store.append(vec![append]).unwrap().await.remove(0).unwrap();
    }
    let view = |store: &Store| {
        let mut entries = Vec::new();
        let queues = store.queues();
        for queue in queues.iter() {
            let (before, end) = (entries.len() as u64, queue.max_offset().0);
            while entries.len() as u64 - before < end {
                queue.entries(QueueOffset(entries.len() as u64 - before), 1000, &mut entries).unwrap();
            }
        }
        let names: Vec<_> = queues.iter().map(|queue| (queue.topic().clone(), queue.id())).collect();
        let found = |number: u32, key: String| {
            store.lookup(&Topic::from_stored(&format!("t{}", number % 4)), &key, 0..=i64::MAX, 400).unwrap()
        };
        let keys: Vec<_> = (0..300).flat_map(|n| [found(n, format!("k{n}")), found(n, format!("u{n}"))]).collect();
        (names, entries, keys, found(0, "x".to_owned()))
    };
    // Partly in memory, partly in runs; then wholly in runs; then from the log alone.
    let written = view(&store);
    assert_eq!((written.0.len(), written.1.len(), written.3.len()), (12, 300, 75));
    store.close().await;
    assert_eq!(view(&store), written);
    drop(store);
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, _) = open(Options { run_entries_max: 100_000, run_log_bytes: 1 << 30, ..small(dir.path()) });
    assert_eq!(view(&store), written);
}

#[tokio::test]
async fn hidden_messages_are_not_readable() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    for number in 0..60 {
        send(&store, "t", 0, &[number; 300]).await;
    }
    let queue = queue(&store, "t", 0);
    let mut entries = Vec::new();
    queue.entries(QueueOffset(33), 1, &mut entries).unwrap();
    queue.hide_before(entries[0].physical);
    assert_eq!(queue.min_offset().0, 33);
    queue.hide_before(store.positions().written);
    assert_eq!((queue.min_offset(), queue.max_offset().0), (queue.max_offset(), 60));
    assert_eq!(send(&store, "t", 0, b"new").await.queue_offset.0, 60);
    assert_eq!(bodies(&store, &queue).unwrap(), [b"new".to_vec()]);
}

#[tokio::test]
async fn a_second_store_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(small(dir.path()));
    let second = Store::open(&Host::real(), small(dir.path()));
    assert!(matches!(second, Err(crate::OpenError::Locked { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_meets_the_close_is_answered() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(Options { segment_bytes: 8 << 20, ..Options::new(dir.path()) });
        let properties = "KEYS\u{1}a b c d e f g h\u{2}";
        // It takes a while to be looked at before it is handed over.
        let batch: Vec<_> = (0..20_000).map(|_| message(&store, "t", 0, b"", properties)).collect();
        let (begins, has_begun) = tokio::sync::oneshot::channel();
        let (host, appending) = (Host::real(), store.clone());
        let appended = rt::spawn(async move {
            let append = move || {
                begins.send(()).unwrap();
                appending.append(batch)
            };
            host.run_blocking(append).await
        });
        has_begun.await.unwrap();
        store.close().await;
        if let Ok(appending) = appended.await.unwrap() {
            let answered = rt::timeout(std::time::Duration::from_secs(10), appending).await;
            assert_eq!(answered.unwrap().len(), 20_000);
        }
    }
}
