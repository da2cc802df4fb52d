//! Timed messages, as operators see them.

use super::{DataVersion, body};
use std::collections::BTreeMap;

body! {
    /// Answer of `GET_TIMER_METRICS`.
    #[derive(Eq)]
    pub struct TimerMetrics {
        data_version: DataVersion,
        timing_count: BTreeMap<String, TimingCount>,
    }

    /// Messages of one topic that wait.
    #[derive(Eq)]
    pub struct TimingCount {
        count: u64,
        time_stamp: i64,
    }

    /// Answer of `GET_ALL_DELAY_OFFSET`: how far each delay level is.
    #[derive(Eq)]
    pub struct DelayOffsets {
        data_version: DataVersion,
        offset_table: BTreeMap<i32, i64>,
    }
}
