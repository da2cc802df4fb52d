//! Times as people write them: UTC, to the millisecond.

const DAY_MS: i64 = 86_400_000;

/// Days since the epoch of a date (proleptic Gregorian calendar).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `2026-11-21T06:00:00.000Z`; `-` for times that are not set.
pub(super) fn text(ms: i64) -> String {
    if ms <= 0 {
        return "-".to_owned();
    }
    let (days, rest) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = date_of(days);
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1_000)
}

/// Ms since the epoch from such a text (seconds, their fraction and `Z` may be left out), or from a number of ms.
pub(super) fn parse(text: &str) -> Option<i64> {
    if let Ok(ms) = text.parse::<i64>() {
        return (ms >= 0).then_some(ms);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let numbers = |text: &str, separator: char| {
        text.split(separator).map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>()
    };
    let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock = numbers(clock, ':')?;
    let (hours, minutes, seconds) = match clock[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let is_good = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..24).contains(&hours);
    let is_good = is_good && (0..60).contains(&minutes) && (0..61).contains(&seconds) && (1970..=9999).contains(&year);
    let days = days_of(year, month, day);
    // The 31st of February would be a day of March.
    let is_good = is_good && date_of(days) == (year, month, day);
    let since_midnight = (hours * 3600 + minutes * 60 + seconds) * 1000 + ms;
    is_good.then(|| days * DAY_MS + since_midnight)
}

/// The same, as the value of a flag.
pub(super) fn arg(text: &str) -> Result<i64, String> {
    parse(text).ok_or_else(|| "allowed are ms since the epoch and times like 2026-11-21T06:00:00Z".to_owned())
}

/// Ms since the epoch at which the month of a time began.
pub(super) fn month_start(ms: i64) -> i64 {
    let (year, month, _) = date_of(ms.div_euclid(DAY_MS));
    days_of(year, month, 1) * DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ms: i64, expected: &str) {
        assert_eq!(text(ms), expected);
        assert_eq!(parse(expected), Some(ms));
    }

    #[test]
    fn there_and_back() {
        check(1, "1970-01-01T00:00:00.001Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_795_240_799_123, "2026-11-21T05:59:59.123Z");
        assert_eq!(parse("2000-02-29"), Some(951_782_400_000));
        assert_eq!(parse("2000-02-29 00:01"), Some(951_782_460_000));
        assert_eq!(parse("951782400000"), Some(951_782_400_000));
        for wrong in ["", "yesterday", "2000-13-01", "2000-01-01T25:00", "-5", "2000-01-01T00:00:00.é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for wrong in ["2026-02-31", "2026-02-29T06:00:00Z", "1900-02-29", "2026-04-31", "2026-01-00"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("2026-02-28"), Some(1_772_236_800_000));
        assert_eq!(parse("2024-12-31"), Some(1_735_603_200_000));
        assert_eq!(text(0), "-");
        assert_eq!(text(month_start(1_795_240_799_123)), "2026-11-01T00:00:00.000Z");
    }
}
