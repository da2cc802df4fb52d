//! Changes of attributes: `+name` sets, `-name` removes, and what is not named stays.

use crate::reply::Reply;
use std::collections::BTreeMap;
use wire::remoting::ResponseCode;

pub(super) type Attributes = BTreeMap<String, String>;

/// Applies `+name=value,-name`, as topics are changed.
pub(super) fn change_by_text(text: &str, to: &mut Attributes) -> Result<(), Reply> {
    for change in text.split(',').map(str::trim).filter(|change| !change.is_empty()) {
        if let Some(name) = change.strip_prefix('-') {
            to.remove(name);
            continue;
        }
        let pair = change.strip_prefix('+').ok_or_else(|| refuse(change, "must begin with + or -"))?;
        let (name, value) = pair.split_once('=').ok_or_else(|| refuse(change, "has no value; write +name=value"))?;
        to.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

/// Applies a map whose names may begin with + or -, as groups and lists of topics are changed. A name without a sign, as
/// it is in settings that were read, is set.
pub(super) fn change_by_map(changes: Attributes, to: &mut Attributes) {
    for (name, value) in changes {
        match name.strip_prefix('-') {
            Some(name) => drop(to.remove(name)),
            None => drop(to.insert(name.trim_start_matches('+').to_owned(), value)),
        }
    }
}

fn refuse(change: &str, why: &str) -> Reply {
    Reply::error(ResponseCode::INVALID_PARAMETER, format!("attribute '{change}' {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn text_changes_what_it_names() {
        let check = |text: &str, expected: Option<&[(&str, &str)]>| {
            let mut attributes = map(&[("a", "1"), ("b", "2")]);
            let seen = change_by_text(text, &mut attributes).ok().map(|()| attributes);
            assert_eq!(seen, expected.map(map), "{text}");
        };
        check("", Some(&[("a", "1"), ("b", "2")]));
        check("+a=3, -b,+c=x=y", Some(&[("a", "3"), ("c", "x=y")]));
        check("-nothing", Some(&[("a", "1"), ("b", "2")]));
        check("+a", None);
        check("a=3", None);
    }

    #[test]
    fn maps_change_what_they_name() {
        let check = |changes: &[(&str, &str)], expected: &[(&str, &str)]| {
            let mut attributes = map(&[("a", "1"), ("b", "2")]);
            change_by_map(map(changes), &mut attributes);
            assert_eq!(attributes, map(expected), "{changes:?}");
        };
        check(&[], &[("a", "1"), ("b", "2")]);
        check(&[("+a", "3"), ("-b", ""), ("c", "4")], &[("a", "3"), ("c", "4")]);
    }
}
