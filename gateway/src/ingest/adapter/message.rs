//! One Zigbee2MQTT message, field by field.
//!
//! Enters: fields and values. Leaves: [`Adapted`]. Invariant: a field is told, measured or unknown, once;
//! what several fields say together (battery, lock, press, test) becomes one event at the end.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use vaka_protocol::{Event, Press};

use super::action::{self, Act};
use super::names::{Capability, capability, listed};
use super::values::{Sense, sense, word};
use super::{Adapted, Presses, shown};

/// Charge at or below which a battery counts as low even where the device itself does not say so, in percent.
/// Many devices never set `battery_low`. Source: our choice.
pub const BATTERY_LOW_PERCENT: f64 = 10.0;

/// Objects within objects that are looked into. Deeper ones go to a person whole.
const DEPTH_MAX: usize = 4;

/// The fields of an object in order, doubled names kept: a map would drop the first of two in silence.
pub(super) struct Fields(pub Vec<(String, Value)>);

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
pub(super) struct Message {
    presses: Presses,
    pub out: Adapted,
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
    pub fn new(source: &str, presses: Presses) -> Self {
        Self { presses, out: Adapted { source: source.to_string(), ..Adapted::default() }, ..Self::default() }
    }

    pub fn fields(&mut self, fields: Vec<(String, Value)>, depth: usize) {
        for (key, value) in fields {
            self.field(&key, value, depth);
        }
    }

