//! What the resident sees and hears after a call for help. Enters: the call, its receipts, the time since boot.
//! Leaves: light, sound and plain words.
//!
//! Invariants: nothing is promised before a receiver has accepted ("mottaget"), nobody is on the way before a person has
//! taken it; a receipt for another call than the newest changes nothing, neither does one for a lower rung.

use vaka_protocol::{Light, Rung, Sound};

/// Longest time a call may wait for the gateway's disk before the device says that it is not through, in milliseconds.
///
/// Longer: the resident walks away believing that help was called. Shorter: an ordinary fsync on an SD card trips it.
/// Source: our choice.
pub const PRESS_ACK_MS_MAX: u64 = 2_000;

/// How long a device waits for a person to close a call before it does what would disturb one, milliseconds.
///
/// Longer: an alarm that nobody closes keeps updates off for good. Shorter: a device restarts while somebody lies on the
/// floor. Source: our choice; a shift and the next.
pub const CALL_OPEN_MS_MAX: u64 = 16 * 3_600_000;

/// What the resident sees and hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The light, until something else is shown.
    pub light: Light,
    /// The sound, once.
    pub sound: Sound,
    /// Plain words in Swedish.
    pub sv: &'static str,
    /// Plain words in English.
    pub en: &'static str,
}

impl Shown {
    /// The words in that language (`sv` or `en`); Swedish for any other.
    pub fn text(&self, language: &str) -> &'static str {
        if language == "en" { self.en } else { self.sv }
    }
}

/// Right after the call.
pub fn calling() -> Shown {
    Shown { light: Light::Blink, sound: Sound::Tick, sv: "Larmet skickas", en: "Calling for help" }
}

/// The gateway has not answered in [`PRESS_ACK_MS_MAX`].
pub fn not_through() -> Shown {
    Shown {
        light: Light::Flash,
        sound: Sound::Warn,
        sv: "Larmet har inte gått fram än. Nytt försök pågår",
        en: "Your alarm has not got through yet. Trying again",
    }
}

/// What a rung tells the resident.
pub fn shown(rung: Rung) -> Shown {
    match rung {
        Rung::Stored | Rung::Sent | Rung::Received => Shown { sound: Sound::Off, ..calling() },
        Rung::Accepted => Shown {
            light: Light::Steady,
            sound: Sound::Chime,
            sv: "Larmet är mottaget",
            en: "Your alarm has been received",
        },
        Rung::Claimed => {
            Shown { light: Light::Steady, sound: Sound::Chime, sv: "Hjälp är på väg", en: "Help is on the way" }
        }
        Rung::Closed => {
            Shown { light: Light::Off, sound: Sound::Off, sv: "Larmet är avslutat", en: "The alarm is closed" }
        }
    }
}

/// The newest call and how far it has come.
#[derive(Debug, Clone, Default)]
pub struct Feedback {
    call: Option<Call>,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    restart: u32,
    seq: u64,
    uptime_ms: u64,
    rung: Option<Rung>,
    overdue: bool,
}

impl Feedback {
    /// No call yet.
    pub const fn new() -> Self {
        Self { call: None }
    }

    /// The resident called: the event `(restart, seq)`, `uptime_ms` after boot. From here on only its receipts count.
    pub fn called(&mut self, restart: u32, seq: u64, uptime_ms: u64) -> Shown {
        self.call = Some(Call { restart, seq, uptime_ms, rung: None, overdue: false });
        calling()
    }

    /// A receipt came, or the PUBACK, which is the rung `stored`. `None`: what is shown stays.
    pub fn receipt(&mut self, restart: u32, seq: u64, rung: Rung) -> Option<Shown> {
        let call = self.call.as_mut().filter(|call| (call.restart, call.seq) == (restart, seq))?;
        if call.rung >= Some(rung) {
            return None;
        }
        call.rung = Some(rung);
        Some(shown(rung))
    }

    /// A call for help is open: nobody has closed it, and it is not older than [`CALL_OPEN_MS_MAX`].
    pub fn is_open(&self, uptime_ms: u64) -> bool {
        self.call.is_some_and(|call| {
            call.rung != Some(Rung::Closed) && uptime_ms.saturating_sub(call.uptime_ms) < CALL_OPEN_MS_MAX
        })
    }

    /// For how many milliseconds [`Feedback::tick`] has nothing to say.
    pub fn rest_ms(&self, uptime_ms: u64) -> u64 {
        let waits = self.call.as_ref().filter(|call| call.rung.is_none() && !call.overdue);
        waits.map_or(u64::MAX, |call| PRESS_ACK_MS_MAX.saturating_sub(uptime_ms.saturating_sub(call.uptime_ms)))
    }

    /// Time went on. What to show if the call is not through in time; once for each call.
    pub fn tick(&mut self, uptime_ms: u64) -> Option<Shown> {
        let call = self.call.as_mut().filter(|call| call.rung.is_none() && !call.overdue)?;
        if uptime_ms.saturating_sub(call.uptime_ms) < PRESS_ACK_MS_MAX {
            return None;
        }
        call.overdue = true;
        Some(not_through())
    }
}
