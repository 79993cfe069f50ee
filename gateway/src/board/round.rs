//! The round of a night: what is planned for each resident in the order of time, what became of it, and what the night has shown.
//!
//! Enters: what the journal has folded to, what is in force. Leaves: the rows of the board and of `vaka round`. Invariants: what no sensor
//! proves and nobody has signed for is never done; a bed whose sensor is not heard has nobody in it. Absent: names, and any judgement.

pub(super) mod homes;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use vaka_board::gateway::{Night, NightOf, RoundItem, RoundState, Said, StoryLine};

use crate::journal::record::SignedWhat;
use crate::pipeline::keeper::Keeper;
use crate::rules::alarms::Alarm;
use crate::rules::care::agreed::Person;
use crate::rules::care::dose::{self, rows};
use crate::rules::care::look::{self, LookState, LookView, looks_of};
use crate::rules::care::night::{self, rounds_of};
use crate::rules::care::when::{Daily, Span, local};
use crate::rules::care::{alarm_of, signed};
use crate::rules::lasting;

/// The night where none is agreed: the hours of a night patrol. Source: as `[night]`'s own.
const USUAL: Daily = Daily { from: jiff::civil::time(22, 0, 0, 0), until: jiff::civil::time(6, 0, 0, 0) };

/// Look-ins by camera that began so long ago are still shown by day, milliseconds. Source: our choice; a shift.
const DAY_SHOWN_MS: i64 = 8 * 3_600_000;

/// `2026-11-22`.
///
/// # Errors
/// In words, where it is no date.
pub fn date(word: &str) -> Result<Date, String> {
    word.parse()
        .map_err(|_| format!("`{word}` is no date; write it as 2026-11-22, the day on whose evening the night begins"))
}

/// The night that begins on `date`; without: tonight's, by day the coming one.
pub fn night(keeper: &Keeper, date: Option<Date>) -> Night {
    let now_ms = keeper.now_ms();
    let agreed = keeper.agreed();
    let window = hours(&agreed.people);
    let span = match date {
        Some(date) => window.on(&agreed.zone, date),
        None => window.around(&agreed.zone, now_ms),
    };
    // By day the coming night is shown, and with it the look-ins of this day.
    let since_ms = if date.is_none() { span.start_ms.min(now_ms - DAY_SHOWN_MS) } else { span.start_ms };
    let shown = Shown { keeper, zone: &agreed.zone, span, looks: Span { start_ms: since_ms, ..span }, now_ms };
    let mut round: Vec<RoundItem> = agreed.people.iter().flat_map(|person| shown.of_person(person)).collect();
    round.extend(homes::items(keeper, &shown.looks));
    round.sort_by(|a, b| (a.planned_at, &a.resident, &a.form).cmp(&(b.planned_at, &b.resident, &b.form)));
    // What is next is so for everybody: one patrol goes the round.
    if let Some(first) = round.iter().find(|item| item.state == RoundState::Later).map(|item| item.planned_at) {
        let is_next = |item: &&mut RoundItem| item.state == RoundState::Later && item.planned_at == first;
        round.iter_mut().filter(is_next).for_each(|item| item.state = RoundState::Next);
    }
    let people = agreed.people.iter().map(|person| shown.night_of(person)).collect();
    Night { date: span.date.to_string(), from: span.start_ms, until: span.end_ms, round, people }
}

/// From the first hour that is watched with anybody until the last.
fn hours(people: &[Person]) -> Daily {
    let noon = |time: Time| (i64::from(time.hour()) * 60 + i64::from(time.minute()) - 12 * 60).rem_euclid(24 * 60);
    let windows = || people.iter().filter_map(|person| person.night.as_ref()).map(|night| night.window);
    let from = windows().map(|window| window.from).min_by_key(|from| noon(*from));
    let until = windows().map(|window| window.until).max_by_key(|until| noon(*until));
    Daily { from: from.unwrap_or(USUAL.from), until: until.unwrap_or(USUAL.until) }
}

