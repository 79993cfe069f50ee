//! A municipality's gateways on this machine: a hub, and homes that are its devices. Every one a process of its own.
//!
//! Enters: how many homes. Leaves: the hub and the homes, enrolled and running, and what they say of themselves as a user
//! would ask them. Invariant: no more than [`HOMES_MAX`] homes and a hub, all of which end with this value.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use vaka_protocol::DeviceId;

use super::centre::CentreTls;
use super::desk::Facts;
use super::home::{DemoError, Home, device_id};
use super::stage::{Folder, Ports};
use super::summary::{Evidence, was_accepted};
use super::tally::TownEvidence;
use super::teller::Teller;
use crate::uplink::Door;

/// Most homes of a municipality in the demo. Fifty and their hub take 160 MiB of memory and 110 MiB of disk (measured,
/// debug build); more would measure this machine and not Vaka.
pub const HOMES_MAX: u8 = 50;
/// Gateways that are started side by side: more only wait for each other's certificates.
const STARTED_AT_ONCE: usize = 8;
/// How often a gateway is asked while something is awaited, in milliseconds.
const LOOK_MS: u64 = 100;

/// The hub, the homes, and the doors of their devices.
pub struct Street {
    pub hub: Home,
    pub homes: Vec<Home>,
}

/// What a home has: a pendant, and a sensor that tells things while others press.
pub struct Doors {
    pub pendants: Vec<Door>,
    pub beds: Vec<Door>,
}

impl Street {
    /// The hub and the alarm centre's certificates.
    pub fn make(folder: &Folder, ports: &mut Ports) -> Result<(Street, CentreTls), DemoError> {
        let hub = Home::make_in(folder, "hub", "46700000", ports.take()?)?;
        hub.be_hub()?;
        let centre = hub.certify_centre()?;
        Ok((Street { hub, homes: Vec::new() }, centre))
    }

    /// Makes the next home, its two devices, and enrols it at the hub as `vaka device add home-07 --kind gateway` does.
    pub fn settle_in(&mut self, folder: &Folder, ports: &mut Ports, doors: &mut Doors) -> Result<(), DemoError> {
        let number = self.homes.len() + 1;
        let home = Home::make_in(folder, &format!("home-{number:02}"), &format!("467{number:05}"), ports.take()?)?;
        let resident = format!("r-{number:02}");
        home.resident(&resident)?;
        let door = |id: String, kind: &str, room: &str| {
            let device = device_id(&id);
            let tls = home.enrol_of(&device, kind, room, &resident)?;
            Ok::<_, DemoError>(Door::near(home.address, device, tls))
        };
        doors.pendants.push(door(format!("pendant-{number:02}"), "pendant", "worn")?);
        doors.beds.push(door(format!("bed-{number:02}"), "bed-sensor", "bedroom")?);
        home.point_to_hub(self.hub.address, &self.hub.enrol_home(&home.id)?)?;
        self.homes.push(home);
        Ok(())
    }

    /// Starts the homes' gateways, a few at a time. Returns how long all of it took.
    pub async fn start_homes(&mut self, teller: &Teller) -> Result<Duration, DemoError> {
        let begun = Instant::now();
        let (mut started, whole) = (0, self.homes.len());
        for some in self.homes.chunks_mut(STARTED_AT_ONCE) {
            some.iter_mut().try_for_each(Home::spawn_gateway)?;
            for home in some {
                home.gateway_is_ready().await?;
                started += 1;
                teller.progress(&format!("starting {started}/{whole} homes"), started == whole);
            }
        }
        Ok(begun.elapsed())
    }

    /// Waits until the hub's journal says of these homes that they are there, or gone; false when `limit` comes first.
    pub async fn hub_knows(&self, homes: &[DeviceId], online: bool, limit: Instant) -> Result<bool, DemoError> {
        self.hub_says(limit, || {
            let mut there: BTreeSet<String> = BTreeSet::new();
            for line in self.hub.vaka_json(&["journal", "export"])?.iter().filter(|line| line["kind"] == "alive") {
                let Some(device) = line["device"].as_str() else { continue };
                if line["online"] == true {
                    there.insert(device.to_owned())
                } else {
                    there.remove(device)
                };
            }
            Ok(homes.iter().all(|home| there.contains(home.as_str()) == online))
        })
        .await
    }

