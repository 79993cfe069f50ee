//! The device as a whole: commands once over power cuts, what is set stays set, and what is shown is true.

mod bench;

use bench::{Bench, Display, Memory};
use vaka_device::flash::Flash;
use vaka_device::keep::{COMMAND, VALUE_BYTES_MAX};
use vaka_device::{ALIVE_INTERVAL_S, Boot, COMMANDS_MAX, Carried, Cx, Device, Keep, Now, PRESS_ACK_MS_MAX, Role};
use vaka_parts::nor::{Nor, PAGE_BYTES};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{
    AlarmId, Command, CommandMessage, Event, Light, Outcome, Press, Rung, Sound, StartCause, decode_event,
    encode_command_cbor,
};

const AT: i64 = 1_800_000_000_000;

/// Presses when told to, carries out what opens, and notes it in a log that no power cut takes away.
#[derive(Debug, Default)]
struct Hand {
    presses: u32,
    opened: Vec<u64>,
    is_slow: bool,
    finished: Option<u64>,
}

impl Role for Hand {
    fn pass(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..core::mem::take(&mut self.presses) {
            cx.call(Event::Button { press: Press::Short });
        }
        if let Some(id) = self.finished.take() {
            cx.done(id, Outcome::Done);
        }
    }

    fn carry_out(&mut self, message: &CommandMessage, _cx: &mut Cx<'_>) -> Carried {
        match message.command {
            Command::Lock { .. } if self.is_slow => {
                self.opened.push(message.id);
                Carried::Underway
            }
            Command::Lock { .. } => {
                self.opened.push(message.id);
                Carried::Done(Outcome::Done)
            }
            _ => Carried::NotMine,
        }
    }

    fn rest_ms(&self, _now: Now) -> u64 {
        u64::MAX
    }
}

fn lock() -> Command {
    Command::Lock { open: true, until: None, by: "s1".into() }
}

fn done(id: u64, outcome: Outcome) -> Event {
    Event::Done { id, outcome }
}

fn forgotten() -> Outcome {
    Outcome::Other("forgotten".into())
}

/// A device that has told that it started.
fn bench() -> Bench<Hand> {
    let mut bench = Bench::new(Hand::default(), Some(AT));
    bench.told();
    bench
}

#[test]
fn a_start_is_told_with_its_cause() {
    let mut bench = Bench::new(Hand::default(), Some(AT));
    let told: Vec<Event> = bench.told().into_iter().map(|message| message.event).collect();
    assert_eq!(told, [Event::Started { cause: StartCause::Power, version: "0".into() }]);
}

#[test]
fn a_command_is_carried_out_once_and_answered_each_time() {
    let mut bench = bench();
    let id = bench.command(lock(), 1_000);
    bench.deliver(id, lock(), AT + 1_000);
    assert_eq!(bench.events(), [done(id, Outcome::Done), done(id, Outcome::Done)]);
    assert_eq!(bench.device.role.opened, [id]);
    // After a boot nobody knows what became of it.
    let mut bench = bench.cut(Hand::default());
    bench.told();
    bench.deliver(id, lock(), AT + 1_000);
    assert_eq!(bench.events(), [done(id, forgotten())]);
    assert_eq!(bench.device.role.opened, [0_u64; 0]);
    assert_eq!(bench.command(lock(), 1_000), id + 1);
    assert_eq!(bench.device.role.opened, [id + 1]);
}

#[test]
fn a_command_that_takes_longer_is_answered_when_it_is_done() {
    let mut bench = bench();
    bench.device.role.is_slow = true;
    let id = bench.command(lock(), 1_000);
    bench.deliver(id, lock(), AT + 1_000);
    assert_eq!(bench.events(), []);
    bench.device.role.finished = Some(id);
    bench.run(10);
    assert_eq!(bench.events(), [done(id, Outcome::Done)]);
    assert_eq!(bench.device.role.opened, [id]);
}

#[test]
fn what_is_too_old_or_unknown_or_without_a_clock_is_not_done() {
    let mut late = bench();
    let id = late.command(lock(), 0);
    assert_eq!(late.events(), [done(id, Outcome::Expired)]);
    let id = late.command(Command::Locate {}, 1_000);
    assert_eq!(late.events(), [done(id, Outcome::Refused)], "no part of it carries that out");
    assert!(late.device.role.opened.is_empty());
    let mut clockless = Bench::new(Hand::default(), None);
    clockless.told();
    let id = clockless.command(lock(), 1_000);
    assert_eq!(clockless.events(), [done(id, Outcome::Refused)]);
    assert!(clockless.device.role.opened.is_empty());
}

