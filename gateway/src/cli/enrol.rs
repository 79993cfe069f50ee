//! `vaka device invite|invites|enrol`: one-time codes.
//!
//! A code is shown here, to whoever asked for it, and nowhere else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::json;
use vaka_protocol::DeviceId;

use super::init::failure;
use super::{Exit, Failure, colour, duration, local_time, print_json, print_line, print_warnings};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DeviceKind};
use crate::enrol::client::{self, Ask, EnrolError, Gateway};
use crate::limits;
use crate::provision::{self, AddDevice};

#[derive(Debug, Args)]
pub struct InviteArgs {
    /// The device's id: a-z, 0-9 and -
    pub id: DeviceId,
    /// What it is: pendant, fixed-trigger, bed-sensor, …
    #[arg(long)]
    pub kind: DeviceKind,
    /// Where it is
    #[arg(long)]
    pub room: Option<String>,
    /// Whose it is: an id, never a name
    #[arg(long)]
    pub resident: Option<String>,
    /// How long the code is good, such as 15m or 2h; at most 24h
    #[arg(long = "for", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub life: Duration,
    /// This gateway's name or address as devices see it [default: that of [enrol] listen, else the machine's name]
    #[arg(long)]
    pub host: Option<String>,
    /// One JSON object, with the code in it
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// HOST:PORT of [enrol] listen, or the text of the QR code
    #[arg(value_name = "HOST:PORT")]
    pub gateway: String,
    /// The one-time code; - reads it from standard input
    #[arg(long)]
    pub code: Option<String>,
    /// What this device is; without, whatever it was invited as
    #[arg(long)]
    pub kind: Option<DeviceKind>,
    /// Folder for key.pem, cert.pem and ca.pem
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[arg(long)]
    pub json: bool,
}

pub fn invite(args: InviteArgs, config_file: &Path) -> Result<Exit, Failure> {
    let attempt = "invite a device";
    let life_ms = u64::try_from(args.life.as_millis()).unwrap_or(u64::MAX);
    if !(limits::INVITATION_MS_MIN..=limits::INVITATION_MS_MAX).contains(&life_ms) {
        return Err(Failure::new(Exit::Usage, attempt, "a code lives from 1s to 24h", "give another --for"));
    }
    let wish =
        AddDevice { id: args.id, kind: args.kind, room: args.room, resident: args.resident, via: None, out: None };
    let invited = provision::invite(config_file, &wish, life_ms, SystemClock::new().now())
        .map_err(|error| failure(attempt, error))?;
    print_warnings(&invited.expected.warnings);
    let code = invited.code.text();
    let place = invited.place(args.host.as_deref());
    let url = invited.url(args.host.as_deref());
    let invitation = &invited.invitation;
    if args.json {
        print_json(&json!({
            "id": wish.id, "kind": wish.kind, "code": code.as_str(), "url": url, "expires_at": invitation.expires_at,
            "new": invited.expected.new, "cancelled": invited.cancelled, "told": invited.expected.told,
        }))?;
        return Ok(Exit::Ok);
    }
    let id = &wish.id;
    if let Some(qr) = url.as_deref().and_then(qr) {
        print_line(&qr)?;
    }
    print_line(&format!("{id}: code {code}"))?;
    let (config, _) = Config::load(config_file).map_err(|error| Failure::config(&error))?;
    let until = local_time(invitation.expires_at, &config.gateway.time_zone);
    print_line(&format!("{id}: good once, for a {}, until {until}; it is kept nowhere", wish.kind))?;
    match &place {
        Some(place) => print_line(&format!("{id}: on the device: vaka device enrol {place} --code CODE --out DIR"))?,
        None => print_line(
            "nothing listens for it: put [enrol] with listen = \"ADDRESS:8884\" into vaka.toml and start the gateway anew",
        )?,
    }
    if invited.cancelled > 0 {
        print_line(&format!("{id}: the code made before is no longer good"))?;
    }
    print_line(&invited.expected.told.to_string())?;
    Ok(Exit::Ok)
}

/// Two rows of it in each line of text, with its quiet zone: black on white where the terminal has colours, else for a dark one.
/// `None` where the text is too long for one.
fn qr(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (on, off) = colour(&std::io::stdout(), "30;107");
    let (dark, light) =
        if on.is_empty() { (Dense1x2::Light, Dense1x2::Dark) } else { (Dense1x2::Dark, Dense1x2::Light) };
    let drawn = code.render::<Dense1x2>().dark_color(dark).light_color(light).build();
    Some(drawn.lines().map(|line| format!("{on}{line}{off}")).collect::<Vec<_>>().join("\n"))
}

pub fn invites(config_file: &Path, json: bool) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config_file).map_err(|error| Failure::config(&error))?;
    let (rows, warnings) = provision::invites(&config).map_err(|error| failure("read the invitations", error))?;
    print_warnings(&warnings);
    let now = SystemClock::new().now();
    let missing = provision::never_came(&config, now).map_err(|error| failure("read the invitations", error))?;
    if !json {
        print_line(&format!("{:<32} {:<16} {:<10} {:<16} {}", "ID", "KIND", "STATE", "UNTIL", "WRONG PROOFS"))?;
    }
    for row in &rows {
        let state = row.state(now);
        if json {
            print_json(&json!({
                "id": row.id, "kind": row.kind, "state": state, "invited_at": row.invited_at, "expires_at": row.expires_at,
                "failed": row.failed, "used_at": row.used_at, "enrolment": row.enrolment, "never_came": missing.contains(&row.id),
            }))?;
        } else {
            let until = local_time(row.expires_at, &config.gateway.time_zone);
            let kind = row.kind.as_str();
            print_line(&format!("{:<32} {kind:<16} {:<10} {until:<16} {}", row.id, state.as_str(), row.failed))?;
        }
    }
    if !json {
        for id in &missing {
            print_line(&format!(
                "{id} never came and still stands in vaka.toml: a new code (vaka device invite {id} --kind KIND), or vaka device remove {id}"
            ))?;
        }
    }
    Ok(Exit::Ok)
}

pub fn enrol(args: EnrolArgs) -> Result<Exit, Failure> {
    let attempt = "enrol this device";
    let failed = |error: EnrolError| {
        let exit = match &error {
            EnrolError::Files(_) => Exit::Disk,
            EnrolError::Key(_) => Exit::Internal,
            EnrolError::Refused(_) | EnrolError::OtherKey | EnrolError::Connect(..) | EnrolError::Speak(..) => {
                Exit::FoundWrong
            }
            EnrolError::Tls(..) | EnrolError::NoDoor(_) | EnrolError::Answer(..) => Exit::FoundWrong,
            _ => Exit::Usage,
        };
        Failure::new(exit, attempt, error, "")
    };
    let code = match args.code.as_deref() {
        Some("-") => {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.map_err(|error| Failure::new(Exit::Usage, attempt, format!("reading the code: {error}"), ""))?;
            Some(line)
        }
        given => given.map(str::to_owned),
    };
    let gateway = Gateway::read(&args.gateway, code.as_deref()).map_err(failed)?;
    let enrolled = client::enrol(&Ask { gateway, kind: args.kind, out: args.out }).map_err(failed)?;
    if args.json {
        print_json(&enrolled)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!("enrolled as {}: key.pem cert.pem ca.pem in {}", enrolled.id, enrolled.out.display()))?;
    print_line(&format!("MQTT over TLS: {} port {}", enrolled.host, enrolled.port))?;
    Ok(Exit::Ok)
}
