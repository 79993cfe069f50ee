//! An event in plain words, for the timeline.

use std::borrow::Cow;

use vaka_protocol::{DoseOutcome, Event, Press};

/// What the device does, as an onlooker would say it; `None` for what would only flood the page.
pub fn of(event: &Event) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match event {
        Event::Button { press: Press::Short } => "the resident presses the button",
        Event::Button { press: Press::Long } => "the resident holds the button down",
        Event::Cancel {} => "the resident takes the call back",
        Event::Fall { still_s: Some(seconds), .. } => {
            return Some(Cow::Owned(format!("feels a fall, and no movement for {seconds} s after it")));
        }
        Event::Fall { .. } => "feels a fall",
        Event::Bed { occupied: true } => "somebody lies down",
        Event::Bed { occupied: false } => "the bed is left",
        Event::Door { open: true } => "opens",
        Event::Door { open: false } => "closes",
        Event::Position { .. } => "tells its position",
        Event::Battery { percent: Some(percent), low } => {
            let low = if *low { ", low" } else { "" };
            return Some(Cow::Owned(format!("battery {percent} %{low}")));
        }
        Event::Dose { slot, outcome } => {
            let outcome = match outcome {
                DoseOutcome::Dispensed => "dispensed",
                DoseOutcome::Taken => "taken",
                DoseOutcome::Missed => "missed: nobody took it",
                other => return Some(Cow::Owned(format!("the {slot} dose: {other}"))),
            };
            return Some(Cow::Owned(format!("the {slot} dose is {outcome}")));
        }
        _ => return None,
    }))
}
