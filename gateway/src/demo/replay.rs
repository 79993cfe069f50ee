//! A recorded file, read line by line.
//!
//! Enters: JSON lines in one of three forms, told apart by their fields, freely mixed. Leaves: [`Recording`]: what every line says,
//! in the order of the file. Invariant: a line is a step or an error with its number; none is skipped but empty ones.
//!
//! | form | fields |
//! |---|---|
//! | a home's log | `t` (seconds UTC), `sensor` (`Bed/Pressure/Bedroom`, or any name), `on` |
//! | Zigbee2MQTT | `topic`, `payload` (object or text); other fields are ignored |
//! | Vaka's own export | `kind`, `device`, `at`, `event` as `vaka journal export` writes them; other kinds are passed over |

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use serde_json::{Map, Value, json};
use vaka_protocol::{DeviceId, Event, Press, decode_event};

use crate::ingest::adapter::zigbee2mqtt;

/// One line, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: u64,
    pub say: Say,
}

/// What a line has a device say.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    /// Vaka's own payload; the device numbers it anew.
    Own { device: DeviceId, at: Option<i64>, event: Box<Event> },
    /// Another maker's message through a bridge; `device` is the one behind it.
    Bridged { device: DeviceId, topic: String, payload: Vec<u8> },
}

/// A device that the file needs enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `vaka device add --kind`.
    pub kind: &'static str,
    pub room: Option<String>,
    /// Name in the recording.
    pub name: String,
    pub bridged: bool,
}

/// A whole file.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    pub steps: Vec<Step>,
    pub devices: BTreeMap<DeviceId, Needed>,
    /// Lines with nothing on them.
    pub empty: u64,
    /// Lines of an export that are no events: decisions, rungs, acts.
    pub passed_over: u64,
}

impl Recording {
    pub fn has_bridge(&self) -> bool {
        self.devices.values().any(|needed| needed.bridged)
    }
}

/// A line that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("reading line {line}: {source}")]
    Read { line: u64, source: std::io::Error },
    #[error("reading line {line}: not JSON: {what}")]
    NotJson { line: u64, what: String },
    #[error(
        "reading line {line}: none of the forms known; expected the fields t, sensor, on (a home's log), or topic, payload (Zigbee2MQTT), or kind, device, event (vaka journal export)"
    )]
    Form { line: u64 },
    #[error("reading line {line}: the field {field:?} {what}")]
    Field { line: u64, field: &'static str, what: String },
    #[error("reading the recording: it holds no event")]
    Nothing,
}

/// Reads a whole recording. Errors name the line.
pub fn read(source: impl BufRead) -> Result<Recording, ReplayError> {
    let mut reader = Reader::default();
    for (index, text) in source.lines().enumerate() {
        let line = index as u64 + 1;
        let text = text.map_err(|source| ReplayError::Read { line, source })?;
        // Editors on some systems begin a file with a byte order mark.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            reader.out.empty += 1;
            continue;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => reader.line(line, fields)?,
            Ok(_) => return Err(ReplayError::Form { line }),
            Err(e) => {
                return Err(ReplayError::NotJson { line, what: e.to_string() });
            }
        }
    }
    if reader.out.steps.is_empty() {
        return Err(ReplayError::Nothing);
    }
    Ok(reader.out)
}

#[derive(Default)]
struct Reader {
    out: Recording,
    /// Names in the recording and the device id each was given.
    ids: BTreeMap<String, DeviceId>,
    taken: BTreeSet<DeviceId>,
}

impl Reader {
    fn line(&mut self, line: u64, fields: Map<String, Value>) -> Result<(), ReplayError> {
        let say = if fields.contains_key("sensor") {
            self.sensor(line, &fields)?
        } else if let (Some(topic), Some(payload)) = (fields.get("topic"), fields.get("payload")) {
            self.bridged(line, topic, payload)?
        } else if fields.contains_key("device") || fields.contains_key("kind") {
            match self.exported(line, &fields)? {
                Some(say) => say,
                None => {
                    self.out.passed_over += 1;
                    return Ok(());
                }
            }
        } else {
            return Err(ReplayError::Form { line });
        };
        self.out.steps.push(Step { line, say });
        Ok(())
    }

