//! `vaka check`, the doctor: each part with what was measured, green, yellow or red.
//!
//! Works on a gateway that does not run, or does not start. Exit 1 if anything is red.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use vaka_protocol::Lane;

use super::check_cameras::{self, CameraRow};
use super::check_devices::{self, DeviceRow};
use super::{CheckArgs, Exit, Failure, camera, check_plain as plain, colour, print_json, print_line};
use crate::backup::last;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError, Language};
use crate::journal::reader;
use crate::limits::BACKUP_AGE_MS_MAX;
use crate::pipeline::control::{self, Request};
use crate::provision;

/// After this a running gateway has replaced a file of keys, and nothing is left beside it. Source: our choice; two syncs of a slow card.
const REPLACED_WITHIN: std::time::Duration = std::time::Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    Green,
    Yellow,
    Red,
}

#[derive(Debug, Serialize)]
pub(super) struct Line {
    part: &'static str,
    pub(super) light: Light,
    /// What was found, and for yellow and red what to do.
    pub(super) found: String,
}

/// What `vaka check --json` prints. Reads files, and asks the running gateway: takes a moment.
pub fn findings(config: &Path) -> Value {
    let lines = examine(config);
    let loaded = Config::load(config).ok().map(|(config, _)| config);
    let rows = Rows::of(loaded.as_ref());
    json(&lines, &rows, rows.worst(&lines))
}

/// What is found of each device and each camera.
#[derive(Default)]
struct Rows {
    devices: Vec<DeviceRow>,
    cameras: Vec<CameraRow>,
}

impl Rows {
    /// Where the config cannot be read there are none.
    fn of(config: Option<&Config>) -> Rows {
        config.map_or_else(Rows::default, |config| Rows { devices: devices(config), cameras: cameras(config) })
    }

    fn worst(&self, lines: &[Line]) -> Light {
        let of_devices = self.devices.iter().map(|row| row.light);
        let lights = lines.iter().map(|line| line.light).chain(of_devices);
        lights.chain(self.cameras.iter().map(|row| row.light)).max().unwrap_or(Light::Green)
    }
}

fn json(lines: &[Line], rows: &Rows, worst: Light) -> Value {
    let plain = |line: &Line, language| plain::part(line.part, line.light, language);
    let part = |line: &Line| {
        let (sv, en) = (plain(line, Language::Sv), plain(line, Language::En));
        serde_json::json!({"part": line.part, "light": line.light, "found": line.found, "plain_sv": sv, "plain_en": en})
    };
    let parts = lines.iter().map(part).collect::<Vec<_>>();
    serde_json::json!({"light": worst, "parts": parts, "devices": rows.devices, "cameras": rows.cameras})
}

pub fn run(config: &Path, args: &CheckArgs) -> Result<Exit, Failure> {
    let lines = examine(config);
    let loaded = Config::load(config).ok().map(|(config, _)| config);
    let rows = Rows::of(loaded.as_ref());
    let worst = rows.worst(&lines);
    // Where nothing can be read the home is Swedish.
    let spoken = loaded.as_ref().map_or(Language::Sv, |config| config.gateway.language);
    let language = args.lang.unwrap_or(spoken);
    if args.json {
        print_json(&json(&lines, &rows, worst))?;
    } else if args.plain {
        print_plain(&lines, &rows, worst, language)?;
    } else {
        for line in &lines {
            print_exact(line.light, line.part, &line.found)?;
        }
        for row in &rows.devices {
            print_exact(row.light, row.device.as_str(), &format!("{}: {}", row.kind, row.found))?;
        }
        for row in &rows.cameras {
            print_exact(row.light, row.camera.as_str(), &format!("camera: {}", row.found))?;
        }
    }
    Ok(if worst == Light::Red { Exit::FoundWrong } else { Exit::Ok })
}

fn print_exact(light: Light, part: &str, found: &str) -> Result<(), Failure> {
    let (word, sgr) = match light {
        Light::Green => ("green ", "32"),
        Light::Yellow => ("YELLOW", "33;1"),
        Light::Red => ("RED   ", "31;1"),
    };
    let (on, off) = colour(&std::io::stdout(), sgr);
    print_line(&format!("{on}{word}{off}  {part:<13} {found}"))
}

