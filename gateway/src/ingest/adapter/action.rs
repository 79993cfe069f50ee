//! What an `action` says: the one capability that is a push button, a light switch, an alarm keypad and a lock.
//! Enters: the action's text. Leaves: [`Act`].

use vaka_protocol::Press;

use super::names::listed;

/// An action, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Says itself that it calls for help.
    Help,
    Fall,
    Motion,
    Vibration,
    /// A press that says nothing about its purpose; `command` where it looks like a light's or a cover's.
    Press {
        press: Press,
        command: bool,
    },
    Unlocked,
    Locked,
    /// No press: a release, the end of a move, a dial, a keypad's mode.
    Ordinary,
    /// Nothing happened.
    Nothing,
    Unknown,
}

const HELP_WORDS: &str = "\
    emergency help panic sos";
const FALL_WORDS: &str = "\
    fall fallen falling";
const MOTION_WORDS: &str = "\
    enter leave motion move_detected movement moving occupied approach";
const VIBRATION_WORDS: &str = "\
    vibration";
/// The finger has left the button, a dial has stopped: the press itself came before.
const END_WORDS: &str = "\
    release released stop stopped";
const SHORT_WORDS: &str = "\
    bell button click double initial knock many once press pressed push pushed quadruple quintuple ring short \
    single strike tap triple tripple twice";
const LONG_WORDS: &str = "\
    held hold long";
/// Commands for lights, covers, scenes and players; with them a press is one of a remote control.
const COMMAND_WORDS: &str = "\
    add arrow bar brightness close closed color colored colortemp cover curtain default dim dot dots energy hue \
    light loop off on open play pause power recal recall refresh remove rgb saturation scene screen step store \
    switch temperature toggle track volume";
/// Keypad modes, dials and cubes.
const OTHER_WORDS: &str = "\
    arm armed at home away go disarm entry exit rotate rotation rotating rotated dial slider flip180 flip90 slide \
    shake wakeup region clockwise anti identify sleep night day non operational request select schedule side \
    orientation cw ww r half opening boost start finger password rfid unoccupied static throw color_wheel wheel";
/// Words that carry no meaning of their own here: ends, colours, places.
const FILLER_WORDS: &str = "\
    all and b back blue both bright center config down e enhanced ext fast front g green high in input key left \
    low minus mode move mouse of or partial plus red right row s sw slow to top bottom up user access event voice \
    white wireless yellow zones partially next previous stay add delete dec inc position continued started the ir \
    zone departure arrival mid scenes group hexagon square triangle w x y";

/// Reads the text of an action such as `panic`, `button_3_hold`, `brightness_move_up_2`, `recall_*`, `keypad_unlock`.
pub fn read(text: &str) -> Act {
    let lower = text.trim().to_lowercase();
    if matches!(lower.as_str(), "" | "none" | "null" | "idle") {
        return Act::Nothing;
    }
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).map(stem).filter(|word| !word.is_empty()).collect();
    let any = |table: &str| words.iter().any(|word| listed(table, word));
    if any(HELP_WORDS) {
        return Act::Help;
    }
    if any(FALL_WORDS) {
        return Act::Fall;
    }
    if any("failure fail failed not wrong invalid drop tilt unknown") {
        return Act::Unknown;
    }
    if any("unlock unlocked") {
        return Act::Unlocked;
    }
    if any("lock locked") {
        return if any("reverse opened key") { Act::Ordinary } else { Act::Locked };
    }
    if any(VIBRATION_WORDS) {
        return Act::Vibration;
    }
    if any(MOTION_WORDS) {
        return Act::Motion;
    }
    let tables = [END_WORDS, SHORT_WORDS, LONG_WORDS, COMMAND_WORDS, OTHER_WORDS, FILLER_WORDS];
    if !words.iter().all(|word| tables.iter().any(|table| listed(table, word))) {
        return Act::Unknown;
    }
    if any(END_WORDS) || any(OTHER_WORDS) {
        return Act::Ordinary;
    }
    let press = if any(LONG_WORDS) { Press::Long } else { Press::Short };
    let command = any(COMMAND_WORDS);
    if command || any(SHORT_WORDS) || any(LONG_WORDS) || any("up down key") {
        Act::Press { press, command }
    } else {
        Act::Unknown
    }
}

/// The word without its number: `l1`, `3` and `button3` tell endpoints apart, no more.
fn stem(word: &str) -> &str {
    if word.starts_with("flip") {
        return word;
    }
    let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == 1 && stem.len() < word.len() { "" } else { stem }
}