    fn sensor(&mut self, line: u64, fields: &Map<String, Value>) -> Result<Say, ReplayError> {
        let wrong = |field, what: &str| ReplayError::Field { line, field, what: what.to_string() };
        let name = fields["sensor"]
            .as_str()
            .filter(|name| !name.trim().is_empty())
            .ok_or_else(|| wrong("sensor", "must be a name"))?;
        let seconds = fields.get("t").and_then(number).ok_or_else(|| wrong("t", "must be seconds since 1970"))?;
        let on = fields
            .get("on")
            .and_then(flag)
            .ok_or_else(|| wrong("on", "must be 0 or 1, true or false, \"ON\" or \"OFF\""))?;
        let at = seconds * 1_000.0;
        // From 1970 to the year 9999.
        if !(0.0..253_402_300_800_000.0).contains(&at) {
            return Err(wrong("t", "is no time between 1970 and 9999, in seconds"));
        }
        let sensor = Sensor::named(name);
        let device = self.device(name, sensor.kind(), name.split('/').nth(2).map(str::to_string), false);
        Ok(Say::Own { device, at: Some(at.round() as i64), event: Box::new(sensor.event(on)) })
    }

    fn bridged(&mut self, line: u64, topic: &Value, payload: &Value) -> Result<Say, ReplayError> {
        let wrong = |field, what: &str| ReplayError::Field { line, field, what: what.to_string() };
        let topic = topic.as_str().ok_or_else(|| wrong("topic", "must be text"))?;
        let source =
            zigbee2mqtt::source(topic).ok_or_else(|| wrong("topic", "names no device; expected BASE/DEVICE"))?;
        let payload = match payload {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        };
        let device = self.device(source, "other", None, true);
        Ok(Say::Bridged { device, topic: topic.to_string(), payload })
    }

    /// A line of `vaka journal export`; `None` where the record is no event.
    fn exported(&mut self, line: u64, fields: &Map<String, Value>) -> Result<Option<Say>, ReplayError> {
        let wrong = |field, what: &str| ReplayError::Field { line, field, what: what.to_string() };
        if fields.get("kind").is_some_and(|kind| kind != "event") {
            return Ok(None);
        }
        if let (Some(topic), Some(payload)) =
            (fields.get("via").and_then(|via| via.get("topic")), fields.get("payload"))
        {
            return self.bridged(line, topic, payload).map(Some);
        }
        let name = fields["device"].as_str().ok_or_else(|| wrong("device", "must be a device id"))?;
        let Some(event) = fields.get("event") else { return Ok(None) };
        let message = json!({"v": vaka_protocol::VERSION, "at": fields.get("at"), "event": event}).to_string();
        let message = decode_event(message.as_bytes()).map_err(|e| wrong("event", &format!("is none: {e}")))?;
        // An answer to a command of another gateway.
        if matches!(message.event, Event::Done { .. }) {
            return Ok(None);
        }
        let device = self.device(name, kind_for(&message.event), None, false);
        Ok(Some(Say::Own { device, at: message.at, event: Box::new(message.event) }))
    }

    /// The id for a name in the recording: its letters and digits; two names that become the same are told apart by a number.
    fn device(&mut self, name: &str, kind: &'static str, room: Option<String>, bridged: bool) -> DeviceId {
        if let Some(id) = self.ids.get(name) {
            return id.clone();
        }
        let stem = slug(name);
        let id = (1..)
            .map(|n| if n == 1 { stem.clone() } else { format!("{}-{n}", &stem[..stem.len().min(24)]) })
            .find_map(|text| DeviceId::try_from(text.as_str()).ok().filter(|id| !self.taken.contains(id)))
            .expect("one of endlessly many numbers is free");
        self.taken.insert(id.clone());
        self.ids.insert(name.to_string(), id.clone());
        self.out.devices.insert(id.clone(), Needed { kind, room, name: name.to_string(), bridged });
        id
    }
}

/// `Bed/Pressure/Bedroom` → `bed-pressure-bedroom`, at most 32 characters of `[a-z0-9-]`.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'å' | 'ä' => slug.push('a'),
            'ö' => slug.push('o'),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(32);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "device".to_string() } else { slug.to_string() }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Number(n) if n.as_f64() == Some(1.0) => Some(true),
        Value::Number(n) if n.as_f64() == Some(0.0) => Some(false),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "on" | "open" | "true" | "1" | "present" => Some(true),
            "off" | "close" | "closed" | "false" | "0" | "absent" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// What a sensor of a home's log is, by the words of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sensor {
    Bed,
    Chair,
    Mat,
    Door,
    /// For medicine or keys: to open it is an event by itself.
    Cabinet,
    /// Something that is used: PIR, flush, tap, cooker. Its being used is activity; its end says that the sensor lives.
    Activity,
    Smoke,
    Flood,
    Button,
    /// A kind of sensor that no table knows: kept, and for a person to look at.
    Stranger,
}

