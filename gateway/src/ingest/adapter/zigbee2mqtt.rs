//! Zigbee2MQTT: a flat JSON object of capabilities per device, or one capability per topic.
//!
//! Enters: topic and payload of one message. Leaves: [`Adapted`]. A message repeats the device's whole state; what has changed,
//! and what that means, is for the rules. Source: Zigbee2MQTT's "MQTT topics and messages" and its device definitions.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use vaka_protocol::{Event, Press};

use super::action::{self, Act};
use super::names::{Capability, capability};
use super::values::{Sense, sense, word};
use super::{Adapted, AdapterError, Presses, shown};

/// Charge at or below which a battery counts as low even where the device itself does not say so, in percent.
/// Many devices never set `battery_low`. Source: our choice; Zigbee's own 3.0 "battery alarm" examples use 10 to 15.
pub const BATTERY_LOW_PERCENT: f64 = 10.0;

/// Objects within objects that are looked into. Deeper ones go to a person whole.
const DEPTH_MAX: usize = 4;

/// Whose message a topic carries: the device's friendly name or IEEE address, `bridge` for the bridge's own.
/// `None`: no Zigbee2MQTT topic. A name may hold `/`; the first part is the base topic, whatever it is called.
pub fn source(topic: &str) -> Option<&str> {
    let (base, rest) = topic.split_once('/')?;
    if base.is_empty() || rest.is_empty() {
        return None;
    }
    if rest == "bridge" || rest.starts_with("bridge/") {
        return Some("bridge");
    }
    for ending in ["/availability", "/set", "/get"] {
        if let Some(name) = rest.strip_suffix(ending) {
            return (!name.is_empty()).then_some(name);
        }
    }
    for middle in ["/set/", "/get/"] {
        if let Some((name, _)) = rest.split_once(middle) {
            return (!name.is_empty()).then_some(name);
        }
    }
    Some(rest)
}

/// Reads a message of a device of which nobody has said what its presses mean.
pub fn read(topic: &str, payload: &[u8]) -> Result<Adapted, AdapterError> {
    read_as(topic, payload, Presses::Undecided)
}

/// Reads a message; `presses` is what the enrolment says about a push button ([`source`] tells whose message it is).
///
/// Errors: a topic without a device, a payload that is not JSON, a payload that is no object where no capability is in the topic.
pub fn read_as(topic: &str, payload: &[u8], presses: Presses) -> Result<Adapted, AdapterError> {
    let source = source(topic).ok_or_else(|| AdapterError::Topic { topic: shown(topic) })?;
    let mut message =
        Message { presses, out: Adapted { source: source.to_string(), ..Adapted::default() }, ..Message::default() };
    let after = topic.split_once('/').map_or("", |(_, rest)| rest);
    // An empty payload takes back a retained message: it says nothing about the device.
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(message.out);
    }
    if source == "bridge" || after.ends_with("/availability") {
        message.out.measurements = 1;
        if after == "bridge/state" || after.ends_with("/availability") {
            message.out.online = online(payload);
            if message.out.online.is_none() {
                message.out.measurements = 0;
                message.unknown("availability", &Value::String(String::from_utf8_lossy(payload).into_owned()));
            }
        }
        return Ok(message.out);
    }
    // What somebody asks of a device is no news from it.
    if after != source {
        message.out.measurements = 1;
        return Ok(message.out);
    }
    let not_json = |what: String| AdapterError::NotJson { topic: shown(topic), what };
    match serde_json::from_slice::<Fields>(payload) {
        Ok(Fields(fields)) => message.fields(fields, 0),
        Err(_) => {
            let value = match serde_json::from_slice::<Value>(payload) {
                Ok(value) => value,
                // Attribute output writes bare words: `zigbee2mqtt/hall/action` with `single`.
                Err(e) => match std::str::from_utf8(payload) {
                    Ok(text) if source.contains('/') && !text.trim_start().starts_with(['{', '[', '"']) => {
                        Value::String(text.to_string())
                    }
                    _ => return Err(not_json(e.to_string())),
                },
            };
            match source.rsplit_once('/') {
                Some((device, key)) if !value.is_array() => {
                    message.out.source = device.to_string();
                    message.field(key, value, 0);
                }
                _ => return Err(AdapterError::NotAnObject { topic: shown(topic), found: kind_of(&value) }),
            }
        }
    }
    Ok(message.finish())
}