    /// Waits for an open alarm at the hub; `None` when `limit` comes first.
    pub async fn hub_alarm(&self, limit: Instant, fits: impl Fn(&Value) -> bool) -> Result<Option<String>, DemoError> {
        let mut found = None;
        self.hub_says(limit, || {
            found = self
                .hub
                .alarms(false)?
                .iter()
                .find(|row| fits(row))
                .and_then(|row| row["id"].as_str())
                .map(String::from);
            Ok(found.is_some())
        })
        .await?;
        Ok(found)
    }

    async fn hub_says(
        &self,
        limit: Instant,
        mut says: impl FnMut() -> Result<bool, DemoError>,
    ) -> Result<bool, DemoError> {
        while Instant::now() < limit {
            if tokio::task::block_in_place(&mut says)? {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        Ok(false)
    }

    /// The row of an alarm in the list that the hub's staff read.
    pub fn line_at_hub(&self, alarm: &str) -> Result<String, DemoError> {
        let list = tokio::task::block_in_place(|| self.hub.vaka(&["alarm", "list"]))?;
        let mut line = list.lines().find(|line| line.starts_with(alarm)).unwrap_or_default().to_owned();
        // One row needs no columns.
        while line.contains("   ") {
            line = line.replace("   ", "  ");
        }
        Ok(line)
    }

    /// Waits until every open alarm of every gateway is accepted, or `limit` comes.
    pub async fn settle(&self, limit: Instant) -> Result<(), DemoError> {
        for gateway in self.gateways() {
            while !tokio::task::block_in_place(|| gateway.alarms(true))?.iter().all(was_accepted) {
                if Instant::now() >= limit {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
            }
        }
        Ok(())
    }

    /// What every gateway says of itself, and what its devices were told.
    pub fn evidence(
        &self,
        facts: &Facts,
        is_call: impl Fn(&super::desk::Said) -> bool,
    ) -> Result<TownEvidence, DemoError> {
        let mut evidence = TownEvidence {
            memory_kib: self.gateways().map(Home::memory_kib).sum(),
            hub_memory_kib: self.hub.memory_kib(),
            hub: said(&self.hub)?,
            ..TownEvidence::default()
        };
        for home in &self.homes {
            let number = home.id.as_str().rsplit('-').next().unwrap_or_default();
            let of_home = |device: &DeviceId| device.as_str().rsplit('-').next() == Some(number);
            let mut there = said(home)?;
            there.sent = facts.said.keys().filter(|identity| of_home(&identity.device)).count();
            there.acked = facts.acked().into_iter().filter(|identity| of_home(&identity.device)).collect();
            there.refused = facts.refused.iter().filter(|identity| of_home(&identity.device)).count();
            let calls =
                facts.said.iter().filter(|(i, said)| of_home(&i.device) && said.acked.is_some() && is_call(said));
            there.calls = calls.map(|(identity, _)| identity.clone()).collect();
            evidence.homes.insert(home.id.clone(), there);
        }
        Ok(evidence)
    }

    /// Ends every gateway, all at the same time.
    pub async fn stop(&mut self) {
        self.gateways().for_each(Home::tell_gateway_to_stop);
        for home in &mut self.homes {
            home.stop_gateway().await;
        }
        self.hub.stop_gateway().await;
    }

    fn gateways(&self) -> impl Iterator<Item = &Home> {
        self.homes.iter().chain([&self.hub])
    }
}

fn said(gateway: &Home) -> Result<Evidence, DemoError> {
    let (export, alarms) = (gateway.vaka_json(&["journal", "export"])?, gateway.alarms(true)?);
    Ok(Evidence { export, alarms, ..Evidence::default() })
}