/// For staff: whether anything is to be done first, then the worst first.
fn print_plain(lines: &[Line], found: &Rows, worst: Light, language: Language) -> Result<(), Failure> {
    let (on, off) = colour(&std::io::stdout(), "1");
    print_line(&format!("{on}{}{off}", plain::summary(worst, language)))?;
    let of_parts =
        lines.iter().map(|l| (l.light, plain::name(l.part, language), plain::part(l.part, l.light, language)));
    let said = |sv: &str, en: &str| if language == Language::Sv { sv.to_owned() } else { en.to_owned() };
    let of_devices =
        found.devices.iter().map(|row| (row.light, row.device.to_string(), said(&row.plain_sv, &row.plain_en)));
    let of_cameras =
        found.cameras.iter().map(|row| (row.light, row.camera.to_string(), said(&row.plain_sv, &row.plain_en)));
    let mut rows: Vec<(Light, String, String)> = of_parts.chain(of_devices).chain(of_cameras).collect();
    rows.sort_by_key(|(light, ..)| std::cmp::Reverse(*light));
    for (light, name, words) in rows {
        let (mark, sgr) = match light {
            Light::Green => ("ok", "32"),
            Light::Yellow => ("! ", "33;1"),
            Light::Red => ("!!", "31;1"),
        };
        let (on, off) = colour(&std::io::stdout(), sgr);
        print_line(&format!("{on}{mark}{off}  {name}: {words}"))?;
    }
    Ok(())
}

/// From the running gateway, else from its journal.
fn devices(config: &Config) -> Vec<DeviceRow> {
    let asked = control::request(&config.journal.dir, &Request::Devices).and_then(Result::ok);
    let known = asked.or_else(|| {
        let state = crate::pipeline::restore::read_only(&config.journal.dir).ok()?;
        Some(crate::pipeline::view::devices(&state))
    });
    check_devices::rows(config, known.as_ref(), SystemClock::new().now().wall_ms)
}

/// As [`devices`].
fn cameras(config: &Config) -> Vec<CameraRow> {
    let known = camera::known(config).ok();
    check_cameras::rows(config, known.as_ref(), SystemClock::new().now().wall_ms)
}

fn examine(path: &Path) -> Vec<Line> {
    let line = |part, light, found: String| Line { part, light, found };
    let (config, warnings) = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(error) => {
            let read = matches!(error, ConfigError::Read { .. });
            let part = if read { "home" } else { "config" };
            return vec![line(part, Light::Red, error.to_string())];
        }
    };
    let mut lines = vec![if warnings.is_empty() {
        line("config", Light::Green, config.file.display().to_string())
    } else {
        let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        line("config", Light::Yellow, said.join("; "))
    }];
    lines.push(life_route(&config));
    lines.push(certificates(&config));
    lines.push(keys(&config));
    lines.push(backup(&config));
    let running = control::request(&config.journal.dir, &Request::Stat).and_then(Result::ok);
    lines.push(match &running {
        Some(stat) if stat["program_replaced"] == true => {
            let fix = "a newer program is installed; once no life alarm is open: sudo systemctl restart vaka";
            line("gateway", Light::Yellow, format!("running; {fix}"))
        }
        Some(_) => line("gateway", Light::Green, "running".into()),
        None => line("gateway", Light::Red, format!("not running; {}", super::owner::start_it(&config, "run"))),
    });
    lines.push(worded("clock", super::clock::clock(&config, running.as_ref())));
    lines.push(journal(&config));
    lines.push(disk(&config));
    if let Some(stat) = &running {
        lines.push(connections(stat));
        lines.push(paths(&config, stat));
        lines.push(owed(stat));
        lines.extend(super::check_updates::lines(&config).into_iter().map(|(part, found)| worded(part, found)));
    }
    lines
}

/// A row that stands in words.
fn worded(part: &'static str, (light, found): (&str, String)) -> Line {
    let light = match light {
        "green" => Light::Green,
        "yellow" => Light::Yellow,
        _ => Light::Red,
    };
    Line { part, light, found }
}