/// `online`/`offline`, bare or as `{"state": …}`.
fn online(payload: &[u8]) -> Option<bool> {
    let text = match serde_json::from_slice::<Value>(payload) {
        Ok(Value::Object(map)) => map.get("state")?.as_str()?.to_string(),
        Ok(Value::String(text)) => text,
        Ok(_) => return None,
        Err(_) => String::from_utf8_lossy(payload).into_owned(),
    };
    match text.trim() {
        "online" => Some(true),
        "offline" => Some(false),
        _ => None,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::Bool(_) | Value::Null => "a single word",
    }
}

/// The fields of an object in order, doubled names kept: a map would drop the first of two in silence.
struct Fields(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keep;
        impl<'de> Visitor<'de> for Keep {
            type Value = Fields;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object of capabilities")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Keep)
    }
}

/// One message while it is read. What several fields say together (battery, lock, test) is put together at the end.
#[derive(Default)]
struct Message {
    presses: Presses,
    out: Adapted,
    battery_percent: Option<u8>,
    battery_low: Option<bool>,
    lock_state: Option<bool>,
    /// What `state` or an action says of the lock; `lock_state` knows better.
    lock_hint: Option<bool>,
    lock_by: Option<String>,
    test: bool,
    pressed: Option<Press>,
    moved: bool,
}

impl Message {
    fn fields(&mut self, fields: Vec<(String, Value)>, depth: usize) {
        for (key, value) in fields {
            self.field(&key, value, depth);
        }
    }

    /// Counts one field as told, measured or unknown; an object that is looked into is counted by its fields.
    fn field(&mut self, key: &str, value: Value, depth: usize) {
        let looked_into = looks_into(key, &value, depth);
        let before = (self.out.measurements, self.out.unknown.len());
        self.judge(key, value, depth);
        if !looked_into && before == (self.out.measurements, self.out.unknown.len()) {
            self.out.told += 1;
        }
    }

