//! A decision in a trace's words.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};
use vaka::journal::record::{Basis, Decision, JoinWhat};
use vaka::rules::care::rehearsal::Rehearsal;
use vaka_protocol::{CommandMessage, encode_command_json};

/// Whose home it is where the file names nobody: not said.
const ONLY_RESIDENT: &str = "resident";

/// What was decided; `None`: nothing that a story tells of (a light in the home).
pub fn told(decision: &Decision, rehearsal: &Rehearsal, zone: &TimeZone) -> Option<String> {
    let of = |basis: Option<&Basis>| match basis.and_then(|basis| basis.resident.as_deref()) {
        Some(resident) if resident != ONLY_RESIDENT => format!(" of {resident}"),
        _ => String::new(),
    };
    Some(match decision {
        Decision::Raise(raise) => {
            let basis = raise.basis.as_deref();
            let due = basis.and_then(|basis| basis.due_at).map(|at| format!(" due {}", clock(zone, at)));
            format!("{} {} {}{}{}", raise.lane, raise.rule, raise.cause, due.unwrap_or_default(), of(basis))
        }
        Decision::Join(join) => {
            let alarm = rehearsal.alarms.get(&join.alarm)?;
            let what = match join.what {
                JoinWhat::Again => "again",
                JoinWhat::Cancel => "cancel",
                JoinWhat::Over => "over",
                JoinWhat::Where => "where",
                JoinWhat::HandedOver | JoinWhat::Escalated => "a person's act",
            };
            format!("{what} {} {}", alarm.raise.rule, alarm.raise.cause)
        }
        // That an agreement holds, or that the gateway listens, is no news to whoever tells the story.
        Decision::Note(note) if note.what.ends_with("-agreed") => return None,
        Decision::Note(note) if note.rule == "silence" => return None,
        Decision::Note(note) => {
            let slot = if note.slot.is_empty() { String::new() } else { format!(" {}", note.slot) };
            format!("note {} {}{slot}{}", note.rule, note.what, of(Some(&note.basis)))
        }
        Decision::Send(send) => {
            let message = encode_command_json(&CommandMessage::new(0, 0, send.command.clone()));
            let message: serde_json::Value = serde_json::from_str(&message).expect("a command is JSON");
            let name = message["command"].as_object().and_then(|command| command.keys().next().cloned());
            format!("send {} {} {}", send.rule, send.device, name.unwrap_or_default())
        }
        Decision::Tell(_) | Decision::Say(_) => return None,
    })
}

/// `02:30`, `02:30:15` where it is not on the minute, `02:30b` the second time.
pub fn clock(zone: &TimeZone, at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).expect("a moment people live in");
    let local = zone.to_datetime(at);
    let form = if local.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    let again = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { after, .. } => zone.to_offset(at) == after,
        _ => false,
    };
    format!("{}{}", local.strftime(form), if again { "b" } else { "" })
}

/// With the day before it.
pub fn day_and_clock(zone: &TimeZone, at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).expect("a moment people live in");
    format!("{} {}", zone.to_datetime(at).date(), clock(zone, at_ms))
}
