use super::*;
use model::{QueueId, Topic};

const PLACE: Place =
    Place { queue_offset: QueueOffset(7), physical_offset: PhysicalOffset(1000), store_timestamp: 1_767_225_600_000 };

fn ledger() -> Ledger {
    let queue = |id| QueueSetup { topic: Topic::from_stored("topic"), id: QueueId(id), flush: None };
    Ledger::new(Trace::default(), vec![queue(0), queue(1)])
}

/// What a reader of a message gets, and its entry.
fn read(ledger: &Ledger, id: Id, place: Place) -> (Entry, Vec<u8>) {
    let draft = ledger.draft(id);
    let mut bytes = Vec::new();
    draft.encode(place, &mut bytes);
    let entry = Entry {
        offset: place.queue_offset,
        physical: place.physical_offset,
        size: u32::try_from(bytes.len()).expect("small"),
        tag_hash: if id.is_multiple_of(3) { 0 } else { java_hash(tag(id)) },
        store_timestamp: place.store_timestamp,
    };
    (entry, bytes)
}

fn check(expected: Option<Invariant>, events: impl FnOnce(&mut Ledger)) {
    let mut ledger = ledger();
    for _ in 0..4 {
        ledger.send(0, 40);
    }
    events(&mut ledger);
    assert_eq!(ledger.findings.violated(), expected);
}

fn observe(ledger: &mut Ledger, id: Id, place: Place) {
    let (entry, bytes) = read(ledger, id, place);
    ledger.observe(0, &entry, &bytes, true);
}

#[test]
fn what_was_sent_may_be_read_once_acknowledged_or_before() {
    check(None, |ledger| {
        ledger.acknowledge(1, PLACE, true);
        observe(ledger, 1, PLACE);
        observe(ledger, 2, Place { queue_offset: QueueOffset(8), ..PLACE });
        ledger.acknowledge(2, Place { queue_offset: QueueOffset(8), ..PLACE }, true);
    });
}

#[test]
fn every_changed_byte_is_seen() {
    let (_, bytes) = {
        let mut ledger = ledger();
        ledger.send(0, 40);
        read(&ledger, 0, PLACE)
    };
    for at in 0..bytes.len() {
        let mut ledger = ledger();
        ledger.send(0, 40);
        let (entry, mut bytes) = read(&ledger, 0, PLACE);
        bytes[at] ^= 4;
        ledger.observe(0, &entry, &bytes, true);
        assert!(ledger.findings.is_failed(), "byte {at}");
    }
}

#[test]
fn an_offset_belongs_to_one_message_for_ever() {
    check(Some(Invariant::Dense), |ledger| {
        ledger.acknowledge(1, PLACE, true);
        ledger.acknowledge(2, PLACE, true);
    });
    check(Some(Invariant::Dense), |ledger| {
        ledger.acknowledge(1, PLACE, true);
        observe(ledger, 1, Place { queue_offset: QueueOffset(9), ..PLACE });
    });
}

#[test]
fn what_was_refused_or_lost_never_comes_back() {
    check(Some(Invariant::Genuine), |ledger| {
        ledger.refuse(1, &store::AppendError::Closed);
        observe(ledger, 1, PLACE);
    });
    check(Some(Invariant::Genuine), |ledger| {
        ledger.set_fate(1, Fate::Gone);
        observe(ledger, 1, PLACE);
    });
}

#[test]
fn after_a_power_failure_only_the_safe_keep_their_offsets() {
    check(None, |ledger| {
        ledger.acknowledge(1, PLACE, false);
        ledger.loosen();
        ledger.acknowledge(2, PLACE, true);
    });
    check(Some(Invariant::Dense), |ledger| {
        ledger.acknowledge(1, PLACE, false);
        ledger.synced(PLACE.physical_offset.plus(10_000));
        ledger.loosen();
        ledger.acknowledge(2, PLACE, true);
    });
}