    fn judge(&mut self, key: &str, value: Value, depth: usize) {
        match capability(key) {
            Capability::Ordinary => self.ordinary(key, &value),
            Capability::Action => self.action(key, &value),
            Capability::Sos => self.when_active(key, &value, &["sos", "panic", "emergency"], |m| m.press(Press::Long)),
            // "fall_warning", "maybe_fall": the device itself is not sure, so a person looks.
            Capability::Fall => {
                self.when_active(key, &value, &["fall", "fall_alarm", "fallen", "falling"], |m| m.event(fall()))
            }
            Capability::Smoke => self.hazard(key, &value, &["smoke", "smoke_alarm"], |active| Event::Smoke { active }),
            // A meter counts cubic metres under the same name as a detector; only 0 and 1 can be a detector's.
            Capability::Gas if value.as_f64().is_some_and(|n| n != 0.0 && n != 1.0) => self.measured(),
            Capability::Gas => self.hazard(key, &value, &["gas", "gas_alarm", "leak"], |active| Event::Gas { active }),
            // Parts per million under the short name.
            Capability::Co if word(key) == "co" && value.is_number() => self.measured(),
            Capability::Co => {
                self.hazard(key, &value, &["co", "co_alarm", "carbon_monoxide"], |active| Event::Co { active })
            }
            Capability::Heat => self.hazard(key, &value, &["fire", "heat", "flame"], |active| Event::Heat { active }),
            // A current that leaks is measured in milliamperes.
            Capability::Flood if !word(key).contains("water") && value.is_f64() => self.measured(),
            Capability::Flood => self.hazard(
                key,
                &value,
                &["leak", "wet", "water", "water_leak", "water_leakage", "water_leakage_yes", "flood"],
                |active| Event::Flood { active },
            ),
            Capability::Contact => self.door(
                key,
                &value,
                &["closed", "close", "contact_closed"],
                &["open", "opened", "contact_open"],
                false,
            ),
            Capability::Open => self.door(key, &value, &["open", "opened", "tilted"], &["closed", "close"], true),
            Capability::Motion => self.when_active(key, &value, MOVING, |m| m.moved = true),
            Capability::Vibration
                if value.is_string()
                    && ["low", "medium", "high"].contains(&word(value.as_str().unwrap_or("")).as_str()) =>
            {
                self.measured() // A sensitivity under the sensor's name.
            }
            Capability::Vibration => self.when_active(key, &value, &["vibration"], |m| m.moved = true),
            Capability::Tamper => self.when_active(key, &value, &["tamper", "tampered"], |m| m.event(Event::Tamper {})),
            Capability::LockState => self.lock_state(key, &value),
            Capability::State => self.state(key, &value),
            Capability::Temperature => self.temperature(key, &value),
            Capability::Battery => self.battery(key, &value),
            Capability::BatteryLow if value.is_number() => self.measured(),
            Capability::BatteryLow => match sense(&value, &["low"]) {
                Sense::Active => self.battery_low = Some(true),
                Sense::Rest => self.battery_low = Some(self.battery_low.unwrap_or(false)),
                Sense::Absent => self.measured(),
                Sense::Odd => self.unknown(key, &value),
            },
            Capability::BatteryState => match value.as_str().map(word).as_deref() {
                Some("low" | "critical" | "empty" | "very_low" | "missing") => self.battery_low = Some(true),
                _ => self.ordinary(key, &value),
            },
            Capability::Pressure => self.pressure(key, &value),
            Capability::Posture => self.posture(key, &value),
            Capability::Test => {
                self.when_active(key, &value, &["test", "checking", "testing", "running"], |m| m.test = true)
            }
            Capability::Pushed => self.when_active(key, &value, &[], |m| m.push(key, &value, Press::Short, false)),
            // "ON" is the setting; a true may be somebody on the floor.
            Capability::Ambiguous if value.is_string() => self.ordinary(key, &value),
            Capability::Ambiguous | Capability::Watch => self.watch(key, value, depth),
            Capability::Unlisted if value.is_number() => self.measured(),
            Capability::Unlisted => self.watch(key, value, depth),
        }
    }

    /// Something that is an event while active, and nothing to say while at rest.
    fn when_active(&mut self, key: &str, value: &Value, more: &[&str], then: impl FnOnce(&mut Self)) {
        match sense(value, more) {
            Sense::Active => then(self),
            Sense::Rest | Sense::Absent => self.measured(),
            Sense::Odd => self.unknown(key, value),
        }
    }

    /// Something that is an event when it begins and when it is over.
    fn hazard(&mut self, key: &str, value: &Value, more: &[&str], event: impl FnOnce(bool) -> Event) {
        match sense(value, more) {
            Sense::Active => self.event(event(true)),
            Sense::Rest => self.event(event(false)),
            Sense::Absent => self.measured(),
            Sense::Odd => self.unknown(key, value),
        }
    }

    /// `yes` and `no` are the words for true and false; `open_when_true` is what they mean.
    fn door(&mut self, key: &str, value: &Value, yes: &[&str], no: &[&str], open_when_true: bool) {
        let text = value.as_str().map(word).unwrap_or_default();
        let closed_or_open = match sense(value, yes) {
            _ if no.contains(&text.as_str()) => Some(false),
            Sense::Active => Some(true),
            Sense::Rest => Some(false),
            Sense::Absent => return self.measured(),
            Sense::Odd => None,
        };
        match closed_or_open {
            Some(yes) => self.event(Event::Door { open: yes == open_when_true }),
            None => self.unknown(key, value),
        }
    }

