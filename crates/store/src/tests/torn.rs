//! Every way in which the end of the log can be torn.

use super::*;
use rt::Disk;
use rt::sim::{Fault, Operation, Power, SimHost, run};
use std::path::PathBuf;

const DIR: &str = "/data/store";

fn segment() -> PathBuf {
    PathBuf::from(DIR).join("log").join(format!("{:020}", 0))
}

/// Where the entry of a record begins.
fn entry_of(place: &Place) -> u64 {
    place.physical_offset.0 - crate::log::entry::HEADER_LEN as u64
}

/// A store with three acknowledged messages, then a batch of three; the entries' positions, and the end.
async fn fill(host: SimHost) -> (Vec<u64>, u64) {
    let doors = host.boot();
    let (store, _) = Store::open(&doors, small(Path::new(DIR))).unwrap();
    let mut places = Vec::new();
    for number in 0..3 {
        places.push(send(&store, "t", 0, &[number; 50]).await);
    }
    let mut batch: Vec<_> = (3..6).map(|number| message(&store, "t", 0, &[number; 50], "")).collect();
    batch[..2].iter_mut().for_each(|append| append.joined = true);
    places.extend(store.append(batch).unwrap().await.into_iter().map(Result::unwrap));
    (places.iter().map(entry_of).collect(), store.positions().written.0)
}

/// What a start finds: messages and whether the end was cut.
async fn reopened(host: SimHost) -> (Vec<u8>, Recovered) {
    let doors = host.boot();
    let (store, recovered) = Store::open(&doors, small(Path::new(DIR))).unwrap();
    let found = bodies(&store, &queue(&store, "t", 0)).unwrap();
    let place = send(&store, "t", 0, b"next").await;
    assert_eq!(place.queue_offset.0, found.len() as u64);
    (found.iter().map(|body| body[0]).collect(), recovered)
}

fn zero(disk: &dyn Disk, from: u64, to: u64) {
    let file = disk.open(&segment()).unwrap();
    file.write_at(&vec![0; (to - from) as usize], from).unwrap();
    file.sync().unwrap();
}

/// Tears the file by `tear` and tells what is left.
fn check(tear: impl FnOnce(&dyn Disk, &[u64], u64) + Send + 'static, expected: &'static [u8], is_cut: bool) {
    run(1, |world| async move {
        let host = world.host("a");
        let (entries, end) = host.spawn(fill(host.clone())).await.unwrap();
        host.crash(Power::Kept);
        tear(&*host.disk().mount(), &entries, end);
        host.disk().wipe(&PathBuf::from(DIR).join("index"));
        let (found, recovered) = host.spawn(reopened(host.clone())).await.unwrap();
        assert_eq!(found, expected);
        assert_eq!((recovered.damages.len(), recovered.cut.is_some()), (0, is_cut), "{recovered:?}");
        host.crash(Power::Lost);
        // What was cut stays away, and the message after it stays.
        let (found, recovered) = host.spawn(reopened(host.clone())).await.unwrap();
        assert_eq!(found, [expected, b"n"].concat());
        assert_eq!((recovered.damages.len(), recovered.cut), (0, None));
    });
}

#[test]
fn a_whole_log_is_kept() {
    check(|_, _, _| (), &[0, 1, 2, 3, 4, 5], false);
}

#[test]
fn a_batch_is_kept_whole_or_not_at_all() {
    for entry in 3..6 {
        for at in [0, 1, 23, 24, 60] {
            let is_cut = entry > 3 || at > 0;
            check(move |disk, entries, end| zero(disk, entries[entry] + at, end), &[0, 1, 2], is_cut);
        }
    }
    check(|disk, _, end| zero(disk, end - 1, end), &[0, 1, 2, 3, 4, 5], false);
    check(|disk, _, end| zero(disk, end - 3, end), &[0, 1, 2], true);
}

#[test]
fn what_a_start_finds_after_a_failed_sync_stays_there() {
    let options = || Options {
        unsynced_bytes_max: 4 * 1024,
        pending_bytes_max: 64 * 1024,
        segment_bytes: 128 * 1024,
        ..small(Path::new(DIR))
    };
    let failing = move |host: SimHost| async move {
        let (store, _) = Store::open(&host.boot(), options()).unwrap();
        send(&store, "t", 0, b"0").await;
        let fault = Fault { operation: Operation::Sync, path_contains: format!("{:020}", 0), after: 0 };
        host.disk().plan(fault);
        let batch = (1..9).map(|number| message(&store, "t", 0, &[number; 400], "")).collect::<Vec<_>>();
        assert!(store.append(batch).unwrap().await.iter().all(Result::is_err));
    };
    let found = move |host: SimHost| async move {
        let (store, _) = Store::open(&host.boot(), options()).unwrap();
        bodies(&store, &queue(&store, "t", 0)).unwrap().len()
    };
    for seed in 0..20 {
        run(seed, move |world| async move {
            let host = world.host("a");
            host.spawn(failing(host.clone())).await.unwrap();
            host.crash(Power::Kept);
            let before = host.spawn(found(host.clone())).await.unwrap();
            host.crash(Power::Lost);
            assert_eq!(host.spawn(found(host.clone())).await.unwrap(), before, "seed {seed}");
        });
    }
}

