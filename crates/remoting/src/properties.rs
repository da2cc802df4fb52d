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
