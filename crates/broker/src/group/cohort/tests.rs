use super::*;
use proptest::prelude::*;

const TAGS: [&str; 3] = ["a", "b", "c"];
const MEMBERS: u64 = 5;

fn wants(text: &str) -> Wants {
    Wants::from_kept(&BTreeMap::from([("t".to_owned(), text.to_owned())]))
}

fn place() -> Place {
    (Topic::from_stored("t"), QueueId(0))
}

fn members(all: &[(u64, &str)]) -> BTreeMap<u64, Wants> {
    all.iter().map(|(id, text)| (*id, wants(text))).collect()
}

fn divided(all: &[(u64, &str)]) -> Cohorts {
    let group = Group::from_stored("g");
    let mut cohorts = Cohorts::new(&group, &members(&all[..1]));
    cohorts.update(&members(all), Timestamp(0), 1, &|_, _| Some(QueueOffset(0)));
    cohorts
}

#[test]
fn shares_go_to_those_who_want_most() {
    let check = |all: &[(u64, &str)], expected: &[(u64, &str)]| {
        let cohorts = divided(all);
        for (member, share) in expected {
            assert_eq!(cohorts.of(*member).unwrap().shares["t"].to_string(), *share, "{member} of {all:?}");
        }
    };
    check(&[(1, "a"), (2, "a||b")], &[(1, "||"), (2, "a||b")]);
    check(&[(1, "a"), (2, "b")], &[(1, "a"), (2, "b")]);
    check(&[(1, "a||c"), (2, "b||c")], &[(1, "a||c"), (2, "b")]);
    check(&[(1, "a"), (2, "*")], &[(1, "||"), (2, "*")]);
    // Two tags with one hash are two tags.
    check(&[(1, "Aa"), (2, "BB")], &[(1, "Aa"), (2, "BB")]);
}

#[test]
fn the_group_is_where_the_slowest_cohort_is() {
    let mut cohorts = divided(&[(1, "a"), (2, "b")]);
    let commit = |cohorts: &mut Cohorts, member, offset, known| {
        cohorts.commit(member, &place(), QueueOffset(offset), Some(QueueOffset(known)))
    };
    assert_eq!(commit(&mut cohorts, 1, 10, 0), Commit::Kept);
    assert_eq!(commit(&mut cohorts, 2, 4, 0), Commit::Group(QueueOffset(4)));
    assert_eq!(cohorts.line(1, &place()), Some(QueueOffset(10)));
    assert_eq!(commit(&mut cohorts, 2, 20, 4), Commit::Group(QueueOffset(10)));
}

#[test]
fn whoever_inherits_a_share_goes_back_for_it() {
    let mut cohorts = divided(&[(1, "a||b"), (2, "a")]);
    let Some(Ok(share)) = cohorts.pull(2, &place(), QueueOffset(0), None) else { panic!("a share") };
    assert!(!share.filter.wants(model::java_hash("a")));
    assert!(cohorts.hand(2, &place(), QueueOffset(50), share.epoch));
    cohorts.commit(1, &place(), QueueOffset(7), Some(QueueOffset(0)));
    assert!(cohorts.update(&members(&[(2, "a")]), Timestamp(1), 2, &|_, _| Some(QueueOffset(7))));
    // What the first had of b is wanted by nobody else: it stays until it comes back or is given up.
    assert_eq!(cohorts.kept().len(), 2);
    assert!(!cohorts.hand(2, &place(), QueueOffset(60), share.epoch), "a pull of before the change is in vain");
    assert!(cohorts.update(&members(&[(2, "a")]), Timestamp(700_000), 3, &|_, _| Some(QueueOffset(7))));
    assert!(matches!(cohorts.pull(2, &place(), QueueOffset(50), None), Some(Err(QueueOffset(7)))));
    assert!(matches!(cohorts.pull(2, &place(), QueueOffset(7), None), Some(Ok(_))));
    assert_eq!(cohorts.settled(Timestamp(700_001)), Some(1));
}

