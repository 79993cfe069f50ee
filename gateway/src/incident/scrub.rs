//! Taking people and places out of facts: what is known to be harmless stays, ids become numbers, everything else is left out.
//!
//! Enters: JSON facts, the config. Leaves: the same facts without who and where. Invariant: a text that no rule here names does not pass.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::board::names::Names;
use crate::config::Config;

/// What stands for a text that was left out.
pub const LEFT_OUT: &str = "(left out)";

/// Keys whose texts are words of this program or of a protocol.
const WORDS: &[&str] = &[
    "kind",
    "lane",
    "rung",
    "rule",
    "cause",
    "act",
    "outcome",
    "version",
    "fault",
    "what",
    "press",
    "dty",
    "stc",
    "found",
    "why",
    "lanes",
    "role",
    "language",
    "time_zone",
    "days",
    "tls_min",
    "instead",
    "protocol",
];
/// Keys whose texts are ids, and what their numbers are called.
const IDS: &[(&str, &str)] = &[
    ("device", "device"),
    ("camera", "device"),
    ("light", "device"),
    ("via", "device"),
    ("bridge", "device"),
    ("of", "device"),
    ("resident", "resident"),
    ("by", "person"),
    ("other", "person"),
    ("person", "person"),
    ("claimed_by", "person"),
    ("closed_by", "person"),
    ("receiver", "receiver"),
    ("room", "room"),
    ("unit", "unit"),
];
/// Keys whose texts are the gateway's own sentences: what is known of people and places is replaced in them.
const SENTENCES: &[&str] = &["sv", "en", "prevented", "agreed", "key", "words"];
/// Keys whose texts this alarm is found by in the journal.
const KEPT: &[&str] = &["alarm", "id", "reference"];
/// Keys that tell where somebody was, whatever their type.
const PLACES: &[&str] =
    &["position", "whereabouts", "fence", "lat_e7", "lon_e7", "latitude", "longitude", "payload", "tag"];

/// Replaces, and remembers by what.
#[derive(Debug)]
pub struct Scrub {
    named: bool,
    /// Kind of id, id: its number.
    numbers: BTreeMap<(&'static str, String), usize>,
    /// What is known of people and places, the longest first, and what stands for it in a sentence.
    known: Vec<(String, String)>,
    /// By resident, where names may be told.
    names: BTreeMap<String, String>,
}

impl Scrub {
    /// For the people and devices of `config`. `named`: nothing is replaced, and names are told.
    pub fn new(config: &Config, names: &Names, named: bool) -> Scrub {
        let mut scrub = Scrub { named, numbers: BTreeMap::new(), known: Vec::new(), names: BTreeMap::new() };
        let mut known: Vec<(&'static str, String)> = vec![("home", config.gateway.id.to_string())];
        for device in config.devices.values() {
            known.push(("device", device.id.to_string()));
            known.extend(device.room.iter().map(|room| ("room", room.clone())));
            known.extend(device.unit.iter().map(|unit| ("unit", unit.clone())));
            known.extend(device.address.iter().map(|address| ("device", address.clone())));
        }
        for camera in config.cameras.values() {
            known.push(("device", camera.id.to_string()));
            known.extend(camera.room.iter().map(|room| ("room", room.clone())));
        }
        known.extend(config.receivers.iter().map(|receiver| ("receiver", receiver.name.clone())));
        for resident in config.residents.values() {
            known.push(("resident", resident.id.clone()));
            known.extend(resident.phone.iter().map(|phone| ("telephone", phone.clone())));
        }
        let written = names.written().unwrap_or_default();
        for id in written {
            // A name that cannot be opened stands in no sentence of ours either.
            let Ok(Some(name)) = names.read(&id) else { continue };
            if named {
                scrub.names.insert(id.clone(), name.name.clone());
            }
            let parts = name.name.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let texts = [name.name, name.address, name.key_note, name.phone];
            known.extend(texts.into_iter().chain(parts).filter(|text| text.len() > 2).map(|text| ("resident", text)));
        }
        for (kind, text) in known {
            let stands = scrub.number(kind, &text);
            scrub.known.push((text, stands));
        }
        scrub.known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        scrub
    }

    fn number(&mut self, kind: &'static str, id: &str) -> String {
        let next = 1 + self.numbers.keys().filter(|(known, _)| *known == kind).count();
        let number = *self.numbers.entry((kind, id.to_owned())).or_insert(next);
        format!("{kind}-{number}")
    }

    /// A record, or an alarm as it is shown.
    pub fn record(&mut self, fact: Value) -> Value {
        self.value("", fact, true)
    }

    /// vaka.toml as facts: texts that are no words and no ids are left out, named or not, as a secret may stand in any of them.
    pub fn config(&mut self, file: &Path) -> Value {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let facts = toml::from_str::<toml::Value>(&text).ok().and_then(|toml| serde_json::to_value(toml).ok());
        let Some(Value::Object(mut facts)) = facts else { return Value::Null };
        if let Some(Value::Object(gateway)) = facts.get_mut("gateway") {
            gateway.remove("id");
        }
        for table in ["device", "resident", "camera"] {
            let kind = if table == "resident" { "resident" } else { "device" };
            for one in facts.get_mut(table).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(id) = one["id"].as_str().map(str::to_owned) {
                    one["id"] = if self.named { id } else { self.number(kind, &id) }.into();
                }
            }
        }
        self.value("", Value::Object(facts), false)
    }

