//! What devices and homes tell. The table of all events: its fields, units, defaults and lanes.
//!
//! A field that the event cannot do without has no default; every other has one, so that a terse device is understood.

use serde::{Deserialize, Serialize};

use crate::fields;
use crate::id::{AlarmId, DeviceId};
use crate::limits::VALUE_BYTES_MAX;
use crate::text::{Label, Name, Words};
use crate::words::{DoseOutcome, Lane, Outcome, Press, Rung, StartCause, Telling};

/// One message on a device's topic `event`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventMessage {
    /// Version of the wire format: 1.
    pub v: u8,
    /// The device's boots so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<u32>,
    /// The device's events since that boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Milliseconds since that boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_ms: Option<u64>,
    /// When it happened, UTC milliseconds since 1970; absent: the device has no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// From a home to a hub: the home's device that it is of. Absent: of the sender itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<DeviceId>,
    /// What happened.
    pub event: Event,
}

impl EventMessage {
    /// A message that only says what happened.
    pub fn new(event: Event) -> Self {
        Self { v: crate::VERSION, restart: None, seq: None, uptime_ms: None, at: None, of: None, event }
    }

    /// `(restart, seq)` if the device gave both; else the gateway assigns them.
    pub fn identity(&self) -> Option<(u32, u64)> {
        self.restart.zip(self.seq)
    }
}

