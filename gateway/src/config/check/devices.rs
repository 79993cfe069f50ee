//! [[device]] and [[resident]]: what stands in the home, behind which bridge, and whose it is.

use std::collections::BTreeMap;

use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::explain::{line_of, shown};
use super::super::*;
use super::{Check, Text};

pub(super) fn residents(c: &mut Check<'_>, file: &file::File) -> BTreeMap<String, Resident> {
    let mut residents = BTreeMap::new();
    for r in &file.resident {
        let Some(id) = c.device_id("id", &r.id) else {
            continue;
        };
        let phone = r.phone.as_ref().and_then(|phone| {
            let digits = phone.get_ref().strip_prefix("tel:").unwrap_or(phone.get_ref()).replace([' ', '-'], "");
            let fits = digits
                .strip_prefix('+')
                .is_some_and(|d| (6..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()));
            if !fits {
                let said = shown(phone.get_ref());
                c.wrong(
                    phone,
                    format!("`phone`: expected an international number such as \"+46812345678\", found `{said}`"),
                );
            }
            fits.then(|| format!("tel:{digits}"))
        });
        let unit = r.unit.as_ref().and_then(|unit| c.device_id("unit", unit)).map(|unit| unit.to_string());
        if residents.insert(id.to_string(), Resident { id: id.to_string(), phone, unit }).is_some() {
            c.wrong(&r.id, format!("there is already a resident `{id}`; give each its own id"));
        }
    }
    residents
}

pub(super) fn devices(
    c: &mut Check<'_>,
    file: &file::File,
    gateway: Option<&Gateway>,
    residents: &BTreeMap<String, Resident>,
) -> BTreeMap<DeviceId, Device> {
    let mut devices: BTreeMap<DeviceId, Device> = BTreeMap::new();
    // Where each stands; its line is looked up only for a complaint, or thousands of devices take minutes.
    let mut starts: BTreeMap<DeviceId, usize> = BTreeMap::new();
    let mut addresses: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (d, whole) in file.device.iter().map(|whole| (whole.get_ref(), whole)) {
        let id = c.device_id("id", &d.id);
        let kind: Option<DeviceKind> = match d.kind.get_ref().parse() {
            Ok(kind) => Some(kind),
            Err(unknown) => {
                let UnknownKind { word } = unknown;
                c.wrong(&d.kind, UnknownKind { word: shown(&word) }.to_string());
                None
            }
        };
        let via = d.via.as_ref().and_then(|via| c.device_id("via", via));
        match (&d.via, &d.address) {
            (Some(via), None) => c.wrong(via, "`via` needs `address`: the device's name on the bridge".to_owned()),
            (None, Some(address)) => {
                c.wrong(address, "`address` needs `via`: the bridge that speaks for the device".to_owned())
            }
            (Some(via), Some(address)) => {
                if let Some(other) = addresses.insert((via.get_ref(), address.get_ref()), d.id.get_ref()) {
                    let (via, other) = (shown(via.get_ref()), shown(other));
                    c.wrong(
                        address,
                        format!("`{}` on bridge `{via}` is already device `{other}`", shown(address.get_ref())),
                    );
                }
            }
            (None, None) => {}
        }
        if let Some(resident) = &d.resident
            && !residents.is_empty()
            && !residents.contains_key(resident.get_ref())
        {
            let said = shown(resident.get_ref());
            c.warn(
                resident,
                format!("there is no [[resident]] `{said}`: the alarm centre gets no number to call back"),
            );
        }
        let (Some(id), Some(kind)) = (id, kind) else {
            continue;
        };
        if gateway.is_some_and(|g| g.id == id) {
            c.wrong(&d.id, format!("`{id}` is the gateway's own id; give the device another"));
        }
        if let Some(&start) = starts.get(&id) {
            let first = line_of(c.text, start);
            c.wrong(&d.id, format!("there is already a device `{id}` in line {first}; give each its own id"));
            continue;
        }
        starts.insert(id.clone(), whole.span().start);
        let text = |word: &Option<Text>| word.as_ref().map(|w| w.get_ref().clone());
        let fixed = d.fixed.unwrap_or(kind == DeviceKind::FixedTrigger);
        if let Some(exit) = d.exit.as_ref().filter(|exit| *exit.get_ref() && kind != DeviceKind::DoorSensor) {
            c.wrong(exit, format!("`exit` is for a door-sensor, and `{id}` is a {kind}; remove it"));
        }
        let exit = d.exit.as_ref().is_some_and(|exit| *exit.get_ref());
        let (room, resident, address) = (text(&d.room), text(&d.resident), text(&d.address));
        let unit = d.unit.as_ref().and_then(|unit| c.device_id("unit", unit)).map(|unit| unit.to_string());
        devices.insert(id.clone(), Device { id, kind, room, resident, via, address, fixed, exit, unit });
    }
    let ids: Vec<&str> = devices.keys().map(AsRef::as_ref).collect();
    for d in file.device.iter().map(Spanned::get_ref) {
        let Some(via) = &d.via else { continue };
        let bridge = devices.values().find(|b| b.id.as_ref() as &str == via.get_ref());
        match bridge {
            None => {
                let hint = match nearest(via.get_ref(), ids.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add a [[device]] of kind bridge".to_owned(),
                };
                c.wrong(via, format!("`via` names the unknown device `{}`; {hint}", shown(via.get_ref())));
            }
            Some(b) if b.kind != DeviceKind::Bridge => {
                c.wrong(via, format!("`via` must name a bridge, and `{}` is a {}", b.id, b.kind));
            }
            Some(b) if b.via.is_some() => {
                c.wrong(via, format!("bridge `{}` is itself behind a bridge; name the outer one", b.id))
            }
            Some(_) => {}
        }
    }
    devices
}