impl Sensor {
    fn named(name: &str) -> Self {
        let lower = name.to_lowercase();
        let words: Vec<&str> = lower
            .split(|c: char| !c.is_alphanumeric())
            .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
            .filter(|word| !word.is_empty())
            .collect();
        // `Maindoor` has a door in it; `Bedroom` is no bed.
        let has = |parts: &str| words.iter().any(|word| parts.split(' ').any(|part| word.contains(part)));
        let is = |whole: &str| words.iter().any(|word| whole.split(' ').any(|known| known == *word));
        let weighs = has("pressure weight") || is("mat load");
        let magnet = has("magnet contact reed door window gate");
        if has("smoke") {
            Sensor::Smoke
        } else if has("leak flood") {
            Sensor::Flood
        } else if has("panic button pendant") || is("alarm sos") {
            Sensor::Button
        } else if has("pir motion infrared presence occupancy ultrason radar flush") {
            Sensor::Activity
        } else if is("bed") && !magnet {
            Sensor::Bed
        } else if is("seat chair armchair sofa couch") || weighs && is("toilet") {
            Sensor::Chair
        } else if weighs {
            Sensor::Mat
        } else if magnet && has("medicine medication pill drug") {
            Sensor::Cabinet
        } else if magnet || has("entrance cupboard drawer fridge cabinet") {
            Sensor::Door
        } else if has("electric float flow water current power light switch vibration item phone")
            || is("tap use shower")
        {
            Sensor::Activity
        } else {
            Sensor::Stranger
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Sensor::Bed => "bed-sensor",
            Sensor::Chair => "chair-sensor",
            Sensor::Mat => "mat-sensor",
            Sensor::Door => "door-sensor",
            Sensor::Cabinet => "cabinet",
            Sensor::Activity => "motion-sensor",
            Sensor::Smoke => "smoke-detector",
            Sensor::Flood => "flood-sensor",
            Sensor::Button => "pendant",
            Sensor::Stranger => "other",
        }
    }

    fn event(self, on: bool) -> Event {
        match self {
            Sensor::Bed => Event::Bed { occupied: on },
            Sensor::Chair => Event::Chair { occupied: on },
            Sensor::Mat => Event::Mat { pressed: on },
            Sensor::Door => Event::Door { open: on },
            Sensor::Cabinet => Event::Cabinet { open: on, by: None },
            Sensor::Activity if on => Event::Motion {},
            Sensor::Smoke => Event::Smoke { active: on },
            Sensor::Flood => Event::Flood { active: on },
            Sensor::Button if on => Event::Button { press: Press::Short },
            Sensor::Stranger if on => Event::Unknown { name: "sensor".into() },
            Sensor::Activity | Sensor::Button | Sensor::Stranger => Event::Alive {},
        }
    }
}

