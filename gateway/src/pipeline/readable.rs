//! Records whose keys are back: said on the alarm that called somebody for them, as long as it is open.
//!
//! Enters: the start of the gateway. Leaves: a note on that alarm, once. Invariant: it stays open, as somebody may be on the way: a person
//! closes it. Absent: earlier alarms raised anew.

use tracing::warn;

use super::export;
use super::keeper::Keeper;
use crate::journal::record::{Act, ActWhat, Record};
use crate::journal::{OwnedEntry, unread};
use crate::rules::UNREAD_LIFE_FAULT;

/// Who writes the note: nobody of the staff.
const BY: &str = "vaka";

impl Keeper {
    pub(super) fn say_what_can_be_read_again(&mut self) {
        let open = self.restored.state.alarms.open();
        let calls: Vec<_> = open
            .filter_map(|alarm| {
                let number = alarm.raise.device.as_str().strip_prefix(UNREAD_LIFE_FAULT)?;
                Some((alarm.id().clone(), alarm.raise.lane, number.to_owned(), alarm.note.clone()))
            })
            .collect();
        for (alarm, lane, number, said) in calls {
            let last = match unread::last_life(self.restored.journal.dir(), &number) {
                Ok(Some(last)) => last,
                Ok(None) => continue,
                Err(why) => {
                    warn!("looking for what journal/unread-{number} says, whose keys are back: {why}");
                    continue;
                }
            };
            let note = in_words(&number, &last);
            if said.contains(&note) {
                continue;
            }
            // What a person wrote there stays to be read.
            let note = if said.is_empty() { note } else { format!("{said} {note}") };
            let act = Act::new(alarm, ActWhat::Note, BY.to_owned(), note);
            self.append_unrepeatable(Record::Act(self.with_hubs(act, lane)), lane);
        }
    }
}

fn in_words(number: &str, last: &OwnedEntry) -> String {
    let line = export::line(&last.header, &last.body);
    let at =
        jiff::Timestamp::from_millisecond(last.header.wall_ms).map_or_else(|_| "?".to_owned(), |at| at.to_string());
    let word = |name: &str| line[name].as_str().unwrap_or("?").to_owned();
    let what = match line["device"].as_str() {
        Some(device) => {
            let event = line["event"].as_object().and_then(|event| event.keys().next());
            format!("{device} {}, {at}", event.map_or("?", String::as_str))
        }
        None => format!("{}, {at}", word("kind")),
    };
    format!(
        "Det går att läsa igen: {what}. Allt: `vaka journal export --aside {number}`. / It can be read again: {what}. All of it: the same command."
    )
}
