//! A municipality, played on real connections: residents press at once, staff work at the hub, and each part breaks once.
//!
//! Enters: an alarm centre, a hub and its homes, all running. Leaves: facts on the desk; which calls fell into an outage.
//! The first and the last home are told line by line, the others in sums: fifty pendants at once are no page to read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vaka_protocol::{DeviceId, Event, Rung};

use super::alarms::AlarmTable;
use super::centre::Centre;
use super::desk::{Desk, Facts, Identity};
use super::device::Device;
use super::home::DemoError;
use super::parts::Kind;
use super::stage::{Folder, Ports};
use super::street::{Doors, Street};
use super::summary::Summary;
use super::tally::tally;
use super::teller::{Teller, in_words};
use super::{SETTLE_MS_MAX, is_call, latencies};
use crate::cli::DemoArgs;
use crate::limits::HOME_SILENT_MS;

/// Longest time for one thing to come through, in milliseconds. Beyond: told, and counted at the end.
const STEP_MS_MAX: u64 = 15_000;
/// Room that one breakage needs at the end of the time given, in milliseconds: away, and two tries to connect again.
const BREAKAGE_MS: u64 = 5_000;
/// Breakages: the hub, a home, the alarm centre.
const BREAKAGES: u32 = 3;
/// How long a part stays away, in milliseconds: longer than one attempt, shorter than a reader's patience.
const AWAY_MS: u64 = 1_500;
/// How long a home stays away, in milliseconds: the pendant says by then that its call is not through.
const HOME_AWAY_MS: u64 = vaka_device::PRESS_ACK_MS_MAX + 500;
/// Things that each bed sensor tells while the hub is killed.
const BURST: usize = 4;
/// Longest pause for a reader between two acts, in milliseconds.
const PAUSE_MS_MAX: u64 = 2_500;
/// What a pendant shows when a receiver has its alarm.
const RECEIVED: &str = "Larmet är mottaget";
/// Pauses in the play.
const PAUSES: u32 = 5;

/// Everybody in the play.
struct Town<'a> {
    street: &'a mut Street,
    centre: &'a mut Centre,
    desk: Arc<Desk>,
    pendants: Vec<Device>,
    beds: Vec<Device>,
    /// None: no pauses for a reader.
    pause: Option<Duration>,
    ends: Instant,
    /// Calls made while something was away.
    in_outage: BTreeSet<Identity>,
}

/// Plays it all, and reads what came of it as a user would.
pub async fn play(args: &DemoArgs, homes: u8, folder: &Folder) -> Result<Summary, DemoError> {
    let begun = Instant::now();
    let followed = [1, homes].iter().flat_map(|n| ["pendant", "bed"].map(|what| format!("{what}-{n:02}"))).collect();
    let desk = Arc::new(Desk::new(Teller::new(args.json, true).following(followed)));
    let mut ports = Ports::default();
    let (mut street, centre_tls) = Street::make(folder, &mut ports)?;
    let mut centre = Centre::start(Some(&centre_tls)).await?;
    street.hub.point_to_centre(&centre.url())?;
    let mut doors = Doors { pendants: Vec::new(), beds: Vec::new() };
    for made in 1..=homes {
        tokio::task::block_in_place(|| street.settle_in(folder, &mut ports, &mut doors))?;
        desk.teller.progress(&format!("making {made}/{homes} homes"), made == homes);
        // A Ctrl-C is heard here.
        tokio::task::yield_now().await;
    }
    curtain_up(&mut street, &centre, &desk).await?;

    // Making fifty homes takes its time: the play's begins now.
    let ends = Instant::now() + args.duration;
    let start = |doors: Vec<_>, kind| doors.into_iter().map(|door| Device::start(door, desk.clone(), kind)).collect();
    let mut town = Town {
        pendants: start(doors.pendants, Kind::Pendant),
        beds: start(doors.beds, Kind::Bed),
        pause: (!args.headless).then(|| pause(args.duration)),
        street: &mut street,
        centre: &mut centre,
        desk: desk.clone(),
        ends,
        in_outage: BTreeSet::new(),
    };
    town.play().await?;
    let in_outage = town.end().await;
    street.settle(Instant::now() + Duration::from_millis(SETTLE_MS_MAX)).await?;
    let evidence = tokio::task::block_in_place(|| street.evidence(&desk.facts(), |said| is_call(&said.event)));
    let mut evidence = evidence?;
    street.stop().await;
    (evidence.latencies, evidence.outage_latencies) = latencies(&desk, &in_outage);
    evidence.hub.centre = centre.taken().into_iter().map(|taken| (taken.cid, taken.reference)).collect();
    evidence.took = begun.elapsed();
    let summary = tally(&evidence);
    if args.json {
        desk.teller.line_json(json!({"summary": summary}));
    } else {
        let table = AlarmTable(&evidence.hub.alarms);
        desk.teller.line(&format!("\nAlarms at the hub, as `vaka alarm list --all` has them there\n{table}"));
        desk.teller.line(&format!("Summary\n{summary}"));
    }
    Ok(summary)
}

