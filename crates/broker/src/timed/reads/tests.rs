use super::*;
use proptest::prelude::*;
use store::Appends;
use store::timer::Due;

/// A message of a topic; it lies at its time, and those before 1,000 are far back.
fn message(at: i64, topic: i32) -> Pending {
    Pending { due: Due { at, position: at as u64 }, topic }
}

fn place(pending: &Pending) -> Place {
    if pending.due.position < 1000 { Place::Far } else { Place::Near }
}

fn batch(read: &ToRead, fits: usize) -> Batch {
    let mut ended = read.messages.clone();
    let rest = ended.split_off(fits.min(ended.len()));
    Batch { appends: Appends::default(), ended, lost: 0, rest, failure: None }
}

fn times(messages: &[Pending]) -> Vec<i64> {
    messages.iter().map(|pending| pending.due.at).collect()
}

/// Starts all that may start, and says which times each batch has.
fn start_all(reads: &mut Reads) -> Vec<ToRead> {
    std::iter::from_fn(|| reads.start(Duration::ZERO)).collect()
}

/// All that goes to the log now, by its times.
fn all_next(reads: &mut Reads) -> Vec<Vec<i64>> {
    std::iter::from_fn(|| reads.next()).map(|(batch, _)| times(&batch.ended)).collect()
}