    /// Counts one field as told, measured or unknown; an object that is looked into is counted by its fields.
    pub fn field(&mut self, key: &str, value: Value, depth: usize) {
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
            Capability::Sos => self.when_active(key, &value, "sos panic emergency", |m| m.press(Press::Long)),
            // "fall_warning", "maybe_fall": the device itself is not sure, so a person looks.
            Capability::Fall => self.when_active(key, &value, "fall fall_alarm fallen falling", |m| m.event(fall())),
            Capability::Smoke => self.hazard(key, &value, "smoke smoke_alarm", |active| Event::Smoke { active }),
            // A meter counts cubic metres under the same name as a detector; only 0 and 1 can be a detector's.
            Capability::Gas if value.as_f64().is_some_and(|n| n != 0.0 && n != 1.0) => self.measured(),
            Capability::Gas => self.hazard(key, &value, "gas gas_alarm leak", |active| Event::Gas { active }),
            // Parts per million under the short name.
            Capability::Co if word(key) == "co" && value.is_number() => self.measured(),
            Capability::Co => self.hazard(key, &value, "co co_alarm carbon_monoxide", |active| Event::Co { active }),
            Capability::Heat => self.hazard(key, &value, "fire heat flame", |active| Event::Heat { active }),
            // A current that leaks and a meter's water are numbers too; only what says leak or flood can mean 0 and 1.
            Capability::Flood if value.is_number() && !is_leak_flag(key, &value) => self.measured(),
            Capability::Flood => {
                self.hazard(key, &value, "leak wet water water_leak water_leakage water_leakage_yes flood", |active| {
                    Event::Flood { active }
                })
            }
            Capability::Contact => {
                self.door(key, &value, "closed close contact_closed", "open opened contact_open", false)
            }
            Capability::Open => self.door(key, &value, "open opened tilted", "closed close", true),
            // A cover's motor.
            Capability::Motion
                if matches!(text(&value).as_str(), "up" | "down" | "forward" | "reverse" | "backward") =>
            {
                self.measured()
            }
            Capability::Motion => self.when_active(key, &value, MOVING, |m| m.moved = true),
            // A sensitivity under the sensor's name.
            Capability::Vibration if value.is_f64() || matches!(text(&value).as_str(), "low" | "medium" | "high") => {
                self.measured()
            }
            Capability::Vibration => self.when_active(key, &value, "vibration", |m| m.moved = true),
            Capability::Tamper => self.when_active(key, &value, "tamper tampered", |m| m.event(Event::Tamper {})),
            Capability::LockState => self.lock_state(key, &value),
            Capability::State => self.state(key, &value),
            Capability::Temperature => self.temperature(key, &value),
            Capability::Battery => self.battery(key, &value),
            Capability::BatteryLow if value.is_number() => self.measured(),
            Capability::BatteryLow => match sense(&value, "low") {
                Sense::Active => self.battery_low = Some(true),
                Sense::Rest => self.battery_low = Some(self.battery_low.unwrap_or(false)),
                Sense::Absent => self.measured(),
                Sense::Odd => self.unknown(key, &value),
            },
            Capability::BatteryState => match word_of(&value).as_deref() {
                Some("low" | "critical" | "empty" | "very_low" | "missing") => self.battery_low = Some(true),
                _ => self.ordinary(key, &value),
            },
            Capability::Pressure => self.pressure(key, &value),
            Capability::Posture => self.posture(key, &value),
            Capability::Test => self.when_active(key, &value, "test checking testing running", |m| m.test = true),
            Capability::Pushed => self.when_active(key, &value, "", |m| m.push(key, &value, Press::Short, false)),
            // "ON" is the setting; a true may be somebody on the floor.
            Capability::Alert => self.alert(key, &value),
            Capability::Ambiguous if value.is_string() => self.ordinary(key, &value),
            // A bound: `high_gas`, `humidity_alarm_low`.
            Capability::Watch if value.is_number() && ["high", "low"].iter().any(|bound| word(key).contains(bound)) => {
                self.measured()
            }
            Capability::Ambiguous | Capability::Watch => self.watch(key, value, depth),
            Capability::Unlisted if value.is_number() => self.measured(),
            Capability::Unlisted => self.watch(key, value, depth),
        }
    }

    /// Something that is an event while active, and nothing to say while at rest.
    fn when_active(&mut self, key: &str, value: &Value, more: &str, then: impl FnOnce(&mut Self)) {
        match sense(value, more) {
            Sense::Active => then(self),
            Sense::Rest | Sense::Absent => self.measured(),
            Sense::Odd => self.unknown(key, value),
        }
    }

    /// Something that is an event when it begins and when it is over.
    fn hazard(&mut self, key: &str, value: &Value, more: &str, event: impl FnOnce(bool) -> Event) {
        match sense(value, more) {
            Sense::Active => self.event(event(true)),
            Sense::Rest => self.event(event(false)),
            Sense::Absent => self.measured(),
            Sense::Odd => self.unknown(key, value),
        }
    }

    /// `yes` and `no` are the words for true and false; `open_when_true` is what they mean.
    fn door(&mut self, key: &str, value: &Value, yes: &str, no: &str, open_when_true: bool) {
        let text = text(value);
        let closed_or_open = match sense(value, yes) {
            _ if listed(no, &text) => Some(false),
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
        match word_of(value).as_deref() {
            Some("locked" | "lock") => self.lock_state = Some(true),
            // Neither open nor safe: for the staff at the door it is not locked.
            Some("unlocked" | "unlock" | "not_fully_locked") => self.lock_state = Some(false),
            _ if value.is_null() => self.measured(),
            _ => self.unknown(key, value),
        }
    }

    fn state(&mut self, key: &str, value: &Value) {
        match word_of(value).as_deref() {
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
        match (value, word_of(value).as_deref()) {
            (Value::Number(_) | Value::Null, _) => self.measured(),
            (Value::Bool(pressed), _) => self.event(Event::Mat { pressed: *pressed }),
            (_, Some("sit" | "sitting" | "sedentary")) => self.event(Event::Chair { occupied: true }),
            (_, Some("none")) => self.event(Event::Chair { occupied: false }),
            _ => self.unknown(key, value),
        }
    }

    fn posture(&mut self, key: &str, value: &Value) {
        match word_of(value).as_deref() {
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

    fn alert(&mut self, key: &str, value: &Value) {
        match text(value).as_str() {
            "smoke" | "pre_smoke" | "interconnect_smoke" => self.event(Event::Smoke { active: true }),
            "carbon_monoxide" | "interconnect_carbon_monoxide" | "co" => self.event(Event::Co { active: true }),
            "low_battery" | "very_low_battery" | "failed_battery" => self.battery_low = Some(true),
            "silenced" | "weather" => self.measured(),
            _ => self.watch(key, value.clone(), DEPTH_MAX),
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
            value => match sense(&value, "") {
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

    pub fn unknown(&mut self, key: &str, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        self.out.unknown.push((shown(key), shown(&text)));
    }

    /// Puts together what several fields said, and the most urgent lane first.
    pub fn finish(mut self) -> Adapted {
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
const MOVING: &str = "\
    presence motion moving move movement occupied activity active peaceful static stationary small medium large \
    small_movement large_movement near far enter leave left_enter right_leave right_enter left_leave approach away \
    moving_forward moving_backward standing_still close_to far_away approaching departing";

fn word_of(value: &Value) -> Option<String> {
    value.as_str().map(word)
}

/// The value as one word; empty where it is no text.
fn text(value: &Value) -> String {
    value.as_str().map(word).unwrap_or_default()
}

fn is_leak_flag(key: &str, value: &Value) -> bool {
    let key = word(key);
    let says_leak =
        key.contains("flood") || key.contains("leak") && (key.contains("water") || !key.contains("leakage"));
    says_leak && value.as_f64().is_some_and(|n| n == 0.0 || n == 1.0)
}

/// A number, also where it comes as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n: &f64| n.is_finite())
}

/// A fall of which the device measured nothing.
fn fall() -> Event {
    Event::Fall { impact_mg: None, still_s: None }
}
