//! The pendant and the button on the wall: every press goes at once, and a hold or a cancel only adds.

mod bench;

use std::cell::Cell;
use std::rc::Rc;

use bench::{Bench, Display, Memory};
use embedded_hal::digital::{Error, ErrorKind, ErrorType, InputPin};
use proptest::prelude::*;
use vaka_device::Role;
use vaka_device::pendant::{
    Button, CANCEL_WINDOW_MS, CHATTER_MS, DEBOUNCE_MS, HOLD_MS, Hold, Pendant, Pushed, STUCK_MS,
};
use vaka_device::pins::{Active, Input, NoPin};
use vaka_protocol::{AlarmId, Command, Event, Lane, Light, Press, Rung, Sound};

/// A wire that the test holds: its level, `None` while it cannot be read.
#[derive(Clone)]
struct Wire(Rc<Cell<Option<bool>>>);

#[derive(Debug)]
struct Cut;

impl Error for Cut {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Wire {
    type Error = Cut;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Cut> {
        self.0.get().ok_or(Cut)
    }

    fn is_low(&mut self) -> Result<bool, Cut> {
        self.is_high().map(|high| !high)
    }
}

impl Wire {
    fn new(high: bool) -> Self {
        Self(Rc::new(Cell::new(Some(high))))
    }

    fn set(&self, high: bool) {
        self.0.set(Some(high));
    }
}

/// A push button to ground.
fn button(wire: &Wire) -> Input<Wire> {
    Input::new(wire.clone(), Active::Low)
}

fn bench(wire: &Wire) -> Bench<Pendant<Wire>> {
    Bench::new(Pendant::new(button(wire)), None)
}

fn short() -> Event {
    Event::Button { press: Press::Short }
}

fn long() -> Event {
    Event::Button { press: Press::Long }
}

fn fault(part: &str, active: bool) -> Event {
    Event::Fault { part: part.into(), active }
}

fn push<R: Role>(bench: &mut Bench<R>, wire: &Wire, ms: u64) {
    wire.set(false);
    bench.run(ms);
    wire.set(true);
    bench.run(100);
}

#[test]
fn a_press_goes_when_it_settles_and_not_when_it_is_let_go() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    bench.run(1_000);
    bench.told();
    wire.set(false);
    bench.run(DEBOUNCE_MS);
    let told = bench.told();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].event, told[0].uptime_ms), (&short(), Some(1_000 + DEBOUNCE_MS)));
    assert_eq!((bench.device.panel.light, bench.device.panel.sounds.first()), (Some(Light::Blink), Some(&Sound::Tick)));
    wire.set(true);
    bench.run(1_000);
    assert_eq!(bench.events(), []);
}

#[test]
fn every_press_is_told_whatever_became_of_the_one_before() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    for _ in 0..5 {
        push(&mut bench, &wire, 100);
    }
    let presses = bench.device.waiting().filter(|(_, lane)| *lane == Lane::Life).count();
    assert_eq!(presses, 5);
    let newest = bench.told().iter().filter_map(|message| message.seq).max().expect("five presses wait");
    let receipt = |seq, rung| {
        let alarm = AlarmId::try_from("a1").expect("an id");
        Command::Receipt { restart: 1, seq, alarm, rung, last: false }
    };
    bench.command(receipt(newest, Rung::Accepted), 60_000);
    assert_eq!(bench.device.panel.text, "Larmet är mottaget");
    push(&mut bench, &wire, 100);
    assert_eq!(bench.device.panel.text, "Larmet skickas");
    assert_eq!(bench.events().iter().filter(|event| **event == short()).count(), 1);
}

