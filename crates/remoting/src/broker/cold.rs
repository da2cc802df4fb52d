//! How fast consumers may read what is no longer in memory, as the original's tools see it. Here one option bounds all of
//! it; groups are bounded by their attributes.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use wire::remoting::ResponseCode;
use wire::remoting::body::ColdDataInfo;
use wire::remoting::header::Header;
use wire::remoting::loose_json::{Dialect, to_vec};

/// Field of the original that says how its log is mapped to memory.
const READ_MODE: &str = "READ_AHEAD_MODE";
/// The mode that is in force: the system reads ahead as it likes.
const READ_MODE_NORMAL: &str = "0";

pub(super) fn info(request: &Request, _: &Header<'_>) -> Outcome {
    let threshold = request.broker.options().cold_read_bytes_per_second.unwrap_or(0) as i64;
    let body = ColdDataInfo { global_cold_read_threshold: threshold, ..ColdDataInfo::default() };
    Ok(Reply::ok().with_body(to_vec(&body, Dialect::Strict)))
}

pub(super) fn limit(request: &Request) -> Outcome {
    let text = String::from_utf8_lossy(request.body());
    let group = text.split('=').next().unwrap_or_default().trim();
    let remark = format!(
        "cold reads have no threshold for group '{group}' here; bound it by its attribute quota.bytes-per-second, or all \
         by the option cold-read-bytes-per-second"
    );
    Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark))
}

/// No group ever has a threshold.
pub(super) fn unlimit() -> Outcome {
    Ok(Reply::ok())
}

pub(super) fn read_mode(header: &Header<'_>) -> Outcome {
    let asked = header.fields.iter().find(|(name, _)| *name == READ_MODE).map(|(_, value)| value.to_string());
    match asked.as_deref() {
        Some(READ_MODE_NORMAL) => {
            Ok(Reply { remark: Some("set commitlog readahead mode success, mode: 0".to_owned()), ..Reply::ok() })
        }
        Some(other) => {
            let remark = format!("{READ_MODE} is '{other}'; only 0 is possible, the log is not mapped to memory here");
            Err(Reply::error(ResponseCode::INVALID_PARAMETER, remark))
        }
        None => {
            let remark = format!("set commitlog readahead mode failed: field '{READ_MODE}' is missing");
            Err(Reply::error(ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}
