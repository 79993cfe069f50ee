//! How figures are said: Swedish, or English; short, with units.

use jiff::tz::TimeZone;

use crate::config::Language;
use crate::journal::record::CloseOutcome;
use crate::rules::care::when;

/// Speaks one language.
#[derive(Clone, Copy)]
pub struct Voice {
    pub language: Language,
}

impl Voice {
    pub fn say<'w>(self, sv: &'w str, en: &'w str) -> &'w str {
        match self.language {
            Language::Sv => sv,
            Language::En => en,
        }
    }

    /// How long, in at most two units: `0,4 s`, `12 min`, `1 h 05 min`, `3 d 2 h`.
    pub fn lasting(self, ms: i64) -> String {
        let (s, min) = (ms / 1_000, ms / 60_000);
        let day = self.say("dygn", "d");
        match ms {
            ..=0 => "0".to_owned(),
            1..1_000 => format!("{ms} ms"),
            1_000..10_000 => {
                let point = self.say(",", ".");
                format!("{}{point}{} s", s, ms % 1_000 / 100)
            }
            10_000..60_000 => format!("{s} s"),
            60_000..3_600_000 if min < 10 && s % 60 != 0 => format!("{min} min {} s", s % 60),
            60_000..3_600_000 => format!("{min} min"),
            3_600_000..86_400_000 => format!("{} h {:02} min", min / 60, min % 60),
            _ => format!("{} {day} {} h", ms / 86_400_000, ms / 3_600_000 % 24),
        }
    }

    pub fn maybe_lasting(self, ms: Option<i64>) -> String {
        ms.map_or_else(|| "–".to_owned(), |ms| self.lasting(ms))
    }

    pub fn outcome(self, outcome: &str) -> String {
        let (sv, en) = match outcome {
            "taken" => ("tagen", "taken"),
            "dispensed" => ("utmatad, inte kvitterad", "dispensed, not seen taken"),
            "reminded" => ("påmind, inget mer", "reminded, nothing more"),
            "missed" => ("missad", "missed"),
            "refused" => ("avböjd", "refused"),
            "jammed" => ("fast i apparaten", "jammed"),
            "unknown" => ("okänd", "unknown"),
            other => (other, other),
        };
        self.say(sv, en).to_owned()
    }

    /// What an alarm came to, where whoever closed it said so.
    pub fn closed(self, outcome: Option<CloseOutcome>) -> &'static str {
        match outcome {
            Some(CloseOutcome::Helped) => self.say("fick hjälp", "helped"),
            Some(CloseOutcome::False) => self.say("falskt larm", "false alarm"),
            Some(CloseOutcome::Technical) => self.say("tekniskt", "technical"),
            Some(CloseOutcome::HandedOver) => self.say("lämnat över", "handed over"),
            None => self.say("inte angivet", "not said"),
        }
    }

    pub fn lane(self, lane: vaka_protocol::Lane) -> &'static str {
        use vaka_protocol::Lane;
        match lane {
            Lane::Life => self.say("liv", "life"),
            Lane::Care => self.say("omsorg", "care"),
            Lane::Technical => self.say("teknik", "technical"),
            Lane::Telemetry => self.say("mätvärden", "telemetry"),
            Lane::Test => self.say("prov", "test"),
        }
    }
}

/// `23:41`, local.
pub fn clock(zone: &TimeZone, at_ms: i64) -> String {
    when::local(zone, at_ms).strftime("%H:%M").to_string()
}

/// `2026-11-20 23:41`, local.
pub fn day_and_clock(zone: &TimeZone, at_ms: i64) -> String {
    when::local(zone, at_ms).strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_have_units() {
        let [sv, en] = [Language::Sv, Language::En].map(|language| Voice { language });
        assert_eq!([0, 420, 9_999, 10_000].map(|ms| sv.lasting(ms)), ["0", "420 ms", "9,9 s", "10 s"]);
        assert_eq!([60_000, 61_000, 3_900_000].map(|ms| en.lasting(ms)), ["1 min", "1 min 1 s", "1 h 05 min"]);
        assert_eq!(sv.lasting(2 * 86_400_000 + 7_200_000), "2 dygn 2 h");
        assert_eq!(en.maybe_lasting(None), "–");
    }
}