    fn lock_state(&mut self, key: &str, value: &Value) {
        match value.as_str().map(word).as_deref() {
            Some("locked" | "lock") => self.lock_state = Some(true),
            // Neither open nor safe: for the staff at the door it is not locked.
            Some("unlocked" | "unlock" | "not_fully_locked") => self.lock_state = Some(false),
            _ if value.is_null() => self.measured(),
            _ => self.unknown(key, value),
        }
    }

    fn state(&mut self, key: &str, value: &Value) {
        match value.as_str().map(word).as_deref() {
            Some("lock" | "locked") => self.lock_hint = Some(true),
            Some("unlock" | "unlocked") => self.lock_hint = Some(false),
            Some("presence" | "move" | "motion" | "occupied") => self.moved = true,
            Some(
                "on" | "off" | "open" | "close" | "closed" | "opening" | "closing" | "stop" | "stopped" | "idle"
                | "working" | "work" | "preparation" | "none" | "absence" | "disabled" | "toggle" | "true" | "false"
                | "auto" | "manual" | "unoccupied",
            ) => self.measured(),
            None if matches!(value, Value::Bool(_) | Value::Null | Value::Number(_)) => self.measured(),
            _ => self.unknown(key, value),
        }
    }

    fn temperature(&mut self, key: &str, value: &Value) {
        match number(value) {
            // Outside is no room and no sensor: DS18B20 and kin say 85 or -127 when they fail, a fire says more than 60.
            Some(celsius) if (-60.0..=150.0).contains(&celsius) => {
                self.event(Event::Temperature { centi_c: (celsius * 100.0).round() as i32 })
            }
            None if value.is_null() => self.measured(),
            _ => self.unknown(key, value),
        }
    }

    fn battery(&mut self, key: &str, value: &Value) {
        match number(value) {
            Some(percent) if (0.0..=100.0).contains(&percent) => {
                let percent = percent.round() as u8;
                self.battery_percent = Some(self.battery_percent.map_or(percent, |other| other.min(percent)));
            }
            None if value.is_null() => self.measured(),
            _ => self.unknown(key, value),
        }
    }

    fn pressure(&mut self, key: &str, value: &Value) {
        match (value, value.as_str().map(word).as_deref()) {
            (Value::Number(_) | Value::Null, _) => self.measured(),
            (Value::Bool(pressed), _) => self.event(Event::Mat { pressed: *pressed }),
            (_, Some("sit" | "sitting" | "sedentary")) => self.event(Event::Chair { occupied: true }),
            (_, Some("none")) => self.event(Event::Chair { occupied: false }),
            _ => self.unknown(key, value),
        }
    }

    fn posture(&mut self, key: &str, value: &Value) {
        match value.as_str().map(word).as_deref() {
            Some("falling" | "fall" | "fallen") => self.event(fall()),
            Some("on_the_bed") => self.event(Event::Bed { occupied: true }),
            Some("sitting") => self.event(Event::Chair { occupied: true }),
            Some("occupied" | "moving" | "low_posture" | "motion" | "presence") => self.moved = true,
            Some(text)
                if ["alarm", "leak", "smoke", "fire", "sos", "fault", "error", "stuck", "blocked"]
                    .iter()
                    .any(|bad| text.contains(bad)) =>
            {
                self.unknown(key, value)
            }
            _ => self.ordinary(key, value),
        }
    }

    fn action(&mut self, key: &str, value: &Value) {
        let Some(text) = value.as_str() else {
            return if value.is_null() { self.measured() } else { self.unknown(key, value) };
        };
        match action::read(text) {
            Act::Help => self.press(Press::Long),
            Act::Fall => self.event(fall()),
            Act::Motion | Act::Vibration => self.moved = true,
            Act::Press { press, command } => self.push(key, value, press, command),
            Act::Unlocked => self.lock_hint = Some(false),
            Act::Locked => self.lock_hint = Some(true),
            Act::Ordinary | Act::Nothing => self.measured(),
            Act::Unknown => self.unknown(key, value),
        }
        // `keypad_unlock`: the way in is part of the action's name.
        if let Some((by, _)) = text.split_once('_').filter(|(_, rest)| rest.contains("lock")) {
            self.lock_by.get_or_insert(by.to_string());
        }
    }