/// Who is told of a life alarm, in words.
pub(super) fn life_route(config: &Config) -> Line {
    let told = config.receivers_for(Lane::Life);
    let of = |is_trusted: bool| {
        let said = told.iter().filter(move |receiver| receiver.is_trusted() == is_trusted);
        said.map(|receiver| receiver.name.as_str()).collect::<Vec<_>>()
    };
    let (names, unknown) = (of(true), of(false));
    let (light, found) = match names.len() {
        0 if unknown.is_empty() => (
            Light::Red,
            "nobody is told of a life alarm; add a [[receiver]] and a [[route]] with the lane \"life\"".into(),
        ),
        0 => (
            Light::Red,
            format!(
                "nobody is told of a life alarm: {} has neither `pin` nor `ca`, and nothing is sent to it",
                unknown.join(", ")
            ),
        ),
        1 => (Light::Yellow, format!("{} alone is told of a life alarm; add a second receiver", names[0])),
        _ => (Light::Green, format!("{} are told of a life alarm", names.join(", then "))),
    };
    Line { part: "life alarms", light, found }
}

fn certificates(config: &Config) -> Line {
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(SystemClock::new());
    let (light, found) = match provision::tls::server_config(config, clock) {
        Ok(_) => (Light::Green, format!("usable; {} devices are listed", config.devices.len())),
        Err(error) => (Light::Red, error.to_string()),
    };
    Line { part: "certificates", light, found }
}

/// Where each private key is, and whether nobody else can read it.
fn keys(config: &Config) -> Line {
    use provision::KeyState;
    let keys = config.pki().keys();
    let (mut passed, mut filed, mut missing, mut wrong) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for key in &keys {
        match (key.state, key.is_credential) {
            (KeyState::Open, true) => wrong.push(format!("others can read the credential {}", key.path.display())),
            (KeyState::Open, false) => wrong.push(format!("others can read {0}: chmod 600 {0}", key.path.display())),
            (KeyState::Missing, _) => missing.push(key.name),
            (KeyState::Private, true) => passed.push(key.name),
            (KeyState::Private, false) => filed.push(key.name),
        }
    }
    if !missing.is_empty() {
        let (names, dir) = (missing.join(", "), config.pki().dir().display().to_string());
        let fix = "restore it from a backup, or pass it to this command too (systemd-run -p LoadCredential=...)";
        wrong.push(format!("{names}: neither a credential nor in {dir}; {fix}"));
    }
    // Whoever has the disk reads the names, whatever seals the journal.
    let names = config.pki().dir().join("names.key");
    if vaka_seal::ring_path(&config.journal.dir).exists() && vaka_seal::wrapped::is_clear(&names) {
        let fix = "stop the gateway, `vaka journal seal`, start it";
        wrong.push(format!("{} lies in clear, of an earlier version: {fix}", names.display()));
    }
    let mut found = wrong.clone();
    if !passed.is_empty() {
        found.push(format!("{} passed by the service manager", passed.join(", ")));
    }
    if !filed.is_empty() {
        found.push(format!("{} in {}", filed.join(", "), config.pki().dir().display()));
    }
    let (home, is_right) = home_key(&config.journal.dir);
    found.push(home);
    // Without server.key no device gets in, which the certificates' line says; the others may be another service's.
    let is_open = keys.iter().any(|key| key.state == KeyState::Open);
    let light = match (is_open, wrong.is_empty() && is_right) {
        (true, _) => Light::Red,
        (false, false) => Light::Yellow,
        (false, true) => Light::Green,
    };
    Line { part: "keys", light, found: found.join("; ") }
}

/// Whether backups are made, and still are.
fn backup(config: &Config) -> Line {
    let days = |age_ms: u64| age_ms / 86_400_000;
    let (light, found) = match last::age(config, SystemClock::new().now().wall_ms) {
        last::Age::NotAgreed => (
            Light::Yellow,
            "none is made: if this box breaks, its devices have to be visited; add [backup] recipients".to_owned(),
        ),
        last::Age::Never => (
            Light::Yellow,
            "none has been made yet: wait for the night (vaka-backup.timer), or `vaka backup --to FILE`".to_owned(),
        ),
        last::Age::Old(age_ms) if age_ms > BACKUP_AGE_MS_MAX => (
            Light::Yellow,
            format!("the last whole one is {} days old: journalctl -u vaka-backup says why", days(age_ms)),
        ),
        last::Age::Old(age_ms) => (Light::Green, format!("the last one is {} hours old", age_ms / 3_600_000)),
    };
    Line { part: "backup", light, found }
}

