//! The demo as a newcomer and as a machine runs it, and the real home's fourteen days through it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vaka_tests::{Output, Process, eventually, root, run_vaka, setting, vaka_bin};

/// The last JSON line: `{"summary":{…}}`.
#[track_caller]
fn summary(output: &Output) -> Value {
    let last = output.stdout.lines().last().unwrap_or_default();
    let value: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}\nstderr: {}", output.stderr));
    value["summary"].clone()
}

#[test]
fn an_evening_loses_and_doubles_nothing() {
    let seconds = setting("VAKA_DEMO_SECONDS", 30);
    let output = run_vaka(Path::new("/"), &["demo", "--headless", "--for", &format!("{seconds}s"), "--json"]);
    let summary = summary(&output);
    assert_eq!(output.code, 0, "{summary}\n{}", output.stderr);
    assert_eq!((&summary["lost"], &summary["duplicated"]), (&0.into(), &0.into()), "{summary}");
    let raised = summary["raised"].as_u64().expect("a number");
    // A press, a fall and a flat battery at the least.
    assert!(raised >= 3, "{summary}");
    assert_eq!(summary["accepted"], raised, "{summary}");
    for line in output.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
    }
}

#[test]
fn a_municipality_loses_and_doubles_nothing_and_ends_with_all_its_processes() {
    let seconds = setting("VAKA_DEMO_SECONDS", 20);
    let lasts = format!("{seconds}s");
    let output = run_vaka(Path::new("/"), &["demo", "--homes", "3", "--headless", "--for", &lasts, "--json"]);
    let summary = summary(&output);
    assert_eq!(output.code, 0, "{summary}\n{}", output.stderr);
    assert_eq!((&summary["lost"], &summary["duplicated"]), (&0.into(), &0.into()), "{summary}");
    assert_eq!(summary["homes"], 3, "{summary}");
    let (raised, at_hub) =
        (summary["raised"].as_u64().expect("a number"), summary["at_hub"].as_u64().expect("a number"));
    assert!(at_hub >= 3 && raised >= at_hub, "an alarm of each home: {summary}");
    assert_eq!(summary["accepted"], raised, "{summary}");
    assert!(summary["at_centre"].as_u64() >= Some(raised), "the centre has each of them: {summary}");
    let lines: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}")))
        .collect();
    for rung in ["stored", "sent", "received", "accepted"] {
        for pendant in ["pendant-01", "pendant-02", "pendant-03"] {
            let heard = lines.iter().any(|line| line["who"] == pendant && line["rung"] == rung);
            assert!(heard, "{pendant} never heard `{rung}`\n{}", output.stdout);
        }
    }
    for rung in ["claimed", "closed"] {
        assert!(
            lines.iter().any(|line| line["who"] == "pendant-01" && line["rung"] == rung),
            "{rung}: {}",
            output.stdout
        );
    }
    let told =
        |word: &str| lines.iter().filter(|line| line["what"].as_str().is_some_and(|what| what.contains(word))).count();
    // The hub and a home, unless this machine was too slow to come so far in the time given.
    assert_eq!(told("is killed"), told("is started again"), "{}", output.stdout);
}

#[test]
fn a_municipality_that_is_interrupted_leaves_no_process_and_no_folder() {
    let (temporary, beside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut command = Command::new(vaka_bin());
    command.args(["demo", "--homes", "2", "--for", "5m", "--json"]).env("TMPDIR", temporary.path());
    let mut demo = Process::start(&command, &beside.path().join("told.jsonl"));
    let pressed = || demo.output().contains("presses the button").then_some(());
    eventually("somebody to press", || demo.tail(), pressed);
    assert_eq!(processes_of(temporary.path()).len(), 3, "a hub and two homes");
    demo.signal("INT");
    assert_eq!(demo.wait().code(), Some(1), "interrupted is not well\n{}", demo.tail());
    assert_eq!(processes_of(temporary.path()), [0; 0], "no gateway outlives it");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).expect("the folder is there").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Processes whose command line names a file in `dir`.
fn processes_of(dir: &Path) -> Vec<u32> {
    let dir = dir.display().to_string();
    let all = std::fs::read_dir("/proc").expect("/proc is readable").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let names = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&dir)
    };
    pids.filter(names).collect()
}

#[test]
fn homes_and_a_recording_are_two_plays() {
    for args in
        [["--homes", "2", "--replay", "x.jsonl"], ["--homes", "51", "--for", "1s"], ["--homes", "0", "--for", "1s"]]
    {
        let output = run_vaka(Path::new("/"), &[&["demo"], &args[..]].concat());
        assert_eq!(output.code, 64, "{args:?}: {}", output.stderr);
    }
}

fn replays_whole(file: &Path) {
    let output = run_vaka(Path::new("/"), &["demo", "--headless", "--json", "--replay", &file.display().to_string()]);
    let summary = summary(&output);
    assert_eq!(output.code, 0, "{summary}\n{}", output.stderr);
    assert_eq!((&summary["lost"], &summary["duplicated"]), (&0.into(), &0.into()), "{summary}");
}

fn recorded(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    files
}

#[test]
fn the_recorded_home_replays_whole() {
    let files = recorded(&root().join("tests/data/home-a"));
    assert!(!files.is_empty(), "tests/data/home-a has a recording");
    files.iter().for_each(|file| replays_whole(file));
}
