use jiff::civil::datetime;

use super::*;

const TEXT: &str = r#"# The home at Ekvägen.
[gateway]
id = "gw-1"   # its own
[ingest]
listen = "127.0.0.1:0"

[night]
absence_care_min = 30         # as agreed in March
consent = { by = "the resident", on = "2026-03-01" }

[[resident]]
id = "r1"
# Karin wants nobody before six.
[resident.night]
until = "06:00"               # not before

[[resident]]
id = "r2"

[[device]]
id = "bed"
kind = "bed-sensor"
resident = "r1"
[[device]]
id = "bed2"
kind = "bed-sensor"
resident = "r2"
[[device]]
id = "mon"
kind = "vital-monitor"
resident = "r2"

[[threshold]]                 # the nurse's
resident = "r2"
kind = "heart_rate"
unit = "1/min"
above = "120"
set_by = "Anna Ek"
set_on = "2026-11-01"
"#;

fn wish(resident: &str, table: &str, values: &[(&str, &str)]) -> SettingsChange {
    SettingsChange {
        resident: resident.into(),
        table: table.into(),
        values: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..SettingsChange::default()
    }
}

fn edit(change: &SettingsChange) -> Result<String, Refused> {
    edited(TEXT, false, change, "anna", datetime(2026, 11, 22, 14, 5, 9, 0))
}

fn parse(text: &str) -> Config {
    let parsed = Config::parse(text.as_bytes(), Path::new("vaka.toml"));
    parsed.unwrap_or_else(|e| panic!("{e}\n{text}")).0
}

#[test]
fn a_change_keeps_every_comment_and_says_who_and_when() {
    let text = edit(&wish("r1", "night", &[("until", "06:30"), ("absence_care_min", "20")])).unwrap();
    for line in TEXT.lines().filter(|line| line.contains('#')) {
        let comment = line.split_once('#').map(|(_, comment)| comment).unwrap();
        assert!(text.contains(comment), "{comment}\n{text}");
    }
    assert!(text.contains("changed_by = \"anna\", changed_at = \"2026-11-22T14:05:09\""), "{text}");
    let config = parse(&text);
    let night = config.agreed.people[0].night.as_ref().unwrap();
    assert_eq!(night.absence_care_ms, Some(20 * 60_000));
    assert_eq!(night.window.until, jiff::civil::time(6, 30, 0, 0));
    assert_eq!(night.term.by.as_deref(), Some("the resident"), "the home's consent goes along");
    let of = settings(&text, false, "r1", "night");
    assert_eq!(of, [("until".into(), "06:30".into()), ("absence_care_min".into(), "20".into())]);
}

#[test]
fn what_looks_like_a_number_and_is_a_text_stays_a_text() {
    let text = edit(&wish("r2", "threshold heart_rate", &[("above", "130"), ("below", "45")])).unwrap();
    assert!(text.contains("above = \"130\"") && text.contains("below = \"45\""), "{text}");
    assert_eq!(parse(&text).agreed.people[1].vitals.len(), 1);
}

#[test]
fn a_withdrawal_is_one_resident_s_and_a_new_consent_ends_it() {
    let text = edit(&SettingsChange { withdraw: true, ..wish("r1", "night", &[]) }).unwrap();
    let config = parse(&text);
    let term = |config: &Config, index: usize| config.agreed.people[index].night.as_ref().unwrap().term.clone();
    let now = |config: &Config| {
        crate::rules::care::when::instant(
            &config.gateway.time_zone,
            jiff::civil::date(2026, 11, 22),
            jiff::civil::time(14, 5, 9, 0),
        )
    };
    assert!(!term(&config, 0).holds(now(&config)) && term(&config, 0).holds(now(&config) - 1), "{text}");
    assert!(term(&config, 1).holds(now(&config)), "the other resident's is theirs");
    // A form from before the no carries the yes from before it: nothing of it is written.
    let anew = |on: Option<&str>| SettingsChange {
        consent_by: Some("Karin".into()),
        consent_on: on.map(str::to_owned),
        ..wish("r1", "night", &[("until", "07:00")])
    };
    let edit = |on| edited(&text, false, &anew(on), "bo", datetime(2026, 12, 1, 9, 0, 0, 0));
    for stale in [Some("2026-03-01"), Some("2026-11-21"), Some(""), None] {
        let refused = edit(stale).unwrap_err();
        assert!(
            matches!(&refused, Refused::Conflict(why) if why.contains("withdrawn 2026-11-22T14:05:09")),
            "{refused}"
        );
    }
    let text = edit(Some("2026-12-01")).unwrap();
    let config = parse(&text);
    assert_eq!((term(&config, 0).withdrawn, term(&config, 0).by.as_deref()), (None, Some("Karin")), "{text}");
    assert_eq!(term(&config, 0).from, Some(jiff::civil::date(2026, 12, 1)));
}

