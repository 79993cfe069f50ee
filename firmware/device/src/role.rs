//! What makes a device a pendant, a door sensor or a dispenser.
//!
//! A role reads its own parts (pins, buses: generic over `embedded-hal`) and says what happened; the [`crate::Device`]
//! does what all devices do. No role waits: it is looked at again and again, and says for how long it needs nothing.

use core::ops::Range;

use vaka_protocol::{CommandMessage, Event, Lane, Light, Outcome, Sound};

use crate::feedback::{Feedback, Shown};
use crate::keep::{Fault, Keep, Key, ROLE};
use crate::outbox::{Identity, Outbox};
use crate::{Now, Panel};

/// One kind of device.
pub trait Role {
    /// Once after boot: take up what was kept.
    fn start(&mut self, _cx: &mut Cx<'_>) {}

    /// Looks at its parts and does what is due. Called at the latest [`Role::rest_ms`] after the last time.
    fn pass(&mut self, cx: &mut Cx<'_>);

    /// A command that no other part of the device carries out. Each id comes once.
    fn carry_out(&mut self, _message: &CommandMessage, _cx: &mut Cx<'_>) -> Carried {
        Carried::NotMine
    }

    /// For how many milliseconds at most it need not be looked at. An interrupt of one of its pins ends it sooner.
    fn rest_ms(&self, now: Now) -> u64;

    /// The interrupt of its button's pin saw it become active, that many milliseconds after boot. The next pass counts it as
    /// a press, should the device have been held up until it was let go again.
    fn edge(&mut self, _uptime_ms: u64) {}

    /// Now is no time to hold it up or to restart it: a dose is being given out, the battery is about to go.
    fn is_busy(&self) -> bool {
        false
    }

    /// What time it is by a trusted clock of its own, UTC milliseconds: where nobody else has told the device, it counts for commands.
    fn at(&self, _now: Now) -> Option<i64> {
        None
    }

    /// A part moves that has to be stopped in time: whatever takes long waits for a moment.
    fn is_moving(&self) -> bool {
        false
    }

    /// The command that it goes on with after a boot, once started: delivered again, it is not a forgotten one.
    fn underway(&self) -> Option<u64> {
        None
    }
}

/// A role that is lent out, so that a board can choose one when it boots.
impl<R: Role + ?Sized> Role for &mut R {
    fn start(&mut self, cx: &mut Cx<'_>) {
        (**self).start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        (**self).pass(cx);
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        (**self).carry_out(message, cx)
    }

    fn rest_ms(&self, now: Now) -> u64 {
        (**self).rest_ms(now)
    }

    fn edge(&mut self, uptime_ms: u64) {
        (**self).edge(uptime_ms);
    }

    fn is_busy(&self) -> bool {
        (**self).is_busy()
    }

    fn at(&self, now: Now) -> Option<i64> {
        (**self).at(now)
    }

    fn is_moving(&self) -> bool {
        (**self).is_moving()
    }

    fn underway(&self) -> Option<u64> {
        (**self).underway()
    }
}

/// Two roles in one device: what every device may have besides its own, and its own: `(power, (update, pendant))`. Each is
/// looked at in that order; a command goes to the first that knows it.
impl<A: Role, B: Role> Role for (A, B) {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.0.start(cx);
        self.1.start(cx);
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        self.0.pass(cx);
        self.1.pass(cx);
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        match self.0.carry_out(message, cx) {
            Carried::NotMine => self.1.carry_out(message, cx),
            carried => carried,
        }
    }

    fn rest_ms(&self, now: Now) -> u64 {
        self.0.rest_ms(now).min(self.1.rest_ms(now))
    }

    fn edge(&mut self, uptime_ms: u64) {
        self.0.edge(uptime_ms);
        self.1.edge(uptime_ms);
    }

    fn is_busy(&self) -> bool {
        self.0.is_busy() || self.1.is_busy()
    }

    fn at(&self, now: Now) -> Option<i64> {
        self.0.at(now).or_else(|| self.1.at(now))
    }

    fn is_moving(&self) -> bool {
        self.0.is_moving() || self.1.is_moving()
    }

    fn underway(&self) -> Option<u64> {
        self.0.underway().or_else(|| self.1.underway())
    }
}

/// What became of a command given to a role.
#[derive(Debug, Clone, PartialEq)]
pub enum Carried {
    /// It is carried out, or cannot be.
    Done(Outcome),
    /// It takes longer: [`Cx::done`] follows.
    Underway,
    /// This kind of device does not know such a command: it is refused.
    NotMine,
}

/// What a role works with during one call.
#[allow(missing_debug_implementations, reason = "what it borrows is shown where it belongs")]
pub struct Cx<'a> {
    /// This moment.
    pub now: Now,
    pub(crate) keep: &'a mut dyn Keep,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) feedback: &'a mut Feedback,
    pub(crate) panel: &'a mut dyn Panel,
    pub(crate) english: bool,
    /// A part of the device is busy.
    pub(crate) is_part_busy: bool,
    /// The gateway has acknowledged an event since boot.
    pub(crate) is_heard: bool,
    /// Commands that are done now, for [`crate::Device`] to answer.
    pub(crate) done: &'a mut heapless::Vec<(u64, Outcome), 4>,
}

impl Cx<'_> {
    /// Takes in what happened: kept when this returns, sent as soon as there is a connection. `None`: there was no room
    /// for it, and the loss is counted.
    pub fn tell(&mut self, event: Event) -> Option<Identity> {
        self.outbox.put(self.keep, event, self.now)
    }

    /// Takes in a call for help, and shows from here on how far it has come.
    pub fn call(&mut self, event: Event) -> Option<Identity> {
        let identity = self.tell(event);
        if let Some(Identity { restart, seq }) = identity {
            let shown = self.feedback.called(restart, seq, self.now.uptime_ms);
            self.show(shown);
        }
        identity
    }

    /// Shows this to the resident.
    pub fn show(&mut self, shown: Shown) {
        let text = shown.text(if self.english { "en" } else { "sv" });
        self.panel.show(Some(shown.light), Some(shown.sound), Some(text), self.now);
    }

    /// Light and sound alone.
    pub fn signal(&mut self, light: Light, sound: Sound) {
        self.panel.show(Some(light), Some(sound), None, self.now);
    }

    /// Now is no time to erase flash or to restart: a part says so ([`Role::is_busy`]), a call for help is open, or an
    /// event about life waits for the gateway.
    pub fn is_busy(&self) -> bool {
        self.is_part_busy
            || self.feedback.is_open(self.now.uptime_ms)
            || self.outbox.identities().any(|(_, lane)| lane == Lane::Life)
    }

    /// A command given to the role earlier is carried out.
    pub fn done(&mut self, id: u64, outcome: Outcome) {
        // Beyond four at once the answer is left out; the gateway asks again with the same id.
        let _ = self.done.push((id, outcome));
    }

    /// Reads what the role kept under its own number, below [`Cx::KEYS`].
    pub fn read<'b>(&mut self, number: u16, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        self.keep.read(own(number), buffer)
    }

    /// Keeps a value under the role's own number.
    pub fn write(&mut self, number: u16, value: &[u8]) -> Result<(), Fault> {
        self.keep.write(own(number), value)
    }

    /// Lets go of a value of the role's.
    pub fn remove(&mut self, number: u16) -> Result<(), Fault> {
        self.keep.remove(own(number))
    }

    /// How many numbers a role has.
    pub const KEYS: Range<u16> = 0..(ROLE.end - ROLE.start) as u16;
}

fn own(number: u16) -> Key {
    ROLE.start + Key::from(number) % (ROLE.end - ROLE.start)
}
