//! The outbox: kept when it is taken in, nothing goes uncounted, life goes last, bytes never change.

mod bench;

use std::collections::BTreeMap;

use bench::Memory;
use proptest::prelude::*;
use vaka_device::flash::{Flash, PAGES_MIN};
use vaka_device::keep::EVENTS;
use vaka_device::{Identity, Keep, Now, Outbox, Ticket};
use vaka_parts::nor::{Nor, PAGE_BYTES};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{Event, EventMessage, Lane, Press, decode_event};

const ROOM: usize = 4;

fn press() -> Event {
    Event::Button { press: Press::Short }
}

fn battery() -> Event {
    Event::Battery { percent: None, low: true }
}

fn at(uptime_ms: u64) -> Now {
    Now::booted(uptime_ms)
}

fn bytes(outbox: &Outbox, keep: &mut dyn Keep) -> Vec<(Identity, Vec<u8>)> {
    let read = |(identity, _)| {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        (identity, outbox.message(keep, identity, &mut buffer).expect("it waits").to_vec())
    };
    outbox.identities().map(read).collect()
}

fn messages(outbox: &Outbox, keep: &mut dyn Keep) -> Vec<EventMessage> {
    bytes(outbox, keep).into_iter().map(|(_, bytes)| decode_event(&bytes).expect("an event")).collect()
}

fn names(outbox: &Outbox, keep: &mut dyn Keep) -> Vec<String> {
    messages(outbox, keep).iter().map(|message| message.event.name().to_owned()).collect()
}

/// What goes out, in its order, and is not acknowledged.
fn handed(outbox: &mut Outbox, keep: &mut dyn Keep) -> Vec<(Ticket, EventMessage)> {
    let mut handed = Vec::new();
    let mut buffer = [0; MESSAGE_BYTES_MAX];
    while let Some((ticket, bytes)) = outbox.next(keep, &mut buffer) {
        handed.push((ticket, decode_event(bytes).expect("an event")));
        outbox.handed(ticket);
    }
    handed
}

#[test]
fn a_message_has_its_number_its_time_and_stays_until_acknowledged() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    let identity = outbox.put(&mut keep, press(), Now { uptime_ms: 10, at: Some(1_000) });
    assert_eq!(identity, Some(Identity { restart: 1, seq: 1 }));
    let expected = EventMessage {
        restart: Some(1),
        seq: Some(1),
        uptime_ms: Some(10),
        at: Some(1_000),
        ..EventMessage::new(press())
    };
    let [(ticket, message)] = &handed(&mut outbox, &mut keep)[..] else { panic!("one waits") };
    assert_eq!(message, &expected);
    assert!(handed(&mut outbox, &mut keep).is_empty(), "the connection has it");
    outbox.apart();
    assert_eq!(handed(&mut outbox, &mut keep).len(), 1, "the next connection gets it again");
    assert_eq!(outbox.acked(&mut keep, *ticket, at(20)), identity);
    assert_eq!(outbox.acked(&mut keep, *ticket, at(20)), None);
    assert!(outbox.is_empty());
}

#[test]
fn a_boot_takes_up_what_waited_byte_for_byte_and_counts_itself() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    for event in [Event::Motion {}, press(), battery()] {
        outbox.put(&mut keep, event, Now { uptime_ms: 3, at: Some(9) });
    }
    let before = bytes(&outbox, &mut keep);
    for boot in 2..5 {
        let mut outbox = Outbox::open(&mut keep, ROOM, 0);
        assert_eq!(outbox.restart(), boot);
        assert_eq!(bytes(&outbox, &mut keep), before);
        assert_eq!(handed(&mut outbox, &mut keep).len(), 3);
    }
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    outbox.put(&mut keep, press(), at(0));
    assert_eq!(names(&outbox, &mut keep), ["button", "button", "battery", "motion"]);
    let [first, second, ..] = &messages(&outbox, &mut keep)[..] else { panic!("four wait") };
    assert_eq!((first.restart, second.restart), (Some(1), Some(5)), "the older first");
}

