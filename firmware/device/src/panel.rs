//! Light, sound, vibration and words: what a device says to the person beside it.
//!
//! Enters: what to show. Leaves: the levels of the pins, in their time. Invariants: whoever is deaf feels every sound and
//! whoever is blind hears every light's news (the feedback gives both); volume 0 silences the sounder alone; a light or
//! sound that this version does not know changes nothing.

use embedded_hal::digital::OutputPin;
use vaka_protocol::{Light, Sound};

use crate::Now;
use crate::pins::NoPin;

/// The parts that show something.
pub trait Panel {
    /// Shows it from now on; `None`: that part stays as it is. A sound is made once.
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, now: Now);

    /// Drives the patterns (blinking, chimes). Returns for how many milliseconds nothing changes by itself.
    fn pass(&mut self, now: Now) -> Option<u64>;

    /// Loudness, 0 to 100.
    fn volume(&mut self, _percent: u8) {}
}

/// A display of words. A pendant has none.
pub trait Words {
    /// Shows these words in place of those before.
    fn words(&mut self, text: &str);
}

/// No display.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWords;

impl Words for NoWords {
    fn words(&mut self, _text: &str) {}
}

/// Milliseconds on, off, on … from the beginning. All patterns: our choice; blink and flash differ by a factor of five, the
/// chime is rising (its tones get longer) and the warning is five equal ones, so that they are told apart by skin alone.
type Pattern = &'static [u16];

/// Slow: one second a round.
const BLINK: Pattern = &[500, 500];
/// Fast: five times a second.
const FLASH: Pattern = &[100, 100];
/// On for ever: the longest part there is, again and again.
const STEADY: Pattern = &[u16::MAX];

const SOUND_TICK: Pattern = &[40];
const SOUND_CHIME: Pattern = &[80, 80, 160, 80, 480];
const SOUND_WARN: Pattern = &[250, 150, 250, 150, 250, 150, 250, 150, 250];

/// A small motor needs some 50 ms to turn: shorter is not felt.
const FELT_TICK: Pattern = &[120];
const FELT_CHIME: Pattern = &[300, 200, 900];
const FELT_WARN: Pattern = SOUND_WARN;

/// One output and the pattern that it plays.
#[derive(Debug, Clone)]
struct Played<O> {
    pin: O,
    pattern: Pattern,
    /// The pattern goes on for ever.
    repeats: bool,
    since_ms: u64,
    /// The level that the pin has; `None`: not known.
    level: Option<bool>,
}

impl<O: OutputPin> Played<O> {
    fn new(pin: O) -> Self {
        Self { pin, pattern: &[], repeats: false, since_ms: 0, level: None }
    }

    fn play(&mut self, pattern: Pattern, repeats: bool, now: Now) {
        (self.pattern, self.repeats, self.since_ms) = (pattern, repeats, now.uptime_ms);
    }

    /// Brings the pin to its level. Returns for how long it stays, `None`: for good. False: the pin failed.
    fn pass(&mut self, now: Now) -> (Option<u64>, bool) {
        let (level, rest_ms) = self.due(now.since(self.since_ms));
        if self.level == Some(level) {
            return (rest_ms, true);
        }
        let driven = if level { self.pin.set_high() } else { self.pin.set_low() };
        self.level = driven.is_ok().then_some(level);
        (rest_ms, driven.is_ok())
    }

    /// The level that long after the beginning, and until when.
    fn due(&self, elapsed_ms: u64) -> (bool, Option<u64>) {
        let round_ms: u64 = self.pattern.iter().map(|part| u64::from(*part)).sum();
        if round_ms == 0 || (!self.repeats && elapsed_ms >= round_ms) {
            return (false, None);
        }
        let mut left_ms = elapsed_ms % round_ms;
        for (place, part) in self.pattern.iter().enumerate() {
            let part_ms = u64::from(*part);
            if left_ms < part_ms {
                return (place % 2 == 0, Some(part_ms - left_ms));
            }
            left_ms -= part_ms;
        }
        (false, None)
    }
}

