//! Orders without sockets: who may open a door, what a hub may have done in a home, and that it is done once.

use std::collections::BTreeSet;

use tokio::sync::oneshot;
use vaka_board::gateway::TraceQuery;
use vaka_protocol::{AlarmId, Command, Lane, Ordered, Rung};

use super::hub_tests::{AT, Stage, device, home};
use super::keeper::{Ask, Input, NotOrdered};
use crate::board::traces;
use crate::dispatch::Report;
use crate::ingest::roster::Listed;
use crate::journal::record::{Act, ActWhat, FromHub};
use crate::limits::{HUB_ORDERS_PER_MINUTE, ORDER_CLOCKS_MS, ORDER_UNLOCK_MS};
use crate::rules::care::term::Term;
use crate::rules::orders::{Orderable, Target, Unlock, Why, Wish};
use crate::rules::{DeviceFacts, Home};

const HUB: &str = "kommun";
/// Too late whatever the clocks differ.
const LATE: i64 = AT - ORDER_CLOCKS_MS;
const UNLOCK: Ordered = Ordered::Unlock { open_s: None };

fn agreed(term: Term) -> Unlock {
    Unlock { roles: ["night".to_owned()].into(), always: false, open_s: 120, term }
}

/// r1 with a pendant, a lamp and a door that night staff may open at an alarm of hers; r2 with a pendant.
fn with_door(unlock: Option<Unlock>, hub: &[&'static str]) -> Home {
    let mut home = home();
    let of = |resident: &str| Target { resident: Some(resident.to_owned()), ..Target::default() };
    for name in ["door", "cabinet", "stairs", "p2", "zb1", "nobodys"] {
        home.devices.insert(device(name), DeviceFacts { dty: 3, fixed: false, speaks: false, home: false });
    }
    let door = Target { is_lock: true, is_door: true, unlock: unlock.clone(), ..of("r1") };
    // Her medicine cabinet opens by name alone; a stairwell's door is nobody's.
    let cabinet = Target { is_lock: true, unlock: unlock.clone(), ..of("r1") };
    let stairs = Target { is_lock: true, is_door: true, unlock, ..Target::default() };
    let devices = [("p1", of("r1")), ("p2", of("r2")), ("door", door), ("cabinet", cabinet), ("stairs", stairs)];
    let residents = [("p1", "r1"), ("zb1", "r1"), ("p2", "r2"), ("door", "r1"), ("cabinet", "r1")];
    let residents = residents.into_iter().map(|(name, of)| (device(name), of.to_owned())).collect();
    let devices = devices.into_iter().map(|(name, target)| (device(name), target)).collect();
    home.orders =
        Orderable { devices, residents, hubs: [(HUB.to_owned(), hub.iter().copied().collect::<BTreeSet<_>>())].into() };
    home
}

fn stage(home: Home) -> Stage {
    let mut stage = Stage::new();
    stage.roster.devices.extend(home.devices.iter().map(|(id, _)| (id.clone(), Listed { bridge: false, home: false })));
    stage.restart_as(home)
}

fn press(stage: &mut Stage, name: &str, seq: u64) -> AlarmId {
    stage.publish(name, &format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"button":{{"press":"short"}}}}}}"#));
    let alarms = stage.alarms();
    let of_it = alarms.iter().find(|alarm| alarm.raise.device == device(name) && alarm.raise.lane == Lane::Life);
    of_it.expect("a press is an alarm").id().clone()
}

fn wish(alarm: Option<&AlarmId>, name: Option<&str>, role: &str, what: Ordered) -> Wish {
    let (by, role, purpose) = ("anna".to_owned(), role.to_owned(), "she lies on the floor".to_owned());
    Wish { alarm: alarm.cloned(), device: name.map(device), what, by, role, purpose }
}

fn order(stage: &mut Stage, wish: Wish) -> Result<u64, NotOrdered> {
    let (reply, mut answer) = oneshot::channel();
    stage.keeper.run_batch(&mut vec![Input::Ask(Ask::Order { wish, traced: true, reply })]);
    answer.try_recv().expect("answered")
}

/// The hub has been told of it.
fn told_to_hub(stage: &mut Stage, alarm: &AlarmId) {
    let (receiver, path, detail) = (HUB.to_owned(), String::new(), String::new());
    let (alarm, rung) = (alarm.clone(), Rung::Received);
    stage.report(Report::Rung { alarm, notice: 0, rung, receiver, path, detail, last: false });
}

/// As the hub's command comes in.
fn of_hub(stage: &mut Stage, id: u64, expires_at: i64, wish: &Wish) {
    let Wish { alarm, device, what, by, role, purpose } = wish.clone();
    let (by, role, purpose) = (by.as_str().into(), role.as_str().into(), purpose.as_str().into());
    let command = Box::new(Command::Order { alarm, device, by, role, purpose, what });
    stage.report(Report::Order { receiver: HUB.to_owned(), id, expires_at, command });
}

