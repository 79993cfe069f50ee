//! What a journal record says. Enters and leaves: CBOR bodies (RFC 8949), told apart by the kind in the record's header.
//!
//! Plain data, no behaviour: rules fill in decisions, dispatch fills in rungs, the pipeline folds all of it.
//! Fields are only ever added, with a default: an old journal is opened by new code.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use vaka_protocol::{AlarmId, Command, DeviceId, Lane, Ordered, Rung};

/// What a record is about; the number stands in the header and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    Boot = 1,
    Event = 2,
    Quarantine = 3,
    Refusal = 4,
    Alive = 5,
    Decisions = 6,
    Rung = 7,
    Act = 8,
    Path = 9,
    Checkpoint = 10,
    Fault = 11,
    Nobody = 12,
    Silent = 13,
    Told = 20,
    Carried = 21,
    Release = 30,
    Signed = 31,
    Order = 32,
    Visit = 40,
    Trace = 50,
    Look = 60,
    Update = 70,
    Firmware = 71,
    Erased = 90,
    /// Never written: what is handed out in place of a record whose key is erased.
    Gone = 91,
    Aged = 92,
}

impl Kind {
    /// The kind with this number; `None`: there is none, as of a record of a later program.
    pub fn of(code: u8) -> Option<Kind> {
        use Kind as K;
        const ALL: [Kind; 25] = [
            K::Boot,
            K::Event,
            K::Quarantine,
            K::Refusal,
            K::Alive,
            K::Decisions,
            K::Rung,
            K::Act,
            K::Path,
            K::Checkpoint,
            K::Fault,
            K::Nobody,
            K::Silent,
            K::Told,
            K::Carried,
            K::Release,
            K::Signed,
            K::Order,
            K::Visit,
            K::Trace,
            K::Look,
            K::Update,
            K::Firmware,
            K::Erased,
            K::Aged,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

/// One record's body.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Boot(Boot),
    Event(EventRecord),
    Quarantine(Quarantine),
    Refusal(Refusal),
    Alive(Alive),
    Decisions(Decisions),
    Rung(RungRecord),
    Act(Act),
    Path(PathRecord),
    Checkpoint(ByteBuf),
    Fault(Fault),
    Nobody(Nobody),
    Silent(Silent),
    Told(Told),
    Carried(Carried),
    Release(Release),
    Signed(Signed),
    Order(Box<Order>),
    Visit(Visit),
    Trace(Trace),
    Look(Look),
    Update(Update),
    Firmware(Box<Firmware>),
    Erased(Erased),
    Aged(Aged),
    Gone,
}

/// The process started: everything after has this boot's monotonic time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boot {
    pub version: String,
    /// Bytes of torn tail cut off when the journal was opened.
    #[serde(default)]
    pub cut_bytes: u64,
    /// Places in the journal that could not be read when it was opened.
    #[serde(default)]
    pub damaged: u32,
}

/// An event as it came, byte for byte. Identity = (enrolment, restart, seq).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    #[serde(rename = "d")]
    pub device: DeviceId,
    #[serde(rename = "e")]
    pub enrolment: u32,
    #[serde(rename = "r")]
    pub restart: u32,
    #[serde(rename = "s")]
    pub seq: u64,
    /// The gateway assigned restart and seq: the device sent none.
    #[serde(rename = "g", default, skip_serializing_if = "is_false")]
    pub assigned: bool,
    /// The same identity had come before with other bytes.
    #[serde(rename = "c", default, skip_serializing_if = "is_false")]
    pub conflict: bool,
    /// Its device's certificate had ended.
    #[serde(rename = "x", default, skip_serializing_if = "is_false")]
    pub has_ended: bool,
    /// The topic and the bridge, where an adapter reads the payload; absent for Vaka's own payload.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    #[serde(rename = "p")]
    pub payload: ByteBuf,
}

/// How an event came that is not in Vaka's own payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    pub bridge: DeviceId,
    pub topic: String,
    /// A plain press of this device is the resident's call for help: so it was enrolled. Kept here, so that a replay reads the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub calls: bool,
}

