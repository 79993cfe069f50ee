//! Residents as the board shows them: what is agreed with each in words and as settings, whose consent it rests on, and their doses.
//!
//! Enters: the config (its file's text too, for the settings as they are written), the doses' rows. Leaves: rows; ids, never names.
//! Invariant: what is not in force is shown all the same, with its dates; what is not agreed is not shown.

use vaka_board::gateway::{Agreement, Dose, Resident, Said};

use super::{places, settings};
use crate::config::{Config, Language};
use crate::notice;
use crate::rules::care::agreed::Person;
use crate::rules::care::dose::rows::DoseRow;
use crate::rules::care::term::Term;
use crate::rules::orders::Unlock;

/// Everybody, in the order of the file. `written`: whose names are written down.
pub fn residents(config: &Config, text: &str, doses: &[DoseRow], written: &[String]) -> Vec<Resident> {
    let only = config.agreed.people.len() == 1;
    let row = |person: &Person| Resident {
        id: person.id.clone(),
        unit: config.resident(&person.id).and_then(|resident| resident.unit.clone()),
        devices: person.devices.iter().map(ToString::to_string).collect(),
        agreements: agreements(config, text, only, person),
        has_name: written.contains(&person.id),
        doses: doses.iter().filter(|row| row.resident == person.id).filter_map(dose).collect(),
    };
    config.agreed.people.iter().map(row).collect()
}

fn dose(row: &DoseRow) -> Option<Dose> {
    let (slot, state) = (row.slot.clone(), row.state.clone());
    Some(Dose { slot, planned_at: row.due_at?, state, locked: row.locked })
}

/// Each agreement by itself: the person as if nothing else were agreed with them, and its term.
fn agreements(config: &Config, text: &str, only: bool, person: &Person) -> Vec<Agreement> {
    let bare = || Person { id: person.id.clone(), devices: person.devices.clone(), ..Person::default() };
    let mut parts: Vec<(String, Person, &Term)> = Vec::new();
    if let Some(night) = &person.night {
        parts.push(("night".into(), Person { night: Some(night.clone()), ..bare() }, &night.term));
    }
    if let Some(presence) = &person.presence {
        parts.push(("presence".into(), Person { presence: Some(presence.clone()), ..bare() }, &presence.term));
    }
    if let Some(look) = &person.look {
        parts.push(("look".into(), Person { look: Some(look.clone()), ..bare() }, &look.term));
    }
    let hm = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    for fence in &person.fences {
        let name = places::name_of("fence", &[&fence.name]);
        parts.push((name, Person { fences: vec![fence.clone()], ..bare() }, &fence.term));
    }
    for plan in &person.doses {
        let name = places::name_of("dose", &[&plan.slot, &hm(plan.at)]);
        parts.push((name, Person { doses: vec![plan.clone()], ..bare() }, &plan.term));
    }
    for reminder in &person.reminders {
        let name = places::name_of("reminder", &[reminder.device.as_ref(), &hm(reminder.at)]);
        parts.push((name, Person { reminders: vec![reminder.clone()], ..bare() }, &reminder.term));
    }
    for threshold in &person.vitals {
        let name = places::name_of("threshold", &[&threshold.kind]);
        parts.push((name, Person { vitals: vec![threshold.clone()], ..bare() }, &threshold.term));
    }
    let in_words = |alone: &Person, language| notice::agreed_with(alone, language).join(" ");
    let mut said: Vec<(String, Said, &Term)> = Vec::new();
    for (table, alone, term) in &parts {
        said.push((table.clone(), Said::new(in_words(alone, Language::Sv), in_words(alone, Language::En)), term));
    }
    for (lock, unlock) in &config.orders.unlock {
        if config.device(lock).and_then(|device| device.resident.as_ref()) == Some(&person.id) {
            said.push((places::name_of("unlock", &[lock.as_ref()]), unlocked(lock.as_ref(), unlock), &unlock.term));
        }
    }
    let zone = &config.gateway.time_zone;
    let agreement = |(table, said, term): (String, Said, &Term)| Agreement {
        said,
        settings: settings::settings(text, only, &person.id, &table),
        stands: settings::stands(text, only, &person.id, &table),
        from: term.from.map(|from| from.to_string()),
        until: term.until.map(|until| until.to_string()),
        consent_by: term.by.clone(),
        consent_on: term.on.map(|on| on.to_string()),
        withdrawn_at: term.withdrawn_ms(zone),
        table,
    };
    said.into_iter().map(agreement).collect()
}

/// Who opens a lock through the gateway, when, and for how long.
fn unlocked(lock: &str, unlock: &Unlock) -> Said {
    let Unlock { roles, always, open_s, .. } = unlock;
    let (mut sv, mut en) = (Vec::new(), Vec::new());
    for role in roles {
        let (in_sv, in_en) =
            if role == "night" { ("nattpatrullen", "the night patrol") } else { ("personalen", "the staff") };
        sv.push(in_sv);
        en.push(in_en);
    }
    let (sv, en) = (sv.join(" och "), en.join(" and "));
    let (when_sv, when_en) = match always {
        true => ("när det behövs", "when it is needed"),
        false => ("när ett larm är öppet", "while an alarm is open"),
    };
    Said::new(
        format!("Låset {lock} får öppnas på håll av {sv} {when_sv}, {open_s} sekunder åt gången."),
        format!("The lock {lock} may be opened from afar by {en} {when_en}, {open_s} seconds at a time."),
    )
}
