//! A whole node and its clients.

use store::PlantedBug;

/// Seeds that must be clean; the binary runs more.
const CLEAN_SEEDS: u64 = 12;

/// Seeds within which a bug of the store must show to clients.
const SEEDS_TO_FIND: u64 = 20;

#[test]
fn clients_find_nothing_where_nothing_is_planted() {
    let mut acknowledged = 0;
    for seed in 0..CLEAN_SEEDS {
        let report = sim::node::run(seed, None);
        assert!(report.violation.is_none(), "{report}");
        acknowledged += report.acknowledged;
    }
    assert!(acknowledged > 30 * CLEAN_SEEDS, "the workload does some work: {acknowledged}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..4 {
        let (first, second) = (sim::node::run(seed, None), sim::node::run(seed, None));
        assert_eq!((first.trace, first.events), (second.trace, second.events), "seed {seed}");
    }
}

#[test]
fn clients_notice_a_skipped_sync() {
    let run = |seed| sim::node::run(seed, Some(PlantedBug::SyncSkipped));
    assert!((0..SEEDS_TO_FIND).map(run).any(|report| report.violation.is_some()));
}

#[test]
fn clients_notice_a_reused_offset() {
    let run = |seed| sim::node::run(seed, Some(PlantedBug::OffsetReused));
    assert!((0..SEEDS_TO_FIND).map(run).any(|report| report.violation.is_some()));
}
