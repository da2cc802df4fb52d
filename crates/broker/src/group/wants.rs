//! What a member of a group wants, so that two members can be compared.

use super::{MessageModel, Subscription};
use crate::TagFilter;
use model::{Group, Topic, java_hash};
use std::collections::{BTreeMap, BTreeSet};

/// What a member asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Whether each member gets everything.
    pub(crate) broadcast: bool,
    /// Its topics, without the group's retry topic, which all have.
    pub(crate) topics: BTreeMap<String, Interest>,
}

/// What is wanted of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    /// All of it.
    All,
    /// Messages with one of these tags.
    Tags(BTreeSet<String>),
    /// By an expression that this broker does not serve.
    Unserved(String),
}

impl Wants {
    /// What a member of a group said in its heartbeat.
    pub(crate) fn of<'a>(
        group: &Group,
        model: MessageModel,
        subscriptions: impl Iterator<Item = &'a Subscription>,
    ) -> Self {
        let retry = Topic::retry_of(group);
        let of_topics = subscriptions.filter(|subscription| subscription.topic != retry.as_str());
        let topics = of_topics.map(|subscription| {
            let interest = match &subscription.unsupported {
                Some(_) => Interest::Unserved(subscription.expression.clone()),
                None => Interest::of(&subscription.expression),
            };
            (subscription.topic.clone(), interest)
        });
        Self { broadcast: model == MessageModel::Broadcasting, topics: topics.collect() }
    }

    /// Its topics with what it wants of each.
    #[must_use]
    pub fn topics(&self) -> &BTreeMap<String, Interest> {
        &self.topics
    }

    /// Whether the queues are shared among members.
    pub(crate) fn is_shared(&self) -> bool {
        !self.broadcast && !self.topics.is_empty()
    }

    pub(crate) fn from_kept(topics: &BTreeMap<String, String>) -> Self {
        let topics = topics.iter().map(|(topic, expression)| (topic.clone(), Interest::of(expression)));
        Self { broadcast: false, topics: topics.collect() }
    }

    pub(crate) fn to_kept(&self) -> BTreeMap<String, String> {
        self.topics.iter().map(|(topic, interest)| (topic.clone(), interest.to_string())).collect()
    }
}

impl std::fmt::Display for Wants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.broadcast {
            f.write_str("broadcast ")?;
        }
        if self.topics.is_empty() {
            return f.write_str("nothing by subscription");
        }
        for (at, (topic, interest)) in self.topics.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            write!(f, "{separator}{topic}: {interest}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Interest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Tags(tags) if tags.is_empty() => f.write_str("||"),
            Self::Tags(tags) => f.write_str(&tags.iter().map(String::as_str).collect::<Vec<_>>().join("||")),
            Self::Unserved(expression) => f.write_str(expression),
        }
    }
}

impl Interest {
    fn of(expression: &str) -> Self {
        let expression = expression.trim();
        if expression.is_empty() || expression == "*" {
            return Self::All;
        }
        Self::Tags(expression.split("||").map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
    }

    /// Who wants more comes first when shares are given.
    pub(crate) fn breadth(&self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Tags(tags) => tags.len(),
            Self::Unserved(_) => 0,
        }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.breadth() == 0
    }

    /// What is left when others have taken theirs. Tags are compared as texts: two with the same hash are different tags.
    pub(crate) fn without(&self, taken: &[Self]) -> Self {
        let nothing = Self::Tags(BTreeSet::new());
        if taken.contains(&Self::All) {
            return nothing;
        }
        match self {
            Self::Tags(tags) => {
                let is_taken = |tag: &String| {
                    taken.iter().any(|other| matches!(other, Self::Tags(others) if others.contains(tag)))
                };
                Self::Tags(tags.iter().filter(|tag| !is_taken(tag)).cloned().collect())
            }
            // Nobody has more than all, so nobody has taken anything.
            Self::All => Self::All,
            Self::Unserved(_) => nothing,
        }
    }

    /// Whether others together want all of this.
    pub(crate) fn is_covered_by(&self, others: &[&Self]) -> bool {
        if others.contains(&&Self::All) {
            return true;
        }
        match self {
            Self::All => false,
            Self::Unserved(_) => true,
            Self::Tags(tags) => tags
                .iter()
                .all(|tag| others.iter().any(|other| matches!(other, Self::Tags(others) if others.contains(tag)))),
        }
    }

    /// As a filter on the hashes of tags.
    pub(crate) fn filter(&self) -> TagFilter {
        match self {
            Self::All => TagFilter::All,
            Self::Tags(tags) => {
                let mut hashes: Vec<i32> = tags.iter().map(|tag| java_hash(tag)).collect();
                hashes.sort_unstable();
                hashes.dedup();
                TagFilter::Hashes(hashes)
            }
            Self::Unserved(_) => TagFilter::Hashes(Vec::new()),
        }
    }
}
