//! What the board sees of the gateway, and what it asks of it: the only way between them.
//!
//! Enters: questions and acts, each with who asks. Leaves: rows as people see them, and word of every change. The gateway
//! implements [`Gateway`]; the board never touches the journal, the rules or a receiver.
//! Invariant: what a method answers is on the disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use vaka_protocol::{Lane, Ordered, Rung};

/// What is answered later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refused>> + Send + 'a>>;

/// Why not. The text names the object and the fix, in English for the log; `said` is for whoever asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    NotFound(String),
    /// Somebody else was first, or it stands otherwise now.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for is not right: which field, and how it would be.
    #[error("{0}")]
    Wrong(String),
    /// This person may not.
    #[error("{0}")]
    Forbidden(String),
    /// Not now: the gateway stops, or its disk is full.
    #[error("{0}")]
    Unavailable(String),
    /// It is recorded and told, and whom it is for has not answered yet.
    #[error("{0}")]
    OnItsWay(String),
}

/// The language of what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    #[default]
    Sv,
    En,
}

/// The same in both languages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub sv: String,
    pub en: String,
}

impl Said {
    pub fn new(sv: impl Into<String>, en: impl Into<String>) -> Self {
        Said { sv: sv.into(), en: en.into() }
    }

    pub fn in_(&self, lang: Lang) -> &str {
        match lang {
            Lang::Sv => &self.sv,
            Lang::En => &self.en,
        }
    }
}

/// One rung that was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub rung: Rung,
    /// UTC milliseconds.
    pub at: i64,
    /// The receiver and the path, where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Who, at `claimed` and `closed`; else what the receiver said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// An alarm as a row. Times are UTC milliseconds; ids, never names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: String,
    pub lane: Lane,
    pub rung: Rung,
    pub steps: Vec<Step>,
    pub device: String,
    /// The word for the device's kind in the config, e.g. `pendant`.
    pub kind: String,
    /// At a hub: the home that tells of it.
    pub home: Option<String>,
    pub resident: Option<String>,
    /// Whose staff see it: the resident's group, else the device's.
    pub unit: Option<String>,
    pub room: Option<String>,
    /// The rule's name and version, e.g. `night 3`.
    pub rule: String,
    /// What it is, in a few words.
    pub what: Said,
    /// One or two sentences: why. Empty where `what` says it all.
    pub why: Said,
    pub raised_at: i64,
    pub happened_at: i64,
    pub delayed: bool,
    pub test: bool,
    /// How often it has come.
    pub count: u32,
    pub claimed_by: Option<String>,
    pub closed_by: Option<String>,
    pub outcome: Option<Outcome>,
    pub note: String,
    /// A receiver has it as far as it can prove: person not confirmed.
    pub handed_over: bool,
    /// Nobody has accepted it in time.
    pub nobody: bool,
    /// The resident took it back; it stays open.
    pub cancelled: bool,
    /// The cause is over; it stays open.
    pub over: bool,
    /// Somebody has to be there until then.
    pub due_at: Option<i64>,
}

/// What an alarm came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Helped,
    False,
    Technical,
    HandedOver,
}

/// An alarm with everything that explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Story {
    pub alarm: Alarm,
    /// Everything that happened, oldest first: events, tellings, rungs, acts.
    pub lines: Vec<StoryLine>,
    /// What it rests on: each thing seen, oldest first.
    pub seen: Vec<StoryLine>,
    /// What was agreed: the setting's name and value.
    pub agreed: Vec<(String, String)>,
    /// What would have made it unnecessary.
    pub prevented: Option<Said>,
    /// Degrees (WGS 84) and metres of uncertainty, with when.
    pub position: Option<Position>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryLine {
    pub at: i64,
    pub said: Said,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub latitude: f64,
    pub longitude: f64,
    pub accuracy_m: Option<u32>,
    pub at: i64,
}

/// What a person does with an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "act")]
pub enum AlarmAct {
    /// "I take it." Refused as [`Refused::Conflict`], naming who, where somebody else has it, save with `from`: who had it.
    Claim { from: Option<String> },
    /// `seen`: how often it had come on the page that it was closed from; refused where it has come again since.
    Close { outcome: Outcome, seen: Option<u32> },
    /// Given back to everybody, or to a person or group: it is open again, and said to be so.
    HandOver { to: String },
    /// Told to the next receivers at once, without waiting for a deadline.
    Escalate,
    /// A note on it, and nothing else.
    Note,
}

