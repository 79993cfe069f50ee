//! A dispenser's week in minutes, with the real gateway: what it does offline and over power cuts is right, and told once.
//!
//! Time is skipped for both: the gateway's wall clock is set forward, then the board passes over as much, looking at all that is
//! due in between. What the device tells on the way comes to a gateway that is ahead by the skip, as from a device that was away;
//! so where it tells something both go in short steps. The gateway's running clock and the network stay the machine's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use serde_json::Value;
use vaka_protocol::limits::SCHEDULE_SLOTS_MAX;
use vaka_protocol::{Command, Slot, decode_command};
use vaka_tests::{Board, Gateway, Home, eventually_within, firmware, lacks, lacks_firmware};

use crate::{all_arrived_once, flash, identities, numbers};

const S: i64 = 1_000;
const MIN: i64 = 60 * S;
const HOUR: i64 = 60 * MIN;

/// The plan: slot, and its local time. Each is open for an hour.
const PLAN: [(&str, i8); 4] = [("morning", 8), ("noon", 12), ("evening", 17), ("night", 21)];

const DAYS: i64 = 7;

/// A command's id is the number of the record that caused it times this, and which of its commands it is.
const COMMANDS_OF_RECORD: u64 = 256;

/// A skip in which the device tells something: well below the 30 s after which what comes counts as delayed.
const STEP: i64 = 10 * S;

/// The device's clock may be so far behind: its chip counts whole seconds.
const LAG: i64 = 5 * S;

/// The device gives a sign of life when it has told nothing for so long.
const ALIVE: i64 = vaka_device::ALIVE_INTERVAL_S as i64 * S;

/// What comes late the gateway judges 10 s later; and a run of many tests shares two cores.
const PATIENCE: Duration = Duration::from_secs(90);

/// One planned dose. Its compartment is its number and one.
struct Dose {
    slot: &'static str,
    date: String,
    opens_at: i64,
    closes_at: i64,
}

/// The dispenser, its gateway, and their time.
struct Week<'h> {
    home: &'h Home,
    gateway: Gateway<'h>,
    board: Board,
    /// The file that says how far the gateway's wall clock is ahead of the machine's.
    clock: PathBuf,
    ahead_ms: i64,
    /// Nothing was told since; UTC milliseconds.
    told_at: i64,
    is_apart: bool,
}

/// Written beside it and put in its place: whoever reads it meanwhile finds the one or the other.
fn set_ahead(clock: &PathBuf, ms: i64) {
    let written = clock.with_extension("new");
    std::fs::write(&written, format!("+{}\n", ms / S)).expect("written");
    std::fs::rename(&written, clock).expect("put in its place");
}

