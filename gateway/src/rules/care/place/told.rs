//! What is told of a position, and to whom: to nobody, but with an alarm of the device that was there.

use jiff::tz::TimeZone;
use vaka_protocol::{DeviceId, Lane};

use super::{Fence, Fix, Places};
use crate::journal::record::{Decision, Evidence, Whereabouts};
use crate::rules::alarms::Alarms;
use crate::rules::care::View;
use crate::rules::care::when::local;

/// Gives each alarm of life or care, and each telling of one, the newest position of its own device. Called with everything that is
/// decided, before it is recorded.
pub fn carry(places: &Places, alarms: &Alarms, decisions: &mut [Decision]) {
    let known = |device: &DeviceId| {
        let fix = places.get(device)?.best()?;
        let Fix { lat_e7, lon_e7, accuracy_m, .. } = *fix;
        Some(Box::new(Whereabouts { lat_e7, lon_e7, accuracy_m, at: fix.at.wall_ms }))
    };
    let helps = |lane: Lane| matches!(lane, Lane::Life | Lane::Care);
    for decision in decisions {
        match decision {
            Decision::Raise(raise) if helps(raise.lane) && raise.home.is_none() => {
                raise.whereabouts = known(&raise.device);
            }
            Decision::Join(join) if join.notify && join.home.is_none() => {
                let alarm = alarms.get(&join.alarm).filter(|alarm| helps(alarm.raise.lane));
                join.whereabouts = alarm.and_then(|alarm| known(&alarm.raise.device));
            }
            _ => {}
        }
    }
}

impl Whereabouts {
    /// Latitude and longitude in degrees, to a metre: `59.32930,18.06860`.
    pub fn degrees(&self) -> String {
        format!("{:.5},{:.5}", f64::from(self.lat_e7) / 1e7, f64::from(self.lon_e7) / 1e7)
    }

    /// `59.32930,18.06860 ±12 m 14:02`, the time in `zone`, with its day where that is not the day of `now_ms`.
    pub fn text(&self, zone: &TimeZone, now_ms: i64) -> String {
        let error = self.accuracy_m.map_or_else(String::new, |accuracy_m| format!(" ±{accuracy_m} m"));
        format!("{}{error} {}", self.degrees(), time_of_day(zone, self.at, now_ms))
    }

    /// As [`Whereabouts::text`], with its day as `20/11`, and without the error where that is longer than `chars_max`: how old a
    /// position is matters more. Without the error it is 32 characters at the most.
    pub fn text_within(&self, zone: &TimeZone, now_ms: i64, chars_max: usize) -> String {
        let (at, now) = (local(zone, self.at), local(zone, now_ms));
        let form = if at.date() == now.date() { "%H:%M" } else { "%d/%m %H:%M" };
        let (degrees, at) = (self.degrees(), at.strftime(form));
        let whole = self.accuracy_m.map(|accuracy_m| format!("{degrees} ±{accuracy_m} m {at}"));
        whole.filter(|text| text.chars().count() <= chars_max).unwrap_or_else(|| format!("{degrees} {at}"))
    }
}

/// Local time as people say it: `14:02`, and with its day where that is not today's.
pub(super) fn clock(view: View<'_>, at_ms: i64) -> String {
    time_of_day(&view.agreed.zone, at_ms, view.now.wall_ms)
}

fn time_of_day(zone: &TimeZone, at_ms: i64, now_ms: i64) -> String {
    let (at, now) = (local(zone, at_ms), local(zone, now_ms));
    let form = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(form).to_string()
}

/// A position as evidence: how far it was from the edge, and how sure. Where it was stays out of it.
pub(super) fn seen_of(fence: &Fence, device: &DeviceId, fix: &Fix) -> Evidence {
    let (lat, lon) = fix.degrees();
    let outside_m = fence.area.outside_m(lat, lon);
    let side = if outside_m > 0.0 { "outside" } else { "inside" };
    let error = fix.accuracy_m.map_or_else(|| "unknown".to_owned(), |accuracy_m| format!("{accuracy_m} m"));
    let what = format!("position {:.0} m {side} the edge, error {error}", outside_m.abs());
    Evidence { record: fix.at.record, device: device.clone(), at: fix.at.wall_ms, what }
}
