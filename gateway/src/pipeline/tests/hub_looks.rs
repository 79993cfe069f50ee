//! Looks that a hub orders, as the home's keeper judges and records them, and what the hub knows of a home's look-ins.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use vaka_board::gateway::{RoundState, TraceQuery};
use vaka_protocol::{Command, Ordered};

use super::looks::bench as with_look;
use super::*;
use crate::board::traces;
use crate::dispatch::{Parcel, ParcelWhat, Report};
use crate::journal::record::{FromHub, LookOutcome};
use crate::pipeline::command_id;
use crate::pipeline::keeper::NotOrdered;
use crate::pipeline::looks::HubLook;
use crate::rules::DeviceFacts;
use crate::rules::care::look::{OpenLook, Wish as LookWish};
use crate::rules::orders::{Why, Wish};

const HUB: &str = "kommun";
const LOOK: u8 = 60;

/// A home whose look-in begins in an hour, and whose hub `kommun` may look.
fn home(may: &[&'static str]) -> (Bench, UnboundedReceiver<HubLook>) {
    let mut bench = with_look();
    bench.home.orders.hubs = [(HUB.to_owned(), may.iter().copied().collect())].into();
    bench.kill_and_start();
    let carried = carried(&mut bench);
    (bench, carried)
}

fn carried(bench: &mut Bench) -> UnboundedReceiver<HubLook> {
    let (carries, carried) = mpsc::unbounded_channel();
    bench.keeper().look_for_hubs_with(carries);
    carried
}

impl Bench {
    /// As the command of a hub comes in. Leaves: the word that it is answered with.
    fn hub_orders(&mut self, receiver: &str, id: u64, (by, role): (&str, &str), what: Ordered) -> Option<String> {
        let expires_at = self.clock.now().wall_ms + 15_000;
        self.hub_says(receiver, id, expires_at, (by, role), what)
    }

    fn hub_says(
        &mut self,
        receiver: &str,
        id: u64,
        expires_at: i64,
        (by, role): (&str, &str),
        what: Ordered,
    ) -> Option<String> {
        let command = Command::Order {
            alarm: None,
            device: None,
            by: by.into(),
            role: role.into(),
            purpose: "the round".into(),
            what,
        };
        let (from, command) = (FromHub { receiver: receiver.to_owned(), id, expires_at }, Box::new(command));
        let report = Report::Order { receiver: receiver.to_owned(), id, expires_at, command };
        self.keeper().run_batch(&mut vec![Input::Report(report)]);
        self.keeper().state().orders.of_hub(&from)?.outcome.clone().map(|(word, _)| word)
    }

    fn told(&mut self) -> Vec<(String, &'static str)> {
        let at = self.clock.now().wall_ms;
        let word = |parcel: Parcel| match parcel.what {
            ParcelWhat::Round(word) => (parcel.receiver, word.state),
            ParcelWhat::RoundAnew { .. } => (parcel.receiver, "anew"),
            other => panic!("{other:?}"),
        };
        self.keeper().rounds_to_tell(at).into_iter().map(word).collect()
    }
}

fn look(resident: &str, at: i64) -> Ordered {
    Ordered::Look { resident: resident.into(), at, clear: false, call: "c0ffee".into() }
}

#[test]
fn a_hubs_look_is_judged_at_home_granted_once_and_answered() {
    let (mut bench, mut carried) = home(&["look"]);
    let at = bench.camera_item().planned_at;
    let anna = ("anna", "night");
    let mut refused = Vec::new();
    refused.extend(bench.hub_orders(HUB, 1, anna, look("r1", at)));
    bench.pass_min(61);
    refused.extend(bench.hub_orders(HUB, 2, ("anna", "staff"), look("r1", at)));
    refused.extend(bench.hub_orders(HUB, 3, anna, look("r9", at)));
    refused.extend(bench.hub_orders(HUB, 4, anna, look("r1", at + 60_000)));
    refused.extend(bench.hub_orders("another", 5, anna, look("r1", at)));
    refused.extend(bench.hub_says(HUB, 6, at - 3_600_000, anna, look("r1", at)));
    let clearly = Ordered::Look { resident: "r1".into(), at, clear: true, call: "c0ffee".into() };
    refused.extend(bench.hub_orders(HUB, 7, anna, clearly));
    assert_eq!(refused, ["not-now", "role", "no-look", "no-look", "hub-may-not", "expired", "not-now"]);
    assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (0, true), "nobody saw anything");

    let good = bench.clock.now().wall_ms + 15_000;
    assert_eq!(bench.hub_says(HUB, 8, good, anna, look("r1", at)).as_deref(), Some("done"));
    let granted = carried.try_recv().expect("it is carried out");
    assert_eq!((granted.receiver.as_str(), granted.call.as_str()), (HUB, "c0ffee"));
    let seen = bench.keeper().state().care.look.get(granted.look).cloned().expect("recorded");
    assert_eq!((seen.asked.by.as_deref(), seen.asked.purpose.as_str()), (Some("kommun: anna"), "the round"));
    // Said again it opens nothing, and nor does another order beside it.
    assert_eq!(bench.hub_says(HUB, 8, good, anna, look("r1", at)).as_deref(), Some("done"));
    assert_eq!(bench.hub_orders(HUB, 9, ("bo", "night"), look("r1", at)).as_deref(), Some("not-now"));
    assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (1, true));
    bench.look_wish(LookWish::End { look: granted.look, shown_ms: 9, why: "time".into() }, "gateway").expect("ended");
    assert_eq!(bench.hub_orders(HUB, 10, anna, look("r1", at)).as_deref(), Some("not-now"), "a look is agreed once");

    let said = |id, outcome: LookOutcome| Ordered::Looked { id, outcome: outcome.word().into() };
    let calm = LookOutcome::Calm;
    assert_eq!(bench.hub_orders("another", 11, anna, said(8, calm)).as_deref(), Some("hub-may-not"));
    assert_eq!(bench.hub_orders(HUB, 12, anna, said(7, calm)).as_deref(), Some("no-look"), "that one was refused");
    assert_eq!(bench.hub_orders(HUB, 13, ("bo", "night"), said(8, calm)).as_deref(), Some("not-now"), "anna looked");
    assert_eq!(bench.hub_orders(HUB, 14, anna, said(8, calm)).as_deref(), Some("done"));
    let item = bench.camera_item();
    assert!(item.state == RoundState::Done && item.said.en.contains("kommun: anna"), "{item:?}");
    let traces = traces::find(bench.dir(), &TraceQuery { most: 30, ..TraceQuery::default() }).expect("readable");
    let of = |act: &str| traces.iter().filter(|traced| traced.trace.act == act).collect::<Vec<_>>();
    let looked = of("order look");
    assert_eq!((looked.len(), of("order-refused look").len(), of("order looked").len()), (1, 9, 1));
    let trace = &looked[0].trace;
    assert_eq!((trace.person.as_str(), trace.purpose.as_str()), ("kommun: anna", "the round"));
    assert_eq!((trace.object.as_str(), trace.resident.as_deref()), ("camera cam", Some("r1")));
}

