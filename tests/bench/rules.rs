//! The care rules alone: `--rules`. How many events a second they judge in a house of 500 devices, how long a year of one home takes,
//! and what a resident costs in memory. No journal, no network: the fold, the rules and the watch, on the story's own clock.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use vaka::config::Config;
use vaka::demo::replay;
use vaka::journal::record::Decision;
use vaka::rehearse::{SIGN_OF_LIFE_MS, Said, agreement, said, with_signs_of_life};
use vaka::rules::care::rehearsal::Rehearsal;
use vaka_protocol::{DeviceId, Event, Outcome};
use vaka_tests::{Chance, root};

use crate::goals::{self, Goal};

const RESIDENTS: usize = 100;
/// With [`RESIDENTS`] 500 devices.
const KINDS: [&str; 5] = ["bed-sensor", "door-sensor", "motion-sensor", "chair-sensor", "dispenser"];
/// Events of one round in the house; the story's clock moves by [`STEP_MS`] at each: some 6 events a second, a busy house.
const STEPS: u64 = 1_000_000;
const STEP_MS: i64 = 173;
const ROUNDS: usize = 5;
/// Staff look at the alarms so often, take each on when it has stood for a minute, and close it when they have been there, a quarter of an
/// hour after it was raised.
const STAFF_EVERY_STEPS: usize = 60_000 / STEP_MS as usize;
const CLAIMED_MS: i64 = 60_000;
const CLOSED_MS: i64 = 15 * 60_000;
/// 21 November 2026, 15:00 UTC: the rounds go on into the night and through it.
const START_MS: i64 = 1_795_273_200_000;
const DAY_MS: i64 = 86_400_000;
/// What is agreed with everybody in the house.
const AGREED: &str = include_str!("rules.toml");

/// Counts the bytes that are held: the one figure that no allocator rounds up.
struct Counting;

static HELD_BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator as it came; beside it a number is changed.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller keeps alloc's contract, which is this one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD_BYTES.fetch_add(size as i64 - layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn held() -> i64 {
    HELD_BYTES.load(Ordering::Relaxed)
}

