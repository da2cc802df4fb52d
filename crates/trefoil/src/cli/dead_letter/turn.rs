//! The turn to resend a group's dead letters.
//!
//! Looking whether a dead letter was resent, and sending it, are two requests: two commands at once would both look, then
//! both send. So a command holds a lock at each broker, the kind by which orderly consumers keep each other off, which
//! brokers of Apache RocketMQ have too. A lock that is not renewed ends after a minute at most.

use super::read::{DeadLetters, Letter};
use crate::cli::remote::{Cluster, Master};
use anyhow::bail;
use std::time::Duration;
use wire::remoting::RequestCode;
use wire::remoting::body::{LockBatch, LockBatchAnswer, MessageQueue};
use wire::remoting::loose_json::{Dialect, to_vec};

/// The group whose members are commands that resend.
const GROUP: &str = "CLI_DEAD_LETTER_RESEND";
/// A lock older than this is renewed before the next dead letter is resent; brokers let one go after a minute.
const RENEW_AFTER: Duration = Duration::from_secs(15);
/// How long a broker may take until it finds what it has just stored, in tries.
const SEEN_TRIES: u32 = 50;
const SEEN_PAUSE: Duration = Duration::from_millis(100);

/// A lock on the dead letters of one broker.
struct Lock<'a> {
    master: &'a Master,
    body: Vec<u8>,
    renewed: Duration,
    /// What was resent last at this broker.
    last: Option<Letter>,
}

pub(super) struct Turn<'a> {
    dead: &'a DeadLetters<'a>,
    locks: Vec<Lock<'a>>,
}

impl<'a> Turn<'a> {
    /// Takes the locks; if another command has one, none is left taken.
    pub(super) async fn take(dead: &'a DeadLetters<'a>) -> anyhow::Result<Self> {
        let client_id = format!("trefoil-{:016x}", dead.cluster.random());
        let mut turn = Self { dead, locks: Vec::new() };
        for master in dead.masters() {
            let queue = MessageQueue { topic: dead.topic().to_owned(), broker_name: master.name.clone(), queue_id: 0 };
            let (consumer_group, client_id) = (GROUP.to_owned(), client_id.clone());
            let ask = LockBatch { consumer_group, client_id, only_this_broker: false, mq_set: [queue].into() };
            let body = to_vec(&ask, Dialect::Strict);
            let renewed = dead.cluster.monotonic();
            if let Err(error) = lock(dead.cluster, master, &body).await {
                turn.give_back().await;
                return Err(error);
            }
            turn.locks.push(Lock { master, body, renewed, last: None });
        }
        Ok(turn)
    }

    /// Makes sure that it is still this command's turn.
    pub(super) async fn hold(&mut self) -> anyhow::Result<()> {
        let cluster = self.dead.cluster;
        for held in &mut self.locks {
            let now = cluster.monotonic();
            if now.saturating_sub(held.renewed) > RENEW_AFTER {
                lock(cluster, held.master, &held.body).await?;
                held.renewed = now;
            }
        }
        Ok(())
    }

    /// Remembers what was resent.
    pub(super) fn resent(&mut self, letter: Letter) {
        if let Some(held) = self.locks.iter_mut().find(|held| held.master.addr == letter.addr) {
            held.last = Some(letter);
        }
    }

    /// Ends the turn once the next command can see what was resent: indexes follow the log.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for last in self.locks.iter().filter_map(|held| held.last.as_ref()) {
            for _ in 0..SEEN_TRIES {
                if self.dead.resent(last).await?.is_some() {
                    break;
                }
                rt::sleep(SEEN_PAUSE).await;
            }
        }
        self.give_back().await;
        Ok(())
    }

    async fn give_back(self) {
        for held in self.locks {
            let given =
                self.dead.cluster.ask(&held.master.addr, RequestCode::UNLOCK_BATCH_MQ, |_| {}, &held.body).await;
            if let Err(error) = given {
                eprintln!("the lock at {} is not given back, and ends within a minute: {error:#}", held.master.name);
            }
        }
    }
}

async fn lock(cluster: &Cluster, master: &Master, body: &[u8]) -> anyhow::Result<()> {
    let answer = cluster.ask(&master.addr, RequestCode::LOCK_BATCH_MQ, |_| {}, body).await?;
    let answer: LockBatchAnswer = answer.json()?;
    if answer.lock_ok_mq_set.is_empty() {
        bail!(
            "another command resends dead letters of this group at {} ({}); try again when it has ended, or a minute \
             after it was killed",
            master.name,
            master.addr
        );
    }
    Ok(())
}
