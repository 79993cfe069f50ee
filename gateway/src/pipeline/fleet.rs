//! The keeper's side of the devices' firmware: whose turn it is, told in one commit with its record.
//!
//! Enters: looks, wishes and progress of `firmware`. Leaves: records, commands by them, a technical alarm where one came to nothing.
//! Invariant: what is decided and what is recorded are of one state: nothing comes between the choice of a device and its record.

use ring::rand::{SecureRandom, SystemRandom};
use tracing::{error, info, warn};
use vaka_protocol::limits::URL_BYTES_MAX;
use vaka_protocol::{DeviceId, Lane};
use vaka_update::policy::{Moment, Wait, is_quiet};

use super::keeper::{Answer, Keeper};
use crate::config::Role;
use crate::firmware::choose::{self, Device, Offered, View, Why};
use crate::firmware::state::{Attempt, Stage};
use crate::firmware::{Ask, May, Offer, Row, Serving, Standing, Wish};
use crate::journal::record::{Fault, Firmware, FirmwareStep, Record, Trace};
use crate::limits::{FIRMWARE_PROGRESS_MS, FIRMWARE_SILENT_MS, FIRMWARE_SOMEONE_MS};
use crate::rules::care::{silence, when};

/// Name of the fault that says that one came to nothing.
const FAULT: &str = "firmware-failed";

/// Who begins where no person has to.
fn gateway() -> String {
    format!("vaka {}", env!("CARGO_PKG_VERSION"))
}

impl Keeper {
    pub(super) fn take_firmware(&mut self, ask: Ask) {
        // Whoever asked may have gone away.
        match ask {
            Ask::Look { offer, reply } => {
                self.give_up_silent();
                self.begin_next(&offer);
                self.tell_failed(&offer);
                let _ = reply.send(self.fleet_standing(&offer));
            }
            Ask::Wish { wish, by, offer, reply } => {
                let said = self.take_firmware_wish(wish, by, &offer);
                let _ = reply.send(said);
            }
            Ask::May { path, has_bytes, offer, reply } => {
                let may = self.may_send(&path, has_bytes, &offer);
                self.answer_later(Answer::Firmware(may, reply));
            }
        }
    }

