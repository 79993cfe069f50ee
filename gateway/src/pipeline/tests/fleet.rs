//! Firmware of devices, hour by hour: what holds a fetch, what does not end it, and what ends it.

use std::collections::BTreeSet;

use vaka_update::devices::{Devices, FORM, Image};

use super::*;
use crate::clock::{Confidence, Now};
use crate::config::Config;
use crate::firmware::{self, Offer, Row, Standing, Wish};
use crate::limits::{FIRMWARE_PROGRESS_MS, FIRMWARE_SILENT_MS, FIRMWARE_SOMEONE_MS};
use crate::metrics::Page;
use crate::pipeline::measures;

const HOUR: u64 = 3_600_000;
const SIZE: u32 = 10_000;
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

/// A home at noon of a Wednesday, with an image for its pendants.
struct Place {
    bench: Bench,
    offer: Arc<Offer>,
    seq: u64,
}

impl Place {
    fn new(devices: &[&str], quiet: &str) -> Place {
        let mut text = format!(
            "[gateway]\nid = \"gw-1\"\ncontroller_id = \"1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n\
             [update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\nquiet = [{quiet}]\n\
             [firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://127.0.0.1:1\"\n"
        );
        for device in devices {
            text.push_str(&format!("[[device]]\nid = \"{device}\"\nkind = \"pendant\"\n"));
        }
        let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).expect("it is right");
        let mut bench = Bench::new();
        bench.agreed = config.agreed.clone();
        bench.kill_and_start();
        let sha256 = "ab".repeat(32);
        let image = Image {
            kind: "pendant".into(),
            board: "b1".into(),
            version: "1.1.0".parse().unwrap(),
            file: "p.img".into(),
            size: u64::from(SIZE),
            sha256: sha256.clone(),
            rings: Vec::new(),
        };
        let (made, expires) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
        let list = Some(Devices { v: FORM, made, expires, images: vec![image] });
        let offer = Arc::new(Offer { config: Arc::new(config), list, here: BTreeSet::from([sha256]) });
        let mut place = Place { bench, offer, seq: 0 };
        devices.iter().for_each(|device| place.says(device, r#"{"started":{"cause":"power","version":"1.0.0"}}"#));
        place
    }

    fn says(&mut self, device: &str, event: &str) {
        self.seq += 1;
        let told = format!(r#"{{"v":1,"restart":1,"seq":{},"event":{event}}}"#, self.seq);
        assert_eq!(self.bench.publish(device, &told), PublishReason::Success);
    }

    fn put(&mut self, ask: firmware::Ask) {
        self.bench.keeper().run_batch(&mut vec![Input::Ask(Ask::Firmware(ask))]);
    }

    fn look(&mut self) -> Standing {
        let (reply, mut answer) = oneshot::channel();
        self.put(firmware::Ask::Look { offer: self.offer.clone(), reply });
        answer.try_recv().expect("an answer")
    }

    fn row(&mut self, device: &str) -> Row {
        let rows = self.look().devices;
        rows.into_iter().find(|row| row.device.as_ref() == device).expect("it is in the config")
    }

    fn wish(&mut self, wish: Wish) -> Result<String, String> {
        let (reply, mut answer) = oneshot::channel();
        self.put(firmware::Ask::Wish { wish, by: "anna".into(), offer: self.offer.clone(), reply });
        answer.try_recv().expect("an answer")
    }

    fn take(&mut self, someone_is_there: bool) -> Result<String, String> {
        self.wish(Wish::Take { device: device("p1"), someone_is_there })
    }

    fn path(&mut self) -> String {
        self.look().serving.expect("one is under way").path
    }

    /// The device asks for what comes behind so many bytes.
    fn asks(&mut self, path: &str, has_bytes: u32) -> firmware::May {
        let (reply, mut answer) = oneshot::channel();
        self.put(firmware::Ask::May { path: path.to_owned(), has_bytes, offer: self.offer.clone(), reply });
        answer.try_recv().expect("an answer")
    }

    #[track_caller]
    fn is_held(&mut self, path: &str, words: &str) {
        let said = self.asks(path, 4_096);
        let is_it = matches!(&said, Some(Err(why)) if why.contains(words));
        assert!(is_it, "`{words}`: {said:?}");
        assert!(self.row("p1").why.contains(words), "and it is told: {}", self.row("p1").why);
    }

    fn is_given(&mut self, path: &str) -> bool {
        matches!(self.asks(path, 4_096), Some(Ok(_)))
    }

    /// Technical alarms of it.
    fn technical(&mut self) -> usize {
        self.bench.rows().iter().filter(|row| row.device.as_ref() == "firmware-failed").count()
    }
}

#[test]
fn each_device_is_counted_once_by_how_it_stands() {
    let mut place = Place::new(&["p1", "p2", "p3"], "");
    let counted = |place: &mut Place| {
        let (config, mut page) = (place.offer.config.clone(), Page::default());
        measures::firmware(place.bench.keeper(), &config, &mut page);
        let text = page.text();
        let of_state = |line: &str| Some(line.strip_prefix("vaka_firmware_devices{state=\"")?.replace("\"}", ""));
        let counts = text.lines().filter_map(of_state).filter(|line| !line.ends_with(" 0")).collect::<Vec<_>>();
        let oldest =
            text.lines().find_map(|line| line.strip_prefix("vaka_firmware_oldest_seconds ")).map(str::to_owned);
        (counts.join(", "), oldest.expect("a figure"))
    };
    let heard = |place: &mut Place| ["p2", "p3"].iter().for_each(|device| place.says(device, r#"{"alive":{}}"#));
    assert_eq!(counted(&mut place), (String::new(), "0".to_owned()));
    let path = place.path();
    assert_eq!(counted(&mut place).0, "asked 1");
    assert!(place.is_given(&path));
    place.bench.clock.advance(HOUR);
    assert_eq!(counted(&mut place), ("fetching 1".to_owned(), "3600".to_owned()));
    place.bench.clock.advance(FIRMWARE_SILENT_MS as u64);
    heard(&mut place);
    place.look();
    assert_eq!(counted(&mut place), ("silent 1".to_owned(), "0".to_owned()), "and the others wait");
    assert_eq!(place.wish(Wish::Resume), Ok(String::new()));
    heard(&mut place);
    let path = place.path();
    assert_eq!(counted(&mut place).0, "asked 1, looked 1");
    assert!(matches!(place.asks(&path, SIZE), Some(Ok(_))));
    assert_eq!(counted(&mut place).0, "restarting 1, looked 1");
    place.says("p2", r#"{"started":{"cause":"update","version":"1.1.0"}}"#);
    assert_eq!(counted(&mut place).0, "trial 1, looked 1");
}

#[test]
fn who_may_restart_is_told_when_that_is_on_the_disk_and_not_before() {
    let mut place = Place::new(&["p1", "p2"], "");
    let path = place.path();
    let (reply, mut answer) = oneshot::channel();
    let asked = firmware::Ask::May { path, has_bytes: u32::MAX, offer: place.offer.clone(), reply };
    let keeper = place.bench.keeper();
    keeper.take_firmware(asked);
    assert!(answer.try_recv().is_err(), "its record is not committed");
    keeper.commit();
    assert!(matches!(answer.try_recv(), Ok(Some(Ok(_)))));
    place.bench.kill_and_start();
    assert_eq!(place.row("p1").stage, Some("restarting"));
}

/// A clock that nobody believes any more.
struct Lost(Arc<ManualClock>);

impl Clock for Lost {
    fn now(&self) -> Now {
        Now { confidence: Confidence::Floor, ..self.0.now() }
    }

    fn pause(&self, ms: u64) {
        self.0.pause(ms);
    }
}

#[test]
fn a_quiet_time_holds_a_fetch_that_is_under_way_and_being_refused_all_night_is_no_failure() {
    let mut place = Place::new(&["p1", "p2"], "\"13:00-06:00\"");
    let path = place.path();
    assert!(place.is_given(&path));
    place.bench.clock.advance(2 * HOUR);
    place.says("p2", r#"{"alive":{}}"#);
    place.is_held(&path, "quiet time");
    // Longer than a device may be silent.
    for _ in 0..4 * 13 {
        place.bench.clock.advance(HOUR / 4);
        place.is_held(&path, "quiet time");
        assert_eq!(place.row("p1").stage, Some("fetching"));
    }
    assert_eq!((place.technical(), place.row("p2").stage), (0, None));
    place.bench.kill_and_start();
    let now_ms = place.bench.clock.now().wall_ms;
    assert!(place.row("p1").heard_at.is_some_and(|at| now_ms - at < FIRMWARE_PROGRESS_MS), "it was heard, durably");
    // A person knows the hour, also of what is under way already.
    place.says("p2", r#"{"alive":{}}"#);
    assert_eq!(place.take(false), Ok(String::new()));
    assert!(place.is_given(&path));
    place.bench.kill_and_start();
    place.says("p2", r#"{"alive":{}}"#);
    assert!(place.is_given(&path), "and that is kept");
}

#[test]
fn whoever_has_stopped_it_holds_it_without_end_and_it_goes_on_where_it_was() {
    let mut place = Place::new(&["p1", "p2"], "");
    let path = place.path();
    assert!(place.is_given(&path));
    assert_eq!(place.wish(Wish::Stop), Ok(String::new()));
    for _ in 0..3 * 24 {
        place.bench.clock.advance(HOUR);
        ["p1", "p2"].iter().for_each(|device| place.says(device, r#"{"alive":{}}"#));
        place.is_held(&path, "anna has stopped");
    }
    assert_eq!(place.technical(), 0);
    assert_eq!(place.wish(Wish::Resume), Ok(String::new()));
    assert!(place.is_given(&path), "at the same address");
}

#[test]
fn one_of_which_nothing_was_heard_for_twelve_hours_is_given_up_and_told_and_holds_the_others() {
    let mut place = Place::new(&["p1", "p2"], "");
    let path = place.path();
    assert!(place.is_given(&path));
    place.bench.clock.advance(FIRMWARE_SILENT_MS as u64 - 1);
    place.says("p2", r#"{"alive":{}}"#);
    assert_eq!((place.row("p1").stage, place.technical()), (Some("fetching"), 0));
    place.bench.clock.advance(1);
    // By a clock that is not believed nobody knows that it was so long.
    place.bench.keeper().clock = Arc::new(Lost(place.bench.clock.clone()));
    assert_eq!((place.row("p1").stage, place.technical()), (Some("fetching"), 0));
    place.bench.keeper().clock = place.bench.clock.clone();
    let row = place.row("p1");
    assert!(row.halts && row.stage == Some("silent"), "{row:?}");
    assert!(row.why.contains("nothing was heard of it for 12 h after it was fetching"), "{}", row.why);
    assert_eq!(place.technical(), 1, "told once");
    assert_eq!(place.asks(&path, 4_096), None, "its address is closed");
    assert!(place.row("p2").why.contains("p1 came to nothing"), "{}", place.row("p2").why);
    place.bench.kill_and_start();
    assert_eq!((place.row("p1").stage, place.technical()), (Some("silent"), 1));
    assert_eq!(place.wish(Wish::Resume), Ok(String::new()));
    place.says("p1", r#"{"alive":{}}"#);
    place.says("p2", r#"{"alive":{}}"#);
    assert_eq!((place.row("p1").stage, place.row("p2").stage), (Some("silent"), Some("asked")));
}

#[test]
fn a_life_alarm_holds_every_piece_until_it_is_closed_however_old_it_is_and_whoever_has_it() {
    let mut place = Place::new(&["p1", "p2"], "");
    let path = place.path();
    assert!(place.is_given(&path));
    place.says("p2", r#"{"button":{"press":"short"}}"#);
    place.is_held(&path, "a life alarm is open");
    let alarm = place.bench.rows().into_iter().find(|row| row.lane == Lane::Life).expect("raised");
    place.bench.accept(&alarm, 0);
    place.is_held(&path, "a life alarm is open");
    for _ in 0..5 {
        place.bench.clock.advance(HOUR);
        place.is_held(&path, "a life alarm is open");
    }
    assert!(place.take(false).is_ok_and(|said| said.contains("a life alarm is open")), "nobody's word goes above it");
    place.is_held(&path, "a life alarm is open");
    place.bench.act(&alarm, ActWhat::Close, "anna").expect("closed");
    place.says("p2", r#"{"alive":{}}"#);
    assert!(place.is_given(&path));
}

#[test]
fn somebody_who_is_there_can_say_so_again_and_counts_only_by_a_clock_that_is_believed() {
    let mut place = Place::new(&["p1"], "");
    assert!(place.row("p1").why.contains("the only alarm of"), "{}", place.row("p1").why);
    assert_eq!(place.take(true), Ok(String::new()));
    let path = place.path();
    assert!(place.is_given(&path));
    place.bench.clock.advance(FIRMWARE_SOMEONE_MS as u64);
    place.is_held(&path, "--someone-is-there");
    assert!(
        place.take(false).is_ok_and(|said| said.contains("--someone-is-there")),
        "a word on the hour is none on that"
    );
    assert_eq!(place.take(true), Ok(String::new()), "it is under way, and they are there still");
    assert!(place.is_given(&path));
    // How long ago that was, nobody knows by such a clock.
    place.bench.keeper().clock = Arc::new(Lost(place.bench.clock.clone()));
    place.is_held(&path, "the only alarm of");
    let refused = place.take(true).unwrap_err();
    assert!(refused.contains("the clock is not believed"), "{refused}");
    place.bench.keeper().clock = place.bench.clock.clone();
    assert!(place.is_given(&path));
}

#[test]
fn it_restarts_when_it_was_told_that_it_may_and_not_when_bytes_have_left() {
    let mut place = Place::new(&["p1", "p2"], "");
    let path = place.path();
    for has_bytes in [0, 4_096, SIZE - 1] {
        assert!(matches!(place.asks(&path, has_bytes), Some(Ok(_))));
        assert_eq!(place.row("p1").stage, Some("fetching"));
    }
    assert_eq!(place.wish(Wish::Stop), Ok(String::new()));
    assert!(matches!(place.asks(&path, SIZE), Some(Err(_))));
    let row = place.row("p1");
    assert_eq!((row.stage, row.fetched_bytes), (Some("fetching"), SIZE), "it has all, and may not");
    assert_eq!(place.wish(Wish::Resume), Ok(String::new()));
    assert!(matches!(place.asks(&path, SIZE), Some(Ok(_))));
    assert_eq!(place.row("p1").stage, Some("restarting"));
    place.bench.kill_and_start();
    assert_eq!(place.row("p1").stage, Some("restarting"));
    let (disk, memory) = place.bench.disk_and_memory();
    assert_eq!(disk, memory);
    // Somebody called before it did, and it asks again.
    place.says("p2", r#"{"button":{"press":"short"}}"#);
    assert!(matches!(place.asks(&path, SIZE), Some(Err(_))));
    assert_eq!(place.row("p1").stage, Some("fetching"));
}