    /// A press of an ordinary push button: what it means, the enrolment says.
    fn push(&mut self, key: &str, value: &Value, press: Press, command: bool) {
        match (self.presses, command) {
            (Presses::Resident, _) => self.press(press),
            (Presses::Undecided, false) => self.unknown(key, value),
            (Presses::Undecided, true) | (Presses::Ordinary, _) => self.measured(),
        }
    }

    /// Two fields of one message (`sos` and `action`) tell of one press.
    fn press(&mut self, press: Press) {
        if self.pressed != Some(Press::Long) {
            self.pressed = Some(press);
        }
    }

    fn watch(&mut self, key: &str, value: Value, depth: usize) {
        match value {
            Value::Object(map) if depth < DEPTH_MAX && !map.is_empty() => {
                self.fields(map.into_iter().collect(), depth + 1)
            }
            value => match sense(&value, &[]) {
                Sense::Rest | Sense::Absent => self.measured(),
                // An empty text is a field that was never filled.
                Sense::Odd if value.as_str() == Some("") => self.measured(),
                Sense::Active | Sense::Odd => self.unknown(key, &value),
            },
        }
    }

    fn ordinary(&mut self, key: &str, value: &Value) {
        if key.eq_ignore_ascii_case("action_source_name") {
            self.lock_by = value.as_str().map(word).or(self.lock_by.take());
        }
        self.measured();
    }

    fn measured(&mut self) {
        self.out.measurements += 1;
    }

    fn event(&mut self, event: Event) {
        if !self.out.events.contains(&event) {
            self.out.events.push(event);
        }
    }

    fn unknown(&mut self, key: &str, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        self.out.unknown.push((shown(key), shown(&text)));
    }

    /// Puts together what several fields said, and the most urgent lane first.
    fn finish(mut self) -> Adapted {
        if let Some(press) = self.pressed {
            self.event(Event::Button { press });
        }
        if let Some(locked) = self.lock_state.or(self.lock_hint) {
            let by = self.lock_by.take();
            self.event(Event::Lock { locked, by: by.as_deref().map(Into::into) });
        }
        if self.moved {
            self.event(Event::Motion {});
        }
        if self.test {
            self.event(Event::Test {});
        }
        if self.battery_percent.is_some() || self.battery_low.is_some() {
            let low = self.battery_low == Some(true)
                || self.battery_percent.is_some_and(|percent| f64::from(percent) <= BATTERY_LOW_PERCENT);
            self.event(Event::Battery { percent: self.battery_percent, low });
        }
        self.out.events.sort_by_key(Event::lane);
        self.out
    }
}

/// An object under a name that is no setting: what is in it is judged field by field.
fn looks_into(key: &str, value: &Value, depth: usize) -> bool {
    let open = matches!(capability(key), Capability::Watch | Capability::Unlisted | Capability::Ambiguous);
    open && depth < DEPTH_MAX && value.as_object().is_some_and(|map| !map.is_empty())
}

/// Words of presence radars and motion sensors for "somebody moves or is there".
const MOVING: &[&str] = &[
    "presence",
    "motion",
    "moving",
    "move",
    "movement",
    "occupied",
    "activity",
    "active",
    "peaceful",
    "static",
    "stationary",
    "small",
    "medium",
    "large",
    "small_movement",
    "large_movement",
    "near",
    "far",
    "enter",
    "leave",
    "left_enter",
    "right_leave",
    "right_enter",
    "left_leave",
    "approach",
    "away",
    "moving_forward",
    "moving_backward",
    "standing_still",
    "close_to",
    "far_away",
    "approaching",
    "departing",
];

/// A number, also where it comes as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

/// A fall of which the device measured nothing.
fn fall() -> Event {
    Event::Fall { impact_mg: None, still_s: None }
}