/// A path to a receiver, or a part of the gateway, that somebody should know of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathState {
    pub receiver: String,
    pub path: String,
    pub up: bool,
    /// UTC milliseconds; absent: since before anything is known.
    pub since: Option<i64>,
}

/// How the gateway is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Its own id.
    pub gateway: String,
    /// `home`, `house` or `hub`.
    pub role: String,
    pub version: String,
    /// `synchronised`, `held` or `floor`.
    pub clock: String,
    pub paths: Vec<PathState>,
    /// Of so many homes (a hub) or devices so many are heard as agreed.
    pub heard: usize,
    pub heard_of: usize,
    /// The newest sign of life of anything, UTC milliseconds.
    pub newest_life_at: Option<i64>,
    /// No receiver is set up, a lane without a route, and the like: what `vaka check` calls red.
    pub wrong: Vec<Said>,
}

/// A device as people see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub id: String,
    pub kind: String,
    pub room: Option<String>,
    pub resident: Option<String>,
    pub unit: Option<String>,
    /// The bridge it stands behind.
    pub via: Option<String>,
    pub heard_at: Option<i64>,
    pub online: Option<bool>,
    pub silent: bool,
    pub battery_percent: Option<u8>,
    pub battery_low: bool,
    pub signal_dbm: Option<i32>,
    /// When its test alarm last went through to a person or a centre, and which receiver said so. Absent: not commissioned.
    pub proven_at: Option<i64>,
    pub proven_by: Option<String>,
    /// When its certificate ends.
    pub certificate_until: Option<i64>,
    pub revoked: bool,
    /// Invited, and not come yet: until when.
    pub invited_until: Option<i64>,
    /// What a person last ordered of it, and under it what became of that, as far as is known.
    #[serde(default)]
    pub ordered: Vec<StoryLine>,
}

/// One agreed supervision of a resident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The table in vaka.toml it stands in, e.g. `night`.
    pub table: String,
    /// What the table says now, as a hash: a change that was made of something else is refused ([`SettingsChange::stands`]).
    #[serde(default)]
    pub stands: String,
    pub said: Said,
    pub settings: Vec<(String, String)>,
    /// Local dates; absent: not limited.
    pub from: Option<String>,
    pub until: Option<String>,
    /// Who gave the consent, and when (local date). Absent: not written down, which a page says.
    pub consent_by: Option<String>,
    pub consent_on: Option<String>,
    pub withdrawn_at: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resident {
    pub id: String,
    pub unit: Option<String>,
    pub devices: Vec<String>,
    pub agreements: Vec<Agreement>,
    /// What is written in `names`; shown behind a tap that is logged.
    pub has_name: bool,
    pub doses: Vec<Dose>,
}

/// Who a resident is: encrypted at rest, read one at a time, each reading recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Name {
    pub name: String,
    pub address: String,
    /// How to get in.
    pub key_note: String,
    pub phone: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dose {
    pub slot: String,
    /// Local date and time it was planned for.
    pub planned_at: i64,
    /// `planned`, `reminded`, `dispensed`, `taken`, `missed`, `refused`, `jammed`, `unknown`, `signed`.
    pub state: String,
    pub locked: bool,
}

/// What became of something on the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundState {
    Later,
    Next,
    /// Due now and not yet known.
    Due,
    /// Done by a sensor's evidence.
    Done,
    /// A person has been there.
    Visited,
    /// Cannot be proven: somebody has to go, until `latest_at`.
    Visit,
    Missed,
    /// The resident said "not tonight".
    Declined,
}

/// One line of tonight's round, in the order of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundItem {
    pub resident: String,
    pub unit: Option<String>,
    /// `look-in`, `camera`, `dose`, `visit`.
    pub form: String,
    pub planned_at: i64,
    pub latest_at: Option<i64>,
    pub state: RoundState,
    pub said: Said,
    /// Who signed it.
    pub by: Option<String>,
    pub alarm: Option<String>,
    pub slot: Option<String>,
    /// A look-in by camera that may be made now: the name of its page, `/look/{name}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
    /// The look of which whoever looked has not said what they saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaid: Option<u64>,
    /// At a hub: in which home. It is signed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
}

/// What somebody wants to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookAt {
    /// A planned look-in: UTC milliseconds of its beginning.
    Slot {
        resident: String,
        planned_at: i64,
    },
    Alarm(String),
    /// At a hub: a planned look-in of a home's resident.
    Home {
        home: String,
        resident: String,
        planned_at: i64,
    },
}