fn outcome(stage: &Stage, id: u64, expires_at: i64) -> Option<String> {
    let from = FromHub { receiver: HUB.to_owned(), id, expires_at };
    let kept = stage.keeper.state().orders.of_hub(&from).expect("it is remembered");
    kept.outcome.as_ref().map(|(word, _)| word.clone())
}

#[test]
fn a_door_opens_by_an_agreement_in_force_and_not_otherwise() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &[]));
    stage.listen("door");
    let (hers, others) = (press(&mut stage, "p1", 1), press(&mut stage, "p2", 1));
    let refused = |stage: &mut Stage, wish| order(stage, wish).map_err(|why| format!("{why:?}"));
    let no = |why: Why| Err(format!("{:?}", NotOrdered::Refused(why)));
    assert_eq!(refused(&mut stage, wish(None, Some("door"), "night", UNLOCK)), no(Why::WithoutAlarm));
    assert_eq!(refused(&mut stage, wish(Some(&others), Some("door"), "night", UNLOCK)), no(Why::WithoutAlarm));
    assert_eq!(refused(&mut stage, wish(Some(&others), None, "night", UNLOCK)), no(Why::NoDevice), "r2 has no door");
    assert_eq!(refused(&mut stage, wish(Some(&hers), None, "staff", UNLOCK)), no(Why::Role));
    assert_eq!(refused(&mut stage, wish(Some(&hers), Some("p1"), "night", UNLOCK)), no(Why::NotALock));
    assert_eq!(refused(&mut stage, wish(Some(&hers), Some("gone"), "night", UNLOCK)), no(Why::NoDevice));
    assert_eq!(refused(&mut stage, wish(Some(&hers), Some("gw-1"), "night", UNLOCK)), no(Why::NotADevice));
    let gone = AlarmId::try_from("gone").expect("an id");
    assert_eq!(refused(&mut stage, wish(Some(&gone), None, "night", UNLOCK)), no(Why::NoAlarm));
    assert_eq!(stage.commands("door"), [], "nothing of this opened anything");
    // It is hers, the role is right: the door is told, for as long as agreed, and not for longer than asked.
    for (open_s, for_s) in [(None, 120), (Some(30), 30), (Some(600), 120)] {
        order(&mut stage, wish(Some(&hers), None, "night", Ordered::Unlock { open_s })).expect("agreed");
        let told = stage.commands("door");
        assert_eq!(told.len(), 1);
        let until = Some(AT + for_s * 1_000);
        assert_eq!(told[0].command, Command::Lock { open: true, until, by: "anna".into() });
        assert_eq!(told[0].expires_at, AT + ORDER_UNLOCK_MS);
    }
    // Nobody agreed; and one that is over.
    let ended = Term { end_ms: Some(AT), ..Term::default() };
    for (unlock, why) in [(None, Why::NotAgreed), (Some(agreed(ended)), Why::NotInForce)] {
        stage = stage.restart_as(with_door(unlock, &[]));
        assert_eq!(refused(&mut stage, wish(Some(&hers), None, "night", UNLOCK)), no(why));
    }
}

#[test]
fn only_a_call_opens_a_door_and_only_that_residents() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &[]));
    for name in ["door", "cabinet", "stairs"] {
        stage.listen(name);
    }
    let no = |why: Why| Err(NotOrdered::Refused(why));
    // A battery has waited for weeks: nobody calls.
    stage.publish("p1", r#"{"v":1,"restart":1,"seq":7,"event":{"battery":{"percent":5,"low":true}}}"#);
    let battery = stage.alarms()[0].id().clone();
    assert_eq!(order(&mut stage, wish(Some(&battery), None, "night", UNLOCK)), no(Why::WithoutAlarm));
    // What is nobody's is not the same nobody's.
    let nobodys = press(&mut stage, "nobodys", 1);
    assert_eq!(order(&mut stage, wish(Some(&nobodys), Some("stairs"), "night", UNLOCK)), no(Why::WithoutAlarm));
    assert_eq!(order(&mut stage, wish(Some(&nobodys), None, "night", UNLOCK)), no(Why::NoDevice));
    assert!(["door", "cabinet", "stairs"].iter().all(|name| stage.commands(name).is_empty()));
    // Her button stands behind a bridge, which hears no command: her door opens all the same, and her medicine cabinet does not.
    let hers = press(&mut stage, "zb1", 1);
    order(&mut stage, wish(Some(&hers), None, "night", UNLOCK)).expect("her own door");
    assert_eq!((stage.commands("door").len(), stage.commands("cabinet").len()), (1, 0));
    order(&mut stage, wish(Some(&hers), Some("cabinet"), "night", UNLOCK)).expect("named");
    assert_eq!(stage.commands("cabinet").len(), 1);
}

