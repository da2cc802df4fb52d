//! The snapshot: the whole metadata at one version, so that the journal can start anew.
//!
//! Its first frame has one line, the versions; then come the changes that make the state from nothing; a frame without
//! changes ends it. It is written beside the old one and renamed, so a damaged one is corruption, never a torn write.

use super::frame::{self, FrameBuilder, Kind};
use super::offsets::Offsets;
use super::state::State;
use super::{Change, Version};
use rt::{Disk, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Payload at which a frame of a snapshot is closed.
const FRAME_BYTES: usize = 1 << 20;
/// Offsets in one line.
const OFFSETS_PER_LINE: usize = 1000;

struct SnapshotWriter {
    file: Arc<dyn File>,
    at: u64,
    version: Version,
    frame: FrameBuilder,
}

impl SnapshotWriter {
    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.frame.push(line);
        if self.frame.payload_len() >= FRAME_BYTES { self.flush() } else { Ok(()) }
    }

    fn push_change(&mut self, change: &Change) -> io::Result<()> {
        self.push(&encode(change))
    }

    fn flush(&mut self) -> io::Result<()> {
        let frame = std::mem::replace(&mut self.frame, FrameBuilder::new());
        let bytes = frame.finish(self.version.0, 0);
        self.file.write_at(&bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// A change as a line of a frame.
pub(super) fn encode(change: &Change) -> Vec<u8> {
    serde_json::to_vec(change).expect("changes have text keys only")
}

/// Writes the snapshot durably in place of the one before; gives its length in bytes.
pub(super) fn write(disk: &dyn Disk, dir: &Path, state: &State, offsets: &Offsets) -> io::Result<u64> {
    let (path, temporary) = (dir.join(SNAPSHOT), dir.join(SNAPSHOT_TEMPORARY));
    if disk.try_exists(&temporary)? {
        disk.remove(&temporary)?;
    }
    let file = disk.create(&temporary, 0)?;
    file.write_at(&frame::head(Kind::Snapshot, state.version.0), 0)?;
    let mut writer =
        SnapshotWriter { file, at: frame::HEAD_LEN as u64, version: state.version, frame: FrameBuilder::new() };
    writer.push(&serde_json::to_vec(&state.versions()).expect("numbers only"))?;
    writer.flush()?;
    for change in state.changes() {
        writer.push_change(&change)?;
    }
    for group in offsets.groups() {
        let of_group = offsets.of_group(&group);
        for part in of_group.chunks(OFFSETS_PER_LINE) {
            let entries = part.iter().map(|(topic, queue, offset)| (group.clone(), topic.clone(), *queue, *offset));
            writer.push_change(&Change::Offsets(entries.collect()))?;
        }
    }
    if writer.frame.changes() > 0 {
        writer.flush()?;
    }
    writer.flush()?;
    writer.file.sync()?;
    disk.rename(&temporary, &path)?;
    disk.sync_dir(dir)?;
    Ok(writer.at)
}

/// Makes an empty journal after `base`, durably in place of the one before.
pub(super) fn new_journal(disk: &dyn Disk, dir: &Path, base: Version) -> io::Result<Arc<dyn File>> {
    let (path, temporary) = (dir.join(JOURNAL), dir.join(JOURNAL_TEMPORARY));
    if disk.try_exists(&temporary)? {
        disk.remove(&temporary)?;
    }
    let file = disk.create(&temporary, 0)?;
    file.write_at(&frame::head(Kind::Journal, base.0), 0)?;
    file.sync()?;
    disk.rename(&temporary, &path)?;
    disk.sync_dir(dir)?;
    Ok(file)
}

pub(super) const JOURNAL: &str = "journal";
pub(super) const SNAPSHOT: &str = "snapshot";
const JOURNAL_TEMPORARY: &str = "journal.new";
const SNAPSHOT_TEMPORARY: &str = "snapshot.new";
