//! What operators ask: settings, progress, lag, resets.

mod attributes;

use crate::administration::{not_stored, to_its_end};
use crate::client::{Ask, AskError, Notice, OffsetsReset};
use crate::group::{GroupView, Heartbeat, Member, ProducerView};
use crate::{AdminError, Broker, TopicState};
use bytes::Bytes;
use cluster::metadata::Change;
use model::{Group, GroupConfig, QUEUES_MAX, QueueId, QueueOffset, Topic, TopicConfig, system};
use rt::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use store::Boundary;

/// How long a client may take to answer a question.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long members may take to follow a reset by themselves.
const FOLLOW_WITHIN: Duration = Duration::from_secs(3);

/// Whether a deleted group's offsets go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupDeletion {
    /// They stay for a group of the same name.
    KeepOffsets,
    /// They are forgotten.
    ForgetOffsets,
}

/// What a queue holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueProgress {
    /// Queue.
    pub queue: QueueId,
    /// Oldest readable offset.
    pub min: QueueOffset,
    /// End of the queue.
    pub max: QueueOffset,
    /// When the newest message was stored, ms since the epoch; 0 if there is none.
    pub last_timestamp: i64,
}

/// How far a group is in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLag {
    /// Topic.
    pub topic: Topic,
    /// Queue.
    pub queue: QueueId,
    /// End of the queue.
    pub broker_offset: QueueOffset,
    /// Next offset that the group will read.
    pub consumer_offset: QueueOffset,
    /// Behind what its members were handed; what lies before it and was not consumed is in their hands. Kept in memory for
    /// an hour without reads.
    pub handed_offset: QueueOffset,
    /// When the last message before it was stored, ms since the epoch; 0 if unknown.
    pub last_timestamp: i64,
}

