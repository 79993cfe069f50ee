//! The role: button, receiver, fence.

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_io::{Read, ReadReady};
use vaka_protocol::{Command, CommandMessage, Event, Light, Outcome, Press, Sound};

use super::fence::{Fence, Side};
use super::fix::{Fix, Fixes};
use super::nmea::Lines;
use super::schedule::{
    ALARM_INTERVAL_MS, ALARM_TRACK_MS, FRESH_MS, GOOD_M, LOOK_MS_MAX, NO_FIX_MS, POSITION_INTERVAL_S_MIN, SILENT_MS,
    UNHEARD_AGAIN_MS, UNHEARD_MS, look_interval_ms,
};
use crate::feedback::{Shown, not_through};
use crate::keep::VALUE_BYTES_MAX;
use crate::outbox::Identity;
use crate::pendant::{Button, Pushed};
use crate::pins::Input;
use crate::role::{Carried, Cx, Role};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::{Key, Now, keep};

/// Where the fence is kept, as [`Fence::to_bytes`]; whoever provisions the device writes it there. Absent: that of
/// [`GpsAlarm::with_fence`], else none.
pub const FENCE_KEY: Key = keep::ROLE.start + FENCE as Key;

const TROUBLE: u16 = 0;
const FENCE: u16 = 1;
const BUTTON: u16 = 2;

/// The wearer counts as moving for this long after the last movement, milliseconds. Source: our choice.
const MOVES_MS: u64 = 120_000;

/// Commands `locate` that wait for one search.
const LOCATES_MAX: usize = 4;

/// Bytes that are read in one pass at most: more than a second's at 9,600 baud.
const READ_BYTES_MAX: usize = 2_048;

/// The pins of a GPS alarm.
#[derive(Debug)]
pub struct TrackerPins<I, O> {
    /// The button.
    pub button: Input<I>,
    /// Movement: high while the accelerometer feels it, or always.
    pub moves: I,
    /// Feeds the receiver.
    pub receiver: O,
}

/// One search for a fix.
#[derive(Debug, Clone, Copy)]
struct Search {
    since_ms: u64,
    heard_ms: u64,
    best: Option<Fix>,
}

/// A GPS alarm.
#[derive(Debug)]
pub struct GpsAlarm<S, I, O> {
    serial: S,
    pins: TrackerPins<I, O>,
    /// Charge, 0 to 100, as the board measures it.
    pub battery_percent: Option<u8>,
    button: Button,
    lines: Lines,
    fixes: Fixes,
    last: Option<Fix>,
    search: Option<Search>,
    locates: heapless::Vec<u64, LOCATES_MAX>,
    /// Since when a call is tracked, and when its next position is due.
    alarm: Option<(u64, u64)>,
    interval_s: Option<u32>,
    told_ms: Option<u64>,
    fence: Option<Fence>,
    side: Side,
    looked_ms: Option<u64>,
    /// A crossing that the gateway may not have: which, and when the wearer is shown it.
    crossed: Option<(Identity, u64)>,
    moved_ms: Option<u64>,
    /// How long it searched in vain while the wearer moved.
    vain_ms: u64,
    passed_ms: u64,
    trouble: Trouble,
    button_trouble: Trouble,
}

impl<S: Read + ReadReady, I: InputPin, O: OutputPin> GpsAlarm<S, I, O> {
    /// With its receiver's serial line and its pins.
    pub fn new(serial: S, pins: TrackerPins<I, O>) -> Self {
        let mut alarm = Self {
            serial,
            pins,
            battery_percent: None,
            button: Button::new(),
            lines: Lines::new(),
            fixes: Fixes::new(),
            last: None,
            search: None,
            locates: heapless::Vec::new(),
            alarm: None,
            interval_s: None,
            told_ms: None,
            fence: None,
            side: Side::new(),
            looked_ms: None,
            crossed: None,
            moved_ms: None,
            vain_ms: 0,
            passed_ms: 0,
            trouble: Trouble::new("gnss", TROUBLE),
            button_trouble: Trouble::new("button", BUTTON),
        };
        // A pin that cannot be set shows as a receiver that is silent.
        let _ = alarm.pins.receiver.set_low();
        alarm
    }

