//! What follows when members of groups come, go, or change their minds.

use super::cohort::CohortView;
use super::wants::Interest;
use super::{Changes, Division, GroupView, Moment};
use crate::Broker;
use cluster::metadata::Change;
use model::{Group, QueueId, Topic};
use std::net::IpAddr;
use std::sync::Arc;

impl Broker {
    /// Lets the groups decide with what is known now.
    pub(crate) fn at_this_moment<T>(&self, decide: impl FnOnce(&Moment<'_>) -> T) -> T {
        let known = |group: &Group, topic: &Topic, queue: QueueId| self.metadata().offset(group, topic, queue);
        decide(&Moment { now: self.steady_now(), known: &known })
    }

    /// Tells everybody concerned; true if there was anything to tell.
    pub(crate) fn members_changed(&self, changes: Changes) -> bool {
        let changed = !changes.groups.is_empty();
        for (group, client_id) in &changes.gone {
            self.locks().lock().gone(group, client_id);
        }
        self.divisions_changed(changes.divisions);
        for (group, view) in changes.groups {
            self.tell(&group, &view);
        }
        changed
    }

    fn tell(&self, group: &Group, view: &GroupView) {
        if self.notifies(group) {
            view.notify(group);
        }
    }

    /// Takes out members that have been silent for too long, and what only they held.
    pub(crate) fn expire_members(&self) {
        let changes = self.at_this_moment(|moment| self.groups().expire(moment));
        self.members_changed(changes);
        let divisions = self.at_this_moment(|moment| self.groups().review(moment));
        self.divisions_changed(divisions);
    }

    fn divisions_changed(&self, divisions: Vec<Division>) {
        for division in divisions {
            self.report(&division);
            if let Some(cohort) = division.settled {
                self.locks().lock().settle(&division.group, cohort);
            }
            // Also if the metadata says the same: what was proposed before may not have reached it yet.
            let change = Change::GroupDivided { group: division.group.clone(), wants: division.kept };
            let (proposal, group) = (self.metadata().propose(change), division.group.clone());
            rt::spawn(async move {
                if let Err(error) = proposal.await {
                    tracing::warn!(%group, %error, "whether the members of a group want different things is not kept over a restart");
                }
            });
            // Pulls that wait must look at their shares again, and members at whom they share queues with.
            self.resets_pressed().send_modify(|count| *count += 1);
            if let Some(view) = self.groups().get(division.group.as_str()) {
                self.tell(&division.group, &view);
            }
        }
    }

    fn report(&self, division: &Division) {
        let group = &division.group;
        if division.settled.is_some() {
            tracing::info!(%group, "the members of the group want the same again");
            return;
        }
        let view = self.groups().get(group.as_str());
        let texts: Vec<String> = division.cohorts.iter().map(|cohort| describe(cohort, view.as_ref())).collect();
        tracing::warn!(
            %group, members = texts.join("; "),
            "the members of the group want different things; each gets its own share, nothing is lost: give all of them the same \
             subscription, or groups of their own"
        );
    }

    /// The cohorts of a group; empty if its members want the same.
    #[must_use]
    pub fn cohorts(&self, group: &str) -> Vec<CohortView> {
        self.groups().cohorts(group)
    }

    /// The groups whose members want different things.
    #[must_use]
    pub fn divided_groups(&self) -> Vec<Group> {
        self.groups().divided()
    }

    /// The member of a group for which a connection speaks. Clients with a VIP channel send heartbeats and pulls over one
    /// connection, and all else over another: that is known by its address, if all members there want the same.
    #[must_use]
    pub fn member_at(&self, group: &str, connection: u64, from: IpAddr) -> u64 {
        self.groups().member_at(group, connection, from)
    }

    /// The members with which a connection shares the queues of a group; for a connection that is no member, all.
    #[must_use]
    pub fn peers(&self, group: &str, member: u64) -> Vec<String> {
        self.groups().peers(group, member)
    }
}

/// `client-1, client-2 want t: A||B and get t: A`.
fn describe(cohort: &CohortView, view: Option<&Arc<GroupView>>) -> String {
    let shares: Vec<String> = cohort.shares.iter().map(|(topic, share)| format!("{topic}: {share}")).collect();
    let idle = cohort.shares.values().all(Interest::is_nothing);
    let gets = if idle { "get nothing, others want it too".to_owned() } else { format!("get {}", shares.join(", ")) };
    format!("{} want {} and {gets}", cohort.names(view.map(Arc::as_ref)), cohort.wants)
}

impl CohortView {
    /// Its members by name.
    #[must_use]
    pub fn names(&self, view: Option<&GroupView>) -> String {
        let member = |id: &u64| view.and_then(|view| view.members.get(id)).map(|member| member.client_id.clone());
        let names: Vec<String> = self.members.iter().filter_map(member).collect();
        if names.is_empty() { "members that left".to_owned() } else { names.join(", ") }
    }
}
