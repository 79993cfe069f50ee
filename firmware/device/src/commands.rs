//! Each command once. Enters: a command as it was delivered, the time if the device knows it. Leaves: carry it out, or
//! the event `done` that answers it.
//!
//! Invariants: an id is carried out at most once, however often it is delivered and however little is remembered; nothing
//! expired is carried out; without a clock no door opens and no medicine comes out, because it might have expired.

use heapless::Deque;
use vaka_protocol::{Command, CommandMessage, Event, Outcome};

/// What to do with a delivered command.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "without an allocator there is nothing to box with")]
pub enum Judged {
    /// Carry it out, then say so with [`Commands::done`].
    Execute,
    /// It is being carried out; nothing to do, the answer comes.
    Underway,
    /// Do nothing; send this event.
    Answer(Event),
}

/// The last `N` ids and what became of them.
#[derive(Debug, Clone)]
pub struct Commands<const N: usize> {
    /// In the order in which they came; without an outcome while it is being carried out.
    known: Deque<(u64, Option<Outcome>), N>,
    /// The highest id that was forgotten: whether one up to it was carried out can no longer be told.
    forgotten: Option<u64>,
    /// Which ids were carried out before the boot cannot be read: the next one may be one of them.
    is_doubtful: bool,
}

/// It only sets what is shown: twice does no harm.
pub(crate) fn only_shows(command: &Command) -> bool {
    matches!(command, Command::Receipt { .. } | Command::Feedback { .. })
}

impl<const N: usize> Commands<N> {
    /// Remembers nothing. `forgotten`: after a boot, the highest id that may have been carried out before it
    /// ([`Commands::highest`], kept in flash); `None` for a device that is new to its gateway.
    pub const fn new(forgotten: Option<u64>) -> Self {
        Self { known: Deque::new(), forgotten, is_doubtful: false }
    }

    /// Remembers nothing, and what was kept of the boots before cannot be read. The first id that comes may have been carried
    /// out: it and those below it count as forgotten. Later ids are new ones.
    pub const fn doubtful() -> Self {
        Self { known: Deque::new(), forgotten: None, is_doubtful: true }
    }

    /// Judges a delivered command. `now`: UTC milliseconds, `None` if the device has no clock.
    ///
    /// An id that may have been forgotten is answered with the outcome `forgotten` and not carried out. Receipt and
    /// feedback are: they only set what is shown, and a resident must not wait in vain for them after the gateway's
    /// journal, and with it its ids, began anew.
    pub fn judge(&mut self, message: &CommandMessage, now: Option<i64>) -> Judged {
        let CommandMessage { id, expires_at, command, .. } = message;
        if !only_shows(command) && core::mem::take(&mut self.is_doubtful) {
            self.forgotten = self.forgotten.max(Some(*id));
        }
        let answer = |outcome| Judged::Answer(Event::Done { id: *id, outcome });
        if let Some((_, outcome)) = self.known.iter().find(|(known, _)| known == id) {
            return outcome.clone().map_or(Judged::Underway, answer);
        }
        if self.forgotten >= Some(*id) && !only_shows(command) {
            return answer(Outcome::Other("forgotten".into()));
        }
        let refusal = match now {
            Some(now) if now >= *expires_at => Some(Outcome::Expired),
            None if command.needs_clock() => Some(Outcome::Refused),
            _ if matches!(command, Command::Unknown { .. }) => Some(Outcome::Refused),
            _ => None,
        };
        self.remember(*id, refusal.clone());
        refusal.map_or(Judged::Execute, answer)
    }

    /// Begun before the boot, and going on: delivered again, there is nothing to do.
    pub fn underway(&mut self, id: u64) {
        self.remember(id, None);
    }

    /// The command was carried out, or went wrong. Returns the event to send.
    pub fn done(&mut self, id: u64, outcome: Outcome) -> Event {
        if let Some((_, known)) = self.known.iter_mut().find(|(known, _)| *known == id) {
            *known = Some(outcome.clone());
        }
        Event::Done { id, outcome }
    }

    /// The highest id so far: to be kept in flash, before it is carried out, for [`Commands::new`].
    pub fn highest(&self) -> Option<u64> {
        self.known.iter().map(|(id, _)| *id).max().max(self.forgotten)
    }

    fn remember(&mut self, id: u64, outcome: Option<Outcome>) {
        if self.known.is_full()
            && let Some((oldest, _)) = self.known.pop_front()
        {
            self.forgotten = self.forgotten.max(Some(oldest));
        }
        if self.known.push_back((id, outcome)).is_err() {
            // Only with room for none at all.
            self.forgotten = self.forgotten.max(Some(id));
        }
    }
}
