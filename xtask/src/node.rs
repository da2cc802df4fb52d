//! A running `trefoil serve`.

use crate::shell::{cargo, command, target};
use anyhow::{Context as _, Result, bail};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a node may take to end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// How often free ports are looked for.
const FREE_PORT_TRIES: usize = 100;

/// A running node; killed when dropped.
pub(crate) struct Node {
    child: Child,
    addresses: HashMap<String, String>,
}

/// Builds the program as users get it.
pub(crate) fn build() -> Result<PathBuf> {
    cargo(["build", "--release", "-p", "trefoil"]).run()?;
    Ok(target().join("release/trefoil"))
}

impl Node {
    /// Starts a node and waits until it is ready. Ports that `args` do not name are any free ones.
    pub(crate) fn start(program: &Path, data: &Path, args: &[String]) -> Result<Self> {
        let mut all = vec!["serve".to_owned(), "--data-dir".to_owned(), data.display().to_string()];
        for port in ["--nameserver-port", "--broker-port", "--http-port"] {
            if !args.iter().any(|arg| arg == port) {
                all.extend([port.to_owned(), "0".to_owned()]);
            }
        }
        all.extend_from_slice(args);
        let mut child = command(program).args(&all).env("RUST_BACKTRACE", "1").spawn()?;
        let out = child.stdout.take().context("its output was piped")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let Some(ready) = line.strip_prefix("ready ") else {
            let status = child.wait()?;
            bail!("the node did not become ready ({status}); it printed {line:?}");
        };
        let addresses = ready.split_whitespace().filter_map(|word| word.split_once('='));
        let addresses = addresses.map(|(role, addr)| (role.to_owned(), addr.to_owned())).collect();
        Ok(Self { child, addresses })
    }

    /// Where a role can be reached.
    pub(crate) fn address(&self, role: &str) -> Result<&str> {
        self.addresses.get(role).map(String::as_str).with_context(|| format!("the node has no {role}"))
    }

    /// Flags that give another node the same ports.
    pub(crate) fn same_ports(&self) -> Result<Vec<String>> {
        let mut flags = Vec::new();
        for (role, flag) in [("nameserver", "--nameserver-port"), ("broker", "--broker-port"), ("http", "--http-port")]
        {
            let (_, port) = self.address(role)?.rsplit_once(':').context("an address has a port")?;
            flags.extend([flag.to_owned(), port.to_owned()]);
        }
        Ok(flags)
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as kill -9 does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and expects that it ends well.
    pub(crate) fn stop(mut self) -> Result<()> {
        terminate(&mut self.child, "the node")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Already ended, or on the way out because something failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks a program to end, and expects that it ends well.
pub(crate) fn terminate(child: &mut Child, what: &str) -> Result<()> {
    command("kill").args(["-TERM", &child.id().to_string()]).run()?;
    let since = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{what} ended with {status}"),
            None if since.elapsed() > STOP_MAX => bail!("{what} did not end within {STOP_MAX:?}"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// An empty folder for a run.
pub(crate) fn fresh_dir(name: &str) -> Result<PathBuf> {
    let dir = target().join("runs").join(name);
    if dir.try_exists()? {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// A port that is free now, as those beside it are.
pub(crate) fn free_port(beside: &[i32]) -> Result<u16> {
    for _ in 0..FREE_PORT_TRIES {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let is_free = |by: &i32| {
            let port = u16::try_from(i32::from(port) + by).ok();
            port.is_some_and(|port| TcpListener::bind(("0.0.0.0", port)).is_ok())
        };
        if beside.iter().all(is_free) {
            return Ok(port);
        }
    }
    bail!("no free port found in {FREE_PORT_TRIES} tries")
}

/// A random number of a range.
pub(crate) fn chance(range: std::ops::Range<u64>) -> u64 {
    let random = RandomState::new().hash_one(Instant::now());
    range.start + random % (range.end - range.start)
}
