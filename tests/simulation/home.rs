//! A device and its connection: the outbox, its flash and the commands are `vaka-device`'s own, the flash's part is a model,
//! and so is the connection: MQTT over TCP.
//!
//! The model: what is sent arrives in order and perhaps twice, or the connection ends and nobody knows what arrived; at most
//! 20 publishes are unacknowledged; after a new connection everything unacknowledged is sent again.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;
use vaka::ingest::roster::Peer;
use vaka::ingest::{PublishReason, Replies, ToSession};
use vaka::limits::IN_FLIGHT_PER_CONNECTION_MAX;
use vaka_device::flash::Flash;
use vaka_device::{Commands, Judged, Now, Outbox, Ticket};
use vaka_parts::nor::{Nor, PAGE_BYTES};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{CommandMessage, DeviceId, DoseOutcome, Event, Lane, Outcome, Press};
use vaka_protocol::{decode_event, encode_event_json};

use crate::Rng;

pub const OUTBOX: usize = 24;

/// Pages of a device's flash: few, so that they turn over often.
const PAGES: usize = 6;

/// Identity of an event within one enrolment.
pub type Identity = (DeviceId, u32, u64);

/// What the device knows of the time.
#[derive(Debug, Clone, Copy)]
pub enum Watch {
    None,
    Right,
    WrongBy(i64),
}

/// What has become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The device holds it.
    Waiting,
    /// PUBACK: it must be there.
    Acknowledged,
    /// PUBACK with "quota exceeded": it is counted as refused.
    Refused,
    /// The device let it go without an acknowledgement (full, or rebooted): it may be there.
    LetGo,
}

#[derive(Debug)]
pub struct Made {
    pub payload: Vec<u8>,
    pub event: Event,
    pub fate: Fate,
}

pub struct Device {
    pub peer: Peer,
    pub outbox: Outbox,
    flash: Flash<Nor<Vec<u8>>>,
    commands: Commands<8>,
    booted_ms: u64,
    /// When something happened last.
    last: Now,
    watch: Watch,
    cbor: bool,
    pub line: Option<Line>,
    pub made: BTreeMap<Identity, Made>,
}

/// One connection.
pub struct Line {
    pub replies: Replies,
    answers: mpsc::UnboundedReceiver<ToSession>,
    /// Answered together, and heard one by one.
    answered: VecDeque<(u64, PublishReason)>,
    /// On its way to the gateway: number by which the session knows it, and the bytes.
    pub uplink: VecDeque<(u64, Vec<u8>)>,
    /// Sent and not acknowledged on this connection, by session number.
    unacknowledged: BTreeMap<u64, (Ticket, Identity)>,
    numbers: u64,
    pub subscribed: bool,
}

/// What a device heard, as far as the world has to judge it.
pub enum Heard {
    Acknowledged { identity: Identity, stored: bool },
    Command(Box<CommandMessage>),
    Hung,
}

impl Device {
    pub fn new(id: &DeviceId, rng: &mut Rng) -> Device {
        let year_ms = 365 * 24 * 3_600_000;
        let watch = match rng.below(4) {
            0 => Watch::None,
            1 => Watch::WrongBy((rng.below(40) as i64 - 20) * year_ms),
            _ => Watch::Right,
        };
        let mut flash = Flash::open(Nor::blank(vec![0; PAGES * PAGE_BYTES]));
        Device {
            outbox: Outbox::open(&mut flash, OUTBOX, 0),
            flash,
            peer: Peer { device: id.clone(), enrolment: 1, serial: String::new(), not_after: i64::MAX },
            commands: Commands::new(None),
            booted_ms: 0,
            last: Now::default(),
            watch,
            cbor: rng.one_in(2),
            line: None,
            made: BTreeMap::new(),
        }
    }

    pub fn put(&mut self, event: Event, t_ms: u64, right_ms: i64) {
        let at = match self.watch {
            Watch::None => None,
            Watch::Right => Some(right_ms),
            Watch::WrongBy(ms) => Some(right_ms + ms),
        };
        self.last = Now { uptime_ms: t_ms - self.booted_ms, at };
        self.outbox.put(&mut self.flash, event, self.last);
        self.note();
    }

    /// Puts the outbox beside what was known of it: what is new was made, what is gone unacknowledged was let go.
    fn note(&mut self) {
        let held: Vec<(u32, u64)> =
            self.outbox.identities().map(|(identity, _)| (identity.restart, identity.seq)).collect();
        for (identity, _) in self.outbox.identities() {
            let name = (self.peer.device.clone(), identity.restart, identity.seq);
            if !self.made.contains_key(&name) {
                let mut buffer = [0; MESSAGE_BYTES_MAX];
                let bytes = self.outbox.message(&mut self.flash, identity, &mut buffer).expect("it waits");
                let message = decode_event(bytes).expect("a device's own message");
                let payload = if self.cbor { bytes.to_vec() } else { encode_event_json(&message).into_bytes() };
                self.made.insert(name, Made { payload, event: message.event, fate: Fate::Waiting });
            }
        }
        for ((_, restart, seq), made) in &mut self.made {
            if made.fate == Fate::Waiting && !held.contains(&(*restart, *seq)) {
                made.fate = Fate::LetGo;
            }
        }
    }

