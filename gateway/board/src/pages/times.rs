//! Times as people read them: 24 hours, local, with the day or the night named where it is not clear. Enters: UTC milliseconds.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::gateway::Lang;

const DAYS: [(&str, &str); 7] = [
    ("måndag", "Monday"),
    ("tisdag", "Tuesday"),
    ("onsdag", "Wednesday"),
    ("torsdag", "Thursday"),
    ("fredag", "Friday"),
    ("lördag", "Saturday"),
    ("söndag", "Sunday"),
];
const MONTHS: [(&str, &str); 12] = [
    ("januari", "January"),
    ("februari", "February"),
    ("mars", "March"),
    ("april", "April"),
    ("maj", "May"),
    ("juni", "June"),
    ("juli", "July"),
    ("augusti", "August"),
    ("september", "September"),
    ("oktober", "October"),
    ("november", "November"),
    ("december", "December"),
];
/// The hours that are called a night, local: from the evening's to the morning's. Our choice.
const NIGHT: (i8, i8) = (21, 6);

/// A page's sense of time.
#[derive(Debug, Clone)]
pub struct Times {
    pub zone: TimeZone,
    pub lang: Lang,
    /// UTC milliseconds.
    pub now_ms: i64,
}

impl Times {
    fn local(&self, at_ms: i64) -> jiff::Zoned {
        Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// `03:12:08`.
    pub fn clock(&self, at_ms: i64) -> String {
        self.local(at_ms).strftime("%H:%M:%S").to_string()
    }

    /// `03:12`.
    pub fn minute(&self, at_ms: i64) -> String {
        self.local(at_ms).strftime("%H:%M").to_string()
    }

    pub fn date_of(&self, at_ms: i64) -> Date {
        self.local(at_ms).date()
    }

    /// `22 november 2026`, without the year in this one.
    pub fn date(&self, date: Date) -> String {
        let month = MONTHS[usize::try_from(date.month() - 1).unwrap_or_default() % 12];
        let month = if self.lang == Lang::Sv { month.0 } else { month.1 };
        match date.year() == self.date_of(self.now_ms).year() {
            true => format!("{} {month}", date.day()),
            false => format!("{} {month} {}", date.day(), date.year()),
        }
    }

    fn weekday(&self, date: Date) -> &'static str {
        let day = DAYS[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default() % 7];
        if self.lang == Lang::Sv { day.0 } else { day.1 }
    }

    /// `03:12:08` today, `lördag 23:41:09` within a week, else with its date.
    pub fn when(&self, at_ms: i64) -> String {
        let (then, today) = (self.date_of(at_ms), self.date_of(self.now_ms));
        match (self.now_ms - at_ms).abs() {
            _ if then == today => self.clock(at_ms),
            away if away < 6 * 24 * 3_600_000 => format!("{} {}", self.weekday(then), self.clock(at_ms)),
            _ => format!("{} {}", self.date(then), self.minute(at_ms)),
        }
    }

    /// `natten mot söndag 22 november`, or by day `söndag 22 november`.
    pub fn day_or_night(&self, at_ms: i64) -> String {
        let local = self.local(at_ms);
        let hour = local.hour();
        let morning = if hour >= NIGHT.0 { local.date().tomorrow().unwrap_or(local.date()) } else { local.date() };
        let day = format!("{} {}", self.weekday(morning), self.date(morning));
        match (hour >= NIGHT.0 || hour < NIGHT.1, self.lang) {
            (false, _) => day,
            (true, Lang::Sv) => format!("natten mot {day}"),
            (true, Lang::En) => format!("the night to {day}"),
        }
    }

    pub fn is_night(&self) -> bool {
        let hour = self.local(self.now_ms).hour();
        hour >= NIGHT.0 || hour < NIGHT.1
    }

    /// `0:47`, `12:20`, `1:04 h`, `3 d`: as `ages` in live.js makes it.
    pub fn age(&self, at_ms: i64) -> String {
        let s = ((self.now_ms - at_ms) / 1_000).max(0);
        match s {
            0..3_600 => format!("{}:{:02}", s / 60, s % 60),
            3_600..86_400 => format!("{}:{:02} h", s / 3_600, s / 60 % 60),
            _ => format!("{} d", s / 86_400),
        }
    }

    /// `4 sekunder`, `3 minuter`, `2 timmar`, `5 dagar`: a length in words.
    pub fn lasting(&self, ms: i64) -> String {
        let s = (ms / 1_000).max(0);
        let (n, sv, en) = match s {
            0..120 => (s, ("sekund", "sekunder"), ("second", "seconds")),
            120..7_200 => (s / 60, ("minut", "minuter"), ("minute", "minutes")),
            7_200..172_800 => (s / 3_600, ("timme", "timmar"), ("hour", "hours")),
            _ => (s / 86_400, ("dag", "dagar"), ("day", "days")),
        };
        super::words::many(self.lang, usize::try_from(n).unwrap_or_default(), sv, en)
    }

    /// `om 3 minuter` or `för 3 minuter sedan`.
    pub fn away(&self, at_ms: i64) -> String {
        let ms = at_ms - self.now_ms;
        let length = self.lasting(ms.abs());
        match (ms >= 0, self.lang) {
            (true, Lang::Sv) => format!("om {length}"),
            (true, Lang::En) => format!("in {length}"),
            (false, Lang::Sv) => format!("för {length} sedan"),
            (false, Lang::En) => format!("{length} ago"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(at: &str, lang: Lang) -> Times {
        let zone = TimeZone::get("Europe/Stockholm").expect("a zone");
        Times { zone, lang, now_ms: at.parse::<Timestamp>().expect("a time").as_millisecond() }
    }

    #[test]
    fn a_night_is_named_by_its_morning_on_both_sides_of_midnight() {
        for at in ["2026-11-21T22:30:00Z", "2026-11-22T02:12:08Z"] {
            let times = times(at, Lang::Sv);
            assert_eq!(times.day_or_night(times.now_ms), "natten mot söndag 22 november", "{at}");
            assert!(times.is_night());
        }
        let by_day = times("2026-11-22T12:00:00Z", Lang::En);
        assert_eq!(by_day.day_or_night(by_day.now_ms), "Sunday 22 November");
        assert!(!by_day.is_night());
    }

    #[test]
    fn a_time_of_another_day_says_which() {
        let times = times("2026-11-22T02:12:08Z", Lang::Sv);
        assert_eq!(times.when(times.now_ms - 60_000), "03:11:08");
        assert_eq!(times.when(times.now_ms - 4 * 3_600_000), "lördag 23:12:08");
        assert_eq!(times.when(times.now_ms - 40 * 24 * 3_600_000), "13 oktober 04:12");
    }

    #[test]
    fn an_age_is_short_and_grows() {
        let times = times("2026-11-22T02:12:08Z", Lang::En);
        let ages = [47, 740, 3_840, 3 * 86_400].map(|s| times.age(times.now_ms - s * 1_000));
        assert_eq!(ages, ["0:47", "12:20", "1:04 h", "3 d"]);
        assert_eq!(times.age(times.now_ms + 5_000), "0:00", "a clock ahead of ours");
        assert_eq!(times.away(times.now_ms + 180_000), "in 3 minutes");
    }
}