impl Week<'_> {
    /// The gateway's time, UTC milliseconds.
    fn at(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.ahead_ms
    }

    /// Whole seconds.
    #[track_caller]
    fn skip(&mut self, ms: i64) {
        let (at, told) = (self.at(), identities(&self.board, "told ").len());
        // The gateway first: nothing is heard before it happened.
        self.ahead_ms += ms;
        set_ahead(&self.clock, self.ahead_ms);
        self.board.say(&format!("skip {ms}"));
        self.board.wait("skipped");
        if identities(&self.board, "told ").len() != told {
            self.told_at = at;
        }
    }

    /// Until just after that moment, at which the device tells something.
    #[track_caller]
    fn until(&mut self, at: i64) {
        let end = at + LAG;
        assert!(end > self.at(), "that was {} ms ago", self.at() - end);
        while self.at() < end {
            // In between it tells nothing by itself; and nobody hears when.
            let next = if self.is_apart { end } else { at.min(self.told_at + ALIVE) - 3 * S };
            let ms = (next - self.at()).max(STEP).min(end + S - self.at()).max(S);
            self.skip(ms - ms.rem_euclid(S));
        }
        self.settle();
    }

    /// Waits until the gateway has acknowledged all that was told, and the device runs on a schedule that reaches far enough. The
    /// gateway sees to that once it counts the device as heard to the end, some seconds after what came late.
    #[track_caller]
    fn settle(&self) {
        if self.is_apart {
            return;
        }
        let waiting = || {
            let acked = identities(&self.board, "acked ");
            identities(&self.board, "told ").difference(&acked).copied().collect::<Vec<_>>()
        };
        let context = || format!("not acknowledged: {:?}\n{}\n{}", waiting(), self.board.tail(), self.gateway.tail());
        eventually_within(PATIENCE, "all to be acknowledged", context, || waiting().is_empty().then_some(()));
        let at = self.at();
        self.runs_on("half a schedule to come", |slots| {
            slots.iter().filter(|slot| slot.opens_at > at).count() >= SCHEDULE_SLOTS_MAX / 2
        });
    }

    /// Waits until the gateway's newest schedule is as wished, and confirmed.
    #[track_caller]
    fn runs_on(&self, what: &str, is_wished: impl Fn(&[Slot]) -> bool) {
        let newest = || {
            let export = self.home.export();
            let sent = export.iter().rev().find_map(|record| {
                let decisions = record["decisions"].as_array()?;
                let mut commands = decisions.iter().filter_map(|decision| decision["send"]["command"].as_str());
                let schedule = commands.find_map(|command| match decode_command(command.as_bytes()).ok()?.command {
                    Command::Schedule { slots } => Some(slots),
                    _ => None,
                })?;
                Some((record["record"].as_u64()?, schedule))
            });
            let (record, slots) = sent?;
            let done = export.iter().map(|record| &record["event"]["done"]);
            let of_it = done.filter(|done| done["id"].as_u64().is_some_and(|id| id / COMMANDS_OF_RECORD == record));
            let outcomes: Vec<&str> = of_it.filter_map(|done| done["outcome"].as_str()).collect();
            (!outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == "done")).then_some(slots)
        };
        let context = || format!("confirmed: {:#?}\n{}\n{}", newest(), self.board.tail(), self.gateway.tail());
        eventually_within(PATIENCE, &format!("a schedule with {what}"), context, || {
            newest().filter(|slots| is_wished(slots))
        });
    }

    /// Waits until the gateway holds that of the dose.
    #[track_caller]
    fn is(&self, dose: &Dose, state: &str) {
        let rows = || self.home.vaka(&["dose", "list", "--json"]).ok().rows();
        let is_it = |row: &Value| row["date"] == *dose.date && row["slot"] == dose.slot && row["state"] == state;
        let context = || format!("{:#?}\n{}\n{}", rows(), self.board.tail(), self.gateway.tail());
        eventually_within(PATIENCE, &format!("{} {} to be {state}", dose.date, dose.slot), context, || {
            rows().iter().any(is_it).then_some(())
        });
    }

    /// A hand that waits until nothing moves.
    #[track_caller]
    fn hand(&mut self, line: &str, ms: i64) {
        self.board.say(line);
        self.skip(ms);
    }

    #[track_caller]
    fn ask(&mut self) {
        self.hand("give 200", 8 * S);
    }

    /// The resident takes what lies at the window: the compartment (from 1) that it was in, 0 for nothing.
    #[track_caller]
    fn take(&mut self) -> u64 {
        self.board.say("take");
        let taken = numbers(&self.board.wait("taken "))[0];
        self.skip(2 * S);
        self.settle();
        taken
    }

    /// Asked for and taken, it comes from its own compartment.
    #[track_caller]
    fn give(&mut self, number: usize) {
        self.ask();
        assert_eq!(self.take(), number as u64 + 1, "dose {number}\n{}", self.board.tail());
    }

    /// The power goes while nothing moves, and is back.
    #[track_caller]
    fn cut(&mut self) {
        // Looked at once more: between two looks the models stand still.
        self.board.say("skip 0");
        self.board.wait("skipped");
        self.cut_now();
    }

    #[track_caller]
    fn cut_now(&mut self) {
        let began = Instant::now();
        self.board.restart();
        self.board.wait("started power");
        // Its clock chip goes on without power; the model of it does not.
        self.board.say(&format!("skip {}", began.elapsed().as_millis()));
        self.board.wait("skipped");
        if !self.is_apart {
            self.board.wait("connected");
        }
    }

    /// The power goes while the wheel turns for a dose.
    #[track_caller]
    fn cut_while_it_turns(&mut self) {
        self.board.say("give 200");
        self.board.wait("motor runs");
        self.cut_now();
        self.skip(STEP);
        // Asked for again, it is not given again.
        self.ask();
        assert_eq!(self.take(), 0, "{}", self.board.tail());
    }
}

