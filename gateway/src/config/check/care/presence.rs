//! [presence] and [resident.presence]: activity, as agreed.

use serde::Deserialize;
use toml::Spanned;

use super::Check;
use crate::rules::care::presence::Presence;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {}

/// The home's table, each key replaced by the resident's own. None: not agreed.
pub(in crate::config) fn presence(
    _c: &mut Check<'_>,
    home: Option<&Spanned<Table>>,
    own: Option<&Spanned<Table>>,
) -> Option<Presence> {
    own.or(home).map(|_| Presence {})
}
