//! Who may log in: `people.toml`, readable by people, and beside it what their keys are known by.

use serde::{Deserialize, Serialize};

use super::roles::{Role, Units};
use crate::gateway::Lang;

/// One person. The id is what the journal keeps; a name, where it is wanted, stands here alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// `[a-z0-9-]{1,32}`, e.g. `natt-07`.
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub role: Role,
    /// Groups of residents; `*` is every one. None: no resident.
    #[serde(default)]
    pub units: Units,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// The subject of a client certificate, e.g. `SERIALNUMBER=SE2321000016-1003`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// What the identity provider calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
    #[serde(default)]
    pub ended: bool,
}

/// Everybody who may log in.
pub struct People {}