#[test]
fn a_look_of_a_hub_that_a_kill_cuts_is_over_and_is_not_carried_out_again() {
    let (mut bench, mut carries) = home(&["look"]);
    bench.pass_min(61);
    let at = bench.camera_item().planned_at;
    let until = bench.clock.now().wall_ms + 15_000;
    assert_eq!(bench.hub_says(HUB, 1, until, ("anna", "night"), look("r1", at)).as_deref(), Some("done"));
    assert!(carries.try_recv().is_ok());
    bench.kill_and_start();
    let mut carries = carried(&mut bench);
    assert_eq!(bench.hub_says(HUB, 1, until, ("anna", "night"), look("r1", at)).as_deref(), Some("done"));
    assert!(carries.try_recv().is_err());
    let (disk, memory) = bench.disk_and_memory();
    assert!(disk == memory, "the disk says the same as memory");
    assert_eq!(bench.keeper().state().care.look.open().count(), 0);
}

#[test]
fn a_consent_that_was_taken_back_holds_against_a_hub_too() {
    let (mut bench, mut carried) = home(&["look"]);
    bench.pass_min(61);
    let at = bench.camera_item().planned_at;
    let mut agreed = Agreed::clone(&bench.agreed);
    let look_of = agreed.people[0].look.as_mut().expect("agreed");
    look_of.term.end_ms = Some(at);
    bench.agreed = Arc::new(agreed);
    bench.kill_and_start();
    assert_eq!(bench.hub_orders(HUB, 1, ("anna", "night"), look("r1", at)).as_deref(), Some("not-in-force"));
    assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (0, true));
}

