//! Pulls of divided groups: each cohort reads its share. See [`crate::group::cohort`].

use super::{Filter, PullOutcome, Pulled, Reader};
use model::record::Record;
use model::{QueueId, QueueOffset, Topic, properties};
use store::Entry;

impl Reader {
    fn place(&self) -> (Topic, QueueId) {
        (self.queue.topic().clone(), self.queue.id())
    }

    /// Takes the member's share if its group is divided; or tells where the member must go on.
    pub(super) fn enter(&mut self, filter: &Filter<'_>) -> Option<QueueOffset> {
        if !self.broker.groups().is_any_divided() {
            return None;
        }
        if let Filter::Given { .. } = filter
            && !self.gives_its_subscription()
        {
            return None;
        }
        let known = || self.broker.metadata().offset(&self.group, self.queue.topic(), self.queue.id());
        match self.broker.groups().pull(&self.group, self.member, &self.place(), self.from, known)? {
            Err(to) => Some(to),
            Ok(share) => {
                self.share = Some(share);
                None
            }
        }
    }

    /// Whether the filter given with the pull is what the member subscribed to: then it is no reader on its own account.
    fn gives_its_subscription(&self) -> bool {
        let view = self.broker.groups().get(self.group.as_str());
        let known = view.and_then(|view| view.subscription_of(self.member, self.queue.topic().as_str()));
        known.is_some_and(|known| known.filter == self.filter.filter)
    }

    /// Remembers how far the member was handed messages; false if its share changed meanwhile.
    pub(super) fn hand(&self, pulled: &Pulled) -> bool {
        let Some(share) = &self.share else { return true };
        self.broker.groups().hand(&self.group, self.member, &self.place(), pulled.next, share.epoch)
    }

    /// Whether the group was divided while the pull waited: then the member may have a smaller share.
    pub(super) fn is_outdated(&self) -> bool {
        !self.was_divided && self.broker.groups().is_divided(self.group.as_str())
    }

    /// The answer to a pull that must be asked again from where it began.
    pub(super) fn in_vain(&self) -> Pulled {
        self.pulled(PullOutcome::NotFound, self.asked, self.queue.min_offset(), self.queue.max_offset())
    }

    pub(super) fn wants(&self, entry: &Entry) -> bool {
        let Some(share) = &self.share else { return self.filter.filter.wants(entry.tag_hash) };
        let Some(retries) = &share.retries else { return share.filter.wants(entry.tag_hash) };
        // What cannot be read is not passed over here: handing it out reports the damage.
        let Ok(bytes) = self.broker.store().read_at(entry.physical) else { return true };
        let Ok(record) = Record::parse(&bytes) else { return true };
        let origin = record.property(properties::RETRY_TOPIC).unwrap_or(record.topic);
        retries.wants(origin, entry.tag_hash)
    }
}
