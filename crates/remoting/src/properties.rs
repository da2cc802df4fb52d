//! Java properties, in which tools send settings.

use crate::reply::Reply;
use wire::remoting::ResponseCode;

/// Most bytes of a request to change settings.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Reads `key=value` lines, `#` and `!` before comments.
pub(crate) fn read(body: &[u8]) -> Result<Vec<(String, String)>, Reply> {
    if body.len() > TEXT_BYTES_MAX {
        let remark = format!("the configuration has {} bytes; at most {TEXT_BYTES_MAX} are allowed", body.len());
        return Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Reply::error(ResponseCode::SYSTEM_ERROR, format!("the configuration is not UTF-8: {error}"))
    })?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let pairs = lines.map(|line| line.split_once(['=', ':']).unwrap_or((line, "")));
    Ok(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_java_writes_them() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let pairs = read(text.as_bytes()).unwrap();
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(pairs, expected, "{text}");
        };
        check("", &[]);
        check("# a comment\n! another\n\nkey = value \n", &[("key", "value")]);
        check("a:1\r\nb=x=y\nc", &[("a", "1"), ("b", "x=y"), ("c", "")]);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        assert!(read(&vec![b'x'; TEXT_BYTES_MAX + 1]).is_err());
        assert!(read(b"\xff").is_err());
    }
}