#[test]
fn a_hub_that_may_look_is_told_the_least_when_it_changes_and_others_nothing() {
    let (mut bench, _carried) = home(&["unlock"]);
    assert_eq!(bench.told(), []);
    let (mut bench, _carried) = home(&["look"]);
    let is = |state: &'static str| vec![(HUB.to_owned(), state)];
    assert_eq!(bench.told(), [is("anew"), is("planned")].concat());
    assert_eq!(bench.told(), [], "that is known");
    bench.pass_min(61);
    assert_eq!(bench.told(), is("open"));
    bench.agreed = Arc::default();
    bench.keeper().agree(Arc::default());
    assert_eq!(bench.told(), is("gone"), "agreed no longer");
    assert_eq!(bench.told(), []);
    bench.kill_and_start();
    assert_eq!(bench.told(), is("anew"), "what it may have heard before counts no more");
    assert_eq!(bench.told(), []);
}

impl Bench {
    /// What the home lets its hub do is other from now on, as after a change of its settings.
    fn let_hub(&mut self, may: &[&'static str]) {
        self.home.orders.hubs = [(HUB.to_owned(), may.iter().copied().collect())].into();
        let (home, agreed) = (self.home.clone(), self.agreed.clone());
        let change = Ask::Home { home, labels: Labels::default(), agreed };
        self.keeper().run_batch(&mut vec![Input::Ask(change)]);
    }

    fn watch_look(&mut self, look: u64) -> watch::Receiver<OpenLook> {
        let (to, state) = watch::channel(OpenLook::default());
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::LookWatch { look, to })]);
        state
    }
}

#[test]
fn a_hub_that_may_look_no_longer_sees_no_more_at_once_and_forgets_what_it_was_told() {
    let (mut bench, mut carried) = home(&["look"]);
    bench.pass_min(61);
    let at = bench.camera_item().planned_at;
    assert_eq!(bench.told().len(), 2);
    assert_eq!(bench.hub_orders(HUB, 1, ("anna", "night"), look("r1", at)).as_deref(), Some("done"));
    let granted = carried.try_recv().expect("it is carried out");
    let state = bench.watch_look(granted.look);
    bench.let_hub(&["look", "feedback"]);
    assert_eq!(state.borrow().no(), None, "it may still");
    bench.let_hub(&["feedback"]);
    assert_eq!(state.borrow().no(), Some("hub_may_not"));
    assert_eq!(bench.told(), [(HUB.to_owned(), "anew")]);
    assert_eq!(bench.told(), []);
    // Somebody of the house looks by no hub's leave.
    bench.look_wish(LookWish::End { look: granted.look, shown_ms: 0, why: "hub_may_not".into() }, "gateway").unwrap();
    let wish = LookWish::Open {
        resident: "r1".into(),
        slot_at: Some(at),
        alarm: None,
        purpose: "the round".into(),
        clear: false,
    };
    let own = bench.look_wish(wish, "bo").expect("granted");
    assert_eq!(bench.watch_look(own).borrow().no(), None);
}