impl Broker {
    /// What [`Broker::put_topic`] would refuse.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn check_topic_config(&self, config: &TopicConfig) -> Result<(), AdminError> {
        Topic::new(config.topic.as_str())?;
        let name = config.topic.as_str();
        if system::is_system_topic(name) || system::is_closed_to_clients(name) {
            return Err(AdminError::SystemTopic { topic: name.to_owned() });
        }
        for (what, queues) in [("readQueueNums", config.read_queues), ("writeQueueNums", config.write_queues)] {
            if queues == 0 || queues > QUEUES_MAX {
                return Err(AdminError::Range {
                    what,
                    value: queues.to_string(),
                    allowed: format!("1 to {QUEUES_MAX}"),
                });
            }
        }
        if config.permission > 15 {
            let allowed = "sums of 8 (priority), 4 (read), 2 (write) and 1 (inherit)".to_owned();
            return Err(AdminError::Range { what: "perm", value: config.permission.to_string(), allowed });
        }
        attributes::check_topic(&config.attributes)
    }

    /// What [`Broker::put_group`] would refuse.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn check_group_config(&self, config: &GroupConfig) -> Result<(), AdminError> {
        Group::new(config.group.as_str())?;
        attributes::check_group(&config.attributes)
    }

    /// Creates a group or changes its settings; durable on return.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn put_group(self: &Arc<Self>, config: GroupConfig) -> Result<(), AdminError> {
        self.check_group_config(&config)?;
        self.change_group(config.group.clone(), Change::GroupSet(config)).await
    }

    async fn change_group(self: &Arc<Self>, group: Group, change: Change) -> Result<(), AdminError> {
        let broker = Arc::clone(self);
        to_its_end(async move {
            let _changing = broker.changing().lock().await;
            let is_forgotten = matches!(change, Change::GroupForgotten(_));
            let changed = broker.metadata().propose(change).await.map(drop).map_err(not_stored);
            if is_forgotten && changed.is_ok() {
                broker.resets().lock().forget(|key| key.0 == group);
            }
            broker.forget_group_quota(&group);
            changed
        })
        .await
    }

    /// Deletes a group; durable on return.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn delete_group(self: &Arc<Self>, name: &str, deletion: GroupDeletion) -> Result<(), AdminError> {
        let group = Group::from_stored(name);
        let change = match deletion {
            GroupDeletion::KeepOffsets => Change::GroupDeleted(group.clone()),
            GroupDeletion::ForgetOffsets => Change::GroupForgotten(group.clone()),
        };
        self.change_group(group, change).await
    }

    /// Takes a producer's heartbeat.
    pub fn producer_seen(&self, group: &str, member: Member) {
        self.groups().producer_seen(Group::from_stored(group), member);
    }

    /// Takes a consumer's heartbeat; true if the group's members or subscriptions changed. Creates the group and its
    /// retry topic where they are missing.
    ///
    /// # Errors
    /// [`AdminError::GroupNotFound`] if the group does not exist and may not be created.
    pub async fn consumer_seen(self: &Arc<Self>, beat: Heartbeat, member: Member) -> Result<bool, AdminError> {
        let name = beat.group.as_str();
        let config = self.group_config_or_create(name);
        let config = config.ok_or_else(|| AdminError::GroupNotFound { group: name.to_owned() })?;
        // Of broadcasting groups too: tools find the brokers of a group by the route of its retry topic.
        if config.retry_queues > 0 {
            let created = self.retry_topic(&beat.group, config.retry_queues).await;
            created.map_err(|error| AdminError::Metadata(error.to_string()))?;
        }
        let changes = self.at_this_moment(|moment| self.groups().consumer_seen(beat, member, moment));
        Ok(self.members_changed(changes))
    }

    /// Refreshes a member that left its unchanged subscriptions out; false if it must send them.
    pub fn consumer_refreshed(&self, group: &str, channel: u64) -> bool {
        self.groups().consumer_refreshed(group, channel, self.steady_now())
    }

    /// A client leaves the groups that it names.
    pub fn client_left(&self, channel: u64, producer: Option<&str>, consumer: Option<&str>) {
        let changes = self.at_this_moment(|moment| self.groups().leave(channel, producer, consumer, moment));
        self.members_changed(changes);
    }

    /// A client's connection is closed.
    pub fn channel_closed(&self, channel: u64) {
        let changes = self.at_this_moment(|moment| self.groups().closed(channel, moment));
        self.members_changed(changes);
    }

    /// The members of a consumer group; `None` if it has none.
    #[must_use]
    pub fn consumers(&self, group: &str) -> Option<Arc<GroupView>> {
        self.groups().get(group)
    }

    /// All consumer groups that have members.
    #[must_use]
    pub fn all_consumers(&self) -> Vec<(Group, Arc<GroupView>)> {
        self.groups().consumers()
    }

    /// The producers of a group; `None` if it has none.
    #[must_use]
    pub fn producers(&self, group: &str) -> Option<ProducerView> {
        self.groups().producers(group)
    }

    /// All producer groups that have members.
    #[must_use]
    pub fn all_producers(&self) -> Vec<(Group, ProducerView)> {
        self.groups().all_producers()
    }

    /// What the queues of a topic hold. May block on the disk.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn topic_progress(&self, name: &str) -> Result<Vec<QueueProgress>, AdminError> {
        let topic = self.topic(name).ok_or_else(|| AdminError::TopicNotFound { topic: name.to_owned() })?;
        let progress = topic.queues().iter().map(|queue| {
            let (min, max) = (queue.min_offset(), queue.max_offset());
            let last = max.0.checked_sub(1).filter(|last| *last >= min.0).map(QueueOffset);
            let last_timestamp = last.map_or(Ok(0), |last| timestamp_at(queue, last))?;
            Ok(QueueProgress { queue: queue.id(), min, max, last_timestamp })
        });
        progress.collect()
    }

    /// The topics that a group reads: those it has offsets in and those its members subscribe to. Members that broadcast
    /// keep their offsets themselves.
    #[must_use]
    pub fn topics_of_group(&self, group: &Group) -> Vec<Topic> {
        let mut topics: Vec<Topic> =
            self.metadata().offsets_of_group(group).into_iter().map(|(topic, ..)| topic).collect();
        let view = self.consumers(group.as_str()).filter(|view| view.model == crate::MessageModel::Clustering);
        topics.extend(view.into_iter().flat_map(|view| view.topics()));
        topics.sort();
        topics.dedup();
        topics.retain(|topic| self.topic(topic.as_str()).is_some());
        topics
    }

    /// The groups that read a topic.
    #[must_use]
    pub fn groups_of_topic(&self, topic: &Topic) -> Vec<Group> {
        let offsets = self.metadata().offsets_of_topic(topic);
        let mut groups: Vec<Group> = offsets.into_iter().map(|(group, ..)| group).collect();
        let subscribed =
            self.all_consumers().into_iter().filter(|(_, view)| view.subscription(topic.as_str()).is_some());
        groups.extend(subscribed.map(|(group, _)| group));
        groups.sort();
        groups.dedup();
        groups
    }

    /// How far a group is, queue by queue; in one topic or in all that it reads. May block on the disk.
    ///
    /// # Errors
    /// [`AdminError`].
    pub fn lag(&self, group: &Group, only: Option<&Topic>) -> Result<Vec<QueueLag>, AdminError> {
        let topics = match only {
            Some(topic) => vec![topic.clone()],
            None => self.topics_of_group(group),
        };
        let mut lags = Vec::new();
        for topic in topics {
            let Some(state) = self.topic(topic.as_str()) else { continue };
            for queue in state.queues().iter().take(state.config.read_queues as usize) {
                let known = self.metadata().offset(group, &topic, queue.id());
                // A queue of a topic that was deleted and made again does not begin at 0.
                let consumer_offset = known.unwrap_or_else(|| queue.min_offset());
                let before = consumer_offset.0.checked_sub(1).map(QueueOffset);
                let readable = before.filter(|at| *at >= queue.min_offset() && *at < queue.max_offset());
                let last_timestamp = readable.map_or(Ok(0), |at| timestamp_at(queue, at))?;
                let broker_offset = queue.max_offset();
                let handed = self.traffic().handed(group, &topic, queue.id());
                lags.push(QueueLag {
                    topic: topic.clone(),
                    queue: queue.id(),
                    broker_offset,
                    consumer_offset,
                    handed_offset: handed.map_or(consumer_offset, |at| at.min(broker_offset).max(consumer_offset)),
                    last_timestamp,
                });
            }
        }
        Ok(lags)
    }

    /// Resets a group to a time (ms since the epoch; −1: the end) in one topic, or in one queue of it to an offset.
    /// Offsets move forward past the time only if `force`. Members follow with their
    /// next pull. Durable on return.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn reset_offsets(
        self: &Arc<Self>,
        group: &Group,
        name: &str,
        only: Option<(i32, Option<i64>)>,
        timestamp: i64,
        force: bool,
    ) -> Result<Vec<(QueueId, QueueOffset)>, AdminError> {
        let topic = self.topic(name).ok_or_else(|| AdminError::TopicNotFound { topic: name.to_owned() })?;
        if self.group_config(group).is_none() && self.metadata().offsets_of_group(group).is_empty() {
            // A mistyped name must not look like a reset that worked.
            return Err(AdminError::GroupNotFound { group: group.to_string() });
        }
        let (broker, state, of_group) = (Arc::clone(self), Arc::clone(&topic), group.clone());
        let look = move || broker.reset_targets(&of_group, &state, only, timestamp, force);
        let offsets = self.host().run_blocking(look).await?;
        let (broker, group, topic) = (Arc::clone(self), group.clone(), topic.config.topic.clone());
        to_its_end(async move {
            let _changing = broker.changing().lock().await;
            broker.store_reset(&group, &topic, &offsets, timestamp).await?;
            rt::spawn(Arc::clone(&broker).insist(group, topic, timestamp, offsets.clone()));
            Ok(offsets)
        })
        .await
    }

    async fn store_reset(
        &self,
        group: &Group,
        topic: &Topic,
        offsets: &[(QueueId, QueueOffset)],
        timestamp: i64,
    ) -> Result<(), AdminError> {
        let keys: Vec<_> = offsets.iter().map(|(queue, _)| (group.clone(), topic.clone(), *queue)).collect();
        self.resets().lock().begin(&keys);
        let entries = offsets.iter().map(|(queue, offset)| (group.clone(), topic.clone(), *queue, *offset));
        let reason = format!("reset to time {timestamp} by an operator");
        let reset = Change::OffsetsReset { reason, entries: entries.collect(), pressed: true };
        let stored = self.metadata().propose(reset).await;
        let mut resets = self.resets().lock();
        resets.stored(&keys);
        stored.map_err(not_stored)?;
        let now = self.steady_now();
        for (key, (queue, offset)) in keys.into_iter().zip(offsets) {
            resets.press(key, *offset, now);
            self.groups().reset(group, &(topic.clone(), *queue), *offset, now);
            self.traffic().forget_handed(group, topic, *queue);
        }
        drop(resets);
        self.resets_pressed().send_modify(|count| *count += 1);
        Ok(())
    }

    /// Where a reset sends a group, queue by queue. May block on the disk.
    fn reset_targets(
        &self,
        group: &Group,
        topic: &TopicState,
        only: Option<(i32, Option<i64>)>,
        timestamp: i64,
        force: bool,
    ) -> Result<Vec<(QueueId, QueueOffset)>, AdminError> {
        let mut offsets = Vec::new();
        for queue in topic.queues().iter().take(topic.config.read_queues as usize) {
            let wanted = match only {
                Some((id, _)) if id >= 0 && id as u32 != queue.id().0 => continue,
                Some((_, Some(offset))) if offset >= 0 => {
                    let (asked, min, max) = (QueueOffset(offset as u64), queue.min_offset(), queue.max_offset());
                    if asked > max {
                        let (value, allowed) = (asked.to_string(), format!("{min} to {max}"));
                        return Err(AdminError::Range { what: "offset", value, allowed });
                    }
                    asked.max(min)
                }
                _ if timestamp < 0 => queue.max_offset(),
                _ => queue.offset_at(timestamp, Boundary::Lower)?,
            };
            let known = self.metadata().offset(group, &topic.config.topic, queue.id());
            let offset = if force { wanted } else { known.map_or(wanted, |known| known.min(wanted)) };
            offsets.push((queue.id(), offset));
        }
        match only {
            Some((id, _)) if offsets.is_empty() => {
                let allowed = format!("0 to {}", topic.config.read_queues.saturating_sub(1));
                Err(AdminError::Range { what: "queueId", value: id.to_string(), allowed })
            }
            _ => Ok(offsets),
        }
    }

    /// Members follow a reset with their next pull. One that pulls nothing, because it has more in hand than it may, is told.
    async fn insist(
        self: Arc<Self>,
        group: Group,
        topic: Topic,
        timestamp: i64,
        mut offsets: Vec<(QueueId, QueueOffset)>,
    ) {
        rt::sleep(FOLLOW_WITHIN).await;
        {
            let resets = self.resets().lock();
            offsets.retain(|(queue, _)| resets.is_pressed(&(group.clone(), topic.clone(), *queue)));
        }
        let Some(view) = self.consumers(group.as_str()) else { return };
        if offsets.is_empty() {
            return;
        }
        for member in view.members.values() {
            let reset = OffsetsReset {
                group: group.clone(),
                topic: topic.clone(),
                broker: self.options().broker_name.clone(),
                timestamp,
                offsets: offsets.clone(),
                language: member.language,
            };
            member.channel.notify(&Notice::OffsetsReset(Box::new(reset)));
        }
    }

    /// Gives a group the offsets of another one in some topics, and creates it if that is allowed; durable on return. Resets
    /// that the group has not followed yet are over where it is given an offset.
    ///
    /// # Errors
    /// [`AdminError::GroupNotFound`], [`AdminError::Metadata`].
    pub async fn clone_offsets(
        self: &Arc<Self>,
        source: &Group,
        target: &Group,
        topics: &[Topic],
    ) -> Result<(), AdminError> {
        let missing = |group: &Group| AdminError::GroupNotFound { group: group.to_string() };
        self.group_config_or_create(target.as_str()).ok_or_else(|| missing(target))?;
        let offsets = self.metadata().offsets_of_group(source).into_iter().filter(|(topic, ..)| topics.contains(topic));
        let entries: Vec<_> = offsets.map(|(topic, queue, offset)| (target.clone(), topic, queue, offset)).collect();
        let keys: HashSet<_> =
            entries.iter().map(|(group, topic, queue, _)| (group.clone(), topic.clone(), *queue)).collect();
        let reset = Change::OffsetsReset { reason: format!("cloned from group {source}"), entries, pressed: false };
        let broker = Arc::clone(self);
        to_its_end(async move {
            let _changing = broker.changing().lock().await;
            broker.metadata().propose(reset).await.map_err(not_stored)?;
            broker.resets().lock().forget(|key| keys.contains(key));
            Ok(())
        })
        .await
    }

    /// Asks one member of a group.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask_member(&self, group: &str, client: &str, ask: Ask) -> Result<Bytes, AskError> {
        let not_online = || AskError::NotOnline { group: group.to_owned(), client: client.to_owned() };
        let view = self.consumers(group).ok_or_else(not_online)?;
        let member = view.members.values().find(|member| member.client_id == client).ok_or_else(not_online)?;
        member.channel.ask(ask, ASK_TIMEOUT).await
    }

    /// The time by the broker's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.host().clock.now()
    }
}

fn timestamp_at(queue: &store::Queue, offset: QueueOffset) -> Result<i64, AdminError> {
    let mut found = Vec::new();
    queue.entries(offset, 1, &mut found)?;
    Ok(found.first().map_or(0, |entry| entry.store_timestamp))
}
