//! What a technician's visit ends with: a page to print, and the same signed by the gateway, for whoever asks in a year.
//!
//! Enters: the finished visit's protocol (JSON, from the journal), the gateway's client key. Leaves: two files; or whether such a
//! file is what this home's gateway signed. Invariant: ids alone, no names of residents; nothing on the page that is not in
//! the signed file.

mod page;
mod signed;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::config::{Config, Language};

pub use page::page;
pub use signed::{SignError, Verified, canonical, sign, verify};

/// A finished visit's two files.
pub struct Files {
    /// Their name without ending: `visit-gw-0001-20261122-1043`.
    pub name: String,
    /// One page of HTML, to print.
    pub page: String,
    /// The same signed, JSON.
    pub signed: String,
}

/// The files of this protocol, in this language.
///
/// # Errors
/// [`SignError`], which names the file.
pub fn files(config: &Config, protocol: &Value, language: Language) -> Result<Files, SignError> {
    let (pki, zone) = (config.pki(), &config.gateway.time_zone);
    let signed = sign(protocol, &pki.client_cert(), &pki.client_key())?;
    let at = protocol["finished_at"].as_i64().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let stamp = at.unwrap_or_default().to_zoned(zone.clone()).strftime("%Y%m%d-%H%M");
    Ok(Files {
        name: format!("visit-{}-{stamp}", config.gateway.id),
        page: page(protocol, zone, language),
        signed: format!("{signed:#}\n"),
    })
}
