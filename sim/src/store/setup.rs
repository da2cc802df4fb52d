//! What a seed makes of a store: its options, its queues, what will go wrong.

use model::{QueueId, Topic};
use rt::Random;
use rt::sim::{Faults, SeededRandom};
use std::path::PathBuf;
use store::{Flush, Options, PlantedBug};

/// Folder of the store on the simulated disk.
pub(super) const DIR: &str = "/data/store";

/// What goes wrong besides crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing.
    Crashes,
    /// Reads, writes and syncs fail at times.
    Errors,
    /// The disk is full at times.
    Full,
    /// Bits turn over on the platter.
    Rot,
    /// All of it.
    Everything,
}

/// A queue of the workload.
#[derive(Clone, Debug)]
pub(super) struct QueueSetup {
    pub(super) topic: Topic,
    pub(super) id: QueueId,
    /// What [`store::Queue::set_flush`] is told.
    pub(super) flush: Option<Flush>,
}

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) profile: Profile,
    pub(super) options: Options,
    pub(super) queues: Vec<QueueSetup>,
    /// How often the machine is started.
    pub(super) boots: u64,
    /// Tasks that append.
    pub(super) senders: u64,
    /// Longest record body in bytes.
    pub(super) body_max: u64,
}

impl Profile {
    fn of(random: &SeededRandom) -> Self {
        match random.below(8) {
            0..3 => Self::Crashes,
            3 | 4 => Self::Errors,
            5 => Self::Full,
            6 => Self::Rot,
            _ => Self::Everything,
        }
    }

    pub(super) fn has_errors(self) -> bool {
        matches!(self, Self::Errors | Self::Everything)
    }

    pub(super) fn fills_up(self) -> bool {
        matches!(self, Self::Full | Self::Everything)
    }

    pub(super) fn rots(self) -> bool {
        matches!(self, Self::Rot | Self::Everything)
    }
}

impl Setup {
    pub(super) fn of(random: &SeededRandom, planted: Option<PlantedBug>) -> Self {
        let flush = if random.below(3) == 0 { Flush::Async } else { Flush::Sync };
        let options = Options {
            dir: PathBuf::from(DIR),
            segment_bytes: pick(random, &[16 << 10, 32 << 10, 256 << 10]),
            flush,
            flush_interval_ms: pick(random, &[5, 50, 200]),
            flush_bytes: pick(random, &[4 << 10, 1 << 20]),
            unsynced_bytes_max: pick(random, &[1 << 20, 8 << 20]),
            pending_bytes_max: pick(random, &[64 << 10, 1 << 20]),
            run_entries_max: pick(random, &[16, 64, 1024]),
            run_log_bytes: pick(random, &[4 << 10, 32 << 10, 1 << 20]),
            hot_bytes: pick(random, &[4 << 10, 1 << 20]),
            planted,
            ..Options::default()
        };
        let queues = (0..1 + random.below(3)).flat_map(|topic| {
            let name = format!("topic-{topic}");
            let flush = match random.below(4) {
                0 => Some(Flush::Async),
                1 => Some(Flush::Sync),
                _ => None,
            };
            let queue = move |id| QueueSetup { topic: Topic::from_stored(&name), id: QueueId(id), flush };
            (0..2).map(queue).collect::<Vec<_>>()
        });
        let queues = queues.collect();
        Self {
            profile: Profile::of(random),
            options,
            queues,
            boots: 3 + random.below(6),
            senders: 1 + random.below(4),
            body_max: pick(random, &[32, 200, 2000]),
        }
    }

    /// Whether appends to a queue are safe when done, unless they say otherwise.
    pub(super) fn is_synced(&self, queue: usize) -> bool {
        self.queues[queue].flush.unwrap_or(self.options.flush) == Flush::Sync
    }

    /// The odds of faults while clients work.
    pub(super) fn faults(&self, random: &SeededRandom) -> Faults {
        let mut faults = Faults::default();
        if self.profile.has_errors() {
            faults.read = pick(random, &[0, 20_000]);
            faults.write = pick(random, &[0, 20_000]);
            faults.sync = pick(random, &[0, 0, 20_000]);
        }
        if self.profile.fills_up() {
            faults.space = pick(random, &[0, 100_000]);
        }
        faults
    }
}

pub(super) fn pick<T: Copy>(random: &SeededRandom, among: &[T]) -> T {
    among[random.index(among.len())]
}
