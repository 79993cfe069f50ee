//! Look-ins told as stories: the agreement stands as in vaka.toml, looks and checks come as the gateway records them.

mod config;
mod ends;
mod grants;
mod properties;
mod slots;

use std::sync::Arc;

use vaka_protocol::{Command, DeviceId, Event, Light, Outcome};

use super::*;
use crate::journal::record::{Decision, Raise};
use crate::rules::Home;
use crate::rules::care::agreed::Agreed;
use crate::rules::care::night::tests::{device, local, parse, unsupervised};
use crate::rules::care::rehearsal::Rehearsal;
use crate::rules::care::signed::Refusal;

pub(super) const DEVICES: &str = r#"
[[device]]
id = "lamp"
kind = "feedback"
[[device]]
id = "reader"
kind = "other"
[[camera]]
id = "cam"
room = "bedroom"
look = "http://192.168.90.4/snap.jpg"
light = "lamp"
"#;

const CONSENT: &str = r#"consent = { by = "the resident", on = "2026-11-01" }"#;
const LOOK: &str = r#"camera = "cam"
rounds = [{ at = "23:00", latest = "23:30" }, { at = "01:30", latest = "02:30" }, { at = "14:00", latest = "14:40" }]
second_look_after_min = 15
may_see_clearly = false
alarm_may_look = ["fall", "button"]
instead = "visit""#;

pub(super) fn whole(look: &str) -> String {
    format!("{DEVICES}[[resident]]\nid = \"r1\"\n[resident.look]\n{look}\n")
}

pub(super) fn agreed(look: &str) -> Arc<Agreed> {
    let (config, _) = parse("Europe/Stockholm", "absence_care_min = 0", &whole(look)).unwrap();
    unsupervised(&config)
}

/// A home in which everything is agreed since the noon of the 20th.
pub(super) struct Story {
    pub home: Rehearsal,
    /// The lamp answers.
    pub lamp: bool,
    answered: usize,
}

impl Story {
    pub fn of(look: &str) -> Story {
        Story {
            home: Rehearsal::new(agreed(look), Home::default(), local("2026-11-20 12:00")),
            lamp: true,
            answered: 0,
        }
    }

    pub fn new() -> Story {
        Story::of(&format!("{LOOK}\n{CONSENT}"))
    }

    /// `LOOK` with one of its lines another.
    pub fn with(key: &str, line: &str) -> Story {
        let lines = LOOK.lines().map(|known| if known.starts_with(key) { line } else { known });
        Story::of(&format!("{}\n{CONSENT}", lines.collect::<Vec<_>>().join("\n")))
    }

    /// Until a local time of the 20th from noon on, else of the 21st.
    pub fn at(&mut self, time: &str) -> &mut Story {
        let day = if time < "12:00" { "2026-11-21" } else { "2026-11-20" };
        self.home.until(local(&format!("{day} {time}")));
        self
    }

    pub fn event(&mut self, id: &str, event: Event) -> &mut Story {
        self.home.event(&device(id), &event);
        self
    }

    pub fn decline(&mut self, slot: &str) -> &mut Story {
        self.event("reader", Event::Decline { slot: slot.into() })
    }

    /// As the gateway: judged, recorded, the lamp told, and its answer heard.
    pub fn wish(&mut self, wish: Wish, by: &str) -> Result<u64, Refusal> {
        let number = self.home.look(wish, by)?;
        self.hear_lamp();
        Ok(number)
    }

    fn hear_lamp(&mut self) {
        let commands = self.home.log.iter().skip(self.answered).filter_map(|(_, decision)| match decision {
            Decision::Send(send) if send.rule == NAME => Some(send.device.clone()),
            _ => None,
        });
        let lamps: Vec<DeviceId> = commands.collect();
        self.answered = self.home.log.len();
        let ids: Vec<u64> = self.home.care.look.open().filter_map(|(_, seen)| Some(seen.light?.0)).collect();
        if self.lamp && !lamps.is_empty() {
            for id in ids {
                self.home.event(&lamps[0], &Event::Done { id, outcome: Outcome::Done });
            }
        }
    }

    pub fn slot_at(time: &str) -> i64 {
        let day = if time < "12:00" { "2026-11-21" } else { "2026-11-20" };
        local(&format!("{day} {time}"))
    }

    pub fn open(&mut self, slot: &str, by: &str) -> Result<u64, Refusal> {
        let slot_at = Some(Story::slot_at(slot));
        self.wish(Wish::Open { resident: "r1".into(), slot_at, alarm: None, purpose: "round".into(), clear: false }, by)
    }

    /// Looks for half a minute, and says what was seen.
    pub fn look(&mut self, slot: &str, outcome: Option<LookOutcome>) -> u64 {
        let look = self.open(slot, "anna").unwrap();
        self.home.until(self.home.now_ms() + 30_000);
        self.wish(Wish::End { look, shown_ms: 30_000, why: "time".into() }, "gateway").unwrap();
        if let Some(outcome) = outcome {
            self.wish(Wish::Outcome { look, outcome }, "anna").unwrap();
        }
        look
    }

    pub fn check(&mut self, slot: &str, found: &str) {
        let slot_at = Story::slot_at(slot);
        let look = self.wish(Wish::Check { resident: "r1".into(), slot_at }, "gateway").unwrap();
        self.wish(Wish::Checked { look, found: found.into(), reference: None }, "gateway").unwrap();
        self.wish(Wish::End { look, shown_ms: 0, why: "checked".into() }, "gateway").unwrap();
    }

    /// What was decided, but for the agreement and the lamp: local time and what.
    pub fn told(&self) -> Vec<String> {
        let zone = jiff::tz::TimeZone::get("Europe/Stockholm").unwrap();
        let clock = |ms: i64| crate::rules::care::when::local(&zone, ms).strftime("%H:%M").to_string();
        let of = |decision: &Decision| match decision {
            Decision::Raise(raise) if raise.rule == NAME => Some(format!("visit {}", raise.cause)),
            Decision::Note(note) if note.rule == NAME && note.what != AGREED => {
                Some(format!("{} {}", note.what, note.slot).trim().to_owned())
            }
            Decision::Join(_) => Some("over".to_owned()),
            _ => None,
        };
        self.home.log.iter().filter_map(|(at, decision)| Some(format!("{} {}", clock(*at), of(decision)?))).collect()
    }

    /// What the lamp was told.
    pub fn lights(&self) -> Vec<Light> {
        let told = self.home.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Send(send) => match &send.command {
                Command::Feedback { light, .. } => *light,
                _ => None,
            },
            _ => None,
        });
        told.collect()
    }

    pub fn raises(&self) -> Vec<&Raise> {
        let raised = self.home.log.iter().filter_map(|(_, decision)| match decision {
            Decision::Raise(raise) if raise.rule == NAME => Some(&**raise),
            _ => None,
        });
        raised.collect()
    }
}

pub(super) fn refused(result: Result<u64, Refusal>, word: &str) {
    let why = result.expect_err("nobody may look").to_string();
    assert!(why.contains(word), "{why}");
}