/// `word word …` of the dose in the journal, in the order in which the device said them.
fn words(events: &[Value], dose: &Dose) -> String {
    let mut of: Vec<&Value> = events
        .iter()
        .filter(|record| {
            let said = &record["event"]["dose"];
            let at = record["at"].as_i64().unwrap_or(0);
            said["slot"] == dose.slot && (dose.opens_at - MIN..dose.opens_at + 22 * HOUR).contains(&at)
        })
        .collect();
    of.sort_by_key(|record| (record["restart"].as_u64(), record["seq"].as_u64()));
    let words: Vec<&str> = of.iter().filter_map(|record| record["event"]["dose"]["outcome"].as_str()).collect();
    words.join(" ")
}

#[test]
fn a_week_of_doses_is_given_once_each_over_power_cuts_and_a_day_without_the_gateway() {
    if lacks(&["faketime"]) || lacks_firmware() {
        return;
    }
    let image = firmware::image("dispenser");
    let home = Home::init();
    let flash = flash(&home, "disp", "dispenser");
    let mut text = std::fs::read_to_string(home.config()).expect("vaka.toml");
    for (slot, hour) in PLAN {
        text.push_str(&format!("\n[[dose]]\ndevice = \"disp\"\nslot = \"{slot}\"\nat = \"{hour:02}:00\"\n"));
    }
    std::fs::write(home.config(), text).expect("writing vaka.toml");

    let zone = TimeZone::get("Europe/Stockholm").expect("bundled");
    let first = (Timestamp::now().to_zoned(zone.clone()) + 1.day()).date();
    let local = |zoned: Result<Zoned, jiff::Error>| zoned.expect("a time").timestamp().as_millisecond();
    let mut doses = Vec::new();
    for date in (0..DAYS).map(|days| first + days.days()) {
        for (slot, hour) in PLAN {
            let opens_at = local(date.to_datetime(time(hour, 0, 0, 0)).to_zoned(zone.clone()));
            doses.push(Dose { slot, date: date.to_string(), opens_at, closes_at: opens_at + HOUR });
        }
    }
    let ahead_ms = doses[0].opens_at - 2 * HOUR - Timestamp::now().as_millisecond();
    let ahead_ms = ahead_ms - ahead_ms.rem_euclid(S);
    let clock = home.dir().join("clock");
    set_ahead(&clock, ahead_ms);
    let gateway = Gateway::start_by_clock(&home, &clock);
    let board = Board::start(&image, &flash);
    let mut week = Week { home: &home, gateway, board, clock, ahead_ms, told_at: 0, is_apart: false };
    // Whoever installs it sets its clock chip: no time source vouches for this gateway's clock.
    week.board.say(&format!("time {}", week.at()));
    week.board.wait("connected");
    // Staff fill it, and it counts what it holds.
    for hand in ["key 1", "lid 1", "fill 28", "lid 0", "key 0"] {
        week.hand(hand, S);
    }
    (0..9).for_each(|_| week.skip(STEP));
    week.settle();

    let mut expected = Vec::new();
    for (number, dose) in doses.iter().enumerate() {
        match number {
            16 => {
                // For a day.
                week.gateway.kill();
                week.is_apart = true;
            }
            20 => {
                week.gateway.restart();
                week.is_apart = false;
                week.board.wait("connected");
                week.settle();
            }
            // Both at once, and nothing under way.
            22 => {
                week.gateway.kill();
                week.is_apart = true;
                week.cut();
                week.gateway.restart();
                week.is_apart = false;
                week.board.wait("connected");
            }
            25 => week.cut(),
            _ => {}
        }
        week.until(dose.opens_at);
        expected.push(match number {
            // Nobody comes; then a person releases it, and it comes from where it lay.
            5 => {
                week.until(dose.closes_at);
                week.is(dose, "missed");
                home.vaka(&["dose", "release", "resident", dose.slot, "--by", "anna"]).ok();
                week.runs_on("the release", |slots| slots.iter().any(|slot| slot.releases == Some(dose.opens_at)));
                week.skip(5 * S);
                week.give(number);
                ("reminded missed reminded dispensed taken", "taken")
            }
            // Late: reminded by the gateway, which looks at the latest as it hears that somebody opens the lid.
            8 => {
                let before = week.board.lines().len();
                week.until(dose.opens_at + 20 * MIN);
                week.hand("lid 1", S);
                week.hand("lid 0", S);
                eventually_within(
                    PATIENCE,
                    "the reminder",
                    || week.board.tail(),
                    || {
                        let said = week.board.lines().split_off(before);
                        said.iter().any(|line| line.starts_with("text Påminnelse: dosen 08:00.")).then_some(())
                    },
                );
                week.until(dose.opens_at + 50 * MIN);
                week.give(number);
                ("reminded dispensed taken", "taken")
            }
            // It lies there until its time is over, and is closed away.
            9 => {
                week.ask();
                week.until(dose.closes_at);
                assert_eq!(week.take(), 0);
                ("reminded dispensed missed", "missed")
            }
            10 => {
                week.hand("refuse 3500", 8 * S);
                ("reminded refused", "refused")
            }
            13 | 18 => {
                week.cut_while_it_turns();
                ("reminded unknown", "unknown")
            }
            // The power goes while it lies there.
            14 => {
                week.ask();
                week.cut();
                week.skip(5 * S);
                assert_eq!(week.take(), number as u64 + 1, "{}", week.board.tail());
                ("reminded dispensed taken", "taken")
            }
            17 => {
                week.until(dose.closes_at);
                ("reminded missed", "missed")
            }
            _ => {
                week.give(number);
                ("reminded dispensed taken", "taken")
            }
        });
    }
    week.until(doses[27].closes_at + HOUR);

    let stored = all_arrived_once(&home, "disp", &week.board, &week.gateway);
    let events = home.records("event");
    for (dose, (said, _)) in doses.iter().zip(&expected) {
        assert_eq!(words(&events, dose), *said, "{} {}\n{}", dose.date, dose.slot, week.board.tail());
    }
    for (dose, (_, state)) in doses.iter().zip(&expected) {
        week.is(dose, state);
    }
    // A person was told of each that was not taken, and of those whose time was over before the gateway was back; once.
    let of_dose = |row: &&Value| row["rule"] == "dose" && row["lane"] == "care";
    let alarms = home.alarms();
    let told: Vec<&Value> = alarms.iter().filter(of_dose).collect();
    assert_eq!(told.len(), [5, 9, 10, 13, 16, 17, 18].len(), "{told:#?}");
    assert_eq!(alarms.iter().filter(|row| row["cause"] == "tamper").count(), 1, "{alarms:#?}");
    let boots: BTreeSet<u64> = identities(&week.board, "told ").into_iter().map(|(restart, _)| restart).collect();
    println!("a week: 28 doses, {stored} events, {} boots of the dispenser", boots.len());
}
