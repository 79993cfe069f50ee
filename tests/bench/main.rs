//! One run, one disk, one table: Vaka beside what people would pick instead.
//!
//! `cargo run --release -p vaka-tests --bin bench` builds the gateway, makes homes and certificates in a temporary folder on the
//! disk of the build, and measures all peers in turns, round by round, so that a noisy minute hits all of them.
//! `--quick` takes under a minute, the whole run under four. Exit 0 whatever the figures say; with `--strict` 1 if a goal is missed.
//!
//! A further peer is a `Peer` in a file of its own and a line in `peers`; figures for plots are in `--json`.

#![allow(
    clippy::disallowed_methods,
    reason = "a measurement reads clocks and lets time pass; nothing here carries an alarm"
)]

mod cells;
mod centre;
mod disk;
mod goals;
mod load;
mod mosquitto;
mod mqtt;
mod peer;
mod pki;
mod press;
mod process;
mod session;
mod stats;
mod table;
mod vaka;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use crate::cells::LOADS;
use crate::centre::Centre;
use crate::mosquitto::Mosquitto;
use crate::mqtt::Version;
use crate::peer::Peer;
use crate::table::Table;
use crate::vaka::Vaka;

/// Vaka beside its peers: acknowledged events, latency, loss, memory, size.
#[derive(Parser)]
struct Args {
    /// Fewer and shorter rounds: under a minute, rougher figures.
    #[arg(long)]
    quick: bool,
    /// Exit 1 when a goal is missed or could not be measured.
    #[arg(long)]
    strict: bool,
    /// All figures of all rounds, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The gateway's program; otherwise it is built in release mode.
    #[arg(long, value_name = "PROGRAM")]
    vaka: Option<PathBuf>,
    /// Only these peers: vaka, mosquitto.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// MQTT 3.1.1 instead of 5.
    #[arg(long)]
    v311: bool,
    #[command(subcommand)]
    role: Option<RoleArg>,
}

/// What this program's own children do.
#[derive(Subcommand)]
enum RoleArg {
    #[command(hide = true)]
    Load { spec: PathBuf },
    #[command(hide = true)]
    Centre,
}

/// How long everything takes.
struct Plan {
    rounds: u64,
    /// One of the slices of the raw disk in every round.
    raw: Duration,
    warm_up_ms: u64,
    measure_ms: u64,
    presses_per_round: u64,
    disk_events: u64,
    settle: Duration,
    watch: Duration,
    /// After this no further round begins; each round is complete.
    rounds_end: Duration,
}

const FULL: Plan = Plan {
    rounds: 5,
    raw: Duration::from_millis(120),
    warm_up_ms: 500,
    measure_ms: 2_500,
    presses_per_round: 50,
    disk_events: 40_000,
    settle: Duration::from_secs(2),
    watch: Duration::from_secs(15),
    rounds_end: Duration::from_secs(170),
};

const QUICK: Plan = Plan {
    rounds: 3,
    raw: Duration::from_millis(60),
    warm_up_ms: 200,
    measure_ms: 700,
    presses_per_round: 20,
    disk_events: 8_000,
    settle: Duration::from_millis(500),
    watch: Duration::from_secs(3),
    rounds_end: Duration::from_secs(35),
};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.role {
        Some(RoleArg::Load { spec }) => load::role(spec).map(|()| true),
        Some(RoleArg::Centre) => centre::role().map(|()| true),
        None => bench(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("bench: {e:#}");
            ExitCode::from(70)
        }
    }
}

/// Progress, on stderr; the tables alone go to stdout.
fn say(start: Instant, text: &str) {
    eprintln!("[{:5.1} s] {text}", start.elapsed().as_secs_f64());
}

