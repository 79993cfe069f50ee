//! The button that a resident wears, and the one on the wall or on a cord.
//!
//! Enters: the levels of a button and, where there is one, of a button that takes a call back; what an accelerometer feels.
//! Leaves: calls for help, and faults of these parts. Invariants: a press is told as soon as it is no contact bounce, never
//! when it is let go; every press is told; a hold and a cancel only add; a button that is stuck tells of it once.
//!
//! A hold tells `button` with `long` beside the `short` that went at once. The gateway joins both to one alarm and tells its
//! receiver again: whoever clutches the button insists. Waiting to see which of the two it will be would delay every call by
//! the time of the hold.
//!
//! The board wakes the device on each edge of these pins. Where it can be held up for longer than a press lasts (an erase of
//! its flash), its interrupt also says when the edge was: [`Role::edge`].

use embedded_hal::digital::InputPin;
use vaka_protocol::{Event, Press, Sound};

use crate::Now;
use crate::fall::Falls;
use crate::feedback::not_through;
use crate::motion::{Accelerometer, NoAccelerometer, Told};
use crate::pins::{Input, NoPin};
use crate::role::{Cx, Role};

/// For how long a contact must keep its level, milliseconds. Shorter: bounce counts as presses. Longer: a quick press is
/// missed; people hold a button for some 100 ms. Source: our choice.
pub const DEBOUNCE_MS: u64 = 20;

/// A contact that never keeps its level for [`DEBOUNCE_MS`] is taken for pressed after this time, milliseconds: a worn
/// contact under a trembling finger. Rather a call too many. Source: our choice.
pub const CHATTER_MS: u64 = 60;

/// From when on a press is a hold, milliseconds. Shorter: slow fingers hold without meaning it. Source: our choice.
pub const HOLD_MS: u64 = 3_000;

/// From when on a pressed button counts as stuck, milliseconds. Shorter: who lies on it after a fall is told as a fault too;
/// the call has gone either way. Source: our choice.
pub const STUCK_MS: u64 = 300_000;

/// For how long after a call a hold takes it back, where that was agreed, milliseconds. Source: our choice.
pub const CANCEL_WINDOW_MS: u64 = 60_000;

/// Between two looks at a contact that moves, milliseconds.
const LOOK_MS: u64 = 5;

/// Between two looks at a pin that cannot be read, milliseconds.
const UNREADABLE_MS: u64 = 1_000;

/// What a button did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Pressed, just now.
    Pressed,
    /// Still pressed after [`HOLD_MS`].
    Held,
    /// Still pressed after [`STUCK_MS`].
    Stuck,
    /// Let go.
    Released,
}

/// One button: from levels to presses. No hardware.
///
/// A button that is pressed when the device boots counts as pressed then: the press may be what woke it.
#[derive(Debug, Clone, Default)]
pub struct Button {
    /// The level last seen, true for pressed, and since when.
    level: bool,
    level_ms: u64,
    /// First sign of a press that is not settled.
    unrest_ms: Option<u64>,
    /// The last sign of a press that nobody has followed up: an edge, or a look that saw it active.
    sign_ms: Option<u64>,
    /// Since when it counts as pressed.
    pressed_ms: Option<u64>,
    /// What was told of this press last.
    told: Option<Pushed>,
}

impl Button {
    /// Not pressed.
    pub const fn new() -> Self {
        Self { level: false, level_ms: 0, unrest_ms: None, sign_ms: None, pressed_ms: None, told: None }
    }

    /// The pin's interrupt saw it become active at that time. If nobody looks for [`DEBOUNCE_MS`] and it is let go by then,
    /// nobody can tell bounce from a press any more, and it is one.
    pub fn edge(&mut self, uptime_ms: u64) {
        if self.pressed_ms.is_none() {
            self.sign_ms.get_or_insert(uptime_ms);
        }
    }

