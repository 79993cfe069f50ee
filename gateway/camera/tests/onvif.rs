//! Setting up by ONVIF: a camera that is not ours (ipycam), and answers that lie.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use support::*;
use vaka_camera::onvif::{Profile, discover, profiles};
use vaka_camera::{Camera, Fault};

/// 2026-11-22, in milliseconds.
const NOW_MS: i64 = 1_795_305_600_000;

fn now_ms() -> i64 {
    let output = Command::new("date").arg("+%s").output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().parse::<i64>().expect("a number") * 1_000
}

fn door(port: u16, password: &str) -> Camera {
    with_user(setup_slow(format!("http://127.0.0.1:{port}/onvif/device_service")), "vaka", password)
}

async fn ipycam(arguments: &[&str]) -> Option<Peer> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let venv = root.join("target/venv/bin/python");
    let python = std::env::var_os("VAKA_PYTHON").map_or(venv, Into::into);
    let find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('ipycam') is None)";
    if !Command::new(&python).args(["-c", find]).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new(python);
    command.arg(root.join("tests/peers/onvif_camera.py")).args(arguments);
    Some(started(command).await)
}

#[tokio::test]
async fn ipycam_tells_its_profiles_to_whom_it_knows() {
    let name = "ipycam_tells_its_profiles_to_whom_it_knows";
    let Some(peer) = ipycam(&["--user", "vaka", "--password", "geheim"]).await else {
        return println!("SKIP {name}: no peer: ipycam");
    };
    let told = profiles(&door(peer.port, "geheim"), now_ms()).await.expect("profiles");
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].name.as_str(), told[0].encoding.as_str()), ("MainStream", "H264"));
    assert!(told[0].width > told[1].width && told[1].width > 0, "{told:?}");
    assert!(told.iter().all(|profile| profile.look.starts_with("rtsp://127.0.0.1:")), "{told:?}");
    assert_eq!(told[0].snapshot, Some(format!("http://127.0.0.1:{}/snapshot.jpg", peer.port)));
    // What it tells is a set-up as it stands.
    let look = told[1].look.clone();
    Camera::new(vaka_camera::Setup { snapshot: told[1].snapshot.clone(), ..setup(look) }).expect("a camera");
    assert_eq!(profiles(&door(peer.port, "fel"), now_ms()).await.expect_err("a fault").word(), "refused");
}

#[tokio::test]
async fn a_camera_that_names_another_host_is_not_followed() {
    let name = "a_camera_that_names_another_host_is_not_followed";
    let Some(peer) = ipycam(&["--host", "192.0.2.7"]).await else {
        return println!("SKIP {name}: no peer: ipycam");
    };
    let fault = profiles(&door(peer.port, ""), now_ms()).await.expect_err("a fault");
    assert_eq!(fault.word(), "malformed", "{fault}");
}

#[tokio::test]
async fn ipycam_is_discovered() {
    let name = "ipycam_is_discovered";
    let Some(peer) = ipycam(&["--discovery"]).await else { return println!("SKIP {name}: no peer: ipycam") };
    let allowed = ["127.0.0.0/8".parse().expect("a network")];
    let found = discover([127, 0, 0, 1].into(), 1_500, &allowed).await.expect("a discovery");
    // Its configuration says its port only after it has bound one, and its answer follows.
    let doors: Vec<_> = found.cameras.iter().map(|camera| camera.door.as_str()).collect();
    assert_eq!(doors, [format!("http://127.0.0.1:{}/onvif/device_service", peer.port)]);
    let found = discover([127, 0, 0, 1].into(), 1_500, &vaka_camera::Net::private()).await.expect("a discovery");
    assert_eq!((found.cameras.len(), found.left_out > 0), (0, true), "outside what is allowed");
}

fn envelope(body: &str) -> Vec<u8> {
    ok("application/soap+xml", format!("<e:Envelope xmlns:e=\"a\"><e:Body>{body}</e:Body></e:Envelope>").as_bytes())
}

#[tokio::test]
async fn answers_are_read_whatever_their_prefixes_and_never_followed_elsewhere() {
    let elsewhere = scripted(|_, _| Reply::Keep(jpeg(ROOM))).await;
    let port = elsewhere.address.port();
    for (uri, fits) in [
        ("rtsp://user:pw@127.0.0.1:8554/live?a=1&amp;b=2", true),
        ("rtsp://127.0.0.2:8554/live", false),
        ("http://127.0.0.1/live", false),
        ("live", false),
        ("", false),
    ] {
        let peer = scripted_bodies(move |body| {
            let own = format!("http://127.0.0.1:{port}/onvif/media");
            let text = match body {
                _ if body.contains("GetSystemDateAndTime") => {
                    "<x:UTCDateTime><x:Date><x:Year>2001</x:Year></x:Date></x:UTCDateTime>".to_owned()
                }
                _ if body.contains("GetCapabilities") => format!("<q:Media><q:XAddr>{own}</q:XAddr></q:Media>"),
                _ if body.contains("GetProfiles") => "<Profiles token='a&quot;b'><Name>n</Name></Profiles>".to_owned(),
                _ if body.contains("GetStreamUri") => {
                    assert!(body.contains("<ProfileToken>a&quot;b</ProfileToken>"), "{body}");
                    format!("<y:Uri>{uri}</y:Uri>")
                }
                _ => return b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            envelope(&text)
        })
        .await;
        let told = profiles(&door(peer.address.port(), "geheim"), NOW_MS).await;
        if fits {
            let look = "rtsp://127.0.0.1:8554/live?a=1&b=2".to_owned();
            let profile =
                Profile { name: "n".to_owned(), encoding: String::new(), width: 0, height: 0, look, snapshot: None };
            assert_eq!(told, Ok(vec![profile]), "{uri}");
        } else {
            assert!(matches!(told, Err(Fault::Malformed { .. })), "{uri}: {told:?}");
        }
    }
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0, "its media service's port is the door's own");
}

#[tokio::test]
async fn damaged_answers_and_refusals_are_faults() {
    let deep = "<a>".repeat(100) + &"</a>".repeat(100);
    let entity = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a>&b;</a>".to_owned();
    let refused = "HTTP/1.1 400 Bad\r\nContent-Length: 30\r\n\r\n<Value>ter:NotAuthorized</Val>".to_owned();
    let xml = |text: String| String::from_utf8(ok("text/xml", text.as_bytes())).expect("text");
    for (what, answer, word) in [
        ("too deep", xml(deep), "malformed"),
        ("with entities of its own", xml(entity), "malformed"),
        ("cut", xml("<a><b></b>".to_owned()), "malformed"),
        ("none", xml(String::new()), "malformed"),
        ("refused in SOAP", refused, "refused"),
        (
            "elsewhere",
            "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "redirected",
        ),
    ] {
        let peer = scripted_bodies(move |_| answer.clone().into_bytes()).await;
        let told = profiles(&door(peer.address.port(), "geheim"), NOW_MS).await;
        assert_eq!(told.expect_err("a fault").word(), word, "{what}");
    }
}