#[test]
fn a_press_overtakes_what_waits() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    for event in [Event::Motion {}, battery(), press(), Event::Cancel {}] {
        outbox.put(&mut keep, event, at(0));
    }
    assert_eq!(names(&outbox, &mut keep), ["button", "cancel", "battery", "motion"]);
    let order: Vec<_> = handed(&mut outbox, &mut keep).into_iter().map(|(_, message)| message.seq).collect();
    assert_eq!(order, [Some(3), Some(4), Some(2), Some(1)]);
}

#[test]
fn telemetry_goes_first_then_technical_and_the_loss_is_told_when_there_is_room() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    for event in [Event::Motion {}, battery(), press(), press()] {
        outbox.put(&mut keep, event, at(5));
    }
    assert!(outbox.put(&mut keep, press(), at(20)).is_some());
    assert!(outbox.put(&mut keep, press(), at(30)).is_some());
    assert_eq!(names(&outbox, &mut keep), ["button"; 4]);
    assert_eq!(outbox.put(&mut keep, Event::Motion {}, at(40)), None);
    assert_eq!(outbox.untold(), 3);
    // A boot forgets no loss.
    let mut outbox = Outbox::open(&mut keep, ROOM, 0);
    assert_eq!(outbox.untold(), 3);
    let ticket = handed(&mut outbox, &mut keep)[0].0;
    outbox.acked(&mut keep, ticket, at(50));
    assert_eq!(outbox.untold(), 0);
    let last = messages(&outbox, &mut keep).pop().expect("the loss is told");
    assert_eq!((&last.event, last.uptime_ms), (&Event::Lost { count: 3 }, Some(50)));
    assert_eq!(Outbox::open(&mut keep, ROOM, 0).untold(), 0, "told once");
    // The message about the loss is technical: another press drops it, and its count lives on.
    outbox.put(&mut keep, press(), at(60));
    assert_eq!(outbox.untold(), 3);
    assert_eq!(Outbox::open(&mut keep, ROOM, 0).untold(), 3);
}

#[test]
fn only_among_life_does_life_go_the_oldest_first() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, 2, 0);
    for _ in 0..3 {
        outbox.put(&mut keep, press(), at(0));
    }
    assert_eq!(outbox.identities().map(|(identity, _)| identity.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(outbox.put(&mut keep, battery(), at(0)), None);
    assert_eq!(outbox.untold(), 2);
}

#[test]
fn an_outbox_without_room_only_counts() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, 0, 0);
    for _ in 0..20 {
        assert_eq!(outbox.put(&mut keep, press(), at(0)), None);
    }
    assert_eq!(outbox.untold(), 20);
}

#[test]
fn a_flash_that_fails_loses_no_call_while_there_is_power() {
    let mut keep = Memory { fails: true, ..Memory::default() };
    let mut outbox = Outbox::open(&mut keep, 64, 0x1234);
    assert!(outbox.has_failed());
    assert_eq!(outbox.restart(), 0x8000_1234, "named by chance: a number twice would make two events one");
    for event in [Event::Motion {}, battery(), Event::Motion {}, Event::Test {}, press(), press(), Event::Cancel {}] {
        outbox.put(&mut keep, event, at(0));
    }
    assert_eq!(names(&outbox, &mut keep), ["button", "button", "cancel", "battery"], "the least worth made room");
    assert_eq!(outbox.untold(), 3);
    let tickets = handed(&mut outbox, &mut keep);
    assert_eq!(tickets.len(), 4);
    for (ticket, _) in tickets {
        assert!(outbox.acked(&mut keep, ticket, at(1)).is_some());
    }
    assert_eq!(names(&outbox, &mut keep), ["lost"]);
    // It works again: what comes is kept again.
    keep.fails = false;
    outbox.put(&mut keep, press(), at(2));
    assert_eq!(names(&Outbox::open(&mut keep, 64, 0), &mut keep), ["button"]);
}