/// A payload that could not be read, kept for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantine {
    pub device: DeviceId,
    pub topic: String,
    /// What is wrong with it, in words.
    pub reason: String,
    /// The first bytes; `length` is that of the whole.
    pub payload: ByteBuf,
    pub length: u64,
}

/// Events that were refused because their lane's share of the disk, or their device's share of the journal, is used up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub device: DeviceId,
    pub lane: Lane,
    pub reason: String,
    pub count: u64,
}

/// A device came (`online`) or went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alive {
    pub device: DeviceId,
    pub online: bool,
}

/// What the rules decided on one input. One record: a decision and the cursor of its input cannot be torn apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// Sequence number of the record that was judged.
    pub cursor: u64,
    pub decisions: Vec<Decision>,
}

/// One automatic step, with what explains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Raise(Box<Raise>),
    Join(Join),
    Tell(Tell),
    Say(Say),
    Note(Box<Note>),
    Send(Box<SendCommand>),
}

/// What an automatic step rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Whom it is about: an id, never a name. Absent: the home itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<String>,
    /// Kind of cause, the rule's name first, e.g. `night r1 absence`. With `upto`: this cause and all before it are settled.
    pub key: String,
    /// Grows with each cause of that kind: a record's number, or the UTC milliseconds of what was planned.
    pub upto: i64,
    /// What was seen, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Evidence>,
    /// What was agreed: the name of each setting and its value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreed: Vec<(String, String)>,
    /// (Swedish, English): what would have made the step unnecessary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevented: Option<(String, String)>,
    /// A visit that has to be made until then, UTC milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<i64>,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Sequence number of the record; 0 where it is that there is none.
    pub record: u64,
    pub device: DeviceId,
    /// UTC milliseconds.
    pub at: i64,
    /// In the protocol's words, e.g. `bed empty`.
    pub what: String,
}

/// What an automatic step found, where no alarm comes of it: a look-in that was made, a dose taken, a person who is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub rule: String,
    pub rule_version: u16,
    /// A short stable word, e.g. `round-done`.
    pub what: String,
    /// Which one of those planned; empty where nothing is planned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slot: String,
    pub sv: String,
    pub en: String,
    pub basis: Basis,
}

/// A command that a rule sends to a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendCommand {
    pub rule: String,
    pub rule_version: u16,
    pub device: DeviceId,
    /// UTC milliseconds: from when on it must not be carried out.
    pub expires_at: i64,
    #[serde(with = "as_on_the_wire")]
    pub command: Command,
    pub sv: String,
    pub en: String,
    pub basis: Basis,
}

/// A command in a place where there may be none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OnTheWire(#[serde(with = "as_on_the_wire")] pub Command);

/// A command is kept in the one form that stays the same from version to version: that of the wire.
mod as_on_the_wire {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use vaka_protocol::{Command, CommandMessage, decode_command, encode_command_json};

    pub fn serialize<S: Serializer>(command: &Command, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&encode_command_json(&CommandMessage::new(0, 0, command.clone())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Command, D::Error> {
        let text = String::deserialize(from)?;
        decode_command(text.as_bytes()).map(|message| message.command).map_err(de::Error::custom)
    }
}

/// A device in the home says that nobody has an alarm yet; and says so when somebody has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tell {
    pub alarm: AlarmId,
    pub device: DeviceId,
    pub text: String,
    pub text_after: String,
}

/// A device in the home says how things stand, whatever alarm there is or is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Say {
    pub device: DeviceId,
    pub text: String,
    /// It is well again.
    pub good: bool,
}

/// A new alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raise {
    pub alarm: AlarmId,
    pub lane: Lane,
    pub rule: String,
    pub rule_version: u16,
    pub device: DeviceId,
    /// The event's own identity: what the receipt command names.
    pub restart: u32,
    pub seq: u64,
    /// The event's name, e.g. `button`.
    pub cause: String,
    /// SCAIP device type and status code.
    pub dty: u16,
    pub stc: u16,
    /// UTC milliseconds: when it happened, by the best clock known.
    pub happened_at: i64,
    /// Told later than a working path would have: stamped so at the receiver.
    #[serde(default)]
    pub delayed: bool,
    #[serde(default)]
    pub clock_suspect: bool,
    pub sv: String,
    pub en: String,
    /// What it rests on, where the event alone does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Box<Basis>>,
    /// The home that tells of it, at a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Box<HomeAlarm>>,
    /// Where its device was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<Box<Whereabouts>>,
}

