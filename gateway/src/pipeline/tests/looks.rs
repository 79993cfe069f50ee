//! Looks through a camera as the keeper records them, over commits that fail and over kills.

use jiff::tz::TimeZone;
use tokio::sync::watch;
use vaka_board::gateway::RoundState;
use vaka_protocol::{Command, Light};

use super::*;
use crate::board::round;
use crate::config::Config;
use crate::pipeline::keeper::NotSigned;
use crate::rules::care::look::{OpenLook, Wish};

const LOOK: u8 = 60;

/// A look-in that begins an hour from now.
pub(super) fn bench() -> Bench {
    let mut bench = Bench::new();
    let now = crate::rules::care::when::local(&TimeZone::UTC, bench.clock.now().wall_ms);
    let at = |minutes: i64| {
        let time = now.time().wrapping_add(jiff::Span::new().minutes(minutes));
        time.strftime("%H:%M").to_string()
    };
    let text = format!(
        "[gateway]\nid = \"gw-1\"\ntime_zone = \"Etc/UTC\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n[night]\nfrom = \"{}\"\nuntil = \"{}\"\n\
         [[resident]]\nid = \"r1\"\n[resident.look]\ncamera = \"cam\"\nrounds = [{{ at = \"{}\", latest = \"{}\" }}]\n\
         may_see_clearly = false\ninstead = \"visit\"\nconsent = {{ by = \"Karin\", on = \"2026-01-01\" }}\n\
         [[device]]\nid = \"p1\"\nkind = \"feedback\"\n\
         [[camera]]\nid = \"cam\"\nlook = \"http://192.168.90.4/snap.jpg\"\nlight = \"p1\"\n",
        at(-10),
        at(300),
        at(60),
        at(120)
    );
    let (config, _) = Config::parse(text.as_bytes(), Path::new("vaka.toml")).unwrap();
    bench.agreed = config.agreed.clone();
    bench.kill_and_start();
    bench
}

impl Bench {
    pub(super) fn look_wish(&mut self, wish: Wish, by: &str) -> Result<u64, NotSigned> {
        let (reply, mut answer) = oneshot::channel();
        self.keeper().run_batch(&mut vec![Input::Ask(Ask::Look { wish, by: by.into(), reply })]);
        answer.try_recv().expect("an answer")
    }

    fn open_look(&mut self, slot_at: i64) -> Result<u64, NotSigned> {
        let purpose = "the round".to_owned();
        self.look_wish(
            Wish::Open { resident: "r1".into(), slot_at: Some(slot_at), alarm: None, purpose, clear: false },
            "anna",
        )
    }

    pub(super) fn camera_item(&mut self) -> vaka_board::gateway::RoundItem {
        let (reply, mut answer) = oneshot::channel();
        let look = Ask::See(Box::new(move |keeper: &Keeper| {
            let _ = reply.send(round::night(keeper, None));
        }));
        self.keeper().run_batch(&mut vec![Input::Ask(look)]);
        let night = answer.try_recv().expect("a night");
        night.round.into_iter().find(|item| item.form == "camera").expect("a look-in by camera")
    }

    /// What the lamp still has to hear: the id and the light of each.
    fn lamp(&mut self) -> Vec<(u64, Option<Light>)> {
        let now_ms = self.clock.now().wall_ms;
        let lamp = device("p1");
        let owed = self.keeper().state().commands.owed(&lamp, now_ms);
        let light = |message: &vaka_protocol::CommandMessage| match &message.command {
            Command::Feedback { light, .. } => Some((message.id, *light)),
            _ => None,
        };
        owed.filter_map(light).collect()
    }
}