#[test]
fn what_a_form_may_not_change_and_what_is_not_there_is_refused() {
    assert!(matches!(edit(&wish("r9", "night", &[])), Err(Refused::NotFound(_))));
    assert!(matches!(edit(&wish("r1", "threshold heart_rate", &[])), Err(Refused::NotFound(_))));
    assert!(matches!(edit(&wish("r1", "gateway", &[("id", "x")])), Err(Refused::NotFound(_))));
    assert!(matches!(edit(&wish("r1", "night", &[("consent", "x")])), Err(Refused::Wrong(_))));
    assert!(matches!(edit(&wish("r1", "night", &[("a\nb", "x")])), Err(Refused::Wrong(_))));
}

#[test]
fn a_value_that_cannot_be_used_is_not_written_and_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vaka.toml");
    std::fs::create_dir(dir.path().join("pki")).unwrap();
    std::fs::write(&file, TEXT).unwrap();
    let (config, _) = Config::load(&file).unwrap();
    let now = datetime(2026, 11, 22, 14, 5, 9, 0);
    let refused = change(&config, &wish("r1", "night", &[("until", "25:00")]), "anna", now).unwrap_err();
    assert!(matches!(&refused, Refused::Wrong(why) if why.contains("`until`")), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), TEXT);
    change(&config, &wish("r1", "night", &[("until", "07:00")]), "anna", now).unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("until = \"07:00\""));
}

#[test]
fn a_form_from_before_a_withdrawal_does_not_take_it_back_even_the_same_day() {
    let begun = |text: &str| Some(stands(text, false, "r1", "night"));
    let saved = |text: &str, stands| {
        let change = SettingsChange {
            consent_by: Some("Karin".into()),
            consent_on: Some("2026-11-22".into()),
            stands,
            ..wish("r1", "night", &[("until", "07:00")])
        };
        edited(text, false, &change, "bo", datetime(2026, 11, 22, 15, 0, 0, 0))
    };
    let opened = begun(TEXT);
    assert!(opened.as_ref().is_some_and(|stands| stands.len() == 16), "{opened:?}");
    assert!(saved(TEXT, opened.clone()).is_ok(), "nothing came between");
    let withdrawn =
        edit(&SettingsChange { withdraw: true, stands: opened.clone(), ..wish("r1", "night", &[]) }).unwrap();
    for stale in [opened.clone(), Some(String::new()), None] {
        let refused = saved(&withdrawn, stale).unwrap_err();
        assert!(matches!(refused, Refused::Conflict(_)), "{refused}");
    }
    assert!(saved(&withdrawn, begun(&withdrawn)).is_ok(), "agreed anew by whoever has seen the no");
    // Somebody else's change, or a no where nothing of their own stood; a no always holds.
    let changed = edit(&wish("r1", "night", &[("until", "05:00")])).unwrap();
    assert!(saved(&changed, opened.clone()).is_err());
    let late = SettingsChange { withdraw: true, stands: opened, ..wish("r1", "night", &[]) };
    assert!(edited(&changed, false, &late, "bo", datetime(2026, 11, 22, 15, 0, 0, 0)).is_ok());
    assert_ne!(stands(TEXT, false, "r2", "night"), "", "the home's is theirs");
    assert_eq!(stands(TEXT, false, "r1", "presence"), "");
}

