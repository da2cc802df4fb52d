use super::write::RunWriter;
use super::*;
use crate::index::{Key, Spot};
use rt::{Disk, RealDisk};

fn spot(physical: u64) -> Spot {
    Spot { physical, size: 100, tag_hash: physical as i32, store_timestamp: physical as i64 * 10 }
}

/// A run over a part of the log: queues with their first offset and count, spread over the part.
fn run(dir: &Path, part: Range<u64>, queues: &[(&str, u32, u64, u64)], table: Option<&QueueTable>) -> Arc<Run> {
    let mut writer = RunWriter::create(&RealDisk, dir, part.start, part.end).unwrap();
    for (topic, id, first, count) in queues {
        writer.queue(&Topic::from_stored(topic), QueueId(*id), *first);
        (0..*count).for_each(|n| writer.entry(&spot(part.start + n)).unwrap());
    }
    let mut keys: Vec<_> = part.map(|physical| Key { hash: physical % 7, physical }).collect();
    keys.sort_unstable();
    keys.into_iter().for_each(|key| writer.key(key).unwrap());
    writer.finish(table).unwrap()
}

fn offsets(runs: &Runs, topic: &str, id: u32, range: Range<u64>) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    let mut cursor = Cursor::default();
    let (topic, id) = (Topic::from_stored(topic), QueueId(id));
    let mut next = range.start;
    while next < range.end {
        match runs.read(&topic, id, next..range.end, &mut cursor, &mut out).unwrap() {
            0 => break,
            count => next += count as u64,
        }
    }
    out.iter().map(|entry| (entry.offset.0, entry.physical.0)).collect()
}

#[test]
fn runs_are_read_and_merged_into_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = run(dir, 0..500, &[("a", 0, 0, 3), ("a", 2, 5, 400), ("b", 0, 0, 1)], None);
    let second = run(dir, 500..900, &[("a", 2, 405, 200), ("c", 1, 0, 2)], None);
    let third = run(dir, 900..950, &[("a", 0, 3, 2), ("b", 0, 4, 1)], None);
    let inputs = vec![first, second, third];
    let table = queue_table(&inputs).unwrap();
    let merged = merge::merge(&RealDisk, dir, &inputs, &table).unwrap();
    assert_eq!((merged.header.from, merged.header.to, merged.header.entries), (0, 950, 612));
    assert_eq!((merged.header.min_time, merged.header.max_time), (0, 9010));
    assert_eq!(queue_table(std::slice::from_ref(&merged)).unwrap(), table);
    let next = |topic: &str, id| table.get(&(Topic::from_stored(topic), QueueId(id))).copied();
    assert_eq!([next("a", 0), next("a", 2), next("b", 0), next("c", 1)], [Some(5), Some(605), Some(5), Some(2)]);
    let (small, one) = (Runs::new(inputs, Signal::default()), Runs::new(vec![merged], Signal::default()));
    for (topic, id, range) in [("a", 0, 0..5), ("a", 2, 5..605), ("a", 2, 400..410), ("c", 1, 0..2), ("d", 0, 0..9)] {
        assert_eq!(offsets(&small, topic, id, range.clone()), offsets(&one, topic, id, range), "{topic} {id}");
    }
    // What no run has is lost in the merged one.
    assert_eq!(offsets(&small, "b", 0, 0..5), [(0, 0)]);
    assert_eq!(offsets(&one, "b", 0, 0..5), [(0, 0), (1, 900), (2, 900), (3, 900), (4, 900)]);
    let all = 0..=i64::MAX;
    for hash in 0..9 {
        assert_eq!(small.positions_of(hash, &all), one.positions_of(hash, &all), "{hash}");
    }
    assert_eq!(small.positions_of(3, &(9005..=9005)).unwrap().len(), 7);
    assert_eq!(one.first_offset(&Topic::from_stored("a"), QueueId(2), 0), Ok(Some(5)));
    let after = small.spot_after(&Topic::from_stored("b"), QueueId(0), 0).unwrap();
    assert_eq!(after.map(|spot| spot.physical), Some(900));
}

#[test]
fn any_damage_is_seen_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let whole = run(dir.path(), 0..300, &[("a", 0, 0, 300)], Some(&QueueTable::new()));
    let len = RealDisk.open(&whole.path).unwrap().len().unwrap();
    for at in (0..len).step_by(7) {
        let file = RealDisk.open(&whole.path).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, at).unwrap();
        file.write_at(&[byte[0] ^ 16], at).unwrap();
        // Bytes before the checksum of the header that carry nothing are covered, too.
        if let Some(opened) = Run::open(&RealDisk, dir.path(), 0, 300).unwrap() {
            let entries: io::Result<Vec<_>> = opened.entries(0..300).collect();
            let keys: io::Result<Vec<_>> = opened.keys(0..300).collect();
            let is_seen =
                entries.is_err() || keys.is_err() || opened.row(&Topic::from_stored("a"), QueueId(0)).is_err();
            assert!(is_seen && opened.is_damaged(), "byte {at}");
        }
        file.write_at(&byte, at).unwrap();
    }
}

#[test]
fn the_newest_table_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = QueueTable::new();
    table.insert((Topic::from_stored("idle"), QueueId(9)), 77);
    table.insert((Topic::from_stored("a"), QueueId(0)), 10);
    let runs = vec![
        run(dir.path(), 0..10, &[("a", 0, 0, 4), ("gone", 0, 0, 1)], None),
        run(dir.path(), 10..20, &[("a", 0, 4, 6)], Some(&table)),
        run(dir.path(), 20..30, &[("a", 0, 10, 1), ("new", 0, 0, 2)], None),
    ];
    let found = queue_table(&runs).unwrap();
    let found: Vec<_> = found.iter().map(|((topic, id), next)| (topic.as_str(), id.0, *next)).collect();
    assert_eq!(found, [("a", 0, 11), ("idle", 9, 77), ("new", 0, 2)]);
}
