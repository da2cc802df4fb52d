//! `trefoil config`: what the options are.

use super::output::{print, table};
use super::{Flags, Format};
use crate::config::{default_file, options_page};
use serde_json::json;

/// Show options.
#[derive(clap::Subcommand)]
pub(super) enum Config {
    /// Print what is in force and where it came from.
    Show {
        #[command(flatten)]
        flags: Flags,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Print a file with every option at its default.
    Default {
        /// Print the documentation page instead.
        #[arg(long)]
        page: bool,
    },
}

pub(super) fn run(command: &Config) -> anyhow::Result<()> {
    match command {
        Config::Default { page: true } => print(&options_page()),
        Config::Default { page: false } => print(&default_file()),
        Config::Show { flags, output } => {
            let resolved = flags.load()?;
            for warning in &resolved.warnings {
                eprintln!("warning: {warning}");
            }
            match output {
                Format::Text => {
                    let rows = resolved.values.iter();
                    let rows =
                        rows.map(|(spec, text, origin)| [spec.name.to_owned(), text.clone(), origin.to_string()]);
                    print(&table(["OPTION", "VALUE", "FROM"], rows))
                }
                Format::Json => {
                    let rows = resolved.values.iter();
                    let rows = rows.map(|(spec, text, origin)| {
                        json!({ "option": spec.name, "value": text, "from": origin.to_string(), "variable": spec.variable() })
                    });
                    print(&format!("{:#}\n", json!(rows.collect::<Vec<_>>())))
                }
            }
        }
    }
}
