//! A camera as a technician set it up, judged before anything is sent.
//!
//! Enters: addresses as camera manuals write them (`rtsp://192.168.90.4/stream2`, `https://192.168.90.4/snap.jpg`). Leaves: a
//! [`Camera`], or why it is unfit.
//! Invariant: a [`Camera`] has one address, an IP literal in an allowed network; TLS always has a pin; the password is never shown.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::Url;
use zeroize::Zeroizing;

use crate::{Fault, Net, Pin, View, limits, net};

/// A password: zeroed when dropped, never shown.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(password: String) -> Self {
        Secret(Zeroizing::new(password))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a technician sets up. Its `Debug` leaves out user, path and query of the addresses: there, too, cameras take passwords.
#[derive(Clone)]
pub struct Setup {
    /// Stands in faults.
    pub id: String,
    /// Where a look goes: `rtsp://`, `rtsps://` (H.264), `http://` or `https://` (MJPEG or a still picture: the answer tells which).
    /// The host is an IP address.
    pub look: String,
    /// Where a still picture is had, if not by `look`: for checks, for the veil and for viewers without H.264. The same host.
    pub snapshot: Option<String>,
    pub user: String,
    pub password: Secret,
    /// The camera's key: needed where an address says `https` or `rtsps`. [`crate::pin_of`] tells it.
    pub pin: Option<Pin>,
    /// How long the camera may need to wake, in milliseconds: until then it may refuse without a fault.
    pub wake_ms: u32,
    /// Networks in which a camera may stand; [`Net::private`] where nothing else was agreed.
    pub allowed: Vec<Net>,
    pub waits: Waits,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("id", &self.id)
            .field("look", &place(&self.look))
            .field("snapshot", &self.snapshot.as_deref().map(place))
            .field("user", &self.user)
            .field("password", &self.password)
            .field("pin", &self.pin)
            .field("wake_ms", &self.wake_ms)
            .field("allowed", &self.allowed)
            .field("waits", &self.waits)
            .finish()
    }
}

/// Scheme, host and port of an address, for `Debug`.
pub(crate) fn place(text: &str) -> String {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let Some(url) = url else { return "(no address)".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// How long to wait for a camera at most, in milliseconds. The defaults are [`limits`]' own; tests take shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    pub connect_ms: u64,
    pub silence_ms: u64,
    /// Between two stills.
    pub still_pause_ms: u64,
    /// Least time between two pictures of a stream.
    pub picture_pause_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Waits {
            connect_ms: limits::CONNECT_MS_MAX,
            silence_ms: limits::SILENCE_MS_MAX,
            still_pause_ms: limits::STILL_PAUSE_MS,
            picture_pause_ms: limits::PICTURE_PAUSE_MS,
        }
    }
}

/// Why a set-up is no camera.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("reading {key} of camera {camera}: {reason}; write it as {example}")]
    Address { camera: String, key: &'static str, reason: String, example: &'static str },
    #[error("placing camera {camera} at {address}: {reason}; give it an address in one of {allowed}")]
    Place { camera: String, address: IpAddr, reason: &'static str, allowed: String },
    #[error("pairing look and snapshot of camera {camera}: they name two hosts; a camera has one")]
    TwoHosts { camera: String },
    #[error("using TLS with camera {camera}: there is no pin; accept its certificate first, or write http or rtsp")]
    NoPin { camera: String },
    #[error("waking camera {camera}: wake_ms is {wake_ms}, the most is {}", limits::WAKE_MS_MAX)]
    Wake { camera: String, wake_ms: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Rtsp,
}

/// One address of a camera: where to connect, and what to ask for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub scheme: Scheme,
    pub tls: bool,
    pub address: SocketAddr,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Without its path, as [`Setup`]'s.
impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spot { scheme, tls, address, path: _ } = self;
        write!(f, "{scheme:?}{} {address}", if *tls { " by TLS" } else { "" })
    }
}

/// A camera that may be looked through.
#[derive(Debug, Clone)]
pub struct Camera {
    id: String,
    pub(crate) look: Spot,
    pub(crate) snapshot: Option<Spot>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) pin: Option<Pin>,
    pub(crate) wake_ms: u32,
    pub(crate) waits: Waits,
}

