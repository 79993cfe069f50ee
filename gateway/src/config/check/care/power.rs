//! [power].

use serde::Deserialize;
use toml::Spanned;

use super::Check;
use crate::config::Device;
use crate::rules::care::power::Policy;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {}

pub(in crate::config) fn policy(_c: &mut Check<'_>, _table: Option<&Spanned<Table>>, _device: &Device) -> Policy {
    Policy::default()
}
