//! When to look at whom: the next moment at which something can become due, for each rule of each person, each device and the home
//! itself.
//!
//! Enters: that an event of a device was folded in; the moment. Leaves: decisions. In memory alone: made anew at every start
//! and with every agreement, when everybody is looked at at once. Invariant: nobody is looked at later than something of theirs
//! becomes due; being looked at too early costs time and nothing else. Which events concern which rule stands in [`super::concern`].

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

use vaka_protocol::{DeviceId, Event};

use super::agreed::Agreed;
use super::concern::{Part, Rule, Rules};
use super::facts::Facts;
use super::moment::Moment;
use super::{Care, Out, View, judge_device, judge_home, judge_person, night};
use crate::journal::record::{Decision, Raise};
use crate::limits::{CATCH_UP_MS_MAX, JUDGE_ROUNDS_MAX};
use crate::rules::Home;
use crate::rules::alarms::Alarms;
use crate::rules::lookup::Lookup;

/// Difference between the two clocks, in milliseconds, beyond which the wall clock has been set: what is planned by it is looked up anew.
const SET_MS: i64 = 1_000;

/// A look planned for so long from now, in milliseconds, is not put off: what is heard puts it off again and again, and each time costs more
/// than one look too early in that time.
const FAR_MS: i64 = 60 * 60 * 1_000;

/// Whom to look at when.
#[derive(Debug)]
pub struct Watch {
    /// Everything agreed, whether or not it is in force.
    whole: Arc<Agreed>,
    /// What is in force.
    agreed: Arc<Agreed>,
    /// Between which moments that is so, UTC milliseconds.
    held: Range<i64>,
    /// What is looked at by itself: the home, then each rule of each person, then each device.
    units: Vec<Unit>,
    /// Each unit that is to be looked at by itself, by monotonic milliseconds.
    timers: BTreeSet<(i64, usize)>,
    /// Units to be looked at now, in their order.
    hurried: BinaryHeap<Reverse<usize>>,
    /// The devices, in the order of their units.
    ids: Vec<DeviceId>,
    devices: Lookup<DeviceId, Known>,
    /// By person: since when judging waits for devices that send what had waited, monotonic milliseconds.
    waits_since: Vec<Option<i64>>,
    /// By person: the rules for which every sign of activity may decide something.
    eager: Vec<Rules>,
    /// By person: what the rule `night` need not work out anew.
    nights: Vec<night::Kept>,
    /// Wall clock less running clock when it was looked at last.
    offset_ms: Option<i64>,
    /// How often something was due at this moment of the running clock.
    rounds: (u64, usize),
}

#[derive(Debug, Default, Clone, Copy)]
struct Unit {
    /// Monotonic milliseconds. `None`: only an event can change anything.
    look_at: Option<i64>,
    /// It stands among the hurried.
    hurried: bool,
    /// Of the home and of devices: whatever is heard may decide something.
    eager: bool,
}

/// A device that is listed.
#[derive(Debug, Clone, Default)]
struct Known {
    unit: usize,
    /// What stands behind it.
    behind: Vec<usize>,
    /// Whose it is: an index into the people.
    person: Option<usize>,
    part: Part,
    /// Rules of others that wait for its answers.
    answers: Vec<usize>,
}

/// The unit that is the home itself, with what is not listed.
const HOME: usize = 0;

/// What a unit is.
enum What {
    Home,
    Rule(usize, Rule),
    Device(usize),
}

fn unit_of(person: usize, rule: Rule) -> usize {
    1 + person * Rule::ALL.len() + rule as usize
}

impl Default for Watch {
    fn default() -> Self {
        Watch::new(Arc::new(Agreed::default()))
    }
}

impl Watch {
    /// Of everything agreed; what of it is in force is known from the first [`Watch::turn`] on.
    pub fn new(whole: Arc<Agreed>) -> Self {
        let limited = whole.people.iter().flat_map(|person| person.terms()).any(|term| term.turns().next().is_some());
        let held = if limited { 0..0 } else { i64::MIN..i64::MAX };
        Watch::of(whole.clone(), whole, held)
    }

    /// Agreements begin and end by themselves: true where another is in force at `wall_ms`, and everybody is looked at anew.
    pub fn turn(&mut self, wall_ms: i64) -> bool {
        if self.held.contains(&wall_ms) {
            return false;
        }
        let (agreed, held) = self.whole.at(wall_ms);
        *self = Watch::of(self.whole.clone(), Arc::new(agreed), held);
        true
    }

