//! An evening and a night, played on real connections: what the devices do, what breaks, who helps.
//!
//! Enters: a running gateway, alarm centre and five devices. Leaves: facts on the desk; which calls fell into an outage.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vaka_protocol::{DoseOutcome, Event, Rung};

use super::centre::Centre;
use super::desk::{Desk, Facts, Identity};
use super::device::Device;
use super::home::{DemoError, Home, device_id};
use super::parts::{Hand, Kind};
use super::teller::in_words;
use crate::uplink::Door;

/// Longest time for one thing to come through, in milliseconds. Beyond: told, and counted at the end.
const STEP_MS_MAX: u64 = 15_000;
/// Room that the two outages need at the end of the time given, in milliseconds.
const OUTAGES_MS: u64 = 8_000;
/// How long the alarm centre stays away, in milliseconds: longer than one attempt, shorter than a reader's patience.
const CENTRE_AWAY_MS: u64 = 1_500;
/// Events of each sensor that are under way when the gateway is killed.
const BURST: usize = 20;
/// Longest pause for a reader between two acts, in milliseconds.
const PAUSE_MS_MAX: u64 = 2_500;
/// Pauses in an evening.
const PAUSES: u32 = 10;

/// Everybody in the play.
pub struct Evening<'a> {
    pub home: &'a mut Home,
    pub centre: &'a mut Centre,
    pub desk: Arc<Desk>,
    /// None: no pauses for a reader.
    pub pause: Option<Duration>,
    pub ends: Instant,
    /// Calls made while the centre or the gateway was away.
    pub in_outage: BTreeSet<Identity>,
    pendant: Device,
    bed: Device,
    door: Device,
    gps: Device,
    dispenser: Device,
}

/// Pause for a reader, so that the evening fills about the time given.
pub fn pause(whole: Duration) -> Duration {
    let spare = whole.saturating_sub(Duration::from_millis(OUTAGES_MS));
    (spare / PAUSES).min(Duration::from_millis(PAUSE_MS_MAX))
}

impl<'a> Evening<'a> {
    /// Enrols the five devices. The gateway is to be started after.
    pub fn enrol(home: &Home) -> Result<Vec<Door>, DemoError> {
        let devices = [
            ("pendant", "pendant", "worn"),
            ("bed", "bed-sensor", "bedroom"),
            ("door", "door-sensor", "hall"),
            ("gps", "gps-alarm", "worn"),
            ("dispenser", "dispenser", "kitchen"),
        ];
        let mut doors = Vec::new();
        for (id, kind, room) in devices {
            let device = device_id(id);
            if let Some(tls) = home.enrol(&device, kind, Some(room), None)? {
                doors.push(Door::near(home.address, device, tls));
            }
        }
        Ok(doors)
    }

    /// Starts the devices behind `doors`, as [`Evening::enrol`] made them.
    pub fn begin(
        home: &'a mut Home,
        centre: &'a mut Centre,
        desk: Arc<Desk>,
        doors: Vec<Door>,
        pause: Option<Duration>,
        ends: Instant,
    ) -> Self {
        // The GPS alarm's button is a pendant's.
        let kinds = [Kind::Pendant, Kind::Bed, Kind::Door, Kind::Pendant, Kind::Told];
        let mut started = doors.into_iter().zip(kinds).map(|(door, kind)| Device::start(door, desk.clone(), kind));
        let mut next = || started.next().expect("five devices were enrolled");
        let (pendant, bed, door, gps, dispenser) = (next(), next(), next(), next(), next());
        Self { home, centre, desk, pause, ends, in_outage: BTreeSet::new(), pendant, bed, door, gps, dispenser }
    }

    pub async fn play(&mut self) -> Result<(), DemoError> {
        self.connect().await;
        self.to_bed().await;
        self.press().await?;
        self.fall().await;
        self.small_things().await;
        self.outdoors().await;
        if !self.has_time(OUTAGES_MS) {
            self.desk.teller.stage("stage", "no time is left for what breaks; give a longer --for");
            return Ok(());
        }
        self.centre_away().await?;
        self.killed().await
    }