    fn value(&mut self, key: &str, value: Value, is_record: bool) -> Value {
        if PLACES.contains(&key) && !(self.named && is_record) {
            return LEFT_OUT.into();
        }
        match value {
            Value::String(text) => self.text(key, text, is_record).into(),
            Value::Array(many) => many.into_iter().map(|one| self.value(key, one, is_record)).collect(),
            Value::Object(fields) => {
                let is_sentences = SENTENCES.contains(&key);
                let each = fields.into_iter().map(|(name, field)| {
                    let key = if is_sentences && field.is_string() { key } else { name.as_str() };
                    let field = self.value(key, field, is_record);
                    (name, field)
                });
                Value::Object(each.collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    fn text(&mut self, key: &str, text: String, is_record: bool) -> String {
        // `located p1`, `told morning`: what stands behind the first word is an id, or somebody's own word.
        if key == "cause"
            && !self.named
            && let Some((what, _)) = text.split_once(' ')
        {
            return format!("{what} {LEFT_OUT}");
        }
        if text.is_empty() || WORDS.contains(&key) || KEPT.contains(&key) {
            return text;
        }
        if self.named && is_record {
            return match self.names.get(&text) {
                Some(name) if key == "resident" => format!("{text} ({name})"),
                _ => text,
            };
        }
        if let Some((_, kind)) = IDS.iter().find(|(id, _)| *id == key) {
            return if self.named { text } else { self.number(kind, &text) };
        }
        if is_record && SENTENCES.contains(&key) {
            return self.sentence(&text);
        }
        // A time of day or a date of the agreement.
        let is_time = text.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'-') && text.len() <= 10;
        if !is_record && is_time && text.contains(':') { text } else { LEFT_OUT.to_owned() }
    }

    /// Whole words alone: `p1` is not in `p12`.
    fn sentence(&self, text: &str) -> String {
        let mut said = text.to_owned();
        for (known, stands) in &self.known {
            let mut from = 0;
            while let Some(place) = said[from..].find(known.as_str()) {
                let (start, end) = (from + place, from + place + known.len());
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
                if is_word(said[..start].chars().next_back()) || is_word(said[end..].chars().next()) {
                    from = end;
                    continue;
                }
                said.replace_range(start..end, stands);
                from = start + stands.len();
            }
        }
        said
    }
}