#[test]
fn an_absent_cohort_keeps_only_what_nobody_else_wants() {
    let mut cohorts = divided(&[(1, "*"), (2, "a")]);
    let Some(Ok(share)) = cohorts.pull(2, &place(), QueueOffset(0), None) else { panic!("a share") };
    cohorts.hand(2, &place(), QueueOffset(50), share.epoch);
    assert!(cohorts.update(&members(&[(2, "a")]), Timestamp(1), 2, &|_, _| Some(QueueOffset(7))));
    assert!(matches!(cohorts.pull(2, &place(), QueueOffset(50), None), Some(Err(QueueOffset(7)))));
    let Some(Ok(share)) = cohorts.pull(2, &place(), QueueOffset(7), None) else { panic!("a share") };
    assert!(share.filter.wants(model::java_hash("a")));
    assert_eq!(cohorts.commit(2, &place(), QueueOffset(60), Some(QueueOffset(7))), Commit::Kept);
}

#[test]
fn retries_go_back_to_who_wants_their_topic_and_tag() {
    let mut cohorts = divided(&[(1, "a"), (2, "b")]);
    let retry = (Topic::from_stored("%RETRY%g"), QueueId(0));
    let mut wanted = |member: u64, topic: &str, tag: &str| {
        let Some(Ok(share)) = cohorts.pull(member, &retry, QueueOffset(0), None) else { panic!("a share") };
        share.retries.unwrap().wants(topic, model::java_hash(tag))
    };
    assert!(wanted(1, "t", "a") && !wanted(2, "t", "a"));
    assert!(!wanted(1, "t", "b") && wanted(2, "t", "b"));
    assert!(wanted(1, "u", "b") && !wanted(2, "u", "b"), "what nobody wants any more goes to one of them");
}