    /// The fence that holds where none is kept under [`FENCE_KEY`].
    pub fn with_fence(self, fence: Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// The last fix since the boot.
    pub fn last(&self) -> Option<&Fix> {
        self.last.as_ref()
    }

    fn moves(&self, now: Now) -> bool {
        self.moved_ms.is_some_and(|moved_ms| now.since(moved_ms) < MOVES_MS)
    }

    fn press(&mut self, cx: &mut Cx<'_>) {
        let Ok(is_down) = self.pins.button.is_active() else {
            self.button_trouble.is(cx, false);
            return;
        };
        match self.button.push(is_down, cx.now.uptime_ms) {
            Some(Pushed::Pressed) => self.call(cx),
            // Told, not called: what is shown stays that of the press that it belongs to.
            Some(Pushed::Held) => drop(cx.tell(Event::Button { press: Press::Long })),
            Some(Pushed::Stuck) => self.button_trouble.tell(cx, false),
            Some(Pushed::Released) => self.button_trouble.tell(cx, true),
            None => {}
        }
    }

    fn call(&mut self, cx: &mut Cx<'_>) {
        if cx.call(Event::Button { press: Press::Short }).is_none() {
            // There was no room even for this: the wearer must not think otherwise.
            cx.show(not_through());
        }
        // The call does not wait for a position; the last one goes along with its age.
        if let Some(last) = self.last {
            self.tell(cx, &last);
        }
        self.alarm = Some((cx.now.uptime_ms, cx.now.uptime_ms));
    }

    fn read(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let mut buffer = [0; 64];
        for _ in 0..READ_BYTES_MAX / buffer.len() {
            if !matches!(self.serial.read_ready(), Ok(true)) {
                break;
            }
            // A disturbed line loses a sentence, no more.
            let Ok(length) = self.serial.read(&mut buffer) else { break };
            if length == 0 {
                break;
            }
            for byte in &buffer[..length] {
                let Some(sentence) = self.lines.push(*byte) else { continue };
                let Some(search) = &mut self.search else { continue };
                search.heard_ms = now.uptime_ms;
                if let Some(fix) = self.fixes.take(sentence, now.uptime_ms) {
                    self.last = Some(fix);
                    let is_better = search.best.is_none_or(|best| fix.accuracy_m <= best.accuracy_m);
                    search.best = if is_better { Some(fix) } else { search.best };
                }
            }
        }
    }

    /// The one place from where a position leaves.
    fn tell(&mut self, cx: &mut Cx<'_>, fix: &Fix) -> Option<Identity> {
        self.told_ms = Some(cx.now.uptime_ms);
        cx.tell(fix.event(cx.now))
    }

    /// For how many milliseconds nobody needs a fix. `None`: nobody ever does.
    fn due_ms(&self, now: Now) -> Option<u64> {
        if !self.locates.is_empty() {
            return Some(0);
        }
        let left = |since_ms: Option<u64>, interval_ms: u64| {
            since_ms.map_or(0, |since_ms| interval_ms.saturating_sub(now.since(since_ms)))
        };
        let alarm = self.alarm.map(|(_, due_ms)| due_ms.saturating_sub(now.uptime_ms));
        let interval = self.interval_ms().map(|interval_ms| left(self.told_ms, interval_ms));
        let look_ms = look_interval_ms(self.battery_percent, self.moves(now) || self.side.is_in_doubt());
        let fence = self.fence.and(look_ms).map(|look_ms| left(self.looked_ms, look_ms));
        [alarm, interval, fence].into_iter().flatten().min()
    }

    /// What the settings allow, stretched when the battery is low; `None`: never.
    fn interval_ms(&self) -> Option<u64> {
        let interval_s = self.interval_s.filter(|interval_s| *interval_s > 0)?;
        let asked_ms = u64::from(interval_s.max(POSITION_INTERVAL_S_MIN)) * 1_000;
        match self.battery_percent {
            Some(percent) if percent < 20 => look_interval_ms(self.battery_percent, true).map(|ms| ms.max(asked_ms)),
            _ => Some(asked_ms),
        }
    }

    fn search(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let Some(search) = self.search else {
            if self.due_ms(now) == Some(0) {
                self.search = Some(Search { since_ms: now.uptime_ms, heard_ms: now.uptime_ms, best: None });
                self.lines = Lines::new();
                let _ = self.pins.receiver.set_high();
            }
            return;
        };
        self.watch(&search, cx);
        let is_good = search.best.is_some_and(|best| best.accuracy_m <= GOOD_M);
        let is_silent = now.since(search.heard_ms) >= SILENT_MS;
        if is_good || is_silent || now.since(search.since_ms) >= LOOK_MS_MAX {
            let _ = self.pins.receiver.set_low();
            self.search = None;
            self.found(search.best, cx);
        }
    }

    /// Silent, or long in vain: told once.
    fn watch(&mut self, search: &Search, cx: &mut Cx<'_>) {
        if search.best.is_some() {
            self.vain_ms = 0;
            self.trouble.tell(cx, true);
        } else if cx.now.since(search.heard_ms) >= SILENT_MS {
            self.trouble.tell(cx, false);
        } else if self.moves(cx.now) {
            self.vain_ms += cx.now.since(self.passed_ms);
            if self.vain_ms >= NO_FIX_MS {
                self.trouble.tell(cx, false);
            }
        }
    }

    /// A search has ended: everybody who waited for it is served.
    fn found(&mut self, fix: Option<Fix>, cx: &mut Cx<'_>) {
        let uptime_ms = cx.now.uptime_ms;
        let mut is_told = false;
        for id in core::mem::take(&mut self.locates) {
            // Without a new one the last, whose age is told; without any, it failed.
            let known = fix.or(self.last);
            if let Some(known) = known.filter(|_| !is_told) {
                is_told = self.tell(cx, &known).is_some();
            }
            cx.done(id, if known.is_some() { Outcome::Done } else { Outcome::Failed });
        }
        if let Some((since_ms, due_ms)) = self.alarm
            && due_ms <= uptime_ms
        {
            if let Some(fix) = fix.filter(|_| !is_told) {
                is_told = self.tell(cx, &fix).is_some();
            }
            let is_on = uptime_ms.saturating_sub(since_ms) < ALARM_TRACK_MS;
            self.alarm = Some((since_ms, uptime_ms.saturating_add(ALARM_INTERVAL_MS))).filter(|_| is_on);
        }
        let interval_ms = self.interval_ms();
        if interval_ms.is_some_and(|ms| self.told_ms.is_none_or(|told_ms| cx.now.since(told_ms) >= ms)) {
            match fix.filter(|_| !is_told) {
                Some(fix) => drop(self.tell(cx, &fix)),
                // No fix: the next search comes at the interval, not at once.
                None => self.told_ms = Some(uptime_ms),
            }
        }
        self.looked_ms = Some(uptime_ms);
        let (Some(fence), Some(fix)) = (self.fence, fix) else { return };
        if let Some(is_outside) = self.side.take(&fence, &fix) {
            let identity = self.tell(cx, &fix).filter(|_| is_outside);
            self.crossed = identity.map(|identity| (identity, uptime_ms.saturating_add(UNHEARD_MS)));
        }
    }

    /// A crossing that nobody hears of is shown to the wearer. The device raises nothing: rules at the gateway do.
    fn unheard(&mut self, cx: &mut Cx<'_>) {
        let Some((identity, due_ms)) = self.crossed else { return };
        if !cx.outbox.identities().any(|(waiting, _)| waiting == identity) {
            self.crossed = None;
        } else if cx.now.uptime_ms >= due_ms {
            self.crossed = Some((identity, cx.now.uptime_ms.saturating_add(UNHEARD_AGAIN_MS)));
            cx.show(Shown {
                light: Light::Flash,
                sound: Sound::Warn,
                sv: "Larmet har ingen kontakt här. Gå tillbaka om du kan",
                en: "Your alarm has no connection here. Go back if you can",
            });
        }
    }
}

impl<S: Read + ReadReady, I: InputPin, O: OutputPin> Role for GpsAlarm<S, I, O> {
    fn start(&mut self, cx: &mut Cx<'_>) {
        self.trouble.start(cx);
        self.button_trouble.start(cx);
        self.interval_s = Settings::read(cx.keep).position_interval_s;
        let mut buffer = [0; VALUE_BYTES_MAX];
        self.fence = cx.read(FENCE, &mut buffer).ok().flatten().and_then(Fence::from_bytes).or(self.fence);
        self.passed_ms = cx.now.uptime_ms;
    }