#[test]
fn a_hole_in_what_was_never_synced_ends_the_log() {
    // The batch was one write; none of its entries knows of a sync behind its start.
    check(|disk, entries, _| zero(disk, entries[3], entries[4]), &[0, 1, 2], true);
    check(|disk, entries, _| zero(disk, entries[4], entries[5]), &[0, 1, 2], true);
}

#[test]
fn a_hole_in_what_was_synced_is_damage() {
    run(1, |world| async move {
        let host = world.host("a");
        let (entries, _) = host.spawn(fill(host.clone())).await.unwrap();
        host.crash(Power::Kept);
        zero(&*host.disk().mount(), entries[1], entries[2]);
        host.disk().wipe(&PathBuf::from(DIR).join("index"));
        let found = host.spawn({
            let host = host.clone();
            async move {
                let (store, recovered) = Store::open(&host.boot(), small(Path::new(DIR))).unwrap();
                assert_eq!(recovered.cut, None);
                let damage = &recovered.damages[0];
                assert_eq!((damage.position.0, damage.until.0), (entries[1], entries[2]));
                let queue = queue(&store, "t", 0);
                let mut found = Vec::new();
                queue.entries(QueueOffset(0), 9, &mut found).unwrap();
                assert_eq!(found.len(), 1);
                assert!(matches!(queue.entries(QueueOffset(1), 9, &mut found), Err(ReadError::Damaged { .. })));
                assert_eq!(queue.readable_from(QueueOffset(1)), Ok(QueueOffset(2)));
                queue.entries(QueueOffset(2), 9, &mut found).unwrap();
                found.len()
            }
        });
        assert_eq!(found.await.unwrap(), 5);
    });
}

#[test]
fn a_log_is_cut_where_the_options_say() {
    run(1, |world| async move {
        let host = world.host("a");
        let (entries, end) = host.spawn(fill(host.clone())).await.unwrap();
        for (to, expected) in [(end, 6), (end - 1, 3), (entries[3], 3), (entries[2] + 5, 2), (entries[0], 0), (0, 0)] {
            host.crash(Power::Kept);
            let inner = host.clone();
            let task = host.spawn(async move {
                let options = Options { truncate_to: Some(PhysicalOffset(to)), ..small(Path::new(DIR)) };
                let (store, _) = Store::open(&inner.boot(), options).unwrap();
                bodies(&store, &queue(&store, "t", 0)).unwrap().len()
            });
            assert_eq!(task.await.unwrap(), expected, "cut at {to}");
        }
    });
}

#[test]
fn a_failed_sync_stops_the_log_and_a_full_disk_does_not() {
    run(1, |world| async move {
        let host = world.host("a");
        let inner = host.clone();
        let task = host.spawn(async move {
            let (store, _) = Store::open(&inner.boot(), small(Path::new(DIR))).unwrap();
            send(&store, "t", 0, b"first").await;
            inner.disk().set_capacity(inner.disk().used());
            let mut refused = 0;
            for _ in 0..30 {
                let appending = store.append(vec![message(&store, "t", 0, &[1; 1000], "")]).unwrap();
                match appending.await.remove(0) {
                    Ok(_) => {}
                    Err(AppendError::DiskFull { needed, .. }) => {
                        refused += 1;
                        assert!(needed > 0);
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(refused > 0);
            inner.disk().set_capacity(1 << 30);
            let place = send(&store, "t", 0, b"room again").await;
            let queue = queue(&store, "t", 0);
            assert_eq!(place.queue_offset.0 + 1, queue.max_offset().0);
            assert_eq!(bodies(&store, &queue).unwrap().len() as u64, queue.max_offset().0);
            let faults = rt::sim::Faults { sync: 1_000_000, ..rt::sim::Faults::default() };
            inner.disk().set_faults(faults);
            let appending = store.append(vec![message(&store, "t", 0, b"lost", "")]).unwrap();
            assert!(matches!(appending.await.remove(0), Err(AppendError::Poisoned { .. })));
            assert!(store.is_poisoned());
            assert!(matches!(store.append(vec![]), Err(AppendError::Poisoned { .. })));
            assert_eq!(bodies(&store, &queue).unwrap().len() as u64, queue.max_offset().0);
            store.close().await;
        });
        task.await.unwrap();
    });
}

#[test]
fn an_index_that_cannot_be_written_stops_appends_until_there_is_room() {
    run(1, |world| async move {
        let host = world.host("a");
        let inner = host.clone();
        let task = host.spawn(async move {
            let options = Options { segment_bytes: 1 << 20, ..small(Path::new(DIR)) };
            let (store, _) = Store::open(&inner.boot(), options).unwrap();
            send(&store, "t", 0, b"first").await;
            inner.disk().set_capacity(inner.disk().used());
            let mut stored = 1;
            loop {
                let appending = store.append(vec![message(&store, "t", 0, &[1; 100], "")]).unwrap();
                match appending.await.remove(0) {
                    Ok(_) => stored += 1,
                    Err(AppendError::DiskFull { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(stored > 100, "{stored}");
            inner.disk().set_capacity(1 << 30);
            rt::sleep(std::time::Duration::from_secs(1)).await;
            for _ in 0..300 {
                send(&store, "t", 0, b"room again").await;
            }
            assert_eq!(bodies(&store, &queue(&store, "t", 0)).unwrap().len(), stored + 300);
            store.close().await;
        });
        task.await.unwrap();
    });
}
