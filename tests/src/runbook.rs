//! `deploy/RUNBOOK.md` followed: a heading's commands, run where its state is, say what it prints.

use std::fs;
use std::process::Command;

use crate::{Home, root, vaka_bin};

/// A command of the runbook and what is expected of it, line by line; `…` stands for anything.
#[derive(Debug)]
pub struct Step {
    pub command: String,
    pub expected: Vec<String>,
}

/// Headings with the commands under them, in the file's order.
pub fn chapters() -> Vec<(String, Vec<Step>)> {
    let text = fs::read_to_string(root().join("deploy/RUNBOOK.md")).expect("deploy/RUNBOOK.md");
    let mut chapters: Vec<(String, Vec<Step>)> = Vec::new();
    let (mut inside, mut takes) = (false, false);
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            chapters.push((heading.to_owned(), Vec::new()));
        } else if line.starts_with("```") {
            (inside, takes) = (line == "```console", false);
        } else if inside {
            let steps = &mut chapters.last_mut().expect("a heading before the first command").1;
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), expected: Vec::new() });
                takes = true;
            } else if line.starts_with("# ") {
                takes = false;
            } else if takes {
                steps.last_mut().expect("a command before its output").expected.push(line.to_owned());
            } else {
                panic!("output of no command: {line}");
            }
        }
    }
    chapters
}

/// `…` within a line is anything in it.
fn line_fits(said: &str, expected: &str) -> bool {
    let mut rest = said;
    let parts: Vec<&str> = expected.split('…').collect();
    for (place, part) in parts.iter().enumerate() {
        let at = match place {
            0 => rest.starts_with(part).then_some(0),
            last if last + 1 == parts.len() => rest.ends_with(part).then(|| rest.len() - part.len()),
            _ => rest.find(part),
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    parts.len() > 1 || rest.is_empty()
}

/// A line that is `…` alone is any number of lines.
fn fits(said: &[&str], expected: &[String]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((any, rest)) if any == "…" => (0..=said.len()).any(|skipped| fits(&said[skipped..], rest)),
        Some((line, rest)) => {
            said.split_first().is_some_and(|(first, others)| line_fits(first, line) && fits(others, rest))
        }
    }
}

/// Runs a chapter's commands in `home`, with the alarm's id as `$ALARM`.
#[track_caller]
pub fn follow(heading: &str, home: &Home, alarm: &str) {
    follow_where(heading, home, alarm, &[]);
}

/// The same on a machine that is so: with this in the commands' environment.
#[track_caller]
pub fn follow_where(heading: &str, home: &Home, alarm: &str, environment: &[(&str, String)]) {
    let (_, steps) = chapters().into_iter().find(|(name, _)| name == heading).unwrap_or_else(|| panic!("no {heading}"));
    assert!(!steps.is_empty(), "{heading} has no command");
    let programs =
        format!("{}:{}", vaka_bin().parent().expect("a folder").display(), std::env::var("PATH").unwrap_or_default());
    let dir = home.dir().display().to_string();
    let backups = home.dir().join("backups");
    fs::create_dir_all(&backups).expect("a folder for backups");
    // A box that is replaced has a second home, on the other box.
    let at = if heading == "A box is replaced" { format!("{dir}/new") } else { home.path("").display().to_string() };
    let placed = |line: &str| {
        let line = line.replace("/media/usb", &dir).replace("/var/backups/vaka", &backups.display().to_string());
        line.replace("/var/lib/vaka/home", at.trim_end_matches('/'))
    };
    for Step { command, expected } in steps {
        let here = placed(&command).replace(":9464", &format!(":{}", home.metrics_port()));
        let expected: Vec<String> = expected.iter().map(|line| placed(line)).collect();
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{here}")])
            // In any folder: an installed home is found without a word of where it is.
            .current_dir("/")
            .env("PATH", &programs)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("ALARM", alarm)
            .env("VAKA_CONFIG", home.config())
            .output()
            .expect("sh runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let said: Vec<&str> = text.lines().collect();
        assert!(fits(&said, &expected), "{heading}: {command}\nsaid:\n{text}\nexpected:\n{}", expected.join("\n"));
    }
}
