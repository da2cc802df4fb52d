//! Pages made from the table of options.

use super::Kind;
use super::table::{OPTIONS, Spec};
use std::fmt::Write as _;

/// The text of `docs/options.md`.
pub(crate) fn options_page() -> String {
    let mut page = String::from(
        "# Options\n\n\
         Made from the table in `crates/trefoil/src/config/table.rs` by `cargo x gen`; do not edit.\n\n\
         Each option has one name: `data-dir` is the key in a TOML file (`trefoil serve --config FILE`, or the file that\n\
         `TREFOIL_CONFIG` names), `TREFOIL_DATA_DIR` in the environment, `--data-dir` as a flag. Flags win over the\n\
         environment, which wins over the file; variables that Kubernetes makes for services of that name are passed\n\
         over. `trefoil config show` prints what is in force and where it came from;\n\
         `trefoil config default` prints a file with every default. Byte sizes take `KiB`, `MiB`, `GiB` and `TiB`.\n\n\
         A file whose name ends in `.conf` or `.properties` is read as the `key=value` lines of RocketMQ; its familiar\n\
         keys (`brokerName`, `namesrvAddr`, `flushDiskType`, …) are understood in both kinds, with a warning that names\n\
         ours.\n\n\
         | option | default | allowed | meaning |\n|---|---|---|---|\n",
    );
    for Spec { name, kind, default, doc } in OPTIONS {
        let allowed = kind.allowed().replace('|', "\\|");
        let default = if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
        writeln!(page, "| `{name}` | {default} | {allowed} | {doc} |").expect("writing to a string");
    }
    page
}

/// A file with every option at its default.
pub(crate) fn default_file() -> String {
    let mut file = String::from("# Every option with its default. Leave out what you do not change.\n");
    for spec in OPTIONS {
        writeln!(
            file,
            "\n# {}\n# Allowed: {}.\n{}",
            spec.doc,
            spec.kind.allowed(),
            line(spec.name, spec.kind, spec.default)
        )
        .expect("writing to a string");
    }
    file
}

/// One line of TOML.
fn line(name: &str, kind: Kind, text: &str) -> String {
    if kind.is_bare() { format!("{name} = {text}") } else { format!("{name} = {text:?}") }
}