#[test]
fn what_cannot_be_read_is_counted_once_and_holds_nothing_up() {
    let mut keep = Memory::default();
    let mut outbox = Outbox::open(&mut keep, 64, 0);
    for event in [press(), press(), press()] {
        outbox.put(&mut keep, event, at(0));
    }
    keep.values.insert(EVENTS.start, b"never an event".to_vec());
    for lost in [1, 1] {
        let outbox = Outbox::open(&mut keep, 64, 0);
        assert_eq!((outbox.len(), outbox.untold()), (2, lost));
    }
    // One goes away under a running outbox.
    let mut outbox = Outbox::open(&mut keep, 64, 0);
    keep.values.remove(&(EVENTS.start + 1));
    assert_eq!(handed(&mut outbox, &mut keep).len(), 1);
    assert_eq!(outbox.untold(), 2);
    assert!(outbox.has_failed());
}

#[test]
fn a_flash_too_small_for_all_lets_the_least_go() {
    let mut keep = Flash::open(Nor::<_, 4>::blank(vec![0; PAGES_MIN * PAGE_BYTES]));
    let mut outbox = Outbox::open(&mut keep, 64, 0);
    for _ in 0..200 {
        outbox.put(&mut keep, Event::Motion {}, at(0));
    }
    let (before, lost) = (outbox.len(), outbox.untold());
    for _ in 0..20 {
        assert!(outbox.put(&mut keep, press(), at(0)).is_some(), "a press takes the place of a movement");
    }
    let lives = |outbox: &Outbox| outbox.identities().filter(|(_, lane)| *lane == Lane::Life).count();
    assert_eq!(lives(&outbox), 20);
    assert!(outbox.len() <= before && outbox.untold() >= lost);
    assert_eq!(lives(&Outbox::open(&mut keep, 64, 0)), 20, "all of them are kept");
}

#[derive(Debug, Clone)]
enum Act {
    Put(Box<Event>),
    Ack(prop::sample::Index),
    Reboot,
}

fn acts(count: usize) -> impl Strategy<Value = Vec<Act>> {
    let event = prop_oneof![
        Just(press()),
        Just(Event::Enuresis {}),
        Just(battery()),
        Just(Event::Test {}),
        Just(Event::Motion {}),
        Just(Event::Alive {}),
    ];
    let act = prop_oneof![
        6 => event.prop_map(|event| Act::Put(Box::new(event))),
        3 => any::<prop::sample::Index>().prop_map(Act::Ack),
        1 => Just(Act::Reboot),
    ];
    prop::collection::vec(act, 0..count)
}

/// How many events a message stands for.
fn weight(event: &Event) -> u64 {
    if let Event::Lost { count } = event { u64::from(*count) } else { 1 }
}

/// What the world knows of a device's events.
#[derive(Debug, Clone, Default)]
struct Known {
    /// How many were put.
    put: u64,
    /// How many events the acknowledged messages stand for.
    acknowledged: u64,
    /// Every message ever seen waiting.
    bytes: BTreeMap<Identity, Vec<u8>>,
    acked: Vec<Identity>,
    /// Whose acknowledgement is underway.
    underway: Option<(Identity, u64)>,
    restarts: Vec<u32>,
}

impl Known {
    /// What waits was put, is what it always was, is in order and was not acknowledged. Returns for how many it stands.
    fn see(&mut self, outbox: &Outbox, keep: &mut dyn Keep) -> u64 {
        for (identity, bytes) in bytes(outbox, keep) {
            let known = self.bytes.entry(identity).or_insert_with(|| bytes.clone());
            assert_eq!(*known, bytes, "a number never changes its meaning");
            assert!(!self.acked.contains(&identity), "an acknowledged event is back");
        }
        let order: Vec<_> = outbox.identities().map(|(identity, lane)| (lane, identity)).collect();
        assert!(order.is_sorted());
        messages(outbox, keep).iter().map(|message| weight(&message.event)).sum()
    }

    fn boot(&mut self, keep: &mut dyn Keep) -> Outbox {
        let outbox = Outbox::open(keep, ROOM, 0);
        assert!(!self.restarts.contains(&outbox.restart()), "a boot's number came twice");
        self.restarts.push(outbox.restart());
        outbox
    }
}

type Part = Nor<Vec<u8>>;