/// Where a device was that an alarm is of. A position goes to receivers in this form alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Degrees times 10,000,000 (WGS 84).
    pub lat_e7: i32,
    pub lon_e7: i32,
    /// Radius of the uncertainty, metres. Absent: the device did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<u32>,
    /// When it was there, UTC milliseconds.
    pub at: i64,
}

/// An alarm of a home, as its hub was told. The home is the device that raised it here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HomeAlarm {
    /// Its id in the home.
    pub alarm: AlarmId,
    /// Which telling of it: lower numbers are old news.
    pub number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// How often it had come in the home.
    pub count: u32,
    /// When it happened by the home's own clock, UTC milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<i64>,
}

/// Something that belongs to an alarm already open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Join {
    pub alarm: AlarmId,
    pub what: JoinWhat,
    pub restart: u32,
    pub seq: u64,
    pub stc: u16,
    pub happened_at: i64,
    #[serde(default)]
    pub delayed: bool,
    /// The receiver is told again, under a new reference.
    pub notify: bool,
    /// At a hub: the home's number of this telling, and how often it had come there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<(u32, u32)>,
    /// (Swedish, English) of this telling, where they differ from the alarm's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<(String, String)>,
    /// Where its device was by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<Box<Whereabouts>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinWhat {
    /// The same cause once more.
    Again,
    /// The resident cancelled; the alarm stays open.
    Cancel,
    /// The cause is over (smoke gone, mains back); the alarm stays open.
    Over,
    /// Its device has answered where it is.
    Where,
    /// Whoever had it has given it back.
    HandedOver,
    /// A person wants everybody told, now.
    Escalated,
}

/// A rung of the ladder was reached by one notice of an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RungRecord {
    pub alarm: AlarmId,
    /// Which notice of the alarm: 0 the first, then one for each time it was told again.
    pub notice: u32,
    pub rung: Rung,
    /// Receiver's name in the config; empty for the gateway itself.
    pub receiver: String,
    /// How it went there, e.g. `tls 127.0.0.1:5061`.
    pub path: String,
    /// What the receiver said beside it, e.g. `mre=1`; empty if nothing.
    #[serde(default)]
    pub detail: String,
    /// The receiver can prove nothing beyond it: handed over.
    #[serde(default, skip_serializing_if = "is_false")]
    pub last: bool,
}

/// What a person did with an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    pub alarm: AlarmId,
    pub act: ActWhat,
    /// Who: a staff id or the operating-system user of the command line.
    pub by: String,
    #[serde(default)]
    pub note: String,
    /// Hubs that know the alarm and are to hear of this: names of receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
    /// At a hub: done in the home, after its telling of this number. What was told up to there is no news any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_up_to: Option<u32>,
    /// What it came to, where whoever closed it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CloseOutcome>,
    /// Another person: from whom a claim takes it over, or to whom it is handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
}

impl Act {
    /// What a person does here.
    pub fn new(alarm: AlarmId, act: ActWhat, by: String, note: String) -> Self {
        Self { alarm, act, by, note, tell: Vec::new(), told_up_to: None, outcome: None, other: None }
    }
}

/// What an alarm came to, in the words of whoever closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CloseOutcome {
    /// Somebody needed help and got it.
    Helped,
    /// Nothing had happened.
    False,
    /// A device or the gateway was at fault, or was only tried out.
    Technical,
    /// Somebody else goes on with it: the ambulance, the day shift, a relative.
    HandedOver,
}

impl CloseOutcome {
    pub const ALL: [CloseOutcome; 4] =
        [CloseOutcome::Helped, CloseOutcome::False, CloseOutcome::Technical, CloseOutcome::HandedOver];

    /// The word of the command line, the records and the board.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseOutcome::Helped => "helped",
            CloseOutcome::False => "false",
            CloseOutcome::Technical => "technical",
            CloseOutcome::HandedOver => "handed-over",
        }
    }

    /// The outcome that is called so.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// A hub has heard what people in the home did, or is no receiver any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub receiver: String,
    /// Sequence numbers of the [`Act`]s.
    pub acts: Vec<u64>,
}

