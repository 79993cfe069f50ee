//! A form's change written back into vaka.toml: comments and order stay, and who changed what when stands beside it.
//!
//! Enters: the change, the file's text. Leaves: the new text, checked as a whole as vaka.toml is, before anything is written.
//! Invariants: what cannot be used is not written; a file that somebody else has changed meanwhile is not overwritten.

use std::path::Path;

use jiff::civil::DateTime;
use toml_edit::{Array, DocumentMut, InlineTable, Item, TableLike, Value};
use vaka_board::gateway::{Refused, SettingsChange};

use super::places;
use crate::config::Config;
use crate::pipeline::export::hex;
use crate::provision;

/// Keys whose values look like numbers and are texts.
const TEXTS: [&str; 7] = ["below", "above", "text", "name", "slot", "kind", "unit"];
/// What a form never sets: whose it is, and what the change itself writes.
const NOT_SET: [&str; 3] = ["resident", "id", "consent"];

/// Writes the change into the file of `config`.
///
/// # Errors
/// [`Refused::Wrong`] with every complaint, [`Refused::Conflict`] where the file was changed meanwhile; then it is as it was.
pub fn change(config: &Config, change: &SettingsChange, by: &str, now: DateTime) -> Result<(), Refused> {
    let unavailable = |e: &dyn std::fmt::Display| Refused::Unavailable(e.to_string());
    let _lock = provision::lock_home(config.pki().dir()).map_err(|e| unavailable(&e))?;
    let read = || std::fs::read(&config.file).map_err(|e| unavailable(&format!("{}: {e}", config.file.display())));
    let before = read()?;
    let text = String::from_utf8(before.clone()).map_err(|e| unavailable(&e))?;
    let only = config.agreed.people.len() == 1;
    let new = edited(&text, only, change, by, now)?;
    Config::parse(new.as_bytes(), &config.file).map_err(|e| Refused::Wrong(e.to_string()))?;
    if read()? != before {
        let file = config.file.display();
        return Err(Refused::Conflict(format!("{file} was changed meanwhile; look at it, and change it again")));
    }
    provision::write_config(&config.file, &new).map_err(|e| unavailable(&e))
}

/// The settings of one of a resident's tables as text: key and value, in the order of the file. The resident's own before the home's.
pub fn settings(text: &str, only: bool, resident: &str, table: &str) -> Vec<(String, String)> {
    let Ok(document) = text.parse::<DocumentMut>() else { return Vec::new() };
    let mut shown: Vec<(String, String)> = Vec::new();
    for (key, item) in places::read(&document, only, resident, table).into_iter().flat_map(|table| table.iter()) {
        let value = item.as_value().map(plain).filter(|_| !NOT_SET.contains(&key));
        if let Some(value) = value.filter(|_| !shown.iter().any(|(known, _)| known == key)) {
            shown.push((key.to_owned(), value));
        }
    }
    shown
}

/// What one of a resident's tables says, with the home's behind it, as the first 16 digits of its SHA-256; empty where there is none.
pub fn stands(text: &str, only: bool, resident: &str, table: &str) -> String {
    let Ok(document) = text.parse::<DocumentMut>() else { return String::new() };
    let written = |table: &dyn TableLike| table.iter().map(|(key, item)| format!("{key}={item}\n")).collect::<String>();
    let mut said = String::new();
    if places::is_own(table) {
        let own = places::own(&document, resident, table).map(written);
        let home = document.get(table).and_then(Item::as_table_like).map(written);
        said.extend(own.map(|own| format!("own {own}")));
        said.extend(home.map(|home| format!("home {home}")));
    } else {
        said.extend(places::read(&document, only, resident, table).into_iter().map(written));
    }
    match said {
        said if said.is_empty() => String::new(),
        said => hex(ring::digest::digest(&ring::digest::SHA256, said.as_bytes()).as_ref())[..16].to_owned(),
    }
}

