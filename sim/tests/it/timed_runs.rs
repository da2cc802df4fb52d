//! Timed messages and retries of one broker.

use store::PlantedBug;

/// Seeds that must be clean; the binary runs more.
const CLEAN_SEEDS: u64 = 12;

/// Seeds within which each planted bug must be found.
const SEEDS_TO_FIND: u64 = 60;

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    let mut compared = 0;
    for seed in 0..CLEAN_SEEDS {
        let report = sim::timed::run(seed, None);
        assert!(report.violation.is_none(), "{report}");
        compared += report.compared;
    }
    assert!(compared > 50 * CLEAN_SEEDS, "the workload does some work: {compared}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..3 {
        let (first, second) = (sim::timed::run(seed, None), sim::timed::run(seed, None));
        assert_eq!((first.trace, first.events), (second.trace, second.events), "seed {seed}");
    }
}

fn is_found(bug: PlantedBug) {
    let found = (0..SEEDS_TO_FIND).map(|seed| sim::timed::run(seed, Some(bug))).find(|run| run.violation.is_some());
    assert!(found.is_some(), "{bug:?} is not found by {SEEDS_TO_FIND} seeds");
}

#[test]
fn a_mark_apart_from_its_messages_is_found() {
    is_found(PlantedBug::MarkNotJoined);
}

#[test]
fn a_run_that_leaves_one_out_is_found() {
    is_found(PlantedBug::TimerRunShort);
}

#[test]
fn retention_that_drops_what_waits_is_found() {
    is_found(PlantedBug::TimersExpire);
}
