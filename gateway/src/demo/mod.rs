//! `vaka demo`: the whole system on this machine, with certificates of its own that are thrown away after.
//!
//! Enters: nothing, a recording, or how many homes a hub has. Leaves: a timeline, and a summary that is read as a user would read it, from
//! `vaka journal export` and `vaka alarm list`. The gateway is a process of its own, so that kill -9 is one.
//! Invariants: only 127.0.0.1 and free ports; every process and folder it made ends with it.

mod alarms;
pub mod centre;
mod desk;
mod device;
mod evening;
mod home;
mod parts;
mod playback;
pub mod replay;
mod stage;
pub mod street;
mod summary;
mod tally;
mod teller;
mod town;
mod words;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vaka_protocol::{Event, Rung};

use crate::cli::{DemoArgs, Exit, Failure};
use alarms::AlarmTable;
use centre::Centre;
use desk::{Desk, Identity};
use evening::Evening;
use home::{DemoError, Home};
use playback::{DeviceTable, Played};
use replay::Recording;
use stage::{Ending, Folder};
use summary::{Evidence, Summary, was_accepted};
use teller::Teller;

/// Longest time at the end for every alarm to be accepted, in milliseconds. Beyond: those that are not count as lost.
const SETTLE_MS_MAX: u64 = 30_000;
/// How often the list of alarms is looked at meanwhile, in milliseconds.
const LOOK_MS: u64 = 100;

/// Plays; the exit code says whether anything was lost or duplicated.
///
/// # Errors
/// [`Failure`] where the play could not be held at all. The home is kept then, and the gateway's log is named.
pub fn run(args: DemoArgs) -> Result<Exit, Failure> {
    let attempt = "play the demo";
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
    let recording = match &args.replay {
        Some(path) => Some(record(path).map_err(|e| {
            Failure::new(Exit::Usage, attempt, e, "check the file; `vaka demo --help` shows its forms")
        })?),
        None => None,
    };
    let folder = Folder::make(args.keep).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    // Where a play is cut short, its gateways end with it.
    let ended = runtime.block_on(async {
        let mut ending = Ending::listen();
        tokio::select! {
            ended = async {
                match args.homes {
                    Some(homes) => town::play(&args, homes, &folder).await,
                    None => play(&args, recording.as_ref(), &folder).await,
                }
            } => ended.map(Some),
            () = ending.told() => Ok(None),
        }
    });
    let outcome = match ended {
        Ok(Some(summary)) if summary.is_clean() => Ok(Exit::Ok),
        Ok(Some(_)) => {
            folder.keep();
            eprintln!("vaka: {attempt}: something was lost or duplicated; {}", folder.log_tail());
            Ok(Exit::FoundWrong)
        }
        Ok(None) => {
            eprintln!("vaka: {attempt}: interrupted");
            Ok(Exit::FoundWrong)
        }
        Err(error) => {
            folder.keep();
            Err(Failure::new(Exit::Internal, attempt, error, folder.log_tail()))
        }
    };
    if folder.is_kept() {
        eprintln!("The demo's folder is kept: {}", folder.path().display());
    }
    outcome
}

fn record(path: &Path) -> Result<Recording, DemoError> {
    let file = File::open(path).map_err(|source| DemoError::Open { path: path.to_path_buf(), source })?;
    replay::read(BufReader::new(file))
        .map_err(|e| DemoError::Recording { path: path.to_path_buf(), source: Box::new(e) })
}

