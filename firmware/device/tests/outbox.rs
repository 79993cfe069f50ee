//! The outbox: nothing goes uncounted, life goes last, bytes never change.

use proptest::prelude::*;
use vaka_device::Outbox;
use vaka_protocol::{Event, EventMessage, Lane, Press};

const ROOM: usize = 4;

fn press() -> Event {
    Event::Button { press: Press::Short }
}

fn battery() -> Event {
    Event::Battery { percent: None, low: true }
}

fn names<const N: usize>(outbox: &Outbox<N>) -> Vec<String> {
    outbox.iter().map(|message| message.event.name().to_owned()).collect()
}

#[test]
fn a_message_has_its_number_its_time_and_stays_until_acknowledged() {
    let mut outbox = Outbox::<ROOM>::new(7);
    assert_eq!(outbox.put(press(), 10, Some(1_000)), Some(1));
    let expected = EventMessage {
        v: 1,
        restart: Some(7),
        seq: Some(1),
        uptime_ms: Some(10),
        at: Some(1_000),
        of: None,
        event: press(),
    };
    assert_eq!(outbox.iter().collect::<Vec<_>>(), [&expected]);
    assert!(!outbox.acked(2));
    assert!(outbox.acked(1));
    assert!(!outbox.acked(1));
    assert!(outbox.is_empty());
}

#[test]
fn a_press_overtakes_what_waits() {
    let mut outbox = Outbox::<ROOM>::new(1);
    for event in [Event::Motion {}, battery(), press(), Event::Cancel {}] {
        outbox.put(event, 0, None);
    }
    assert_eq!(names(&outbox), ["button", "cancel", "battery", "motion"]);
}

#[test]
fn telemetry_goes_first_then_technical_and_the_loss_is_told_when_there_is_room() {
    let mut outbox = Outbox::<ROOM>::new(1);
    for event in [Event::Motion {}, battery(), press(), press()] {
        outbox.put(event, 5, None);
    }
    assert_eq!(outbox.put(press(), 20, Some(9)), Some(5));
    assert_eq!(outbox.put(press(), 30, None), Some(6));
    assert_eq!(names(&outbox), ["button"; 4]);
    assert_eq!(outbox.put(Event::Motion {}, 40, Some(11)), None);
    assert_eq!(outbox.untold(), 3);
    assert!(outbox.acked(3));
    assert_eq!(outbox.untold(), 0);
    let last = outbox.iter().last().expect("the loss is told");
    assert_eq!(
        (&last.event, last.seq, last.uptime_ms, last.at),
        (&Event::Lost { count: 3 }, Some(8), Some(40), Some(11))
    );
    // The message about the loss is technical: another press drops it, and its count lives on.
    outbox.put(press(), 50, None);
    assert_eq!(outbox.untold(), 3);
}

#[test]
fn only_among_life_does_life_go_the_oldest_first() {
    let mut outbox = Outbox::<2>::new(1);
    for _ in 0..3 {
        outbox.put(press(), 0, None);
    }
    assert_eq!(outbox.iter().map(|message| message.seq).collect::<Vec<_>>(), [Some(2), Some(3)]);
    assert_eq!(outbox.put(battery(), 0, None), None);
    assert_eq!(outbox.untold(), 2);
}

#[derive(Debug, Clone)]
enum Act {
    Put(Box<Event>),
    Ack(prop::sample::Index),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let event = prop_oneof![
        Just(press()),
        Just(Event::Enuresis {}),
        Just(battery()),
        Just(Event::Test {}),
        Just(Event::Motion {}),
        Just(Event::Alive {}),
    ];
    let act = prop_oneof![3 => event.prop_map(|event| Act::Put(Box::new(event))), 1 => any::<prop::sample::Index>().prop_map(Act::Ack)];
    prop::collection::vec(act, 0..60)
}

/// How many events a message stands for.
fn weight(event: &Event) -> u64 {
    if let Event::Lost { count } = event { u64::from(*count) } else { 1 }
}

proptest! {
    #[test]
    fn every_event_is_waiting_acknowledged_or_counted(acts in acts()) {
        let mut outbox = Outbox::<ROOM>::new(1);
        let (mut put, mut acknowledged) = (0u64, 0u64);
        for act in acts {
            let before: Vec<EventMessage> = outbox.iter().cloned().collect();
            match act {
                Act::Put(event) => {
                    put += 1;
                    let life_only = before.len() == ROOM && before.iter().all(|m| m.event.lane() == Lane::Life);
                    let lives = |messages: &mut dyn Iterator<Item = &EventMessage>| {
                        messages.filter(|m| m.event.lane() == Lane::Life).count()
                    };
                    let expected = lives(&mut before.iter()) + usize::from(event.lane() == Lane::Life && !life_only);
                    outbox.put(*event, put, None);
                    prop_assert_eq!(lives(&mut outbox.iter()), expected, "no life event goes while another lane is there");
                }
                Act::Ack(which) if !before.is_empty() => {
                    let message = which.get(&before);
                    acknowledged += weight(&message.event);
                    prop_assert!(outbox.acked(message.seq.expect("numbered")));
                }
                Act::Ack(_) => {}
            }
            let waiting: u64 = outbox.iter().map(|message| weight(&message.event)).sum();
            prop_assert_eq!(put, waiting + acknowledged + u64::from(outbox.untold()));
            prop_assert!(outbox.len() == ROOM || outbox.untold() == 0, "a loss is told as soon as there is room");
            for old in &before {
                if let Some(now) = outbox.iter().find(|message| message.seq == old.seq) {
                    prop_assert_eq!(now, old, "a number never changes its meaning");
                }
            }
            let order: Vec<_> = outbox.iter().map(|message| (message.event.lane(), message.seq)).collect();
            prop_assert!(order.is_sorted());
        }
    }

    #[test]
    fn an_outbox_without_room_only_counts(puts in 0u32..20) {
        let mut outbox = Outbox::<0>::new(1);
        for _ in 0..puts {
            prop_assert_eq!(outbox.put(press(), 0, None), None);
        }
        prop_assert_eq!(outbox.untold(), puts);
    }
}