struct Shown<'a> {
    keeper: &'a Keeper,
    zone: &'a TimeZone,
    span: Span,
    /// In which look-ins by camera are shown.
    looks: Span,
    now_ms: i64,
}

impl Shown<'_> {
    fn clock(&self, at_ms: i64) -> String {
        local(self.zone, at_ms).strftime("%H:%M").to_string()
    }

    fn item(&self, person: &Person, form: &str, planned_at: i64) -> RoundItem {
        RoundItem {
            resident: person.id.clone(),
            unit: self.keeper.labels().unit(Some(&person.id), None),
            form: form.to_owned(),
            planned_at,
            latest_at: None,
            state: RoundState::Later,
            said: Said::default(),
            by: None,
            alarm: None,
            slot: None,
            look: None,
            unsaid: None,
            home: None,
        }
    }

    fn of_person(&self, person: &Person) -> Vec<RoundItem> {
        let mut items = self.look_ins(person);
        items.extend(self.looks(person));
        items.extend(self.doses(person));
        items.extend(self.tasks(person));
        items
    }

    fn look_ins(&self, person: &Person) -> Vec<RoundItem> {
        let Some(night) = &person.night else { return Vec::new() };
        let (state, agreed) = (self.keeper.state(), self.keeper.agreed());
        let span = night.window.on(self.zone, self.span.date);
        let rounds = rounds_of(&state.care, agreed, person, &span, self.now_ms);
        let item = |round: night::RoundView| {
            let mut item = self.item(person, "look-in", round.at_ms);
            item.latest_at = Some(round.latest_ms);
            item.slot = Some(round.slot);
            let latest = self.clock(round.latest_ms);
            (item.state, item.said) = match round.state {
                night::RoundState::Planned => {
                    (RoundState::Later, Said::new(format!("Före {latest}."), format!("By {latest}.")))
                }
                night::RoundState::Trying if self.now_ms >= round.latest_ms => (
                    RoundState::Missed,
                    Said::new("Ingenting visar att den är gjord.", "Nothing shows that it was made."),
                ),
                night::RoundState::Trying => (
                    RoundState::Due,
                    Said::new(format!("Inte visad än; före {latest}."), format!("Not shown yet; by {latest}.")),
                ),
                night::RoundState::Done { said: (sv, en) } => (RoundState::Done, Said::new(sv, en)),
                night::RoundState::Declined => {
                    (RoundState::Declined, Said::new("Avböjd; ingen kommer.", "Declined; nobody comes."))
                }
                night::RoundState::Visit { alarm } => {
                    let known = state.alarms.get(&alarm);
                    item.alarm = known.map(|_| alarm.to_string());
                    item.by = known.and_then(|alarm| alarm.closed_by.clone());
                    self.task(known, round.latest_ms)
                }
            };
            self.sign(&mut item);
            item
        };
        rounds.into_iter().map(item).collect()
    }

    /// Look-ins by camera.
    fn looks(&self, person: &Person) -> Vec<RoundItem> {
        let (state, agreed) = (self.keeper.state(), self.keeper.agreed());
        let looks = looks_of(&state.care, agreed, person, &self.looks, self.keeper.view().now);
        looks.into_iter().map(|look| self.look(person, look)).collect()
    }

    fn look(&self, person: &Person, view: LookView) -> RoundItem {
        let mut item = self.item(person, "camera", view.at_ms);
        let latest = self.clock(view.latest_ms);
        item.latest_at = Some(view.latest_ms);
        item.slot = Some(view.slot);
        item.unsaid = view.unsaid;
        let may = look::may_ask(self.keeper.view(), &person.id, Some(view.at_ms), None).is_ok();
        item.look = may.then(|| format!("{}.{}", person.id, view.at_ms));
        (item.state, item.said) = match view.state {
            LookState::Planned => (RoundState::Later, Said::new(format!("Före {latest}."), format!("By {latest}."))),
            LookState::Open => {
                (RoundState::Due, Said::new(format!("Titta före {latest}."), format!("Look by {latest}.")))
            }
            LookState::Looking { by } => {
                (RoundState::Due, Said::new(format!("{by} tittar nu."), format!("{by} is looking now.")))
            }
            LookState::Unsaid { by } => (
                RoundState::Due,
                Said::new(format!("{by} har tittat. Hur var det?"), format!("{by} has looked. How was it?")),
            ),
            LookState::Again { at_ms } => {
                let at = self.clock(at_ms);
                (RoundState::Due, Said::new(format!("Titta igen från {at}."), format!("Look again from {at}.")))
            }
            LookState::Done { said: (sv, en) } => (RoundState::Done, Said::new(sv, en)),
            LookState::Declined => {
                (RoundState::Declined, Said::new("Avböjd; ingen kommer.", "Declined; nobody comes."))
            }
            LookState::Visit { alarm } => {
                let known = self.keeper.state().alarms.get(&alarm);
                item.alarm = known.map(|_| alarm.to_string());
                item.by = known.and_then(|alarm| alarm.closed_by.clone());
                self.task(known, view.latest_ms)
            }
        };
        if let Some((sv, en)) = view.fault.filter(|_| matches!(item.state, RoundState::Due | RoundState::Later)) {
            item.said = with(format!("{} {sv}", item.said.sv), format!("{} {en}", item.said.en), "");
        }
        self.sign(&mut item);
        item
    }

    /// How a visit stands that was asked for.
    fn task(&self, alarm: Option<&Alarm>, latest_ms: i64) -> (RoundState, Said) {
        let said = alarm.map_or_else(
            || Said::new("Ett besök begärdes.", "A visit was asked for."),
            |alarm| Said::new(alarm.raise.sv.clone(), alarm.raise.en.clone()),
        );
        let state = match alarm {
            Some(alarm) if alarm.closed_by.is_some() => RoundState::Visited,
            _ if self.now_ms > latest_ms => RoundState::Missed,
            _ => RoundState::Visit,
        };
        (state, said)
    }

    /// Who signs for it was there, whatever a sensor shows.
    fn sign(&self, item: &mut RoundItem) {
        let Some(known) = self.keeper.state().care.signed.visit(&item.resident, item.planned_at) else { return };
        let (at, by) = (self.clock(known.at.wall_ms), &known.by);
        item.state = RoundState::Visited;
        item.said = with(format!("{by} var där {at}."), format!("{by} was there at {at}."), &known.note);
        item.by = Some(by.clone());
    }

    fn doses(&self, person: &Person) -> Vec<RoundItem> {
        let (state, agreed) = (self.keeper.state(), self.keeper.agreed());
        let rows = rows::of_person(&state.care, agreed, person, self.now_ms);
        let tonight = rows.into_iter().filter_map(|row| Some((row.due_at.filter(|at| self.span.contains(*at))?, row)));
        tonight.map(|(due_at, row)| self.dose(person, due_at, row)).collect()
    }

    fn dose(&self, person: &Person, due_at: i64, row: rows::DoseRow) -> RoundItem {
        let state = self.keeper.state();
        let mut item = self.item(person, "dose", due_at);
        item.latest_at = row.closes_at;
        let (slot, at) = (&row.slot, self.clock(due_at));
        let (stands, sv, en) = match row.state.as_str() {
            "planned" => (RoundState::Later, "planerad", "planned"),
            "open" => (RoundState::Due, "ska tas nu", "due now"),
            "dispensed" => (RoundState::Due, "utmatad, inte tagen än", "given out, not taken yet"),
            "taken" => (RoundState::Done, "tagen", "taken"),
            "signed" => (RoundState::Visited, "given för hand", "given by hand"),
            "refused" => (RoundState::Missed, "avböjd", "refused"),
            "jammed" => (RoundState::Missed, "fördelaren fastnade", "dispenser jammed"),
            "not-taken" => (RoundState::Missed, "utmatad och inte tagen", "given out and not taken"),
            "missed" => (RoundState::Missed, "inte tagen", "not taken"),
            _ => (RoundState::Missed, "oklart om den togs", "unknown if taken"),
        };
        item.state = stands;
        let mut said = Said::new(format!("Dos {slot} {at}: {sv}."), format!("Dose {slot} {at}: {en}."));
        if row.locked {
            said = with(format!("{} Låst.", said.sv), format!("{} Locked.", said.en), "");
        }
        if let Some(known) = state.care.signed.dose(&person.id, slot, due_at) {
            let (by, at) = (&known.by, self.clock(known.at.wall_ms));
            let given = matches!(known.what, SignedWhat::Dose { given: true, .. });
            let (not_sv, not_en) = if given { ("", "") } else { ("ej given, ", "not given, ") };
            let (sv, en) = (&said.sv, &said.en);
            said = with(
                format!("{sv} Signerad: {not_sv}{by} {at}."),
                format!("{en} Signed: {not_en}{by} {at}."),
                &known.note,
            );
            item.by = Some(by.clone());
        }
        item.said = said;
        let number = row.date.parse().map(dose::number).unwrap_or_default();
        let alarm = alarm_of(dose::NAME, Some(&person.id), &format!("dose {slot}"), number);
        item.alarm = state.alarms.get(&alarm).map(|alarm| alarm.id().to_string());
        item.slot = Some(row.slot);
        item
    }

    /// Visits that were asked for beside the planned ones.
    fn tasks(&self, person: &Person) -> Vec<RoundItem> {
        let alarms = &self.keeper.state().alarms;
        let known = signed::tasks(alarms.open().chain(alarms.closed()), &person.id);
        let is_own = |alarm: &&Alarm| {
            let due_at = alarm.raise.basis.as_deref().and_then(|basis| basis.due_at);
            let tonight = self.span.contains(alarm.raised_at) || due_at.is_some_and(|at| self.span.contains(at));
            // One that is open still is done by somebody tonight.
            let waits =
                alarm.closed_by.is_none() && alarm.raised_at < self.span.end_ms && self.span.contains(self.now_ms);
            let is_round = alarm.raise.rule == night::NAME && alarm.raise.cause.starts_with(night::ROUND);
            let is_look = alarm.raise.rule == look::NAME && due_at.is_some_and(|at| self.looks.contains(at));
            (tonight || waits) && !is_round && !is_look
        };
        let item = |alarm: &Alarm| {
            let due_at = alarm.raise.basis.as_deref().and_then(|basis| basis.due_at);
            let mut item = self.item(person, "visit", alarm.raised_at);
            item.latest_at = due_at;
            item.alarm = Some(alarm.id().to_string());
            item.by = alarm.closed_by.clone().or(alarm.claimed_by.clone());
            (item.state, item.said) = self.task(Some(alarm), due_at.unwrap_or(i64::MAX));
            self.sign(&mut item);
            item
        };
        known.filter(is_own).map(item).collect()
    }

    fn night_of(&self, person: &Person) -> NightOf {
        let marks = self.marks(person);
        let (said, in_bed) = self.bed(person);
        let unit = self.keeper.labels().unit(Some(&person.id), None);
        NightOf { resident: person.id.clone(), unit, said, in_bed, marks }
    }

    /// In bed from and until, and how it is, in words.
    fn bed(&self, person: &Person) -> (Said, Vec<(i64, Option<i64>)>) {
        let care = &self.keeper.state().care;
        let Some(night) = person.night.as_ref().filter(|night| !night.beds.is_empty()) else {
            return (Said::new("Ingen sängsensor är avtalad.", "No bed sensor is agreed."), Vec::new());
        };
        let (from, until) = (self.span.start_ms, self.span.end_ms.min(self.now_ms.saturating_add(1)));
        let (mut in_bed, mut dark) = (Vec::new(), false);
        for bed in &night.beds {
            let known = care.facts.get(bed);
            let first = known.and_then(|known| known.bed.as_deref()).map(|bed| bed.since.wall_ms);
            let gone = known.filter(|known| known.online == Some(false)).and_then(|known| known.gone);
            dark |= known.is_none_or(|known| known.online == Some(false));
            for (since, left) in care.night.in_bed(bed, from, until).unwrap_or_default() {
                // What was before its first word nobody knows, nor what came after its last.
                let since =
                    if left.is_none() { first.map_or(since, |first| since.max(first.min(until))) } else { since };
                let left = left.or(gone.map(|gone| gone.wall_ms));
                if left.is_none_or(|left| left > since) {
                    in_bed.push((since, left));
                }
            }
        }
        in_bed.sort_unstable();
        let said = match (in_bed.last(), dark) {
            (_, true) => Said::new("Sängsensorn hörs inte.", "The bed sensor is not heard."),
            (Some((since, None)), _) if self.span.contains(self.now_ms) => {
                let at = self.clock(*since);
                Said::new(format!("I sängen sedan {at}."), format!("In bed since {at}."))
            }
            (Some((_, Some(left))), _) if self.span.contains(self.now_ms) => {
                let at = self.clock(*left);
                Said::new(format!("Uppe sedan {at}."), format!("Up since {at}."))
            }
            (None, _) => Said::new("Ingen har setts i sängen.", "Nobody was seen in bed."),
            (Some(_), _) => Said::default(),
        };
        (times_up(said, &in_bed), in_bed)
    }

    /// Doors, visits and alarms of the night, oldest first.
    fn marks(&self, person: &Person) -> Vec<StoryLine> {
        let state = self.keeper.state();
        let mut marks = Vec::new();
        let mut mark = |at: i64, said: Said| marks.extend(self.span.contains(at).then_some(StoryLine { at, said }));
        for device in &person.devices {
            let known = state.care.facts.get(device);
            let exit = self.keeper.agreed().is_exit(device);
            if let Some(opened) = state.care.night.opened(device).filter(|_| exit) {
                mark(opened.wall_ms, Said::new("Ytterdörren öppnades.", "The front door was opened."));
            }
            if let Some(staff) = known.and_then(|known| known.staff) {
                mark(staff.wall_ms, Said::new("Personal var här.", "Staff was here."));
            }
        }
        for known in state.care.signed.of(&person.id) {
            if let SignedWhat::Visit { .. } = known.what {
                let by = &known.by;
                let said = with(format!("{by} var här."), format!("{by} was here."), &known.note);
                mark(known.at.wall_ms, said);
            }
        }
        let is_own = |alarm: &&Alarm| {
            let of_basis = alarm.raise.basis.as_deref().and_then(|basis| basis.resident.as_deref());
            of_basis.map_or_else(|| person.devices.contains(&alarm.raise.device), |id| id == person.id)
        };
        for alarm in state.alarms.open().chain(state.alarms.closed()).filter(is_own) {
            mark(alarm.raised_at, Said::new(alarm.raise.sv.clone(), alarm.raise.en.clone()));
        }
        marks.sort_by_key(|mark| mark.at);
        marks
    }
}

fn with(sv: String, en: String, note: &str) -> Said {
    let more = |text: String| if note.is_empty() { text } else { format!("{text} {note}") };
    Said { sv: more(sv), en: more(en) }
}

/// How often the bed was left and entered again, and for how long at the most.
fn times_up(said: Said, in_bed: &[(i64, Option<i64>)]) -> Said {
    let between = in_bed.windows(2).filter_map(|pair| Some(pair[1].0 - pair[0].1?)).filter(|ms| *ms > 0);
    let ups: Vec<i64> = between.collect();
    let Some(longest) = ups.iter().max() else { return said };
    let ((sv, en), count) = (lasting(*longest), ups.len());
    let times = if count == 1 { ("gång", "time") } else { ("gånger", "times") };
    let sv = format!("{} Uppe {count} {}, längst {sv}.", said.sv, times.0);
    let en = format!("{} Up {count} {}, {en} at the longest.", said.en, times.1);
    Said::new(sv.trim_start(), en.trim_start())
}
