//! What an operator may change while the broker runs. Changes are kept with the metadata and go before the options with
//! which the broker was started, until they are taken back.

use crate::administration::{not_stored, to_its_end};
use crate::{AdminError, Broker};
use cluster::metadata::{Change, State};
use model::permission;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Seconds of an hour.
const HOUR_SECONDS: u64 = 3600;
/// Value of a setting that nobody changed.
const UNCHANGED: u64 = u64::MAX;

/// Something that can be changed while the broker runs. All values are numbers; switches are 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What clients may do here: the sum of 4 (read) and 2 (write). Without an option; 6 at first.
    Permission,
    /// Hours for which messages are kept.
    RetentionHours,
    /// Longest delay of a timed message, in seconds.
    TimerDelayMaxSeconds,
    /// Largest body in bytes; not more than the broker was started with.
    MessageBytesMax,
    /// Whether a send to an unknown topic creates it.
    AutoCreateTopics,
    /// Whether a consumer of an unknown group creates it.
    AutoCreateGroups,
}

/// A change of a setting; `None` takes an earlier one back.
pub type SettingChange = (Setting, Option<u64>);

impl Setting {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Permission,
        Self::RetentionHours,
        Self::TimerDelayMaxSeconds,
        Self::MessageBytesMax,
        Self::AutoCreateTopics,
        Self::AutoCreateGroups,
    ];

    /// Its name, that of the option where there is one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::RetentionHours => "retention-hours",
            Self::TimerDelayMaxSeconds => "timer-delay-max-seconds",
            Self::MessageBytesMax => "message-bytes-max",
            Self::AutoCreateTopics => "auto-create-topics",
            Self::AutoCreateGroups => "auto-create-groups",
        }
    }

    /// Whether it is on or off.
    #[must_use]
    pub fn is_switch(self) -> bool {
        matches!(self, Self::AutoCreateTopics | Self::AutoCreateGroups)
    }
}

/// The values that were changed.
#[derive(Debug)]
pub(crate) struct Settings([AtomicU64; Setting::ALL.len()]);

impl Settings {
    /// As they were changed before; what cannot be read any more counts for nothing.
    pub(crate) fn stored(state: &State) -> Self {
        let settings = Self(std::array::from_fn(|_| AtomicU64::new(UNCHANGED)));
        for setting in Setting::ALL {
            let Some(text) = state.kv(cluster::metadata::BROKER_SETTINGS, setting.name()) else { continue };
            match text.parse() {
                Ok(value) => {
                    tracing::warn!(setting = setting.name(), value, "as an operator changed it while the broker ran");
                    settings.set(setting, Some(value));
                }
                Err(error) => tracing::warn!(setting = setting.name(), text, %error, "a stored setting is ignored"),
            }
        }
        settings
    }

    fn set(&self, setting: Setting, value: Option<u64>) {
        self.0[setting as usize].store(value.unwrap_or(UNCHANGED), Relaxed);
    }

    fn get(&self, setting: Setting) -> Option<u64> {
        Some(self.0[setting as usize].load(Relaxed)).filter(|value| *value != UNCHANGED)
    }
}

impl Broker {
    /// The value in force.
    #[must_use]
    pub fn setting(&self, setting: Setting) -> u64 {
        self.settings().get(setting).unwrap_or_else(|| {
            let options = self.options();
            match setting {
                Setting::Permission => u64::from(permission::READ | permission::WRITE),
                Setting::RetentionHours => options.retention.as_secs() / HOUR_SECONDS,
                Setting::TimerDelayMaxSeconds => options.timer_delay_max.as_secs(),
                Setting::MessageBytesMax => options.message_bytes_max as u64,
                Setting::AutoCreateTopics => u64::from(options.auto_create_topics),
                Setting::AutoCreateGroups => u64::from(options.auto_create_groups),
            }
        })
    }

    /// The values that a setting may have.
    #[must_use]
    pub fn setting_range(&self, setting: Setting) -> RangeInclusive<u64> {
        match setting {
            Setting::Permission => 0..=u64::from(permission::READ | permission::WRITE),
            Setting::RetentionHours => 1..=crate::retention::HOURS_MAX,
            Setting::TimerDelayMaxSeconds => 1..=crate::retention::HOURS_MAX * HOUR_SECONDS,
            Setting::MessageBytesMax => 1024..=self.options().message_bytes_max as u64,
            Setting::AutoCreateTopics | Setting::AutoCreateGroups => 0..=1,
        }
    }

    /// Changes settings, all or none, whatever happens meanwhile; durable on return. Of a setting that is named twice the
    /// last value counts.
    ///
    /// # Errors
    /// [`AdminError::Range`], [`AdminError::Metadata`]: nothing was changed; if the disk failed, the next start may show
    /// all of the changes.
    pub async fn change_settings(self: &Arc<Self>, changes: &[SettingChange]) -> Result<(), AdminError> {
        for (setting, value) in changes {
            let allowed = self.setting_range(*setting);
            if let Some(value) = value.filter(|value| !allowed.contains(value) || is_odd_permission(*setting, *value)) {
                let allowed = match setting {
                    Setting::Permission => "6 (read and write), 4 (read), 2 (write) and 0".to_owned(),
                    _ => format!("{} to {}", allowed.start(), allowed.end()),
                };
                return Err(AdminError::Range { what: setting.name(), value: value.to_string(), allowed });
            }
        }
        // One change of the metadata, so that a disk that fails leaves all of them or none.
        let edits = changes.iter().map(|(setting, value)| (setting.name().to_owned(), value.map(|v| v.to_string())));
        let change =
            Change::KvEdited { namespace: cluster::metadata::BROKER_SETTINGS.to_owned(), edits: edits.collect() };
        let (broker, changes) = (Arc::clone(self), changes.to_vec());
        to_its_end(async move { broker.store_settings(change, &changes).await }).await
    }

    async fn store_settings(&self, change: Change, changes: &[SettingChange]) -> Result<(), AdminError> {
        let _changing = self.changing().lock().await;
        self.metadata().propose(change).await.map_err(not_stored)?;
        for (setting, value) in changes {
            self.settings().set(*setting, *value);
            tracing::info!(setting = setting.name(), ?value, "changed by an operator");
        }
        self.tell_name_servers(None);
        Ok(())
    }

    /// What clients may do here at most, whatever the topic says: [`permission`] bits.
    #[must_use]
    pub fn permission(&self) -> u32 {
        self.setting(Setting::Permission) as u32
    }

    pub(crate) fn retention_time(&self) -> Duration {
        let changed = self.settings().get(Setting::RetentionHours);
        changed.map_or(self.options().retention, |hours| Duration::from_secs(hours * HOUR_SECONDS))
    }

    pub(crate) fn timer_delay_max(&self) -> Duration {
        let changed = self.settings().get(Setting::TimerDelayMaxSeconds);
        changed.map_or(self.options().timer_delay_max, Duration::from_secs)
    }

    pub(crate) fn message_bytes_max(&self) -> usize {
        self.setting(Setting::MessageBytesMax) as usize
    }
}

fn is_odd_permission(setting: Setting, value: u64) -> bool {
    setting == Setting::Permission && value & u64::from(permission::INHERIT) != 0
}
