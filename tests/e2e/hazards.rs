//! HAZARDS.md is true: every hazard has its rows, every test it names exists, and each row stands on two levels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vaka_tests::root;

const HAZARDS: [&str; 6] = ["Missed", "Late", "Double", "False alarm", "Silent failure", "Wrong person"];

/// The level of every test function in the repository, by name.
fn levels() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut levels = BTreeMap::new();
    for (dir, level) in [
        ("protocol", "part"),
        ("firmware/device", "part"),
        ("gateway/src", "part"),
        ("gateway/board", "part"),
        ("gateway/camera", "part"),
        ("gateway/update", "part"),
        ("gateway/archive", "part"),
        ("gateway/seal", "part"),
        ("tests/simulation", "simulation"),
        ("tests/traces", "trace"),
        ("tests/e2e", "program"),
    ] {
        collect(&root().join(dir), level, &mut levels);
    }
    levels
}

fn collect(dir: &Path, level: &'static str, levels: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, level, levels);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let level = if path.ends_with("fuzz_corpus.rs") { "fuzz" } else { level };
            // `#[test]`, and what proptest! makes of a function, which has it too.
            let is_mark =
                |line: &str| ["#[test]", "#[tokio::test"].iter().any(|mark| line.trim_start().starts_with(mark));
            let mut lines = text.lines();
            while lines.by_ref().any(is_mark) {
                let name = lines
                    .by_ref()
                    .find_map(|line| line.split_once("fn "))
                    .map(|(_, rest)| rest.split('(').next().unwrap_or_default());
                levels.entry(name.unwrap_or_default().to_owned()).or_default().insert(level);
            }
        }
    }
}

#[test]
fn every_hazard_is_held_by_tests_that_exist_on_two_levels() {
    let levels = levels();
    let text = std::fs::read_to_string(root().join("tests/HAZARDS.md")).expect("tests/HAZARDS.md");
    let mut held = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Hazard")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [hazard, cause, control, tests] = cells[..] else { panic!("not four cells: {row}") };
        let hazard = hazard.split(':').next().unwrap_or_default();
        held.insert(HAZARDS.into_iter().find(|known| *known == hazard).unwrap_or_else(|| panic!("hazard {hazard}?")));
        assert!(!cause.is_empty() && !control.is_empty(), "{row}");
        let names: Vec<&str> = tests.split('`').filter(|name| !name.trim().is_empty()).collect();
        let mut on: BTreeSet<&str> = BTreeSet::new();
        for name in &names {
            on.extend(levels.get(*name).unwrap_or_else(|| panic!("{hazard}, {cause}: no test is called {name}")));
        }
        assert!(on.len() >= 2, "{hazard}, {cause}: on {on:?} only");
    }
    assert_eq!(held.len(), HAZARDS.len(), "held: {held:?}");
}
