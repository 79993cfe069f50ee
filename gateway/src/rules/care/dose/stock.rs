//! The dispenser is to be refilled: once for each filling, over when it is filled.

use vaka_protocol::Lane;

use super::super::agreed::Person;
use super::super::{Finding, Out, View, seen_at};
use super::{NAME, subject, words};

const CAUSE: &str = "stock";
const LOW_LEVEL: u16 = 64;
const NORMAL_STATE: u16 = 70;

pub fn judge(view: View<'_>, person: &Person, out: &mut Out) {
    for device in &person.devices {
        let plans = person.doses.iter().filter(|plan| plan.device == *device);
        let Some(low_days) = plans.map(|plan| plan.stock_low_days).max() else { continue };
        let Some(stock) = view.care.dose.dispenser(device).and_then(|known| known.stock) else { continue };
        let subject = subject(person, device);
        if stock.days_left <= low_days {
            let what = format!("{} days left", stock.days_left);
            let finding = Finding {
                cause: format!("{CAUSE} {device}"),
                upto: i64::try_from(stock.filled.record).unwrap_or(i64::MAX),
                said: words::stock_low(stock.days_left),
                happened_at: Some(stock.at.wall_ms),
                seen: vec![seen_at(device, &stock.at, &what)],
                agreed: vec![("dose.stock_low_days".to_owned(), low_days.to_string())],
                prevented: Some((
                    "Att fördelaren hade fyllts på tidigare.".to_owned(),
                    "A dispenser refilled earlier.".to_owned(),
                )),
                ..Finding::default()
            };
            out.raise(view, subject, Lane::Technical, LOW_LEVEL, finding);
        } else {
            let cause = format!("{CAUSE} {device}");
            let open = view.alarms.newest(device, &cause).filter(|alarm| alarm.raise.rule == NAME);
            if let Some(basis) = open.and_then(|alarm| alarm.raise.basis.as_ref()) {
                out.over(view, subject, (&cause, basis.upto), NORMAL_STATE, words::stock_good(stock.days_left));
            }
        }
    }
}