    fn pass(&mut self, cx: &mut Cx<'_>) {
        self.press(cx);
        if self.pins.moves.is_high().unwrap_or(true) {
            self.moved_ms = Some(cx.now.uptime_ms);
        }
        self.read(cx);
        self.search(cx);
        self.unheard(cx);
        self.passed_ms = cx.now.uptime_ms;
    }

    fn carry_out(&mut self, message: &CommandMessage, cx: &mut Cx<'_>) -> Carried {
        match &message.command {
            Command::Locate {} => {
                let fresh = self.last.filter(|last| cx.now.since(last.uptime_ms) <= FRESH_MS);
                if let Some(fresh) = fresh {
                    self.tell(cx, &fresh);
                    return Carried::Done(Outcome::Done);
                }
                match self.locates.push(message.id) {
                    Ok(()) => Carried::Underway,
                    Err(_) => Carried::Done(Outcome::Failed),
                }
            }
            Command::Settings { position_interval_s, .. } => {
                self.interval_s = position_interval_s.or(self.interval_s);
                Carried::Done(Outcome::Done)
            }
            _ => Carried::NotMine,
        }
    }

    fn edge(&mut self, uptime_ms: u64) {
        self.button.edge(uptime_ms);
    }

    fn rest_ms(&self, now: Now) -> u64 {
        const SEARCHING_MS: u64 = 100;
        // A lost interrupt of the button.
        const RESTING_MS: u64 = 1_000;
        let search = if self.search.is_some() { SEARCHING_MS } else { self.due_ms(now).unwrap_or(u64::MAX) };
        let unheard = self.crossed.map_or(u64::MAX, |(_, due_ms)| due_ms.saturating_sub(now.uptime_ms));
        RESTING_MS.min(search).min(unheard).min(self.button.rest_ms(now.uptime_ms))
    }
}
