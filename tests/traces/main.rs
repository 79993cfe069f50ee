//! Stories of nights and days, as text files beside this one (README.md there): the real config, fold and rules, no journal and no clock.

mod home_a;
mod story;
mod told;

use std::path::PathBuf;

use story::{Step, Story};
use told::{day_and_clock, told};
use vaka::journal::record::Decision;
use vaka::rules::care::rehearsal::Rehearsal;
use vaka_protocol::{DeviceId, Event, Outcome};

fn folder() -> PathBuf {
    vaka_tests::root().join("tests/traces")
}

fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder())
        .expect("tests/traces")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "trace"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).expect("a trace"))
        })
        .collect();
    files.sort();
    files
}

/// All but the fold is lost; who had a connection makes another.
fn restart(rehearsal: &mut Rehearsal, story: &Story) {
    rehearsal.restart();
    let connected =
        |device: &&DeviceId| rehearsal.care.facts.get(device).is_some_and(|known| known.online == Some(true));
    let connected: Vec<&DeviceId> = story.config.devices.keys().filter(connected).collect();
    connected.into_iter().for_each(|device| rehearsal.alive(device, true));
}

/// What is decided, in order: UTC milliseconds and words. `restarts`: before every line all but the fold is lost.
fn play(story: &Story, restarts: bool) -> Vec<(i64, String)> {
    let zone = &story.config.gateway.time_zone;
    let start_ms = story.steps[0].at_ms;
    let mut rehearsal = Rehearsal::new(story.config.agreed.clone(), vaka::pipeline::home(&story.config), start_ms);
    for line in &story.steps {
        rehearsal.until(line.at_ms);
        if restarts {
            restart(&mut rehearsal, story);
        }
        match &line.what {
            Step::Event { device, event, at } => rehearsal.late(device, event, *at),
            Step::Alive { device, online } => rehearsal.alive(device, *online),
            Step::Refused { device } => rehearsal.refused(device),
            Step::Done { device } => {
                let pushed = rehearsal.care.dose.dispenser(device).and_then(|known| known.pushed.as_ref());
                let id = pushed.unwrap_or_else(|| panic!("line {}: no schedule was sent", line.number)).id;
                rehearsal.event(device, &Event::Done { id, outcome: Outcome::Done });
            }
            Step::Restart => restart(&mut rehearsal, story),
            Step::Close { rule, cause } => {
                let open =
                    rehearsal.alarms.open().find(|alarm| alarm.raise.rule == *rule && alarm.raise.cause == *cause);
                let id =
                    open.unwrap_or_else(|| panic!("line {}: no open alarm {rule} {cause}", line.number)).id().clone();
                rehearsal.close(&id);
            }
            Step::End => {}
        }
    }
    let log: Vec<(i64, Decision)> = rehearsal.log.clone();
    log.iter().filter_map(|(at, decision)| told(decision, &rehearsal, zone).map(|words| (*at, words))).collect()
}

/// What is expected and does not come, and what comes and is not expected; empty where a story comes out as told.
fn difference(file: &str, story: &Story, decided: &[(i64, String)]) -> Vec<String> {
    let zone = &story.config.gateway.time_zone;
    let mut left: Vec<&(i64, String)> = decided.iter().collect();
    let mut wrong = Vec::new();
    for expected in &story.expected {
        // Expected by the minute, unless it says the second.
        let fits = |(at, words): &&&(i64, String)| *at == expected.at_ms && *words == expected.what;
        match left.iter().position(|decision| fits(&decision)) {
            Some(index) => drop(left.remove(index)),
            None => wrong.push(format!(
                "tests/traces/{file}:{}: - {} {}",
                expected.number,
                day_and_clock(zone, expected.at_ms),
                expected.what
            )),
        }
    }
    for (at, words) in left {
        let near = story.steps.iter().rev().find(|line| line.at_ms <= *at).map_or(1, |line| line.number);
        wrong.push(format!("tests/traces/{file}:{near}: + {} {words}", day_and_clock(zone, *at)));
    }
    wrong
}

/// The story with what is decided in place of what is expected.
fn blessed(text: &str, story: &Story, decided: &[(i64, String)]) -> String {
    let zone = &story.config.gateway.time_zone;
    let (mut out, mut day) = (String::new(), String::new());
    let expect = |at: i64, words: &str, day: &mut String| {
        let whole = day_and_clock(zone, at);
        let (date, clock) = whole.split_once(' ').expect("a day and a time");
        let shown = if date == day.as_str() { clock } else { whole.as_str() };
        let line = format!("{shown}  expect {words}\n");
        date.clone_into(day);
        line
    };
    let mut decided = decided.iter().peekable();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if story.expected.iter().any(|line| line.number == number) {
            continue;
        }
        if let Some(step) = story.steps.iter().find(|step| step.number == number) {
            while let Some((at, words)) = decided.next_if(|(at, _)| *at < step.at_ms) {
                out.push_str(&expect(*at, words, &mut day));
            }
            day_and_clock(zone, step.at_ms).split(' ').next().unwrap_or_default().clone_into(&mut day);
        }
        out.push_str(&format!("{line}\n"));
    }
    for (at, words) in decided {
        out.push_str(&expect(*at, words, &mut day));
    }
    out
}

#[test]
fn every_trace_comes_out_as_it_is_told() {
    let bless = std::env::var_os("VAKA_BLESS").is_some();
    let mut wrong = Vec::new();
    let files = files();
    assert!(!files.is_empty(), "no traces");
    for (file, text) in &files {
        let story = match story::read(file, text) {
            Ok(story) => story,
            Err(complaint) => {
                wrong.push(complaint);
                continue;
            }
        };
        let decided = play(&story, false);
        if bless && !difference(file, &story, &decided).is_empty() {
            std::fs::write(folder().join(file), blessed(text, &story, &decided)).expect("writing a trace");
        } else {
            wrong.extend(difference(file, &story, &decided));
        }
        if play(&story, true) != decided {
            wrong.push(format!(
                "tests/traces/{file}:1: comes out otherwise with a restart before every line: {:?}",
                play(&story, true)
            ));
        }
    }
    assert!(wrong.is_empty(), "expected (-) and decided (+):\n{}", wrong.join("\n"));
    println!("{} traces", files.len());
}

#[test]
fn what_comes_out_otherwise_is_shown_with_its_file_and_line() {
    let text = "[[device]]\nid = \"p1\"\nkind = \"pendant\"\n---\n2026-11-20 22:41  p1 button\n22:42  expect life trigger button\n23:00  end\n";
    let story = story::read("x.trace", text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let wrong = difference("x.trace", &story, &play(&story, false));
    assert_eq!(
        wrong,
        [
            "tests/traces/x.trace:6: - 2026-11-20 22:42 life trigger button",
            "tests/traces/x.trace:5: + 2026-11-20 22:41 life trigger button",
        ]
    );
    let told_right = blessed(text, &story, &play(&story, false));
    assert!(told_right.contains("22:41  p1 button\n22:41  expect life trigger button\n23:00  end\n"), "{told_right}");
    for (line, wrong) in [
        (2, text.replace("id = ", "idd = ")),
        (5, text.replace("p1 button", "p1 buton")),
        (7, text.replace("23:00", "21:00")),
        (5, text.replace("2026-11-20 22:41", "2027-03-28 02:30")),
    ] {
        let complaint =
            story::read("x.trace", &wrong).err().unwrap_or_else(|| panic!("read without a complaint: {wrong}"));
        assert!(complaint.starts_with(&format!("tests/traces/x.trace:{line}: ")), "{complaint}");
    }
}