#[test]
fn the_veil_comes_off_for_a_hub_where_that_is_agreed_and_the_homes_log_says_so() {
    for may_see_clearly in [false, true] {
        let (mut bench, mut carried) = home_with_alarm();
        let mut agreed = Agreed::clone(&bench.agreed);
        agreed.people[0].look.as_mut().expect("agreed").may_see_clearly = may_see_clearly;
        bench.agreed = Arc::new(agreed);
        bench.let_hub(&["look"]);
        bench.press("p1", 1);
        let alarm = bench.told_of_alarm(HUB);
        let clearly = Ordered::Look { resident: "r1".into(), at: 0, clear: true, call: "c0ffee".into() };
        let answer = bench.hub_looks_at(1, &alarm, clearly);
        assert_eq!(answer.as_deref(), Some(if may_see_clearly { "done" } else { "not-now" }));
        let granted = carried.try_recv().ok().map(|granted| granted.look);
        assert_eq!(granted.is_some(), may_see_clearly);
        let traces = traces::find(bench.dir(), &TraceQuery { most: 30, ..TraceQuery::default() }).expect("readable");
        let looked = |traced: &&vaka_board::gateway::Traced| traced.trace.act == "order look";
        let Some(look) = granted else {
            assert!(traces.iter().all(|traced| !looked(&traced)), "nobody saw anything");
            continue;
        };
        assert!(bench.watch_look(look).borrow().is_unveiled);
        let trace = &traces.iter().find(looked).expect("traced").trace;
        assert_eq!((trace.object.as_str(), trace.resident.as_deref()), ("camera cam, clear", Some("r1")));
    }
}

