//! Whatever the dispenser does, and whenever: one outcome of each dose, never `missed` of a silent dispenser, never two reminders.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vaka_protocol::{Command, DoseOutcome};

use super::super::rehearsal::Rehearsal;
use super::tests::{HOUR, MIN, agreed_in, confirm, dispenser, dose, home, noted, plan, raised, utc};
use super::*;
use crate::journal::record::Decision;

/// What happens to a dispenser.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Minutes pass.
    Wait(i64),
    Say(DoseOutcome),
    /// Said now, of so many minutes ago.
    SayLate(DoseOutcome, i64),
    /// Said now of so many minutes to come: a clock that is wrong.
    SayAhead(DoseOutcome, i64),
    /// What was said last, under another number.
    Repeat,
    Gone,
    Back,
    Restart,
    Confirm,
}

fn outcome() -> impl Strategy<Value = DoseOutcome> {
    prop::sample::select(DoseOutcome::ALL)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..240_i64).prop_map(Step::Wait),
        3 => outcome().prop_map(Step::Say),
        3 => (outcome(), 1..2_000_i64).prop_map(|(outcome, minutes)| Step::SayLate(outcome, minutes)),
        1 => (outcome(), 1..2_000_i64).prop_map(|(outcome, minutes)| Step::SayAhead(outcome, minutes)),
        1 => Just(Step::Repeat),
        2 => Just(Step::Gone),
        2 => Just(Step::Back),
        1 => Just(Step::Restart),
        1 => Just(Step::Confirm),
    ]
}

/// Where the dispenser stands in the story.
struct Stage {
    story: Rehearsal,
    online: bool,
    last: Option<(DoseOutcome, i64)>,
    /// Minutes at which it was not connected.
    dark: BTreeSet<i64>,
}

impl Stage {
    fn new(zone: &str, start_ms: i64, plans: Vec<Plan>) -> Stage {
        let agreed = agreed_in(zone, plans);
        let home = home(&agreed);
        let mut story = Rehearsal::new(agreed, home, start_ms);
        story.alive(&dispenser(), true);
        confirm(&mut story);
        Stage { story, online: true, last: None, dark: BTreeSet::new() }
    }

    fn take(&mut self, step: Step) {
        let now_ms = self.story.now_ms();
        let say = |stage: &mut Stage, outcome, at_ms: i64| {
            // What has no connection says nothing.
            if stage.online {
                stage.last = Some((outcome, at_ms));
                stage.story.late(&dispenser(), &dose("morning", outcome), Some(at_ms));
            }
        };
        match step {
            Step::Wait(minutes) => {
                for _ in 0..minutes {
                    if !self.online {
                        self.dark.insert(self.story.now_ms() / MIN);
                    }
                    let next = self.story.now_ms() + MIN;
                    self.story.until(next);
                }
            }
            Step::Say(outcome) => say(self, outcome, now_ms),
            Step::SayLate(outcome, minutes) => say(self, outcome, now_ms - minutes * MIN),
            Step::SayAhead(outcome, minutes) => say(self, outcome, now_ms + minutes * MIN),
            Step::Repeat => {
                if let Some((outcome, at_ms)) = self.last {
                    say(self, outcome, at_ms);
                }
            }
            Step::Gone if self.online => {
                self.online = false;
                self.story.alive(&dispenser(), false);
            }
            Step::Back if !self.online => {
                self.online = true;
                self.story.alive(&dispenser(), true);
            }
            Step::Gone | Step::Back => {}
            Step::Restart => {
                self.story.restart();
                if self.online {
                    self.story.alive(&dispenser(), true);
                }
            }
            Step::Confirm if self.online => confirm(&mut self.story),
            Step::Confirm => {}
        }
    }
}

/// Finals by dose: those notes that are no correction.
fn finals(story: &Rehearsal) -> BTreeMap<String, Vec<String>> {
    let mut finals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for note in noted(story) {
        let (what, slot) = note.split_once(' ').unwrap();
        if !what.starts_with("dose-corrected") && what != "dose-contradicted" {
            finals.entry(slot.to_owned()).or_default().push(what.to_owned());
        }
    }
    finals
}

fn reminders(story: &Rehearsal) -> Vec<i64> {
    let of = |(_, decision): &(i64, Decision)| match decision {
        Decision::Send(send) if matches!(send.command, Command::Reminder { .. }) => Some(send.basis.upto),
        _ => None,
    };
    story.log.iter().filter_map(of).collect()
}

/// What was decided, when and of what, whatever was recorded beside it.
fn decided(story: &Rehearsal, from_ms: i64) -> Vec<(i64, String)> {
    let of = |(at, decision): &(i64, Decision)| match decision {
        Decision::Raise(raise) => Some((at - from_ms, format!("raise {} {}", raise.cause, raise.stc))),
        Decision::Note(note) => Some((at - from_ms, note.what.clone())),
        Decision::Send(send) if !matches!(send.command, Command::Schedule { .. }) => {
            Some((at - from_ms, send.command.name().to_owned()))
        }
        _ => None,
    };
    story.log.iter().filter_map(of).collect()
}