/// Where the key is that opens the journal; false: something is to be done about it.
fn home_key(journal: &Path) -> (String, bool) {
    let file = vaka_seal::home::file_beside(journal);
    match vaka_seal::HomeKey::find(journal) {
        // Under any name, e.g. `home.key.old`. Another key may be all that opens other records: nobody is told to shred it.
        Ok(Some(key)) if key.is_credential && !key.copies_beside(journal).is_empty() => {
            let copies = key.copies_beside(journal);
            let file = copies.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ");
            (
                format!(
                    "home.key is passed by the service manager and lies in clear as {file} too: shred --remove {file}"
                ),
                false,
            )
        }
        Ok(Some(key)) if key.is_credential => ("home.key passed by the service manager".to_owned(), true),
        Ok(Some(key)) => (format!("home.key in {}", key.from.display()), true),
        Ok(None) if vaka_seal::ring_path(journal).exists() => (vaka_seal::KeyError::HomeGone(file).to_string(), false),
        Ok(None) => ("no home.key: the journal is not sealed (`vaka journal seal`)".to_owned(), true),
        Err(error) => (error.to_string(), false),
    }
}

fn journal(config: &Config) -> Line {
    let unread = crate::journal::unread::told(&config.journal.dir);
    if !unread.is_empty() {
        return Line { part: "journal", light: Light::Red, found: unread };
    }
    // A running gateway may just be replacing its keys: what lies there twice is left.
    let left = || vaka_seal::leftovers(&vaka_seal::ring_path(&config.journal.dir));
    if !left().is_empty() {
        // In a command of its own: no alarm waits behind it.
        std::thread::park_timeout(REPLACED_WITHIN);
        if let Some(left) = left().first() {
            let found = format!(
                "{} may hold keys that were to be destroyed: restart the gateway, which overwrites it; if it stays, shred it (`shred --remove`)",
                left.display()
            );
            return Line { part: "journal", light: Light::Yellow, found };
        }
    }
    let (light, found) = match reader::verify(&config.journal.dir) {
        Ok(report) if report.is_sound() => {
            let (records, bytes) = (report.records, report.bytes);
            match (report.keys, vaka_seal::ring_path(&config.journal.dir).exists()) {
                (Some(why), _) => (Light::Red, why),
                (None, true) => (Light::Green, format!("{records} records, every one whole, {bytes} bytes, sealed")),
                (None, false) if !config.retention.is_empty() => {
                    let found = "in clear: the days in [retention] are not held; stop the gateway, `vaka journal seal`";
                    (Light::Yellow, found.to_owned())
                }
                (None, false) => {
                    let fix = "in clear (`vaka journal seal`)";
                    (Light::Green, format!("{records} records, every one whole, {bytes} bytes, {fix}"))
                }
            }
        }
        Ok(report) => {
            let unopened = report.unopened.first().map(|seq| format!("record {seq} is not what was sealed"));
            let first = report.damage.first().map(ToString::to_string).or(unopened).unwrap_or_default();
            (Light::Red, format!("damaged: {first}; `vaka journal verify` names every place"))
        }
        Err(error) => (Light::Red, error.to_string()),
    };
    Line { part: "journal", light, found }
}

fn disk(config: &Config) -> Line {
    let budget = config.journal.size_max_mib;
    let (light, found) = match rustix::fs::statvfs(&config.journal.dir) {
        Err(error) => (Light::Red, format!("{}: {error}", config.journal.dir.display())),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize) / (1024 * 1024);
            match free {
                _ if free < budget / 8 => {
                    (Light::Red, format!("{free} MiB free: telemetry is refused; free space on this disk"))
                }
                _ if free < budget => (Light::Yellow, format!("{free} MiB free, the journal may grow to {budget} MiB")),
                _ => (Light::Green, format!("{free} MiB free, the journal may grow to {budget} MiB")),
            }
        }
    };
    Line { part: "disk", light, found }
}

