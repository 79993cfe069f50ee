//! What people may order of the devices: `unlock` of a lock, and `orders` of a hub.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use toml::Spanned;
use vaka_protocol::DeviceId;

use super::super::*;
use super::care::consent;
use super::{Check, Text};
use crate::limits::{UNLOCK_S, UNLOCK_S_MAX};
use crate::rules::orders::Unlock;

/// Those who stand at the door. Source: the board's roles.
const ROLES: &[(&str, &str)] = &[("staff", "staff"), ("night", "night")];
const ORDERS: &[(&str, &str)] =
    &[("unlock", "unlock"), ("lock", "lock"), ("feedback", "feedback"), ("settings", "settings"), ("look", "look")];

pub(super) fn orders(
    c: &mut Check<'_>,
    file: &file::File,
    zone: &TimeZone,
    devices: &BTreeMap<DeviceId, Device>,
) -> Orders {
    let mut orders = Orders::default();
    for device in file.device.iter().map(Spanned::get_ref) {
        let known = devices.values().find(|known| known.id.as_ref() as &str == device.id.get_ref());
        let (Some(table), Some(known)) = (&device.unlock, known) else { continue };
        if let Some(unlock) = unlock(c, zone, table, known) {
            orders.unlock.insert(known.id.clone(), unlock);
        }
    }
    for receiver in file.receiver.iter().map(Spanned::get_ref) {
        let Some(words) = &receiver.orders else { continue };
        if let (Some(first), true) = (words.first(), receiver.kind.get_ref() != "hub") {
            let text = "`orders` is what people at a hub may order in this home, and this receiver is none; remove it";
            c.wrong(first, text.to_owned());
            continue;
        }
        orders.hubs.insert(receiver.name.get_ref().clone(), chosen(c, "order", words, ORDERS));
    }
    orders
}

fn chosen(c: &mut Check<'_>, key: &str, words: &[Text], known: &[(&str, &'static str)]) -> BTreeSet<&'static str> {
    words.iter().filter_map(|word| c.choice(key, word, known)).collect()
}

fn unlock(c: &mut Check<'_>, zone: &TimeZone, table: &Spanned<file::Unlock>, device: &Device) -> Option<Unlock> {
    let Device { id, kind, via, resident, .. } = device;
    if !matches!(kind, DeviceKind::Lock | DeviceKind::Cabinet) {
        c.wrong(table, format!("`unlock` is for a lock or cabinet, and `{id}` is a {kind}; remove it"));
        return None;
    }
    if via.is_some() {
        c.wrong(table, format!("`unlock`: `{id}` stands behind a bridge, and no command goes there; remove it"));
        return None;
    }
    let given = table.get_ref();
    if given.roles.is_empty() {
        c.wrong(table, "`unlock`: `roles` is empty; name staff, night or both, or remove `unlock`".to_owned());
    }
    let always = given.always.unwrap_or(false);
    if resident.is_none() && !always {
        c.wrong(
            table,
            format!("`unlock`: `{id}` is nobody's, so no alarm opens it; give it `resident`, or `always = true`"),
        );
    }
    if given.consent.is_none() {
        c.warn(
            table,
            format!("`unlock` of `{id}`: nobody's consent is written down; add consent = {{ by = …, on = … }}"),
        );
    }
    let seconds = given.open_s.as_ref().and_then(|s| c.number("open_s", s, 5, i64::from(UNLOCK_S_MAX)));
    Some(Unlock {
        roles: chosen(c, "role", &given.roles, ROLES).into_iter().map(str::to_owned).collect(),
        always,
        open_s: seconds.and_then(|s| u16::try_from(s).ok()).unwrap_or(UNLOCK_S),
        term: consent::term(c, zone, given.consent.as_ref()),
    })
}