#[test]
fn what_a_home_does_not_tell_anew_is_on_its_hubs_round_no_more() {
    let mut bench = Bench::new();
    bench.roster.devices.insert(device("gw-1"), Listed { bridge: false, home: true });
    bench.home.devices.insert(device("gw-1"), DeviceFacts { dty: 2, fixed: false, speaks: false, home: true });
    bench.kill_and_start();
    let at = bench.clock.now().wall_ms;
    let round = |of: &str, said_at: i64| {
        let latest = at + 3_600_000;
        format!(
            r#"{{"v":1,"at":{said_at},"event":{{"round":{{"slot":"02:00","resident":"{of}","due_at":{latest},"from_at":{at},"state":"open"}}}}}}"#
        )
    };
    let known = |bench: &mut Bench| {
        let looks = bench.keeper().state().home_looks.planned().map(|(_, look)| look.resident.clone());
        looks.collect::<Vec<_>>()
    };
    for of in ["r1", "r2"] {
        bench.publish("gw-1", &round(of, at));
    }
    assert_eq!(known(&mut bench), ["r1", "r2"]);
    bench.publish("gw-1", &round("r2", at + 5));
    let anew = format!(r#"{{"v":1,"at":{},"event":{{"round":{{"state":"anew"}}}}}}"#, at + 5);
    assert_eq!(bench.publish("gw-1", &anew), PublishReason::Success);
    assert_eq!(known(&mut bench), ["r2"]);
    bench.kill_and_start();
    assert_eq!(known(&mut bench), ["r2"], "nor after a restart");
}

#[test]
fn a_device_that_is_no_home_puts_nothing_on_the_round_and_is_told_so() {
    let mut bench = Bench::new();
    let at = bench.clock.now().wall_ms;
    let round = format!(
        r#"{{"v":1,"at":{at},"event":{{"round":{{"slot":"02:00","resident":"r1","due_at":{},"from_at":{at},"state":"open"}}}}}}"#,
        at + 3_600_000
    );
    assert_eq!(bench.publish("p1", &round), PublishReason::PayloadFormatInvalid);
    assert_eq!(bench.keeper().state().home_looks.planned().count(), 0);
    let rows = bench.rows();
    assert_eq!((rows.len(), rows[0].lane), (1, Lane::Technical), "a person hears of it: {rows:?}");
}

#[test]
fn at_a_hub_a_homes_look_in_is_on_the_round_ordered_of_the_home_and_answered_by_whoever_looked() {
    let mut bench = Bench::new();
    bench.roster.devices.insert(device("gw-1"), Listed { bridge: false, home: true });
    bench.home.devices.insert(device("gw-1"), DeviceFacts { dty: 2, fixed: false, speaks: false, home: true });
    bench.kill_and_start();
    let at = bench.clock.now().wall_ms;
    let tell = |bench: &mut Bench, state: &str, said_at: i64| {
        let latest = at + 3_600_000;
        bench.publish(
            "gw-1",
            &format!(
                r#"{{"v":1,"at":{said_at},"event":{{"round":{{"slot":"02:00","resident":"r1","due_at":{latest},"from_at":{at},"state":"{state}","look_s":30}}}}}}"#
            ),
        );
    };
    tell(&mut bench, "open", at);
    let item = bench.camera_item();
    assert_eq!((item.state, item.home.as_deref()), (RoundState::Due, Some("gw-1")));
    assert_eq!(item.look, Some(format!("r1.{at}@gw-1")));
    let order = |bench: &mut Bench, device: &str, role: &str, what| {
        let (by, role, purpose) = ("anna".to_owned(), role.to_owned(), "the round".to_owned());
        let wish = Wish { alarm: None, device: Some(super::device(device)), what, by, role, purpose };
        let (reply, mut answer) = oneshot::channel();
        bench.keeper().run_batch(&mut vec![Input::Ask(Ask::Order { wish, traced: true, reply })]);
        answer.try_recv().expect("answered")
    };
    assert_eq!(order(&mut bench, "p1", "night", look("r1", at)), Err(NotOrdered::Refused(Why::NoDevice)));
    assert_eq!(order(&mut bench, "gw-1", "staff", look("r1", at)), Err(NotOrdered::Refused(Why::Role)));
    let looked = order(&mut bench, "gw-1", "night", look("r1", at)).expect("the home judges");
    let now_ms = bench.clock.now().wall_ms;
    let home = device("gw-1");
    let told: Vec<_> = bench.keeper().state().commands.owed(&home, now_ms).cloned().collect();
    assert!(matches!(&told[..], [one] if one.id == command_id(looked) && one.command.name() == "order"), "{told:?}");
    let (to, mut heard) = oneshot::channel();
    bench.keeper().run_batch(&mut vec![Input::Ask(Ask::OrderWatch { order: looked, to })]);
    assert!(heard.try_recv().is_err(), "the home has not answered");
    bench.publish("gw-1", &format!(r#"{{"v":1,"event":{{"done":{{"id":{},"outcome":"done"}}}}}}"#, told[0].id));
    assert_eq!(heard.try_recv().as_deref(), Ok("done"));
    tell(&mut bench, "unsaid", at + 1);
    assert_eq!(bench.camera_item().unsaid, Some(looked));
    let said = Ordered::Looked { id: command_id(looked), outcome: "calm".into() };
    order(&mut bench, "gw-1", "night", said).expect("said");
    assert_eq!(bench.camera_item().unsaid, None, "it is on its way");
    tell(&mut bench, "done", at + 2);
    // What was late says nothing of now, and a restart forgets nothing.
    tell(&mut bench, "open", at + 1);
    bench.kill_and_start();
    assert_eq!(bench.camera_item().state, RoundState::Done);
}

/// As [`home`], where the alarm of a press may open the camera too.
fn home_with_alarm() -> (Bench, UnboundedReceiver<HubLook>) {
    let (mut bench, _) = home(&["look"]);
    let mut agreed = Agreed::clone(&bench.agreed);
    agreed.people[0].devices.push(device("p1"));
    agreed.people[0].look.as_mut().expect("agreed").alarms = vec!["button".to_owned()];
    bench.agreed = Arc::new(agreed);
    bench.kill_and_start();
    let carried = carried(&mut bench);
    (bench, carried)
}

impl Bench {
    /// That receiver has been told of the newest alarm. Leaves: the alarm.
    fn told_of_alarm(&mut self, receiver: &str) -> AlarmId {
        let alarm = self.rows().remove(0).id;
        let (receiver, path, detail) = (receiver.to_owned(), String::new(), String::new());
        let report =
            Report::Rung { alarm: alarm.clone(), notice: 0, rung: Rung::Received, receiver, path, detail, last: false };
        self.keeper().run_batch(&mut vec![Input::Report(report)]);
        alarm
    }

    /// What hubs are told of this alarm.
    fn told_of(&mut self, alarm: &AlarmId) -> Vec<(String, &'static str)> {
        let at = self.clock.now().wall_ms;
        let word = |parcel: Parcel| match parcel.what {
            ParcelWhat::Round(word) => (word.alarm.as_ref() == Some(alarm)).then_some((parcel.receiver, word.state)),
            ParcelWhat::RoundAnew { .. } => None,
            other => panic!("{other:?}"),
        };
        self.keeper().rounds_to_tell(at).into_iter().filter_map(word).collect()
    }

    fn hub_looks_at(&mut self, id: u64, alarm: &AlarmId, what: Ordered) -> Option<String> {
        let expires_at = self.clock.now().wall_ms + 15_000;
        let (by, role, purpose) = ("anna".into(), "night".into(), "the alarm".into());
        let command = Command::Order { alarm: Some(alarm.clone()), device: None, by, role, purpose, what };
        let (from, command) = (FromHub { receiver: HUB.to_owned(), id, expires_at }, Box::new(command));
        let report = Report::Order { receiver: HUB.to_owned(), id, expires_at, command };
        self.keeper().run_batch(&mut vec![Input::Report(report)]);
        self.keeper().state().orders.of_hub(&from)?.outcome.clone().map(|(word, _)| word)
    }
}

#[test]
fn an_alarm_that_is_agreed_to_open_the_camera_opens_it_for_the_hub_that_was_told_of_it_once() {
    let (mut bench, mut carried) = home_with_alarm();
    bench.press("p1", 1);
    let alarm = bench.rows().remove(0).id;
    assert_eq!(bench.hub_looks_at(1, &alarm, look("r1", 0)).as_deref(), Some("no-alarm"), "it was never told of it");
    assert_eq!(bench.told_of(&alarm), []);
    bench.told_of_alarm(HUB);
    assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "open")]);
    assert_eq!(bench.hub_looks_at(2, &alarm, look("r2", 0)).as_deref(), Some("no-look"), "whom nobody looks at");
    let nobodys = AlarmId::try_from("nobodys").expect("an id");
    assert_eq!(bench.hub_looks_at(3, &nobodys, look("r1", 0)).as_deref(), Some("no-alarm"));
    assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (0, true), "nobody saw anything");

    assert_eq!(bench.hub_looks_at(4, &alarm, look("r1", 0)).as_deref(), Some("done"));
    let granted = carried.try_recv().expect("it is carried out");
    let seen = bench.keeper().state().care.look.get(granted.look).cloned().expect("recorded");
    assert_eq!((seen.asked.alarm.as_ref(), seen.asked.slot), (Some(&alarm), None));
    assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "looking")]);
    bench.look_wish(LookWish::End { look: granted.look, shown_ms: 9, why: "time".into() }, "gateway").expect("ended");
    assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "unsaid")]);
    assert_eq!(bench.hub_looks_at(5, &alarm, look("r1", 0)).as_deref(), Some("not-now"), "a look is agreed once");
    let calm = Ordered::Looked { id: 4, outcome: LookOutcome::Calm.word().into() };
    assert_eq!(bench.hub_orders(HUB, 6, ("anna", "night"), calm).as_deref(), Some("done"));
    assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "gone")]);
}