#[test]
fn a_look_is_on_the_disk_before_it_is_granted_lit_by_its_lamp_and_ended_by_a_kill() {
    let mut bench = bench();
    let item = bench.camera_item();
    assert_eq!((item.state, item.look.as_deref()), (RoundState::Next, None), "{item:?}");
    assert!(bench.open_look(item.planned_at).is_err(), "its time has not come");
    bench.pass_min(61);
    let item = bench.camera_item();
    assert_eq!((item.state, item.look), (RoundState::Due, Some(format!("r1.{}", item.planned_at))));
    let look = bench.open_look(item.planned_at).unwrap();
    assert_eq!(bench.records(LOOK), 1, "before anybody hears of it");
    let (to, state) = watch::channel(OpenLook::default());
    bench.keeper().run_batch(&mut vec![Input::Ask(Ask::LookWatch { look, to })]);
    assert!(!state.borrow().is_lit);
    let lamp = bench.lamp();
    assert_eq!(lamp.iter().map(|(_, light)| *light).collect::<Vec<_>>(), [Some(Light::Steady)]);
    bench.publish(
        "p1",
        &format!(r#"{{"v":1,"restart":1,"seq":1,"event":{{"done":{{"id":{},"outcome":"done"}}}}}}"#, lamp[0].0),
    );
    assert!(state.borrow().is_lit && !state.borrow().must_end, "{:?}", state.borrow());
    bench.publish("p1", r#"{"v":1,"restart":1,"seq":2,"event":{"decline":{"slot":""}}}"#);
    assert!(state.borrow().must_end, "a no is heard while somebody looks");
    bench.kill_and_start();
    let (disk, memory) = bench.disk_and_memory();
    assert!(disk == memory, "the disk says the same as memory");
    assert_eq!(bench.lamp().iter().map(|(_, light)| *light).collect::<Vec<_>>(), [Some(Light::Off)]);
    assert_eq!(bench.records(LOOK), 2, "asked and ended");
    assert!(state.has_changed().is_err(), "whoever carried it out has gone with the process");
    let item = bench.camera_item();
    assert_eq!(item.unsaid, Some(look), "somebody may have seen something: {item:?}");
    bench.look_wish(Wish::Outcome { look, outcome: crate::journal::record::LookOutcome::Calm }, "anna").unwrap();
    assert_eq!(bench.camera_item().state, RoundState::Done);
    bench.kill_and_start();
    let item = bench.camera_item();
    assert!(item.state == RoundState::Done && item.said.en.contains("all calm"), "{item:?}");
}

#[test]
fn nobody_looks_and_a_visit_is_on_the_round_until_somebody_signs_for_it() {
    let mut bench = bench();
    bench.pass_min(105);
    assert_eq!(bench.camera_item().state, RoundState::Due);
    bench.pass_min(10);
    let item = bench.camera_item();
    assert_eq!(item.state, RoundState::Visit, "{item:?}");
    assert!(item.alarm.is_some() && item.said.en.starts_with("Visit by"), "{item:?}");
    bench.sign(Some(item.planned_at), "bo").unwrap();
    let item = bench.camera_item();
    assert_eq!((item.state, item.by.as_deref(), item.look), (RoundState::Visited, Some("bo"), None));
}

#[test]
fn where_nothing_can_be_written_down_nobody_sees_more_than_they_see() {
    let mut bench = bench();
    let mut agreed = Agreed::clone(&bench.agreed);
    agreed.people[0].look.as_mut().expect("agreed").may_see_clearly = true;
    bench.agreed = Arc::new(agreed);
    bench.kill_and_start();
    bench.pass_min(61);
    let slot_at = bench.camera_item().planned_at;
    let look = bench.open_look(slot_at).expect("granted");
    let unveil = |bench: &mut Bench| {
        let (reply, mut answer) = oneshot::channel();
        bench.keeper().take_look(Wish::Unveil { look, resident: "r1".into() }, "anna", reply);
        bench.keeper().run_batch(&mut Vec::new());
        answer.try_recv().expect("an answer")
    };
    bench.keeper().room.refused = vec![Lane::Technical];
    assert!(matches!(unveil(&mut bench), Err(NotSigned::Disk)));
    assert!(!bench.keeper().state().care.look.state(look).is_unveiled);
    bench.keeper().room.refused.clear();
    assert!(unveil(&mut bench).is_ok());
    assert!(bench.keeper().state().care.look.state(look).is_unveiled);
}