#[test]
fn an_id_that_is_too_old_to_be_known_is_forgotten_and_not_done() {
    let mut bench = bench();
    let first = bench.command(lock(), 1_000);
    for _ in 0..COMMANDS_MAX {
        bench.command(lock(), 1_000);
    }
    bench.told();
    bench.deliver(first, lock(), AT + 1_000);
    assert_eq!(bench.events(), [done(first, forgotten())]);
    assert_eq!(bench.device.role.opened.iter().filter(|id| **id == first).count(), 1);
}

#[test]
fn without_a_flash_no_door_opens_and_a_call_still_goes_out() {
    let mut bench = Bench::boot(Memory { fails: true, ..Memory::default() }, Hand::default(), Some(AT));
    bench.run(10);
    let told = bench.events();
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Fault { .. })).count(), 1);
    assert!(told.contains(&Event::Fault { part: "flash".into(), active: true }));
    let id = bench.command(lock(), 60_000);
    assert_eq!(bench.events(), [done(id, Outcome::Failed)], "it might be done twice");
    assert!(bench.device.role.opened.is_empty());
    bench.device.role.presses = 1;
    bench.run(1_000);
    assert_eq!(bench.events(), [Event::Button { press: Press::Short }]);
    bench.run(60_000);
    assert_eq!(bench.events(), [], "the flash is told once");
}

#[test]
fn settings_stay_set_and_what_is_absent_stays_as_it_was() {
    let set = |interval, volume_percent, language: Option<&str>| Command::Settings {
        heartbeat_interval_s: interval,
        position_interval_s: None,
        volume_percent,
        language: language.map(Into::into),
    };
    let mut bench = bench();
    bench.command(set(Some(60), Some(30), None), 1_000);
    bench.command(set(None, None, Some("en")), 1_000);
    for _ in 0..2 {
        bench = bench.cut(Hand::default());
        let settings = bench.device.settings();
        assert_eq!((settings.alive_interval_s(), settings.is_english()), (60, true));
        assert_eq!(bench.device.panel.volume, Some(30));
    }
    bench.device.role.presses = 1;
    bench.run(10);
    assert_eq!(bench.device.panel.text, "Calling for help");
}

#[test]
fn a_sign_of_life_comes_when_nothing_else_was_told_for_so_long() {
    let mut bench = bench();
    bench.step_ms = 60_000;
    let alive = |bench: &mut Bench<Hand>| bench.told().iter().filter(|m| m.event == Event::Alive {}).count();
    bench.run(u64::from(ALIVE_INTERVAL_S) * 1_000 - 1);
    assert_eq!(alive(&mut bench), 0);
    bench.run(1);
    assert_eq!(alive(&mut bench), 1);
    for _ in 0..10 {
        bench.run(u64::from(ALIVE_INTERVAL_S) * 1_000);
        assert_eq!(alive(&mut bench), 1);
    }
    // What waits says as much, and days offline do not fill the outbox.
    bench.run(u64::from(ALIVE_INTERVAL_S) * 10_000);
    assert_eq!(alive(&mut bench), 1);
    // What is told is a sign of life itself.
    bench.run(u64::from(ALIVE_INTERVAL_S) * 500);
    bench.device.role.presses = 1;
    bench.run(u64::from(ALIVE_INTERVAL_S) * 1_000 - 60_000);
    assert_eq!(alive(&mut bench), 0);
    bench.run(60_000);
    assert_eq!(alive(&mut bench), 1);
}

fn receipt(restart: u32, seq: u64, rung: Rung) -> Command {
    let alarm = AlarmId::try_from("a1").expect("a valid id");
    Command::Receipt { restart, seq, alarm, rung, last: false }
}