#[test]
fn what_is_not_agreed_of_alarms_or_is_refused_by_the_resident_opens_nothing_for_a_hub() {
    // An alarm that the agreement does not name.
    let (mut bench, mut carried) = home(&["look"]);
    bench.press("p1", 1);
    let alarm = bench.told_of_alarm(HUB);
    assert_eq!(bench.told_of(&alarm), []);
    assert_eq!(bench.hub_looks_at(1, &alarm, look("r1", 0)).as_deref(), Some("not-now"));
    assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (0, true));
    // One that another was told of.
    let (mut bench, _) = home_with_alarm();
    bench.press("p1", 1);
    let alarm = bench.told_of_alarm("larmcentral");
    assert_eq!(bench.told_of(&alarm), []);
    assert_eq!(bench.hub_looks_at(1, &alarm, look("r1", 0)).as_deref(), Some("no-alarm"));
    // "Not tonight", and an alarm that is old or closed.
    for stands in ["declined", "old", "closed"] {
        let (mut bench, mut carried) = home_with_alarm();
        bench.press("p1", 1);
        let alarm = bench.told_of_alarm(HUB);
        assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "open")]);
        match stands {
            "declined" => {
                bench.publish("p1", r#"{"v":1,"restart":1,"seq":2,"event":{"decline":{"slot":""}}}"#);
            }
            "old" => bench.pass_min(31),
            _ => {
                let row = bench.rows().remove(0);
                bench.act(&row, ActWhat::Close, "bo").expect("closed");
            }
        }
        assert_eq!(bench.told_of(&alarm), [(HUB.to_owned(), "gone")], "{stands}");
        assert_eq!(bench.hub_looks_at(1, &alarm, look("r1", 0)).as_deref(), Some("not-now"), "{stands}");
        assert_eq!((bench.records(LOOK), carried.try_recv().is_err()), (0, true), "{stands}");
    }
}