    /// The devices say goodbye, when everything they had to say is through.
    pub async fn end(self) -> BTreeSet<Identity> {
        self.desk.until(self.limit(), |facts| facts.waiting() == 0).await;
        for device in [self.pendant, self.bed, self.door, self.gps, self.dispenser] {
            device.leave().await;
        }
        self.in_outage
    }

    async fn connect(&self) {
        self.desk.teller.act("Five devices connect: MQTT 5, mutual TLS");
        let all = self.desk.until(self.limit(), |facts| facts.online.len() == 5).await;
        if !all {
            let why: Vec<String> =
                self.desk.facts().ended.iter().map(|(device, why)| format!("{device}: {why}")).collect();
            self.desk.teller.stage("stage", &format!("not every device could connect ({})", why.join("; ")));
        }
    }

    async fn to_bed(&self) {
        self.beat("The evening: medicine, to bed").await;
        self.dispenser.say(dose("evening", DoseOutcome::Dispensed)).await;
        self.dispenser.say(dose("evening", DoseOutcome::Taken)).await;
        self.door.feel(Hand::Opens).await;
        self.door.feel(Hand::Shuts).await;
        self.gps.say(position(593_293_000, 180_686_000)).await;
        let last = self.bed.feel(Hand::LiesDown).await;
        self.acked(&last).await;
    }

    async fn press(&self) -> Result<(), DemoError> {
        self.beat("The resident presses the button").await;
        let call = self.pendant.press().await;
        self.comes_to(&call, Rung::Accepted).await;
        self.beat("Home-care staff take the alarm, go there, and close it").await;
        let alarm = self.open_alarm("pendant")?;
        self.staff(&["alarm", "claim", &alarm, "--by", "anna"], "Anna takes the alarm")?;
        self.comes_to(&call, Rung::Claimed).await;
        self.staff(
            &["alarm", "close", &alarm, "--by", "anna", "--note", "helped to the bathroom"],
            "Anna closes it: helped to the bathroom",
        )?;
        self.comes_to(&call, Rung::Closed).await;
        Ok(())
    }

    async fn fall(&self) {
        self.beat("The pendant feels a fall; the resident says it was nothing").await;
        let fall = self.pendant.say(Event::Fall { impact_mg: Some(2_800), still_s: Some(20) }).await;
        self.comes_to(&fall, Rung::Accepted).await;
        let cancel = self.pendant.feel(Hand::Cancels).await;
        // Passed on, and the alarm stays open: only a person closes it.
        self.comes_to(&cancel, Rung::Accepted).await;
    }

    async fn small_things(&self) {
        self.beat("What must be known, but not at once").await;
        let battery = self.door.say(Event::Battery { percent: Some(6), low: true }).await;
        let missed = self.dispenser.say(dose("night", DoseOutcome::Missed)).await;
        self.comes_to(&battery, Rung::Accepted).await;
        self.comes_to(&missed, Rung::Accepted).await;
    }

    async fn outdoors(&self) {
        self.beat("A walk: the GPS alarm").await;
        self.gps.say(position(593_301_000, 180_712_000)).await;
        let call = self.gps.press().await;
        self.comes_to(&call, Rung::Accepted).await;
    }

    async fn centre_away(&mut self) -> Result<(), DemoError> {
        self.beat("The alarm centre goes away. The resident presses").await;
        self.centre.stop().await;
        self.desk.teller.stage("centre", "is gone: its port is closed");
        let call = self.pendant.press().await;
        self.in_outage.insert(call.clone());
        self.acked(&call).await;
        tokio::time::sleep(Duration::from_millis(CENTRE_AWAY_MS)).await;
        self.desk.teller.stage("centre", "is back on the same port");
        self.centre.restart().await?;
        self.comes_to(&call, Rung::Accepted).await;
        Ok(())
    }