/// How far the telemetry for a receiver has come. The first of a stream begins it, with what is stored from then on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Carried {
    pub receiver: String,
    /// UTC seconds of its beginning: tells a stream from an earlier one to the same receiver.
    pub stream: u32,
    /// The receiver has all up to this record, or it is lost.
    #[serde(default)]
    pub up_to: u64,
    /// Events that it took since the last record of the stream.
    #[serde(default)]
    pub count: u64,
    /// Events that were removed before they could be sent.
    #[serde(default)]
    pub lost: u64,
    /// No route leads there any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActWhat {
    Claim,
    Close,
    /// Whoever has it gives it back: it is open again, and told again.
    HandOver,
    /// Open again, and told to every receiver at once.
    Escalate,
    /// A note on it, nothing else.
    Note,
}

impl ActWhat {
    /// The word of the command line and of errors.
    pub fn as_str(self) -> &'static str {
        match self {
            ActWhat::Claim => "claim",
            ActWhat::Close => "close",
            ActWhat::HandOver => "hand over",
            ActWhat::Escalate => "escalate",
            ActWhat::Note => "note on",
        }
    }

    /// The rung it takes the alarm to.
    pub fn rung(self) -> Option<Rung> {
        match self {
            ActWhat::Claim => Some(Rung::Claimed),
            ActWhat::Close => Some(Rung::Closed),
            ActWhat::HandOver | ActWhat::Escalate | ActWhat::Note => None,
        }
    }
}

/// Who read or did what at the board. Each carries the hash of the one before it, so that none can be taken out or changed unseen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    pub person: String,
    pub role: String,
    pub session: String,
    pub act: String,
    pub object: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<String>,
    /// UTC milliseconds: the header's time is not covered by the hash.
    pub at: i64,
    /// SHA-256 of the whole body of the trace before; zeros: there was none.
    #[serde(with = "serde_bytes")]
    pub before: Vec<u8>,
}

impl Trace {
    /// What the next one carries: SHA-256 over this one's body.
    pub fn hash(&self) -> Vec<u8> {
        let mut body = Vec::new();
        Record::Trace(self.clone()).encode_into(&mut body);
        ring::digest::digest(&ring::digest::SHA256, &body).as_ref().to_vec()
    }
}

/// A look through a camera, or a check of one. No picture is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Whose home it is: an id, never a name.
    pub resident: String,
    pub camera: DeviceId,
    pub step: LookStep,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookStep {
    /// Granted, and on the disk before anything is seen. The look is known by this record's number.
    Asked(Box<LookAsked>),
    /// It is over.
    Ended {
        look: u64,
        /// For how long somebody could see something, milliseconds. 0: nobody saw anything.
        shown_ms: u64,
        /// A short stable word, e.g. `time`, `viewer`, `path_down`, `no_light`, `restart`.
        why: String,
    },
    /// What the check found; comes before its end.
    Checked {
        look: u64,
        /// A short stable word: `well`, `dark`, `frozen`, `path_down`, …
        found: String,
        /// Where edges run, in coarse cells, 96 hexadecimal digits: for `references` of the camera, if a person accepts what it sees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// What whoever looked makes of it.
    Outcome { look: u64, outcome: LookOutcome, by: String },
    /// Whoever looks asked to see clearly from now on.
    Unveiled { look: u64, by: String },
    /// A person accepts what a check saw as the camera's view from now on.
    Accepted {
        look: u64,
        /// As in `Checked`.
        reference: String,
        by: String,
        why: String,
    },
}

/// Who looks where, why, and for how long at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookAsked {
    /// Absent: the gateway checks the camera, and nobody sees anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub purpose: String,
    /// When the look-in begins and by when it must be made, UTC milliseconds. Absent: an alarm opens the camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<(i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmId>,
    /// Without the veil.
    #[serde(default, skip_serializing_if = "is_false")]
    pub clear: bool,
    /// From the first picture on, milliseconds.
    pub look_ms: u64,
    /// What shows the resident that somebody looks.
    pub light: DeviceId,
    #[serde(default, skip_serializing_if = "is_false")]
    pub sound: bool,
    /// By then it is over whatever happens, UTC milliseconds.
    pub ends_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookOutcome {
    Calm,
    NeedsVisit,
    CouldNotTell,
}

impl LookOutcome {
    pub const ALL: [LookOutcome; 3] = [LookOutcome::Calm, LookOutcome::NeedsVisit, LookOutcome::CouldNotTell];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            LookOutcome::Calm => "calm",
            LookOutcome::NeedsVisit => "needs-visit",
            LookOutcome::CouldNotTell => "could-not-tell",
        }
    }

    pub fn of(word: &str) -> Option<LookOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// A step of an update of this program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// Of the release, e.g. `0.3.0`.
    pub version: String,
    pub step: UpdateStep,
    /// Which version the program was that wrote this.
    pub by: String,
    /// Why, or by whom; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateStep {
    /// Fetched, signed, whole; it waits for its time.
    Staged,
    /// The next start is that program's, on trial.
    Begun,
    /// Its test alarm was accepted: it stays.
    Proven,
    /// The program before it runs again.
    Back,
}