const START: &str = "2026-11-22T05:00:00Z";

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_dose_has_one_outcome_whatever_happens(steps in prop::collection::vec(step(), 1..60)) {
        let mut stage = Stage::new("Europe/Stockholm", utc(START), vec![plan("morning", 8), plan("evening", 20)]);
        for step in steps {
            stage.take(step);
        }
        stage.take(Step::Wait(30));
        let story = &stage.story;
        let ended_ms = story.now_ms();
        let finals = finals(story);
        for (slot, told) in &finals {
            prop_assert_eq!(told.len(), 1, "{} was told {:?}", slot, told);
        }
        // Nothing is forgotten: each dose that has been over for a while has its outcome.
        let agreed = agreed_in("Europe/Stockholm", vec![plan("morning", 8), plan("evening", 20)]);
        for plan in &agreed.people[0].doses {
            let mut date = jiff::civil::date(2026, 11, 22);
            while let Some(planned) = Planned::on(plan, &agreed.zone, date).filter(|p| p.closes_ms + 15 * MIN < ended_ms) {
                prop_assert!(finals.contains_key(&planned.name()), "{} has no outcome", planned.name());
                // Silent as it closed, and nothing said: whatever was told is not that nobody took it.
                let dark = |at_ms: i64| stage.dark.contains(&(at_ms / MIN));
                let was_dark = (-20..12).all(|minute| dark(planned.closes_ms + minute * MIN));
                let reports = story.care.dose.dispenser(&dispenser()).map_or(0, |d| d.reports(&plan.slot).len());
                if was_dark && reports == 0 {
                    prop_assert_eq!(&finals[&planned.name()][0], "dose-unknown");
                }
                date = date.tomorrow().unwrap();
            }
        }
        let mut reminded = reminders(story);
        reminded.sort_unstable();
        // Morning and evening have the same number on one day.
        prop_assert!(reminded.chunk_by(|a, b| a == b).all(|same| same.len() <= 2));
        let mut ids: Vec<_> = raised(story).iter().map(|raise| raise.alarm.clone()).collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        prop_assert_eq!(count, ids.len(), "the same alarm twice");
    }

    #[test]
    fn a_restart_changes_nothing(steps in prop::collection::vec(step(), 1..25), at in 0_usize..25) {
        let run = |restarts: bool| {
            let mut stage = Stage::new("Europe/Stockholm", utc(START), vec![plan("morning", 8)]);
            for (index, step) in steps.iter().enumerate() {
                if !matches!(step, Step::Restart) {
                    stage.take(*step);
                }
                if index == at % steps.len() {
                    if restarts {
                        stage.take(Step::Restart);
                    }
                    // It reconnects with or without a restart: that it is there at this moment is known in both.
                    if stage.online {
                        stage.story.alive(&dispenser(), true);
                    }
                    // Reconnected and settled before anything else happens, as without it.
                    stage.take(Step::Wait(3));
                }
            }
            stage.take(Step::Wait(200));
            (noted(&stage.story), reminders(&stage.story))
        };
        prop_assert_eq!(run(true), run(false));
    }

    #[test]
    fn a_story_told_weeks_later_or_elsewhere_is_the_same(steps in prop::collection::vec(step(), 1..25), weeks in 1..40_i64) {
        let run = |zone: &str, start: i64| {
            let mut stage = Stage::new(zone, start, vec![plan("morning", 8)]);
            steps.iter().for_each(|step| stage.take(*step));
            stage.take(Step::Wait(200));
            decided(&stage.story, start)
        };
        let here = run("Europe/Stockholm", utc(START));
        prop_assert_eq!(&here, &run("Etc/GMT-1", utc(START) + weeks * 7 * 24 * HOUR));
        prop_assert_eq!(&here, &run("Asia/Kathmandu", utc(START) - (4 * HOUR + 45 * MIN)));
    }

    #[test]
    fn a_longer_grace_never_tells_sooner_or_more(steps in prop::collection::vec(step(), 1..25), longer in 1..120_i64) {
        // Without words against it: what the dispenser says is told when it says it, whatever the grace.
        let quiet = |step: &&Step| !matches!(step, Step::Say(_) | Step::SayLate(..) | Step::SayAhead(..) | Step::Repeat);
        let run = |grace_ms: i64| {
            let plan = Plan { grace_ms, reminder_after_ms: None, ..plan("morning", 8) };
            let mut stage = Stage::new("Europe/Stockholm", utc(START), vec![plan]);
            steps.iter().filter(quiet).for_each(|step| stage.take(*step));
            let causes = stage.story.log.iter().filter_map(|(at, decision)| match decision {
                Decision::Raise(raise) if raise.cause.contains("morning") => {
                    Some((raise.alarm.clone(), *at))
                }
                _ => None,
            });
            causes.collect::<BTreeMap<_, _>>()
        };
        let (short, long) = (run(HOUR), run(HOUR + longer * MIN));
        for (alarm, at) in &long {
            prop_assert!(short.get(alarm).is_some_and(|sooner| sooner <= at), "{alarm} is told sooner, or only there");
        }
    }
}
