//! Orderly consumers, and messages that are sent back.

use store::PlantedBug;

/// Seeds that must be clean; the binary runs more.
const CLEAN_SEEDS: u64 = 6;

/// Seeds within which each planted bug must be found.
const SEEDS_TO_FIND: u64 = 30;

#[test]
fn order_holds_where_nothing_is_planted() {
    let mut compared = 0;
    for seed in 0..CLEAN_SEEDS {
        let report = sim::ordered::run(seed, None);
        assert!(report.violation.is_none(), "{report}");
        compared += report.compared;
    }
    assert!(compared > 50 * CLEAN_SEEDS, "the workload does some work: {compared}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..2 {
        let (first, second) = (sim::ordered::run(seed, None), sim::ordered::run(seed, None));
        assert_eq!((first.trace, first.events), (second.trace, second.events), "seed {seed}");
    }
}

fn is_found(bug: PlantedBug) {
    let found = (0..SEEDS_TO_FIND).map(|seed| sim::ordered::run(seed, Some(bug))).find(|run| run.violation.is_some());
    assert!(found.is_some(), "{bug:?} is not found by {SEEDS_TO_FIND} seeds");
}

#[test]
fn a_queue_given_to_two_is_found() {
    is_found(PlantedBug::LockShared);
}

#[test]
fn locks_lost_at_a_restart_are_found() {
    is_found(PlantedBug::LocksForgotten);
}

#[test]
fn an_acknowledgement_before_the_message_is_stored_again_is_found() {
    is_found(PlantedBug::SentBackEarly);
}

#[test]
fn an_uncounted_retry_is_found() {
    is_found(PlantedBug::RetryNotCounted);
}
