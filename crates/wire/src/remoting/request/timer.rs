//! Timed messages.

use crate::remoting::field::header_fields;

header_fields! {
    /// `LIST_TIMERS` and `CANCEL_TIMERS`: timed messages that wait, in order of their due times. The answer's body has
    /// their records as they wait, back to back; its field `next` is what to go on behind, if there may be more. `after`
    /// and `only` are a due time (ms since the epoch), a colon, and a position in the log.
    pub struct TimerQuery<'a> {
        topic: Option<&'a str> = "topic",
        key: Option<&'a str> = "key",
        from: Option<i64> = "from",
        until: Option<i64> = "until",
        only: Option<&'a str> = "only",
        after: Option<&'a str> = "after",
        max_num: Option<i32> = "maxNum",
    }
}
