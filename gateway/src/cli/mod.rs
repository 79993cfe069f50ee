//! The command line: words in, words out. Every command is a thin layer over a module that knows nothing of terminals.
//!
//! Enters: arguments. Leaves: text or JSON on stdout, `vaka: <attempt>: <cause>` with its fix on stderr, an [`Exit`].

pub mod alarm;
pub mod backup;
pub mod camera;
pub mod check;
mod check_cameras;
pub mod check_config;
mod check_devices;
mod check_plain;
mod check_updates;
mod clock;
pub mod device;
pub mod dose;
pub mod enrol;
pub mod erase;
mod firmware;
pub mod identity;
pub mod incident;
pub mod init;
pub mod journal;
pub mod launch;
pub mod order;
pub mod owner;
pub mod people;
pub mod rehearse;
pub mod release;
mod release_devices;
mod release_verify;
pub mod report;
pub mod resident;
pub mod round;
pub mod run;
mod stopped;
pub mod takeout;
pub mod update;
pub mod visit;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigError, Warning};
use crate::demo::street::HOMES_MAX;
use crate::journal::record::CloseOutcome;

/// The gateway in a care recipient's home: every event on disk before it is acknowledged, every alarm taken to a person.
#[derive(Debug, Parser)]
#[command(name = "vaka", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start here:\n  vaka demo                                  see all of it on this machine\n  vaka init home                             make a home\n  vaka device add p1 --kind pendant --out p1 --config home/vaka.toml\n  vaka run --config home/vaka.toml\n\nExit: 0 ok, 1 found wrong, 64 usage or configuration, 70 internal, 74 disk."
)]
pub struct Cli {
    /// The home's vaka.toml [default: $VAKA_CONFIG, else ./vaka.toml, else the installed home's]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play an evening, or a municipality, on this machine: gateways, alarm centre and devices, all on loopback
    #[command(
        after_help = "Examples:\n  vaka demo\n  vaka demo --headless --for 30s --json\n  vaka demo --homes 12                 a hub and twelve homes\n  vaka demo --homes 3 --for 3m         long enough for a silent home to be told\n  vaka demo --replay events.jsonl"
    )]
    Demo(DemoArgs),
    /// Make a home: its authorities, identity, vaka.toml and an empty journal
    #[command(after_help = "Example:\n  vaka init home --controller-id 10149471")]
    Init(init::InitArgs),
    /// Run the gateway
    #[command(
        after_help = "SIGHUP reloads vaka.toml (all or nothing); SIGTERM ends.\nExample:\n  vaka run --config home/vaka.toml"
    )]
    Run(RunArgs),
    /// Start the newest version that has proven itself, or try the one that waits for it: what the service runs
    #[command(
        after_help = "It stays the packaged program's, and never changes by an update. A new version has 180 s ($VAKA_TRIAL_S) to have a test alarm of its own accepted; else, or after three ends before that, the version before it runs again.\nExample:\n  vaka launch --config home/vaka.toml"
    )]
    Launch(RunArgs),
    /// New versions of this program: how they stand, take one, go back
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// For whoever publishes versions: keys, and a release to be put on a web server
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// Add, list, show and remove devices
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// The cameras: what the last check found, a check now, a new view accepted
    #[command(subcommand)]
    Camera(camera::CameraCommand),
    /// The gateway's own certificate towards receivers and hubs
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// List alarms, take one, close one
    #[command(subcommand)]
    Alarm(AlarmCommand),
    /// Who may log in to the board
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// What a resident is told of the equipment
    #[command(subcommand)]
    Resident(resident::ResidentCommand),
    /// Have a device do something: the door, words to the resident, settings
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// List the doses, release one that is locked
    #[command(subcommand)]
    Dose(DoseCommand),
    /// Tonight's round: what is due, done and missed; sign for what you did
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  vaka round\n  vaka round --date 2026-11-22 --json\n  vaka round sign visit r1 03:00 --by anna\n  vaka round sign dose r1 evening --by anna"
    )]
    Round(round::RoundArgs),
    /// Look into the journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// What this agreement would have decided on recorded days: the rules on a file, in seconds
    #[command(
        after_help = "Devices of the recording that vaka.toml does not name are added by the words of their names.\nExamples:\n  vaka journal export > november.jsonl\n  vaka rehearse november.jsonl --config proposed.toml"
    )]
    Rehearse(rehearse::RehearseArgs),
    /// Figures of a span of days, as one page to take to a board
    #[command(
        after_help = "The page is one HTML file with its pictures in it: no script, nothing from elsewhere; ids, no names.\nExample:\n  vaka report --from 2026-11-01 --to 2026-11-30 --out november.html"
    )]
    Report(report::ReportArgs),
    /// A technician's visit: every device tried through to a receiver before anybody goes
    #[command(
        subcommand,
        after_help = "Example of a visit:\n  vaka visit start --by ture\n  vaka visit arm p1                    then press p1\n  vaka visit seen p1                   its light or sound\n  vaka visit measured p1 --signal-dbm -71\n  vaka visit status\n  vaka visit finish --out protocols"
    )]
    Visit(visit::VisitCommand),
    /// The whole home as one file, sealed to the municipality's key; also while the gateway runs
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        after_help = "Examples:\n  vaka backup --to /media/usb/gw-0042.age\n  vaka backup --to gw-0042.age --recipient age1...\n  vaka backup --to gw-0042.age --retire        this box is being replaced\n  vaka backup check gw-0042.age --identity key.txt\n  vaka backup key --to key.txt                 at the office\nExit 1: the backup is written, and what is not in it and may be missed is named."
    )]
    Backup(backup::BackupArgs),
    /// Make a home of a backup, on a new box
    #[command(
        after_help = "The authorities, devices, agreements and records are the old box's; keys and record numbers are new.\nExample:\n  vaka restore gw-0042.age --identity key.txt --to /var/lib/vaka/home"
    )]
    Restore(backup::RestoreArgs),
    /// Everything that is kept, in open formats: JSON lines with schemas, CSV
    #[command(after_help = "Examples:\n  vaka export --to out\n  vaka export --to out --resident r1")]
    Export(takeout::ExportArgs),
    /// What happened around one alarm, as one file to send; without names
    #[command(after_help = "Example:\n  vaka incident 4f2a --to incident.tar && tar xf incident.tar")]
    Incident(incident::IncidentArgs),
    /// What the journal keeps, by kind and lane, since when, and about when it goes
    Retention(takeout::RetentionArgs),
    /// The end of this home: keys and personal data overwritten and removed
    #[command(
        after_help = "A backup is not touched by it. Flash keeps worn blocks: see deploy/DATA.md.\nExample:\n  vaka erase --everything"
    )]
    Erase(erase::EraseArgs),
    /// The doctor: is every part, and every device, fit for its work?
    #[command(
        after_help = "Exit 1 if something is wrong. Works on a gateway that does not start.\nExamples:\n  vaka check\n  vaka check --plain --lang en        for staff\n  vaka check --json"
    )]
    Check(CheckArgs),
    /// Read a vaka.toml and say what is wrong with it
    #[command(
        after_help = "Exit 0 if it can be used (warnings are shown), 64 if not.\nExample:\n  vaka check-config home/vaka.toml"
    )]
    CheckConfig(check_config::CheckConfigArgs),
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// No pauses for a reader
    #[arg(long)]
    pub headless: bool,
    /// How long the evening lasts, such as 30s or 2m
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// JSON lines; the last one is the summary
    #[arg(long)]
    pub json: bool,
    /// Feed recorded events in place of the evening, as fast as they are acknowledged. JSON lines: a home's log
    /// ({"t","sensor","on"}), Zigbee2MQTT ({"topic","payload"}) or `vaka journal export`
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// A municipality in place of the evening: a hub and so many homes (1 to 50), each a process of its own, all of
    /// them pressing at once, and each part broken in turn. Some 4 MiB of memory and 3 MiB of disk for each home
    #[arg(long, value_name = "N", conflicts_with = "replay", value_parser = clap::value_parser!(u8).range(1..=i64::from(HOMES_MAX)))]
    pub homes: Option<u8>,
    /// Keep the temporary home and say where it is
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Args)]
pub struct RunArgs {}

