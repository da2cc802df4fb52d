//! One store on one machine.

use store::PlantedBug;

/// Seeds that must be clean; the binary runs more.
const CLEAN_SEEDS: u64 = 24;

/// Seeds within which each planted bug must be found.
const SEEDS_TO_FIND: u64 = 60;

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let mut acknowledged = 0;
    for seed in 0..CLEAN_SEEDS {
        let report = sim::store::run(seed, None);
        assert!(report.violation.is_none(), "{report}");
        acknowledged += report.acknowledged;
    }
    assert!(acknowledged > 50 * CLEAN_SEEDS, "the workload does some work: {acknowledged}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..4 {
        let (first, second) = (sim::store::run(seed, None), sim::store::run(seed, None));
        assert_eq!((first.trace, first.events), (second.trace, second.events), "seed {seed}");
    }
    assert_ne!(sim::store::run(1, None).trace, sim::store::run(2, None).trace);
}

fn is_found(bug: PlantedBug) {
    let found = (0..SEEDS_TO_FIND).map(|seed| sim::store::run(seed, Some(bug))).find(|run| run.violation.is_some());
    assert!(found.is_some(), "{bug:?} is not found by {SEEDS_TO_FIND} seeds");
}

#[test]
fn a_skipped_sync_is_found() {
    is_found(PlantedBug::SyncSkipped);
}

#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    is_found(PlantedBug::AckBeforeSync);
}

#[test]
fn a_reused_offset_is_found() {
    is_found(PlantedBug::OffsetReused);
}

#[test]
fn a_checkpoint_that_lies_is_found() {
    is_found(PlantedBug::RunBeyondSync);
}

#[test]
fn an_ignored_checksum_is_found() {
    is_found(PlantedBug::ChecksumIgnored);
}
