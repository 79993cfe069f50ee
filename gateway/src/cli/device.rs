//! `vaka device add|list|show|remove`; with a one-time code: `invite|invites|enrol` (`cli::enrol`).

use std::path::{Path, PathBuf};

use clap::Subcommand;
use vaka_protocol::DeviceId;

use super::init::failure;
use super::{Exit, Failure, enrol, local_time, print_json, print_line, print_warnings};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DeviceKind, nearest};
use crate::provision::{self, AddDevice, Listed};

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Add a device and make its certificate; for one that is there already: its next certificate
    #[command(
        after_help = "Examples:\n  vaka device add p1 --kind pendant --out p1\n  vaka device add smoke-hall --kind smoke-detector --room hall --via zigbee --address 0x00158d0001"
    )]
    Add {
        /// The device's id: a-z, 0-9 and -
        id: DeviceId,
        /// What it is: pendant, fixed-trigger, bed-sensor, …
        #[arg(long)]
        kind: DeviceKind,
        /// Where it is
        #[arg(long)]
        room: Option<String>,
        /// Whose it is: an id, never a name
        #[arg(long)]
        resident: Option<String>,
        /// The bridge that speaks for it; then it gets no certificate
        #[arg(long, value_name = "BRIDGE", requires = "address")]
        via: Option<DeviceId>,
        /// Its name on the bridge
        #[arg(long, requires = "via")]
        address: Option<String>,
        /// Folder for cert.pem, key.pem and ca.pem
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Make a one-time code: the device makes its own key and comes for its certificate with it
    #[command(
        after_help = "The code is shown once and kept nowhere. [enrol] in vaka.toml says where the device comes.\nExamples:\n  vaka device invite p1 --kind pendant --room bedroom\n  vaka device invite p1 --kind pendant --for 2h --host 192.168.1.2"
    )]
    Invite(enrol::InviteArgs),
    /// Every one-time code: open, used, expired, cancelled or burnt
    Invites {
        /// A JSON line for each
        #[arg(long)]
        json: bool,
    },
    /// On the device: make a key, and fetch its certificate with a one-time code
    #[command(
        after_help = "Interrupted, do the same again: it asks with the same key.\nExamples:\n  vaka device enrol 192.168.1.2:8884 --code 7KQ2-MXP9-4TRD-H --out p1\n  vaka device enrol 'vaka://192.168.1.2:8884/?code=…&ca=…' --out p1\n  echo 7KQ2-MXP9-4TRD-H | vaka device enrol gw.local:8884 --code - --out p1"
    )]
    Enrol(enrol::EnrolArgs),
    /// Every device, and until when its certificate is good
    List {
        /// A JSON line per device
        #[arg(long)]
        json: bool,
    },
    /// One device with all its certificates
    Show {
        id: DeviceId,
        #[arg(long)]
        json: bool,
    },
    /// Firmware of the devices, one at a time: what runs, what waits and for what
    #[command(subcommand)]
    Update(super::firmware::FirmwareCommand),
    /// Revoke a device's certificates and take it out of vaka.toml
    #[command(
        after_help = "Examples:\n  vaka device remove p1\n  vaka device remove p1 --enrolment 1    only the first certificate; the device stays"
    )]
    Remove {
        id: DeviceId,
        /// Revoke this one certificate only
        #[arg(long, value_name = "N")]
        enrolment: Option<u32>,
        #[arg(long)]
        json: bool,
    },
}

/// Does `command` in the home of `config_file`.
pub fn run(command: DeviceCommand, config_file: &Path) -> Result<Exit, Failure> {
    match command {
        DeviceCommand::Add { id, kind, room, resident, via, address, out, json } => {
            let wish = AddDevice { id, kind, room, resident, via: via.zip(address), out };
            add(config_file, &wish, json)
        }
        DeviceCommand::Invite(args) => enrol::invite(args, config_file),
        DeviceCommand::Invites { json } => enrol::invites(config_file, json),
        DeviceCommand::Enrol(args) => enrol::enrol(args),
        DeviceCommand::List { json } => list(config_file, json),
        DeviceCommand::Show { id, json } => show(config_file, &id, json),
        DeviceCommand::Update(command) => super::firmware::run(command, config_file),
        DeviceCommand::Remove { id, enrolment, json } => remove(config_file, &id, enrolment, json),
    }
}