#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// Open alarms, newest first
    #[command(after_help = "Example:\n  vaka alarm list --json")]
    List {
        /// Closed ones too
        #[arg(long)]
        all: bool,
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// One alarm with every rung, its time and path
    Show {
        id: String,
        #[arg(long)]
        json: bool,
    },
    /// Say that a person takes it
    #[command(after_help = "Example:\n  vaka alarm claim 4f2a --by anna")]
    Claim {
        id: String,
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Take it over from whoever has it
        #[arg(long, value_name = "NAME")]
        from: Option<String>,
    },
    /// Give it back: it is open again, and told to the receivers again
    #[command(after_help = "Example:\n  vaka alarm hand-over 4f2a --by anna --to bo --note \"bo is on the way\"")]
    HandOver {
        id: String,
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// To whom [default: everybody]
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Ask for more help: open again, and told to every receiver at once
    #[command(after_help = "Example:\n  vaka alarm escalate 4f2a --by anna --note \"not breathing well\"")]
    Escalate {
        id: String,
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Say that it is over; only a person can
    #[command(after_help = "Example:\n  vaka alarm close 4f2a --by anna --outcome helped --note \"helped up, unhurt\"")]
    Close {
        id: String,
        /// Who [default: the user name]
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// What it came to; `vaka report` counts them
        #[arg(long, value_parser = CloseOutcome::ALL.map(CloseOutcome::as_str))]
        outcome: Option<String>,
        /// What was found and done
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum DoseCommand {
    /// The doses planned around today, and what became of those of the last week
    #[command(after_help = "Example:\n  vaka dose list --json")]
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Release a dose that is locked; only a person can
    #[command(
        after_help = "It is recorded who did. Where the dispenser is sure to hold the dose still, it may give it out again for as long as its grace.\nExample:\n  vaka dose release r1 morning --by anna --note \"spoke with the nurse\""
    )]
    Release {
        resident: String,
        slot: String,
        /// Which day's [default: the newest that is locked]
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why, and what was agreed
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Sizes, sequence numbers, what is kept
    Stat {
        #[arg(long)]
        json: bool,
    },
    /// Read every record and check it; exit 1 if one is damaged
    Verify {
        #[arg(long)]
        json: bool,
    },
    /// The last records
    #[command(after_help = "Example:\n  vaka journal tail -n 50 --follow")]
    Tail {
        /// How many
        #[arg(short, value_name = "N", default_value_t = 20)]
        n: usize,
        /// Go on as records come
        #[arg(long)]
        follow: bool,
    },
    /// A JSON line per record
    #[command(after_help = "Example:\n  vaka journal export --from 1000 > events.jsonl")]
    Export {
        /// First sequence number
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        from: u64,
        /// Of records that were put aside when their keys were lost (journal/unread-N), once these are back
        #[arg(long, value_name = "N")]
        aside: Option<u32>,
    },
    /// Seal the records of a version that kept them in clear, once, with the gateway stopped; earlier versions cannot read them then
    Seal {
        #[arg(long)]
        json: bool,
    },
    /// Make the index again from the records
    Rebuild {
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[arg(long)]
    pub json: bool,
    /// Plain words for staff, the worst first
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
    /// sv or en, of the plain words [default: the gateway's language]
    #[arg(long, value_name = "LANG", value_parser = language)]
    pub lang: Option<crate::config::Language>,
}

fn language(word: &str) -> Result<crate::config::Language, String> {
    match word {
        "sv" => Ok(crate::config::Language::Sv),
        "en" => Ok(crate::config::Language::En),
        _ => Err(format!("`{word}` is not spoken here; write sv or en")),
    }
}

/// `30s`, `2m`, `1h 5m`.
pub(crate) fn duration(word: &str) -> Result<Duration, String> {
    let wrong = || format!("`{word}` is no duration; write 30s or 2m");
    let span: jiff::SignedDuration = word.parse().map_err(|_| wrong())?;
    Duration::try_from(span).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

/// How a command ends (DESIGN §5; 64, 70 and 74 are sysexits.h's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    /// It worked, and what it looked at is wrong.
    FoundWrong = 1,
    /// Arguments or configuration.
    Usage = 64,
    Internal = 70,
    Disk = 74,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A command that could not do its work. Printed as `vaka: <attempt>: <cause>` and a line with the fix.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub attempt: String,
    pub cause: String,
    /// Empty where the cause says it already.
    pub fix: String,
}

impl Failure {
    pub fn new(exit: Exit, attempt: impl Into<String>, cause: impl fmt::Display, fix: impl Into<String>) -> Failure {
        Failure { exit, attempt: attempt.into(), cause: cause.to_string(), fix: fix.into() }
    }

    /// A configuration that cannot be used.
    pub fn config(error: &ConfigError) -> Failure {
        Failure::new(Exit::Usage, "read the configuration", error, "")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Several causes stand one to a line, each with the attempt, so that a search for "vaka:" finds all.
        for (at, cause) in self.cause.lines().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}vaka: {}: {cause}", self.attempt)?;
        }
        if self.fix.is_empty() { Ok(()) } else { write!(f, "\n      fix: {}", self.fix) }
    }
}

/// Prints warnings on stderr, yellow on a terminal.
pub fn print_warnings(warnings: &[Warning]) {
    let (on, off) = colour(&std::io::stderr(), "33;1");
    for warning in warnings {
        eprintln!("{on}vaka: warning:{off} {warning}");
    }
}

/// Prints why a command failed on stderr, red on a terminal.
pub fn print_failure(failure: &Failure) {
    let (on, off) = colour(&std::io::stderr(), "31");
    eprintln!("{on}{failure}{off}");
}

/// Codes that switch `sgr` on and off, empty unless `stream` is a terminal and NO_COLOR is unset.
pub fn colour(stream: &impl IsTerminal, sgr: &str) -> (String, &'static str) {
    let wanted = stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted { (format!("\x1b[{sgr}m"), "\x1b[0m") } else { (String::new(), "") }
}

/// One fact as a JSON line on stdout.
pub fn print_json(fact: &impl serde::Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(fact).map_err(|error| Failure::new(Exit::Internal, "print JSON", error, ""))?;
    print_line(&line)
}

/// One line on stdout. A reader that has gone (`| head`) is not a failure of ours: the command ends quietly.
pub fn print_line(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        Err(error) => Err(Failure::new(Exit::Disk, "print", error, "")),
        Ok(()) => Ok(()),
    }
}

/// The local time of `ms` (UTC milliseconds) in the resident's zone, to the minute.
pub fn local_time(ms: i64, zone: &jiff::tz::TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "?".to_owned(),
    }
}
