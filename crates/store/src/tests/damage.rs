//! A bit turned over anywhere is reported or repaired; nothing false is ever handed out.
#![allow(clippy::disallowed_methods, reason = "damage is done behind the store's back")]

use super::*;
use crate::log::segment::SEGMENT_HEADER_LEN;
use proptest::prelude::*;
use rt::sim::{Fault, Operation, Power, SimHost, run};
use std::fs;
use std::path::PathBuf;

const MESSAGES: u32 = 240;

fn body(number: u32) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.resize(4 + number as usize % 300, number as u8);
    body
}

/// A closed store with messages in three queues.
async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(small(dir.path()));
    for number in 0..MESSAGES {
        let append = message(&store, "t", number % 3, &body(number), &format!("UNIQ_KEY\u{1}u{number}\u{2}"));
        store.append(vec![append]).unwrap().await.remove(0).unwrap();
    }
    store.close().await;
    dir
}

fn files(dir: &Path, part: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join(part)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(path: &Path, at: u64, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

/// Reads every message; gives the numbers of those that are reported as damaged. No other may be missing or changed.
fn lost(store: &Store) -> Vec<u32> {
    let mut lost = Vec::new();
    for id in 0..3 {
        let queue = queue(store, "t", id);
        assert_eq!(queue.min_offset().0, 0);
        for offset in 0..u64::from(MESSAGES / 3) {
            let number = offset as u32 * 3 + id;
            let mut entries = Vec::new();
            let read = queue.entries(QueueOffset(offset), 1, &mut entries).and_then(|()| records(store, &entries));
            match read {
                Ok(read) if read.is_empty() => lost.push(number),
                Ok(read) => assert_eq!(read, [(QueueOffset(offset), body(number))]),
                Err(ReadError::Damaged { .. }) => lost.push(number),
                Err(ReadError::NoOffset { .. }) => lost.push(number),
                Err(error) => panic!("{error}"),
            }
        }
    }
    lost
}

/// The used bytes of the log: file, position in it.
fn places(dir: &Path) -> Vec<(PathBuf, u64)> {
    let used = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
    };
    // A file that was only prepared may be removed and made anew.
    files(dir, "log")
        .into_iter()
        .filter(|path| used(path) > SEGMENT_HEADER_LEN)
        .flat_map(|path| (0..used(&path)).map(move |at| (path.clone(), at)).collect::<Vec<_>>())
        .collect()
}

/// The files of the log that hold messages.
fn used_files(dir: &Path) -> Vec<PathBuf> {
    let mut used: Vec<_> = places(dir).into_iter().map(|(path, _)| path).collect();
    used.dedup();
    used
}

#[tokio::test]
async fn a_missing_last_file_is_reported_and_its_offsets_are_not_given_out_again() {
    let remove = |path: &PathBuf| fs::remove_file(path).unwrap();
    let empty = |path: &PathBuf| fs::write(path, []).unwrap();
    for (name, harm) in [("removed", &remove as &dyn Fn(&PathBuf)), ("emptied", &empty)] {
        for is_spare_kept in [true, false] {
            let dir = filled().await;
            let used = used_files(dir.path());
            harm(used.last().unwrap());
            if !is_spare_kept {
                files(dir.path(), "log").iter().filter(|path| *path > used.last().unwrap()).for_each(remove);
            }
            for round in 0..3 {
                let (store, recovered) = open(small(dir.path()));
                assert!(!recovered.damages.is_empty(), "{name} {is_spare_kept} {round}");
                assert!(!lost(&store).is_empty(), "{name} {is_spare_kept} {round}");
                let sent = send(&store, "t", 0, b"after").await;
                assert_eq!(sent.queue_offset.0, u64::from(MESSAGES / 3) + round, "{name} {is_spare_kept}");
                if round == 1 {
                    store.close().await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_missing_first_file_is_reported_unless_retention_took_it() {
    let dir = filled().await;
    fs::remove_file(&used_files(dir.path())[0]).unwrap();
    let (store, recovered) = open(small(dir.path()));
    assert_eq!(recovered.damages[0].position.0, 0);
    assert!(queue(&store, "t", 0).min_offset().0 > 0);

    let dir = filled().await;
    let (store, _) = open(small(dir.path()));
    store.retain(&Retention { before: i64::MAX, ..Retention::default() }).unwrap();
    store.close().await;
    drop(store);
    let (_, recovered) = open(small(dir.path()));
    assert_eq!(recovered.damages, []);
}

#[tokio::test]
async fn damage_of_the_log_is_reported_at_its_place_when_read() {
    let dir = filled().await;
    let places = places(dir.path());
    for step in (0..places.len()).step_by(places.len() / 60) {
        let (path, at) = &places[step];
        flip(path, *at, (step % 8) as u8);
        let (store, _) = open(small(dir.path()));
        let found = lost(&store);
        assert!(found.len() <= 1, "{found:?} lost by byte {at} of {}", path.display());
        assert_eq!(store.stats().damaged_reads.load(std::sync::atomic::Ordering::Relaxed), found.len() as u64);
        drop(store);
        flip(path, *at, (step % 8) as u8);
    }
    let (store, _) = open(small(dir.path()));
    assert_eq!(lost(&store), Vec::<u32>::new());
}

#[tokio::test]
async fn damage_of_the_log_is_reported_when_the_index_is_rebuilt() {
    let dir = filled().await;
    let places = places(dir.path());
    let last = places.last().unwrap().clone();
    for step in (0..places.len()).step_by(places.len() / 40) {
        let (path, at) = &places[step];
        let bit = (step % 8) as u8;
        flip(path, *at, bit);
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        let (store, recovered) = open(small(dir.path()));
        let start: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let position = start + at;
        let found = lost(&store);
        let is_told = recovered.damages.iter().any(|damage| (damage.position.0..=damage.until.0).contains(&position));
        // Bytes of padding carry nothing, and the last entry cannot be told from a torn one.
        let is_last = *path == last.0 && last.1 - at < 400;
        assert!(
            is_told || found.is_empty() || is_last,
            "byte {at} of {}: {recovered:?}, lost {found:?}",
            path.display()
        );
        assert!(found.len() <= 1, "byte {at} of {}: {found:?} {recovered:?}", path.display());
        let is_cut = recovered.cut.is_some();
        drop(store);
        if is_cut {
            // Its bytes are gone for good.
            break;
        }
        flip(path, *at, bit);
    }
}

#[tokio::test]
async fn a_new_end_is_found_behind_damage_and_appends_go_on() {
    let dir = filled().await;
    let first = files(dir.path(), "log").remove(0);
    flip(&first, SEGMENT_HEADER_LEN + 40, 3);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let (store, recovered) = open(small(dir.path()));
    assert_eq!(recovered.damages.len(), 1, "{recovered:?}");
    assert_eq!(recovered.damages[0].position, PhysicalOffset(SEGMENT_HEADER_LEN));
    assert_eq!(lost(&store), [0]);
    let queue = queue(&store, "t", 0);
    assert!(matches!(queue.entries(QueueOffset(0), 9, &mut Vec::new()), Err(ReadError::Damaged { .. })));
    assert_eq!(queue.readable_from(QueueOffset(0)), Ok(QueueOffset(1)));
    assert_eq!(send(&store, "t", 0, b"more").await.queue_offset.0, u64::from(MESSAGES / 3));
}

#[tokio::test]
async fn any_derived_file_may_be_lost_or_damaged() {
    let dir = filled().await;
    let runs = files(dir.path(), "index");
    assert!(runs.len() > 2);
    for (number, path) in runs.iter().enumerate() {
        if !path.try_exists().unwrap() {
            continue;
        }
        let len = fs::metadata(path).unwrap().len();
        match number % 3 {
            0 => fs::remove_file(path).unwrap(),
            1 => fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len / 2).unwrap(),
            _ => flip(path, len / 3, 1),
        }
        let (store, recovered) = open(small(dir.path()));
        assert_eq!((recovered.damages.len(), recovered.cut.clone()), (0, None));
        let found = settled(&store).await;
        assert_eq!(found, Vec::<u32>::new(), "{}", path.display());
    }
}

/// Reads all, once the index is built anew.
async fn settled(store: &Store) -> Vec<u32> {
    wait_for_index(store, 3).await;
    lost(store)
}

/// Runs are written for whole files only.
fn large_runs(dir: &Path) -> Options {
    Options { run_entries_max: 1 << 20, run_log_bytes: 1 << 30, ..small(dir) }
}

#[tokio::test]
async fn what_lies_before_a_loss_between_two_runs_is_found_by_time_and_position() {
    let dir = tempfile::tempdir().unwrap();
    let mut places = Vec::new();
    for _ in 0..2 {
        let (store, _) = open(large_runs(dir.path()));
        for number in 0..10 {
            places.push(send(&store, "t", 0, &[number; 50]).await);
        }
        if places.len() == 10 {
            store.close().await;
        }
    }
    let first = files(dir.path(), "log").remove(0);
    for lost in &places[10..13] {
        flip(&first, lost.physical_offset.0 + 20, 1);
    }
    let (store, recovered) = open(large_runs(dir.path()));
    assert!(!recovered.damages.is_empty());
    let queue = queue(&store, "t", 0);
    assert_eq!(queue.offset_at(1, Boundary::Lower), Ok(QueueOffset(0)));
    queue.hide_before(places[5].physical_offset);
    assert_eq!(queue.min_offset(), QueueOffset(5));
    let damaged = queue.entries(QueueOffset(10), 1, &mut Vec::new()).unwrap_err();
    assert!(matches!(damaged, ReadError::Damaged { position, .. } if position == places[13].physical_offset));
}

#[tokio::test]
async fn retention_takes_and_leaves_whole_files_around_one_that_is_lost() {
    let remove = |path: &PathBuf| fs::remove_file(path).unwrap();
    let clear = |path: &PathBuf| fs::write(path, vec![0; fs::metadata(path).unwrap().len() as usize]).unwrap();
    for (name, harm) in [("removed", &remove as &dyn Fn(&PathBuf)), ("cleared", &clear)] {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = open(large_runs(dir.path()));
        let mut places = Vec::new();
        for number in 0..MESSAGES {
            places.push(send(&store, "t", 0, &body(number)).await);
        }
        drop(store);
        let used = used_files(dir.path());
        assert!(used.len() > 3);
        harm(&used[1]);
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        let (store, _) = open(large_runs(dir.path()));
        let third: u64 = used[2].file_name().unwrap().to_str().unwrap().parse().unwrap();
        let kept = store.positions().written.0 - third;
        store.retain(&Retention { before: i64::MIN, bytes_max: Some(kept), ..Retention::default() }).unwrap();
        assert_eq!(store.positions().min.0, third, "{name}");
        let queue = queue(&store, "t", 0);
        for place in places.iter().filter(|place| place.physical_offset.0 > third) {
            let mut entries = Vec::new();
            queue.entries(place.queue_offset, 1, &mut entries).unwrap();
            assert_eq!(entries[0].physical, place.physical_offset, "{name}");
        }
        store.retain(&Retention { before: i64::MAX, ..Retention::default() }).unwrap();
        let last: u64 = used.last().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!(store.positions().min.0, last, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn garbage_of_any_kind_in_a_segment_never_panics(
        at in 0usize..16_000,
        garbage in proptest::collection::vec(any::<u8>(), 1..600),
        is_index_lost in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = filled().await;
            let path = files(dir.path(), "log").remove(1);
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len().min(at + garbage.len());
            bytes[at..end].copy_from_slice(&garbage[..end - at]);
            fs::write(&path, bytes).unwrap();
            if is_index_lost {
                fs::remove_dir_all(dir.path().join("index")).unwrap();
            }
            let (store, _) = open(small(dir.path()));
            assert!(lost(&store).len() < 20);
        });
    }
}

/// Retention takes most of the log while something fails, and the power goes.
async fn retained_until_the_power_goes(host: SimHost, fault: Fault) {
    let (store, _) = Store::open(&host.boot(), small(Path::new("/data"))).unwrap();
    for number in 0..400 {
        send(&store, "t", 0, &body(number)).await;
    }
    store.close().await;
    drop(store);
    let (store, _) = Store::open(&host.boot(), small(Path::new("/data"))).unwrap();
    host.disk().plan(fault);
    drop(store.retain(&Retention { bytes_max: Some(20_000), ..Retention::default() }));
    while !matches!(store.give_back(), Ok(false)) {}
}

/// A part of the index that is left over does not make what retention took look lost, whatever failed on the way.
#[test]
fn retention_that_fails_half_way_looks_like_no_damage() {
    let places = [
        (Operation::Rename, "/log/"),
        (Operation::Remove, "/index/"),
        (Operation::Remove, ".removed"),
        (Operation::SyncDir, "/log"),
        (Operation::SyncDir, "/index"),
    ];
    for (operation, path) in places {
        for (after, power) in [(0, Power::Lost), (1, Power::Kept), (1, Power::Lost), (2, Power::Lost)] {
            run(1, |world| async move {
                let host = world.host("a");
                let fault = Fault { operation, path_contains: path.to_owned(), after };
                host.spawn(retained_until_the_power_goes(host.clone(), fault)).await.unwrap();
                host.crash(power);
                let again = host.clone();
                let reopening = host.spawn(async move {
                    let (store, recovered) = Store::open(&again.boot(), small(Path::new("/data"))).unwrap();
                    let queue = queue(&store, "t", 0);
                    let left = bodies(&store, &queue).unwrap().len() as u64;
                    assert_eq!((queue.max_offset().0, queue.max_offset().0 - queue.min_offset().0), (400, left));
                    recovered.damages
                });
                assert_eq!(reopening.await.unwrap(), [], "{operation:?} of {path} after {after}");
            });
        }
    }
}