/// The file's text with the change in it.
///
/// # Errors
/// [`Refused`], in words.
pub fn edited(text: &str, only: bool, change: &SettingsChange, by: &str, now: DateTime) -> Result<String, Refused> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| Refused::Unavailable(format!("vaka.toml: {e}")))?;
    let SettingsChange { resident, table, values, withdraw, consent_by, consent_on, stands: begun_with, .. } = change;
    if let Some(begun_with) = begun_with.as_ref().filter(|_| !*withdraw)
        && *begun_with != stands(text, only, resident, table)
        // Nothing of theirs was agreed then, and nothing is now: what the home has for all of them is no agreement of theirs.
        && !(begun_with.is_empty() && places::is_own(table) && places::own(&document, resident, table).is_none())
    {
        return Err(Refused::Conflict(format!(
            "`{table}` of `{resident}` was changed or withdrawn since this change was begun; look at it, and change it again"
        )));
    }
    let home = document.get(table.as_str()).and_then(Item::as_table_like);
    let home_consent = home.and_then(|home| home.get("consent")).cloned();
    let of_home = |key: &str| home.and_then(|home| home.get(key)).and_then(Item::as_value).map(Value::is_str);
    let texts: Vec<bool> = values.iter().map(|(key, _)| of_home(key).unwrap_or(false)).collect();
    if places::is_door(table) && !*withdraw {
        return Err(Refused::Wrong(format!(
            "`{table}`: who opens a door is changed in vaka.toml alone; here it is withdrawn"
        )));
    }
    let made;
    let table = match places::is_new(table) && !*withdraw {
        true => {
            if consent_by.as_deref().is_none_or(|by| by.trim().is_empty()) {
                return Err(Refused::Wrong(format!("who has agreed to a new {table}? Write it under consent")));
            }
            made = places::add(&mut document, only, resident, table, values)?;
            &made
        }
        false => table,
    };
    let place = places::write(&mut document, only, resident, table)?;
    for ((key, value), is_text) in values.iter().zip(texts) {
        if NOT_SET.contains(&key.as_str()) || !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            return Err(Refused::Wrong(format!("`{key}` is not changed by a form; change it in vaka.toml")));
        }
        set(place, key, value, is_text);
    }
    let mut consent = match place.get("consent").or(home_consent.as_ref()).and_then(Item::as_table_like) {
        Some(known) => {
            known.iter().filter_map(|(key, item)| Some((key.to_owned(), item.as_value()?.clone()))).collect()
        }
        None => InlineTable::new(),
    };
    let stamp = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let names_consent = consent_by.as_deref().is_some_and(|by| !by.trim().is_empty());
    let withdrawn = consent.get("withdrawn").map(plain);
    if let Some(withdrawn) = withdrawn.filter(|_| names_consent && !*withdraw) {
        // A form that was opened before the no still carries the yes from before it. Days compare as text; of the same day only whoever has
        // seen the no can tell.
        let on = consent_on.as_deref().unwrap_or_default().trim();
        let is_later =
            if begun_with.is_some() { Some(on) >= withdrawn.get(..10) } else { Some(on) > withdrawn.get(..10) };
        if on.len() != 10 || !is_later {
            return Err(Refused::Conflict(format!(
                "`{table}` of `{resident}` was withdrawn {withdrawn}; it is agreed anew by a consent given then or later"
            )));
        }
    }
    for (key, word) in [("by", consent_by), ("on", consent_on)] {
        if let Some(word) = word.as_deref().filter(|word| !word.trim().is_empty()) {
            consent.insert(key, Value::from(word.trim()));
        }
    }
    let today = now.date().to_string();
    for (key, word) in [("from", &change.consent_from), ("until", &change.consent_until)] {
        match word.as_deref().map(str::trim) {
            Some("") => drop(consent.remove(key)),
            Some(word) => drop(consent.insert(key, Value::from(word))),
            None => {}
        }
    }
    let ended = consent.get("until").map(plain).filter(|until| *until < today && names_consent && !*withdraw);
    if let Some(ended) = ended {
        return Err(Refused::Wrong(format!(
            "`{table}` of `{resident}` ended {ended}; say until when it is agreed now, or leave the day empty"
        )));
    }
    if *withdraw {
        consent.insert("withdrawn", Value::from(stamp.as_str()));
    } else if names_consent && consent.remove("withdrawn").is_some() {
        // What happened while it was withdrawn is nobody's, whatever the form still carried.
        let later = change.consent_from.as_deref().map(str::trim).filter(|from| *from > today.as_str());
        consent.insert("from", Value::from(later.unwrap_or(&today)));
    }
    consent.insert("changed_by", Value::from(by));
    consent.insert("changed_at", Value::from(stamp.as_str()));
    consent.fmt();
    match place.get_mut("consent") {
        // What stands behind it on the line stays there.
        Some(item) => {
            let suffix = item.as_value().and_then(|value| value.decor().suffix().cloned());
            if let Some(suffix) = suffix {
                consent.decor_mut().set_suffix(suffix);
            }
            *item = Item::Value(Value::InlineTable(consent));
        }
        None => {
            place.insert("consent", Item::Value(Value::InlineTable(consent)));
        }
    }
    Ok(document.to_string())
}

fn set(place: &mut dyn TableLike, key: &str, word: &str, is_text: bool) {
    let known = place.get(key).and_then(Item::as_value);
    let is_text = known.map_or(is_text || TEXTS.contains(&key), Value::is_str);
    let mut value = if is_text { Value::from(word) } else { read(word) };
    // An empty field of a number: as if it had not been written.
    if word.is_empty() && known.is_some_and(|known| !known.is_str()) {
        place.remove(key);
        return;
    }
    if let Some(known) = known {
        *value.decor_mut() = known.decor().clone();
    }
    match place.get_mut(key) {
        Some(item) => *item = Item::Value(value),
        None => {
            place.insert(key, Item::Value(value));
        }
    }
}

/// A number, a list or a word of truth; everything else is text, a time too.
fn read(word: &str) -> Value {
    match word.trim().parse::<Value>() {
        Ok(value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_))) => value,
        _ => Value::from(word),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.value().clone(),
        Value::Array(array) => {
            let mut array: Array = array.clone();
            array.fmt();
            array.decor_mut().clear();
            array.to_string()
        }
        other => {
            let mut other = other.clone();
            other.decor_mut().clear();
            other.to_string()
        }
    }
}

/// Local time, as the file is stamped.
pub fn local_now(config: &Config, now_ms: i64) -> DateTime {
    crate::rules::care::when::local(&config.gateway.time_zone, now_ms)
}

/// The text of the file of `config`; empty where it cannot be read.
pub fn text_of_file(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