/// Does it. False: the power went.
fn act(one: &Act, outbox: &mut Outbox, flash: &mut Flash<Part>, known: &mut Known) -> bool {
    match one {
        Act::Put(event) => {
            let life = |outbox: &Outbox| outbox.identities().filter(|(_, lane)| *lane == Lane::Life).count();
            let is_life = event.lane() == Lane::Life;
            let before = life(outbox);
            outbox.put(flash, event.as_ref().clone(), at(known.put));
            if !flash.part().is_off() {
                known.put += 1;
                assert_eq!(life(outbox), (before + usize::from(is_life)).min(ROOM), "life goes only among life");
            }
        }
        Act::Ack(which) => {
            let waiting = handed(outbox, flash);
            outbox.apart();
            if waiting.is_empty() {
                return true;
            }
            let (ticket, message) = which.get(&waiting);
            let (restart, seq) = message.identity().expect("numbered");
            known.underway = Some((Identity { restart, seq }, weight(&message.event)));
            let identity = outbox.acked(flash, *ticket, at(known.put));
            if !flash.part().is_off() {
                known.underway = None;
                known.acknowledged += weight(&message.event);
                known.acked.extend(identity);
            }
        }
        Act::Reboot => {
            *flash = Flash::open(flash.clone_part());
            *outbox = Outbox::open(flash, ROOM, 0);
            if !flash.part().is_off() {
                assert!(!known.restarts.contains(&outbox.restart()), "a boot's number came twice");
                known.restarts.push(outbox.restart());
            }
        }
    }
    !flash.part().is_off()
}

trait ClonePart {
    fn clone_part(&mut self) -> Part;
}

impl ClonePart for Flash<Part> {
    fn clone_part(&mut self) -> Part {
        self.part().clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_waiting_acknowledged_or_counted_whenever_the_power_goes(acts in acts(40), chance: u64) {
        for cut in 0.. {
            let mut part: Part = Nor::blank(vec![0; 5 * PAGE_BYTES]);
            part.cut_after(cut, chance.wrapping_add(cut));
            let mut flash = Flash::open(part);
            let mut known = Known::default();
            let mut outbox = Outbox::open(&mut flash, ROOM, 7);
            let mut was_cut = flash.part().is_off();
            if !was_cut {
                known.restarts.push(outbox.restart());
            }
            // What was there when the power went, and the one act that was cut.
            let (mut put_during, mut before) = (0, Vec::new());
            for one in acts.iter().take(if was_cut { 0 } else { acts.len() }) {
                let waiting = known.see(&outbox, &mut flash);
                prop_assert_eq!(known.put, waiting + known.acknowledged + u64::from(outbox.untold()));
                prop_assert!(outbox.len() == ROOM || outbox.untold() == 0, "a loss is told as soon as there is room");
                prop_assert!(!outbox.has_failed());
                before = bytes(&outbox, &mut flash);
                if !act(one, &mut outbox, &mut flash, &mut known) {
                    was_cut = true;
                    put_during = u64::from(matches!(one, Act::Put(_)));
                    break;
                }
            }
            let mut part = flash.clone_part();
            part.power_on();
            let mut flash = Flash::open(part);
            let mut outbox = known.boot(&mut flash);
            let waits = |identity: Identity| outbox.identities().any(|(other, _)| other == identity);
            // Cut within its acknowledgement, an event is there or not.
            let underway = known.underway.filter(|(identity, _)| !waits(*identity));
            let gone = before.iter().filter(|(identity, _)| !waits(*identity)).count();
            let may_go = if was_cut && put_during == 1 { 1 } else { underway.iter().count() };
            prop_assert!(!was_cut || gone <= may_go, "{gone} are gone after the cut at {cut}");
            let waiting = known.see(&outbox, &mut flash);
            let told = known.acknowledged + underway.map_or(0, |(_, weight)| weight);
            let accounted = waiting + told + u64::from(outbox.untold());
            prop_assert!(accounted >= known.put, "{accounted} of {} after the cut at {cut}", known.put);
            let most = if was_cut { known.put + put_during + 1 } else { known.put };
            prop_assert!(accounted <= most, "{accounted} of {} after the cut at {cut}", known.put);
            // It goes on.
            for event in [press(), battery()] {
                outbox.put(&mut flash, event, at(0));
            }
            known.see(&outbox, &mut flash);
            prop_assert!(!outbox.has_failed());
            if !was_cut {
                break;
            }
        }
    }
}
