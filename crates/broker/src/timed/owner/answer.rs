//! What the owner answers.

use super::{CancelReply, Owner, Rolling, Started};
use crate::timed::look::{list, take_each, which};
use crate::timed::mark::{self, Ending};
use crate::timed::{Ask, TimerError};
use std::io;
use store::Appends;
use store::timer::{Due, Index};

impl Owner {
    /// Takes in all that was stored before now, as far as there is room.
    async fn catch_up(&mut self) -> io::Result<()> {
        let end = self.queue.max_offset().0;
        while self.index().applied().0 < end && !self.index().is_full() {
            self.take_in().await?;
        }
        Ok(())
    }

    /// Answers; if the index cannot be read, nobody is answered.
    pub(super) async fn answer(&mut self, ask: Ask) -> io::Result<()> {
        // Who asks may just have been told that a message is stored.
        self.catch_up().await?;
        match ask {
            Ask::Counts { reply } => {
                let index = self.index();
                drop(reply.send((index.counts().clone(), index.applied().0)));
            }
            Ask::Roll { below, reply } => {
                self.rolling.push_back(Rolling { below, after: Due::MIN, found: false, reply });
            }
            Ask::List { after, until, topic, count_max, reply } => {
                let list = move |index: &mut Index| list(index, after, until, topic, count_max);
                let found = self.with_index(list).await?;
                drop(reply.send(found));
            }
            Ask::Which { dues, reply } if self.is_unknown(&dues) => drop(reply.send(Err(TimerError::Behind))),
            Ask::Cancel { dues, reply, .. } if self.is_unknown(&dues) => drop(reply.send(Err(TimerError::Behind))),
            Ask::Which { dues, reply } => {
                let which = move |index: &mut Index| which(index, &dues);
                let found = self.with_index(which).await?;
                drop(reply.send(Ok(found)));
            }
            Ask::Cancel { dues, keys, reply } => self.cancel(dues, &keys, reply).await?,
        }
        Ok(())
    }

    /// Whether one of these was stored behind what there was room to take in: to say that it does not wait would be wrong.
    fn is_unknown(&mut self, dues: &[Due]) -> bool {
        let end = self.queue.max_offset().0;
        let (next, position) = self.index().applied();
        next < end && dues.iter().any(|due| due.position > position)
    }

    async fn cancel(&mut self, dues: Vec<Due>, keys: &str, reply: CancelReply) -> io::Result<()> {
        let now = self.broker.now().0;
        // What is taken before its time is not about to be delivered.
        if dues.iter().any(|due| due.at > now && self.index().is_taken(*due)) {
            drop(reply.send(Err(TimerError::Changing)));
            return Ok(());
        }
        let taken = self.with_index(move |index| take_each(index, &dues)).await?;
        if taken.is_empty() {
            drop(reply.send(Ok(Vec::new())));
        } else {
            let mark = mark::append(&self.broker, &self.queue, &taken, Ending::Cancelled, keys);
            let appends = Appends::from(vec![mark]);
            let started = Started { ended: taken, ending: Ending::Cancelled, lost: 0, reply: Some(reply) };
            self.append(appends, started);
        }
        Ok(())
    }
}