    /// How the devices stand.
    pub fn fleet_standing(&self, offer: &Offer) -> Standing {
        let view = self.fleet_view(offer);
        let row = |device: &Device<'_>| {
            let judged = choose::judge(&view, device);
            let attempt = device.attempt;
            let failed = attempt.filter(|attempt| attempt.stage.has_failed());
            let why = match (&judged, failed) {
                (Err(Why::Current | Why::NoImage(vaka_update::devices::NoImage::None) | Why::Behind), _) => {
                    String::new()
                }
                (Err(Why::UnderWay), _) => {
                    self.pause(offer, &view, device).map_or_else(String::new, |why| why.to_string())
                }
                (Err(why), _) => why.to_string(),
                (Ok(_), _) => String::new(),
            };
            Row {
                device: device.id.clone(),
                kind: device.kind.as_str(),
                runs: device.version.map(str::to_owned),
                offered: device.offered.as_ref().ok().map(|offered| offered.image.version.to_string()),
                stage: attempt.map(|attempt| attempt.stage.as_str()),
                version: attempt.map(|attempt| attempt.version.clone()),
                fetched_bytes: attempt.map_or(0, |attempt| attempt.fetched_bytes),
                size_bytes: attempt.map_or(0, |attempt| attempt.size_bytes),
                heard_at: attempt.map(|attempt| attempt.heard_at),
                why,
                waits: judged.as_ref().err().is_none_or(Why::is_waiting),
                halts: failed.is_some_and(|attempt| choose::is_halting(device, attempt)),
            }
        };
        let serving = self.state().fleet.under_way().map(|(_, attempt)| serving(attempt));
        let stopped = self.state().fleet.stopped().map(str::to_owned);
        Standing { devices: view.devices.iter().map(row).collect(), stopped, serving }
    }

    fn fleet_view<'a>(&'a self, offer: &'a Offer) -> View<'a> {
        let (state, care) = (self.state(), self.view());
        let now = self.moment();
        let zone = &offer.config.gateway.time_zone;
        let local = when::local(zone, now.wall_ms);
        let local_min = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        let moment = Moment { wall_ms: now.wall_ms, sure: now.sure, local_min };
        // No program of ours has to prove itself by this: what a test alarm is for is not asked.
        let scene = self.scene(true);
        let windows = offer.config.update.as_ref().map_or(&[][..], |update| &update.quiet);
        let resident = |device: &DeviceId| offer.config.device(device).and_then(|known| known.resident.as_deref());
        let care_alarms: Vec<Option<&str>> = state
            .alarms
            .open()
            .filter(|alarm| alarm.raise.lane == Lane::Care)
            .map(|alarm| resident(&alarm.raise.device))
            .collect();
        let device = |(id, known): (&'a DeviceId, &'a crate::config::Device)| {
            let battery = state.care.facts.get(id).and_then(|facts| facts.battery);
            let boards = offer.config.firmware.as_ref().map(|firmware| &firmware.boards);
            let board = boards.and_then(|boards| boards.get(id)).map(String::as_str);
            let none = Err(vaka_update::devices::NoImage::None);
            let image = offer.list.as_ref().map_or(none, |list| list.newest(known.kind.as_str(), board));
            let offered = image.map(|image| Offered {
                image,
                has_come: offer
                    .list
                    .as_ref()
                    .map_or(Ok(()), |list| list.has_come(image, offer.config.gateway.id.as_str(), moment)),
                is_here: offer.here.contains(&image.sha256),
            });
            Device {
                id,
                kind: known.kind,
                resident: known.resident.as_deref(),
                version: state.fleet.version(id),
                is_alive: silence::is_provable(care, id),
                is_behind: known.via.is_some(),
                battery_percent: battery.and_then(|battery| battery.percent),
                is_low: battery.is_some_and(|battery| battery.low),
                // By a clock that is not believed nobody knows when they left.
                has_someone: now.sure && state.fleet.has_someone(id, now.wall_ms),
                is_wanted: state.fleet.is_wanted(id),
                has_care_alarm: care_alarms.contains(&known.resident.as_deref()),
                attempt: state.fleet.attempt(id),
                offered,
            }
        };
        let is_quiet = |by_hand| match scene.life.is_empty() {
            true => is_quiet(&scene, windows, moment, by_hand),
            // However old, and whoever has it: it may be this device by which they call again.
            false => Err(Wait::Life),
        };
        View {
            devices: offer.config.devices.iter().map(device).collect(),
            stopped: state.fleet.stopped(),
            quiet: is_quiet(false),
            quiet_by_hand: is_quiet(true),
            is_shared: offer.config.gateway.role == Role::Home,
        }
    }

    /// Why the device that is being updated is given no bytes now, and may not restart.
    fn pause(&self, offer: &Offer, view: &View<'_>, device: &Device<'_>) -> Option<Why> {
        if offer.config.firmware.is_none() {
            return Some(Why::Off);
        }
        choose::may_go_on(view, device).err()
    }

    fn may_send(&mut self, path: &str, has_bytes: u32, offer: &Offer) -> May {
        let (id, attempt) = self.state().fleet.under_way().filter(|(_, attempt)| attempt.path == path)?;
        let (id, attempt) = (id.clone(), attempt.clone());
        let view = self.fleet_view(offer);
        let device = view.devices.iter().find(|device| *device.id == id)?;
        let why = self.pause(offer, &view, device).map(|why| why.to_string());
        self.heard_asking(id, &attempt, has_bytes, why.is_none());
        Some(why.map_or_else(|| Ok(serving(&attempt)), Err))
    }

    fn begin_next(&mut self, offer: &Offer) {
        let Some(firmware) = &offer.config.firmware else { return };
        if self.is_short_for(Lane::Technical) {
            return;
        }
        let view = self.fleet_view(offer);
        let Some((device, image)) = choose::next(&view) else { return };
        let Some(path) = path() else {
            return error!("making an address for firmware: the system gave no random bytes");
        };
        let step = FirmwareStep::Asked {
            device: device.clone(),
            version: image.version.to_string(),
            url: format!("{}/{path}", firmware.url),
            size_bytes: u32::try_from(image.size).unwrap_or(u32::MAX),
            sha256: image.sha256.clone(),
            expires_at: self.moment().wall_ms.saturating_add(FIRMWARE_SILENT_MS),
        };
        info!(device.id = %device, firmware.version = %image.version, "the device is told to take its firmware");
        self.put_step(step, gateway());
    }

    /// A device of which nothing more was heard holds up nobody for ever, and is not updated behind our back: its address is closed.
    fn give_up_silent(&mut self) {
        let now = self.moment();
        let Some((device, attempt)) = self.state().fleet.under_way().filter(|_| now.sure) else { return };
        if now.wall_ms.saturating_sub(attempt.heard_at) < FIRMWARE_SILENT_MS {
            return;
        }
        let hours = FIRMWARE_SILENT_MS / 3_600_000;
        let why = format!("nothing was heard of it for {hours} h after it was {}", attempt.stage.as_str());
        warn!(device.id = %device, firmware.version = attempt.version, "{why}");
        self.put_step(FirmwareStep::Silent { device: device.clone(), why }, gateway());
    }

    /// The technical alarm of those that came to nothing, or its end.
    fn tell_failed(&mut self, offer: &Offer) {
        let view = self.fleet_view(offer);
        let halting = view.devices.iter().find_map(|device| {
            let attempt = device.attempt.filter(|attempt| choose::is_halting(device, attempt))?;
            Some(format!("{}: version {}: {}", device.id, attempt.version, attempt.why))
        });
        let fault =
            Fault { fault: FAULT.into(), device: None, active: halting.is_some(), detail: halting.unwrap_or_default() };
        if self.state().part_is_bad(&fault) != fault.active {
            self.append_unrepeatable(Record::Fault(fault), Lane::Technical);
        }
    }

    /// A device that asks is heard, also where it is refused: it waits as it was told to.
    fn heard_asking(&mut self, device: DeviceId, attempt: &Attempt, has_bytes: u32, may: bool) {
        let is_late = self.moment().wall_ms.saturating_sub(attempt.heard_at) >= FIRMWARE_PROGRESS_MS;
        let is_whole = has_bytes >= attempt.size_bytes;
        let stage = if is_whole && may { Stage::Restarting } else { Stage::Fetching };
        let is_news = attempt.stage != stage || is_whole && attempt.fetched_bytes < attempt.size_bytes;
        if !is_late && (!is_news || attempt.stage == Stage::Trial) {
            return;
        }
        let bytes = has_bytes.min(attempt.size_bytes);
        let step = match stage {
            Stage::Restarting => FirmwareStep::Restarts { device },
            _ => FirmwareStep::Fetched { device, bytes },
        };
        self.put_step(step, gateway());
    }

    /// What a person wishes; what it waits for, if it does.
    fn take_firmware_wish(&mut self, wish: Wish, by: String, offer: &Offer) -> Result<String, String> {
        let (step, act, device) = match wish {
            Wish::Status | Wish::Check => return Ok(String::new()),
            Wish::Stop => (FirmwareStep::Stopped {}, "firmware-stop", None),
            Wish::Resume => (FirmwareStep::Resumed {}, "firmware-resume", None),
            Wish::Take { device, someone_is_there } => {
                let view = self.fleet_view(offer);
                let known = view.devices.iter().find(|known| *known.id == device);
                let known = known.ok_or_else(|| format!("there is no device `{device}`; see: vaka device list"))?;
                let wished =
                    Device { is_wanted: true, has_someone: known.has_someone || someone_is_there, ..known.clone() };
                if someone_is_there && !self.moment().sure {
                    let why = "the clock is not believed, so nobody knows how long somebody is there";
                    return Err(format!(
                        "{device}: {why}; it is right again by itself once a time source is heard (vaka check)"
                    ));
                }
                if let Err(
                    why @ (Why::Current
                    | Why::NoImage(_)
                    | Why::Behind
                    | Why::NoVersion
                    | Why::OddVersion(_)
                    | Why::Stopped(_)
                    | Why::OnlyOne(..)),
                ) = choose::judge(&view, &wished)
                {
                    return Err(format!("{device}: {why}"));
                }
                if someone_is_there {
                    let until = self.moment().wall_ms.saturating_add(FIRMWARE_SOMEONE_MS);
                    self.trace_firmware("firmware-someone-is-there", Some(&device), &by, offer);
                    self.put_step(FirmwareStep::Someone { device: device.clone(), until }, by.clone());
                }
                (FirmwareStep::Wanted { device: device.clone() }, "firmware-take", Some(device))
            }
        };
        self.trace_firmware(act, device.as_ref(), &by, offer);
        self.put_step(step, by);
        self.begin_next(offer);
        self.tell_failed(offer);
        let row =
            device.and_then(|device| self.fleet_standing(offer).devices.into_iter().find(|row| row.device == device));
        Ok(row.map_or_else(String::new, |row| row.why))
    }

    fn trace_firmware(&mut self, act: &str, device: Option<&DeviceId>, by: &str, offer: &Offer) {
        let resident = device.and_then(|device| offer.config.device(device)).and_then(|known| known.resident.clone());
        let trace = Trace {
            person: by.to_owned(),
            role: String::new(),
            session: "cli".to_owned(),
            act: act.to_owned(),
            object: device.map_or_else(String::new, |device| format!("device {device}")),
            purpose: String::new(),
            resident,
            at: self.moment().wall_ms,
            before: self.state().trace.clone(),
        };
        self.append(Record::Trace(trace), Lane::Technical);
    }

    fn put_step(&mut self, step: FirmwareStep, by: String) {
        self.append(Record::Firmware(Box::new(Firmware { step, by })), Lane::Technical);
    }
}

fn serving(attempt: &Attempt) -> Serving {
    Serving { path: attempt.path.clone(), sha256: attempt.sha256.clone(), size_bytes: attempt.size_bytes }
}

/// The last part of an address that nobody guesses: 128 bits.
fn path() -> Option<String> {
    const { assert!(URL_BYTES_MAX >= 200) };
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(vaka_update::hex(&bytes))
}
