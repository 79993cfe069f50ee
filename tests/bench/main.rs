//! One run, one disk, one table: Vaka beside what people would pick instead.
//!
//! `cargo run --release -p vaka-tests --bin bench` builds the gateway, makes homes and certificates in a temporary folder on the
//! disk of the build, and measures all peers in turns, round by round, so that a noisy minute hits all of them.
//! `--quick` takes two minutes, the whole run under eight. Exit 0 whatever the figures say; with `--strict` 1 if a goal is missed.
//! A peer that cannot be had here is left out with a line that says why; the first run builds and installs the others.
//!
//! A further peer is a `Peer` in a file of its own and a line in `peers`. `--plot` draws the table's main rows.

#![allow(
    clippy::disallowed_methods,
    reason = "a measurement reads clocks and lets time pass; nothing here carries an alarm"
)]

mod aedes;
mod board;
mod broker;
mod cells;
mod centre;
mod disk;
mod flood;
mod goals;
mod hub;
mod load;
mod looks;
mod mosquitto;
mod mqtt;
mod outage;
mod peer;
mod peers;
mod pki;
mod plot;
mod press;
mod process;
mod rules;
mod rumqttd;
mod session;
mod stats;
mod table;
mod vaka;
mod web;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

use crate::cells::LOADS;
use crate::centre::Centre;
use crate::mqtt::Version;
use crate::outage::Way;
use crate::peer::Peer;
use crate::peers::Made;
use crate::table::Table;

/// Vaka beside its peers: acknowledged events, latency, loss, memory, size.
#[derive(Parser)]
struct Args {
    /// Fewer and shorter rounds: about two minutes, rougher figures.
    #[arg(long)]
    quick: bool,
    /// Exit 1 when a goal is missed or could not be measured.
    #[arg(long)]
    strict: bool,
    /// All figures of all rounds, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The main rows as a plot, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Measure nothing: tables and plot of an earlier run's --json.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "quick", "vaka", "v311"])]
    from: Option<PathBuf>,
    /// The gateway's program; otherwise it is built in release mode.
    #[arg(long, value_name = "PROGRAM")]
    vaka: Option<PathBuf>,
    /// Only these peers: vaka, mosquitto, mosquitto-autosave, rumqttd, aedes.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Instead: a home's alarm through a hub, and a hub with 2,000 homes (VAKA_HOMES). The program is $VAKA_BIN, else the release build.
    #[arg(long)]
    hub: bool,
    /// Instead: the staff's board: press to row, the first page, 500 boards and 5,000 alarms, a flood. The program as for --hub.
    #[arg(long)]
    board: bool,
    /// Instead: the care rules alone: steps a second in a house of 500 devices, a home's year, memory of a resident.
    #[arg(long)]
    rules: bool,
    /// Instead: look-ins by camera: 179 cameras, ten looks at once, presses meanwhile. The program as for --hub.
    #[arg(long)]
    looks: bool,
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
    Flood { spec: PathBuf },
    #[command(hide = true)]
    Video { port: u16 },
    #[command(hide = true)]
    Centre {
        #[arg(long, default_value_t = 0)]
        port: u16,
        #[arg(long)]
        press_within_s: Option<u64>,
    },
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
    /// Outages of each peer with a way up; and how many events in each before the press.
    outages: u32,
    outage_events: u64,
    settle: Duration,
    watch: Duration,
    /// After this no further round begins; each round is complete.
    rounds_end: Duration,
}

const FULL: Plan = Plan {
    rounds: 4,
    raw: Duration::from_millis(120),
    warm_up_ms: 500,
    measure_ms: 2_000,
    presses_per_round: 50,
    disk_events: 40_000,
    outages: 4,
    outage_events: 5_000,
    settle: Duration::from_secs(2),
    watch: Duration::from_secs(15),
    rounds_end: Duration::from_secs(220),
};