#[test]
fn the_light_says_how_far_the_call_has_come_and_no_further() {
    let mut bench = bench();
    bench.device.role.presses = 1;
    bench.run(10);
    assert_eq!(bench.device.panel.light, Some(Light::Blink));
    assert_eq!(bench.device.panel.text, "Larmet skickas");
    let (restart, seq) =
        bench.device.waiting().map(|(identity, _)| (identity.restart, identity.seq)).next().expect("it waits");
    assert_eq!(bench.events(), [Event::Button { press: Press::Short }]);
    assert_eq!(bench.device.panel.text, "Larmet skickas", "stored is not received");
    bench.run(10 * PRESS_ACK_MS_MAX);
    assert_eq!(bench.device.panel.text, "Larmet skickas", "it is through to the gateway");
    let mut seen = Vec::new();
    for rung in [Rung::Sent, Rung::Accepted, Rung::Received, Rung::Claimed, Rung::Accepted, Rung::Closed] {
        bench.command(receipt(restart, seq, rung), 1_000);
        seen.push((bench.device.panel.light, bench.device.panel.text.clone()));
    }
    let (steady, off) = (Some(Light::Steady), Some(Light::Off));
    let words = [
        (Some(Light::Blink), "Larmet skickas"),
        (steady, "Larmet är mottaget"),
        (steady, "Larmet är mottaget"),
        (steady, "Hjälp är på väg"),
        (steady, "Hjälp är på väg"),
        (off, "Larmet är avslutat"),
    ];
    assert_eq!(seen, words.map(|(light, text)| (light, text.to_owned())));
    // The older call's receipts change nothing once there is a newer one.
    bench.device.role.presses = 1;
    bench.run(10);
    bench.command(receipt(restart, seq, Rung::Claimed), 1_000);
    assert_eq!(bench.device.panel.text, "Larmet skickas");
}

#[test]
fn a_call_that_does_not_get_through_says_so_once_and_then_how_it_goes_on() {
    let mut bench = bench();
    bench.device.role.presses = 1;
    bench.run(PRESS_ACK_MS_MAX - 1);
    assert_eq!(bench.device.panel.light, Some(Light::Blink));
    bench.run(20);
    assert_eq!(bench.device.panel.light, Some(Light::Flash));
    bench.run(60_000);
    assert_eq!(bench.device.panel.sounds.iter().filter(|sound| **sound == Sound::Warn).count(), 1);
    bench.told();
    assert_eq!((bench.device.panel.light, bench.device.panel.text.as_str()), (Some(Light::Blink), "Larmet skickas"));
}

type Part = Nor<Vec<u8>>;

fn deliver(device: &mut Device<Flash<Part>, Hand, Display>, id: u64, command: Command) {
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    let message = CommandMessage::new(id, AT + 1_000, command);
    let length = encode_command_cbor(&message, &mut buffer).expect("it fits");
    device.command(&buffer[..length], Now { uptime_ms: 5, at: Some(AT) }).expect("a command");
}

/// A lock's life: started, pressed, a command, the same again, settings.
fn live(device: &mut Device<Flash<Part>, Hand, Display>, base: u64) {
    deliver(device, base, lock());
    deliver(device, base, lock());
    let settings = Command::Settings {
        heartbeat_interval_s: Some(600),
        position_interval_s: None,
        volume_percent: None,
        language: None,
    };
    deliver(device, base + 1, settings);
    deliver(device, base + 2, lock());
}

#[test]
fn a_door_opens_once_whenever_the_power_goes() {
    let boot = Boot { room: 16, chance: 3, cause: StartCause::Power, version: "0" };
    let now = Now { uptime_ms: 0, at: Some(AT) };
    let mut cuts = 0;
    for cut in 0..200 {
        let mut part: Part = Nor::blank(vec![0; 4 * PAGE_BYTES]);
        part.cut_after(cut, cut * 7);
        let mut device = Device::boot(Flash::open(part), Hand::default(), Display::default(), boot, now);
        live(&mut device, 1);
        let before = device.role.opened.clone();
        let waited: Vec<_> = device.waiting().collect();
        let mut part = device.into_keep().into_part();
        let was_cut = part.is_off();
        cuts += u32::from(was_cut);
        part.power_on();
        let mut flash = Flash::open(part);
        if !before.is_empty() && !was_cut {
            assert!(vaka_device::keep::number(&mut flash, COMMAND).expect("it reads") >= before.last().copied());
        }
        // The gateway delivers again what was not answered.
        let mut device = Device::boot(flash, Hand::default(), Display::default(), boot, now);
        live(&mut device, 1);
        let after = &device.role.opened;
        for id in [1, 3] {
            let times = before.iter().chain(after).filter(|opened| **opened == id).count();
            assert!(times <= 1, "{id} was carried out {times} times, cut at {cut}");
        }
        if !was_cut {
            assert_eq!(before, [1, 3]);
            let now: Vec<_> = device.waiting().collect();
            assert!(waited.iter().all(|event| now.contains(event)), "what waited waits");
        }
        let alive = device.settings().alive_interval_s();
        assert!([600, ALIVE_INTERVAL_S].contains(&alive));
    }
    assert!(cuts > 5, "the power went {cuts} times");
}