/// What happened. On the wire a map with one key, the event's name: `{"button":{"press":"short"}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[allow(clippy::large_enum_variant, reason = "without an allocator there is nothing to box with")]
pub enum Event {
    /// A call for help by hand.
    Button {
        /// Absent: short.
        #[serde(default = "short")]
        press: Press,
    },
    /// The resident takes the call back. It joins the alarm and never hides it.
    Cancel {},
    /// A fall was felt.
    Fall {
        /// Strength of the impact, thousandths of g.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        impact_mg: Option<u32>,
        /// Seconds without movement after it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        still_s: Option<u32>,
    },
    /// An epileptic seizure was felt.
    Seizure {},
    /// Smoke.
    Smoke {
        /// False when it is over. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// Combustible gas.
    Gas {
        /// False when it is over. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// Carbon monoxide.
    Co {
        /// False when it is over. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// Heat as of a fire.
    Heat {
        /// False when it is over. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// Water on the floor.
    Flood {
        /// False when it is over. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// The bed is wet.
    Enuresis {},
    /// Somebody lies in the bed, or does not.
    Bed {
        /// Somebody is there.
        occupied: bool,
    },
    /// Somebody sits in the chair, or does not.
    Chair {
        /// Somebody is there.
        occupied: bool,
    },
    /// The mat beside the bed.
    Mat {
        /// Somebody stands on it.
        pressed: bool,
    },
    /// A door or a window.
    Door {
        /// It is open.
        open: bool,
    },
    /// Somebody moved.
    Motion {},
    /// Where the device is.
    Position {
        /// Latitude, degrees times 10,000,000 (WGS 84).
        #[serde(deserialize_with = "fields::latitude")]
        lat_e7: i32,
        /// Longitude, degrees times 10,000,000 (WGS 84).
        #[serde(deserialize_with = "fields::longitude")]
        lon_e7: i32,
        /// Radius of the uncertainty, metres. Absent: not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accuracy_m: Option<u32>,
        /// Speed over ground, centimetres a second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        speed_cm_s: Option<u32>,
        /// Age of the fix when it was sent, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fix_age_s: Option<u32>,
    },
    /// Temperature of the room.
    Temperature {
        /// Hundredths of a degree Celsius.
        centi_c: i32,
    },
    /// A measured value, passed on and never interpreted: that would make the gateway a medical device.
    Vital {
        /// What was measured, e.g. `heart_rate`.
        kind: Label,
        /// A decimal number as text, exactly as the device gave it; refused beyond 32 bytes.
        value: heapless::String<VALUE_BYTES_MAX>,
        /// Its unit, e.g. `1/min`.
        #[serde(default)]
        unit: Label,
    },
    /// What became of a dose of medicine.
    Dose {
        /// Which dose, as in the schedule.
        #[serde(default)]
        slot: Label,
        /// Absent: unknown.
        #[serde(default = "unknown")]
        outcome: DoseOutcome,
    },
    /// Medicine left in the dispenser.
    Stock {
        /// For how many days it lasts.
        days_left: u16,
    },
    /// A door's lock.
    Lock {
        /// It is locked.
        locked: bool,
        /// Whose key or tag, if the lock knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Label>,
    },
    /// A cabinet for medicine or keys.
    Cabinet {
        /// It is open.
        open: bool,
        /// Whose key or tag, if the cabinet knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Label>,
    },
    /// A member of staff held a tag to the reader.
    Staff {
        /// The tag.
        tag: Label,
    },
    /// The privacy switch or shutter.
    Privacy {
        /// Nothing may be seen.
        on: bool,
    },
    /// The resident declines a look-in: "not tonight".
    Decline {
        /// Which look-in; empty: the next.
        #[serde(default)]
        slot: Label,
    },
    /// The device's battery.
    Battery {
        /// Charge, 0 to 100.
        #[serde(default, deserialize_with = "fields::percent", skip_serializing_if = "Option::is_none")]
        percent: Option<u8>,
        /// The device says that it must be changed. Absent: false.
        #[serde(default)]
        low: bool,
    },
    /// How well the device hears the gateway, or its radio's access point, at the place where it hangs.
    Signal {
        /// Received strength, dBm: the nearer to 0 the stronger.
        #[serde(deserialize_with = "fields::dbm")]
        rssi_dbm: i16,
    },
    /// Mains power.
    Mains {
        /// It is there.
        on: bool,
    },
    /// Somebody opened or moved the device.
    Tamper {},
    /// The device had to drop events that were never sent.
    Lost {
        /// How many. Absent: 1, at least.
        #[serde(default = "fields::one")]
        count: u32,
    },
    /// A part of the device does not work; told once per change.
    Fault {
        /// Which, e.g. `flash`, `motor`, `clock`.
        #[serde(default)]
        part: Label,
        /// False when it works again. Absent: true.
        #[serde(default = "fields::yes")]
        active: bool,
    },
    /// The device started.
    Started {
        /// Absent: other.
        #[serde(default = "other_cause")]
        cause: StartCause,
        /// Its firmware's version.
        #[serde(default)]
        version: Label,
    },
    /// The device works.
    Alive {},
    /// What became of a command.
    Done {
        /// The command's id.
        id: u64,
        /// Absent: done.
        #[serde(default = "done")]
        outcome: Outcome,
    },
    /// A test of the whole way to the receiver.
    Test {},
    /// From a home to a hub: an alarm, each telling of it, and that a person in the home has it.
    Alarm {
        /// The alarm.
        alarm: AlarmId,
        /// Its lane. Absent or unknown: life.
        #[serde(default = "fields::life", deserialize_with = "fields::lane_or_life")]
        lane: Lane,
        /// `claimed` or `closed`: a person in the home did so, and nothing is raised. Absent, unknown or lower: it is told of.
        #[serde(default = "stored", deserialize_with = "fields::rung_or_stored")]
        rung: Rung,
        /// The device that raised it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        /// Whom it is about: an id, never a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resident: Option<Label>,
        /// Where in the home.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<Label>,
        /// Name of the event behind it, e.g. `button`.
        #[serde(default)]
        cause: Label,
        /// When it happened, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        happened_at: Option<i64>,
        /// It is told later than a working path would have.
        #[serde(default)]
        delayed: bool,
        /// How often the cause came, itself included. Absent: 1.
        #[serde(default = "fields::one")]
        count: u32,
        /// SCAIP device type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dty: Option<u16>,
        /// SCAIP status code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stc: Option<u16>,
        /// In plain words.
        #[serde(default)]
        text: Words,
        /// Which telling of this alarm it is, from 0: a lower number that comes later is old news.
        #[serde(default, skip_serializing_if = "fields::is_zero")]
        number: u32,
        /// Why it is told. Absent: it was raised.
        #[serde(default = "raised", skip_serializing_if = "is_raised")]
        what: Telling,
        /// SCAIP `cid` of the home.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        controller_id: Option<Label>,
        /// SCAIP `crd`: where the resident is called back, `tel:+46…`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caller: Option<Label>,
        /// Who claimed or closed it, where `rung` says so: a person in the home did, and the hub need not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Label>,
    },
    /// From a home to a hub: somebody must come, e.g. because a look-in cannot be made.
    Task {
        /// The task's id within the home.
        task: Label,
        /// Its lane. Absent: care.
        #[serde(default = "fields::care", deserialize_with = "fields::lane_or_life")]
        lane: Lane,
        /// What is to be done, e.g. `visit`.
        #[serde(default)]
        what: Label,
        /// Whom it is about: an id, never a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resident: Option<Label>,
        /// When it must be done, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<i64>,
        /// Still to be done. Absent: true.
        #[serde(default = "fields::yes")]
        open: bool,
        /// In plain words.
        #[serde(default)]
        text: Words,
    },
    /// From a home to a hub: how the home is.
    Health {
        /// Its lane. Absent: technical.
        #[serde(default = "fields::technical", deserialize_with = "fields::lane_or_life")]
        lane: Lane,
        /// All that should protect does. Absent: false.
        #[serde(default)]
        ok: bool,
        /// Things that do not.
        #[serde(default)]
        faults: u32,
        /// In plain words.
        #[serde(default)]
        text: Words,
    },
    /// From a home to a hub: a look-in of the night round.
    Round {
        /// Its lane. Absent: telemetry.
        #[serde(default = "fields::telemetry", deserialize_with = "fields::lane_or_life")]
        lane: Lane,
        /// Which look-in of the night.
        #[serde(default)]
        slot: Label,
        /// Whom it is about: an id, never a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resident: Option<Label>,
        /// When it is to be made, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<i64>,
        /// It was made. Absent: false.
        #[serde(default)]
        done: bool,
        /// In plain words.
        #[serde(default)]
        text: Words,
        /// By camera: from when on, UTC milliseconds; with the resident it says which look-in. Absent: not by camera.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from_at: Option<i64>,
        /// By camera, how far it is: `planned`, `open`, `looking`, `unsaid`, `again`, `done`, `visit`, `declined`, `gone`. Or `anew`, of no
        /// look-in: what the home had told before, by its own clock, and tells not again, is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Label>,
        /// By camera: how long one look lasts, seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        look_s: Option<u16>,
        /// By camera: the veil may be taken off. Absent: it may not.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        may_see_clearly: bool,
        /// By camera: this alarm of the home's opens it, until `due_at`; then `from_at` is absent. Absent: a planned look-in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alarm: Option<AlarmId>,
    },
    /// An event that this version does not know: kept, and shown to a person. Its fields are in the payload.
    #[serde(skip_deserializing)]
    Unknown {
        /// Its name, cut to 32 bytes.
        name: Name,
    },
}

fn short() -> Press {
    Press::Short
}

fn unknown() -> DoseOutcome {
    DoseOutcome::Unknown
}

fn done() -> Outcome {
    Outcome::Done
}

fn raised() -> Telling {
    Telling::Raise
}

fn is_raised(what: &Telling) -> bool {
    *what == Telling::Raise
}

fn other_cause() -> StartCause {
    StartCause::Other
}

fn stored() -> Rung {
    Rung::Stored
}

impl Event {
    /// The event's name: its key on the wire.
    pub fn name(&self) -> &str {
        match self {
            Event::Button { .. } => "button",
            Event::Cancel {} => "cancel",
            Event::Fall { .. } => "fall",
            Event::Seizure {} => "seizure",
            Event::Smoke { .. } => "smoke",
            Event::Gas { .. } => "gas",
            Event::Co { .. } => "co",
            Event::Heat { .. } => "heat",
            Event::Flood { .. } => "flood",
            Event::Enuresis {} => "enuresis",
            Event::Bed { .. } => "bed",
            Event::Chair { .. } => "chair",
            Event::Mat { .. } => "mat",
            Event::Door { .. } => "door",
            Event::Motion {} => "motion",
            Event::Position { .. } => "position",
            Event::Temperature { .. } => "temperature",
            Event::Vital { .. } => "vital",
            Event::Dose { .. } => "dose",
            Event::Stock { .. } => "stock",
            Event::Lock { .. } => "lock",
            Event::Cabinet { .. } => "cabinet",
            Event::Staff { .. } => "staff",
            Event::Privacy { .. } => "privacy",
            Event::Decline { .. } => "decline",
            Event::Battery { .. } => "battery",
            Event::Signal { .. } => "signal",
            Event::Mains { .. } => "mains",
            Event::Tamper {} => "tamper",
            Event::Lost { .. } => "lost",
            Event::Fault { .. } => "fault",
            Event::Started { .. } => "started",
            Event::Alive {} => "alive",
            Event::Done { .. } => "done",
            Event::Test {} => "test",
            Event::Alarm { .. } => "alarm",
            Event::Task { .. } => "task",
            Event::Health { .. } => "health",
            Event::Round { .. } => "round",
            Event::Unknown { name } => name,
        }
    }
}
