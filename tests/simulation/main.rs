//! The whole gateway but its sockets, under a schedule made from a seed: crashes, a disk that fails, lost and late receipts,
//! doubled publishes, clocks that jump by years, centres that come and go. Then everything is mended and runs until it is quiet.
//!
//! Real: admission, the inbox, the keeper, rules, fold, journal, the dispatch ledger, the devices' outbox and commands.
//! Simulated: the disk (`journal::simdisk`), time, the connections to devices, the alarm centres. Absent: TLS, MQTT and SIP bytes, tokio.
//!
//! `VAKA_SIM_SEEDS=10000` runs more seeds, `VAKA_SIM_SEED=17` one and prints what happened in it.

mod centre;
mod checks;
mod home;
mod time;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use vaka::journal::record::ActWhat;
use vaka::journal::simdisk::Fault;
pub use vaka::journal::simdisk::Rng;
use vaka_tests::setting;
use world::World;

/// Steps in which things go wrong.
const STEPS: u64 = 220;
/// Rounds of half a second that a mended world may need to become quiet: ten minutes.
const ROUNDS: u64 = 1_200;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

impl World {
    /// One thing happens.
    fn step(&mut self) {
        let device = self.rng.below(self.devices.len() as u64) as usize;
        match self.rng.below(100) {
            0..=19 => {
                let (t_ms, right_ms) = (self.t_ms, self.right_ms());
                let event = home::something(&mut self.rng);
                self.devices[device].put(event, t_ms, right_ms);
            }
            20..=37 => {
                self.connect(device);
                self.devices[device].send();
                let (most, twice) = (self.rng.below(8) as usize, self.rng.one_in(6));
                self.arrive(device, most, twice);
            }
            38..=57 => {
                let most = 1 + self.rng.below(12) as usize;
                self.batch(most);
            }
            58..=67 => self.hear(device),
            68..=69 => self.disconnect(device),
            70 => self.devices[device].reboot(self.t_ms),
            71..=79 => {
                let most = if self.rng.one_in(10) { 400_000 } else { 3_000 };
                let ms = self.rng.below(most);
                self.pass(ms);
            }
            80 => {
                let years = self.rng.below(21) as i64 - 10;
                self.say(|| format!("the clock jumps by {years} years"));
                self.clock.jump(years * YEAR_MS + 12_345);
            }
            81..=84 => {
                let centre = self.rng.below(self.centres.len() as u64) as usize;
                let up = !self.centres[centre].up;
                self.set_centre(centre, up);
            }
            85..=88 => self.spoil(),
            89 => {
                let room = self.rng.below(world::SIZE_MAX_BYTES / 6);
                self.say(|| format!("the disk has {room} bytes left"));
                self.disk.set_capacity(Some(self.disk.used() + room));
            }
            90..=92 => self.disk.set_capacity(None),
            93..=94 => self.die(),
            95 if self.rng.one_in(4) => self.stop(),
            96 => self.act(ActWhat::Claim),
            97 => self.act(ActWhat::Close),
            _ => self.check_fold(),
        }
        if self.gateway.is_none() && self.rng.one_in(3) {
            self.start();
        }
        self.pump();
    }

    /// A fault is to come at the disk.
    fn spoil(&mut self) {
        let (which, after) = (self.rng.below(4) as u32, self.rng.below(9_000) as usize);
        let fault = match self.rng.below(6) {
            0 => Fault::SyncFails(which),
            1 => Fault::WriteStops(which, after),
            2 => Fault::DirSyncFails(0),
            3 | 4 => Fault::DiesWriting(which, after),
            _ => Fault::DiesSyncing(which),
        };
        self.say(|| format!("to come at the disk: {fault:?}"));
        self.disk.inject(fault);
    }

    /// Everything is mended; it runs until nothing moves any more.
    fn heal(&mut self) {
        self.say(|| "everything is mended".into());
        self.faults = false;
        self.disk.heal();
        self.disk.set_capacity(None);
        for centre in 0..self.centres.len() {
            self.set_centre(centre, true);
        }
        for _ in 0..ROUNDS {
            if self.gateway.is_none() {
                self.start();
            }
            for device in 0..self.devices.len() {
                self.connect(device);
                self.devices[device].send();
                self.arrive(device, usize::MAX, false);
            }
            self.batch(64);
            (0..self.devices.len()).for_each(|device| self.hear(device));
            self.pump();
            if self.is_quiet() {
                return;
            }
            self.pass(500);
        }
        panic!("a mended world is not quiet after {ROUNDS} rounds: {}", self.unrest());
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.heal();
        self.check_all();
        // Once more from the disk alone: nothing is told again, nothing was only in memory.
        let told = self.copies();
        self.die();
        self.heal();
        self.check_all();
        assert_eq!(self.copies(), told, "a restart told again what was accepted");
    }

    fn copies(&self) -> u32 {
        self.centres.iter().flat_map(|centre| centre.accepted.values()).map(|accepted| accepted.copies).sum()
    }
}

/// Runs one seed; on a failure says which, and what happened at the end of it.
fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        let last = world.trace.len().saturating_sub(40);
        eprintln!("{}", world.trace[last..].join("\n"));
        eprintln!("seed {seed} failed; again with: VAKA_SIM_SEED={seed} cargo test -p vaka-tests --test simulation");
        resume_unwind(panic);
    }
    world
}

/// Events, accepted notices and lives of the process of many seeds.
fn many(seeds: impl Iterator<Item = u64>) -> [u64; 3] {
    seeds.map(run).fold([0; 3], |[events, accepted, lives], world| {
        let made: usize = world.devices.iter().map(|device| device.made.len()).sum();
        let taken: usize = world.centres.iter().map(|centre| centre.accepted.len()).sum();
        let starts = world.trace.iter().filter(|line| line.contains("starts, journal")).count();
        [events + made as u64, accepted + taken as u64, lives + starts as u64]
    })
}

#[test]
fn every_press_is_accepted_exactly_once_whatever_fails() {
    if let Ok(seed) = std::env::var("VAKA_SIM_SEED") {
        let seed = seed.parse().expect("VAKA_SIM_SEED is a number");
        println!("{}", run(seed).trace.join("\n"));
        return;
    }
    let seeds = setting("VAKA_SIM_SEEDS", 250);
    let halves = std::thread::scope(|scope| {
        let half = |first: u64| scope.spawn(move || many((first..seeds).step_by(2)));
        [half(0), half(1)].map(|half| half.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let [events, accepted, lives] = [0, 1, 2].map(|sum| halves[0][sum] + halves[1][sum]);
    println!("{seeds} seeds: {events} events, {accepted} notices accepted, {lives} lives of the process");
    assert!(accepted > seeds * 10 && lives > seeds * 3, "the simulation did too little");
}

#[test]
fn the_same_seed_makes_the_same_trace() {
    for seed in [3, 11, 42] {
        let (once, again) = (run(seed), run(seed));
        assert_eq!(once.trace, again.trace);
        assert_eq!(once.history, again.history);
        assert_ne!(once.trace, run(seed + 1).trace);
    }
}
