//! The table [night]: what is complained of, and what its absence means.

use super::*;

#[test]
fn nothing_is_agreed_without_the_table() {
    let text = format!("[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n{DEVICES}");
    let (config, _) = Config::parse(text.as_bytes(), Path::new("v.toml")).unwrap();
    assert!(config.agreed.people.iter().all(|person| person.night.is_none()));
    let night = agreed("").people[0].night.clone().unwrap();
    assert_eq!((night.absence_care_ms, night.absence_life_ms), (Some(30 * MIN), Some(90 * MIN)));
    assert_eq!((night.in_bed_by, night.visits_up_max, night.morning, night.rounds.len()), (None, None, None, 0));
    assert_eq!((night.beds, night.exits), (vec![device("bed")], vec![device("front")]));
}

#[test]
fn the_example_shows_the_defaults() {
    let example = include_str!("../../../../../../deploy/vaka.example.toml");
    let block = example.split_once("# [night]\n").unwrap().1.split_once("\n\n").unwrap().0;
    let lines = block.lines().filter_map(|line| line.strip_prefix("# "));
    // Whose consent it is has no default.
    let is_key = |line: &&str| line.starts_with(char::is_alphabetic) && !line.starts_with("consent");
    let keys: Vec<&str> = lines.filter(is_key).collect();
    assert_eq!(keys.len(), 14, "every key: {keys:#?}");
    assert_eq!(agreed(&keys.join("\n")).people[0].night, agreed("").people[0].night);
}

#[test]
fn complaints_name_the_key_and_the_fix() {
    let table = [
        ("from = \"22.00\"", "`from`: expected a local time such as \"22:00\", found `22.00`"),
        (
            "until = \"23:00\"",
            "the night from 22:00 until 23:00 is 60 minutes long; give it 3 to 16 hours, and let [presence] watch the day",
        ),
        (
            "from = \"06:00\"",
            "the night from 06:00 until 06:00 is 1440 minutes long; give it 3 to 16 hours, and let [presence] watch the day",
        ),
        ("absence_care_min = -1", "`absence_care_min` must be from 1 to 720, found -1"),
        (
            "absence_care_min = 90\nabsence_life_min = 90",
            "`absence_life_min` (90) must be more than `absence_care_min` (90): staff are asked first; raise it, or write 0 for no life alarm",
        ),
        (
            "in_bed_by = \"21:30\"",
            "`in_bed_by`: 21:30 is outside the night from 22:00 until 06:00; choose a time within it",
        ),
        ("door = \"shut\"", "unknown door `shut`; known: alarm, off"),
        ("visits_up_max = 25", "`visits_up_max` must be from 1 to 24, found 25"),
        ("up_by = \"12:30\"", "`up_by`: 12:30 is not in the night or the 6 hours after it; choose a time there"),
        ("up_by = \"08:00\"\nup_from = \"08:30\"", "`up_from`: 08:30 must be in the night and before `up_by` (08:00)"),
        ("up_from = \"08:30\"", "`up_from` needs `up_by`: the time by which there must be a sign of life"),
        (
            "rounds = [{ at = \"21:00\", latest = \"23:30\" }]",
            "`at`: 21:00 is outside the night from 22:00 until 06:00; choose a time within it",
        ),
        (
            "rounds = [{ at = \"05:30\", latest = \"06:30\" }]",
            "`latest`: 06:30 is outside the night from 22:00 until 06:00; choose a time within it",
        ),
        (
            "rounds = [{ at = \"03:30\", latest = \"03:30\" }]",
            "`latest` (03:30) must be after `at` (03:30): a look-in takes its time",
        ),
        (
            "rounds = [{ at = \"03:00\", latest = \"03:15\" }]",
            "`latest`: this look-in has 15 minutes, and a visit is asked for 15 minutes before its end (`visit_lead_min`); give it 16 or more",
        ),
        (
            "rounds = [{ at = \"03:00\", latest = \"03:30\" }, { at = \"02:45\", latest = \"03:05\" }]",
            "the look-ins of 03:00 and 02:45 overlap; let one end before the other begins",
        ),
        ("declined = \"never\"", "unknown declined `never`; known: visit, nothing"),
        ("bed_heard_min = 5", "`bed_heard_min` must be from 10 to 1560, found 5"),
        ("beds = 1", "unknown key `beds` in [night]"),
    ];
    for (night, expected) in table {
        let said = parse(STOCKHOLM, night, DEVICES).unwrap_err();
        assert!(said.contains(expected), "{night}\n said: {said}\n not: {expected}");
    }
    let edge = "rounds = [{ at = \"22:00\", latest = \"22:20\" }, { at = \"05:30\", latest = \"06:00\" }]";
    assert_eq!(parse(STOCKHOLM, edge, DEVICES).unwrap().1.iter().filter(|w| w.contains("bridge")).count(), 0);
}

