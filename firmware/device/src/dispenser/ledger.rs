//! What became of each dose, and what the compartments still hold; kept over a power cut as one value.
//!
//! Invariants: a dose that may have been given out stays known as that as long as anybody could ask for it again; of what
//! was forgotten nobody says that it was not given ([`Ledger::forgotten`]); the word about a change is kept with the change
//! ([`Telling`]), so that it is told once.

use heapless::Vec;
use vaka_protocol::{DoseOutcome, Label};

use super::bytes::{Bytes, Reader, put, put_label};
use crate::Identity;

/// Doses that are remembered: the eight of a schedule and half as many before it. Beyond: the oldest is forgotten.
/// Larger: the ledger does not fit into one kept value.
pub const DOSES_MAX: usize = 12;

/// How far a dose is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its time has come; the resident is reminded.
    Due,
    /// The motor may have turned: cut here, nobody knows whether it was given.
    Turning,
    /// It lies open at the window.
    Out,
    /// It was not taken in time and is being closed away, or the resident has refused it (`true`).
    Closing(bool),
    /// It has its outcome.
    Ended,
    /// It was never offered to the end: the gateway took it back. What lies in its compartment stays its own.
    Withdrawn,
}

impl State {
    fn byte(self) -> u8 {
        match self {
            State::Due => 1,
            State::Turning => 2,
            State::Out => 3,
            State::Closing(false) => 4,
            State::Closing(true) => 5,
            State::Ended => 6,
            State::Withdrawn => 7,
        }
    }

    /// A byte that no version wrote: as if the power had gone while the motor turned.
    fn of(byte: u8) -> Self {
        match byte {
            1 => State::Due,
            3 => State::Out,
            4 => State::Closing(false),
            5 => State::Closing(true),
            6 => State::Ended,
            7 => State::Withdrawn,
            _ => State::Turning,
        }
    }
}

/// One dose whose time has come. Times are UTC milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dose {
    /// Which dose.
    pub slot: Label,
    /// From when on it may be given out: with the slot, its name.
    pub opens_at: i64,
    /// Until when.
    pub closes_at: i64,
    /// How far it is.
    pub state: State,
    /// The compartment (from 1) that it lies in; 0: none.
    pub compartment: u8,
    /// When it was, or may have been, given out; 0: it was not.
    pub given_at: i64,
    /// The word that told so.
    pub word: Identity,
}

impl Dose {
    /// It lies locked in its compartment, and was never at the window.
    pub fn is_locked(&self) -> bool {
        self.state == State::Ended && self.given_at == 0 && self.compartment != 0
    }
}

/// The word about a change, until it is certain that it was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// Of which of the doses.
    pub dose: u8,
    /// What is said.
    pub outcome: DoseOutcome,
    /// The event that says it.
    pub word: Identity,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// In the order in which they opened.
    pub doses: Vec<Dose, DOSES_MAX>,
    /// Bit `k - 1`: compartment `k` holds a dose to come.
    pub full: u32,
    /// Doses may have passed that this device never heard of: which compartment is whose is not known.
    pub order_lost: bool,
    /// No dose up to this opening is known any more, UTC milliseconds.
    pub forgotten_upto: i64,
    /// What is being told.
    pub telling: Option<Telling>,
}

impl Ledger {
    /// The dose by its name.
    pub fn find(&self, slot: &Label, opens_at: i64) -> Option<&Dose> {
        self.doses.iter().find(|dose| dose.opens_at == opens_at && dose.slot == *slot)
    }

    /// Whether it was given cannot be told any more.
    pub fn forgotten(&self, opens_at: i64) -> bool {
        opens_at <= self.forgotten_upto
    }

    /// The dose that is under way, of which there is one at most.
    pub fn current(&self) -> Option<usize> {
        self.doses.iter().position(|dose| !matches!(dose.state, State::Ended | State::Withdrawn))
    }

    /// The dose that is in that compartment and not for anybody to take.
    pub fn locked(&self, compartment: u8) -> Option<usize> {
        // Of a dose and its releases the last.
        let place = self.doses.iter().rposition(|dose| dose.compartment == compartment)?;
        let dose = &self.doses[place];
        (dose.is_locked() || matches!(dose.state, State::Due | State::Withdrawn)).then_some(place)
    }

    /// The compartment (from 1) whose turn it is after the dose under way; 0: all are empty.
    pub fn next_compartment(&self) -> u8 {
        self.compartment_after(0)
    }