#[test]
fn a_hold_adds_and_a_stuck_button_tells_of_it_once() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    wire.set(false);
    bench.run(HOLD_MS);
    assert_eq!(bench.events(), [short()]);
    bench.run(DEBOUNCE_MS);
    assert_eq!(bench.events(), [long()]);
    bench.run(STUCK_MS);
    assert_eq!(bench.events(), [fault("button", true)]);
    bench.run(10 * STUCK_MS);
    assert_eq!(bench.events(), []);
    wire.set(true);
    bench.run(1_000);
    assert_eq!(bench.events(), [fault("button", false)]);
    push(&mut bench, &wire, 100);
    assert_eq!(bench.events(), [short()]);
}

#[test]
fn a_press_that_wakes_the_device_counts() {
    let wire = Wire::new(false);
    let mut bench = bench(&wire);
    bench.run(DEBOUNCE_MS);
    assert_eq!(bench.events(), [short()]);
}

#[test]
fn a_second_button_takes_the_call_back_and_what_is_shown_stays() {
    let (call, back) = (Wire::new(true), Wire::new(true));
    let mut bench = Bench::new(Pendant::new(button(&call)).with_cancel(button(&back)), None);
    push(&mut bench, &call, 100);
    let light = bench.device.panel.light;
    push(&mut bench, &back, 100);
    let Display { light: after, sounds, .. } = &bench.device.panel;
    assert_eq!((*after, &sounds[..]), (light, &[Sound::Tick; 2][..]));
    assert_eq!(bench.events(), [short(), Event::Cancel {}]);
    // A press after it is a call as any other.
    push(&mut bench, &call, 100);
    assert_eq!(bench.events(), [short()]);
}

#[test]
fn where_it_was_agreed_a_hold_soon_after_a_call_takes_it_back() {
    let wire = Wire::new(true);
    let mut bench = Bench::new(Pendant::new(button(&wire)).with_hold(Hold::Cancels), None);
    // The call itself, held: clutched.
    push(&mut bench, &wire, HOLD_MS + 100);
    assert_eq!(bench.events(), [short(), long()]);
    // Held again within the window: told as a press, then taken back.
    push(&mut bench, &wire, HOLD_MS + 100);
    assert_eq!(bench.events(), [short(), Event::Cancel {}]);
    // Later: a new call.
    bench.run(CANCEL_WINDOW_MS + 1_000);
    push(&mut bench, &wire, HOLD_MS + 100);
    assert_eq!(bench.events(), [short(), long()]);
}

#[test]
fn a_cord_that_is_pulled_or_torn_off_calls() {
    // The reed contact is closed at rest and pulls the wire down.
    let wire = Wire::new(false);
    let mut bench = Bench::new(Pendant::new(Input::new(wire.clone(), Active::High)), None);
    bench.run(10_000);
    assert_eq!(bench.events(), []);
    wire.set(true);
    bench.run(DEBOUNCE_MS);
    assert_eq!(bench.events(), [short()]);
}

#[test]
fn a_pin_that_cannot_be_read_is_told_once_and_its_return_too() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    wire.0.set(None);
    bench.run(60_000);
    assert_eq!(bench.events(), [fault("button", true)]);
    wire.set(true);
    bench.run(2_000);
    assert_eq!(bench.events(), [fault("button", false)]);
}

#[test]
fn a_call_for_which_there_is_no_room_is_not_shown_as_sent() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    bench.device = vaka_device::Device::boot(
        Memory::default(),
        Pendant::new(button(&wire)),
        Display::default(),
        vaka_device::Boot { room: 0, chance: 1, cause: vaka_protocol::StartCause::Power, version: "0" },
        bench.now,
    );
    push(&mut bench, &wire, 100);
    assert_eq!(bench.device.panel.light, Some(Light::Flash));
}