/// A step of the firmware of a device, or a person's word on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Firmware {
    pub step: FirmwareStep,
    /// Who: a person, or the gateway's own version where nobody had to say so.
    pub by: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FirmwareStep {
    /// The device is told to take this image: the command is made of this record.
    Asked {
        device: DeviceId,
        version: String,
        url: String,
        size_bytes: u32,
        sha256: String,
        /// UTC milliseconds; it must have begun by then.
        expires_at: i64,
    },
    /// The device asked for the bytes from this one on: it has those before.
    Fetched { device: DeviceId, bytes: u32 },
    /// It has the whole image, and was told that it may restart.
    Restarts { device: DeviceId },
    /// Given up: nothing more was heard of it.
    Silent { device: DeviceId, why: String },
    /// Somebody is with the device's resident, UTC milliseconds.
    Someone { device: DeviceId, until: i64 },
    /// A person wants it now.
    Wanted { device: DeviceId },
    /// No device begins any more.
    Stopped {},
    /// A person has looked: they begin again.
    Resumed {},
}

impl FirmwareStep {
    /// Which device it is about. Absent: all of them.
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            FirmwareStep::Asked { device, .. }
            | FirmwareStep::Fetched { device, .. }
            | FirmwareStep::Restarts { device }
            | FirmwareStep::Silent { device, .. }
            | FirmwareStep::Someone { device, .. }
            | FirmwareStep::Wanted { device } => Some(device),
            FirmwareStep::Stopped {} | FirmwareStep::Resumed {} => None,
        }
    }
}

/// The way to a receiver was lost or is back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathRecord {
    pub receiver: String,
    pub path: String,
    pub up: bool,
    pub detail: String,
}

/// The gateway found something wrong with itself (damage in the journal, a full disk) or with what a device does to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Short stable name, e.g. `journal-damaged`.
    pub fault: String,
    /// The device that causes it; absent: the gateway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    pub detail: String,
    /// False when it is over.
    pub active: bool,
}

/// Nobody has accepted a notice in time; it is tried on, and the home is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nobody {
    pub alarm: AlarmId,
    pub notice: u32,
}

/// Nothing has been heard of a home for longer than agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silent {
    pub device: DeviceId,
    /// How long, in seconds.
    pub for_s: u64,
}

/// A person has released a dose that was locked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Release {
    /// Whose: an id, never a name.
    pub resident: String,
    pub slot: String,
    /// Local date of the dose, e.g. `2026-11-22`.
    pub date: String,
    /// Who: a staff id or the operating-system user of the command line.
    pub by: String,
    #[serde(default)]
    pub note: String,
}

