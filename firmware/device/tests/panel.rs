//! Light, sounder and motor: what a resident sees, hears and feels, by the told time.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;

use embedded_hal::digital::{ErrorType, OutputPin};
use vaka_device::pins::NoPin;
use vaka_device::{Now, Panel, PinPanel, Words, calling, not_through, shown};
use vaka_protocol::{Light, Rung, Sound};

#[derive(Clone, Default)]
struct Lamp(Rc<Cell<bool>>);

impl ErrorType for Lamp {
    type Error = Infallible;
}

impl OutputPin for Lamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.set(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.set(true);
        Ok(())
    }
}

#[derive(Default)]
struct Written(RefCell<String>);

impl Words for Written {
    fn words(&mut self, text: &str) {
        *self.0.borrow_mut() = text.to_owned();
    }
}

/// A panel with the levels of its pins.
struct Seen {
    panel: PinPanel<Lamp, Lamp, Lamp, Written>,
    light: Lamp,
    sound: Lamp,
    felt: Lamp,
    now: Now,
}

impl Seen {
    fn new() -> Self {
        let (light, sound, felt) = (Lamp::default(), Lamp::default(), Lamp::default());
        let panel = PinPanel::with_display(light.clone(), sound.clone(), felt.clone(), Written::default());
        Self { panel, light, sound, felt, now: Now::booted(1_000) }
    }

    fn show(&mut self, light: Light, sound: Sound) {
        self.panel.show(Some(light), Some(sound), None, self.now);
    }

    /// For how many milliseconds each was on, and how often it went on, over that time. The panel is looked at when it asks.
    fn watch(&mut self, ms: u64) -> [(u64, u32); 3] {
        let mut watched = [(0, 0); 3];
        let mut before = [false; 3];
        let mut due = 0;
        for step in 0..ms {
            if step >= due {
                due = self.panel.pass(self.now).map_or(u64::MAX, |rest| step + rest);
            }
            let levels = [&self.light, &self.sound, &self.felt].map(|lamp| lamp.0.get());
            for ((on_ms, times), (level, was)) in watched.iter_mut().zip(levels.into_iter().zip(before)) {
                *on_ms += u64::from(level);
                *times += u32::from(level && !was);
            }
            before = levels;
            self.now.uptime_ms += 1;
        }
        watched
    }
}

#[test]
fn blink_is_slow_flash_is_fast_and_steady_stays() {
    let mut seen = Seen::new();
    seen.show(Light::Blink, Sound::Off);
    assert_eq!(seen.watch(10_000)[0], (5_000, 10));
    seen.show(Light::Flash, Sound::Off);
    assert_eq!(seen.watch(10_000)[0], (5_000, 50));
    seen.show(Light::Steady, Sound::Off);
    assert_eq!(seen.watch(600_000)[0], (600_000, 1));
    seen.show(Light::Off, Sound::Off);
    assert_eq!(seen.watch(10_000), [(0, 0); 3]);
}

#[test]
fn every_sound_is_heard_and_felt_once_and_differs_by_skin_alone() {
    let mut seen = Seen::new();
    let mut told = [Sound::Tick, Sound::Chime, Sound::Warn].map(|sound| {
        seen.show(Light::Off, sound);
        let [light, heard, felt] = seen.watch(20_000);
        assert_eq!(light, (0, 0));
        assert!(heard.0 > 0 && felt.0 > 0, "{sound:?}");
        (felt.1, heard.1)
    });
    told.sort_unstable();
    assert_eq!(told, [(1, 1), (2, 3), (5, 5)]);
}

#[test]
fn without_volume_it_is_still_felt() {
    let mut seen = Seen::new();
    seen.panel.volume(0);
    seen.show(Light::Steady, Sound::Chime);
    let [light, heard, felt] = seen.watch(5_000);
    assert_eq!((light.1, heard), (1, (0, 0)));
    assert!(felt.0 >= 1_000);
    seen.panel.volume(1);
    seen.show(Light::Steady, Sound::Chime);
    assert!(seen.watch(5_000)[1].0 > 0);
}

#[test]
fn a_press_is_answered_before_the_next_pass() {
    let mut seen = Seen::new();
    let calling = calling();
    seen.panel.show(Some(calling.light), Some(calling.sound), Some(calling.sv), seen.now);
    assert!(seen.light.0.get() && seen.sound.0.get() && seen.felt.0.get());
    assert_eq!(*seen.panel.display().0.borrow(), "Larmet skickas");
}

#[test]
fn receipts_that_change_nothing_do_not_disturb_the_light() {
    let mut seen = Seen::new();
    seen.show(Light::Blink, Sound::Tick);
    let mut on_ms = 0;
    for rung in [Rung::Stored, Rung::Sent, Rung::Received] {
        let shown = shown(rung);
        seen.show(shown.light, shown.sound);
        on_ms += seen.watch(1_300)[0].0;
    }
    // 3.9 s of half a second on, half a second off, from its beginning.
    assert_eq!(on_ms, 2_000);
}

#[test]
fn what_this_version_does_not_know_changes_nothing() {
    let mut seen = Seen::new();
    let warned = not_through();
    seen.show(warned.light, Sound::Off);
    seen.show(Light::Other, Sound::Other);
    let [light, heard, felt] = seen.watch(10_000);
    assert_eq!((light.1, heard, felt), (50, (0, 0), (0, 0)));
}

#[test]
fn a_receipt_right_after_the_press_does_not_cut_its_tick_off() {
    let mut seen = Seen::new();
    seen.show(Light::Blink, Sound::Tick);
    let begun = seen.watch(20)[2].0;
    seen.show(Light::Blink, Sound::Off);
    assert_eq!(begun + seen.watch(1_000)[2].0, 120);
    seen.show(Light::Flash, Sound::Warn);
    seen.show(Light::Blink, Sound::Off);
    assert_eq!(seen.watch(5_000)[2].0, 0);
}

#[test]
fn nothing_to_do_means_a_long_rest() {
    let mut panel = PinPanel::new(NoPin, NoPin, NoPin);
    assert_eq!(panel.pass(Now::booted(0)), None);
    panel.show(Some(Light::Flash), None, None, Now::booted(0));
    assert_eq!(panel.pass(Now::booted(30)), Some(70));
    panel.show(Some(Light::Steady), None, None, Now::booted(40));
    assert!(panel.pass(Now::booted(50)).is_some_and(|rest_ms| rest_ms > 60_000));
    assert!(!panel.is_failing());
}
