//! `vaka visit`: a technician's visit, step by step, asked of the running gateway; and the protocol that it ends with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;
use vaka_protocol::DeviceId;

use super::{Exit, Failure, colour, language, local_time, print_json, print_line};
use crate::config::{Config, Language};
use crate::pipeline::control::{self, Request};
use crate::pipeline::visits::Wish;
use crate::{notice, visit};

#[derive(Debug, Subcommand)]
pub enum VisitCommand {
    /// Begin: from now on every device has to show that it works
    #[command(after_help = "Example:\n  vaka visit start --by ture")]
    Start {
        /// Who: a staff id or a name
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Arm the test of one device: its next press, within 5 minutes, is a test; every other stays real
    #[command(
        after_help = "One device at a time, one press. A second press, another device, or later: a real alarm.\nA device that only tells (kind feedback) is told to light and sound.\nExample:\n  vaka visit arm p1"
    )]
    Arm {
        device: DeviceId,
        /// Who [default: whoever began the visit]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// What was measured at the device's place
    #[command(
        after_help = "The worst counts. Devices that measure by themselves need none of it.\nExamples:\n  vaka visit measured p1 --signal-dbm -71\n  vaka visit measured lamp --wired --no-battery"
    )]
    Measured {
        device: DeviceId,
        /// Received strength, dBm
        #[arg(long, value_name = "DBM", allow_hyphen_values = true)]
        signal_dbm: Option<i16>,
        /// It has no radio
        #[arg(long, conflicts_with = "signal_dbm")]
        wired: bool,
        /// Charge, read by hand
        #[arg(long, value_name = "PERCENT")]
        battery_percent: Option<u8>,
        /// It has no battery
        #[arg(long, conflicts_with = "battery_percent")]
        no_battery: bool,
        /// Who [default: whoever began the visit]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Light or sound was seen or heard at the device
    Seen {
        device: DeviceId,
        /// Who [default: whoever began the visit]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Every line, green or red, and what is missing
    #[command(after_help = "Exit 1 as long as a line is red.\nExample:\n  vaka visit status --json")]
    Status {
        #[arg(long)]
        json: bool,
        /// sv or en [default: the gateway's language]
        #[arg(long, value_name = "LANG", value_parser = language)]
        lang: Option<Language>,
    },
    /// Give a red line to somebody: a technical alarm that stays open until a person closes it
    #[command(
        after_help = "Example:\n  vaka visit hand-over p2/press --reason \"the resident is away with it\" --to \"ulla, 26 November\""
    )]
    HandOver {
        /// As `vaka visit status` names it
        line: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who sees to it
        #[arg(long, value_name = "WHO")]
        to: String,
        /// Who [default: whoever began the visit]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// End the visit and write its protocol; refused while a line is red
    #[command(after_help = "Exit 1 where a line is red: each is named.\nExample:\n  vaka visit finish")]
    Finish {
        /// Folder for the page and the signed file [default: `protocols` in the home]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Who [default: whoever began the visit]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// sv or en, of the page [default: the gateway's language]
        #[arg(long, value_name = "LANG", value_parser = language)]
        lang: Option<Language>,
    },
    /// Write the protocol of the last finished visit again
    Protocol {
        /// Folder for the page and the signed file [default: `protocols` in the home]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[arg(long, value_name = "LANG", value_parser = language)]
        lang: Option<Language>,
    },
    /// Is this protocol as a gateway of this home signed it?
    #[command(
        after_help = "Exit 1 if not.\nExample:\n  vaka visit verify visit-gw-1-20261122-1043.json --ca device-ca.pem"
    )]
    Verify {
        file: PathBuf,
        /// The authority that certifies the gateway [default: this home's pki/device-ca.pem]
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
}