#[test]
fn without_a_bed_sensor_what_only_it_can_tell_is_a_complaint() {
    let devices = "[[device]]\nid = \"hall\"\nkind = \"motion-sensor\"\n";
    for night in [
        "absence_care_min = 30",
        "absence_life_min = 30",
        "visits_up_max = 3",
        "in_bed_by = \"23:00\"",
        "rounds = [{ at = \"03:00\", latest = \"03:30\" }]",
    ] {
        let said = parse(STOCKHOLM, night, devices).unwrap_err();
        assert!(said.contains("`resident` has no bed-sensor; add a [[device]] of that kind"), "{said}");
    }
    let (config, warnings) = parse(STOCKHOLM, "up_by = \"09:00\"", devices).unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("nobody is told if the bed is left")), "{warnings:?}");
    let mut story = Story::of(STOCKHOLM, "2026-11-20", unsupervised(&config));
    story.at("11:00");
    assert_eq!(story.told(), ["09:00 care no-sign"]);
}

#[test]
fn a_resident_replaces_single_keys_and_what_is_wrong_in_the_home_is_said_once() {
    let people = |home: &str| {
        format!(
            "[night]\n{home}\n[[resident]]\nid = \"r1\"\n[resident.night]\nabsence_care_min = 45\nrounds = []\n[[resident]]\nid = \"r2\"\n\
             [[device]]\nid = \"b1\"\nkind = \"bed-sensor\"\nresident = \"r1\"\n[[device]]\nid = \"b2\"\nkind = \"bed-sensor\"\nresident = \"r2\"\n\
             via = \"zb\"\naddress = \"b\"\n[[device]]\nid = \"zb\"\nkind = \"bridge\"\n[[device]]\nid = \"front\"\nkind = \"door-sensor\"\nexit = true\n"
        )
    };
    let read = |home: &str| {
        let text = format!("[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n{}", people(home));
        Config::parse(text.as_bytes(), Path::new("v.toml")).map_err(|error| error.to_string())
    };
    let (config, warnings) = read("until = \"07:00\"\nrounds = [{ at = \"03:00\", latest = \"03:30\" }]").unwrap();
    let nights: Vec<_> = config.agreed.people.iter().map(|person| person.night.clone().unwrap()).collect();
    assert_eq!((nights[0].absence_care_ms, nights[1].absence_care_ms), (Some(45 * MIN), Some(30 * MIN)));
    assert_eq!((nights[0].rounds.len(), nights[1].rounds.len()), (0, 1));
    assert_eq!(nights[0].window, nights[1].window);
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let about = |what: &str| said.iter().filter(|warning| warning.contains(what)).count();
    assert_eq!((about("`b2` is behind a bridge"), about("`front` leads out and is nobody's")), (1, 2), "{said:#?}");
    assert_eq!(read("in_bed_by = \"12:00\"").unwrap_err().matches("in_bed_by").count(), 1);
}

#[test]
fn what_is_agreed_right_after_the_clock_was_set_back_holds_at_once() {
    let mut story = Story::new("");
    let agreed_at = |story: &Story| {
        let notes = story
            .home
            .log
            .iter()
            .filter(|(_, decision)| matches!(decision, Decision::Note(note) if note.what == "night-agreed"));
        notes.map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let set_back = local("2026-11-20 09:00");
    story.home.set_clock(set_back);
    for restarts in [false, true] {
        if restarts {
            story.home.restart();
        }
        story.home.agree(agreed(if restarts { "absence_care_min = 20" } else { "absence_care_min = 10" }));
        story.home.until(set_back + 5 * MIN);
        story.home.agree(agreed(if restarts { "absence_care_min = 20" } else { "absence_care_min = 10" }));
    }
    assert_eq!(agreed_at(&story), [local("2026-11-20 12:00"), set_back, set_back + 5 * MIN], "once for each agreement");
    story.at("22:30").bed(true);
    story.at("23:00").bed(false);
    story.at("23:25");
    assert_eq!(story.told(), ["23:20 care absence"]);
}