/// A light, a sounder and a motor, each on a pin that is high for on, and a display where there is one.
///
/// A part that is missing is a [`NoPin`]. The sounder makes its own tone: it knows on and off, so the volume only tells 0
/// from the rest.
#[derive(Debug, Clone)]
pub struct PinPanel<Led, Buzzer = NoPin, Motor = NoPin, Display = NoWords> {
    led: Played<Led>,
    buzzer: Played<Buzzer>,
    motor: Played<Motor>,
    display: Display,
    volume_percent: u8,
    is_failing: bool,
}

impl<Led: OutputPin, Buzzer: OutputPin, Motor: OutputPin> PinPanel<Led, Buzzer, Motor> {
    /// Everything dark and silent.
    pub fn new(led: Led, buzzer: Buzzer, motor: Motor) -> Self {
        Self::with_display(led, buzzer, motor, NoWords)
    }
}

impl<Led: OutputPin, Buzzer: OutputPin, Motor: OutputPin, Display: Words> PinPanel<Led, Buzzer, Motor, Display> {
    /// Everything dark and silent; words go to the display.
    pub fn with_display(led: Led, buzzer: Buzzer, motor: Motor, display: Display) -> Self {
        Self {
            led: Played::new(led),
            buzzer: Played::new(buzzer),
            motor: Played::new(motor),
            display,
            volume_percent: 100,
            is_failing: false,
        }
    }

    /// A pin could not be driven when it was last tried (an expander on a bus).
    pub fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// The display.
    pub fn display(&self) -> &Display {
        &self.display
    }

    fn drive(&mut self, now: Now) -> Option<u64> {
        let (light_ms, light) = self.led.pass(now);
        let (sound_ms, sound) = self.buzzer.pass(now);
        let (felt_ms, felt) = self.motor.pass(now);
        self.is_failing = !(light && sound && felt);
        [light_ms, sound_ms, felt_ms].into_iter().flatten().min()
    }
}

impl<Led: OutputPin, Buzzer: OutputPin, Motor: OutputPin, Display: Words> Panel
    for PinPanel<Led, Buzzer, Motor, Display>
{
    fn show(&mut self, light: Option<Light>, sound: Option<Sound>, text: Option<&str>, now: Now) {
        let pattern = match light {
            Some(Light::Off) => Some(&[][..]),
            Some(Light::Blink) => Some(BLINK),
            Some(Light::Steady) => Some(STEADY),
            Some(Light::Flash) => Some(FLASH),
            Some(Light::Other) | None => None,
        };
        // What is shown already goes on: a light that begins anew at every receipt never blinks.
        if let Some(pattern) = pattern.filter(|pattern| *pattern != self.led.pattern) {
            self.led.play(pattern, true, now);
        }
        let patterns = match sound {
            // A tick is over by itself: the receipt that follows a press at once must not cut it off.
            Some(Sound::Off) if self.motor.pattern == FELT_TICK => None,
            Some(Sound::Off) => Some((&[][..], &[][..])),
            Some(Sound::Tick) => Some((SOUND_TICK, FELT_TICK)),
            Some(Sound::Chime) => Some((SOUND_CHIME, FELT_CHIME)),
            Some(Sound::Warn) => Some((SOUND_WARN, FELT_WARN)),
            Some(Sound::Other) | None => None,
        };
        if let Some((heard, felt)) = patterns {
            self.buzzer.play(if self.volume_percent == 0 { &[] } else { heard }, false, now);
            self.motor.play(felt, false, now);
        }
        if let Some(text) = text {
            self.display.words(text);
        }
        // A press is answered at once, not at the next pass.
        self.drive(now);
    }

    fn pass(&mut self, now: Now) -> Option<u64> {
        self.drive(now)
    }

    fn volume(&mut self, percent: u8) {
        self.volume_percent = percent;
    }
}
