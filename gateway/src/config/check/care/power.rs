//! [power]: when mains lost and batteries running low are told.

use serde::Deserialize;
use toml::Spanned;

use super::Check;
use crate::rules::care::power::Policy;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub mains_delay_min: Option<Spanned<i64>>,
    pub battery_min_percent: Option<Spanned<i64>>,
}

/// The table, checked once for all devices.
pub(in crate::config) struct Plan(Policy);

pub(in crate::config) fn plan(c: &mut Check<'_>, table: Option<&Spanned<Table>>) -> Plan {
    let mut policy = Policy::default();
    let Some(table) = table.map(Spanned::get_ref) else { return Plan(policy) };
    if let Some(delay) = &table.mains_delay_min {
        // Longer than four hours, and the device may be silent before anybody hears why.
        policy.mains_delay_ms =
            c.number("mains_delay_min", delay, 0, 240).map_or(policy.mains_delay_ms, |min| min * 60_000);
    }
    if let Some(percent) = &table.battery_min_percent {
        policy.battery_min_percent = c
            .number("battery_min_percent", percent, 0, 90)
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(policy.battery_min_percent);
    }
    Plan(policy)
}

impl Plan {
    /// For each device alike.
    pub(in crate::config) fn policy(&self) -> Policy {
        self.0.clone()
    }
}