    async fn killed(&mut self) -> Result<(), DemoError> {
        self.beat("The gateway is killed (kill -9) with events under way").await;
        self.desk.teller.stage("sensors", &format!("bed, door and GPS alarm tell {} things at once", 3 * BURST));
        let press = self.pendant.begin_to_press().await;
        self.desk.teller.hush(true);
        let mut burst = Vec::new();
        for n in 0..BURST {
            burst.push(self.bed.say(Event::Bed { occupied: n % 2 == 1 }).await);
            burst.push(self.door.say(Event::Door { open: n % 2 == 0 }).await);
            burst.push(self.gps.say(position(593_301_000 + 100 * n as i32, 180_712_000)).await);
        }
        self.desk.teller.hush(false);
        // Some are acknowledged, some are not: now.
        let acked = |facts: &Facts| burst.iter().filter(|identity| facts.is_acked(identity)).count();
        self.desk.until(self.limit(), |facts| acked(facts) >= BURST / 4).await;
        let under_way = self.desk.facts().waiting();
        self.home.kill_gateway();
        let call = press.identity().await;
        self.in_outage.insert(call.clone());
        self.desk.teller.stage("gateway", &format!("is killed; {under_way} events were not acknowledged yet"));
        self.desk.until(self.limit(), |facts| facts.online.is_empty()).await;
        let ready = self.home.start_gateway().await?;
        self.desk.teller.stage("gateway", &format!("is started again: ready after {}", in_words(ready)));
        self.comes_to(&call, Rung::Accepted).await;
        let again = self.pendant.press().await;
        self.comes_to(&again, Rung::Accepted).await;
        self.desk.until(self.limit(), |facts| facts.waiting() == 0).await;
        self.desk.teller.stage("devices", "everything that was under way has been acknowledged");
        Ok(())
    }

    /// A heading, after a pause for the reader.
    fn beat(&self, title: &'static str) -> impl Future<Output = ()> {
        let (pause, desk) = (self.pause.filter(|_| self.has_time(OUTAGES_MS)), self.desk.clone());
        async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            desk.teller.act(title);
        }
    }

    fn has_time(&self, ms: u64) -> bool {
        Instant::now() + Duration::from_millis(ms) < self.ends
    }

    fn limit(&self) -> Instant {
        Instant::now() + Duration::from_millis(STEP_MS_MAX)
    }

    async fn acked(&self, identity: &Identity) {
        let told = self.desk.until(self.limit(), |facts| facts.is_acked(identity)).await;
        if !told {
            self.desk.teller.trouble(&identity.device, &format!("event {} was not acknowledged in time", identity.seq));
        }
    }

    async fn comes_to(&self, identity: &Identity, rung: Rung) {
        if !self.desk.until(self.limit(), |facts| facts.rung(identity) >= Some(rung)).await {
            self.desk
                .teller
                .trouble(&identity.device, &format!("event {} did not come to `{rung}` in time", identity.seq));
        }
    }

    /// The id of the newest open alarm of a device, as staff see it in the list.
    fn open_alarm(&self, device: &str) -> Result<String, DemoError> {
        let rows = tokio::task::block_in_place(|| self.home.alarms(false))?;
        let row = rows.iter().find(|row| row["device"] == device && row["rung"] != "closed");
        row.and_then(|row| row["id"].as_str()).map(str::to_string).ok_or_else(|| DemoError::Tool {
            command: "alarm list".into(),
            what: format!("no open alarm of {device} in it"),
        })
    }

    fn staff(&self, command: &[&str], what: &str) -> Result<(), DemoError> {
        // Told first: the pendant hears of it before the command has ended.
        self.desk.teller.stage("staff", what);
        tokio::task::block_in_place(|| self.home.vaka(command)).map(drop)
    }
}

fn dose(slot: &str, outcome: DoseOutcome) -> Event {
    Event::Dose { slot: slot.into(), outcome }
}

fn position(lat_e7: i32, lon_e7: i32) -> Event {
    Event::Position { lat_e7, lon_e7, accuracy_m: Some(8), speed_cm_s: Some(90), fix_age_s: Some(2) }
}
