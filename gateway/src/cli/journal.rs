//! `vaka journal`: looks into the journal, also while the gateway runs.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};
use vaka_protocol::Lane;

use super::{Exit, Failure, JournalCommand, print_json, print_line};
use crate::board::names::Names;
use crate::config::Config;
use crate::journal::error::SealError;
use crate::journal::index::Index;
use crate::journal::{ReadError, reader};
use crate::pipeline::control::{self, Request};
use crate::pipeline::view::Labels;
use crate::pipeline::{erasing, export, restore};

/// How often `tail --follow` looks for more, in milliseconds.
const FOLLOW_MS: u64 = 250;

pub fn run(command: JournalCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    let dir = config.journal.dir.as_path();
    match command {
        JournalCommand::Stat { json } => stat(&config, json),
        JournalCommand::Verify { json } => verify(dir, json),
        JournalCommand::Tail { n, follow } => tail(dir, n, follow),
        JournalCommand::Export { from, aside } => {
            let dir = aside.map_or_else(|| dir.to_owned(), |number| dir.join(format!("unread-{number}")));
            export_from(&dir, from).map(|_| Exit::Ok)
        }
        JournalCommand::Rebuild { json } => rebuild(&config, json),
        JournalCommand::Seal { json } => seal(&config, json),
    }
}

fn disk(attempt: &str) -> impl Fn(ReadError) -> Failure + '_ {
    move |e| Failure::new(Exit::Disk, attempt, e, "")
}

fn stat(config: &Config, json: bool) -> Result<Exit, Failure> {
    let dir = config.journal.dir.as_path();
    let mut records: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut bytes, mut oldest, mut newest) = (0_u64, None, None);
    let scan = reader::scan(dir, 0, |entry| {
        let lane = Lane::from_u8(entry.header.lane).map_or("unknown", Lane::as_str);
        *records.entry(lane).or_default() += 1;
        bytes += entry.body.len() as u64;
        oldest = oldest.or(Some(entry.header.wall_ms));
        newest = Some(entry.header.wall_ms);
        ControlFlow::Continue(())
    })
    .map_err(disk("count the journal"))?;
    let running = control::request(dir, &Request::Stat).and_then(Result::ok);
    let facts = json!({
        "dir": dir, "records": scan.records, "by_lane": records, "body_bytes": bytes, "last_record": scan.last_seq,
        "oldest_at": oldest, "newest_at": newest, "damaged_places": scan.damage.len(), "running": running,
    });
    if json {
        print_json(&facts)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!(
        "{} records up to number {}, {} bytes of content, {} damaged places",
        scan.records,
        scan.last_seq,
        bytes,
        scan.damage.len()
    ))?;
    for (lane, count) in &records {
        print_line(&format!("  {lane:<10} {count}"))?;
    }
    for line in running.iter().flat_map(|stat| receivers(&stat["receivers"])) {
        print_line(&line)?;
    }
    for line in running.iter().flat_map(|stat| homes(&stat["homes"])) {
        print_line(&line)?;
    }
    if let Some(stat) = &running {
        print_line(&format!("  clock: {}", super::clock::clock(config, Some(stat)).1))?;
    }
    for line in running.iter().filter_map(|stat| enrolment(&stat["enrolment"])) {
        print_line(&line)?;
    }
    print_line(if running.is_some() { "A gateway is running on it." } else { "No gateway is running on it." })?;
    Ok(Exit::Ok)
}

/// What happened at each receiver since the start, one line for each of its paths.
fn receivers(sums: &serde_json::Value) -> Vec<String> {
    let paths = sums.as_object().into_iter().flatten();
    let each = paths.flat_map(|(name, paths)| paths.as_object().into_iter().flatten().map(move |path| (name, path)));
    let said = |counts: &serde_json::Value| {
        let counts = counts.as_object().into_iter().flatten();
        counts.map(|(what, count)| format!("{} {count}", what.replace('_', " "))).collect::<Vec<_>>().join(", ")
    };
    each.map(|(name, (path, counts))| format!("  {name} over {path}: {}", said(counts))).collect()
}

/// What happened at the enrolment door since the start; nothing where nobody came.
fn enrolment(counts: &serde_json::Value) -> Option<String> {
    let each = counts.as_object()?.iter().map(|(what, count)| format!("{} {count}", what.replace('_', " ")));
    let said = each.collect::<Vec<_>>().join(", ");
    (!said.is_empty()).then(|| format!("  enrolment: {said}"))
}

/// At a hub: how each home says it is, one line each.
fn homes(homes: &serde_json::Value) -> Vec<String> {
    let said = |(home, health): (&String, &serde_json::Value)| {
        let there = if health["online"] == true { "" } else { ", not connected" };
        match health["ok"] == true {
            true => format!("  {home}: well{there}"),
            false => {
                format!("  {home}: {} faults{there}: {}", health["faults"], health["text"].as_str().unwrap_or_default())
            }
        }
    };
    homes.as_object().into_iter().flatten().map(said).collect()
}

