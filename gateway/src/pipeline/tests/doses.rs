//! Doses through the journal: what the dispenser is sent, what a person releases, and that a restart keeps all of it.

use jiff::tz::TimeZone;
use vaka_protocol::{Command, CommandMessage};

use super::*;
use crate::clock::Clock;
use crate::journal::record::Release;
use crate::rules::DeviceFacts;
use crate::rules::care::agreed::{self, Person};
use crate::rules::care::dose::Plan;
use crate::rules::care::dose::rows::DoseRow;
use crate::rules::care::reminder::Reminder;
use crate::rules::care::term::Term;
use crate::rules::care::when::{Days, local};

const MIN_MS: u64 = 60_000;

/// A dose an hour from now, and a reminder at the same moment as the dose's own.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let now_ms = bench.clock.now().wall_ms;
    let time = |ms: i64| local(&TimeZone::UTC, now_ms + ms).time();
    let plan = Plan {
        device: device("disp"),
        slot: "morning".into(),
        days: Days::ALL,
        at: time(60 * 60_000),
        grace_ms: 60 * 60_000,
        reminder_after_ms: Some(15 * 60_000),
        early_ms: 0,
        pauses: Vec::new(),
        stock_low_days: 3,
        term: Term::default(),
    };
    let reminder = Reminder {
        device: device("disp"),
        days: Days::ALL,
        at: time(75 * 60_000),
        text: "Dags för gymmet".into(),
        expiry_ms: 30 * 60_000,
        term: Term::default(),
    };
    let person = Person {
        id: "r1".into(),
        devices: vec![device("disp")],
        doses: vec![plan],
        reminders: vec![reminder],
        ..Person::default()
    };
    let known = agreed::Device { person: Some(0), kind: "dispenser", ..agreed::Device::default() };
    let devices = [(device("disp"), known)].into();
    bench.agreed = Arc::new(Agreed { people: vec![person], devices, ..Agreed::default() });
    let facts = DeviceFacts { dty: 11, fixed: false, speaks: false, home: false };
    bench.home.devices = [(device("disp"), facts)].into();
    bench.home.planned = [(device("disp"), ["morning".to_owned()].into())].into();
    bench.kill_and_start();
    bench.alive("1");
    bench
}

impl Bench {
    fn alive(&mut self, payload: &str) {
        self.publish_as("disp", "vaka/v1/disp/alive", payload);
    }

    fn pass(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.clock.advance(MIN_MS);
            self.keeper().run_batch(&mut Vec::new());
        }
    }

    fn commands(&mut self) -> Vec<CommandMessage> {
        let now_ms = self.clock.now().wall_ms;
        self.keeper().state().commands.owed(&device("disp"), now_ms).cloned().collect()
    }

    fn release(&mut self, slot: &str, date: Option<&str>) -> Result<Release, String> {
        let (reply, mut answer) = oneshot::channel();
        let (resident, slot, date) = ("r1".to_owned(), slot.to_owned(), date.map(str::to_owned));
        let ask = Ask::Release { resident, slot, date, by: "anna".into(), note: "spoke with the nurse".into(), reply };
        self.keeper().run_batch(&mut vec![Input::Ask(ask)]);
        answer.try_recv().expect("an answer")
    }

    fn doses(&mut self) -> Vec<DoseRow> {
        let (reply, mut answer) = oneshot::channel();
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Doses { reply })]);
        answer.try_recv().expect("rows")
    }
}

fn slots(message: &CommandMessage) -> usize {
    match &message.command {
        Command::Schedule { slots } => slots.len(),
        other => panic!("{other:?} is no schedule"),
    }
}

#[test]
fn a_schedule_stays_owed_until_the_dispenser_confirms_it_and_every_command_has_its_own_number() {
    let mut bench = bench();
    let first = bench.commands();
    assert_eq!((first.len(), slots(&first[0])), (1, 8));
    bench.kill_and_start();
    bench.alive("1");
    assert_eq!(bench.commands(), first, "the same command under the same number");
    let done = format!(r#"{{"v":1,"restart":1,"seq":1,"event":{{"done":{{"id":{}}}}}}}"#, first[0].id);
    bench.publish("disp", &done);
    assert!(bench.commands().is_empty());
    bench.pass(76);
    let both = bench.commands();
    assert_eq!(both.len(), 2, "two reminders of one moment are two commands: {both:?}");
    assert_ne!(both[0].id, both[1].id);
    assert!(bench.rows().is_empty(), "all is well so far");
}

#[test]
fn a_person_releases_a_dose_that_was_missed_and_a_restart_remembers_it() {
    let mut bench = bench();
    let id = bench.commands()[0].id;
    bench.publish("disp", &format!(r#"{{"v":1,"restart":1,"seq":1,"event":{{"done":{{"id":{id}}}}}}}"#));
    assert!(bench.release("morning", None).expect_err("nothing is locked").contains("vaka dose list"));
    bench.pass(121);
    // The dispenser says so too: the same dose, the same alarm.
    bench.publish("disp", r#"{"v":1,"restart":1,"seq":2,"event":{"dose":{"slot":"morning","outcome":"missed"}}}"#);
    let rows = bench.rows();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].rule.as_str(), rows[0].lane), ("dose", Lane::Care));
    let row = bench.doses().remove(0);
    assert_eq!((row.state.as_str(), row.locked), ("missed", true));

    let released = bench.release("morning", None).expect("released");
    assert_eq!((released.date.as_str(), released.by.as_str()), (row.date.as_str(), "anna"));
    let schedule = bench.commands().pop().expect("the dispenser hears of it");
    assert_eq!(slots(&schedule), 8);
    let (disk, memory) = bench.disk_and_memory();
    assert!(disk == memory, "the disk says the same as memory");
    bench.kill_and_start();
    bench.alive("1");
    assert!(bench.release("morning", Some(&row.date)).expect_err("once").contains("was released by anna already"));
    let row = bench.doses().remove(0);
    assert_eq!(
        (row.locked, row.released_by.as_deref(), row.note.as_deref()),
        (false, Some("anna"), Some("spoke with the nurse"))
    );
    bench.publish("disp", r#"{"v":1,"restart":1,"seq":3,"event":{"dose":{"slot":"morning","outcome":"taken"}}}"#);
    assert!(bench.rows()[0].over, "its receivers hear that it was taken");
    assert_eq!(bench.doses()[0].state, "taken");
}

#[test]
fn a_dose_that_is_too_old_is_refused_and_nothing_is_written_over_a_restart_too() {
    let mut bench = bench();
    bench.pass(121);
    let date = bench.doses().remove(0).date;
    for _ in 0..23 {
        bench.clock.advance(60 * MIN_MS);
        bench.keeper().run_batch(&mut Vec::new());
    }
    for _ in 0..2 {
        let before = bench.keeper().state().cursor;
        let why = bench.release("morning", Some(&date)).expect_err("the next one has begun");
        assert!(why.contains("is too old to be released") && why.contains("two must never be open at once"), "{why}");
        assert_eq!(bench.keeper().state().cursor, before, "nothing is written");
        bench.kill_and_start();
        bench.alive("1");
    }
}