/// As a form of a new one posts it: under the name of its kind.
fn new(kind: &str, values: &[(&str, &str)]) -> SettingsChange {
    SettingsChange {
        consent_by: Some("Karin".into()),
        consent_on: Some("2026-11-22".into()),
        stands: Some(String::new()),
        ..wish("r2", kind, values)
    }
}

#[test]
fn a_new_one_of_several_is_written_beside_the_others_with_its_consent() {
    let limit = [("kind", "spo2"), ("unit", "%"), ("below", "88"), ("set_by", "Anna Ek"), ("set_on", "2026-11-20")];
    let text = edit(&new("threshold", &limit)).unwrap();
    let config = parse(&text);
    let vitals = &config.agreed.people[1].vitals;
    assert_eq!(vitals.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>(), ["heart_rate", "spo2"], "{text}");
    assert_eq!(vitals[1].term.by.as_deref(), Some("Karin"));
    assert!(text.contains("below = \"88\"") && text.contains("# the nurse's"), "{text}");
    assert!(settings(&text, false, "r2", "threshold spo2").contains(&("below".into(), "88".into())));
    // Where nothing of its kind stands yet, too.
    let round = [("name", "112"), ("lat", "59.3"), ("lon", "18.07"), ("radius_m", "200")];
    let text = edit(&new("fence", &round)).unwrap();
    assert!(text.contains("[[fence]]") && text.contains("name = \"112\"") && text.contains("lat = 59.3"), "{text}");
}

#[test]
fn a_new_one_needs_its_name_a_consent_and_to_be_new() {
    let known = new("threshold", &[("kind", "heart_rate"), ("above", "110")]);
    assert!(matches!(edit(&known), Err(Refused::Conflict(why)) if why.contains("threshold heart_rate")));
    let nameless = new("dose", &[("slot", "morning"), ("at", " ")]);
    assert!(matches!(edit(&nameless), Err(Refused::Wrong(why)) if why.contains("`at` is empty")));
    let unagreed = SettingsChange { consent_by: None, ..new("threshold", &[("kind", "spo2")]) };
    assert!(matches!(edit(&unagreed), Err(Refused::Wrong(why)) if why.contains("who has agreed")));
    assert!(matches!(edit(&new("gateway", &[("id", "x")])), Err(Refused::NotFound(_))));
}

#[test]
fn the_door_is_shut_by_a_no_of_its_resident_alone() {
    let lock = r#"
[[device]]
id = "front"
kind = "lock"
resident = "r1"
unlock = { roles = ["night"], open_s = 60, consent = { by = "Karin", on = "2026-11-01" } }  # the key is lost
"#;
    let text = format!("{TEXT}{lock}");
    let no = |of| SettingsChange { withdraw: true, ..wish(of, "unlock front", &[]) };
    let now = datetime(2026, 11, 22, 14, 5, 9, 0);
    assert!(matches!(edited(&text, false, &no("r2"), "anna", now), Err(Refused::NotFound(_))));
    assert_eq!(settings(&text, false, "r1", "unlock front")[1], ("open_s".into(), "60".into()));
    let wider = edited(&text, false, &wish("r1", "unlock front", &[("always", "true")]), "anna", now);
    assert!(matches!(wider, Err(Refused::Wrong(why)) if why.contains("vaka.toml alone")));
    let shut = edited(&text, false, &no("r1"), "anna", now).unwrap();
    assert!(shut.contains("# the key is lost"), "{shut}");
    let config = parse(&shut);
    let (_, unlock) = config.orders.unlock.first_key_value().unwrap();
    let end = unlock.term.withdrawn_ms(&config.gateway.time_zone).unwrap();
    assert!(unlock.term.holds(end - 1) && !unlock.term.holds(end), "{shut}");
    assert_ne!(stands(&text, false, "r1", "unlock front"), stands(&shut, false, "r1", "unlock front"));
}