#[test]
fn the_last_word_about_a_door_out_of_reach_is_the_only_one_it_hears() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &[]));
    let hers = press(&mut stage, "p1", 1);
    let first = order(&mut stage, wish(Some(&hers), None, "night", UNLOCK)).expect("agreed");
    order(&mut stage, wish(Some(&hers), None, "night", Ordered::Lock {})).expect("agreed");
    stage.listen("door");
    let heard = stage.commands("door");
    assert!(matches!(&heard[..], [one] if matches!(one.command, Command::Lock { open: false, .. })), "{heard:?}");
    let kept = stage.keeper.state().orders.get(first).expect("kept");
    assert_eq!(kept.outcome.as_ref().map(|(word, _)| word.as_str()), Some("replaced"));
    // Settings add up, whatever reaches the device first.
    let set = |volume_percent, language: Option<&str>| Ordered::Settings {
        heartbeat_interval_s: None,
        volume_percent,
        language: language.map(Into::into),
    };
    for what in [set(Some(90), None), set(None, Some("sv")), set(Some(40), None)] {
        order(&mut stage, wish(None, Some("p1"), "technician", what)).expect("set");
    }
    stage.listen("p1");
    let heard = stage.commands("p1");
    let sent: Vec<_> = heard.iter().map(|message| &message.command).filter(|c| c.name() == "settings").collect();
    let (volume_percent, language) = (Some(40), Some("sv".into()));
    let whole = Command::Settings { heartbeat_interval_s: None, position_interval_s: None, volume_percent, language };
    assert_eq!(sent, [&whole]);
}

#[test]
fn a_hub_in_wrong_hands_fills_no_homes_disk() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &["feedback"]));
    let hers = press(&mut stage, "p1", 1);
    let before = stage.keeper.state().cursor;
    for id in 0..10 * u64::from(HUB_ORDERS_PER_MINUTE) {
        of_hub(&mut stage, id, AT + 30_000, &wish(Some(&hers), None, "night", UNLOCK));
    }
    let most = 2 * u64::from(HUB_ORDERS_PER_MINUTE);
    assert_eq!(stage.keeper.state().cursor - before, most, "an order and its trace each, so many and no more");
    stage.pass(60_000);
    of_hub(&mut stage, 1_000, AT + 90_000, &wish(Some(&hers), None, "night", UNLOCK));
    assert_eq!(stage.keeper.state().cursor - before, most + 2, "in the next minute it is heard again");
}

#[test]
fn words_and_settings_are_for_those_who_work_with_them() {
    let mut stage = stage(with_door(None, &[]));
    stage.listen("p1");
    let hers = press(&mut stage, "p1", 1);
    stage.commands("p1");
    let say = || Ordered::Feedback { light: None, sound: None, text: Some("We are coming.".into()) };
    order(&mut stage, wish(Some(&hers), None, "staff", say())).expect("said at her own device");
    assert!(matches!(&stage.commands("p1")[..], [told] if told.command.name() == "feedback"));
    assert_eq!(order(&mut stage, wish(Some(&hers), None, "technician", say())), Err(NotOrdered::Refused(Why::Role)));
    let louder = || Ordered::Settings { heartbeat_interval_s: None, volume_percent: Some(90), language: None };
    order(&mut stage, wish(None, Some("p1"), "technician", louder())).expect("set");
    assert!(matches!(&stage.commands("p1")[..], [told] if told.command.name() == "settings"));
    assert_eq!(order(&mut stage, wish(None, Some("p1"), "night", louder())), Err(NotOrdered::Refused(Why::Role)));
}

