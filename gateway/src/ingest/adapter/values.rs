//! What a value says about something that can be active or at rest.
//! Enters: a JSON value. Leaves: [`Sense`]. Nothing is guessed: a word that no table holds is [`Sense::Odd`].

use serde_json::Value;

use super::names::listed;

/// A value, read as the answer to "is it happening?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    Active,
    Rest,
    /// `null`: the bridge has not heard yet.
    Absent,
    /// A word or number that no table knows.
    Odd,
}

const REST_WORDS: &str = "\
    0 absence cancel canceled cancelled check_success clear cleared disabled dry false idle inactive no no_alarm \
    no_error no_fault no_fault_detected none normal not_detected off ok ready safe standby stop stopped success \
    unmuted untriggered water_leakage_no not_opened no_motion no_movement no_presence released checking running \
    calibrating in_progress no_alert";

const ACTIVE_WORDS: &str = "\
    1 active alarm alarmed detected on pressed triggered true yes alarm_active in_alarm";

/// Reads `value`; `more` are further words that mean active for this capability (`wet`, `fall`).
pub fn sense(value: &Value, more: &str) -> Sense {
    match value {
        Value::Null => Sense::Absent,
        Value::Bool(true) => Sense::Active,
        Value::Bool(false) => Sense::Rest,
        Value::Number(number) if number.as_f64() == Some(0.0) => Sense::Rest,
        Value::Number(number) if number.as_f64() == Some(1.0) => Sense::Active,
        Value::Number(_) => Sense::Odd,
        Value::String(text) => {
            let word = word(text);
            if listed(more, &word) || listed(ACTIVE_WORDS, &word) {
                Sense::Active
            } else if listed(REST_WORDS, &word) {
                Sense::Rest
            } else {
                Sense::Odd
            }
        }
        Value::Array(list) if list.is_empty() => Sense::Rest,
        Value::Object(map) if map.is_empty() => Sense::Rest,
        Value::Array(_) | Value::Object(_) => Sense::Odd,
    }
}

/// The text as one word: `Check success` and `check-success` are `check_success`.
pub fn word(text: &str) -> String {
    text.trim().to_lowercase().replace([' ', '-'], "_")
}