    /// Power off and on: what is in the flash stays, and nothing else does.
    pub fn reboot(&mut self, t_ms: u64) {
        self.line = None;
        self.booted_ms = t_ms;
        self.last = Now::default();
        let before = self.outbox.restart();
        self.flash = Flash::open(Nor::over(self.flash.part().bytes().to_vec()));
        self.outbox = Outbox::open(&mut self.flash, OUTBOX, 0);
        assert_eq!(self.outbox.restart(), before + 1, "a boot is counted");
        self.commands = Commands::new(self.commands.highest());
        self.note();
        let waiting = self.made.values().filter(|made| made.fate == Fate::Waiting).count();
        assert_eq!(waiting, self.outbox.len(), "what waited before the boot waits after it");
    }

    pub fn connect(&mut self) {
        let (replies, answers) = mpsc::unbounded_channel();
        let line = Line {
            replies,
            answers,
            answered: VecDeque::new(),
            uplink: VecDeque::new(),
            unacknowledged: BTreeMap::new(),
            numbers: 0,
            subscribed: false,
        };
        self.line = Some(line);
        self.outbox.apart();
    }

    /// Sends what may be sent: the most urgent lane first, as the outbox has it.
    pub fn send(&mut self) {
        let Some(line) = &mut self.line else { return };
        while line.unacknowledged.len() < usize::from(IN_FLIGHT_PER_CONNECTION_MAX) {
            let mut buffer = [0; MESSAGE_BYTES_MAX];
            let Some((ticket, bytes)) = self.outbox.next(&mut self.flash, &mut buffer) else { break };
            let message = decode_event(bytes).expect("a device's own message");
            let (restart, seq) = message.identity().expect("the outbox numbers its events");
            let identity = (self.peer.device.clone(), restart, seq);
            line.numbers += 1;
            line.uplink.push_back((line.numbers, self.made[&identity].payload.clone()));
            line.unacknowledged.insert(line.numbers, (ticket, identity));
            self.outbox.handed(ticket);
        }
    }

    /// The next thing from the gateway.
    pub fn hear(&mut self) -> Option<Heard> {
        let line = self.line.as_mut()?;
        let Some((number, reason)) = line.answered.pop_front() else {
            match line.answers.try_recv().ok()? {
                ToSession::Failed => return Some(Heard::Hung),
                ToSession::Command(message, _) => return Some(Heard::Command(message)),
                ToSession::Answers { first, count, reason } => {
                    line.answered.extend((first..first + count).map(|number| (number, reason)));
                }
                ToSession::Certificate(_) => panic!("nobody asked for a certificate"),
            }
            return self.hear();
        };
        // A publish sent twice is answered twice.
        let Some((ticket, identity)) = line.unacknowledged.remove(&number) else { return self.hear() };
        let stored = match reason {
            PublishReason::Success => true,
            PublishReason::QuotaExceeded => false,
            other => panic!("{identity:?} was answered with {other:?}"),
        };
        let made = self.made.get_mut(&identity).expect("answered what was sent");
        made.fate = if stored { Fate::Acknowledged } else { Fate::Refused };
        self.outbox.acked(&mut self.flash, ticket, self.last);
        self.note();
        Some(Heard::Acknowledged { identity, stored })
    }

    /// Carries a command out and answers it. Returns whether it was carried out now.
    pub fn obey(&mut self, message: &CommandMessage, t_ms: u64, right_ms: i64) -> bool {
        let now = match self.watch {
            Watch::None => None,
            Watch::Right => Some(right_ms),
            Watch::WrongBy(ms) => Some(right_ms + ms),
        };
        match self.commands.judge(message, now) {
            Judged::Execute => {
                let done = self.commands.done(message.id, Outcome::Done);
                self.put(done, t_ms, right_ms);
                true
            }
            Judged::Underway => false,
            Judged::Answer(answer) => {
                self.put(answer, t_ms, right_ms);
                false
            }
        }
    }

    pub fn is_quiet(&self) -> bool {
        let line = self.line.as_ref();
        self.outbox.is_empty() && line.is_some_and(|line| line.uplink.is_empty() && line.answers.is_empty())
    }
}

/// What happens in a home, most of it of no urgency.
pub fn something(rng: &mut Rng) -> Event {
    let yes = rng.one_in(2);
    match rng.below(24) {
        0..=5 => Event::Button { press: if yes { Press::Short } else { Press::Long } },
        6 => Event::Fall { impact_mg: None, still_s: None },
        7..=8 => Event::Smoke { active: yes },
        9 => Event::Cancel {},
        10 => Event::Enuresis {},
        11 => Event::Dose { slot: "morning".into(), outcome: DoseOutcome::Missed },
        12..=13 => Event::Battery { percent: Some(7), low: yes },
        14 => Event::Mains { on: yes },
        15 => Event::Test {},
        16 => Event::Door { open: yes },
        17..=18 => Event::Temperature { centi_c: rng.below(4_000) as i32 },
        19 => Event::Motion {},
        _ => Event::Bed { occupied: yes },
    }
}

/// Events that must be told to a person, each of them, whatever else is the case.
pub fn must_be_told(event: &Event) -> bool {
    match event {
        Event::Smoke { active } => *active,
        Event::Cancel {} => false,
        Event::Test {} => true,
        other => matches!(other.lane(), Lane::Life | Lane::Care),
    }
}
