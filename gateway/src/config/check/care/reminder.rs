//! [[reminder]].

use serde::Deserialize;
use toml::Spanned;

use super::{Check, People, Text};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    pub resident: Option<Text>,
}

pub(in crate::config) fn reminder(c: &mut Check<'_>, people: &mut People, table: &Spanned<Table>) {
    let _ = people.find(c, table.get_ref().resident.as_ref(), table);
}