/// Red: a receiver is reached over none of its paths. Yellow: one of several is lost, or not judged yet.
fn paths(config: &Config, stat: &Value) -> Line {
    let (mut cut_off, mut lost, mut unknown, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for receiver in &config.receivers {
        let labels = receiver.path_labels();
        let up = |label: &String| stat["paths"][&receiver.name][label]["up"].as_bool();
        count += labels.len();
        if labels.iter().all(|label| up(label) == Some(false)) {
            cut_off.push(receiver.name.clone());
            continue;
        }
        let of = |wished| labels.iter().filter(move |label| up(label) == wished);
        let told = |label: &String| format!("{} over {label}", receiver.name);
        lost.extend(of(Some(false)).map(told));
        unknown.extend(of(None).map(told));
    }
    let mut found = Vec::new();
    let mut say = |what: &str, names: &[String], then: &str| {
        if !names.is_empty() {
            found.push(format!("{what}: {}{then}", names.join(", ")));
        }
    };
    say("not reached", &cut_off, "; alarms wait for them");
    say("lost", &lost, "; the receiver's other paths carry its alarms: have it mended");
    say("not heard yet", &unknown, "");
    let light = match (cut_off.is_empty(), found.is_empty()) {
        (false, _) => Light::Red,
        (true, false) => Light::Yellow,
        (true, true) => Light::Green,
    };
    if found.is_empty() {
        found.push(format!("{count} to {} receivers answer their heartbeats", config.receivers.len()));
    }
    Line { part: "paths", light, found: found.join(". ") }
}

fn connections(stat: &Value) -> Line {
    let count = |name: &str| stat["connections"][name].as_u64().unwrap_or_default();
    let (now, most, full, unknown) =
        (count("now"), count("most"), count("turned_away_full"), count("turned_away_unknown"));
    let (light, found) = if stat["connections"]["is_full"] == Value::Bool(true) {
        (Light::Red, format!("{now} of {most} devices connected, {full} turned away; divide them between two gateways"))
    } else if full > 0 {
        (Light::Yellow, format!("{now} of {most} devices connected, {full} turned away since the start"))
    } else if unknown > 0 {
        let advice = "look for a machine on the network that keeps calling";
        (
            Light::Yellow,
            format!("{now} devices connected; {unknown} connections closed before they said who they are; {advice}"),
        )
    } else {
        (Light::Green, format!("{now} devices connected, {most} may be"))
    };
    Line { part: "connections", light, found }
}

fn owed(stat: &Value) -> Line {
    let owed = stat["notices_owed"].as_u64().unwrap_or_default();
    let open = stat["alarms_open"].as_u64().unwrap_or_default();
    let light = if owed > 0 { Light::Red } else { Light::Green };
    Line { part: "alarms", light, found: format!("{open} open, {owed} notices that no receiver has accepted") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{PathConfig, ReceiverConfig, ReceiverKind};

    fn config() -> Config {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("vaka.toml");
        std::fs::write(&file, "[gateway]\nid = \"gw-1\"\n[ingest]\nlisten = \"127.0.0.1:1\"\n").expect("written");
        let (mut config, _) = Config::load(&file).expect("a config");
        let way = |name: &str| PathConfig { name: name.into(), ..PathConfig::default() };
        config.receivers = vec![
            ReceiverConfig {
                paths: vec![way("fibre"), way("mobile")],
                ..ReceiverConfig::new("arc", ReceiverKind::Scaip, "sips:arc")
            },
            ReceiverConfig::new("plain", ReceiverKind::Scaip, "sips:plain"),
        ];
        config
    }

    fn light(fibre: Option<bool>, mobile: Option<bool>, plain: Option<bool>) -> (Light, String) {
        let word = |up: Option<bool>| up.map_or(Value::Null, |up| serde_json::json!({"up": up}));
        let arc = serde_json::json!({"fibre sips:arc": word(fibre), "mobile sips:arc": word(mobile)});
        let stat = serde_json::json!({"paths": {"arc": arc, "plain": {"sips:plain": word(plain)}}});
        let line = paths(&config(), &stat);
        (line.light, line.found)
    }

    #[test]
    fn paths_are_green_when_all_are_up_yellow_when_another_carries_on_and_red_when_a_receiver_is_cut_off() {
        let (up, down) = (Some(true), Some(false));
        assert_eq!(light(up, up, up), (Light::Green, "3 to 2 receivers answer their heartbeats".into()));
        let (colour, found) = light(up, down, up);
        assert!(colour == Light::Yellow && found.contains("arc over mobile sips:arc"), "{found}");
        assert_eq!(light(down, up, up).0, Light::Yellow);
        assert_eq!(light(up, None, up).0, Light::Yellow);
        assert_eq!(light(down, None, up).0, Light::Yellow, "the second may still work");
        let (colour, found) = light(down, down, up);
        assert!(colour == Light::Red && found.starts_with("not reached: arc;"), "{found}");
        assert_eq!(light(up, up, down).0, Light::Red, "the one path of a receiver");
        assert_eq!(light(None, None, None).0, Light::Yellow);
    }
}
