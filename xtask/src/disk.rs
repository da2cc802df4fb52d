//! Fills the disk of a real node: sends must be refused before the end, everything acknowledged must still be read, and
//! sends must be taken again by themselves when there is room.

use crate::node::{self, Node};
use crate::shell::{self, command};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Size of the file system, which lies in memory.
const DISK_BYTES: u64 = 160 << 20;
/// What stands in the way until room is made.
const FILLER_BYTES: usize = 40 << 20;
const MESSAGE_BYTES: usize = 8 << 10;
/// Messages of one call.
const BATCH: usize = 500;
/// How long a node may take to see that there is room again.
const NOTICE_MAX: Duration = Duration::from_secs(10);
const TOPIC: &str = "full";

/// A small file system, unmounted when dropped; a plain folder where this user may not mount.
struct SmallDisk {
    dir: PathBuf,
    is_mounted: bool,
}

impl SmallDisk {
    fn new() -> Result<Self> {
        let dir = node::fresh_dir("disk-full")?;
        let size = format!("size={DISK_BYTES}");
        let is_mounted = shell::succeeds("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &dir.display().to_string()]);
        Ok(Self { dir, is_mounted })
    }

    /// Without a small disk the reserve is set so high that little of the real one may be used.
    fn flags(&self) -> Result<Vec<String>> {
        let mut flags = vec!["--segment-bytes".to_owned(), "32MiB".to_owned()];
        if !self.is_mounted {
            println!("no file system can be mounted here: the reserve is raised on this one instead");
            let out = command("df").args(["--output=avail", "-B1", &self.dir.display().to_string()]).output()?;
            let available: u64 = out.lines().last().context("df prints a number")?.trim().parse()?;
            let reserve = available.saturating_sub(DISK_BYTES);
            flags.extend(["--disk-reserve-bytes".to_owned(), reserve.to_string()]);
        }
        Ok(flags)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_mounted && !shell::succeeds("umount", &[&self.dir.display().to_string()]) {
            eprintln!("warning: {} is still mounted", self.dir.display());
        }
    }
}

/// Runs it.
pub(crate) fn run() -> Result<()> {
    let program = node::build()?;
    let disk = SmallDisk::new()?;
    let filler = disk.dir.join("filler");
    std::fs::write(&filler, vec![b'x'; FILLER_BYTES])?;
    let lines = disk.dir.join("lines");
    std::fs::write(&lines, [vec![b'm'; MESSAGE_BYTES].as_slice(), b"\n"].concat().repeat(BATCH))?;
    let node = Node::start(&program, &disk.dir.join("data"), &disk.flags()?)?;
    let name_server = node.address("nameserver")?.to_owned();
    let cli = |args: &[&str]| command(&program).args(args).args(["--nameserver", &name_server]).output();
    let send = |lines: &Path| cli(&["produce", TOPIC, "--file", &lines.display().to_string()]);
    cli(&["topic", "create", TOPIC, "--queues", "1"])?;
    let mut batches = 0;
    while send(&lines).is_ok() {
        batches += 1;
        if batches * BATCH * MESSAGE_BYTES > DISK_BYTES as usize {
            bail!("more was taken than the disk holds");
        }
    }
    let one = disk.dir.join("one");
    // A small one might still fit the last file.
    std::fs::write(&one, [vec![b'o'; MESSAGE_BYTES].as_slice(), b"\n"].concat())?;
    if batches == 0 || send(&one).is_ok() {
        bail!("sends were refused after {batches} batches, and then one was taken");
    }
    let read = || -> Result<usize> { Ok(cli(&["consume", TOPIC, "--from", "first", "--until-end"])?.lines().count()) };
    let stored = read()?;
    if stored < batches * BATCH {
        bail!("{} messages were acknowledged and {stored} can be read", batches * BATCH);
    }
    std::fs::remove_file(&filler)?;
    let since = Instant::now();
    while send(&one).is_err() {
        if since.elapsed() > NOTICE_MAX {
            bail!("there is room again, but sends are refused");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    if read()? != stored + 1 {
        bail!("after the disk was full there are {} messages, not {}", read()?, stored + 1);
    }
    println!("refused after {batches} batches with {stored} messages stored; all read, and taken again by itself");
    node.stop()
}