/// One look that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookWish {
    pub at: LookAt,
    pub purpose: String,
    /// Without the veil.
    pub clear: bool,
    /// As what they look.
    pub role: String,
}

/// A look-in by camera, before anybody looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookIn {
    pub resident: String,
    pub unit: Option<String>,
    /// Which look-in, and by when.
    pub said: Said,
    /// How long one look lasts, seconds.
    pub seconds: u64,
    pub may_see_clearly: bool,
    /// It is into a home, from its hub: the veil comes off before the look or not at all.
    pub in_home: bool,
    /// Why nobody may look now, in English; absent: somebody may.
    pub refused: Option<String>,
    /// What stands in the way of the camera, as known last.
    pub fault: Option<Said>,
    /// The look of which nobody has said yet what was seen.
    pub unsaid: Option<u64>,
}

/// One look that was granted: recorded, and the resident's light is being lit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub look: u64,
    /// Opens the picture once, for whom it was granted. Never in an address, never in a log.
    pub token: String,
    pub seconds: u64,
}

/// What comes of a look, in its order.
#[derive(Debug)]
pub enum LookPart {
    /// The resident's light is on; the camera is asked.
    Lit,
    /// The first picture follows; so many milliseconds are left.
    Begun { left_ms: u64 },
    /// One JPEG picture.
    Picture(Bytes),
    /// It is over; a stable word, and words.
    Ended { why: String, said: Said },
}

/// What whoever looked saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookOutcome {
    Calm,
    NeedsVisit,
    CouldNotTell,
}

/// What the night has shown of one resident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightOf {
    pub resident: String,
    pub unit: Option<String>,
    pub said: Said,
    /// In bed from and until; `None`: still.
    pub in_bed: Vec<(i64, Option<i64>)>,
    /// Single happenings worth a mark: a door, a visit, an alarm.
    pub marks: Vec<StoryLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// The local date on whose evening it begins.
    pub date: String,
    pub from: i64,
    pub until: i64,
    pub round: Vec<RoundItem>,
    pub people: Vec<NightOf>,
}

/// Something a person did or signs for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Sign {
    /// "I have been there": settles a look-in or a visit task of the round.
    Visit { resident: String, planned_at: Option<i64>, note: String },
    /// "I have given it": who, what, when.
    Dose { resident: String, slot: String, planned_at: i64, given: bool, note: String },
}

/// Who did or read what. Written to the journal, hash-chained, before the answer goes out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub person: String,
    pub role: String,
    /// First 8 hexadecimal digits of the session's hash: tells two sessions of a person apart, and opens none.
    pub session: String,
    /// A short stable word, e.g. `read-resident`, `claim`, `log-in`, `log-in-failed`.
    pub act: String,
    /// What it was done to, e.g. `resident r17`, `alarm 01J…`.
    pub object: String,
    /// Why, in the person's words or the act's own (`alarm 01J…`).
    pub purpose: String,
    /// The resident it is about: the extract "who has looked at me" goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<String>,
}

/// A trace as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    /// The record's number.
    pub seq: u64,
    /// UTC milliseconds.
    pub at: i64,
    #[serde(flatten)]
    pub trace: Trace,
    /// SHA-256 over the one before and this one, hexadecimal.
    pub hash: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceQuery {
    /// UTC milliseconds.
    pub from: Option<i64>,
    pub until: Option<i64>,
    pub person: Option<String>,
    pub resident: Option<String>,
    /// Newest first, at most so many.
    pub most: usize,
}

/// What has changed, told to every open page.
#[derive(Debug, Clone)]
pub enum Change {
    Alarm(Arc<Alarm>),
    /// Something on the round, a device, an agreement.
    Other,
    /// All that was told may be otherwise: everything is to be read again.
    Anew,
}

/// A setting of a resident, as the form sends it: the table, its keys and values as text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SettingsChange {
    pub resident: String,
    pub table: String,
    pub values: Vec<(String, String)>,
    /// Withdraws the agreement instead.
    #[serde(default)]
    pub withdraw: bool,
    pub consent_by: Option<String>,
    pub consent_on: Option<String>,
    /// First and last day on which it is agreed, local dates; empty: not limited. Absent: as it is.
    #[serde(default)]
    pub consent_from: Option<String>,
    #[serde(default)]
    pub consent_until: Option<String>,
    /// [`Agreement::stands`] as it was when the change was begun, empty where nothing was agreed. Refused as [`Refused::Conflict`] where the
    /// table says something else by now; a withdrawal holds in any case. Absent: nothing is compared, and no withdrawal is taken back.
    #[serde(default)]
    pub stands: Option<String>,
}