impl Camera {
    /// Judges a set-up; nothing is sent.
    pub fn new(setup: Setup) -> Result<Camera, Unfit> {
        crate::wiping::wipe_from_now_on();
        let Setup { id, look, snapshot, user, password, pin, wake_ms, allowed, waits } = setup;
        let look = spot(&id, "look", &look, &allowed)?;
        let snapshot = snapshot.map(|text| spot(&id, "snapshot", &text, &allowed)).transpose()?;
        if let Some(snapshot) = &snapshot {
            if snapshot.scheme == Scheme::Rtsp {
                let reason = "a still picture is had by HTTP".to_owned();
                return Err(Unfit::Address { camera: id, key: "snapshot", reason, example: HTTP_EXAMPLE });
            }
            if snapshot.address.ip() != look.address.ip() {
                return Err(Unfit::TwoHosts { camera: id });
            }
        }
        let tls = look.tls || snapshot.as_ref().is_some_and(|spot| spot.tls);
        if tls && pin.is_none() {
            return Err(Unfit::NoPin { camera: id });
        }
        if wake_ms > limits::WAKE_MS_MAX {
            return Err(Unfit::Wake { camera: id, wake_ms });
        }
        Ok(Camera { id, look, snapshot, user, password, pin, wake_ms, waits })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether a look of this kind is possible.
    pub fn can(&self, view: View) -> bool {
        match view {
            View::Veiled | View::Clear => self.pictures().is_some(),
            View::Video => self.look.scheme == Scheme::Rtsp,
        }
    }

    /// No picture came within the longest silence.
    pub(crate) fn silent(&self) -> Fault {
        Fault::Silent { camera: self.id.clone(), silent_ms: self.waits.silence_ms }
    }

    /// Where pictures are had one by one.
    pub(crate) fn pictures(&self) -> Option<&Spot> {
        match self.look.scheme {
            Scheme::Http => Some(&self.look),
            Scheme::Rtsp => self.snapshot.as_ref(),
        }
    }
}

const HTTP_EXAMPLE: &str = "http://192.168.90.4/snap.jpg";
const RTSP_EXAMPLE: &str = "rtsp://192.168.90.4:554/stream2";

fn spot(camera: &str, key: &'static str, text: &str, allowed: &[Net]) -> Result<Spot, Unfit> {
    let example = if key == "look" { RTSP_EXAMPLE } else { HTTP_EXAMPLE };
    let bad = |reason: &str| Unfit::Address { camera: camera.to_owned(), key, reason: reason.to_owned(), example };
    let url = Url::parse(text).map_err(|e| bad(&e.to_string()))?;
    let (scheme, tls, port) = match url.scheme() {
        "http" => (Scheme::Http, false, 80),
        "https" => (Scheme::Http, true, 443),
        "rtsp" => (Scheme::Rtsp, false, 554),
        "rtsps" => (Scheme::Rtsp, true, 322),
        _ => return Err(bad("its scheme is none of rtsp, rtsps, http, https")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("user and password stand in keys of their own"));
    }
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let ip: IpAddr = host.parse().map_err(|_| bad("its host is no IP address"))?;
    if let Some(reason) = net::refusal(ip, allowed) {
        let allowed = allowed.iter().map(Net::to_string).collect::<Vec<_>>().join(", ");
        return Err(Unfit::Place { camera: camera.to_owned(), address: ip, reason, allowed });
    }
    let address = SocketAddr::new(ip, url.port().unwrap_or(port));
    if address.port() == 0 {
        return Err(bad("its port is 0"));
    }
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push('?');
        path.push_str(query);
    }
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    if path.len() > limits::PATH_BYTES_MAX || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("its path is too long, or has characters that a path has not"));
    }
    Ok(Spot { scheme, tls, address, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(look: &str, snapshot: Option<&str>) -> Setup {
        Setup {
            id: "c1".to_owned(),
            look: look.to_owned(),
            snapshot: snapshot.map(str::to_owned),
            user: String::new(),
            password: Secret::new("geheim".to_owned()),
            pin: None,
            wake_ms: 0,
            allowed: Net::private(),
            waits: Waits::default(),
        }
    }

    #[test]
    fn addresses_are_taken_as_manuals_write_them() {
        for (look, address, path) in [
            ("rtsp://192.168.90.4/Streaming/Channels/102", "192.168.90.4:554", "/Streaming/Channels/102"),
            ("http://192.168.90.4:8080/cgi?a=1&b=2", "192.168.90.4:8080", "/cgi?a=1&b=2"),
            ("rtsp://[fd00:90::4]", "[fd00:90::4]:554", "/"),
            ("http://192.168.90.4", "192.168.90.4:80", "/"),
        ] {
            let camera = Camera::new(setup(look, None)).unwrap_or_else(|unfit| panic!("{unfit}"));
            assert_eq!(
                (camera.look.address.to_string().as_str(), camera.look.path.as_str()),
                (address, path),
                "{look}"
            );
        }
        let both =
            Camera::new(setup("rtsp://192.168.90.4/live", Some("http://192.168.90.4:81/snap.jpg"))).expect("a camera");
        assert!([View::Veiled, View::Clear, View::Video].iter().all(|view| both.can(*view)));
    }

    #[test]
    fn no_password_is_printed_wherever_a_maker_has_it_written() {
        for look in [
            "rtsp://192.168.90.4/live?user=vaka&pw=geheim",
            "rtsp://192.168.90.4/user=vaka_password=geheim_channel=1",
            "rtsp://vaka:geheim@192.168.90.4/live",
            "vaka:geheim@192.168.90.4",
        ] {
            let setup = setup(look, Some(look));
            let printed = format!("{setup:?} {:?}", Camera::new(Setup { snapshot: None, ..setup.clone() }));
            assert!(!printed.contains("geheim"), "{printed}");
            assert!(look.starts_with("vaka") || printed.contains("rtsp://192.168.90.4"), "{printed}");
        }
    }

    #[test]
    fn what_is_no_camera_is_refused_and_says_the_fix() {
        let pinned = |look: &str| Setup { pin: Some(Pin([0; 32])), ..setup(look, None) };
        assert!(
            Camera::new(pinned("https://192.168.90.4/")).is_ok()
                && Camera::new(pinned("rtsps://192.168.90.4/")).is_ok()
        );
        for (what, unfit, says) in [
            ("a name", setup("rtsp://camera.local/live", None), "no IP address"),
            ("no address", setup("camera", None), "write it as"),
            ("another scheme", setup("file:///etc/passwd", None), "none of rtsp"),
            ("a password in it", setup("rtsp://u:geheim@192.168.90.4/", None), "keys of their own"),
            ("this machine", setup("http://127.0.0.1/", None), "outside the networks"),
            ("this machine in hexadecimal", setup("http://0x7f000001/", None), "outside the networks"),
            ("the internet", setup("http://93.184.216.34/", None), "outside the networks"),
            ("a cloud's metadata", setup("http://169.254.169.254/latest", None), "link-local"),
            ("many", setup("rtsp://239.1.1.1/", None), "many machines"),
            ("a disguise", setup("http://[::ffff:192.168.90.4]/", None), "in disguise"),
            ("a port of 0", setup("http://192.168.90.4:0/", None), "port is 0"),
            ("two hosts", setup("rtsp://192.168.90.4/", Some("http://192.168.90.5/")), "two hosts"),
            ("video as a still", setup("rtsp://192.168.90.4/", Some("rtsp://192.168.90.4/")), "by HTTP"),
            ("TLS without a pin", setup("https://192.168.90.4/", None), "no pin"),
            (
                "a camera that sleeps deep",
                Setup { wake_ms: limits::WAKE_MS_MAX + 1, ..setup("rtsp://10.0.0.4/", None) },
                "wake_ms",
            ),
            (
                "a long path",
                setup(&format!("rtsp://10.0.0.4/{}", "a".repeat(limits::PATH_BYTES_MAX)), None),
                "too long",
            ),
        ] {
            let refused = Camera::new(unfit).expect_err(what).to_string();
            assert!(
                refused.contains(says) && refused.contains("c1") && !refused.contains("geheim"),
                "{what}: {refused}"
            );
        }
    }
}