    /// As [`Ledger::next_compartment`], after so many doses more.
    pub fn compartment_after(&self, doses: usize) -> u8 {
        let of_current = self.current().map_or(0, |place| bit(self.doses[place].compartment));
        let full = self.full & !of_current;
        (1..=u32::BITS as u8).filter(|compartment| full & bit(*compartment) != 0).nth(doses).unwrap_or(0)
    }

    /// How many doses are left.
    pub fn left(&self) -> u16 {
        self.full.count_ones() as u16
    }

    /// What lies in that compartment is of no dose to come.
    pub fn use_up(&mut self, compartment: u8) {
        self.full &= !bit(compartment);
    }

    /// Takes in a dose whose time has come; the oldest that has ended goes for it. Returns its place.
    pub fn open(&mut self, dose: Dose) -> Option<usize> {
        // Withdrawn and asked for again: the same dose.
        self.doses.retain(|known| !(known.opens_at == dose.opens_at && known.slot == dose.slot));
        if self.doses.is_full() {
            let is_over = |dose: &Dose| matches!(dose.state, State::Ended | State::Withdrawn);
            let over = self.doses.iter().enumerate().filter(|(_, dose)| is_over(dose));
            let (oldest, _) = over.min_by_key(|(_, dose)| dose.opens_at)?;
            let gone = self.doses.remove(oldest);
            if gone.state == State::Ended {
                self.forgotten_upto = self.forgotten_upto.max(gone.opens_at);
            }
        }
        self.doses.push(dose).ok()?;
        Some(self.doses.len() - 1)
    }

    /// The carousel was filled anew: what lies in it is of doses to come.
    pub fn fill(&mut self, full: u32) {
        self.full = full;
        self.order_lost = false;
        self.doses.iter_mut().for_each(|dose| dose.compartment = 0);
    }

    /// Layout: version 1, full, order lost, forgotten, what is told (255: nothing), count, doses.
    pub fn bytes(&self) -> Bytes {
        let mut bytes = Bytes::new();
        put(&mut bytes, &[1]);
        put(&mut bytes, &self.full.to_le_bytes());
        put(&mut bytes, &[u8::from(self.order_lost)]);
        put(&mut bytes, &self.forgotten_upto.to_le_bytes());
        let (dose, outcome, word) = match self.telling {
            Some(Telling { dose, outcome, word }) => (dose, outcome as u8, word),
            None => (u8::MAX, 0, Identity { restart: 0, seq: 0 }),
        };
        put(&mut bytes, &[dose, outcome]);
        put_identity(&mut bytes, word);
        put(&mut bytes, &[self.doses.len() as u8]);
        for dose in &self.doses {
            put_label(&mut bytes, &dose.slot);
            for time in [dose.opens_at, dose.closes_at, dose.given_at] {
                put(&mut bytes, &time.to_le_bytes());
            }
            put(&mut bytes, &[dose.state.byte(), dose.compartment]);
            put_identity(&mut bytes, dose.word);
        }
        bytes
    }

    /// As it was kept.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let 1 = reader.byte()? else { return None };
        let full = u32::from_le_bytes(reader.array()?);
        let order_lost = reader.byte()? != 0;
        let forgotten_upto = reader.time()?;
        let [told, outcome] = reader.array()?;
        let word = identity(&mut reader)?;
        let outcome = DoseOutcome::ALL.iter().copied().find(|known| *known as u8 == outcome);
        let telling = outcome.filter(|_| told != u8::MAX).map(|outcome| Telling { dose: told, outcome, word });
        let mut doses = Vec::new();
        for _ in 0..reader.byte()? {
            let slot = reader.label()?;
            let (opens_at, closes_at, given_at) = (reader.time()?, reader.time()?, reader.time()?);
            let [state, compartment] = reader.array()?;
            let (state, word) = (State::of(state), identity(&mut reader)?);
            doses.push(Dose { slot, opens_at, closes_at, state, compartment, given_at, word }).ok()?;
        }
        Some(Self { doses, full, order_lost, forgotten_upto, telling })
    }
}

/// Its place in [`Ledger::full`]; of no compartment none.
fn bit(compartment: u8) -> u32 {
    u32::from(compartment).checked_sub(1).and_then(|place| 1u32.checked_shl(place)).unwrap_or(0)
}

fn put_identity(bytes: &mut Bytes, Identity { restart, seq }: Identity) {
    put(bytes, &restart.to_le_bytes());
    put(bytes, &seq.to_le_bytes());
}

fn identity(reader: &mut Reader<'_>) -> Option<Identity> {
    let restart = u32::from_le_bytes(reader.array()?);
    Some(Identity { restart, seq: u64::from_le_bytes(reader.array()?) })
}
