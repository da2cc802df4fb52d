//! What takes time and may run beside the owner: writing memory to a run, merging runs.

use super::manifest::Manifest;
use super::merge::{Live, Memory, Merged};
use super::run::{self, Run, RunWriter};
use super::{Due, Item};
use rt::Disk;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Work on files that needs nothing of the index. Blocks on the disk.
pub struct Job {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) work: Work,
    /// As it is to be when the work is done, without the new run.
    pub(super) manifest: Manifest,
    /// Runs that are needed no more when it is done.
    pub(super) obsolete: Vec<u64>,
    /// A planted bug.
    #[cfg(feature = "planted-bugs")]
    pub(super) is_short: bool,
}

pub(super) enum Work {
    Flush(Arc<Memory>),
    Merge { inputs: Vec<Live>, others: Vec<Live> },
}

/// What a job has made.
pub struct Done {
    pub(super) run: Option<Live>,
    pub(super) manifest: Manifest,
    pub(super) is_flush: bool,
}

impl Job {
    /// Does it. What it has written by halves is taken away by the next job or the next start.
    ///
    /// # Errors
    /// Of the disk; `InvalidData` if a run is damaged.
    pub fn run(mut self) -> io::Result<Done> {
        let number = self.manifest.next_number;
        let mut writer = RunWriter::create(&*self.disk, &self.dir, number)?;
        let (from, is_flush) = match &self.work {
            Work::Flush(memory) => {
                let mut items = memory.iter().map(|(&due, &(topic, is_gone))| Item { due, topic, is_gone });
                #[cfg(feature = "planted-bugs")]
                if self.is_short {
                    items.next_back();
                }
                items.try_for_each(|item| writer.push(item))?;
                (Due::MIN, true)
            }
            Work::Merge { inputs, others } => {
                merge(inputs, others, &mut writer)?;
                (inputs.iter().map(|live| live.from).min().unwrap_or(Due::MIN), false)
            }
        };
        let has_items = writer.finish()?;
        self.manifest.next_number += 1;
        let run = if has_items {
            self.manifest.runs.push((number, from));
            Some(Live { run: Arc::new(Run::open(&*self.disk, &self.dir, number)?), from })
        } else {
            self.obsolete.push(number);
            None
        };
        // The run's name must be there before anything speaks of it.
        self.disk.sync_dir(&self.dir)?;
        self.manifest.write(&*self.disk, &self.dir)?;
        for number in &self.obsolete {
            if let Err(error) = self.disk.remove(&run::path_of(&self.dir, *number)) {
                tracing::debug!(number, %error, "a run that is not needed stays until the next start");
            }
        }
        Ok(Done { run, manifest: self.manifest, is_flush })
    }
}

/// What came and went within the inputs is left out; what went stays said as long as another run may say that it came.
fn merge(inputs: &[Live], others: &[Live], writer: &mut RunWriter) -> io::Result<()> {
    let mut merged = Merged::new([], inputs, Due::MIN)?;
    while let Some(seen) = merged.next()? {
        let is_needed = match (seen.came, seen.went) {
            (true, went) => !went,
            (false, _) => others.iter().any(|live| live.covers(seen.due)),
        };
        if is_needed {
            writer.push(Item { due: seen.due, topic: seen.topic, is_gone: seen.went })?;
        }
    }
    Ok(())
}
