//! Official clients against a fresh node. What they check is told in `e2e/README.md`.

use crate::node::{self, Node};
use crate::shell::{self, Program, command, root, target};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Java clients from their registry.
pub(crate) const JAVA_4: &str = "4.9.8";
const JAVA_5: &str = "5.5.0";
/// The Java program with all scenarios.
pub(crate) const MAIN: &str = "io.trefoil.e2e.Main";

/// What the area `bounds` of the Java programs wants of its node (`BoundScenarios.java`).
const BOUNDS: [&str; 6] =
    ["--segment-bytes", "32MiB", "--retention-bytes", "64MiB", "--client-requests-per-second", "200"];

/// Header encodings, as the Java clients call them.
const ENCODINGS: [&str; 2] = ["JSON", "ROCKETMQ"];

/// Programs to be run against a fresh node.
pub(crate) struct Run {
    pub(crate) name: String,
    program: Program,
    /// Flags of the node.
    flags: &'static [&'static str],
}

/// One kind of client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Java,
    Go,
}

impl Client {
    pub(crate) const ALL: [Self; 2] = [Self::Java, Self::Go];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Go => "go",
        }
    }

    /// The tool that is missing here, if one is.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let tools: &[(&str, &[&str])] = match self {
            Self::Java => &[("java", &["-version"]), ("javac", &["-version"]), ("mvn", &["-v"])],
            Self::Go => &[("go", &["version"])],
        };
        tools.iter().find(|(name, args)| !shell::succeeds(name, args)).map(|(name, _)| *name)
    }
}

/// Runs one kind of client, or all.
pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let clients: Vec<_> =
        Client::ALL.into_iter().filter(|client| only.is_none_or(|only| only == client.name())).collect();
    if clients.is_empty() {
        bail!("clients are java and go");
    }
    let program = node::build()?;
    let mut failed = Vec::new();
    for client in clients {
        if let Some(tool) = client.missing() {
            bail!("the {} clients need '{tool}', which is not here", client.name());
        }
        for run in programs(client, true)? {
            let name = run.name.clone();
            if let Err(error) = against_fresh_node(&program, run, &mut |_| {}) {
                failed.push(format!("{name}: {error:#}"));
            }
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// Builds what one kind of client needs; gives the runs. Not `thorough`: each client once.
pub(crate) fn programs(client: Client, thorough: bool) -> Result<Vec<Run>> {
    match client {
        Client::Go => {
            let program = target().join("e2e/go");
            command("go").args(["build", "-o"]).args([&program]).args(["."]).dir(&root().join("e2e/go")).run()?;
            Ok(vec![Run { name: "e2e-go".to_owned(), program: command(program).args(["all"]), flags: &[] }])
        }
        Client::Java => {
            let mut runs = Vec::new();
            for (version, usual) in [(JAVA_4, "JSON"), (JAVA_5, "ROCKETMQ")] {
                let jars = java(version)?;
                for encoding in ENCODINGS.into_iter().filter(|encoding| thorough || *encoding == usual) {
                    let encoding_flag = format!("-Drocketmq.serialize.type={encoding}");
                    let run = |area: &str| command("java").args(["-cp", &jars, &encoding_flag, MAIN, area]);
                    let name = format!("e2e-java-{version}-{}", encoding.to_lowercase());
                    if encoding == usual {
                        runs.push(Run { name: format!("{name}-bounds"), program: run("bounds"), flags: &BOUNDS });
                    }
                    runs.push(Run { name, program: run("all"), flags: &[] });
                }
            }
            Ok(runs)
        }
    }
}

/// Builds the Java programs against a client; gives the class path.
pub(crate) fn java(version: &str) -> Result<String> {
    let out: PathBuf = std::path::absolute(target().join("e2e").join(version))?;
    let build = ["-q", "-B", "-f", "e2e/java/pom.xml"].map(str::to_owned);
    let (version, dir) = (format!("-Drocketmq.version={version}"), format!("-DbuildDirectory={}", out.display()));
    command("mvn").args(build).args([version, dir]).args(["package", "dependency:copy-dependencies"]).run()?;
    Ok(format!("{0}/e2e.jar:{0}/dependency/*", out.display()))
}

/// Runs a client against a node of its own, and expects that both end well.
pub(crate) fn against_fresh_node(program: &Path, run: Run, each: &mut dyn FnMut(&str)) -> Result<()> {
    println!("--- {}", run.name);
    let dir = node::fresh_dir(&run.name)?;
    let flags: Vec<String> = run.flags.iter().map(|&flag| flag.to_owned()).collect();
    let node = Node::start(program, &dir, &flags)?;
    run.program.args(["--namesrv", node.address("nameserver")?]).watch(each)?;
    node.stop()
}
