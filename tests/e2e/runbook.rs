//! `deploy/RUNBOOK.md` on the real program: each heading's commands are run in the state that it names, and say what it prints.

use std::fs;

use vaka_tests::runbook::{chapters, follow, follow_where};
use vaka_tests::{
    Centre, Gateway, Home, LoopDisk, MachineClock, MqttVersion, event, eventually, lacks, lamp, look_steps,
    mosquitto_pub, or_skip, press, root, with_camera,
};

fn publish(home: &Home, payload: &str) {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", payload);
    assert_eq!(published.code, 0, "{published:?}");
}

/// A home with a pendant `p1`.
fn home() -> Home {
    let home = Home::init();
    home.device("p1", "pendant");
    home
}

#[test]
fn every_chapter_is_tried_and_every_alert_points_to_one() {
    // Some states are made where they are tested.
    let files = ["runbook.rs", "seen.rs", "update.rs", "fleet/main.rs"];
    let source = files.map(|file| fs::read_to_string(root().join("tests/e2e").join(file)).expect("a test")).concat();
    let headings: Vec<String> = chapters().iter().map(|(heading, _)| heading.clone()).collect();
    for (heading, steps) in chapters() {
        let is_tried = ["follow", "follow_where"].iter().any(|name| source.contains(&format!("{name}(\"{heading}\"")));
        assert!(steps.is_empty() || is_tried, "{heading} is never tried");
    }
    let rules = fs::read_to_string(root().join("deploy/prometheus/vaka.rules.yml")).expect("the rules");
    for line in rules.lines() {
        assert!(!line.contains("summary:") || line.contains("RUNBOOK: "), "an alert without a chapter: {line}");
        let Some((_, chapter)) = line.split_once("RUNBOOK: ") else { continue };
        let chapter = chapter.trim_end_matches('"').to_lowercase();
        assert!(
            headings.iter().any(|heading| heading.to_lowercase() == chapter),
            "no chapter `{chapter}` for an alert"
        );
    }
}

