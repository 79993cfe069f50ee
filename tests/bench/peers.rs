//! Who takes part: each peer made, or left out with the reason why it cannot be had here.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::aedes::Aedes;
use crate::mosquitto::{AUTOSAVE, DEFAULT, Mosquitto};
use crate::mqtt::Version;
use crate::peer::Peer;
use crate::rumqttd::Rumqttd;
use crate::vaka::Vaka;

pub const VAKA: &str = "vaka";
pub const MOSQUITTO: &str = "mosquitto";
pub const MOSQUITTO_AUTOSAVE: &str = "mosquitto-autosave";
pub const RUMQTTD: &str = "rumqttd";
pub const AEDES: &str = "aedes";

/// In the order of their columns.
pub const NAMES: [&str; 5] = [VAKA, MOSQUITTO, MOSQUITTO_AUTOSAVE, RUMQTTD, AEDES];

/// Where and for what peers are made.
pub struct Place<'a> {
    /// The gateway's program; None: Vaka takes no part.
    pub gateway: Option<&'a Path>,
    /// Outlives the run: programs built once.
    pub workshop: &'a Path,
    /// Ends with the run.
    pub dir: &'a Path,
    pub version: Version,
    pub devices: usize,
    /// Where Vaka's alarms go while nobody asks.
    pub centre_port: u16,
}

/// Those that can be had here, and a line for each that cannot.
pub struct Made {
    pub peers: Vec<Box<dyn Peer>>,
    pub left_out: Vec<String>,
}

/// Makes those of these names that can be had. Without Vaka, where it is asked for, the run has no sense: an error.
pub fn make(names: &[&str], place: &Place) -> Result<Made> {
    let mut peers = Vec::new();
    let mut left_out = Vec::new();
    for name in names {
        match one(name, place) {
            Ok(peer) => peers.push(peer),
            Err(e) if *name == VAKA => return Err(e),
            Err(e) => left_out.push(format!("{name} is left out: {e:#}")),
        }
    }
    if peers.is_empty() {
        bail!("nobody to measure; {}", left_out.join("; "));
    }
    Ok(Made { peers, left_out })
}

fn one(name: &str, place: &Place) -> Result<Box<dyn Peer>> {
    let Place { workshop, dir, version, devices, .. } = *place;
    Ok(match name {
        VAKA => {
            let program = place.gateway.context("no program of the gateway")?;
            Box::new(Vaka::new(program.to_owned(), dir, version, devices, place.centre_port)?)
        }
        MOSQUITTO => Box::new(Mosquitto::new(MOSQUITTO, DEFAULT, dir, version, devices)?),
        MOSQUITTO_AUTOSAVE => Box::new(Mosquitto::new(MOSQUITTO_AUTOSAVE, AUTOSAVE, dir, version, devices)?),
        RUMQTTD => Box::new(Rumqttd::new(workshop, dir, version, devices)?),
        AEDES => Box::new(Aedes::new(workshop, dir, devices)?),
        _ => bail!("no peer has that name; there are {}", NAMES.join(", ")),
    })
}
