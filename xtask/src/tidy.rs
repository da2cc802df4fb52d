//! What no compiler checks: edges between crates, lengths, names, unfinished marks, pages.

use crate::shell::{files, root};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which crate may depend on which.
const EDGES: [(&str, &[&str]); 9] = [
    ("model", &[]),
    ("rt", &[]),
    ("wire", &["model"]),
    ("store", &["model", "rt"]),
    ("cluster", &["model", "rt", "wire", "store"]),
    ("broker", &["model", "rt", "store", "cluster"]),
    ("remoting", &["model", "rt", "wire", "cluster", "broker"]),
    ("console", &["model", "rt", "cluster", "broker"]),
    ("trefoil", &["model", "rt", "wire", "store", "cluster", "broker", "remoting", "console"]),
];
/// Lines of a file of code without tests: an error beyond the second, a warning beyond the first.
const LINES_WANTED: usize = 500;
const LINES_MAX: usize = 1000;
const ARCHITECTURE_LINES_MAX: usize = 200;
/// A type or module that wants such a name has no clear job yet.
const BANNED_ENDINGS: [&str; 8] = ["Manager", "Processor", "Service", "Impl", "Helper", "Util", "Utils", "Factory"];

/// Says everything that is wrong.
pub(crate) fn run() -> Result<()> {
    let mut wrong = Vec::new();
    edges(&mut wrong)?;
    for path in sources()? {
        let text = std::fs::read_to_string(&path)?;
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        source(&name, &text, &mut wrong);
    }
    error_pages(&mut wrong)?;
    options_page(&mut wrong)?;
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?.lines().count();
    if architecture > ARCHITECTURE_LINES_MAX {
        wrong.push(format!("ARCHITECTURE.md has {architecture} lines; at most {ARCHITECTURE_LINES_MAX}"));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} things are untidy\n  {}", wrong.len(), wrong.join("\n  "))
}

fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in ["crates", "sim", "xtask", "fuzz"].map(|dir| root().join(dir)) {
        if dir.try_exists()? {
            found.extend(files(&dir, "rs")?);
        }
    }
    Ok(found)
}

fn edges(wrong: &mut Vec<String>) -> Result<()> {
    let dirs = std::fs::read_dir(root().join("crates"))?;
    let mut names: Vec<String> =
        dirs.map(|dir| Ok(dir?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    names.sort();
    for name in &names {
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("crates/{name} is not in the table of edges (xtask/src/tidy.rs)"));
            continue;
        };
        let path = root().join("crates").join(name).join("Cargo.toml");
        let manifest: toml::Table =
            toml::from_str(&std::fs::read_to_string(&path)?).context(path.display().to_string())?;
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        for dependency in dependencies.into_iter().flat_map(toml::Table::keys) {
            if names.contains(dependency) && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("crates/{name} must not depend on {dependency}"));
            }
        }
    }
    let xtask: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("xtask/Cargo.toml"))?)?;
    let dependencies = xtask.get("dependencies").and_then(toml::Value::as_table);
    for dependency in dependencies.into_iter().flat_map(toml::Table::keys).filter(|name| names.contains(name)) {
        wrong.push(format!("xtask must not depend on {dependency}"));
    }
    Ok(())
}

/// Lines before the tests at the end of a file.
fn code_lines(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

fn source(name: &str, text: &str, wrong: &mut Vec<String>) {
    let lines = code_lines(text);
    if !is_test(name) && lines > LINES_MAX {
        wrong.push(format!("{name} has {lines} lines; split it, at most {LINES_MAX}"));
    } else if !is_test(name) && lines > LINES_WANTED {
        eprintln!("warning: {name} has {lines} lines; {LINES_WANTED} are enough for a file");
    }
    if name.ends_with("/mod.rs") {
        wrong.push(format!("{name}: use {}.rs beside the folder", name.trim_end_matches("/mod.rs")));
    }
    for (at, line) in text.lines().enumerate() {
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("HA", "CK:")] {
            if line.contains(mark) {
                wrong.push(format!("{name}:{}: unfinished mark {mark}", at + 1));
            }
        }
        if let Some(banned) = declared(line).filter(|declared| is_banned(declared)) {
            wrong.push(format!("{name}:{}: '{banned}' says nothing of its job", at + 1));
        }
    }
}

/// The name that a line declares.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe");
    let is_declaration = matches!(words.next()?, "struct" | "enum" | "trait" | "mod" | "type" | "union");
    let name = words.next()?.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    is_declaration.then_some(name)
}

fn is_banned(name: &str) -> bool {
    let module = |ending: &str| name == ending.to_lowercase() || name.ends_with(&format!("_{}", ending.to_lowercase()));
    BANNED_ENDINGS.iter().any(|ending| name.ends_with(ending) || module(ending))
}

/// Codes in the source and pages about them come in pairs.
fn error_pages(wrong: &mut Vec<String>) -> Result<()> {
    let mut codes = BTreeSet::new();
    for path in files(&root().join("crates"), "rs")? {
        let text = std::fs::read_to_string(path)?;
        for (at, _) in text.match_indices("\"TF") {
            let code: String = text[at + 1..].chars().take(6).collect();
            if is_code(&code) {
                codes.insert(code);
            }
        }
    }
    let pages = files(&root().join("docs/errors"), "md")?;
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let pages: BTreeSet<String> = pages.iter().filter_map(stem).filter(|stem| is_code(stem)).collect();
    wrong.extend(codes.difference(&pages).map(|code| format!("docs/errors/{code}.md is missing")));
    wrong.extend(pages.difference(&codes).map(|code| format!("docs/errors/{code}.md: nothing has this code")));
    Ok(())
}

fn is_code(text: &str) -> bool {
    text.len() == 6 && text.starts_with("TF") && text[2..].bytes().all(|byte| byte.is_ascii_digit())
}

fn options_page(wrong: &mut Vec<String>) -> Result<()> {
    let table = std::fs::read_to_string(root().join(Path::new("crates/trefoil/src/config/table.rs")))?;
    let page = std::fs::read_to_string(root().join("docs/options.md"))?;
    for rest in table.split("option(").skip(1) {
        let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
        if let Some(name) = name.filter(|name| !page.contains(&format!("`{name}`"))) {
            wrong.push(format!("docs/options.md does not tell of '{name}'; run: cargo x gen"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut wrong = Vec::new();
        source("a/b.rs", text, &mut wrong);
        assert_eq!(wrong, expected, "{text}");
    }

    #[test]
    fn names_and_marks() {
        check("pub(crate) struct TopicManager {", &["a/b.rs:1: 'TopicManager' says nothing of its job"]);
        check("mod string_utils;", &["a/b.rs:1: 'string_utils' says nothing of its job"]);
        check("struct Implied; // utils are not declared here", &[]);
        check(concat!("// TO", "DO later"), &[concat!("a/b.rs:1: unfinished mark TO", "DO")]);
        let long = "x\n".repeat(LINES_MAX + 1);
        check(&long, &["a/b.rs has 1001 lines; split it, at most 1000"]);
        check(&format!("x\n#[cfg(test)]\n{long}"), &[]);
    }
}
