//! What an operator may say, and where: file < environment < flag.
//!
//! [`table`] is the one list of options. `docs/options.md`, `trefoil config default` and the flags of `trefoil serve`
//! are made from it, so that none of them can disagree.

mod alias;
mod fault;
mod kind;
mod page;
mod settings;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use fault::{Fault, Faults};
pub(crate) use kind::Kind;
pub(crate) use page::{default_file, options_page};
pub(crate) use settings::{Role, Settings};
pub(crate) use source::{FILE_VARIABLE, Given, Origin, environment, file};
pub(crate) use table::{OPTIONS, Spec};

/// Options with a value each, checked.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// In the order of [`OPTIONS`].
    pub(crate) values: Vec<(&'static Spec, String, Origin)>,
    /// What the operator should know though it is no fault.
    pub(crate) warnings: Vec<String>,
}

/// Puts what was given, in rising precedence, over the defaults.
///
/// # Errors
/// Every fault there is, not only the first.
pub(crate) fn resolve(given: Vec<Given>) -> Result<Resolved, Faults> {
    let mut values: Vec<_> = OPTIONS.iter().map(|spec| (spec, spec.default.to_owned(), Origin::Default)).collect();
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    for mut item in given {
        if let Origin::File { .. } = item.origin
            && let Some(known) = alias::find(&item.key)
        {
            match alias::translate(known, &item) {
                Ok((new, warning)) => {
                    warnings.push(warning);
                    match new {
                        Some(new) => item = new,
                        None => continue,
                    }
                }
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            }
        }
        match OPTIONS.iter().position(|spec| spec.name == item.key) {
            None => faults.push(Fault::unknown(&item)),
            Some(at) => match OPTIONS[at].kind.check(&item.text) {
                Ok(()) => values[at] = (&OPTIONS[at], item.text, item.origin),
                Err(allowed) => faults.push(Fault::range(&item, allowed)),
            },
        }
    }
    if faults.is_empty() {
        faults = settings::contradictions(&values);
    }
    if faults.is_empty() { Ok(Resolved { values, warnings }) } else { Err(Faults(faults)) }
}