fn verify(dir: &Path, json: bool) -> Result<Exit, Failure> {
    let report = reader::verify(dir).map_err(disk("verify the journal"))?;
    let mut wrong: Vec<String> = report.damage.iter().filter(|d| !d.unsettled).map(ToString::to_string).collect();
    if report.head_damaged {
        wrong.push("head: unreadable, record numbers go on after a gap".into());
    }
    wrong.extend(
        report.unopened.iter().map(|seq| format!("record {seq}: its key does not open it: other bytes were put there")),
    );
    wrong.extend(report.traces.broken.iter().map(|seq| {
        format!("record {seq}: the log of who read and did what does not follow from what is before it: a line was changed or taken out")
    }));
    // What a power cut leaves of a commit that nobody was told of: said, and nothing wrong.
    let unfinished: Vec<String> = report.damage.iter().filter(|d| d.unsettled).map(ToString::to_string).collect();
    if json {
        print_json(&json!({
            "ok": wrong.is_empty(), "records": report.records, "damage": wrong, "unfinished": unfinished,
            "tail_bytes": report.tail_bytes,
            "sealed": report.sealed, "erased": report.erased, "aged": report.aged, "keys": report.keys,
            "traces": {"count": report.traces.count, "hash": export::hex(&report.traces.hash)},
        }))?;
    } else {
        for place in &wrong {
            print_line(&format!("DAMAGED  {place}"))?;
        }
        for place in &unfinished {
            print_line(&format!("unfinished  {place}"))?;
        }
        let verdict =
            if wrong.is_empty() { "every record is whole".into() } else { format!("{} damaged places", wrong.len()) };
        if report.traces.count > 0 {
            let (count, hash) = (report.traces.count, export::hex(&report.traces.hash));
            print_line(&format!("{count} lines of who read and did what, the newest {hash}"))?;
        }
        if report.sealed > 0 {
            let aged = match report.aged {
                0 => String::new(),
                aged => format!(", of {aged} of those because the agreed days are over"),
            };
            print_line(&format!("{} records are sealed, of {} the key is erased{aged}", report.sealed, report.erased))?;
        }
        if let Some(why) = &report.keys {
            print_line(&format!("checked without what is in sealed records: {why}"))?;
        }
        print_line(&format!("{} records read: {verdict}", report.records))?;
    }
    Ok(if wrong.is_empty() { Exit::Ok } else { Exit::FoundWrong })
}

fn tail(dir: &Path, n: usize, follow: bool) -> Result<Exit, Failure> {
    let mut last: VecDeque<Value> = VecDeque::new();
    let scan = reader::scan(dir, 0, |entry| {
        if last.len() == n {
            last.pop_front();
        }
        if n > 0 {
            last.push_back(export::line(&entry.header, entry.body));
        }
        ControlFlow::Continue(())
    })
    .map_err(disk("read the journal"))?;
    for line in &last {
        print_json(line)?;
    }
    let mut next = scan.last_seq + 1;
    if !follow {
        return Ok(Exit::Ok);
    }
    loop {
        next = export_from(dir, next)?.max(next - 1) + 1;
        std::thread::park_timeout(std::time::Duration::from_millis(FOLLOW_MS));
    }
}

/// Prints records from `from` on; returns the number of the last one, 0 if there is none.
fn export_from(dir: &Path, from: u64) -> Result<u64, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut failed = None;
    let scan = reader::scan(dir, from, |entry| {
        let line = export::line(&entry.header, entry.body);
        match writeln!(out, "{line}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                failed = Some(e);
                ControlFlow::Break(())
            }
        }
    })
    .map_err(disk("export the journal"))?;
    match failed.or_else(|| out.flush().err()) {
        // The reader has gone (`| head`): nobody is left to tell.
        Some(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        Some(e) => Err(Failure::new(Exit::Disk, "export the journal", e, "")),
        None => {
            for damage in &scan.damage {
                eprintln!("vaka: export the journal: left out: {damage}");
            }
            Ok(scan.last_seq)
        }
    }
}

/// Records of a version that kept them in clear are sealed, once.
fn seal(config: &Config, json: bool) -> Result<Exit, Failure> {
    let attempt = "seal the journal";
    let dir = config.journal.dir.as_path();
    if control::request(dir, &Request::Stat).is_some() {
        let fix = "stop it first (systemctl stop vaka)";
        return Err(Failure::new(Exit::Usage, attempt, "a gateway is running on this journal", fix));
    }
    let sealed = erasing::seal_old(dir, &Labels::from_config(config)).map_err(|e| {
        let exit = match &e {
            SealError::Damaged { .. } => Exit::FoundWrong,
            _ => Exit::Disk,
        };
        Failure::new(exit, attempt, e, "")
    })?;
    let names = Names::of(config).seal_key().map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    if json {
        print_json(&json!({"records": sealed.records, "segments": sealed.segments, "names_key": names}))?;
        return Ok(Exit::Ok);
    }
    if names {
        print_line("the key of the residents' names is sealed with the home's")?;
    }
    print_line(&format!(
        "{} records in {} segments are sealed; what lay there in clear is overwritten",
        sealed.records, sealed.segments
    ))?;
    print_line(&format!(
        "keep {} and {} with every backup: without them the journal cannot be read",
        vaka_seal::ring_path(dir).display(),
        vaka_seal::home::file_beside(dir).display()
    ))?;
    Ok(Exit::Ok)
}

fn rebuild(config: &Config, json: bool) -> Result<Exit, Failure> {
    let attempt = "rebuild the index";
    let dir = config.journal.dir.as_path();
    if control::request(dir, &Request::Stat).is_some() {
        let fix = "stop it first; it also rebuilds by itself whenever the index does not fit";
        return Err(Failure::new(Exit::Usage, attempt, "a gateway is running on this journal", fix));
    }
    let failed = |e: &dyn std::fmt::Display| Failure::new(Exit::Disk, attempt, e, "");
    Index::new(&restore::index_dir(dir)).delete().map_err(|e| failed(&e))?;
    let mut restored = restore::open(dir, config.journal.size_max_mib * 1024 * 1024).map_err(|e| failed(&e))?;
    restored.save();
    let (cursor, alarms) = (restored.state.cursor, restored.state.alarms.open().count());
    if json {
        print_json(&json!({"last_record": cursor, "alarms_open": alarms}))?;
    } else {
        print_line(&format!("the index is made anew from {cursor} records; {alarms} alarms are open"))?;
    }
    Ok(Exit::Ok)
}