#[test]
fn a_damaged_record_of_the_last_command_is_told_once_and_refuses_one_command() {
    let boot = Boot { room: 16, chance: 3, cause: StartCause::Power, version: "0" };
    let now = Now { uptime_ms: 0, at: Some(AT) };
    let kept = |keep: &mut Flash<Part>| {
        let mut events = Vec::new();
        let each = keep.each(vaka_device::keep::EVENTS, &mut |_, bytes| {
            let message = &bytes[VALUE_BYTES_MAX - MESSAGE_BYTES_MAX..];
            events.push(decode_event(message).expect("an event"));
        });
        each.expect("all can be read");
        events.sort_by_key(|message| (message.restart, message.seq));
        events.into_iter().map(|message| message.event).collect::<Vec<_>>()
    };
    let part: Part = Nor::blank(vec![0; 4 * PAGE_BYTES]);
    let mut device = Device::boot(Flash::open(part), Hand::default(), Display::default(), boot, now);
    deliver(&mut device, 0x7766_5544, lock());
    assert_eq!(device.role.opened, [0x7766_5544]);
    let mut part = device.into_keep().into_part();
    let record = [2, 0, 0, 0, 8, 0, 0xf7, 0xff, 0x44, 0x55, 0x66, 0x77];
    let at = part.bytes().windows(record.len()).position(|bytes| bytes == record).expect("its record") as u32;
    part.flip(at + 8, 0);
    part.flip(at + 9, 4);

    // Cut before any command comes, the doubt is still there.
    let flash = Device::boot(Flash::open(part), Hand::default(), Display::default(), boot, now).into_keep();
    let mut device = Device::boot(flash, Hand::default(), Display::default(), boot, now);
    deliver(&mut device, 0x7766_5544, lock());
    deliver(&mut device, 0x7766_5545, lock());
    assert_eq!(device.role.opened, [0x7766_5545], "what may be the one of before is not done again, the next is");
    let mut device = Device::boot(device.into_keep(), Hand::default(), Display::default(), boot, now);
    deliver(&mut device, 0x7766_5545, lock());
    deliver(&mut device, 0x7766_5546, lock());
    assert_eq!(device.role.opened, [0x7766_5546]);

    let events = kept(&mut device.into_keep());
    let faults = events.iter().filter(|event| matches!(event, Event::Fault { .. })).count();
    let answers: Vec<&Event> = events.iter().filter(|event| matches!(event, Event::Done { .. })).collect();
    assert_eq!(faults, 1, "{events:?}");
    let wanted = [
        done(0x7766_5544, Outcome::Done),
        done(0x7766_5544, forgotten()),
        done(0x7766_5545, Outcome::Done),
        done(0x7766_5545, forgotten()),
        done(0x7766_5546, Outcome::Done),
    ];
    assert_eq!(answers, wanted.iter().collect::<Vec<_>>());
}

#[test]
fn a_device_full_of_events_still_counts_its_boots_and_takes_commands_once() {
    let mut flash = Flash::open(Nor::<_, 4>::blank(vec![0; 4 * PAGE_BYTES]));
    let boot = Boot { room: 64, chance: 3, cause: StartCause::Power, version: "0" };
    let now = Now { uptime_ms: 0, at: Some(AT) };
    for restart in 1..60 {
        let mut device = Device::boot(flash, Hand::default(), Display::default(), boot, now);
        assert_eq!(device.restart(), restart);
        for _ in 0..3 {
            device.role.presses = 5;
            device.pass(now);
        }
        live(&mut device, u64::from(restart) * 10);
        assert_eq!(device.role.opened, [u64::from(restart) * 10, u64::from(restart) * 10 + 2]);
        flash = device.into_keep();
    }
    let mut calls = 0;
    let each = flash.each(vaka_device::keep::EVENTS, &mut |_, bytes| {
        let message = &bytes[VALUE_BYTES_MAX - MESSAGE_BYTES_MAX..];
        calls += u32::from(matches!(decode_event(message).expect("an event").event, Event::Button { .. }));
    });
    each.expect("all can be read");
    assert!(calls > 20, "{calls} calls are kept");
}