    /// Takes the level that it has now. To be called at the latest after [`Button::rest_ms`], and on each edge.
    pub fn push(&mut self, is_active: bool, uptime_ms: u64) -> Option<Pushed> {
        if is_active != self.level {
            (self.level, self.level_ms) = (is_active, uptime_ms);
        }
        let is_settled = uptime_ms.saturating_sub(self.level_ms) >= DEBOUNCE_MS;
        let was_missed = self.sign_ms.is_some_and(|sign_ms| uptime_ms.saturating_sub(sign_ms) >= DEBOUNCE_MS);
        self.sign_ms = is_active.then_some(uptime_ms);
        let Some(pressed_ms) = self.pressed_ms else {
            return self.settle(is_settled, was_missed, uptime_ms);
        };
        if !is_active && is_settled {
            (self.pressed_ms, self.told) = (None, None);
            return Some(Pushed::Released);
        }
        let held_ms = uptime_ms.saturating_sub(pressed_ms);
        let pushed = match self.told {
            Some(Pushed::Pressed) if held_ms >= HOLD_MS => Pushed::Held,
            Some(Pushed::Held) if held_ms >= STUCK_MS => Pushed::Stuck,
            _ => return None,
        };
        self.told = Some(pushed);
        Some(pushed)
    }

    /// Not pressed so far: is it now?
    fn settle(&mut self, is_settled: bool, was_missed: bool, uptime_ms: u64) -> Option<Pushed> {
        if !self.level && is_settled {
            self.unrest_ms = None;
        }
        if self.level {
            self.unrest_ms.get_or_insert(uptime_ms);
        }
        let chatters = self.unrest_ms.is_some_and(|unrest_ms| uptime_ms.saturating_sub(unrest_ms) >= CHATTER_MS);
        if !(self.level && is_settled || chatters || was_missed) {
            return None;
        }
        self.unrest_ms = None;
        (self.pressed_ms, self.told) = (Some(uptime_ms), Some(Pushed::Pressed));
        self.told
    }

    /// For how many milliseconds its level need not be looked at, unless there is an edge.
    pub fn rest_ms(&self, uptime_ms: u64) -> u64 {
        let moves = match self.pressed_ms {
            None => self.unrest_ms.is_some(),
            Some(_) => !self.level,
        };
        if moves {
            return LOOK_MS;
        }
        if self.pressed_ms.is_none() && self.sign_ms.is_some() {
            return 0;
        }
        let due_ms = match (self.pressed_ms, self.told) {
            (Some(pressed_ms), Some(Pushed::Pressed)) => pressed_ms + HOLD_MS,
            (Some(pressed_ms), Some(Pushed::Held)) => pressed_ms + STUCK_MS,
            _ => return u64::MAX,
        };
        due_ms.saturating_sub(uptime_ms)
    }
}

/// A button on its pin, which tells when it is stuck or cannot be read.
#[derive(Debug, Clone)]
struct Key<P> {
    input: Input<P>,
    button: Button,
    /// As a fault names it.
    part: &'static str,
    is_unreadable: bool,
    is_stuck: bool,
    /// A fault was told and not taken back.
    is_told: bool,
}

impl<P: InputPin> Key<P> {
    fn new(input: Input<P>, part: &'static str) -> Self {
        Self { input, button: Button::new(), part, is_unreadable: false, is_stuck: false, is_told: false }
    }

    fn pass(&mut self, cx: &mut Cx<'_>) -> Option<Pushed> {
        let level = self.input.is_active();
        self.is_unreadable = level.is_err();
        let pushed = level.ok().and_then(|is_active| self.button.push(is_active, cx.now.uptime_ms));
        match pushed {
            Some(Pushed::Stuck) => self.is_stuck = true,
            Some(Pushed::Released) => self.is_stuck = false,
            _ => {}
        }
        let is_faulty = self.is_unreadable || self.is_stuck;
        if is_faulty != self.is_told {
            self.is_told = is_faulty;
            cx.tell(Event::Fault { part: self.part.into(), active: is_faulty });
        }
        pushed
    }

    fn rest_ms(&self, now: Now) -> u64 {
        if self.is_unreadable { UNREADABLE_MS } else { self.button.rest_ms(now.uptime_ms) }
    }
}

/// What holding the button means. Agreed with the resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// The call is meant: told beside it. Who clutches the button in fear must not take the call back by it.
    #[default]
    Insists,
    /// A press that begins within [`CANCEL_WINDOW_MS`] of a call and is held takes it back. The press itself is told as any.
    Cancels,
}

