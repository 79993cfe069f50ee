//! [[dose]], [[reminder]] and [[threshold]] as a technician writes them.

use std::path::Path;

use jiff::civil::{Weekday, date, time};

use crate::config::{Config, ConfigError};

const HEAD: &str = r#"[gateway]
id = "gw-1"
[ingest]
listen = "127.0.0.1:0"
[[resident]]
id = "r1"
[[resident]]
id = "r2"
[[device]]
id = "disp"
kind = "dispenser"
resident = "r1"
[[device]]
id = "lamp"
kind = "feedback"
resident = "r1"
[[device]]
id = "bridge"
kind = "bridge"
[[device]]
id = "far"
kind = "dispenser"
resident = "r1"
via = "bridge"
address = "0x1"
"#;

fn parse(text: &str) -> Result<(Config, Vec<String>), String> {
    let text = format!("{HEAD}{text}");
    match Config::parse(text.as_bytes(), Path::new("v.toml")) {
        Ok((config, warnings)) => Ok((config, warnings.iter().map(|warning| warning.text.clone()).collect())),
        Err(ConfigError::Invalid(findings)) => {
            Err(findings.iter().map(|finding| finding.text.clone()).collect::<Vec<_>>().join("\n"))
        }
        Err(other) => Err(other.to_string()),
    }
}

const MORNING: &str = "[[dose]]\nresident = \"r1\"\ndevice = \"disp\"\nslot = \"morning\"\nat = \"08:00\"\n";

#[test]
fn a_dose_says_all_of_it_or_only_what_differs() {
    let (config, _) = parse(MORNING).unwrap();
    let plan = &config.agreed.people[0].doses[0];
    assert_eq!((plan.slot.as_str(), plan.at, plan.grace_ms), ("morning", time(8, 0, 0, 0), 60 * 60_000));
    assert_eq!((plan.reminder_after_ms, plan.early_ms, plan.stock_low_days), (Some(15 * 60_000), 0, 3));
    assert!(crate::pipeline::home(&config).planned.values().next().unwrap().contains("morning"));

    let whole = format!(
        "{MORNING}days = [\"monday\", \"sunday\"]\ngrace_min = 90\nreminder_after_min = 0\nearly = \"allow\"\nearly_min = 30\nstock_low_days = 7\n\
         pause = [{{ from = \"2026-12-20\", until = \"2027-01-02\", why = \"travel\" }}]\n"
    );
    let (config, _) = parse(&whole).unwrap();
    let plan = &config.agreed.people[0].doses[0];
    assert!(plan.days.contains(Weekday::Sunday) && !plan.days.contains(Weekday::Tuesday));
    assert_eq!((plan.reminder_after_ms, plan.early_ms, plan.stock_low_days), (None, 30 * 60_000, 7));
    assert_eq!((plan.pauses[0].from, plan.pauses[0].until), (date(2026, 12, 20), date(2027, 1, 2)));
    // Weekdays and weekend may have their own time.
    let week = format!("{MORNING}days = [\"monday\"]\n{}days = [\"sunday\"]\n", MORNING.replace("08:00", "09:30"));
    assert_eq!(parse(&week).unwrap().0.agreed.people[0].doses.len(), 2);
}

#[test]
fn a_wrong_dose_is_said_with_its_fix() {
    let morning = |more: &str| format!("{MORNING}{more}\n");
    for (text, said) in [
        (morning("early_min = 10"), "`early_min` needs `early = \"allow\"`"),
        (morning("early = \"never\""), "unknown early `never`; "),
        (morning("grace_min = 2"), "`grace_min` must be from 5 to 720, found 2"),
        (morning("reminder_after_min = 60"), "`reminder_after_min` must be below `grace_min` (60)"),
        (morning("days = []"), "`days` names no day"),
        (morning("pause = [{ from = \"2026-12-20\", until = \"2026-12-19\" }]"), "`until` is before `from`"),
        (morning("pause = [{ from = \"20 December\", until = \"2026-12-19\" }]"), "expected a date such as"),
        (morning(MORNING), "a slot holds one dose a day"),
        (MORNING.replace("disp", "far"), "stands behind a bridge"),
        (MORNING.replace("disp", "lamp"), "which is a feedback; it must be one of: dispenser"),
        (MORNING.replace("\"r1\"", "\"r2\""), "dispenser `disp` is not `r2`'s"),
        (MORNING.replace("morning", "a name that is far too long to fit the wire"), "1 to 32 bytes"),
        (MORNING.replace("08:00", "8 o'clock"), "expected a local time"),
        (
            format!("{MORNING}{}", MORNING.replace("r1", "r2").replace("morning", "noon")),
            "a dispenser serves one person",
        ),
    ] {
        let complaint = parse(&text).map(|_| ()).unwrap_err();
        assert!(complaint.contains(said), "{complaint}\n  does not say: {said}");
    }
}

#[test]
fn a_reminder_goes_to_what_can_show_it() {
    let reminder = "[[reminder]]\nresident = \"r1\"\ndevice = \"lamp\"\nat = \"10:00\"\ntext = \"Dags för gymmet\"\n";
    let (config, _) = parse(reminder).unwrap();
    assert_eq!(config.agreed.people[0].reminders[0].expiry_ms, 30 * 60_000);
    for (text, said) in [
        (format!("{reminder}{reminder}"), "another [[reminder]] at this time"),
        (format!("{reminder}expiry_min = 0\n"), "`expiry_min` must be from 1 to 720"),
        (reminder.replace("Dags för gymmet", " "), "expected 1 to 160 bytes"),
        (reminder.replace("lamp", "far"), "behind a bridge"),
    ] {
        let complaint = parse(&text).map(|_| ()).unwrap_err();
        assert!(complaint.contains(said), "{complaint}\n  does not say: {said}");
    }
}

#[test]
fn a_limit_has_a_name_and_a_date() {
    let limit = "[[threshold]]\nresident = \"r1\"\nkind = \"heart_rate\"\nunit = \"1/min\"\nbelow = \"45\"\nabove = \"120\"\nset_by = \"Anna Ek\"\nset_on = \"2000-01-01\"\n";
    let (config, warnings) = parse(limit).unwrap();
    assert_eq!(config.agreed.people[0].vitals[0].set_by, "Anna Ek");
    assert!(warnings.iter().any(|warning| warning.contains("more than a year ago (2000-01-01)")), "{warnings:?}");
    for (text, said) in [
        (limit.replace("set_by = \"Anna Ek\"\n", ""), "set_by"),
        (limit.replace("set_on = \"2000-01-01\"\n", ""), "set_on"),
        (limit.replace("Anna Ek", ""), "`set_by`: expected"),
        (limit.replace("\"45\"", "\"4,5\""), "expected a decimal number"),
        (limit.replace("\"45\"", "\"120.0\""), "must be less than `above`"),
        (limit.replace("below = \"45\"\nabove = \"120\"\n", ""), "has no limit"),
        (format!("{limit}{limit}"), "another [[threshold]] of `heart_rate`"),
    ] {
        let complaint = parse(&text).map(|_| ()).unwrap_err();
        assert!(complaint.contains(said), "{complaint}\n  does not say: {said}");
    }
}
