//! The demo as a newcomer and as a machine runs it, and the real home's fourteen days through it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vaka_tests::{Output, root, run_vaka, setting, skip};

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

#[test]
fn the_shared_corpus_replays_whole() {
    let files = recorded(&root().join("../shared/corpus/home-a"));
    if files.is_empty() {
        return skip("../shared/corpus is not beside this repository");
    }
    files.iter().for_each(|file| replays_whole(file));
}