/// A pendant; with a reed contact and [`crate::pins::Active::High`] the cord in a bathroom; with an accelerometer a sensor of
/// falls. `B`: its button. `C`: the button that takes a call back. `A`: what feels falls.
#[derive(Debug)]
pub struct Pendant<B, C = NoPin, A = NoAccelerometer> {
    call: Key<B>,
    cancel: Option<Key<C>>,
    hold: Hold,
    falls: Option<(Told<A>, Falls)>,
    /// When help was called last, milliseconds since boot.
    called_ms: Option<u64>,
    /// The press under way takes the call back if it is held.
    may_cancel: bool,
}

impl<B: InputPin> Pendant<B> {
    /// One button.
    pub fn new(button: Input<B>) -> Self {
        Self {
            call: Key::new(button, "button"),
            cancel: None,
            hold: Hold::default(),
            falls: None,
            called_ms: None,
            may_cancel: false,
        }
    }
}

impl<B, C, A> Pendant<B, C, A> {
    /// A second button takes a call back. It always does: which alarm it belongs to, the gateway knows.
    pub fn with_cancel<D: InputPin>(self, button: Input<D>) -> Pendant<B, D, A> {
        let Self { call, hold, falls, called_ms, may_cancel, .. } = self;
        let cancel = Some(Key::new(button, "cancel button"));
        Pendant { call, cancel, hold, falls, called_ms, may_cancel }
    }

    /// What a hold means.
    pub fn with_hold(self, hold: Hold) -> Self {
        Self { hold, ..self }
    }

    /// Feels falls too.
    pub fn with_falls<D: Accelerometer>(self, accelerometer: D) -> Pendant<B, C, D> {
        let Self { call, cancel, hold, called_ms, may_cancel, .. } = self;
        let falls = Some((Told::new(accelerometer), Falls::new(D::RATE_HZ)));
        Pendant { call, cancel, hold, falls, called_ms, may_cancel }
    }

    fn call(&mut self, event: Event, cx: &mut Cx<'_>) {
        if cx.call(event).is_none() {
            // There was no room even for this: the resident must not think otherwise.
            cx.show(not_through());
        }
        self.called_ms = Some(cx.now.uptime_ms);
    }
}

fn cancel(cx: &mut Cx<'_>) {
    cx.tell(Event::Cancel {});
    // Heard; how far the call has come is shown on.
    cx.panel.show(None, Some(Sound::Tick), None, cx.now);
}

impl<B: InputPin, C: InputPin, A: Accelerometer> Role for Pendant<B, C, A> {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        match self.call.pass(cx) {
            Some(Pushed::Pressed) => {
                let is_open = self.called_ms.is_some_and(|called_ms| cx.now.since(called_ms) <= CANCEL_WINDOW_MS);
                self.may_cancel = is_open && self.hold == Hold::Cancels;
                self.call(Event::Button { press: Press::Short }, cx);
            }
            Some(Pushed::Held) if self.may_cancel => cancel(cx),
            // Told, not called: what is shown stays that of the press that it belongs to.
            Some(Pushed::Held) => drop(cx.tell(Event::Button { press: Press::Long })),
            Some(Pushed::Stuck | Pushed::Released) | None => {}
        }
        if let Some(Pushed::Pressed) = self.cancel.as_mut().and_then(|key| key.pass(cx)) {
            cancel(cx);
        }
        if let Some((accelerometer, falls)) = &mut self.falls {
            let mut fallen = None;
            accelerometer.feel(cx, &mut |felt| fallen = fallen.or(falls.feel(felt)));
            if let Some(fall) = fallen {
                self.call(fall.into(), cx);
            }
        }
    }

    fn edge(&mut self, uptime_ms: u64) {
        self.call.button.edge(uptime_ms);
    }

    fn rest_ms(&self, now: Now) -> u64 {
        let cancel = self.cancel.as_ref().map_or(u64::MAX, |key| key.rest_ms(now));
        let falls = self.falls.as_ref().map_or(u64::MAX, |(accelerometer, _)| accelerometer.rest_ms(now));
        self.call.rest_ms(now).min(cancel).min(falls)
    }
}