/// A person has a device do something: here, or in a home of ours, or here from the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Whom it goes to: a device here, or a home's gateway. Absent: nobody, it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DeviceId>,
    /// Our alarm that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmId>,
    pub what: Ordered,
    /// Who: a staff id or the operating-system user of the command line; of a hub's staff its name stands before it.
    pub by: String,
    /// As what, e.g. `night`.
    pub role: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// UTC milliseconds.
    pub expires_at: i64,
    /// Ordered at a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FromHub>,
    /// At a hub: how the home calls what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<OfHome>,
    /// What it means for whom it goes to. Kept here, so that a replay under another config says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Box<OnTheWire>>,
    /// The word for why it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// In a home: the look that a hub's order opened, or that it says something of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<u64>,
}

/// Which command of which hub. A hub that began anew may use an id again: not with the same end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromHub {
    pub receiver: String,
    pub id: u64,
    /// By the hub's clock, UTC milliseconds.
    pub expires_at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfHome {
    pub alarm: AlarmId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// A person signs for what they did: that they were there, or that a dose was given by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    /// Whose: an id, never a name.
    pub resident: String,
    /// Who: a staff id or the operating-system user of the command line.
    pub by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    pub what: SignedWhat,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedWhat {
    Visit {
        /// What was planned, UTC milliseconds; absent: nothing was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned_at: Option<i64>,
        /// Kind of cause and cause that are settled by it, as in [`Basis`]: the look-in is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settles: Option<(String, i64)>,
    },
    Dose {
        slot: String,
        /// Its local date, e.g. `2026-11-22`.
        date: String,
        /// UTC milliseconds.
        planned_at: i64,
        /// False: it was to be given, and was not.
        given: bool,
    },
}

/// A step of a technician's visit, as a person took it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    /// Who: a staff id or the operating-system user of the command line.
    pub by: String,
    pub step: VisitStep,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisitStep {
    Start {},
    /// The next trigger of this one device is a test, for a while.
    Arm {
        device: DeviceId,
    },
    /// What was measured by hand at the device's place.
    Measured {
        device: DeviceId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal_dbm: Option<i16>,
        /// It has no radio.
        #[serde(default, skip_serializing_if = "is_false")]
        wired: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        battery_percent: Option<u8>,
        /// It has no battery.
        #[serde(default, skip_serializing_if = "is_false")]
        no_battery: bool,
    },
    /// Light or sound was seen or heard at the device.
    Seen {
        device: DeviceId,
    },
    /// A line that is not in order is somebody's to put right.
    HandOver {
        line: String,
        reason: String,
        to: String,
        alarm: AlarmId,
    },
    /// With what it ends: the protocol, JSON.
    Finish {
        protocol: String,
    },
}

/// One resident's data was made unreadable: written before their key is destroyed, so that a start finishes what a crash cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Whose: an id, never a name.
    pub resident: String,
    /// Devices that were ever theirs: what they had said is forgotten too.
    pub devices: BTreeSet<DeviceId>,
    /// Of those the ones that others have now: what they say is those people's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub passed_on: BTreeSet<DeviceId>,
    /// Numbers of the keys that go.
    pub keys: Vec<u32>,
    /// Who: a staff id or the operating-system user of the command line.
    pub by: String,
}

/// The agreed time of some records is over: written before the keys of their periods are destroyed. One that is written twice says the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aged {
    pub periods: Vec<AgedPeriod>,
}

/// Records of one class that go together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgedPeriod {
    /// Of its key.
    pub number: u32,
    pub class: String,
    /// How long they were kept, counted from `until_ms`.
    pub days: u32,
    /// When they were written, UTC milliseconds.
    pub from_ms: i64,
    pub until_ms: i64,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A body that is not what its kind says.
#[derive(Debug, thiserror::Error)]
#[error("reading a journal record of kind {kind}: {what}")]
pub struct RecordError {
    pub kind: u8,
    pub what: String,
}