/// Pause for a reader, so that the play fills about the time given.
fn pause(whole: Duration) -> Duration {
    let spare = whole.saturating_sub(Duration::from_millis(BREAKAGE_MS) * BREAKAGES);
    (spare / PAUSES).min(Duration::from_millis(PAUSE_MS_MAX))
}

async fn curtain_up(street: &mut Street, centre: &Centre, desk: &Desk) -> Result<(), DemoError> {
    desk.teller.act("A municipality on this machine: an alarm centre, a hub, and homes that are the hub's devices");
    let ready = street.hub.start_gateway().await?;
    desk.teller.stage("centre", &format!("takes SCAIP alarms at {}", centre.url()));
    desk.teller.stage("hub", &format!("listens on {}, ready after {}", street.hub.address, in_words(ready)));
    let took = street.start_homes(&desk.teller).await?;
    let homes = street.homes.len();
    let are = if homes == 1 { "1 gateway is".to_owned() } else { format!("{homes} gateways are") };
    desk.teller.stage("homes", &format!("{are} ready after {}, each a process of its own", in_words(took)));
    Ok(())
}

impl Town<'_> {
    async fn play(&mut self) -> Result<(), DemoError> {
        self.connect().await?;
        self.press().await;
        self.staff().await?;
        // In the order of what a municipality fears most.
        if self.has_time(BREAKAGE_MS) {
            self.hub_killed().await?;
        }
        if self.has_time(BREAKAGE_MS) {
            self.home_cut().await?;
        }
        if self.has_time(BREAKAGE_MS) {
            self.centre_away().await?;
        } else {
            self.desk.teller.stage("stage", "no time is left for all that breaks; give a longer --for");
        }
        Ok(())
    }

    /// The devices say goodbye, when everything they had to say is through.
    async fn end(self) -> BTreeSet<Identity> {
        self.desk.until(limit(), |facts| facts.waiting() == 0).await;
        for device in self.pendants.into_iter().chain(self.beds) {
            device.leave().await;
        }
        self.in_outage
    }

    async fn connect(&self) -> Result<(), DemoError> {
        self.desk.teller.act("Homes connect to the hub, pendants and bed sensors to their homes: MQTT 5, mutual TLS");
        let devices = self.pendants.len() + self.beds.len();
        let connected = self.desk.until(limit(), |facts| facts.online.len() == devices).await;
        let stage = |told: String| self.desk.teller.stage("stage", &told);
        if !connected {
            let online = self.desk.facts().online.len();
            stage(format!("only {online} of {devices} devices could connect"));
        }
        let homes: Vec<DeviceId> = self.street.homes.iter().map(|home| home.id.clone()).collect();
        if self.street.hub_knows(&homes, true, limit()).await? {
            let are = if homes.len() == 1 { "1 home is".to_owned() } else { format!("{} homes are", homes.len()) };
            self.desk.teller.stage("hub", &format!("{are} there, with {devices} devices in them"));
        } else {
            stage("not every home could connect to the hub".to_owned());
        }
        Ok(())
    }

    async fn press(&self) {
        let act = if self.pendants.len() == 1 { "The resident presses" } else { "Every resident presses at once" };
        self.beat(act).await;
        let calls = self.all_press().await;
        self.all_come_to(&calls, Rung::Accepted).await;
    }

    async fn staff(&self) -> Result<(), DemoError> {
        self.beat("Staff at the hub read their list, take the first home's alarm, and close it").await;
        let home = self.street.homes[0].id.clone();
        let of_home = |row: &serde_json::Value| row["device"] == home.as_str() && row["lane"] == "life";
        let Some(alarm) = self.street.hub_alarm(limit(), of_home).await? else {
            self.desk.teller.trouble(&home, "has no alarm at the hub");
            return Ok(());
        };
        let line = self.street.line_at_hub(&alarm)?;
        self.desk.teller.stage("hub", &format!("`vaka alarm list`: {line}"));
        self.act(&["alarm", "claim", &alarm, "--by", "anna"], "Anna takes the alarm")?;
        let call = self.last_call(0);
        self.comes_to(&call, Rung::Claimed).await;
        let close = ["alarm", "close", &alarm, "--by", "anna", "--note", "helped to the bathroom"];
        self.act(&close, "Anna closes it: helped to the bathroom")?;
        self.comes_to(&call, Rung::Closed).await;
        Ok(())
    }

    async fn hub_killed(&mut self) -> Result<(), DemoError> {
        self.beat("The hub is killed (kill -9) with presses under way").await;
        let told = self.beds.len() * BURST;
        self.desk.teller.stage("sensors", &format!("the bed sensors tell {told} things meanwhile"));
        self.desk.teller.hush(true);
        for n in 0..BURST {
            for bed in &self.beds {
                bed.say(Event::Bed { occupied: n % 2 == 1 }).await;
            }
        }
        self.desk.teller.hush(false);
        let calls = self.all_press().await;
        self.in_outage.extend(calls.iter().cloned());
        // Some are in a home's journal, few are further: now.
        let stored = |facts: &Facts| calls.iter().filter(|call| facts.is_acked(call)).count();
        self.desk.until(limit(), |facts| stored(facts) >= calls.len().div_ceil(4)).await;
        self.street.hub.kill_gateway();
        let waiting = self.count(&calls, |rung| rung < Some(Rung::Accepted));
        self.desk.teller.stage("hub", &format!("is killed; presses not accepted yet: {waiting} of {}", calls.len()));
        tokio::time::sleep(Duration::from_millis(AWAY_MS)).await;
        let ready = self.street.hub.start_gateway().await?;
        self.desk.teller.stage("hub", &format!("is started again: ready after {}", in_words(ready)));
        self.all_come_to(&calls, Rung::Accepted).await;
        Ok(())
    }

    async fn home_cut(&mut self) -> Result<(), DemoError> {
        self.beat("One home is cut: its gateway is killed (kill -9) as its resident presses").await;
        let at = self.pendants.len() - 1;
        let home = self.street.homes[at].id.clone();
        let call = self.pendants[at].press().await;
        self.in_outage.insert(call.clone());
        self.street.homes[at].kill_gateway();
        let away_since = Instant::now();
        self.desk.teller.stage(home.as_str(), "is killed");
        let hub = |told: &str| self.desk.teller.stage("hub", told);
        if self.street.hub_knows(std::slice::from_ref(&home), false, limit()).await? {
            hub(&format!("sees {home} go"));
        }
        if self.has_time(HOME_SILENT_MS + 2 * BREAKAGE_MS) {
            hub(&format!("a home that is not back in {} s is silent, and that is an alarm", HOME_SILENT_MS / 1_000));
            let limit = Instant::now() + Duration::from_millis(HOME_SILENT_MS + BREAKAGE_MS);
            let silent = |row: &serde_json::Value| row["device"] == home.as_str() && row["cause"] == "silent";
            match self.street.hub_alarm(limit, silent).await? {
                Some(alarm) => hub(&format!("`vaka alarm list`: {}", self.street.line_at_hub(&alarm)?)),
                None => self.desk.teller.trouble(&home, "was silent, and the hub did not say so in time"),
            }
        }
        tokio::time::sleep(Duration::from_millis(HOME_AWAY_MS).saturating_sub(away_since.elapsed())).await;
        let ready = self.street.homes[at].start_gateway().await?;
        self.desk.teller.stage(home.as_str(), &format!("is started again: ready after {}", in_words(ready)));
        self.comes_to(&call, Rung::Accepted).await;
        Ok(())
    }

    async fn centre_away(&mut self) -> Result<(), DemoError> {
        self.beat("The alarm centre goes away, and everybody presses").await;
        self.centre.stop().await;
        self.desk.teller.stage("centre", "is gone: its port is closed");
        let calls = self.all_press().await;
        self.in_outage.extend(calls.iter().cloned());
        self.all_come_to(&calls, Rung::Received).await;
        tokio::time::sleep(Duration::from_millis(AWAY_MS)).await;
        let told = self.count(&calls, |rung| rung >= Some(Rung::Accepted));
        let told = if told == 0 { "no pendant shows".to_owned() } else { format!("{told} show") };
        self.desk.teller.stage("pendants", &format!("{told} “{RECEIVED}”: the hub has the alarms, the centre has not"));
        self.desk.teller.stage("centre", "is back on the same port");
        self.centre.restart().await?;
        self.all_come_to(&calls, Rung::Accepted).await;
        Ok(())
    }

    /// One press of every pendant.
    async fn all_press(&self) -> Vec<Identity> {
        if self.pendants.len() > 1 {
            self.desk.teller.stage("pendants", &format!("{} residents press the button", self.pendants.len()));
        }
        let (mut begun, mut calls) = (Vec::new(), Vec::new());
        for pendant in &self.pendants {
            begun.push(pendant.begin_to_press().await);
        }
        for call in begun {
            calls.push(call.identity().await);
        }
        calls
    }

    /// Waits for all of them, and tells how long it took.
    async fn all_come_to(&self, calls: &[Identity], rung: Rung) {
        let missing = |facts: &Facts| calls.iter().filter(|call| facts.rung(call) < Some(rung)).count();
        if !self.desk.until(limit(), |facts| missing(facts) == 0).await {
            let facts = self.desk.facts();
            for call in calls.iter().filter(|call| facts.rung(call) < Some(rung)) {
                self.desk.teller.trouble(&call.device, &format!("event {} did not come to `{rung}` in time", call.seq));
            }
            return;
        }
        if calls.len() == 1 {
            return;
        }
        let facts = self.desk.facts();
        let of = |call: &Identity| facts.said.get(call)?.rungs.range(rung..).next().map(|(_, after)| *after);
        let mut after: Vec<Duration> = calls.iter().filter_map(of).collect();
        after.sort();
        let (half, last) = (after.get(after.len() / 2), after.last());
        let (half, last) = (in_words(*half.unwrap_or(&Duration::ZERO)), in_words(*last.unwrap_or(&Duration::ZERO)));
        let (who, said) = match rung {
            Rung::Accepted => ("pendants", format!("all {} show “{RECEIVED}”", calls.len())),
            _ => ("hub", format!("has all {} presses on its disk", calls.len())),
        };
        let told = format!("{said} (`{rung}`): half of them after {half}, the last after {last}");
        self.desk.teller.stage(who, &told);
    }

    async fn comes_to(&self, call: &Identity, rung: Rung) {
        if !self.desk.until(limit(), |facts| facts.rung(call) >= Some(rung)).await {
            let told = format!("event {} did not come to `{rung}` in time", call.seq);
            self.desk.teller.trouble(&call.device, &told);
        }
    }

    /// How many of these calls have come so far.
    fn count(&self, calls: &[Identity], so_far: impl Fn(Option<Rung>) -> bool) -> usize {
        let facts = self.desk.facts();
        calls.iter().filter(|call| so_far(facts.rung(call))).count()
    }

    /// The newest press of a pendant.
    fn last_call(&self, at: usize) -> Identity {
        let device = &self.pendants[at].id;
        let facts = self.desk.facts();
        let of_it =
            |(identity, said): &(&Identity, &super::desk::Said)| identity.device == *device && is_call(&said.event);
        let last = facts.said.iter().filter(of_it).map(|(identity, _)| identity.clone()).next_back();
        last.unwrap_or(Identity { device: device.clone(), restart: 0, seq: 0 })
    }

    fn act(&self, command: &[&str], what: &str) -> Result<(), DemoError> {
        // Told first: the pendant hears of it before the command has ended.
        self.desk.teller.stage("staff", what);
        tokio::task::block_in_place(|| self.street.hub.vaka(command)).map(drop)
    }

    /// A heading, after a pause for the reader.
    async fn beat(&self, title: &str) {
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause).await;
        }
        self.desk.teller.act(title);
    }

    fn has_time(&self, ms: u64) -> bool {
        Instant::now() + Duration::from_millis(ms) < self.ends
    }
}

fn limit() -> Instant {
    Instant::now() + Duration::from_millis(STEP_MS_MAX)
}
