//! Reading snapshot and journal at start.

use super::frame::{self, FRAME_HEAD_LEN, FRAME_MAGIC, Frame, HEAD_LEN, Kind};
use super::offsets::Offsets;
use super::snapshot::{JOURNAL, SNAPSHOT, new_journal};
use super::state::{State, Versions};
use super::{Change, Version};
use rt::{Disk, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the metadata cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system's words.
    #[error("cannot read the metadata in {dir}: {error}")]
    Io {
        /// The folder.
        dir: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// A file is damaged before its end, so something that was acknowledged is lost.
    #[error(
        "the metadata file {file} is damaged at byte {at}: {what}; restore the folder from a backup, or move the file \
         away to start without what it holds (topics found in the commit log are served again, consumer offsets are lost)"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Position of the damage.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// The journal does not continue the snapshot.
    #[error(
        "the metadata journal {file} begins after version {base}, the snapshot beside it ends at {snapshot}; both must \
         come from the same backup"
    )]
    Gap {
        /// The journal.
        file: PathBuf,
        /// Version before its first change.
        base: u64,
        /// Version of the snapshot.
        snapshot: u64,
    },
}

/// What was found on disk.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) journal: Arc<dyn File>,
    /// Where the next frame goes.
    pub(super) journal_len: u64,
    pub(super) snapshot_len: u64,
    /// Whether the journal ends with a frame without changes, or has none.
    pub(super) is_sealed: bool,
}

/// Reads everything, cuts a torn tail, and leaves a journal that can be continued.
pub(super) fn load(disk: &dyn Disk, dir: &Path, offsets: &Offsets) -> Result<Loaded, OpenError> {
    let failed = |error: io::Error| OpenError::Io { dir: dir.to_owned(), error };
    disk.create_dir(dir).map_err(failed)?;
    let mut state = State::default();
    let (snapshot, journal) = (dir.join(SNAPSHOT), dir.join(JOURNAL));
    let mut snapshot_len = 0;
    if disk.try_exists(&snapshot).map_err(failed)? {
        let file = disk.open(&snapshot).map_err(failed)?;
        let mut reader = Reader { file, path: snapshot, at: HEAD_LEN as u64 };
        read_snapshot(&mut reader, &mut state, offsets).map_err(|error| error.in_dir(dir))?;
        snapshot_len = reader.at;
    }
    if !disk.try_exists(&journal).map_err(failed)? {
        let file = new_journal(disk, dir, state.version).map_err(failed)?;
        return Ok(Loaded { state, journal: file, journal_len: HEAD_LEN as u64, snapshot_len, is_sealed: true });
    }
    let file = disk.open(&journal).map_err(failed)?;
    let mut reader = Reader { file, path: journal, at: HEAD_LEN as u64 };
    let (last, is_sealed) = read_journal(&mut reader, &mut state, offsets).map_err(|error| error.in_dir(dir))?;
    if last < state.version {
        // The snapshot was made and the journal not yet begun anew; its end, which the snapshot has, was cut.
        let file = new_journal(disk, dir, state.version).map_err(failed)?;
        return Ok(Loaded { state, journal: file, journal_len: HEAD_LEN as u64, snapshot_len, is_sealed: true });
    }
    write_again(&*reader.file, reader.at).and_then(|()| disk.sync_dir(dir)).map_err(failed)?;
    Ok(Loaded { state, journal_len: reader.at, journal: reader.file, snapshot_len, is_sealed })
}

/// Makes durable what was read.
///
/// The process before may have died between a write and its sync, or after a sync that failed: then the system may take
/// bytes in memory for saved that never reached the disk, and a sync alone would pass over them.
fn write_again(file: &dyn File, len: u64) -> io::Result<()> {
    const BYTES_AT_ONCE: u64 = 1 << 20;
    let mut at = 0;
    while at < len {
        let bytes = frame::read(file, at, BYTES_AT_ONCE.min(len - at) as usize)?;
        file.write_at(&bytes, at)?;
        at += bytes.len().max(1) as u64;
    }
    file.sync()
}

/// An error on the way, before it is known which folder it belongs to.
enum Fault {
    Io(io::Error),
    Open(OpenError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    fn in_dir(self, dir: &Path) -> OpenError {
        match self {
            Fault::Io(error) => OpenError::Io { dir: dir.to_owned(), error },
            Fault::Open(error) => error,
        }
    }
}

struct Reader {
    file: Arc<dyn File>,
    path: PathBuf,
    /// Where the next frame is.
    at: u64,
}

impl Reader {
    fn damaged(&self, at: u64, what: impl Into<String>) -> Fault {
        Fault::Open(OpenError::Damaged { file: self.path.clone(), at, what: what.into() })
    }

    fn head(&self, kind: Kind) -> Result<u64, Fault> {
        let head = frame::read(&*self.file, 0, HEAD_LEN)?;
        let head: &[u8; HEAD_LEN] = head.first_chunk().ok_or_else(|| self.damaged(0, "it ends inside its head"))?;
        frame::parse_head(head, kind).map_err(|what| self.damaged(0, what))
    }

