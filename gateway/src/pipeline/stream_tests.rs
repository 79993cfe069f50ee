//! Telemetry by a route, without sockets: what is read, what is owed through restarts, and what retention takes.

use std::sync::{Arc, mpsc};

use vaka_protocol::DeviceId;

use super::keeper::{Ask, Input, Keeper};
use super::restore;
use super::streams::{self, Read};
use super::view::Labels;
use crate::clock::ManualClock;
use crate::dispatch::{ParcelId, Report};
use crate::ingest::admission;
use crate::ingest::roster::{Listed, Peer, Roster};
use crate::journal::Options;
use crate::journal::index::Index;
use crate::limits::{STREAM_PAUSE_MS, STREAM_SAVE_MS, STREAM_WINDOW_EVENTS};
use crate::rules::Home;

const AT: i64 = 1_795_000_000_000;

struct Stage {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    keeper: Keeper,
    reads: mpsc::Receiver<Read>,
    size_max_bytes: u64,
    published: u64,
}

/// (stream, record, the temperature told).
type Got = (u32, u64, i32);

impl Stage {
    fn new(size_max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::new(AT));
        let (keeper, reads) = Self::open(&dir, &clock, size_max_bytes, Home::default());
        Self { dir, clock, keeper, reads, size_max_bytes, published: 0 }
    }

    fn open(
        dir: &tempfile::TempDir,
        clock: &Arc<ManualClock>,
        size_max_bytes: u64,
        home: Home,
    ) -> (Keeper, mpsc::Receiver<Read>) {
        let options = Options { segment_bytes: 8 * 1_024, reserve_bytes: 0, ..Options::default() };
        let index = Index::new(&restore::index_dir(dir.path()));
        let restored = restore::open_with(dir.path(), size_max_bytes, options, index).expect("the journal opens");
        let mut keeper = Keeper::new(restored, home, Labels::default(), clock.clone(), None);
        let (reads, wishes) = mpsc::channel();
        keeper.read_streams_with(reads);
        keeper.begin();
        (keeper, wishes)
    }

    /// As after a kill, on the same disk.
    fn restart(self) -> Self {
        let Self { dir, clock, keeper, size_max_bytes, published, .. } = self;
        drop(keeper);
        let (keeper, reads) = Self::open(&dir, &clock, size_max_bytes, routed());
        Self { dir, clock, keeper, reads, size_max_bytes, published }
    }

    fn publish(&mut self, event: &str) {
        let input = self.input(event);
        self.keeper.run_batch(&mut vec![input]);
    }

    fn input(&mut self, event: &str) -> Input {
        self.published += 1;
        let device = DeviceId::try_from("d1").expect("an id");
        let roster =
            Roster { devices: [(device.clone(), Listed { bridge: false, home: false })].into(), ..Roster::default() };
        let peer = Peer { device, enrolment: 1, serial: String::new(), not_after: i64::MAX };
        let payload = format!(r#"{{"v":1,"restart":1,"seq":{},"event":{event}}}"#, self.published);
        let admitted = admission::admit(&peer, &roster, "vaka/v1/d1/event", payload.into_bytes(), false);
        Input::Submission(admitted.submission)
    }

    fn warm(&mut self, range: std::ops::Range<i32>) {
        let event = |centi_c: i32| format!(r#"{{"temperature":{{"centi_c":{centi_c}}}}}"#);
        let all: Vec<Input> = range.map(|centi_c| self.input(&event(centi_c))).collect();
        let mut all = all.into_iter().peekable();
        // The first by itself, then fifty to a commit: segments are closed between commits.
        self.keeper.run_batch(&mut all.by_ref().take(1).collect());
        while all.peek().is_some() {
            self.keeper.run_batch(&mut all.by_ref().take(50).collect());
        }
    }

    fn route(&mut self, home: Home) {
        self.keeper.run_batch(&mut vec![Input::Ask(Ask::Home {
            home,
            labels: Labels::default(),
            agreed: Default::default(),
        })]);
    }

    /// The next window, if anything is to be read.
    fn read(&mut self) -> Vec<Got> {
        self.clock.advance(STREAM_PAUSE_MS);
        self.keeper.run_batch(&mut Vec::new());
        let Ok(wish) = self.reads.try_recv() else { return Vec::new() };
        let window = streams::read(self.dir.path(), wish).expect("the journal is read");
        let got = window.temperatures();
        self.keeper.run_batch(&mut vec![Input::Ask(Ask::Window(window))]);
        got
    }

    fn take(&mut self, got: &[Got]) {
        let taken = |(_, record, _): &Got| {
            Input::Report(Report::Parcel { receiver: "hub".into(), id: ParcelId::Telemetry(*record, 0) })
        };
        self.keeper.run_batch(&mut got.iter().map(taken).collect());
    }

    fn owed_and_lost(&self) -> Option<(u64, u64)> {
        self.keeper.state().streams.counts().get("hub").copied()
    }
}

fn routed() -> Home {
    Home { telemetry: vec!["hub".into()], ..Home::default() }
}

fn degrees(got: &[Got]) -> Vec<i32> {
    got.iter().map(|(.., centi_c)| *centi_c).collect()
}

#[test]
fn what_is_stored_from_the_route_on_leaves_once_and_a_position_never() {
    let mut home = Stage::new(64 << 20);
    home.warm(0..5);
    home.route(routed());
    assert_eq!(home.owed_and_lost(), Some((0, 0)), "what was stored before the route stays");
    home.publish(r#"{"position":{"lat_e7":1,"lon_e7":2}}"#);
    home.publish(r#"{"button":{}}"#);
    home.publish(r#"{"alive":{}}"#);
    home.warm(5..8);
    let mut first = home.read();
    assert_eq!(degrees(&first), [5], "the first is not waited for");
    home.take(&first);
    first.extend(home.read());
    assert_eq!(degrees(&first), [5, 6, 7]);
    home.take(&first[1..2]);
    assert!(home.read().is_empty(), "one window at a time");
    // The rest of it was not taken: after a restart all that was not written down comes again, under the same identity.
    let mut home = home.restart();
    assert_eq!(home.read(), first);
    home.take(&first);
    home.take(&first);
    home.clock.advance(STREAM_SAVE_MS);
    assert!(home.read().is_empty());
    assert_eq!(home.owed_and_lost(), Some((0, 0)), "written down");
    let mut home = home.restart();
    home.warm(8..9);
    assert_eq!(degrees(&home.read()), [8]);
    // The route goes, and comes back: what was stored between stays at home.
    home.route(Home::default());
    assert_eq!(home.owed_and_lost(), None);
    home.warm(9..12);
    home.clock.advance(1_000);
    home.route(routed());
    home.warm(12..13);
    let later = home.read();
    assert_eq!(degrees(&later), [12]);
    assert_ne!(later[0].0, first[0].0, "another stream");
}

#[test]
fn after_an_outage_everything_comes_in_order_in_windows_whenever_the_home_restarts() {
    let mut home = Stage::new(64 << 20);
    home.route(routed());
    let all = 3 * i32::try_from(STREAM_WINDOW_EVENTS).expect("few") + 10;
    home.warm(0..all);
    let mut told: Vec<i32> = Vec::new();
    for round in 0.. {
        let window = home.read();
        assert!(window.len() <= STREAM_WINDOW_EVENTS);
        if round % 3 == 1 {
            home.take(&window[..window.len() / 2]);
            home = home.restart();
            continue;
        }
        home.take(&window);
        // Only a restart repeats, and it repeats what was told.
        let fresh = degrees(&window).into_iter().filter(|centi_c| told.last().is_none_or(|last| centi_c > last));
        told.extend(fresh.collect::<Vec<_>>());
        if told.len() == usize::try_from(all).expect("few") {
            break;
        }
        assert!(round < 100, "{told:?}");
    }
    assert_eq!(told, (0..all).collect::<Vec<_>>());
}

#[test]
fn what_retention_takes_before_it_was_sent_is_counted_and_told_each_time() {
    let mut home = Stage::new(160 * 1_024);
    home.route(routed());
    let mut sent = 0;
    for round in 1..=2 {
        let before = home.owed_and_lost().expect("a stream");
        home.warm(0..1_500);
        home.keeper.keep_house(true);
        let stored = before.0 + 1_500;
        // What was asked for before the removal does not count.
        home.read();
        assert_eq!(home.owed_and_lost(), Some((stored, before.1)));
        let first = home.read();
        let (left, lost) = home.owed_and_lost().expect("a stream");
        let gone = lost - before.1;
        assert!(gone > 0 && left > 0, "{left} left, {lost} lost");
        assert_eq!(left + gone, stored, "each is there or counted");
        let alarms: Vec<_> = home.keeper.state().alarms.open().collect();
        assert_eq!(alarms.len(), 1);
        assert_eq!((alarms[0].raise.device.as_ref(), alarms[0].count), ("telemetry-lost-hub", round));
        assert!(alarms[0].notices.len() >= usize::try_from(2 * round).expect("few"), "told each time");
        let mut window = first;
        while !window.is_empty() {
            sent += window.len();
            home.take(&window);
            window = home.read();
        }
        home.clock.advance(STREAM_SAVE_MS);
        home.read();
        assert_eq!(home.owed_and_lost(), Some((0, lost)));
        assert_eq!(u64::try_from(sent).expect("few") + lost, 1_500 * u64::from(round), "nothing is unaccounted for");
        home = home.restart();
    }
}