    fn of(whole: Arc<Agreed>, agreed: Arc<Agreed>, held: Range<i64>) -> Self {
        let first = 1 + agreed.people.len() * Rule::ALL.len();
        let known = |(index, (id, device)): (usize, (&DeviceId, &super::agreed::Device))| {
            let person = device.person.filter(|person| *person < agreed.people.len());
            let part = person.map_or_else(Part::default, |person| Part::of(&agreed.people[person], id));
            (id.clone(), Known { unit: first + index, person, part, ..Known::default() })
        };
        let mut devices: Lookup<DeviceId, Known> = agreed.devices.iter().enumerate().map(known).collect();
        for (index, (_, device)) in agreed.devices.iter().enumerate() {
            if let Some(bridge) = device.silence.via.as_ref().and_then(|bridge| devices.get_mut(bridge)) {
                bridge.behind.push(first + index);
                bridge.behind.extend(device.person.into_iter().flat_map(|person| of_person(person, Rules::ALL)));
            }
        }
        for (person, of) in agreed.people.iter().enumerate() {
            for reminder in &of.reminders {
                if let Some(device) = devices.get_mut(&reminder.device).filter(|known| known.person != Some(person)) {
                    device.answers.push(unit_of(person, Rule::Reminder));
                }
            }
        }
        let units = vec![Unit::default(); first + agreed.devices.len()];
        let ids = agreed.devices.iter().map(|(id, _)| id.clone()).collect();
        let waits_since = vec![None; agreed.people.len()];
        let eager = vec![Rules::NONE; agreed.people.len()];
        let nights = vec![night::Kept::default(); agreed.people.len()];
        let (timers, hurried) = (BTreeSet::new(), BinaryHeap::new());
        let (offset_ms, rounds) = (None, (0, 0));
        let mut watch = Watch {
            whole,
            agreed,
            held,
            units,
            timers,
            hurried,
            ids,
            devices,
            waits_since,
            eager,
            nights,
            offset_ms,
            rounds,
        };
        watch.look_at_all();
        watch
    }

    /// What is in force, as of the last [`Watch::turn`].
    pub fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    /// Everything agreed, whether or not it is in force.
    pub fn whole(&self) -> &Arc<Agreed> {
        &self.whole
    }

    /// An event of this device was folded in, last of all into `facts`: it, and the rules of whose it is that it concerns, are looked at
    /// with the next [`Watch::due`].
    pub fn heard(&mut self, device: &DeviceId, event: &Event, facts: &Facts) {
        let Some(known) = self.devices.get(device) else {
            if matches!(event, Event::Mains { .. } | Event::Battery { .. }) || self.units[HOME].eager {
                self.hurry(HOME);
            }
            return;
        };
        let (unit, person, part) = (known.unit, known.person, known.part);
        if matches!(event, Event::Done { .. }) {
            known.answers.clone().into_iter().for_each(|unit| self.hurry(unit));
        }
        if let Some(person) = person {
            let concerned = part.concerned(event, facts.word(device, event), self.eager[person]);
            of_person(person, concerned).for_each(|unit| self.hurry(unit));
        }
        if matches!(event, Event::Mains { .. } | Event::Battery { .. }) || self.units[unit].eager {
            self.hurry(unit);
        }
    }

    /// A person took an alarm on or closed it: the rule that raised it is looked at, those that an alarm concerns, and the device.
    pub fn attended(&mut self, raise: &Raise) {
        let Some(known) = self.devices.get(&raise.device) else { return self.hurry(HOME) };
        let (unit, person) = (known.unit, known.person);
        let concerned = Rule::of(&raise.rule).map_or(Rules::ALL, Rule::concerned);
        self.hurry(unit);
        person.into_iter().flat_map(|person| of_person(person, concerned)).for_each(|unit| self.hurry(unit));
    }

    /// A device came or went: it, whose it is, and what stands behind it are looked at.
    pub fn stirred(&mut self, device: &DeviceId) {
        let Some(known) = self.devices.get(device) else { return self.hurry(HOME) };
        let (unit, behind, person) = (known.unit, known.behind.clone(), known.person);
        behind
            .into_iter()
            .chain([unit])
            .chain(person.into_iter().flat_map(|person| of_person(person, Rules::ALL)))
            .for_each(|unit| self.hurry(unit));
    }

    /// Something has changed that belongs to no device: everybody is looked at.
    pub fn look_at_all(&mut self) {
        (0..self.units.len()).for_each(|unit| self.hurry(unit));
    }

    fn hurry(&mut self, unit: usize) {
        if !std::mem::replace(&mut self.units[unit].hurried, true) {
            self.hurried.push(Reverse(unit));
        }
    }