/// The kind to enrol a device as that once said `event`.
fn kind_for(event: &Event) -> &'static str {
    match event {
        Event::Bed { .. } => "bed-sensor",
        Event::Chair { .. } => "chair-sensor",
        Event::Mat { .. } => "mat-sensor",
        Event::Door { .. } => "door-sensor",
        Event::Cabinet { .. } => "cabinet",
        Event::Motion {} => "motion-sensor",
        Event::Smoke { .. } => "smoke-detector",
        Event::Fall { .. } => "fall-detector",
        Event::Button { .. } | Event::Cancel {} => "pendant",
        Event::Position { .. } => "gps-alarm",
        Event::Dose { .. } | Event::Stock { .. } => "dispenser",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Recording, ReplayError> {
        read(text.as_bytes())
    }

    fn event_of(sensor: &str, on: u8) -> Event {
        let recording = read_text(&format!(r#"{{"t":1,"sensor":"{sensor}","on":{on}}}"#)).expect("a readable line");
        match &recording.steps[0].say {
            Say::Own { event, .. } => *event.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_recorded_home_is_read_whole() {
        let text = include_str!("../../../tests/data/home-a/events.jsonl");
        let recording = read_text(text).expect("a readable recording");
        assert_eq!((recording.steps.len(), recording.devices.len()), (818, 12));
        let bed = DeviceId::try_from("bed-pressure-bedroom").expect("an id");
        assert_eq!(recording.devices[&bed].kind, "bed-sensor");
        assert_eq!(recording.devices[&bed].room.as_deref(), Some("Bedroom"));
        let first =
            Say::Own { device: bed, at: Some(1_322_447_279_000), event: Box::new(Event::Bed { occupied: true }) };
        assert_eq!(recording.steps[0].say, first);
        let kinds: BTreeSet<&str> = recording.devices.values().map(|needed| needed.kind).collect();
        assert!(!kinds.contains("other"), "every sensor of a real home is known: {:?}", recording.devices);
    }

    #[test]
    fn a_sensors_name_says_what_it_is() {
        assert_eq!(event_of("Seat/Pressure/Living", 1), Event::Chair { occupied: true });
        assert_eq!(event_of("Maindoor/Magnetic/Entrance", 0), Event::Door { open: false });
        assert_eq!(event_of("Door/PIR/Kitchen", 1), Event::Motion {}, "a movement sensor at a door");
        assert_eq!(event_of("Fridge/Magnetic/Kitchen", 1), Event::Door { open: true }, "food is no medicine");
        assert_eq!(event_of("Medicine cabinet/Magnetic/Bathroom", 1), Event::Cabinet { open: true, by: None });
        assert_eq!(event_of("Toilet/Flush/Bathroom", 1), Event::Motion {});
        assert_eq!(event_of("Microwave/Electric/Kitchen", 0), Event::Alive {}, "the end of a use is a sign of life");
        assert_eq!(event_of("Bedroom/PIR", 1), Event::Motion {});
        assert_eq!(event_of("Door/Magnetic/Bedroom", 1), Event::Door { open: true });
        assert_eq!(event_of("bed", 1), Event::Bed { occupied: true });
        assert_eq!(event_of("Kitchen smoke alarm", 1), Event::Smoke { active: true });
        assert_eq!(event_of("Gizmo/X9", 1), Event::Unknown { name: "sensor".into() }, "kept, and shown to a person");
    }

    #[test]
    fn names_become_ids_that_differ() {
        let text = r#"{"t":1,"sensor":"Dörr 1","on":1}
{"t":2,"sensor":"dorr-1","on":true}
{"t":3.5,"sensor":"A very long name of a sensor in a very large house","on":"ON"}
{"t":4,"sensor":"***","on":0}"#;
        let ids: Vec<String> = read_text(text).expect("readable").devices.keys().map(|id| id.to_string()).collect();
        assert_eq!(ids, ["a-very-long-name-of-a-sensor-in", "device", "dorr-1", "dorr-1-2"]);
    }

    #[test]
    fn zigbee2mqtt_and_vakas_own_export_are_read_too() {
        let text = r#"{"vendor":"X","topic":"zigbee2mqtt/hall/button","payload":{"action":"single"},"alarm":true}

{"record":1,"kind":"boot","version":"0.1.0"}
{"record":2,"kind":"event","lane":"life","device":"p1","enrolment":1,"restart":3,"seq":4,"at":5,"event":{"button":{"press":"long"}}}
{"record":3,"kind":"event","device":"hall","via":{"bridge":"z","topic":"z/hall"},"payload":{"contact":true},"restart":0,"seq":1}
{"record":4,"kind":"rung","alarm":"a"}"#;
        let recording = read_text(text).expect("readable");
        assert_eq!((recording.steps.len(), recording.empty, recording.passed_over), (3, 1, 2));
        assert!(recording.has_bridge());
        assert_eq!(recording.steps[0].line, 1);
        assert!(
            matches!(&recording.steps[0].say, Say::Bridged { device, topic, .. } if device.as_str() == "hall-button" && topic == "zigbee2mqtt/hall/button")
        );
        assert!(matches!(
            &recording.steps[1].say,
            Say::Own { at: Some(5), event, .. } if **event == (Event::Button { press: Press::Long })
        ));
        assert!(matches!(&recording.steps[2].say, Say::Bridged { topic, .. } if topic == "z/hall"));
    }

    #[test]
    fn an_error_names_the_line_and_what_is_wrong() {
        let error = |text: &str| read_text(text).expect_err("wrong").to_string();
        let good = r#"{"t":1,"sensor":"bed","on":1}"#;
        assert!(error(&format!("{good}\n{{\"t\":")).starts_with("reading line 2: not JSON"));
        assert!(error(&format!("{good}\n{good}\n[1]")).starts_with("reading line 3: none of the forms"));
        assert!(error(r#"{"a":1}"#).contains("line 1: none of the forms"));
        assert!(error(r#"{"t":1,"sensor":"bed","on":7}"#).contains("the field \"on\" must be 0 or 1"));
        assert!(error(r#"{"t":"x","sensor":"bed","on":1}"#).contains("the field \"t\" must be seconds"));
        assert!(error(r#"{"t":1e15,"sensor":"bed","on":1}"#).contains("no time between"));
        assert!(error(r#"{"topic":"nothing","payload":{}}"#).contains("names no device"));
        assert_eq!(error("\n\n"), "reading the recording: it holds no event");
    }
}
