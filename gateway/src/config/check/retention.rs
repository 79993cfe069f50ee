//! `[retention]`: how many days records are kept, by lane and by what is finer than a lane.

use super::super::file;
use super::Check;
use crate::limits::{RETENTION_DAYS_MAX, RETENTION_DAYS_MIN};
use crate::pipeline::class::{Class, Days};

pub(super) fn retention(c: &mut Check<'_>, table: &file::Retention) -> Days {
    let file::Retention { life_days, care_days, technical_days, telemetry_days, test_days, positions_days, looks_days } =
        table;
    let written = [
        (Class::Life, life_days),
        (Class::Care, care_days),
        (Class::Technical, technical_days),
        (Class::Telemetry, telemetry_days),
        (Class::Test, test_days),
        (Class::Positions, positions_days),
        (Class::Looks, looks_days),
    ];
    let mut kept = Days::new();
    for (class, days) in written {
        let Some(days) = days else { continue };
        let (name, said) = (class.as_str(), *days.get_ref());
        match u32::try_from(said) {
            Ok(fits) if (RETENTION_DAYS_MIN..=RETENTION_DAYS_MAX).contains(&fits) => drop(kept.insert(class, fits)),
            _ => c.wrong(
                days,
                format!(
                    "`{name}_days`: {said} days cannot be; the gateway itself needs what it judged for {RETENTION_DAYS_MIN} days, and at most \
                     {RETENTION_DAYS_MAX} can be said: write a number between, or leave it out, and the journal's size alone decides"
                ),
            ),
        }
    }
    for (finer, lane) in [(Class::Positions, Class::Telemetry), (Class::Looks, Class::Care)] {
        if let (Some(days), Some(of_lane)) = (kept.get(&finer), kept.get(&lane))
            && days > of_lane
        {
            let (finer, lane) = (finer.as_str(), lane.as_str());
            c.warn_of_all(&format!(
                "`{finer}_days` = {days} is longer than `{lane}_days` = {of_lane}: what the rules made of them is gone before them"
            ));
        }
    }
    kept
}