fn add(config_file: &Path, wish: &AddDevice, json: bool) -> Result<Exit, Failure> {
    let now_ms = SystemClock::new().now().wall_ms;
    let added = provision::add(config_file, wish, now_ms).map_err(|error| failure("add a device", error))?;
    print_warnings(&added.warnings);
    if json {
        print_json(&added)?;
        return Ok(Exit::Ok);
    }
    let id = &added.id;
    if added.new {
        print_line(&format!("{id}: a {} in {}", added.kind, config_file.display()))?;
    } else {
        print_line(&format!("{id}: was in {} already", config_file.display()))?;
    }
    if let (Some(row), Some(out)) = (&added.certificate, &added.out) {
        let until = local_time(row.not_after, &jiff::tz::TimeZone::UTC);
        print_line(&format!(
            "{id}: certificate {} until {until} UTC in {}: cert.pem key.pem ca.pem",
            row.enrolment,
            out.display()
        ))?;
    }
    for earlier in &added.earlier {
        print_line(&format!(
            "{id}: certificate {earlier} still works; when the new one is in place: vaka device remove {id} --enrolment {earlier}"
        ))?;
    }
    print_line(&added.told.to_string())?;
    Ok(Exit::Ok)
}

fn load(config_file: &Path) -> Result<(Config, Vec<Listed>), Failure> {
    let (config, _) = Config::load(config_file).map_err(|error| Failure::config(&error))?;
    let (listed, warnings) = provision::list(&config).map_err(|error| failure("read the devices", error))?;
    print_warnings(&warnings);
    Ok((config, listed))
}

fn list(config_file: &Path, json: bool) -> Result<Exit, Failure> {
    let (config, listed) = load(config_file)?;
    if json {
        listed.iter().try_for_each(print_json)?;
        return Ok(Exit::Ok);
    }
    print_line(&format!("{:<32} {:<16} {:<16} {}", "ID", "KIND", "ROOM", "CERTIFICATE UNTIL"))?;
    for row in &listed {
        let until = match (&row.device.via, row.not_after()) {
            (Some(bridge), _) => format!("via {bridge}"),
            (None, Some(ms)) => local_time(ms, &config.gateway.time_zone),
            (None, None) => "none in force: it cannot connect".to_owned(),
        };
        let room = row.device.room.as_deref().unwrap_or("-");
        print_line(&format!("{:<32} {:<16} {room:<16} {until}", row.device.id, row.device.kind.as_str()))?;
    }
    Ok(Exit::Ok)
}

fn show(config_file: &Path, id: &DeviceId, json: bool) -> Result<Exit, Failure> {
    let (config, listed) = load(config_file)?;
    let Some(row) = listed.iter().find(|row| row.device.id == *id) else {
        let near = nearest(id.as_ref(), listed.iter().map(|row| row.device.id.as_ref()));
        let fix = near.map_or("see `vaka device list`".to_owned(), |near| format!("did you mean `{near}`?"));
        let cause = format!("there is no device `{id}` in {}", config_file.display());
        return Err(Failure::new(Exit::Usage, "show a device", cause, fix));
    };
    if json {
        print_json(row)?;
        return Ok(Exit::Ok);
    }
    let device = &row.device;
    print_line(&format!("{}: {}", device.id, device.kind))?;
    for (key, text) in [("room", &device.room), ("resident", &device.resident), ("address", &device.address)] {
        if let Some(text) = text {
            print_line(&format!("  {key}: {text}"))?;
        }
    }
    if let Some(bridge) = &device.via {
        print_line(&format!("  via: {bridge}"))?;
    }
    for certificate in &row.certificates {
        let zone = &config.gateway.time_zone;
        let state = match (certificate.revoked_at, certificate.superseded_at) {
            (Some(ms), _) => format!("revoked {}", local_time(ms, zone)),
            (None, Some(ms)) => format!("superseded {}", local_time(ms, zone)),
            (None, None) => format!("until {}", local_time(certificate.not_after, zone)),
        };
        print_line(&format!("  certificate {}: {state}, serial {}", certificate.enrolment, certificate.serial))?;
    }
    if let Some(used) = row.used() {
        let at = |ms| local_time(ms, &config.gateway.time_zone);
        let given =
            row.certificates.iter().rev().find(|other| other.is_in_force() && other.enrolment == used.enrolment);
        print_line(&match given.filter(|given| given.serial != used.serial) {
            Some(given) => format!("  renewed {}: waits for the device to use it", at(given.issued_at)),
            None => format!(
                "  renews itself from {}; a person is told if it has not by {}",
                at(used.renews_at()),
                at(used.overdue_at())
            ),
        })?;
    }
    Ok(Exit::Ok)
}

fn remove(config_file: &Path, id: &DeviceId, enrolment: Option<u32>, json: bool) -> Result<Exit, Failure> {
    let now_ms = SystemClock::new().now().wall_ms;
    let removed =
        provision::remove(config_file, id, enrolment, now_ms).map_err(|error| failure("remove a device", error))?;
    print_warnings(&removed.warnings);
    if json {
        print_json(&removed)?;
        return Ok(Exit::Ok);
    }
    for enrolment in &removed.revoked {
        print_line(&format!("{id}: certificate {enrolment} is revoked"))?;
    }
    if removed.gone {
        print_line(&format!("{id}: taken out of {}", config_file.display()))?;
    }
    print_line(&removed.told.to_string())?;
    Ok(Exit::Ok)
}