async fn play(args: &DemoArgs, recording: Option<&Recording>, folder: &Folder) -> Result<Summary, DemoError> {
    let begun = Instant::now();
    let (mut home, centre_tls) = Home::make(folder)?;
    let home = &mut home;
    let mut centre = Centre::start(Some(&centre_tls)).await?;
    home.point_to_centre(&centre.url())?;
    let desk = Arc::new(Desk::new(Teller::new(args.json, recording.is_none())));
    let mut evidence = Evidence::default();
    let mut played = Played::default();
    match recording {
        None => {
            let doors = Evening::enrol(home)?;
            curtain_up(home, &centre, &desk).await?;
            let pause = (!args.headless).then(|| evening::pause(args.duration));
            let mut evening = Evening::begin(home, &mut centre, desk.clone(), doors, pause, begun + args.duration);
            evening.play().await?;
            let in_outage = evening.end().await;
            (evidence.latencies, evidence.outage_latencies) = latencies(&desk, &in_outage);
        }
        Some(recording) => {
            let cast = tokio::task::block_in_place(|| playback::enrol(home, recording, &desk))?;
            curtain_up(home, &centre, &desk).await?;
            played = playback::play(recording, cast, &desk).await?;
            (evidence.latencies, _) = latencies(&desk, &BTreeSet::new());
        }
    }
    settle(home).await?;
    let (export, alarms) = tokio::task::block_in_place(|| {
        Ok::<_, DemoError>((home.vaka_json(&["journal", "export"])?, home.alarms(true)?))
    })?;
    home.stop_gateway().await;
    let facts = desk.facts();
    evidence.sent = facts.said.len();
    evidence.acked = facts.acked();
    evidence.refused = facts.refused.len();
    evidence.calls = facts
        .said
        .iter()
        .filter(|(_, said)| is_call(&said.event) && said.acked.is_some())
        .map(|(i, _)| i.clone())
        .collect();
    drop(facts);
    evidence.bridged = std::mem::take(&mut played.bridged);
    (evidence.export, evidence.alarms) = (export, alarms);
    evidence.centre = centre.taken().into_iter().map(|taken| (taken.cid, taken.reference)).collect();
    evidence.took = begun.elapsed();
    let summary = summary::summarise(&evidence);
    if args.json {
        desk.teller.line_json(json!({"summary": summary}));
    } else {
        desk.teller.line(&format!("\nAlarms, as `vaka alarm list` shows them\n{}", AlarmTable(&evidence.alarms)));
        if let Some(recording) = recording {
            desk.teller.line(&DeviceTable { recording, played: &played, export: &evidence.export }.to_string());
        }
        if let Some(table) = &played.capabilities {
            desk.teller.line(&table.to_string());
        }
        desk.teller.line(&format!("Summary\n{summary}"));
    }
    Ok(summary)
}

async fn curtain_up(home: &mut Home, centre: &Centre, desk: &Desk) -> Result<(), DemoError> {
    let ready = home.start_gateway().await?;
    desk.teller.act("A home on this machine");
    desk.teller.stage("gateway", &format!("listens on {}, ready after {}", home.address, teller::in_words(ready)));
    desk.teller.stage("centre", &format!("takes SCAIP alarms at {}", centre.url()));
    Ok(())
}

/// Waits until every open alarm has been accepted, looking as a user would.
async fn settle(home: &Home) -> Result<(), DemoError> {
    let limit = Instant::now() + Duration::from_millis(SETTLE_MS_MAX);
    while Instant::now() < limit {
        if tokio::task::block_in_place(|| home.alarms(true))?.iter().all(was_accepted) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    Ok(())
}

fn is_call(event: &Event) -> bool {
    matches!(event, Event::Button { .. } | Event::Fall { .. })
}

/// From a call to its device hearing `accepted`: while everything worked, and in an outage.
fn latencies(desk: &Desk, in_outage: &BTreeSet<Identity>) -> (Vec<Duration>, Vec<Duration>) {
    let (mut well, mut out) = (Vec::new(), Vec::new());
    for (identity, said) in desk.facts().said.iter().filter(|(_, said)| is_call(&said.event)) {
        let Some(after) = said.rungs.get(&Rung::Accepted) else { continue };
        if in_outage.contains(identity) { &mut out } else { &mut well }.push(*after);
    }
    (well, out)
}
