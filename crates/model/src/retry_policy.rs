//! How long a group's messages wait before each retry: the original's `groupRetryPolicy` as JSON.
//!
//! ```json
//! {"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}}
//! {"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000,10000]}}
//! ```

use serde::Deserialize;
use std::time::Duration;

/// A group's own pauses before retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Each pause is a multiple of the one before.
    Exponential {
        /// The first pause in ms.
        initial: u64,
        /// The longest pause in ms.
        max: u64,
        /// By how much the pause grows each time.
        multiplier: u64,
    },
    /// The pauses one by one, in ms; the last one stays. Never empty.
    Listed(Vec<u64>),
}

/// Why a text is no retry policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryPolicyError {
    /// It cannot be read.
    #[error("groupRetryPolicy cannot be read: {0}")]
    Json(String),
    /// A number makes no sense.
    #[error("{field} of groupRetryPolicy must be at least 1")]
    Zero {
        /// The field.
        field: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Policy {
    r#type: Type,
    exponential_retry_policy: Option<Exponential>,
    customized_retry_policy: Option<Customized>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Type {
    Exponential,
    #[default]
    Customized,
}

#[derive(Deserialize)]
#[serde(default)]
struct Exponential {
    initial: u64,
    max: u64,
    multiplier: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Customized {
    next: Vec<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { r#type: Type::Customized, exponential_retry_policy: None, customized_retry_policy: None }
    }
}

impl Default for Exponential {
    fn default() -> Self {
        Self { initial: 5_000, max: 7_200_000, multiplier: 2 }
    }
}

impl RetryPolicy {
    /// Reads a policy; `None` if it names no pauses, so that those of all groups hold.
    ///
    /// # Errors
    /// [`RetryPolicyError`].
    pub fn parse(json: &str) -> Result<Option<Self>, RetryPolicyError> {
        let policy: Policy = serde_json::from_str(json).map_err(|error| RetryPolicyError::Json(error.to_string()))?;
        match (policy.r#type, policy.exponential_retry_policy, policy.customized_retry_policy) {
            (Type::Exponential, Some(Exponential { initial, max, multiplier }), _) => {
                for (field, value) in [("initial", initial), ("max", max), ("multiplier", multiplier)] {
                    if value == 0 {
                        return Err(RetryPolicyError::Zero { field });
                    }
                }
                Ok(Some(Self::Exponential { initial, max, multiplier }))
            }
            (Type::Customized, _, Some(Customized { next })) if next.contains(&0) => {
                Err(RetryPolicyError::Zero { field: "each number of next" })
            }
            (Type::Customized, _, Some(Customized { next })) if !next.is_empty() => Ok(Some(Self::Listed(next))),
            _ => Ok(None),
        }
    }

    /// How long a message waits that was consumed in vain so often before, this time not counted.
    #[must_use]
    pub fn pause(&self, reconsume_times: i32) -> Duration {
        let times = u32::try_from(reconsume_times).unwrap_or(0);
        let millis = match self {
            Self::Exponential { initial, max, multiplier } => {
                initial.saturating_mul(multiplier.saturating_pow(times)).min(*max)
            }
            Self::Listed(next) => next[(times as usize).min(next.len() - 1)],
        };
        Duration::from_millis(millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_follow_the_policy() {
        let check = |json: &str, expected: Option<&[u64]>| {
            let policy = RetryPolicy::parse(json).unwrap();
            let pauses = policy.map(|policy| {
                (0..i32::try_from(expected.map_or(0, <[_]>::len)).unwrap())
                    .map(|times| policy.pause(times).as_millis() as u64)
                    .collect::<Vec<_>>()
            });
            assert_eq!(pauses.as_deref(), expected, "{json}");
        };
        check(
            r#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":10,"max":50}}"#,
            Some(&[10, 20, 40, 50, 50]),
        );
        check(r#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{}}"#, Some(&[5_000, 10_000, 20_000]));
        check(r#"{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[7,3]}}"#, Some(&[7, 3, 3]));
        // What is not said: the pauses of all groups.
        check(r#"{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[]}}"#, None);
        check(r#"{"type":"CUSTOMIZED","exponentialRetryPolicy":{}}"#, None);
        check(r#"{"type":"EXPONENTIAL"}"#, None);
        check("{}", None);
        let long = RetryPolicy::Exponential { initial: 5_000, max: 7_200_000, multiplier: 10 };
        assert_eq!(long.pause(i32::MAX), Duration::from_secs(7_200));
        assert_eq!(long.pause(-1), Duration::from_secs(5));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |json: &str, expected: &str| {
            let error = RetryPolicy::parse(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("[]x", "cannot be read");
        check(r#"{"type":"LINEAR"}"#, "unknown variant");
        check(r#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":0}}"#, "initial of groupRetryPolicy");
        check(r#"{"customizedRetryPolicy":{"next":[5,0]}}"#, "each number of next");
        check(r#"{"customizedRetryPolicy":{"next":[-5]}}"#, "cannot be read");
    }
}