    /// It was looked at `mono_ms`, and is next at `at`.
    fn look(&mut self, unit: usize, mono_ms: i64, at: Option<i64>) {
        if self.hurried.peek() == Some(&Reverse(unit)) {
            self.hurried.pop();
            self.units[unit].hurried = false;
        }
        let is_far = |before: i64| before - mono_ms >= FAR_MS && at.is_none_or(|at| at >= before);
        if self.units[unit].look_at.is_some_and(is_far) {
            return;
        }
        let before = std::mem::replace(&mut self.units[unit].look_at, at);
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.timers.remove(&(before, unit));
        }
        self.timers.extend(at.map(|at| (at, unit)));
    }

    /// The next that is to be looked at now: what is hurried first, then what has come, in the order in which it did.
    fn next(&self, mono_ms: i64) -> Option<usize> {
        let come = || self.timers.first().filter(|(at, _)| *at <= mono_ms).map(|(_, unit)| *unit);
        self.hurried.peek().map(|Reverse(unit)| *unit).or_else(come)
    }

    /// What is due now of one of them. Empty: nothing more is. The caller folds the decisions in and asks again.
    pub fn due(&mut self, care: &Care, alarms: &Alarms, home: &Home, now: Moment) -> Vec<Decision> {
        self.turn(now.wall_ms);
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let offset_ms = now.wall_ms - mono_ms;
        if self.offset_ms.is_none_or(|known| (known - offset_ms).abs() > SET_MS) {
            self.offset_ms = Some(offset_ms);
            self.look_at_all();
        }
        if self.next(mono_ms).is_none() {
            return Vec::new();
        }
        self.rounds = (now.mono_ms, if self.rounds.0 == now.mono_ms { self.rounds.1 + 1 } else { 0 });
        let agreed = self.agreed.clone();
        let view = View { care, alarms, home, agreed: &agreed, now };
        while let Some(unit) = self.next(mono_ms) {
            if self.rounds.1 > JUDGE_ROUNDS_MAX * self.units.len() {
                // A rule that decides again and again would hold up every press.
                self.look(unit, mono_ms, Some(mono_ms.saturating_add(1_000)));
                continue;
            }
            let out = self.judge(view, unit, mono_ms);
            if !out.decisions.is_empty() {
                self.hurry_after(unit);
                return out.decisions;
            }
            self.look(unit, mono_ms, out.next_ms().map(|ms| mono_ms.saturating_add(ms)));
        }
        Vec::new()
    }

    /// This unit has decided something: what that concerns is looked at, itself first of all.
    fn hurry_after(&mut self, unit: usize) {
        self.hurry(unit);
        match self.what(unit) {
            What::Home => {}
            What::Rule(person, rule) => {
                let concerned = rule.concerned();
                of_person(person, concerned).for_each(|unit| self.hurry(unit));
            }
            // Whether a device is awake, and that it has an alarm, concerns all that is agreed with whose it is.
            What::Device(device) => {
                let person = self.ids.get(device).and_then(|id| self.devices.get(id)?.person);
                person.into_iter().flat_map(|person| of_person(person, Rules::ALL)).for_each(|unit| self.hurry(unit));
            }
        }
    }

    /// Looks at one unit.
    fn judge(&mut self, view: View<'_>, unit: usize, mono_ms: i64) -> Out {
        let people = &view.agreed.people;
        let out = match self.what(unit) {
            What::Home => judge_home(view),
            What::Device(device) => {
                let listed = self.ids.get(device).and_then(|id| Some((id, view.agreed.devices.get(id)?)));
                listed.map(|(id, device)| judge_device(view, id, device)).unwrap_or_default()
            }
            What::Rule(person, rule) => {
                let mut out = judge_person(view, &people[person], rule, &mut self.nights[person], true);
                let waits_since = &mut self.waits_since[person];
                if !out.waits {
                    *waits_since = None;
                } else if mono_ms - *waits_since.get_or_insert(mono_ms) >= CATCH_UP_MS_MAX {
                    // One device after the other may catch up, or have a slow clock: together they get no more time than one.
                    let wait_ms = out.next_ms();
                    out = judge_person(view, &people[person], rule, &mut self.nights[person], false);
                    // Looked at when the wait is over too: the next one counts from its own beginning.
                    wait_ms.into_iter().for_each(|ms| out.look_in(ms));
                }
                out
            }
        };
        if !out.waits {
            match self.what(unit) {
                What::Rule(person, rule) => self.eager[person].set(rule, out.eager),
                What::Home | What::Device(_) => self.units[unit].eager = out.eager,
            }
        }
        out
    }

    fn what(&self, unit: usize) -> What {
        let people = self.waits_since.len();
        match unit.checked_sub(1) {
            None => What::Home,
            Some(index) if index < people * Rule::ALL.len() => {
                What::Rule(index / Rule::ALL.len(), Rule::ALL[index % Rule::ALL.len()])
            }
            Some(index) => What::Device(index - people * Rule::ALL.len()),
        }
    }

    /// Milliseconds until [`Watch::due`] may have something. `None`: only an event can change anything.
    pub fn wait_ms(&self, mono_ms: u64) -> Option<u64> {
        if !self.hurried.is_empty() {
            return Some(0);
        }
        let now_ms = i64::try_from(mono_ms).unwrap_or(i64::MAX);
        let timer = self.timers.first().map(|(next, _)| *next);
        let turn = self.offset_ms.filter(|_| self.held.end < i64::MAX).map(|offset_ms| self.held.end - offset_ms);
        let next = timer.into_iter().chain(turn).min();
        next.map(|next| u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0))
    }
}

/// The units of these rules of a person's.
fn of_person(person: usize, rules: Rules) -> impl Iterator<Item = usize> {
    rules.iter().map(move |rule| unit_of(person, rule))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