#[test]
fn what_is_near_does_not_wait_for_what_is_far() {
    let mut reads = Reads::default();
    reads.add(vec![message(1, 1), message(2, 2), message(1001, 3), message(1002, 1)], place);
    let started = start_all(&mut reads);
    let seen: Vec<Vec<i64>> = started.iter().map(|read| times(&read.messages)).collect();
    assert_eq!(seen, [vec![1001], vec![1, 2, 1002]], "topic 1 keeps its order");
    reads.done(started[0].number, batch(&started[0], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[1001]]);

    // More of the topics that wait, and another one.
    reads.add(vec![message(2001, 2), message(2002, 4)], place);
    let more = start_all(&mut reads);
    more.iter().for_each(|read| reads.done(read.number, batch(read, 9), Duration::ZERO));
    assert_eq!(all_next(&mut reads), [[2002]]);
    reads.done(started[1].number, batch(&started[1], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [vec![1, 2, 1002], vec![2001]]);
    assert!(reads.far_topics.is_empty() && reads.messages == 0);
}

#[test]
fn far_batches_with_other_topics_pass_each_other() {
    let mut reads = Reads::default();
    for at in 1..=3 {
        reads.add(vec![message(at, at as i32 % 2)], place);
    }
    let started = start_all(&mut reads);
    reads.done(started[2].number, batch(&started[2], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [] as [Vec<i64>; 0], "the first one has its topic");
    reads.done(started[1].number, batch(&started[1], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[2]]);
    reads.done(started[0].number, batch(&started[0], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[1], [3]]);
}

#[test]
fn what_did_not_fit_comes_next() {
    let mut reads = Reads::default();
    reads.add(vec![message(1001, 1), message(1002, 1), message(1003, 1)], place);
    reads.add(vec![message(1004, 1)], place);
    let started = start_all(&mut reads);
    reads.done(started[1].number, batch(&started[1], 9), Duration::ZERO);
    // Two could not be read now.
    reads.done(started[0].number, batch(&started[0], 1), Duration::from_secs(1));
    assert_eq!(all_next(&mut reads), [[1001]]);
    assert!(reads.has_done());
    assert!(start_all(&mut reads).is_empty());
    let rest = reads.start(Duration::from_secs(1)).unwrap();
    reads.done(rest.number, batch(&rest, 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [vec![1002, 1003], vec![1004]]);
}

#[test]
fn what_the_log_refused_goes_before_what_is_due_later() {
    let mut reads = Reads::default();
    reads.add(vec![message(1001, 1)], place);
    reads.add(vec![message(1002, 1)], place);
    let started = start_all(&mut reads);
    started.iter().for_each(|read| reads.done(read.number, batch(read, 9), Duration::ZERO));
    let (first, _) = reads.next().unwrap();
    reads.again(first.ended, Duration::ZERO);
    assert_eq!(all_next(&mut reads), [] as [Vec<i64>; 0]);
    let again = start_all(&mut reads);
    reads.done(again[0].number, batch(&again[0], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[1001], [1002]]);
}

#[test]
fn everything_is_bounded_and_nothing_is_lost() {
    let mut reads = Reads::default();
    let mut at = 0;
    while reads.has_room() {
        reads.add((0..1024).map(|n| message(at + n, (n % 7) as i32)).collect(), |_| Place::Far);
        at += 1024;
    }
    assert_eq!(reads.messages, LINE_MESSAGES_MAX);
    let started = start_all(&mut reads);
    assert_eq!((started.len(), started[0].messages.len()), (FAR_READS_MAX, FAR_MESSAGES_MAX));
    assert!(!reads.may_move());
    reads.add((at..at + 10_000).map(|at| message(at, 100)).collect(), |_| Place::Near);
    assert_eq!(start_all(&mut reads).len(), NEAR_READS_MAX, "those far back leave room for the others");
    let mut all = times(&reads.give_up());
    all.sort_unstable();
    assert_eq!(all, (0..at + 10_000).collect::<Vec<_>>());
    reads.done(started[0].number, batch(&started[0], 9), Duration::ZERO);
    assert!(reads.next().is_none() && reads.messages == 0 && reads.far_topics.is_empty());
}

#[test]
fn moving_holds_up_no_topic() {
    let mut reads = Reads::default();
    reads.add_moved(vec![message(1, 1)]);
    reads.add(vec![message(1001, 1)], place);
    let started = start_all(&mut reads);
    reads.done(started[1].number, batch(&started[1], 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[1001]]);
    reads.done(started[0].number, batch(&started[0], 9), Duration::ZERO);
    let (moved, ending) = reads.next().unwrap();
    assert_eq!((times(&moved.ended), ending), (vec![1], Ending::Moved));
}

#[test]
fn a_batch_that_cannot_be_read_holds_up_its_topics_only() {
    let mut reads = Reads::default();
    for at in 0..20 {
        reads.add(vec![message(at, 1)], place);
    }
    reads.add(vec![message(20, 2)], place);
    let started = start_all(&mut reads);
    reads.done(started[0].number, batch(&started[0], 0), Duration::from_secs(1));
    started.iter().skip(1).for_each(|read| reads.done(read.number, batch(read, 9), Duration::ZERO));
    let other = reads.start(Duration::ZERO).unwrap();
    assert_eq!(times(&other.messages), [20]);
    reads.done(other.number, batch(&other, 9), Duration::ZERO);
    assert_eq!(all_next(&mut reads), [[20]]);
    assert_eq!(reads.tries_again(Duration::ZERO), Some(Duration::from_secs(1)));
    let mut went = Vec::new();
    while let Some(read) = reads.start(Duration::from_secs(1)) {
        reads.done(read.number, batch(&read, 9), Duration::ZERO);
        went.extend(all_next(&mut reads).concat());
    }
    assert_eq!(went, (0..20).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Act {
    /// So many messages become due, of these topics.
    Due(usize, i32),
    Start,
    /// One that is being read ends, so many of its messages fit.
    End(usize, usize),
    /// One goes to the log; if true, the log refuses it.
    Go(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..300_usize, 1..6_i32).prop_map(|(count, topics)| Act::Due(count, topics)),
        Just(Act::Start),
        Just(Act::Start),
        (0..20_usize, 0..200_usize).prop_map(|(nth, fits)| Act::End(nth, fits)),
        (0..20_usize).prop_map(|nth| Act::End(nth, usize::MAX)),
        proptest::bool::weighted(0.1).prop_map(Act::Go),
    ]
}

proptest! {
    /// Every message goes once, those of a topic in the order of their times, and nothing gets stuck.
    #[test]
    fn each_goes_once_and_topics_keep_their_order(acts in prop::collection::vec(act(), 0..120)) {
        let (mut reads, mut being_read, mut went, mut at) = (Reads::default(), Vec::new(), Vec::new(), 0_i64);
        // In the end everything ends well.
        let rest = std::iter::repeat_n([Act::Start, Act::End(0, usize::MAX), Act::Go(false)], 20_000).flatten();
        for act in acts.into_iter().chain(rest) {
            match act {
                Act::Due(count, topics) => {
                    let due = (0..count as i64).map(|n| message(at + n, ((at + n * 7) % i64::from(topics)) as i32));
                    reads.add(due.collect(), |pending| if pending.due.at % 5 == 0 { Place::Far } else { Place::Near });
                    at += count as i64;
                }
                Act::Start => being_read.extend(reads.start(Duration::ZERO)),
                Act::End(_, _) if being_read.is_empty() => {}
                Act::End(nth, fits) => {
                    let read = being_read.remove(nth % being_read.len());
                    reads.done(read.number, batch(&read, fits), Duration::ZERO);
                }
                Act::Go(is_refused) => match reads.next() {
                    Some((batch, _)) if is_refused => reads.again(batch.ended, Duration::ZERO),
                    Some((batch, _)) => went.extend(batch.ended),
                    None if reads.messages == 0 && went.len() as i64 == at => break,
                    None => {}
                },
            }
        }
        prop_assert_eq!(went.len() as i64, at);
        for topic in 0..6 {
            let times: Vec<i64> = went.iter().filter(|gone| gone.topic == topic).map(|gone| gone.due.at).collect();
            prop_assert!(times.is_sorted_by(|a, b| a < b), "topic {}: {:?}", topic, times);
        }
    }
}