pub fn run(command: VisitCommand, config: &Path) -> Result<Exit, Failure> {
    if let VisitCommand::Verify { file, ca } = command {
        return verify(&file, ca, config);
    }
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        VisitCommand::Start { by } => {
            let status = ask(&config, "begin a visit", Wish::Start { by })?;
            print_status(&config, &status, config.gateway.language)
        }
        VisitCommand::Arm { device, by } => {
            let status = ask(&config, &format!("arm the test of {device}"), Wish::Arm { device: device.clone(), by })?;
            print_line(&armed(&status, &device, config.gateway.language))?;
            Ok(Exit::Ok)
        }
        VisitCommand::Measured { device, signal_dbm, wired, battery_percent, no_battery, by } => {
            let attempt = format!("note what was measured of {device}");
            let wish = Wish::Measured { device: device.clone(), by, signal_dbm, wired, battery_percent, no_battery };
            let status = ask(&config, &attempt, wish)?;
            print_lines_of(&status, &device, config.gateway.language)
        }
        VisitCommand::Seen { device, by } => {
            let attempt = format!("note what was seen at {device}");
            let status = ask(&config, &attempt, Wish::Seen { device: device.clone(), by })?;
            print_lines_of(&status, &device, config.gateway.language)
        }
        VisitCommand::Status { json, lang } => {
            let status = ask(&config, "show the visit", Wish::Status)?;
            if json {
                print_json(&status)?;
                let is_red = status["open"].is_object() && status["red"].as_u64() != Some(0);
                return Ok(if is_red { Exit::FoundWrong } else { Exit::Ok });
            }
            print_status(&config, &status, lang.unwrap_or(config.gateway.language))
        }
        VisitCommand::HandOver { line, reason, to, by } => {
            let attempt = format!("hand over {line}");
            let status = ask(&config, &attempt, Wish::HandOver { line: line.clone(), reason, to, by })?;
            let handed = lines(&status).find(|row| row["line"] == line.as_str());
            handed.map_or(Ok(()), |row| print_row(row, config.gateway.language))?;
            Ok(Exit::Ok)
        }
        VisitCommand::Finish { out, by, lang } => {
            ask(&config, "finish the visit", Wish::Finish { by })?;
            write_protocol(&config, out, lang)
        }
        VisitCommand::Protocol { out, lang } => write_protocol(&config, out, lang),
        VisitCommand::Verify { .. } => Ok(Exit::Internal),
    }
}

fn ask(config: &Config, attempt: &str, wish: Wish) -> Result<Value, Failure> {
    let answer = control::request(&config.journal.dir, &Request::Visit { wish }).ok_or_else(|| {
        let fix = super::owner::start_it(config, "run");
        Failure::new(Exit::FoundWrong, attempt, "the gateway does not run, and a visit tries what runs", fix)
    })?;
    answer.map_err(|why| Failure::new(Exit::FoundWrong, attempt, why, ""))
}

fn lines(status: &Value) -> impl Iterator<Item = &Value> {
    status["lines"].as_array().into_iter().flatten()
}

fn armed(status: &Value, device: &DeviceId, language: Language) -> String {
    let armed = &status["open"]["armed"];
    if armed["device"] != device.as_str() {
        return notice::say(
            language,
            format!("{device} är tillsagd att lysa och låta. Titta och lyssna: vaka visit seen {device}"),
            format!("{device} is told to light and sound. Look and listen: vaka visit seen {device}"),
        );
    }
    let left_s = armed["left_s"].as_u64().unwrap_or_default();
    let connected = match armed["connected"] == true {
        true => String::new(),
        false => notice::say(
            language,
            " Enheten är inte ansluten: trycket räknas bara om den anger egen tid, annars blir det ett riktigt larm.",
            " It is not connected: its press counts only if it tells its own time, else it is a real alarm.",
        ),
    };
    notice::say(
        language,
        format!("Provet är på för {device} i {left_s} s. Ett tryck är ett prov; nästa är på riktigt.{connected}"),
        format!("The test of {device} is armed for {left_s} s. One press is a test; the next is real.{connected}"),
    )
}

fn print_row(row: &Value, language: Language) -> Result<(), Failure> {
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let given = &row["handed_over"];
    let (sgr, sv, en) = match (text("light"), given.is_object()) {
        ("red", true) => ("33", "given ", "given "),
        ("red", false) => ("31;1", "RÖD   ", "RED   "),
        ("yellow", _) => ("33;1", "GUL   ", "YELLOW"),
        _ => ("32", "grön  ", "green "),
    };
    let (on, off) = colour(&std::io::stdout(), sgr);
    let word = notice::say(language, if text("light") == "red" && given.is_object() { "lämnad" } else { sv }, en);
    let found = text(if language == Language::Sv { "sv" } else { "en" });
    let tail = match given["to"].as_str() {
        Some(to) => {
            format!(" ({} {to}: {})", notice::say(language, "till", "to"), given["reason"].as_str().unwrap_or(""))
        }
        None => row["command"].as_str().map(|command| format!(" ({command})")).unwrap_or_default(),
    };
    print_line(&format!("{on}{word}{off}  {:<18} {found}{tail}", text("line")))
}

