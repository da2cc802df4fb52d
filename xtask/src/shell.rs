//! Starting programs.

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Where built things go.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether tests run on their own, without a person to read what was skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// A program to be run in the workspace's folder.
pub(crate) struct Program(Command);

/// A program by name.
pub(crate) fn command(name: impl AsRef<std::ffi::OsStr>) -> Program {
    let mut command = Command::new(name);
    command.current_dir(root());
    Program(command)
}

/// Cargo, the very one that runs this tool.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Program {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args)
}

impl Program {
    /// More arguments.
    pub(crate) fn args<S: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// The folder to run in.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    fn text(&self) -> String {
        let words = std::iter::once(self.0.get_program()).chain(self.0.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    /// Runs it; failing is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        let text = self.text();
        let status = self.0.status().with_context(|| format!("cannot start: {text}"))?;
        if !status.success() {
            bail!("failed ({status}): {text}");
        }
        Ok(())
    }

    /// Runs it and hands each line of its output to `each` after showing it.
    pub(crate) fn watch(mut self, mut each: impl FnMut(&str)) -> Result<()> {
        let text = self.text();
        let mut child = self.0.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start: {text}"))?;
        let out = child.stdout.take().context("its output was piped")?;
        for line in BufReader::new(out).lines() {
            let line = line?;
            println!("{line}");
            each(&line);
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("failed ({status}): {text}");
        }
        Ok(())
    }

    /// Runs it and gives its output; failing is an error.
    pub(crate) fn output(self) -> Result<String> {
        let text = self.text();
        match self.output_of_any_end()? {
            (output, true) => Ok(output),
            (_, false) => bail!("failed: {text}"),
        }
    }

    /// Runs it and gives its output, and whether it succeeded.
    pub(crate) fn output_of_any_end(mut self) -> Result<(String, bool)> {
        let text = self.text();
        let output = self.0.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start: {text}"))?;
        Ok((String::from_utf8(output.stdout)?, output.status.success()))
    }

    /// Starts it with its output piped.
    pub(crate) fn spawn(mut self) -> Result<Child> {
        let text = self.text();
        self.0.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start: {text}"))
    }
}

/// Whether a program is there and does what it is asked.
pub(crate) fn succeeds(name: &str, args: &[&str]) -> bool {
    let quiet = Command::new(name).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// All files below a folder with an ending, sorted; build output left out.
pub(crate) fn files(dir: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = all_files(dir)?;
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    Ok(found)
}

/// All files below a folder, sorted; build output left out.
pub(crate) fn all_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let path = entry?.path();
            match path.is_dir() {
                true if path.file_name().is_some_and(|name| name == "target" || name == ".git") => {}
                true => dirs.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}