/// What can happen to a group.
#[derive(Clone, Debug)]
enum Step {
    Join(u64, &'static str),
    Leave(u64),
    /// A member asks, and gets its answer only at its next step.
    Ask(u64),
    Answer(u64),
    Commit(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let member = 0..MEMBERS;
    let expression = proptest::sample::select(vec!["a", "b", "a||b", "b||c", "*"]);
    prop_oneof![
        1 => (member.clone(), expression).prop_map(|(member, text)| Step::Join(member, text)),
        1 => member.clone().prop_map(Step::Leave),
        4 => member.clone().prop_map(Step::Ask),
        4 => member.clone().prop_map(Step::Answer),
        3 => member.prop_map(Step::Commit),
    ]
}

#[derive(Default)]
struct Client {
    position: u64,
    in_hand: Vec<u64>,
    asked: Option<(u64, TagFilter, u64)>,
}

/// A group with one queue, whose message `n` has the tag `TAGS[n % 3]`.
struct Model {
    members: BTreeMap<u64, Wants>,
    clients: BTreeMap<u64, Client>,
    cohorts: Option<Cohorts>,
    offset: u64,
    epoch: u64,
    /// Messages that somebody wanted who was there while they were still before the group.
    owed: BTreeSet<u64>,
    consumed: BTreeSet<u64>,
}

const END: u64 = 30;

fn filter_of(wants: &Wants) -> TagFilter {
    wants.topics["t"].filter()
}

fn is_wanted(filter: &TagFilter, message: u64) -> bool {
    filter.wants(model::java_hash(TAGS[message as usize % 3]))
}

impl Model {
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<u64, Wants>)) {
        let before = self.members.clone();
        change(&mut self.members);
        self.clients.retain(|id, _| self.members.contains_key(id));
        let is_one = self.members.values().collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]);
        if self.cohorts.is_none() && !is_one {
            self.cohorts = Some(Cohorts::new(&Group::from_stored("g"), &before));
        }
        self.epoch += 1;
        let known = Some(QueueOffset(self.offset));
        if let Some(cohorts) = &mut self.cohorts {
            cohorts.update(&self.members, Timestamp(self.epoch as i64), self.epoch, &|_, _| known);
            if cohorts.settled(Timestamp(self.epoch as i64)).is_some() {
                self.cohorts = None;
            }
        }
        if self.members.is_empty() && self.cohorts.is_none() {
            // A group that left as one may come back with another wish: that is nobody's loss.
            self.owed.clear();
        }
        self.check_shares();
        for wants in self.members.values() {
            let filter = filter_of(wants);
            self.owed.extend((self.offset..END).filter(|message| is_wanted(&filter, *message)));
        }
        self.rebalance();
    }

    /// What somebody who is there wants is handed to one cohort that is there.
    fn check_shares(&self) {
        let Some(cohorts) = &self.cohorts else { return };
        for tag in TAGS {
            let hash = model::java_hash(tag);
            let wanted = self.members.values().any(|wants| filter_of(wants).wants(hash));
            let present = cohorts.all.iter().filter(|cohort| !cohort.members.is_empty());
            let shares = present.filter(|cohort| cohort.shares["t"].filter().wants(hash)).count();
            assert_eq!(shares, usize::from(wanted), "cohorts that are handed {tag}");
        }
    }

    /// The member of each cohort that has the queue: its first. A new owner starts from the offset that it is told.
    fn rebalance(&mut self) {
        let is_owner = |id: &u64| match &self.cohorts {
            Some(cohorts) => cohorts.peers(*id).is_some_and(|peers| peers.first() == Some(id)),
            None => self.members.keys().next() == Some(id),
        };
        let owners: Vec<u64> = self.members.keys().copied().filter(is_owner).collect();
        self.clients.retain(|id, _| owners.contains(id));
        for id in owners {
            let line = self.cohorts.as_ref().and_then(|cohorts| cohorts.line(id, &place()));
            let position = line.map_or(self.offset, |line| line.0);
            self.clients.entry(id).or_insert_with(|| Client { position, ..Client::default() });
        }
    }

    fn ask(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let at = QueueOffset(client.position);
        match self.cohorts.as_mut().and_then(|cohorts| cohorts.pull(id, &place(), at, Some(QueueOffset(self.offset)))) {
            Some(Err(to)) => {
                client.position = to.0;
                client.in_hand.clear();
            }
            Some(Ok(share)) => client.asked = Some((at.0, share.filter, share.epoch)),
            None => client.asked = Some((at.0, filter_of(&self.members[&id]), 0)),
        }
    }

    fn answer(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Some((at, filter, epoch)) = client.asked.take() else { return };
        let next = (at + 4).min(END);
        if epoch > 0
            && !self.cohorts.as_mut().is_some_and(|cohorts| cohorts.hand(id, &place(), QueueOffset(next), epoch))
        {
            return;
        }
        client.in_hand.extend((at..next).filter(|message| is_wanted(&filter, *message)));
        client.position = next;
    }

    fn commit(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let at = QueueOffset(client.position);
        self.consumed.extend(client.in_hand.drain(..));
        let known = Some(QueueOffset(self.offset));
        match self.cohorts.as_mut().map(|cohorts| cohorts.commit(id, &place(), at, known)) {
            None => self.offset = self.offset.max(at.0),
            Some(Commit::Group(offset)) => {
                assert!(offset.0 > self.offset, "the group's offset never moves back");
                self.offset = offset.0;
            }
            Some(Commit::Kept) => {}
        }
    }

    /// Everybody consumes to the end.
    fn drain(&mut self) {
        for _ in 0..4 * END {
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                self.ask(id);
                self.answer(id);
                self.commit(id);
            }
        }
    }
}

proptest! {
    #[test]
    fn whoever_asked_for_a_message_or_another_who_did_consumes_it(steps in proptest::collection::vec(step(), 0..60)) {
        let mut model = Model {
            members: BTreeMap::new(), clients: BTreeMap::new(), cohorts: None, offset: 0, epoch: 0,
            owed: BTreeSet::new(), consumed: BTreeSet::new(),
        };
        for step in steps {
            match step {
                Step::Join(id, text) => model.change(|members| { members.entry(id).or_insert_with(|| wants(text)); }),
                Step::Leave(id) => model.change(|members| { members.remove(&id); }),
                Step::Ask(id) => model.ask(id),
                Step::Answer(id) => model.answer(id),
                Step::Commit(id) => model.commit(id),
            }
        }
        // Those who are there in the end are still owed what they, or others with the same wish, were owed.
        for (id, text) in [(100, "a"), (101, "b"), (102, "b||c"), (103, "a||b"), (104, "*")] {
            model.change(|members| { members.insert(id, wants(text)); });
        }
        model.drain();
        let lost: Vec<_> = model.owed.difference(&model.consumed).collect();
        prop_assert!(lost.is_empty(), "lost {lost:?}, the group is at {}", model.offset);
        prop_assert_eq!(model.offset, END);
    }
}