fn print_lines_of(status: &Value, device: &DeviceId, language: Language) -> Result<Exit, Failure> {
    for row in lines(status).filter(|row| row["device"] == device.as_str()) {
        print_row(row, language)?;
    }
    Ok(Exit::Ok)
}

fn print_status(config: &Config, status: &Value, language: Language) -> Result<Exit, Failure> {
    let open = &status["open"];
    if !open.is_object() {
        print_line(&notice::say(
            language,
            "Inget besök pågår. Börja: vaka visit start --by NAMN",
            "No visit is under way. Begin one: vaka visit start --by NAME",
        ))?;
        return Ok(Exit::Ok);
    }
    let (by, at) = (open["by"].as_str().unwrap_or_default(), open["started_at"].as_i64().unwrap_or_default());
    let at = local_time(at, &config.gateway.time_zone);
    print_line(&notice::say(language, format!("Besök av {by} sedan {at}"), format!("Visit by {by} since {at}")))?;
    for row in lines(status) {
        print_row(row, language)?;
    }
    if let Some(device) = open["armed"]["device"].as_str().and_then(|id| DeviceId::try_from(id).ok()) {
        print_line(&armed(status, &device, language))?;
    }
    let red = status["red"].as_u64().unwrap_or_default();
    if red == 0 {
        let given = lines(status).any(|row| row["light"] == "red");
        let (sv, en) = match given {
            true => ("Det som inte är klart är överlämnat.", "What is not in order has been handed over."),
            false => ("Allt är klart.", "All is in order."),
        };
        print_line(&notice::say(
            language,
            format!("{sv} Avsluta: vaka visit finish --out MAPP"),
            format!("{en} Finish: vaka visit finish --out DIR"),
        ))?;
        return Ok(Exit::Ok);
    }
    print_line(&notice::say(
        language,
        format!("{red} rader är röda. Ordna dem, eller lämna över: vaka visit hand-over RAD --reason SKÄL --to VEM"),
        format!("{red} lines are red. Put them right, or: vaka visit hand-over LINE --reason TEXT --to WHO"),
    ))?;
    Ok(Exit::FoundWrong)
}

/// The page, and the same signed.
fn write_protocol(config: &Config, out: Option<PathBuf>, lang: Option<Language>) -> Result<Exit, Failure> {
    let out = out.unwrap_or_else(|| config.home.join("protocols"));
    let attempt = "write the protocol";
    let again = "the visit is finished all the same; then: vaka visit protocol --out DIR";
    let protocol = ask(config, attempt, Wish::Protocol)?;
    let made = visit::files(config, &protocol, lang.unwrap_or(config.gateway.language))
        .map_err(|e| Failure::new(Exit::FoundWrong, attempt, e, again))?;
    let disk = |e: std::io::Error| Failure::new(Exit::Disk, format!("write to {}", out.display()), e, again);
    std::fs::create_dir_all(&out).map_err(disk)?;
    let file = |end: &str| out.join(format!("{}.{end}", made.name));
    let (html, json) = (file("html"), file("json"));
    std::fs::write(&html, made.page).map_err(disk)?;
    std::fs::write(&json, made.signed).map_err(disk)?;
    print_line(&html.display().to_string())?;
    print_line(&json.display().to_string())?;
    Ok(Exit::Ok)
}

fn verify(file: &Path, ca: Option<PathBuf>, config: &Path) -> Result<Exit, Failure> {
    let attempt = format!("verify {}", file.display());
    let ca = match ca {
        Some(ca) => ca,
        None => Config::load(config)
            .map_err(|e| Failure::new(Exit::Usage, &*attempt, e, "name the authority: --ca device-ca.pem"))?
            .0
            .pki()
            .device_ca(),
    };
    let bytes = std::fs::read(file).map_err(|e| Failure::new(Exit::Disk, &*attempt, e, ""))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|e| Failure::new(Exit::FoundWrong, &*attempt, e, "it is not a signed protocol"))?;
    let found = visit::verify(&value, &ca).map_err(|why| Failure::new(Exit::FoundWrong, &*attempt, why, ""))?;
    let at = jiff::Timestamp::from_millisecond(found.finished_at).unwrap_or_default();
    print_line(&format!(
        "as signed by gateway {} at {at:.0}, visit finished by {}\nsha256 {}",
        found.gateway, found.finished_by, found.digest
    ))?;
    Ok(Exit::Ok)
}
