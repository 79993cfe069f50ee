//! `vaka demo`: the whole system on this machine, with certificates of its own that are thrown away after.
//!
//! Enters: nothing, or a recording. Leaves: a timeline, and a summary that is read as a user would read it, from
//! `vaka journal export` and `vaka alarm list`. The gateway is a process of its own, so that kill -9 is one.
//! Invariants: only 127.0.0.1 and free ports; every process and folder it made ends with it.

mod alarms;
pub mod centre;
mod desk;
mod device;
mod evening;
mod home;

mod playback;
pub mod replay;
mod summary;
mod teller;
mod words;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use vaka_protocol::{Event, Rung};

use crate::cli::{DemoArgs, Exit, Failure};
use alarms::AlarmTable;
use centre::Centre;
use desk::{Desk, Identity};
use evening::Evening;
use home::{DemoError, Home};
use playback::{DeviceTable, Played};
use replay::Recording;
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
    let (mut home, centre_tls) = Home::make(args.keep).map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    let ended = runtime.block_on(async {
        let centre = Centre::start(Some(&centre_tls)).await?;
        tokio::select! {
            ended = play(&args, recording.as_ref(), &mut home, centre) => ended.map(Some),
            () = told_to_end() => Ok(None),
        }
    });
    let outcome = match ended {
        Ok(Some(summary)) if summary.is_clean() => Ok(Exit::Ok),
        Ok(Some(_)) => {
            home.keep();
            eprintln!("vaka: {attempt}: something was lost or duplicated; {}", home.log_tail());
            Ok(Exit::FoundWrong)
        }
        Ok(None) => {
            eprintln!("vaka: {attempt}: interrupted");
            Ok(Exit::FoundWrong)
        }
        Err(error) => {
            home.keep();
            Err(Failure::new(Exit::Internal, attempt, error, home.log_tail()))
        }
    };
    runtime.block_on(home.stop_gateway());
    if home.is_kept() {
        eprintln!("The home is kept in {}", home.dir().display());
    }
    outcome
}

fn record(path: &Path) -> Result<Recording, DemoError> {
    let file = File::open(path).map_err(|source| DemoError::Open { path: path.to_path_buf(), source })?;
    replay::read(BufReader::new(file))
        .map_err(|e| DemoError::Recording { path: path.to_path_buf(), source: Box::new(e) })
}

/// Ctrl-C, or a supervisor's SIGTERM or SIGHUP.
async fn told_to_end() {
    async fn one(kind: SignalKind) {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Without it, the default action ends the demo.
            Err(_) => std::future::pending().await,
        }
    }
    tokio::select! {
        () = one(SignalKind::interrupt()) => {}
        () = one(SignalKind::terminate()) => {}
        () = one(SignalKind::hangup()) => {}
    }
}

async fn play(
    args: &DemoArgs,
    recording: Option<&Recording>,
    home: &mut Home,
    mut centre: Centre,
) -> Result<Summary, DemoError> {
    let begun = Instant::now();
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
            latencies(&desk, &in_outage, &mut evidence);
        }
        Some(recording) => {
            let cast = tokio::task::block_in_place(|| playback::enrol(home, recording, &desk))?;
            curtain_up(home, &centre, &desk).await?;
            played = playback::play(recording, cast, &desk).await?;
            latencies(&desk, &BTreeSet::new(), &mut evidence);
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

fn latencies(desk: &Desk, in_outage: &BTreeSet<Identity>, evidence: &mut Evidence) {
    for (identity, said) in desk.facts().said.iter().filter(|(_, said)| is_call(&said.event)) {
        let Some(after) = said.rungs.get(&Rung::Accepted) else { continue };
        let list = if in_outage.contains(identity) { &mut evidence.outage_latencies } else { &mut evidence.latencies };
        list.push(*after);
    }
}
