//! Messages of the 18 delay levels as the first version stored them: in the schedule topic, one queue a level, with how
//! far each level was delivered in the metadata.
//!
//! They are moved to where messages wait now. A crash in between moves those of one batch again: consumers see them
//! twice, never not at all, as with the first version itself.

use super::when::{LEVELS, duration_of};
use crate::Broker;
use cluster::metadata::Change;
use model::record::{Draft, Record};
use model::{properties, system};
use std::sync::Arc;
use std::time::Duration;
use store::{Append, Appends, Entry, Queue, ReadError, Store, Wait};

/// Most messages moved together.
const BATCH_MESSAGES_MAX: usize = 256;
/// Bytes of them from which on a batch ends.
const BATCH_BYTES: u64 = 1 << 20;
/// Pause after a failure, so that a full disk is not asked in a spin.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Moves all of them; returns when none is left.
pub(super) async fn adopt(broker: &Broker, timers: &Arc<Queue>) {
    for level in 1..=LEVELS {
        while let Err(reason) = adopt_level(broker, timers, level).await {
            tracing::warn!(level, %reason, "messages that an earlier version delayed wait longer");
            rt::sleep(RETRY_PAUSE).await;
        }
    }
}

async fn adopt_level(broker: &Broker, timers: &Arc<Queue>, level: u32) -> Result<(), String> {
    let topic = broker.topics().get(system::SCHEDULE_TOPIC);
    let Some(queue) = topic.as_ref().and_then(|topic| topic.queue(level as i32 - 1)) else { return Ok(()) };
    let delivered = broker.metadata().read().delay_progress.get(&level).copied().unwrap_or_default();
    let mut next = delivered.max(queue.min_offset());
    while next < queue.max_offset() {
        let mut entries = Vec::new();
        next = match queue.entries(next, BATCH_MESSAGES_MAX, &mut entries) {
            Ok(()) => {
                let mut bytes = 0;
                entries.retain(|entry| {
                    let fits = bytes < BATCH_BYTES;
                    bytes += u64::from(entry.size);
                    fits
                });
                let next = next.plus(entries.len() as u64);
                move_entries(broker, timers, level, entries).await?;
                next
            }
            Err(error @ ReadError::Damaged { .. }) => {
                let readable = queue.readable_from(next).map_err(|error| error.to_string())?;
                tracing::error!(level, from = %next, to = %readable, %error, "delayed messages are lost in a damaged place");
                readable
            }
            Err(error) => return Err(error.to_string()),
        };
        let progress = broker.metadata().propose(Change::DelayProgress { level, offset: next }).await;
        progress.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn move_entries(broker: &Broker, timers: &Arc<Queue>, level: u32, entries: Vec<Entry>) -> Result<(), String> {
    let (store, timers) = (broker.store().clone(), Arc::clone(timers));
    let read = move || {
        let mut appends = Appends::default();
        entries.iter().try_for_each(|entry| wait_again(&store, &timers, level, entry, &mut appends)).map(|()| appends)
    };
    let appends: Result<Appends, String> = broker.host().run_blocking(read).await;
    let stored = broker.store().append(appends?).map_err(|error| error.to_string())?.await;
    stored.into_iter().try_for_each(|place| place.map(drop)).map_err(|error| error.to_string())
}

/// Adds a delayed message as it waits now.
fn wait_again(
    store: &Store,
    timers: &Arc<Queue>,
    level: u32,
    entry: &Entry,
    appends: &mut Appends,
) -> Result<(), String> {
    let bytes = store.read_at(entry.physical).map_err(|error| error.to_string())?;
    let record = Record::parse(&bytes).map_err(|error| error.to_string())?;
    let due = record.store_timestamp + duration_of(level).as_millis() as i64;
    let mut text = record.properties.to_owned();
    properties::push(&mut text, properties::TIMER_OUT_MS, &due.to_string());
    let (topic, properties) = (timers.topic().as_str().into(), text.into());
    let draft = Draft { topic, queue_id: timers.id(), properties, ..record.to_draft() };
    appends.push(Append { queue: Arc::clone(timers), draft, wait: Wait::Policy, joined: false });
    Ok(())
}
