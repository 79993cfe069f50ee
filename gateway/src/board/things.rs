//! Devices and the gateway itself as the board shows them.
//!
//! Enters: what the journal has folded to, the config, the lists of certificates and invitations. Leaves: rows.

use std::collections::BTreeMap;

use vaka_board::gateway::{Device, Health, PathState, Said};
use vaka_protocol::{DeviceId, Lane};

use super::rows::order_lines;
use crate::clock::{Confidence, Now};
use crate::config::{self, Config, DeviceKind, Role};
use crate::pipeline::fold::State;
use crate::provision::{self, InvitationState};
use crate::rules::alarms::Alarm;
use crate::rules::orders::Kept;

/// What the fold says of one device.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub heard_at: Option<i64>,
    pub online: Option<bool>,
    pub silent: bool,
    /// Percent, and that it is low.
    pub battery: (Option<u8>, bool),
    /// When and by which receiver it was proven.
    pub proven: Option<(i64, String)>,
    pub ordered: Option<Kept>,
}

fn heard_at(state: &State, id: &DeviceId) -> Option<i64> {
    let heard = state.care.facts.get(id).and_then(|facts| facts.heard).map(|at| at.wall_ms);
    heard.or_else(|| state.devices.get(id).map(|seen| seen.last_at))
}

fn is_silent(state: &State, id: &DeviceId) -> bool {
    state.alarms.of(id).any(|alarm: &Alarm| alarm.raise.rule == "silence" && !alarm.over)
}

/// Of every device that was ever heard.
pub fn known(state: &State) -> BTreeMap<DeviceId, Known> {
    let mut all: BTreeMap<DeviceId, Known> = BTreeMap::new();
    for id in state.devices.keys() {
        all.entry(id.clone()).or_default();
    }
    for (id, facts) in state.care.facts.iter() {
        let known = all.entry(id.clone()).or_default();
        known.online = facts.online;
        known.battery = facts.battery.map_or((None, false), |battery| (battery.percent, battery.low));
    }
    for id in state.visits.proven.keys() {
        all.entry(id.clone()).or_default();
    }
    for (_, kept) in state.orders.newest() {
        let Some(to) = &kept.order.to else { continue };
        all.entry(to.clone()).or_default().ordered.get_or_insert_with(|| kept.clone());
    }
    for (id, known) in &mut all {
        known.heard_at = heard_at(state, id);
        known.silent = is_silent(state, id);
        known.proven = state.visits.proof(id).map(|proof| (proof.at, proof.receiver.clone()));
    }
    all
}

/// Every device of vaka.toml.
///
/// # Errors
/// In words, where the lists of certificates or invitations cannot be read.
pub fn devices(config: &Config, known: &BTreeMap<DeviceId, Known>, now: Now) -> Result<Vec<Device>, String> {
    let (listed, _) = provision::list(config).map_err(|e| e.to_string())?;
    let (invites, _) = provision::invites(config).map_err(|e| e.to_string())?;
    let row = |listed: provision::Listed| {
        let config::Device { id, kind, room, resident, via, unit, .. } = &listed.device;
        let known = known.get(id).cloned().unwrap_or_default();
        let until = listed.not_after();
        let is_open = |row: &&provision::Invitation| row.id == *id && row.state(now) == InvitationState::Open;
        let of_resident = resident.as_deref().and_then(|id| config.resident(id)).and_then(|known| known.unit.clone());
        Device {
            id: id.to_string(),
            kind: kind.as_str().to_owned(),
            room: room.clone(),
            resident: resident.clone(),
            unit: of_resident.or_else(|| unit.clone()),
            via: via.as_ref().map(ToString::to_string),
            heard_at: known.heard_at,
            online: known.online,
            silent: known.silent,
            battery_percent: known.battery.0,
            battery_low: known.battery.1,
            signal_dbm: None,
            proven_at: known.proven.as_ref().map(|(at, _)| *at),
            proven_by: known.proven.map(|(_, by)| by),
            certificate_until: until,
            revoked: until.is_none() && !listed.certificates.is_empty(),
            ordered: known
                .ordered
                .map_or_else(Vec::new, |kept| order_lines(&kept, *kind == DeviceKind::Feedback, now.wall_ms)),
            invited_until: invites.iter().filter(is_open).map(|row| row.expires_at).max(),
        }
    };
    Ok(listed.into_iter().map(row).collect())
}

/// How the gateway is.
pub fn health(config: &Config, state: &State, now: Now) -> Health {
    let is_counted = |device: &&config::Device| config.gateway.role != Role::Hub || device.kind == DeviceKind::Gateway;
    let counted: Vec<&config::Device> = config.devices.values().filter(is_counted).collect();
    let is_heard = |device: &&&config::Device| {
        let is_online = state.care.facts.get(&device.id).and_then(|facts| facts.online) != Some(false);
        heard_at(state, &device.id).is_some() && is_online && !is_silent(state, &device.id)
    };
    let ids = state.devices.keys().chain(state.care.facts.iter().map(|(id, _)| id));
    Health {
        gateway: config.gateway.id.to_string(),
        role: match config.gateway.role {
            Role::Home => "home",
            Role::House => "house",
            Role::Hub => "hub",
        }
        .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        clock: match now.confidence {
            Confidence::Synchronised => "synchronised",
            Confidence::Held => "held",
            Confidence::Floor => "floor",
        }
        .to_owned(),
        paths: paths(config, state),
        heard: counted.iter().filter(is_heard).count(),
        heard_of: counted.len(),
        newest_life_at: ids.filter_map(|id| heard_at(state, id)).max(),
        wrong: wrong(config),
    }
}

/// Every path of every receiver; one of which nothing is known yet counts as lost.
fn paths(config: &Config, state: &State) -> Vec<PathState> {
    let of = |receiver: &crate::dispatch::ReceiverConfig| {
        let name = receiver.name.clone();
        let row = move |path: String| {
            let known = state.reach.get(&name, &path);
            PathState {
                receiver: name.clone(),
                path,
                up: known.is_some_and(|known| known.up),
                since: known.map(|known| known.since),
            }
        };
        receiver.path_labels().into_iter().map(row).collect::<Vec<_>>()
    };
    config.receivers.iter().flat_map(of).collect()
}

fn wrong(config: &Config) -> Vec<Said> {
    let mut wrong = Vec::new();
    if config.receivers.is_empty() {
        wrong.push(Said::new(
            "Ingen mottagare är inlagd: inga larm når någon.",
            "No receiver is set up: alarms reach nobody.",
        ));
    }
    let lanes = [
        (Lane::Life, "Nödlarm går inte till någon.", "Life alarms go to nobody."),
        (Lane::Care, "Omsorgslarm går inte till någon.", "Care alarms go to nobody."),
        (Lane::Technical, "Fel på utrustningen går inte till någon.", "Faults of the equipment go to nobody."),
    ];
    for (_, sv, en) in lanes.into_iter().filter(|(lane, ..)| config.receivers_for(*lane).is_empty()) {
        wrong.push(Said::new(sv, en));
    }
    wrong
}
