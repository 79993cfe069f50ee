//! `vaka init`: a folder that holds everything one gateway needs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use vaka_protocol::DeviceId;

use super::authority::{self, Given};
use super::certificate::{Start, Subject, end};
use super::{GATEWAY_DAYS, Pki, ProvisionError, files};
use crate::config::{Config, Warning};

/// What a new home is called and where it listens.
#[derive(Debug, Clone)]
pub struct NewHome {
    pub gateway: DeviceId,
    /// SCAIP `cid`, digits.
    pub controller_id: String,
    pub listen: SocketAddr,
}

/// Makes `dir` with `pki/`, an empty journal folder and vaka.toml; returns the path of vaka.toml.
///
/// vaka.toml is written last: a folder with it is a whole home.
///
/// # Errors
/// [`ProvisionError::HomeExists`] if there is a vaka.toml, pki or journal in `dir`; nothing is changed then.
pub fn create(dir: &Path, home: &NewHome, now_ms: i64) -> Result<PathBuf, ProvisionError> {
    Ok(create_under(dir, home, &Given::default(), now_ms)?.0)
}

/// [`create`] with authorities that were made elsewhere: their certificates and keys are copied into `pki/`.
///
/// # Errors
/// As [`create`], and [`ProvisionError::Authority`] which says what is wrong with a given authority.
pub fn create_under(
    dir: &Path,
    home: &NewHome,
    given: &Given,
    now_ms: i64,
) -> Result<(PathBuf, Vec<Warning>), ProvisionError> {
    let file = dir.join("vaka.toml");
    let pki = Pki::beside(dir);
    let journal = dir.join("journal");
    for taken in [&file, pki.dir(), &journal] {
        if taken.symlink_metadata().is_ok() {
            return Err(ProvisionError::HomeExists(taken.to_path_buf()));
        }
    }
    let toml = vaka_toml(home);
    // A wrong controller id is found before anything is written.
    Config::parse(toml.as_bytes(), &file)?;

    // Nor is anything under an authority that cannot do its part.
    let made = authority::pair(home.gateway.as_ref(), given, now_ms)?;
    let server_subject = Subject {
        name: home.gateway.as_ref(),
        usage: ExtendedKeyUsagePurpose::ServerAuth,
        alternatives: server_names(home.listen),
        start: Start::Always,
        days: GATEWAY_DAYS,
    };
    let client_subject = Subject {
        name: home.gateway.as_ref(),
        usage: ExtendedKeyUsagePurpose::ClientAuth,
        alternatives: Vec::new(),
        start: Start::Yesterday,
        days: GATEWAY_DAYS,
    };
    let (server_key, server) = end(&made.servers.authority, server_subject, now_ms)?;
    let (client_key, client) = end(&made.devices.authority, client_subject, now_ms)?;
    made.servers.proves(&server, authority::SERVERS, now_ms)?;
    made.devices.proves(&client, authority::DEVICES, now_ms)?;

    files::folder(pki.dir())?;
    let in_pki = |name: &str| pki.dir().join(name);
    files::write(&in_pki("server-ca.key"), made.servers.key_pem.as_bytes(), files::PRIVATE)?;
    files::write(&pki.server_ca(), made.servers.pem.as_bytes(), files::PUBLIC)?;
    files::write(&in_pki("device-ca.key"), made.devices.key_pem.as_bytes(), files::PRIVATE)?;
    files::write(&pki.device_ca(), made.devices.pem.as_bytes(), files::PUBLIC)?;
    files::write(&in_pki("server.key"), server_key.serialize_pem().as_bytes(), files::PRIVATE)?;
    files::write(&pki.server_cert(), made.servers.chain(&server.pem).as_bytes(), files::PUBLIC)?;
    files::write(&in_pki("client.key"), client_key.serialize_pem().as_bytes(), files::PRIVATE)?;
    files::write(&pki.client_cert(), made.devices.chain(&client.pem).as_bytes(), files::PUBLIC)?;
    if !made.servers.above.is_empty() {
        files::write(&pki.server_ca_above(), made.servers.above.as_bytes(), files::PUBLIC)?;
    }
    if !made.devices.above.is_empty() {
        files::write(&pki.device_ca_above(), made.devices.above.as_bytes(), files::PUBLIC)?;
    }
    files::write(&pki.issued(), b"", files::PRIVATE)?;
    files::folder(&journal)?;
    // Before the first record: a new home is sealed from its first day.
    vaka_seal::Ring::open_or_make(&journal)?;
    files::write(&file, toml.as_bytes(), files::PUBLIC)?;
    Ok((file, made.warnings))
}

/// localhost in its three spellings, the machine's name, and the address it listens on.
fn server_names(listen: SocketAddr) -> Vec<SanType> {
    let host = host();
    let mut names = vec!["localhost".to_owned()];
    names.extend(host);
    let mut addresses = vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()];
    if !listen.ip().is_unspecified() && !addresses.contains(&listen.ip()) {
        addresses.push(listen.ip());
    }
    let names = names.iter().filter_map(|name| Ia5String::try_from(name.as_str()).ok()).map(SanType::DnsName);
    names.chain(addresses.into_iter().map(SanType::IpAddress)).collect()
}

/// The machine's name in the network, where it has one that a certificate can carry.
fn host() -> Option<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!host.is_empty() && host != "localhost" && host.chars().all(is_name)).then_some(host)
}

/// [`host`] as a certificate has it.
pub(super) fn host_name() -> Option<SanType> {
    Ia5String::try_from(host()?.as_str()).ok().map(SanType::DnsName)
}

fn vaka_toml(home: &NewHome) -> String {
    let pair = |key: &str, value: &str| {
        format!("{key} = {:<w$}", toml_edit::Value::from(value).to_string(), w = 29 - key.len())
    };
    let id = pair("id", home.gateway.as_ref());
    let controller_id = pair("controller_id", &home.controller_id);
    let listen = pair("listen", &home.listen.to_string());
    format!(
        r#"# Vaka: one gateway. Every key, with comments: deploy/vaka.example.toml. Check a change with `vaka check-config FILE`.
# Relative paths start in this folder.

[gateway]
{id}# also its MQTT identity towards a hub
{controller_id}# SCAIP cid, digits, given by the alarm centre
time_zone = "Europe/Stockholm"  # where the resident lives
language = "sv"                 # sv | en: what resident and staff read
role = "home"                   # home | house | hub

[ingest]
{listen}# devices connect here: MQTT over mutual TLS

# [enrol]                       # new devices come here with a one-time code (`vaka device invite`); without, nothing listens
# listen = "127.0.0.1:8884"

[journal]
dir = "journal"                 # every event is on this disk before it is acknowledged
size_max_mib = 512              # the most it may take

[[receiver]]                    # the alarm centre
name = "larmcentral"
kind = "scaip"
url = "sips:127.0.0.1:5061"     # or sip:HOST:PORT;transport=tcp for tests
# pin = "sha256:..."            # SHA-256 of its public key, 64 hex digits; or ca = "centre-ca.pem". Without: not trusted

[[route]]                       # which alarms go to whom
lanes = ["life", "care", "technical", "test"]
to = ["larmcentral"]            # in this order

[board]
listen = "127.0.0.1:8443"       # the staff's page

[metrics]
listen = "127.0.0.1:9464"       # for Prometheus
"#
    )
}