#[test]
fn a_press_while_the_device_was_held_up_is_not_missed() {
    let wire = Wire::new(true);
    let mut bench = bench(&wire);
    bench.run(1_000);
    // Pressed and let go within an erase of the flash: nobody looked.
    bench.device.role.edge(bench.now.uptime_ms);
    bench.now.uptime_ms += 150;
    bench.run(1_000);
    assert_eq!(bench.events(), [short()]);
    // With somebody to look, a glitch is a glitch.
    bench.device.role.edge(bench.now.uptime_ms);
    bench.run(1_000);
    assert_eq!(bench.events(), []);
    // Seen once, then let go while nobody looked.
    wire.set(false);
    bench.run(5);
    wire.set(true);
    bench.now.uptime_ms += 150;
    bench.run(1_000);
    assert_eq!(bench.events(), [short()]);
    // An edge of a press that is seen too is not another one.
    bench.device.role.edge(bench.now.uptime_ms);
    bench.now.uptime_ms += 150;
    push(&mut bench, &wire, 200);
    assert_eq!(bench.events(), [short()]);
}

#[test]
fn a_button_at_rest_needs_nobody() {
    let mut button = Button::new();
    assert_eq!(button.push(false, 0), None);
    assert_eq!(button.push(false, 100), None);
    assert_eq!(button.rest_ms(100), u64::MAX);
    let mut none = NoPin;
    assert!(!Input::new(&mut none, Active::Low).is_active().expect("it cannot fail"));
}

#[test]
fn a_press_that_lasts_for_hours_says_three_things() {
    let mut button = Button::new();
    let (mut told, mut ms) = (Vec::new(), 0);
    while ms < 10 * STUCK_MS {
        told.extend(button.push(true, ms));
        ms += button.rest_ms(ms).clamp(1, 60_000);
    }
    assert_eq!(told, [Pushed::Pressed, Pushed::Held, Pushed::Stuck]);
}

#[test]
fn a_worn_contact_under_a_trembling_finger_is_a_press() {
    let mut button = Button::new();
    // Every level lasts 8 ms: none is ever settled.
    let told: Vec<_> =
        (0..200u64).filter_map(|ms| button.push(ms / 8 % 2 == 0, ms).map(|pushed| (ms, pushed))).collect();
    assert_eq!(told, [(CHATTER_MS, Pushed::Pressed)]);
}

/// A press as a contact makes it: it bounces, is held, bounces again. Each bounce is shorter than the debounce time.
fn press() -> impl Strategy<Value = (Vec<u64>, u64, Vec<u64>, u64)> {
    // Bounces that all told stay below the time after which they would count as pressed.
    let bounces = || {
        prop::collection::vec(1..5u64, 0..5).prop_map(|mut b| {
            b.truncate(b.len() / 2 * 2);
            b
        })
    };
    (bounces(), 30..2_500u64, bounces(), 30..5_000u64)
}

proptest! {
    #[test]
    fn a_press_with_its_bounce_is_one_press_and_a_glitch_is_none(
        presses in prop::collection::vec(press(), 1..8),
        glitch in 1..DEBOUNCE_MS - 5,
    ) {
        let mut levels = Vec::new();
        let hold = |levels: &mut Vec<bool>, level, ms: u64| levels.extend((0..ms).map(|_| level));
        for (down, held, up, free) in &presses {
            down.iter().enumerate().for_each(|(place, ms)| hold(&mut levels, place % 2 == 0, *ms));
            hold(&mut levels, true, *held);
            up.iter().enumerate().for_each(|(place, ms)| hold(&mut levels, place % 2 == 1, *ms));
            hold(&mut levels, false, *free);
            hold(&mut levels, true, glitch);
            hold(&mut levels, false, 2 * DEBOUNCE_MS);
        }
        let mut button = Button::new();
        let (mut told, mut due, mut before) = (Vec::new(), 0, false);
        for (ms, level) in levels.iter().enumerate() {
            let ms = ms as u64;
            // As on a board: looked at on an edge, and when its rest is over.
            if *level != before || ms >= due {
                told.extend(button.push(*level, ms));
                due = ms.saturating_add(button.rest_ms(ms));
                before = *level;
            }
        }
        let expected: Vec<_> = presses.iter().flat_map(|_| [Pushed::Pressed, Pushed::Released]).collect();
        prop_assert_eq!(told, expected);
    }
}
