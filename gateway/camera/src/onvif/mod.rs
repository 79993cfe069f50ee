//! ONVIF, while a technician sets a camera up, and at no other time.
//!
//! Enters: a camera's own service address. Leaves: where its video and its stills are, as [`crate::Setup`] takes them.
//! Invariant: answers are untrusted. Of an address in them only port, path and query are taken, and only if it names the camera's own
//! host; nothing else is ever connected to. The password leaves as a digest alone.
//! Source: the operations' names and forms as public cameras and mocks use them; tried with ipycam, which is not ours.

mod discovery;
mod soap;
pub(crate) mod xml;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use url::Url;

pub use self::discovery::{Discovered, Found, discover};
use self::soap::Door;
use self::xml::Node;
use crate::camera::{Spot, place};
use crate::limits::{PROFILES_MAX, SETUP_MS_MAX};
use crate::{Camera, Fault};

/// One of the streams a camera offers. Its `Debug` leaves out what [`crate::Setup`]'s does.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    /// As the camera says it: `H264`, `H265`, `JPEG`. Browsers show H.264 alone.
    pub encoding: String,
    /// In pixels; 0: not said.
    pub width: u32,
    pub height: u32,
    /// For [`crate::Setup::look`].
    pub look: String,
    /// For [`crate::Setup::snapshot`].
    pub snapshot: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("name", &self.name)
            .field("encoding", &self.encoding)
            .field("width", &self.width)
            .field("height", &self.height)
            .field("look", &place(&self.look))
            .field("snapshot", &self.snapshot.as_deref().map(place))
            .finish()
    }
}

/// What a camera offers: at most [`PROFILES_MAX`] profiles, in its own order, within [`SETUP_MS_MAX`].
///
/// `door`: a camera whose `look` is its service address, `http://192.168.90.4/onvif/device_service`. `now_ms`: UTC milliseconds, for
/// cameras that tell their time to nobody who is not logged in; others are logged in to by their own clock, however wrong.
pub async fn profiles(door: &Camera, now_ms: i64) -> Result<Vec<Profile>, Fault> {
    let silent = || Fault::Silent { camera: door.id().to_owned(), silent_ms: SETUP_MS_MAX };
    timeout(Duration::from_millis(SETUP_MS_MAX), asked(door, now_ms)).await.unwrap_or_else(|_| Err(silent()))
}

async fn asked(camera: &Camera, now_ms: i64) -> Result<Vec<Profile>, Fault> {
    let malformed = |what| Fault::Malformed { camera: camera.id().to_owned(), what };
    let mut door = Door::open(camera, now_ms).await?;
    let media = media(&mut door, camera).await?.ok_or_else(|| malformed("the address of its media service"))?;
    let answer = door.ask(&media, "<GetProfiles xmlns=\"http://www.onvif.org/ver10/media/wsdl\"/>").await?;
    let mut profiles = Vec::new();
    for node in answer.all("Profiles").into_iter().take(PROFILES_MAX) {
        let Some(token) = node.attribute("token") else { continue };
        let token = xml::escaped(token);
        let uri = format!(
            "<GetStreamUri xmlns=\"http://www.onvif.org/ver10/media/wsdl\"><StreamSetup>\
             <Stream xmlns=\"http://www.onvif.org/ver10/schema\">RTP-Unicast</Stream>\
             <Transport xmlns=\"http://www.onvif.org/ver10/schema\"><Protocol>RTSP</Protocol></Transport>\
             </StreamSetup><ProfileToken>{token}</ProfileToken></GetStreamUri>"
        );
        let answer = door.ask(&media, &uri).await?;
        let Some(look) = answer.text("Uri").and_then(|uri| own(camera, uri, &["rtsp", "rtsps"])) else {
            return Err(malformed("the address of its video, which must be its own"));
        };
        let uri = format!(
            "<GetSnapshotUri xmlns=\"http://www.onvif.org/ver10/media/wsdl\"><ProfileToken>{token}</ProfileToken></GetSnapshotUri>"
        );
        // Not every camera has stills.
        let snapshot = match door.ask(&media, &uri).await {
            Ok(answer) => answer.text("Uri").and_then(|uri| own(camera, uri, &["http", "https"])),
            Err(Fault::Answered { .. } | Fault::Malformed { .. }) => None,
            Err(fault) => return Err(fault),
        };
        let encoder = node.first("VideoEncoderConfiguration");
        let text = |name| encoder.and_then(|node| node.text(name)).unwrap_or_default().to_owned();
        profiles.push(Profile {
            name: node.text("Name").unwrap_or_default().to_owned(),
            encoding: text("Encoding"),
            width: text("Width").parse().unwrap_or(0),
            height: text("Height").parse().unwrap_or(0),
            look,
            snapshot,
        });
    }
    Ok(profiles)
}

/// Where the media service is: asked the old way, which every camera knows, then the new one.
async fn media(door: &mut Door<'_>, camera: &Camera) -> Result<Option<Spot>, Fault> {
    let old = "<GetCapabilities xmlns=\"http://www.onvif.org/ver10/device/wsdl\"><Category>Media</Category></GetCapabilities>";
    let found = match door.ask(&camera.look, old).await {
        Ok(answer) => answer.first("Media").and_then(|media| media.text("XAddr")).map(str::to_owned),
        Err(Fault::Answered { .. }) => None,
        Err(fault) => return Err(fault),
    };
    let found = match found {
        Some(found) => Some(found),
        None => {
            let new = "<GetServices xmlns=\"http://www.onvif.org/ver10/device/wsdl\">\
                       <IncludeCapability>false</IncludeCapability></GetServices>";
            let answer = door.ask(&camera.look, new).await?;
            let is_media = |node: &&Node| node.text("Namespace") == Some("http://www.onvif.org/ver10/media/wsdl");
            let services = answer.all("Service");
            services.iter().copied().find(is_media).and_then(|service| service.text("XAddr")).map(str::to_owned)
        }
    };
    // It shares the door's port and TLS: a camera has one way in.
    let path =
        found.and_then(|found| address(camera.look.address.ip(), &found, &["http", "https"])).map(|url| path(&url));
    Ok(path.map(|path| Spot { path, ..camera.look.clone() }))
}

/// `text` as an address of the camera's own, written anew. `None`: it is another's, or none.
fn own(camera: &Camera, text: &str, schemes: &[&str]) -> Option<String> {
    let ip = camera.look.address.ip();
    let url = address(ip, text, schemes)?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    Some(format!("{}://{host}{port}{}", url.scheme(), path(&url)))
}

fn address(ip: IpAddr, text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    let host = url.host_str()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (schemes.contains(&url.scheme()) && host.parse() == Ok(ip)).then_some(url)
}

fn path(url: &Url) -> String {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = url.path();
    format!("{}{path}{query}", if path.starts_with('/') { "" } else { "/" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_prints_no_password() {
        let look = "rtsp://192.168.90.4/live?pw=geheim".to_owned();
        let snapshot = Some("http://192.168.90.4/snap?pw=geheim".to_owned());
        let profile =
            Profile { name: "p".to_owned(), encoding: "H264".to_owned(), width: 0, height: 0, look, snapshot };
        let printed = format!("{profile:?}");
        assert!(!printed.contains("geheim") && printed.contains("http://192.168.90.4\""), "{printed}");
    }
}