/// SECURITY.md says which tests hold what it claims: they are there.
#[test]
fn every_test_that_the_security_page_names_is_there() {
    let page = fs::read_to_string(root().join("deploy/SECURITY.md")).expect("deploy/SECURITY.md");
    let ours = fs::read_to_string(root().join("tests/Cargo.toml")).expect("tests/Cargo.toml");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    let held = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once("| ").map(|(_, last)| last));
    let names: Vec<&str> = held.flat_map(|last| last.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let is_module = root().join(format!("gateway/src/{}.rs", name.replace("::", "/"))).is_file();
        let of_board = root().join(format!("gateway/board/tests/{name}.rs")).is_file();
        assert!(is_module || of_board || ours.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn a_gateway_that_is_well_or_down_or_told_nonsense() {
    if lacks(&["sipp", "mosquitto_pub", "curl"]) {
        return;
    }
    let home = home();
    follow("The gateway is down", &home, "");
    let good = fs::read_to_string(home.config()).expect("vaka.toml");
    fs::write(home.config(), good.replace("time_zone", "time_zome")).expect("writing vaka.toml");
    follow("The configuration is wrong", &home, "");
    fs::write(home.config(), good).expect("writing vaka.toml");

    let centre = Centre::start("ok");
    home.centre(centre.port);
    let mut gateway = Gateway::start(&home);
    follow("Start here", &home, "");
    follow("A certificate ends", &home, "");
    publish(&home, &press(1, 1));
    let accepted = gateway.wait_alarm("the accepted alarm", |row| row["rung"] == "accepted");
    follow("Person not confirmed", &home, "");
    follow("An alarm is accepted late", &home, accepted["id"].as_str().expect("an id"));
    follow("Telemetry was lost", &home, "");
    follow("The door is crowded", &home, "");
    follow("A home is away", &home, "");
    publish(&home, &event(1, 2, r#"{"battery":{"percent":11,"low":true}}"#));
    follow("A battery is low", &home, "");
    follow("A device is lost or stolen", &home, "");
    assert!(gateway.stop().success(), "{}", gateway.tail());
    follow("The disk fails", &home, "");
    follow("The index is deleted", &home, "");

    // A byte of the first record is another: found, named, and lived with.
    let segment = fs::read_dir(home.path("journal/segments")).expect("segments").flatten().next().expect("one").path();
    let mut bytes = fs::read(&segment).expect("it");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&segment, bytes).expect("writing it");
    follow("The journal is damaged", &home, "");
}

#[test]
fn an_alarm_that_finds_nobody_and_a_device_that_is_refused() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = home();
    home.centre(vaka_tests::free_port());
    let gateway = Gateway::start(&home);
    publish(&home, &press(1, 1));
    let alarm = gateway.wait_alarm("the alarm", |row| row["lane"] == "life")["id"].as_str().expect("an id").to_owned();
    gateway.wait_alarm("the lost path", |row| row["cause"] == "path");
    follow("A receiver is not reached", &home, "");
    follow("An alarm is not delivered", &home, &alarm);
    // Any technical alarm is listed so.
    follow("A device is refused", &home, "");
    follow("A technical alarm stays open", &home, "");
}

#[test]
fn a_box_that_gives_its_place_to_another() {
    let home = home();
    let said = home.vaka_plain(&["backup", "key", "--to", "key.txt"]).ok().stdout;
    let recipients = said.lines().last().expect("what to write into vaka.toml").to_owned();
    let config = fs::read_to_string(home.config()).expect("vaka.toml");
    fs::write(home.config(), format!("{config}\n[backup]\n{recipients}\n")).expect("writing vaka.toml");
    follow("No backup is made", &home, "");
    follow("A box is replaced", &home, "");
}

#[test]
fn a_device_that_has_been_silent_for_days() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let (home, mut clock) = (home(), MachineClock::new());
    let environment = clock.environment();
    let gateway = Gateway::start_with(&home, &environment.each_ref().map(|(name, value)| (*name, value.as_str())));
    publish(&home, &event(1, 1, r#"{"battery":{"percent":71,"low":false}}"#));
    clock.hours(72);
    gateway.wait_alarm("its silence", |row| row["device"] == "p1");
    follow_where("A device is silent", &home, "", &environment);
}

#[test]
fn a_clock_that_nobody_vouches_for_and_that_is_far_ahead() {
    let (home, mut clock) = (home(), MachineClock::new());
    clock.vouch(false);
    clock.hours(12 * 365 * 24);
    let environment = clock.environment();
    let _gateway = Gateway::start_with(&home, &environment.each_ref().map(|(name, value)| (*name, value.as_str())));
    follow_where("The clock is wrong", &home, "", &environment);
}

#[test]
fn a_disk_that_is_full() {
    if lacks(&["mosquitto_pub", "mkfs.ext4"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = Home::init_on(&disk.path());
    home.device("p1", "pendant");
    home.edit(|config| config["journal"]["size_max_mib"] = toml_edit::value(32));
    let gateway = Gateway::start(&home);
    disk.leave(200_000);
    let moves = event(1, 1, r#"{"motion":{}}"#);
    let _ = mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &moves);
    gateway.wait_alarm("the disk is short", |row| row["device"] == "disk-full");
    disk.leave(400_000);
    follow("The disk is full", &home, "");
}

#[test]
fn keys_that_are_gone_and_others_that_are_back() {
    let home = home();
    let mut gateway = Gateway::start(&home);
    assert!(gateway.stop().success());
    let (keys, away) = (home.path("journal/keys"), home.path("keys-away"));
    fs::rename(&keys, &away).expect("moved");
    gateway.restart();
    assert!(gateway.stop().success());
    // The first are put back, then the next are lost.
    fs::rename(&away, &keys).expect("moved back");
    gateway.restart();
    assert!(gateway.stop().success());
    fs::remove_file(home.path("journal/keys-2")).expect("removed");
    gateway.restart();
    follow("The journal's keys are gone", &home, "");
}

#[test]
fn a_resident_who_moves_out() {
    let home = Home::init();
    let lives = |lives: bool| {
        home.edit(|config| {
            let mut residents = toml_edit::ArrayOfTables::new();
            for id in ["r2", "r1"].iter().take(if lives { 2 } else { 1 }) {
                let mut table = toml_edit::Table::new();
                table["id"] = toml_edit::value(*id);
                residents.push(table);
            }
            config.insert("resident", toml_edit::Item::ArrayOfTables(residents));
        });
    };
    lives(true);
    home.vaka(&["device", "add", "p1", "--kind", "pendant", "--resident", "r1", "--out", "h/p1"]).ok();
    let mut gateway = Gateway::start(&home);
    publish(&home, &event(1, 1, r#"{"battery":{"percent":71,"low":false}}"#));
    assert!(gateway.stop().success(), "{}", gateway.tail());
    home.edit(|config| drop(config["device"][0].as_table_mut().expect("a table").remove("resident")));
    lives(false);
    let _gateway = Gateway::start(&home);
    follow("A resident moves out", &home, "");
}

#[test]
fn a_home_that_ends() {
    // It writes its disk full once: on one of its own.
    let Some(disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = Home::init_on(&disk.path());
    home.edit(|config| config["journal"]["size_max_mib"] = toml_edit::value(32));
    follow("A home ends", &home, "");
    assert!(!home.path("").exists());
}

#[test]
fn a_camera_that_was_moved() {
    if lacks(&["paho", "ffmpeg"]) {
        return;
    }
    let home = Home::init();
    let _camera = with_camera(&home);
    // The view that was accepted is of another place than what it sees.
    home.edit(|config| {
        config["camera"][0]["references"] = toml_edit::value(toml_edit::Array::from_iter(["0f".repeat(48)]));
    });
    let gateway = Gateway::start(&home);
    let _lamp = lamp(&home);
    let ended = || look_steps(&home).iter().any(|step| step["ended"]["why"] == "checked").then_some(());
    eventually("the gateway's own check is over", || gateway.tail(), ended);
    follow("A camera does not see the room", &home, "");
}

/// Words of a command line, those in quotes as one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut open, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('"' | '\'', None) => (quote, open) = (Some(c), open.or(Some(String::new()))),
            (c, Some(q)) if c == q => quote = None,
            (c, None) if c.is_whitespace() => words.extend(open.take()),
            (c, _) => open.get_or_insert_default().push(c),
        }
    }
    words.extend(open);
    words
}

/// What a document has as code that calls the program.
fn calls(text: &str) -> Vec<String> {
    let mut code: Vec<&str> = Vec::new();
    for (at, block) in text.split("```").enumerate() {
        match at % 2 {
            0 => code.extend(block.split('`').skip(1).step_by(2)),
            _ => code.extend(block.lines()),
        }
    }
    let parts = code.into_iter().flat_map(|line| line.split(['&', ';', '|', '#'])).map(str::trim);
    let bare =
        parts.map(|part| part.trim_start_matches("$ ").trim_start_matches("sudo ").trim_start_matches("-u vaka "));
    bare.filter(|part| part.starts_with("vaka ") && !part.contains('…')).map(str::to_owned).collect()
}

/// A word that was renamed in the program, and not in what people type from.
#[test]
fn every_command_that_a_document_names_is_one_of_the_program() {
    use clap::{Parser, error::ErrorKind};
    let deploy = fs::read_dir(root().join("deploy")).expect("deploy").flatten().map(|entry| entry.path());
    let documents = deploy.filter(|path| path.extension().is_some_and(|end| end == "md" || end == "toml"));
    let mut count = 0;
    for document in documents.chain([root().join("README.md"), root().join("ARCHITECTURE.md")]) {
        let text = fs::read_to_string(&document).expect("a document");
        for call in calls(&text) {
            count += 1;
            // One that is named without all that it needs is right too; a word that stands for another is no number.
            let Err(error) = vaka::cli::Cli::try_parse_from(words(&call)) else { continue };
            let is_unknown = matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand);
            assert!(!is_unknown, "{}: {call}\n{error}", document.display());
        }
    }
    assert!(count > 60, "{count}");
}