/// The whole of it. False: a goal was missed.
pub fn bench(json_file: Option<&Path>) -> Result<bool> {
    let house = house()?;
    let mut rates = Vec::new();
    let mut memory = (0.0, 0.0);
    for round in 0..ROUNDS {
        let (rate, heap, cbor) = one_house(&house, 7 + round as u64)?;
        println!("500 devices, round {}: {:.2} million steps/s", round + 1, rate / 1e6);
        rates.push(rate);
        memory = (heap, cbor);
    }
    let (year_s, events) = a_year()?;
    println!("a year of one home, {events} events: {year_s:.2} s");
    let goals = vec![
        Goal::at_least(
            "rule steps a second on one core, 500 devices (million)",
            crate::stats::median(rates) / 1e6,
            1.0,
            "/s",
        ),
        Goal::at_most("a year of a home's events, folded and judged", year_s, 5.0, "s"),
        Goal::at_most("memory of a resident, heap", memory.0 / 1024.0, 64.0, "KiB"),
        Goal::at_most("memory of a resident, as it is saved", memory.1 / 1024.0, 64.0, "KiB"),
    ];
    println!("\n{}", goals::print(&goals));
    if let Some(file) = json_file {
        let all = json!({"goals": goals::json(&goals)});
        std::fs::write(file, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(goals.iter().all(|goal| goal.met() == Some(true)))
}

/// A service house in which the same is agreed with everybody: what stands in `rules.toml`.
fn house() -> Result<Config> {
    let mut text = String::from("[gateway]\nid = \"house\"\nrole = \"house\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n");
    for resident in 0..RESIDENTS {
        writeln!(text, "[[resident]]\nid = \"r{resident}\"")?;
        for (index, kind) in KINDS.iter().enumerate() {
            let exit = if *kind == "door-sensor" { "exit = true\n" } else { "" };
            writeln!(
                text,
                "[[device]]\nid = \"r{resident}-{index}\"\nkind = \"{kind}\"\nresident = \"r{resident}\"\n{exit}"
            )?;
        }
        let [shared, each] = AGREED.split("# EACH").collect::<Vec<_>>()[..] else { return Err(anyhow!("rules.toml")) };
        if resident == 0 {
            text.push_str(shared);
        }
        text.push_str(&each.replace("RESIDENT", &format!("r{resident}")));
    }
    Ok(Config::parse(text.as_bytes(), Path::new("house.toml"))?.0)
}

/// Steps a second, and bytes of a resident on the heap and saved.
fn one_house(config: &Config, seed: u64) -> Result<(f64, f64, f64)> {
    let devices: Vec<Vec<DeviceId>> = (0..RESIDENTS)
        .map(|resident| {
            (0..KINDS.len())
                .filter_map(|index| DeviceId::try_from(format!("r{resident}-{index}").as_str()).ok())
                .collect()
        })
        .collect();
    ensure!(devices.iter().map(Vec::len).sum::<usize>() == 500, "500 devices");
    let mut chance = Chance::from_seed(seed);
    let events: Vec<(DeviceId, Event)> = (0..STEPS).map(|_| happening(&mut chance, &devices)).collect();
    let before = held();
    let mut rehearsal = Rehearsal::new(config.agreed.clone(), vaka::pipeline::home(config), START_MS);
    devices.iter().flatten().for_each(|device| rehearsal.alive(device, true));
    let start = Instant::now();
    for (step, (device, event)) in events.iter().enumerate() {
        rehearsal.until(START_MS + STEP_MS * step as i64);
        rehearsal.event(device, event);
        confirm(&mut rehearsal);
        if step % STAFF_EVERY_STEPS == 0 {
            attend(&mut rehearsal);
        }
    }
    let rate = STEPS as f64 / start.elapsed().as_secs_f64();
    // Alarms are a home's, bounded apart.
    rehearsal.alarms = Default::default();
    rehearsal.log = Vec::new();
    let heap = (held() - before) as f64 / RESIDENTS as f64;
    let saved = minicbor_serde::to_vec(&rehearsal.care).map_err(|e| anyhow!("{e}"))?.len() as f64 / RESIDENTS as f64;
    let agreed = Arc::strong_count(&config.agreed);
    ensure!(agreed >= 1, "the agreement lives on");
    Ok((rate, heap, saved))
}

/// Dispensers confirm the schedules that they are sent; what the journal holds is not held in memory.
fn confirm(rehearsal: &mut Rehearsal) {
    for (_, decision) in std::mem::take(&mut rehearsal.log) {
        let Decision::Send(send) = decision else { continue };
        let pushed = rehearsal.care.dose.dispenser(&send.device).and_then(|known| known.pushed.as_ref());
        if let Some(id) = pushed.filter(|pushed| pushed.done.is_none()).map(|pushed| pushed.id) {
            rehearsal.event(&send.device, &Event::Done { id, outcome: Outcome::Done });
        }
    }
}

/// Staff do what the alarms ask for: one that nobody ever closed would be told again and again for two days.
fn attend(rehearsal: &mut Rehearsal) {
    let now_ms = rehearsal.now_ms();
    let alarms: Vec<_> =
        rehearsal.alarms.open().map(|a| (a.id().clone(), a.is_claimed(), now_ms - a.raised_at)).collect();
    for (alarm, is_claimed, age_ms) in alarms {
        if age_ms >= CLOSED_MS {
            rehearsal.close(&alarm);
        } else if age_ms >= CLAIMED_MS && !is_claimed {
            rehearsal.claim(&alarm);
        }
    }
}

/// What sensors in a house say: movement most of all.
fn happening(chance: &mut Chance, devices: &[Vec<DeviceId>]) -> (DeviceId, Event) {
    let own = &devices[chance.below(RESIDENTS as u64) as usize];
    let on = chance.below(2) == 1;
    let (index, event) = match chance.below(100) {
        0..50 => (2, Event::Motion {}),
        50..65 => (0, Event::Bed { occupied: on }),
        65..75 => (1, Event::Door { open: on }),
        75..85 => (3, Event::Chair { occupied: on }),
        85..95 => (2, Event::Temperature { centi_c: 2_000 + chance.below(300) as i32 }),
        _ => (4, Event::Alive {}),
    };
    (own[index].clone(), event)
}

/// Seconds for a year of one home, and how many events it had: the recorded fortnight again and again, each time otherwise by minutes.
fn a_year() -> Result<(f64, usize)> {
    let file = std::fs::read(root().join("tests/data/home-a/events.jsonl"))?;
    let recording = replay::read(file.as_slice())?;
    let path = root().join("tests/traces/home-a.toml");
    let config = agreement(&std::fs::read_to_string(&path)?, &path, &recording)?;
    let fortnight = said(&recording)?;
    let mut chance = Chance::from_seed(11);
    let mut year: Vec<Said> = Vec::new();
    for time in 0..27 {
        for one in &fortnight {
            let jitter_ms = chance.below(600_000) as i64 - 300_000;
            year.push(Said { at_ms: one.at_ms + 14 * DAY_MS * time + jitter_ms, ..one.clone() });
        }
    }
    year.sort_by_key(|said| said.at_ms);
    let first = year.first().map_or(0, |said| said.at_ms);
    year.retain(|said| said.at_ms < first + 365 * DAY_MS);
    let year = with_signs_of_life(&year, SIGN_OF_LIFE_MS);
    let start = Instant::now();
    let mut rehearsal = Rehearsal::new(config.agreed.clone(), vaka::pipeline::home(&config), first);
    for said in &year {
        rehearsal.until(said.at_ms);
        rehearsal.event(&said.device, &said.event);
    }
    Ok((start.elapsed().as_secs_f64(), year.len()))
}