#[test]
fn a_hubs_order_is_judged_at_home_done_once_and_answered() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &["unlock"]));
    stage.listen("door");
    let hers = press(&mut stage, "p1", 1);
    let unlock = wish(Some(&hers), None, "night", UNLOCK);
    // Of an alarm that it was never told of a hub has nothing to order.
    of_hub(&mut stage, 6, AT + 30_000, &unlock);
    assert_eq!(outcome(&stage, 6, AT + 30_000).as_deref(), Some("no-alarm"));
    told_to_hub(&mut stage, &hers);
    of_hub(&mut stage, 7, AT + 30_000, &unlock);
    let told = stage.commands("door");
    assert_eq!((told.len(), told[0].expires_at), (1, AT + ORDER_UNLOCK_MS), "by the home's clock");
    assert_eq!(outcome(&stage, 7, AT + 30_000), None);
    // The hub says it again, also after a restart in between: nothing is ordered a second time.
    of_hub(&mut stage, 7, AT + 30_000, &unlock);
    assert_eq!(stage.commands("door"), []);
    let home = with_door(Some(agreed(Term::default())), &["unlock"]);
    stage = stage.restart_as(home);
    of_hub(&mut stage, 7, AT + 30_000, &unlock);
    stage.listen("door");
    let again = stage.commands("door");
    assert_eq!(again, told, "what the door has not answered is said to it again, under the same id");
    let done = format!(r#"{{"v":1,"restart":1,"seq":9,"event":{{"done":{{"id":{},"outcome":"done"}}}}}}"#, told[0].id);
    stage.publish("p1", &done);
    assert_eq!(outcome(&stage, 7, AT + 30_000), None, "another device answers for nothing");
    stage.publish("door", &done);
    assert_eq!(outcome(&stage, 7, AT + 30_000).as_deref(), Some("done"));
    // What somebody there had done here is written down as what people here do, and whose it is.
    let traces = traces::find(stage.dir.path(), &TraceQuery { most: 9, ..TraceQuery::default() }).expect("readable");
    let trace = traces.iter().map(|traced| &traced.trace).find(|trace| trace.act == "order unlock").expect("traced");
    assert_eq!((trace.person.as_str(), trace.role.as_str()), ("kommun: anna", "night"));
    assert_eq!((trace.object.as_str(), trace.resident.as_deref()), ("device door", Some("r1")));
}

#[test]
fn what_a_home_does_not_let_its_hub_do_is_refused_and_says_why() {
    let mut stage = stage(with_door(Some(agreed(Term::default())), &["unlock"]));
    stage.listen("door");
    stage.listen("p1");
    let hers = press(&mut stage, "p1", 1);
    stage.commands("p1");
    told_to_hub(&mut stage, &hers);
    stage.commands("p1");
    let say = Ordered::Feedback { light: None, sound: None, text: Some("We are coming.".into()) };
    of_hub(&mut stage, 1, AT + 30_000, &wish(Some(&hers), None, "night", say));
    of_hub(&mut stage, 2, LATE, &wish(Some(&hers), None, "night", UNLOCK));
    of_hub(&mut stage, 3, AT + 30_000, &wish(Some(&hers), None, "staff", UNLOCK));
    of_hub(&mut stage, 4, AT + 30_000, &wish(None, Some("door"), "night", UNLOCK));
    let words: Vec<_> =
        (1..=4).map(|id| outcome(&stage, id, if id == 2 { LATE } else { AT + 30_000 }).unwrap_or_default()).collect();
    assert_eq!(words, ["hub-may-not", "expired", "role", "without-alarm"]);
    assert_eq!((stage.commands("door"), stage.commands("p1")), (vec![], vec![]));
}

#[test]
fn at_a_hub_an_order_about_a_homes_alarm_goes_to_that_home_and_comes_back() {
    let mut stage = Stage::new();
    stage.listen("gw-1");
    stage.publish(
        "gw-1",
        r#"{"v":1,"restart":1,"seq":1,"event":{"alarm":{"alarm":"k3f9x2","lane":"life","device":"p1","cause":"button","text":"Help"}}}"#,
    );
    let here = stage.alarms()[0].id().clone();
    stage.commands("gw-1");
    let record = order(&mut stage, wish(Some(&here), None, "night", UNLOCK)).expect("the home judges");
    let told = stage.commands("gw-1");
    let Command::Order { alarm, by, role, what, .. } = &told[0].command else { panic!("{told:?}") };
    assert_eq!(alarm.as_ref().map(AsRef::as_ref), Some("k3f9x2"), "as the home calls it");
    assert_eq!((by.as_str(), role.as_str(), what), ("anna", "night", &UNLOCK));
    let done = format!(r#"{{"v":1,"event":{{"done":{{"id":{},"outcome":"not-agreed"}}}}}}"#, told[0].id);
    stage.publish("gw-1", &done);
    let kept = stage.keeper.state().orders.get(record).expect("kept").clone();
    assert_eq!(kept.outcome.map(|(word, _)| word).as_deref(), Some("not-agreed"));
    // Closed: nobody's door is opened for it any more.
    stage.pass(1);
    let act = Act::new(here.clone(), ActWhat::Close, "bo".into(), String::new());
    let (reply, _answer) = oneshot::channel();
    stage.keeper.run_batch(&mut vec![Input::Ask(Ask::Act { act, reply })]);
    assert_eq!(order(&mut stage, wish(Some(&here), None, "night", UNLOCK)), Err(NotOrdered::Refused(Why::NoAlarm)));
}
