//! Nights told as stories: what is agreed stands as in vaka.toml, so that the table and the rule are tried together.

mod bed;
mod config;
mod doors;
mod dst;
mod morning;
mod properties;
mod rounds;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use vaka_protocol::{DeviceId, Event, Lane};

use crate::config::Config;
use crate::journal::record::{Decision, JoinWhat, Raise};
use crate::rules::Home;
use crate::rules::care::agreed::{Agreed, Device};
use crate::rules::care::rehearsal::Rehearsal;
use crate::rules::care::silence::Supervision;

const STOCKHOLM: &str = "Europe/Stockholm";
pub const MIN: i64 = 60_000;
pub const DEVICES: &str = "
[[device]]
id = \"bed\"
kind = \"bed-sensor\"
[[device]]
id = \"hall\"
kind = \"motion-sensor\"
[[device]]
id = \"front\"
kind = \"door-sensor\"
exit = true
[[device]]
id = \"reader\"
kind = \"other\"
";

pub fn device(id: &str) -> DeviceId {
    DeviceId::try_from(id).unwrap()
}

pub fn parse(zone: &str, night: &str, devices: &str) -> Result<(Config, Vec<String>), String> {
    let text = format!(
        "[gateway]\nid = \"gw-1\"\ntime_zone = \"{zone}\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n{devices}\n[night]\n{night}\n"
    );
    let parsed = Config::parse(text.as_bytes(), Path::new("v.toml"));
    parsed.map(|(c, w)| (c, w.iter().map(ToString::to_string).collect())).map_err(|error| error.to_string())
}

/// That devices are supervised is another rule's story.
pub fn unsupervised(config: &Config) -> Arc<Agreed> {
    let mut agreed = Agreed::clone(&config.agreed);
    let of =
        |(id, device): (&DeviceId, &Device)| (id.clone(), Device { silence: Supervision::default(), ..device.clone() });
    agreed.devices = agreed.devices.iter().map(of).collect();
    Arc::new(agreed)
}

pub fn agreed_in(zone: &str, night: &str) -> Arc<Agreed> {
    unsupervised(&parse(zone, night, DEVICES).unwrap().0)
}

pub fn agreed(night: &str) -> Arc<Agreed> {
    agreed_in(STOCKHOLM, night)
}

/// UTC milliseconds of `2026-11-20 22:00` there; of a time that comes twice the first.
pub fn there(zone: &str, text: &str) -> i64 {
    let zone = TimeZone::get(zone).unwrap();
    let at: jiff::civil::DateTime = text.replace(' ', "T").parse().unwrap();
    zone.to_timestamp(at).unwrap().as_millisecond()
}

pub fn local(text: &str) -> i64 {
    there(STOCKHOLM, text)
}

pub fn utc(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// A home in which everything is agreed since the afternoon, and the resident is up.
pub struct Story {
    pub home: Rehearsal,
    zone: String,
    day: String,
}

impl Story {
    /// `day`: the local date, at noon of which it begins.
    pub fn of(zone: &str, day: &str, agreed: Arc<Agreed>) -> Story {
        let home = Rehearsal::new(agreed, Home::default(), there(zone, &format!("{day} 12:00")));
        let mut story = Story { home, zone: zone.to_owned(), day: day.to_owned() };
        story.home.event(&device("bed"), &Event::Bed { occupied: true });
        story.at("12:30").bed(false);
        story
    }

    pub fn new(night: &str) -> Story {
        Story::of(STOCKHOLM, "2026-11-20", agreed(night))
    }

    /// Until a local time, `HH:MM`: of that day from noon on, else of the next.
    pub fn at(&mut self, time: &str) -> &mut Story {
        let at = there(&self.zone, &format!("{} {time}", self.day));
        let tomorrow: jiff::civil::Date = self.day.parse::<jiff::civil::Date>().unwrap().tomorrow().unwrap();
        let at = if time < "12:00" { there(&self.zone, &format!("{tomorrow} {time}")) } else { at };
        self.home.until(at);
        self
    }

    pub fn event(&mut self, id: &str, event: Event) -> &mut Story {
        self.home.event(&device(id), &event);
        self
    }

    pub fn bed(&mut self, occupied: bool) -> &mut Story {
        self.event("bed", Event::Bed { occupied })
    }

    pub fn motion(&mut self) -> &mut Story {
        self.event("hall", Event::Motion {})
    }

    pub fn decline(&mut self, slot: &str) -> &mut Story {
        self.event("reader", Event::Decline { slot: slot.into() })
    }

    pub fn staff(&mut self) -> &mut Story {
        self.event("reader", Event::Staff { tag: "t-17".into() })
    }

    /// What was decided but for the note of the agreement: local time and what.
    pub fn told(&self) -> Vec<String> {
        let zone = TimeZone::get(&self.zone).unwrap();
        let clock =
            |ms: i64| Timestamp::from_millisecond(ms).unwrap().to_zoned(zone.clone()).strftime("%H:%M").to_string();
        let all =
            self.home.log.iter().filter_map(|(at, decision)| Some(format!("{} {}", clock(*at), short(decision)?)));
        all.collect()
    }

    pub fn raises(&self) -> Vec<&Raise> {
        let raise = |(_, decision): &'_ (i64, Decision)| matches!(decision, Decision::Raise(_));
        let raises = self.home.log.iter().filter(|entry| raise(entry));
        raises
            .filter_map(|(_, decision)| if let Decision::Raise(raise) = decision { Some(&**raise) } else { None })
            .collect()
    }

    pub fn words(&self) -> Vec<(String, String)> {
        let said = |decision: &Decision| match decision {
            Decision::Raise(raise) => Some((raise.sv.clone(), raise.en.clone())),
            Decision::Note(note) if note.what != "night-agreed" => Some((note.sv.clone(), note.en.clone())),
            Decision::Join(join) => join.words.clone(),
            _ => None,
        };
        self.home.log.iter().filter_map(|(_, decision)| said(decision)).collect()
    }
}

/// One decision in a few words; `None` for the note of the agreement.
pub fn short(decision: &Decision) -> Option<String> {
    let lane = |lane: Lane| lane.as_str();
    match decision {
        Decision::Raise(raise) => Some(format!("{} {}", lane(raise.lane), raise.cause)),
        Decision::Note(note) if note.what == "night-agreed" => None,
        Decision::Note(note) => Some(format!("{} {}", note.what, note.slot).trim().to_owned()),
        Decision::Join(join) if join.what == JoinWhat::Over => Some("over".to_owned()),
        Decision::Join(join) => Some(format!("again{}", if join.notify { "" } else { " counted" })),
        other => Some(format!("{other:?}")),
    }
}