#[test]
fn at_a_hub_a_look_at_a_homes_alarm_is_ordered_of_that_home_by_its_own_name_of_the_alarm() {
    let mut bench = Bench::new();
    for name in ["gw-1", "gw-2"] {
        bench.roster.devices.insert(device(name), Listed { bridge: false, home: true });
        bench.home.devices.insert(device(name), DeviceFacts { dty: 2, fixed: false, speaks: false, home: true });
    }
    bench.kill_and_start();
    let told = r#"{"v":1,"restart":0,"seq":9,"event":{"alarm":{"alarm":"a1","lane":"life","rung":"stored","resident":"r1","cause":"button"}}}"#;
    bench.publish("gw-1", told);
    let row = bench.rows().remove(0);
    let order = |bench: &mut Bench, home: &str, alarm: &AlarmId| {
        let (by, role, purpose) = ("anna".to_owned(), "night".to_owned(), "the alarm".to_owned());
        let wish =
            Wish { alarm: Some(alarm.clone()), device: Some(device(home)), what: look("r1", 0), by, role, purpose };
        let (reply, mut answer) = oneshot::channel();
        bench.keeper().run_batch(&mut vec![Input::Ask(Ask::Order { wish, traced: true, reply })]);
        answer.try_recv().expect("answered")
    };
    let no = Err(NotOrdered::Refused(Why::NoAlarm));
    assert_eq!(order(&mut bench, "gw-2", &row.id), no, "it is another home's");
    assert_eq!(order(&mut bench, "gw-1", &AlarmId::try_from("none").expect("an id")), no);
    order(&mut bench, "gw-1", &row.id).expect("the home judges");
    let now_ms = bench.clock.now().wall_ms;
    let owed: Vec<_> = bench.keeper().state().commands.owed(&device("gw-1"), now_ms).cloned().collect();
    let alarm = owed.iter().find_map(|message| match &message.command {
        Command::Order { alarm, what: Ordered::Look { .. }, .. } => alarm.clone(),
        _ => None,
    });
    assert_eq!(alarm, AlarmId::try_from("a1").ok());
    bench.act(&row, ActWhat::Close, "bo").expect("closed");
    assert_eq!(order(&mut bench, "gw-1", &row.id), no, "it is closed");
}