/// The whole run. False: strict, and a goal was missed.
fn bench(args: &Args) -> Result<bool> {
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let program = if wanted("vaka") { Some(gateway(args)?) } else { None };
    let start = Instant::now();
    let busy = process::load_average();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = if args.quick { QUICK } else { FULL };
    let folder = std::env::current_exe()?.parent().context("this program has no folder")?.to_owned();
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(&folder)?;
    let dir = dir.path();
    let version = if args.v311 { Version::V311 } else { Version::V5 };
    // Between presses nobody asks the centre for anything; it is there so that the gateway's path is up.
    let centre = centre::Kind::Own.start(dir)?.context("the bench's own alarm centre did not start")?;

    say(start, "making homes, devices and certificates");
    let devices = LOADS[2].connections;
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    if let Some(program) = program {
        peers.push(Box::new(Vaka::new(program, dir, version, devices, centre.port)?));
    }
    if wanted("mosquitto") {
        peers.push(Box::new(Mosquitto::new("mosquitto", "", dir, version, devices)?));
    }
    ensure!(!peers.is_empty(), "no peer is called {}; choose from vaka, mosquitto", args.only.join(", "));

    let mut table = Table::default();
    for round in 0..plan.rounds {
        if start.elapsed() > plan.rounds_end {
            say(start, &format!("time is up after {round} of {} rounds", plan.rounds));
            break;
        }
        let line = one_round(&mut table, dir, &plan, &mut peers, &centre, round)?;
        say(start, &format!("round {} of {}: {line}", round + 1, plan.rounds));
    }
    for peer in &mut peers {
        let lost = cells::lost_after_kill(&mut table, dir, peer.as_mut())?;
        say(start, &format!("{}: {lost} lost after kill -9", peer.name()));
        cells::disk_bytes(&mut table, dir, peer.as_mut(), plan.disk_events)?;
        cells::program_size(&mut table, dir, peer.as_ref())?;
    }
    say(start, "all at rest, with their devices connected");
    cells::idle(&mut table, dir, &mut peers, plan.settle, plan.watch)?;
    say(start, "done");

    let goals = goals::goals(&table);
    let columns: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    println!("\n{}\n{}", table.print(&[cells::MACHINE]), table.print(&columns));
    for peer in &peers {
        println!("{}: {}", peer.name(), peer.about());
    }
    println!(
        "MQTT {}, mutual TLS 1.3, P-256, QoS 1, {} B; medians of rounds, ratios within a round; {cores} cores, load average {busy} before",
        args.mqtt(),
        load::EVENT_BYTES
    );
    println!("\n{}", goals::print(&goals));
    if let Some(file) = &args.json {
        let all = serde_json::json!({"rows": table.json(), "goals": goals::json(&goals), "quick": args.quick, "mqtt": args.mqtt()});
        std::fs::write(file, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(!args.strict || goals.iter().all(|goal| goal.met() == Some(true)))
}

/// Everything whose figures are compared within one round.
fn one_round(
    table: &mut Table,
    dir: &Path,
    plan: &Plan,
    peers: &mut [Box<dyn Peer>],
    resting: &Centre,
    round: u64,
) -> Result<String> {
    // Every other round the other way about: nobody is always first.
    let mut order: Vec<usize> = (0..peers.len()).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    let mut raw = disk::Raw::default();
    let mut line = String::new();
    for load in LOADS {
        line += &format!("; {}", load.name());
        for index in &order {
            raw.slice(dir, plan.raw)?;
            let peer = peers[*index].as_mut();
            let rate = cells::throughput(table, dir, peer, load, plan.warm_up_ms, plan.measure_ms)?;
            line += &format!(" {} {rate:.0}/s", peer.name());
        }
    }
    raw.slice(dir, plan.raw)?;
    for peer in peers.iter_mut() {
        cells::ready(table, peer.as_mut())?;
        for kind in centre::Kind::ALL {
            if let Some(p50) = cells::presses(table, dir, peer.as_mut(), kind, plan.presses_per_round)? {
                line += &format!("; accepted by {} {p50:.1} ms", kind.name());
            }
        }
        peer.alarm_centre(resting.port)?;
    }
    raw.slice(dir, plan.raw)?;
    Ok(format!("fdatasync {:.2} ms{line}", cells::raw_disk(table, raw)))
}

/// The gateway's program: the one given, or one built now.
fn gateway(args: &Args) -> Result<PathBuf> {
    if let Some(program) = &args.vaka {
        return program.canonicalize().with_context(|| format!("finding {}", program.display()));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "vaka", "--bin", "vaka", "--manifest-path"])
        .arg(manifest)
        .status();
    ensure!(
        built.context("starting cargo")?.success(),
        "building the gateway failed; give --vaka PROGRAM or --only mosquitto"
    );
    // Beside this program when that is a release build; else in the release folder beside its own.
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).context("this program stands in no build folder")?;
    Ok(target.join("release/vaka"))
}

impl Args {
    fn mqtt(&self) -> &'static str {
        if self.v311 { "3.1.1" } else { "5" }
    }
}