    /// The next frame with its payload; `None` if there is no intact one.
    fn next(&mut self) -> Result<Option<(Frame, Vec<u8>)>, Fault> {
        let head = frame::read(&*self.file, self.at, FRAME_HEAD_LEN)?;
        let Some(frame) = Frame::parse(&head) else { return Ok(None) };
        if self.at + frame.len() > self.file.len()? {
            return Ok(None);
        }
        let payload = frame::read(&*self.file, self.at + FRAME_HEAD_LEN as u64, frame.payload_len)?;
        if !frame.is_intact(&payload) {
            return Ok(None);
        }
        self.at += frame.len();
        Ok(Some((frame, payload)))
    }

    fn changes(&self, at: u64, payload: &[u8]) -> Result<Vec<Change>, Fault> {
        let lines = payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let changes = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        changes.map_err(|error| {
            self.damaged(at, format!("a change cannot be read: {error}; was it written by a newer program?"))
        })
    }

    /// Where after `at` another intact frame begins: then the damage at `at` is not the end of what was written.
    fn intact_frame_after(&self, at: u64) -> Result<Option<u64>, Fault> {
        let rest =
            frame::read(&*self.file, at, usize::try_from(self.file.len()?.saturating_sub(at)).unwrap_or(usize::MAX))?;
        for from in 1..(rest.len() + 1).saturating_sub(FRAME_HEAD_LEN) {
            if rest[from] != FRAME_MAGIC[0] {
                continue;
            }
            let Some(frame) = Frame::parse(&rest[from..]) else { continue };
            let payload = rest.get(from + FRAME_HEAD_LEN..from + FRAME_HEAD_LEN + frame.payload_len);
            if payload.is_some_and(|payload| frame.is_intact(payload)) {
                return Ok(Some(at + from as u64));
            }
        }
        Ok(None)
    }
}

fn read_snapshot(reader: &mut Reader, state: &mut State, offsets: &Offsets) -> Result<(), Fault> {
    let version = reader.head(Kind::Snapshot)?;
    let broken = |reader: &Reader| reader.damaged(reader.at, "a part of it is missing or its checksum is wrong");
    let Some((_, payload)) = reader.next()? else { return Err(broken(reader)) };
    let versions: Versions =
        serde_json::from_slice(&payload).map_err(|error| reader.damaged(HEAD_LEN as u64, error.to_string()))?;
    if versions.version != Version(version) {
        return Err(reader.damaged(0, format!("its head says version {version}, its content {}", versions.version)));
    }
    loop {
        let at = reader.at;
        let Some((frame, payload)) = reader.next()? else { return Err(broken(reader)) };
        if frame.changes == 0 {
            break;
        }
        for change in reader.changes(at, &payload)? {
            state.apply(&change, frame.timestamp);
            offsets.apply(&change);
        }
    }
    state.set_versions(versions);
    Ok(())
}

/// Makes the journal's changes; gives the version of the last, and whether nothing or a frame without changes ends it.
fn read_journal(reader: &mut Reader, state: &mut State, offsets: &Offsets) -> Result<(Version, bool), Fault> {
    let base = reader.head(Kind::Journal)?;
    if base > state.version.0 {
        let snapshot = state.version.0;
        return Err(Fault::Open(OpenError::Gap { file: reader.path.clone(), base, snapshot }));
    }
    let (mut next, mut is_sealed) = (base + 1, true);
    loop {
        let at = reader.at;
        let Some((frame, payload)) = reader.next()? else { break };
        if frame.first_version != next {
            return Err(reader.damaged(at, format!("version {} follows {}", frame.first_version, next - 1)));
        }
        for change in reader.changes(at, &payload)? {
            // What the snapshot has already is only counted.
            if next > state.version.0 {
                state.apply(&change, frame.timestamp);
                offsets.apply(&change);
            }
            next += 1;
        }
        if next != frame.first_version + u64::from(frame.changes) {
            return Err(reader.damaged(at, "it holds another number of changes than it says"));
        }
        is_sealed = frame.changes == 0;
    }
    cut_torn_tail(reader)?;
    Ok((Version(next - 1), is_sealed))
}

/// What follows the last intact frame is the rest of a write that was never acknowledged, unless an intact frame comes
/// after it.
fn cut_torn_tail(reader: &Reader) -> Result<(), Fault> {
    let (at, len) = (reader.at, reader.file.len()?);
    if at == len {
        return Ok(());
    }
    if let Some(after) = reader.intact_frame_after(at)? {
        return Err(reader.damaged(at, format!("what was written later, at byte {after}, is intact")));
    }
    tracing::warn!(file = %reader.path.display(), at, bytes = len - at, "an unfinished write at the end of the journal is cut");
    reader.file.set_len(at)?;
    reader.file.sync()?;
    Ok(())
}