const QUICK: Plan = Plan {
    rounds: 2,
    raw: Duration::from_millis(60),
    warm_up_ms: 200,
    measure_ms: 700,
    presses_per_round: 20,
    disk_events: 8_000,
    outages: 1,
    outage_events: 1_000,
    settle: Duration::from_millis(500),
    watch: Duration::from_secs(3),
    rounds_end: Duration::from_secs(40),
};

/// How long a way up stays gone after the press, and by how much longer each time. Longer than the pauses between two
/// tries need to settle, and no multiple of any of them.
const OUTAGE: Duration = Duration::from_millis(3_000);
const OUTAGE_STEP: Duration = Duration::from_millis(730);

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.role {
        Some(RoleArg::Load { spec }) => load::role(spec).map(|()| true),
        Some(RoleArg::Flood { spec }) => flood::role(spec).map(|()| true),
        Some(RoleArg::Video { port }) => looks::video_role(*port).map(|()| true),
        Some(RoleArg::Centre { port, press_within_s }) => {
            centre::role(*port, press_within_s.map(Duration::from_secs)).map(|()| true)
        }
        None if args.hub => folder().and_then(|dir| hub::bench(dir.path())).map(|()| true),
        None if args.board => {
            folder().and_then(|dir| board::bench(dir.path(), args.quick)).map(|met| met || !args.strict)
        }
        None if args.looks => {
            folder().and_then(|dir| looks::bench(dir.path(), args.quick)).map(|met| met || !args.strict)
        }
        None if args.rules => rules::bench(args.json.as_deref()).map(|met| met || !args.strict),
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
    let run = match &args.from {
        Some(file) => Run::read(file)?,
        None => measure(args)?,
    };
    let columns: Vec<&str> = run.columns.iter().map(String::as_str).collect();
    let goals = goals::goals(&run.table);
    println!("\n{}\n{}", run.table.print(&[cells::MACHINE]), run.table.print(&columns));
    for line in &run.foot {
        println!("{line}");
    }
    println!("\n{}", goals::print(&goals));
    if let Some(file) = &args.json {
        let foot = &run.foot;
        let all = serde_json::json!({"rows": run.table.json(), "goals": goals::json(&goals), "columns": columns, "foot": foot});
        std::fs::write(file, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    if let Some(file) = &args.plot {
        plot::draw(&run.table, &columns, file)?;
    }
    Ok(!args.strict || goals.iter().all(|goal| goal.met() == Some(true)))
}

/// What a run leaves: figures, whose they are, and how they came to be.
struct Run {
    table: Table,
    columns: Vec<String>,
    foot: Vec<String>,
}

impl Run {
    fn read(file: &Path) -> Result<Run> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let all: serde_json::Value = serde_json::from_str(&text)?;
        let table = Table::from_json(&all["rows"]);
        let lines = |name: &str| serde_json::from_value::<Vec<String>>(all[name].clone());
        let (Some(table), Ok(columns), Ok(foot)) = (table, lines("columns"), lines("foot")) else {
            bail!("{} is no --json of a run of this program", file.display());
        };
        Ok(Run { table, columns, foot })
    }
}

fn measure(args: &Args) -> Result<Run> {
    let start = Instant::now();
    let known = |only: &String| peers::NAMES.contains(&only.as_str());
    if let Some(other) = args.only.iter().find(|only| !known(only)) {
        bail!("--only {other}: there are {}", peers::NAMES.join(", "));
    }
    let names = peers::NAMES.iter().filter(|name| args.only.is_empty() || args.only.iter().any(|only| only == *name));
    let names: Vec<&str> = names.copied().collect();
    let gateway = if names.contains(&peers::VAKA) { Some(gateway(args)?) } else { None };
    let plan = if args.quick { QUICK } else { FULL };
    let program = std::env::current_exe()?;
    let dir = folder()?;
    let dir = dir.path();
    // Between presses nobody asks the centre for anything; it is there so that the gateway's path is up.
    let centre = centre::Kind::Own.start(dir)?.context("the bench's own alarm centre did not start")?;

    say(start, "making homes, devices and certificates");
    let place = peers::Place {
        gateway: gateway.as_deref(),
        workshop: &target(&program)?.join("bench-peers"),
        dir,
        version: if args.v311 { Version::V311 } else { Version::V5 },
        devices: LOADS[2].connections,
        centre_port: centre.port,
    };
    let Made { mut peers, left_out } = peers::make(&names, &place)?;
    for line in &left_out {
        say(start, line);
    }

    let busy = process::load_average();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut table = Table::default();
    let rounds_start = Instant::now();
    for round in 0..plan.rounds {
        if rounds_start.elapsed() > plan.rounds_end {
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
    for peer in &mut peers {
        outages(&mut table, dir, &plan, peer.as_mut(), start)?;
        peer.alarm_centre(centre.port)?;
    }
    say(start, "all at rest, with their devices connected");
    cells::idle(&mut table, dir, &mut peers, plan.settle, plan.watch)?;
    say(start, "done");

    let mut foot: Vec<String> = peers.iter().map(|peer| format!("{}: {}", peer.name(), peer.about())).collect();
    foot.extend(left_out);
    let owed: Vec<&str> = peers.iter().filter(|peer| peer.keeps_only_for_somebody()).map(|peer| peer.name()).collect();
    if !owed.is_empty() {
        foot.push(format!("in every load one subscriber is away, for whoever stores only what somebody is owed: {}; the others are asked to keep for nobody", owed.join(", ")));
    }
    foot.extend([
        format!(
            "outage: the way up is gone, {} telemetry events, one press, the way up is back: the press's way. Vaka: to its alarm centre, telemetry stays home by design; mosquitto: over a bridge (restart_timeout 1) to a second one",
            plan.outage_events
        ),
        format!(
            "MQTT {}, mutual TLS 1.3, P-256, QoS 1, {} B; medians of rounds, ratios within a round; {cores} cores, load average {busy} before{}",
            args.mqtt(),
            load::EVENT_BYTES,
            if args.quick { "; --quick: rough" } else { "" }
        ),
    ]);
    let columns = peers.iter().map(|peer| peer.name().to_owned()).collect();
    Ok(Run { table, columns, foot })
}

/// The outages of one peer, each a little longer than the one before, so that they end at another moment between two tries.
fn outages(table: &mut Table, dir: &Path, plan: &Plan, peer: &mut dyn Peer, start: Instant) -> Result<()> {
    // Whoever needs half a minute to take the telemetry has one.
    let outages = if peer.disk_events_max() < plan.outage_events { 1 } else { plan.outages };
    let times = (0..outages).map(|n| (Way::Tuned, OUTAGE + n * OUTAGE_STEP));
    for (way, rest) in times.chain([(Way::AsShipped, OUTAGE)]) {
        if let Some(arrival) = outage::outage(table, dir, peer, way, plan.outage_events, rest)? {
            let when = arrival.alarm_ms.map_or("lost".to_owned(), |ms| format!("after {ms:.0} ms"));
            say(start, &format!("{}, outage: alarm {when}, behind {} messages", peer.name(), arrival.before));
        }
    }
    Ok(())
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
    Ok(target(&std::env::current_exe()?)?.join("release/vaka"))
}

/// A folder of the run's own, on the disk of the build.
fn folder() -> Result<tempfile::TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().context("this program has no folder")?;
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(beside)?)
}

/// Cargo's target folder: two above this program.
fn target(program: &Path) -> Result<PathBuf> {
    Ok(program.ancestors().nth(2).context("this program stands in no build folder")?.to_owned())
}

impl Args {
    fn mqtt(&self) -> &'static str {
        if self.v311 { "3.1.1" } else { "5" }
    }
}