/// What somebody has a device do.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderWish {
    /// The alarm that it is about.
    pub alarm: Option<String>,
    /// Absent: the alarm's own device, or its resident's lock.
    pub device: Option<String>,
    pub what: Ordered,
    /// Why, in the person's words.
    pub purpose: String,
    /// As what the person asks, e.g. `night`.
    pub role: String,
}

/// What enrolling a new device needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InviteWish {
    pub id: String,
    pub kind: String,
    pub room: Option<String>,
    pub resident: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invited {
    pub code: String,
    /// What the QR code says.
    pub url: String,
    pub until: i64,
}

/// What a finished visit leaves: a page to print, and the same signed by the gateway, as `vaka visit finish` writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protocol {
    /// The files' name without ending.
    pub name: String,
    pub page: String,
    pub signed: String,
}

/// The gateway, as the board needs it. `by` is a person's id.
pub trait Gateway: Send + Sync + 'static {
    /// UTC milliseconds by the gateway's clock.
    fn now_ms(&self) -> i64;
    fn zone(&self) -> jiff::tz::TimeZone;
    fn lang(&self) -> Lang;
    fn health(&self) -> Later<'_, Health>;

    /// Every change from now on. A receiver that lags reads everything anew.
    fn follow(&self) -> broadcast::Receiver<Change>;
    /// Open alarms, most urgent lane first and newest first within it; with `all` those closed ones after them that are still at hand.
    fn alarms(&self, all: bool) -> Later<'_, Vec<Arc<Alarm>>>;
    fn story(&self, alarm: &str) -> Later<'_, Story>;
    fn act(&self, alarm: &str, act: AlarmAct, by: &str, note: &str) -> Later<'_, Alarm>;

    /// Ordered, and on the disk; or why not, in words for whoever asked. What becomes of it stands in the alarm's story.
    fn order(&self, wish: OrderWish, by: &str) -> Later<'_, Result<(), Said>>;

    fn devices(&self) -> Later<'_, Vec<Device>>;
    fn residents(&self) -> Later<'_, Vec<Resident>>;
    /// `date`: the local date on whose evening it begins; `None`: tonight, by day the coming one.
    fn night(&self, date: Option<String>) -> Later<'_, Night>;
    fn sign(&self, sign: Sign, by: &str) -> Later<'_, ()>;
    fn look_in(&self, at: LookAt) -> Later<'_, LookIn>;
    /// Grants one look, if everything that is agreed says so: recorded before it answers. Of a home: ordered, and the home may still say no.
    fn open_look(&self, wish: LookWish, by: &str) -> Later<'_, Granted>;
    /// The picture of a look that was granted to this person, once. Dropping the receiver ends the look.
    fn watch_look(&self, token: &str, by: &str) -> Later<'_, mpsc::Receiver<LookPart>>;
    /// The veil off a look that is open, by whoever looks: recorded before it answers.
    fn unveil_look(&self, look: u64, resident: &str, by: &str) -> Later<'_, ()>;
    /// By whoever looked.
    fn say_look(&self, look: u64, outcome: LookOutcome, by: &str) -> Later<'_, ()>;
    /// A locked dose is given free by a person.
    fn release_dose(&self, resident: &str, slot: &str, by: &str, note: &str) -> Later<'_, ()>;

    fn name_of(&self, resident: &str) -> Later<'_, Name>;
    fn set_name(&self, resident: &str, name: Name, by: &str) -> Later<'_, ()>;
    /// Checked as vaka.toml is, written back to it with who and when, and in force when this answers.
    fn change_settings(&self, change: SettingsChange, by: &str) -> Later<'_, ()>;

    fn invite(&self, wish: InviteWish, by: &str) -> Later<'_, Invited>;
    fn revoke(&self, device: &str, by: &str) -> Later<'_, ()>;
    /// One step of a technician's visit, as on the command line; answers how the visit stands.
    fn visit(&self, wish: serde_json::Value) -> Later<'_, serde_json::Value>;
    /// The last finished visit's page and the same signed.
    fn protocol(&self, lang: Lang) -> Later<'_, Protocol>;
    /// The doctor's findings, as `vaka check --json` prints them.
    fn check(&self) -> Later<'_, serde_json::Value>;

    fn trace(&self, trace: Trace) -> Later<'_, ()>;
    fn traces(&self, query: TraceQuery) -> Later<'_, Vec<Traced>>;
}