#[test]
fn an_agreement_that_has_ended_is_agreed_anew_until_another_day_or_without_one() {
    let saved = |text: &str, from: Option<&str>, until: Option<&str>| {
        let change = SettingsChange {
            consent_by: Some("Karin".into()),
            consent_on: Some("2026-11-22".into()),
            consent_from: from.map(str::to_owned),
            consent_until: until.map(str::to_owned),
            ..wish("r1", "night", &[("until", "07:00")])
        };
        edited(text, false, &change, "bo", datetime(2026, 11, 22, 15, 0, 0, 0))
    };
    let term = |text: &str| parse(text).agreed.people[0].night.as_ref().unwrap().term.clone();
    let day = jiff::civil::date;
    let limited = saved(TEXT, Some("2026-11-23"), Some("2026-11-30")).unwrap();
    assert_eq!((term(&limited).from, term(&limited).until), (Some(day(2026, 11, 23)), Some(day(2026, 11, 30))));
    let kept = term(&saved(&limited, None, None).unwrap());
    assert_eq!((kept.from, kept.until), (Some(day(2026, 11, 23)), Some(day(2026, 11, 30))), "not named: as it is");
    let open = saved(&limited, Some(""), Some("")).unwrap();
    assert_eq!((term(&open).from, term(&open).until), (None, None), "{open}");
    // Saved as it stands after its end, it would look agreed and not hold.
    let ended = limited.replace("2026-11-30", "2026-11-21").replace("2026-11-23", "2026-11-01");
    for until in [None, Some("2026-11-21")] {
        let refused = saved(&ended, None, until).unwrap_err();
        assert!(matches!(&refused, Refused::Wrong(why) if why.contains("ended 2026-11-21")), "{refused}");
    }
    assert_eq!(term(&saved(&ended, None, Some("2026-11-22")).unwrap()).until, Some(day(2026, 11, 22)));
    let withdrawn = SettingsChange { withdraw: true, ..wish("r1", "night", &[]) };
    assert!(edited(&ended, false, &withdrawn, "bo", datetime(2026, 11, 22, 15, 0, 0, 0)).is_ok(), "a no always holds");
}

#[test]
fn agreed_anew_after_a_no_it_begins_today_whatever_day_the_form_still_shows() {
    let withdrawn = edit(&SettingsChange { withdraw: true, ..wish("r1", "night", &[]) }).unwrap();
    for (shown, begins) in [("2026-09-01", "2026-12-01"), ("", "2026-12-01"), ("2026-12-24", "2026-12-24")] {
        let change = SettingsChange {
            consent_by: Some("Karin".into()),
            consent_on: Some("2026-12-01".into()),
            consent_from: Some(shown.into()),
            ..wish("r1", "night", &[])
        };
        let text = edited(&withdrawn, false, &change, "bo", datetime(2026, 12, 1, 9, 0, 0, 0)).unwrap();
        assert!(text.contains(&format!("from = \"{begins}\"")), "{shown}: {text}");
    }
}

#[test]
fn in_a_file_without_residents_the_home_s_is_the_only_one_s_and_can_be_withdrawn() {
    let start = TEXT.find("[[resident]]").expect("residents");
    let end = start + TEXT[start..].find("[[device]]").expect("devices");
    let text = format!("{}{}", &TEXT[..start], &TEXT[end..]).replace("\"r2\"", "\"r1\"");
    let no = SettingsChange { withdraw: true, ..wish("r1", "night", &[]) };
    let now = datetime(2026, 11, 22, 14, 5, 9, 0);
    let withdrawn = edited(&text, true, &no, "anna", now).unwrap();
    let config = parse(&withdrawn);
    assert_eq!(config.agreed.people.len(), 1);
    assert!(config.agreed.people[0].night.as_ref().unwrap().term.withdrawn.is_some(), "{withdrawn}");
    // Of several, nobody can say whose it is.
    assert!(matches!(edited(&text, false, &no, "anna", now), Err(Refused::NotFound(_))));
}