impl Record {
    pub fn kind(&self) -> Kind {
        match self {
            Record::Boot(_) => Kind::Boot,
            Record::Event(_) => Kind::Event,
            Record::Quarantine(_) => Kind::Quarantine,
            Record::Refusal(_) => Kind::Refusal,
            Record::Alive(_) => Kind::Alive,
            Record::Decisions(_) => Kind::Decisions,
            Record::Rung(_) => Kind::Rung,
            Record::Act(_) => Kind::Act,
            Record::Path(_) => Kind::Path,
            Record::Checkpoint(_) => Kind::Checkpoint,
            Record::Fault(_) => Kind::Fault,
            Record::Nobody(_) => Kind::Nobody,
            Record::Silent(_) => Kind::Silent,
            Record::Told(_) => Kind::Told,
            Record::Carried(_) => Kind::Carried,
            Record::Release(_) => Kind::Release,
            Record::Signed(_) => Kind::Signed,
            Record::Order(_) => Kind::Order,
            Record::Visit(_) => Kind::Visit,
            Record::Trace(_) => Kind::Trace,
            Record::Look(_) => Kind::Look,
            Record::Update(_) => Kind::Update,
            Record::Firmware(_) => Kind::Firmware,
            Record::Erased(_) => Kind::Erased,
            Record::Aged(_) => Kind::Aged,
            Record::Gone => Kind::Gone,
        }
    }

    /// The body as CBOR, appended to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) {
            let mut serializer = minicbor_serde::Serializer::new(&mut *out);
            // Writing to a Vec cannot fail, and every type above is serialisable.
            value.serialize(serializer.serialize_unit_as_null(true)).expect("a record serialises into memory");
        }
        match self {
            Record::Boot(body) => put(body, out),
            Record::Event(body) => put(body, out),
            Record::Quarantine(body) => put(body, out),
            Record::Refusal(body) => put(body, out),
            Record::Alive(body) => put(body, out),
            Record::Decisions(body) => put(body, out),
            Record::Rung(body) => put(body, out),
            Record::Act(body) => put(body, out),
            Record::Path(body) => put(body, out),
            Record::Checkpoint(body) => put(body, out),
            Record::Fault(body) => put(body, out),
            Record::Nobody(body) => put(body, out),
            Record::Silent(body) => put(body, out),
            Record::Told(body) => put(body, out),
            Record::Carried(body) => put(body, out),
            Record::Release(body) => put(body, out),
            Record::Signed(body) => put(body, out),
            Record::Order(body) => put(body, out),
            Record::Visit(body) => put(body, out),
            Record::Trace(body) => put(body, out),
            Record::Look(body) => put(body, out),
            Record::Update(body) => put(body, out),
            Record::Firmware(body) => put(body, out),
            Record::Erased(body) => put(body, out),
            Record::Aged(body) => put(body, out),
            Record::Gone => {}
        }
    }

    /// Reads a body of the given header kind.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Record, RecordError> {
        fn get<'a, T: Deserialize<'a>>(kind: u8, body: &'a [u8]) -> Result<T, RecordError> {
            minicbor_serde::from_slice(body).map_err(|e| RecordError { kind, what: e.to_string() })
        }
        Ok(match kind {
            1 => Record::Boot(get(kind, body)?),
            2 => Record::Event(get(kind, body)?),
            3 => Record::Quarantine(get(kind, body)?),
            4 => Record::Refusal(get(kind, body)?),
            5 => Record::Alive(get(kind, body)?),
            6 => Record::Decisions(get(kind, body)?),
            7 => Record::Rung(get(kind, body)?),
            8 => Record::Act(get(kind, body)?),
            9 => Record::Path(get(kind, body)?),
            10 => Record::Checkpoint(get(kind, body)?),
            11 => Record::Fault(get(kind, body)?),
            12 => Record::Nobody(get(kind, body)?),
            13 => Record::Silent(get(kind, body)?),
            20 => Record::Told(get(kind, body)?),
            21 => Record::Carried(get(kind, body)?),
            30 => Record::Release(get(kind, body)?),
            31 => Record::Signed(get(kind, body)?),
            32 => Record::Order(get(kind, body)?),
            40 => Record::Visit(get(kind, body)?),
            50 => Record::Trace(get(kind, body)?),
            60 => Record::Look(get(kind, body)?),
            70 => Record::Update(get(kind, body)?),
            71 => Record::Firmware(get(kind, body)?),
            90 => Record::Erased(get(kind, body)?),
            92 => Record::Aged(get(kind, body)?),
            91 => Record::Gone,
            _ => return Err(RecordError { kind, what: "a kind this version does not know".into() }),
        })
    }
}
