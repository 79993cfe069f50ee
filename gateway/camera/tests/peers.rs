//! Cameras that are not ours: GStreamer's RTSP server, lighttpd with digest, ffmpeg as MJPEG camera; ffmpeg judges what comes out.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::*;
use vaka_camera::{Camera, Frame, Net, Pin, Setup, State, View, check, pin_of};

const USER: &str = "vaka";
const PASSWORD: &str = "ett långt lösenord";

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers")
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let quiet =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Whether the peer of this test is missing; says so.
fn skips(test: &str, peer: &str, has: bool) -> bool {
    if !has {
        println!("SKIP {test}: no peer: {peer}");
    }
    !has
}

fn has_gstreamer() -> bool {
    let parts = "import gi; gi.require_version('GstRtspServer','1.0'); gi.require_version('Gst','1.0')\n\
                 from gi.repository import GstRtspServer, Gst; Gst.init(None)\n\
                 assert all(Gst.ElementFactory.find(n) for n in ('x264enc','rtph264pay','videotestsrc','x265enc'))";
    runs("/usr/bin/python3", &["-c", parts])
}

async fn gstreamer(arguments: &[&str]) -> Peer {
    let mut command = Command::new("/usr/bin/python3");
    command.arg(peers().join("rtsp_camera.py")).args(arguments);
    started(command).await
}

/// What ffmpeg says of a video: its pictures, counted by decoding them.
fn decoded(frames: &[Frame]) -> String {
    let mut ffprobe = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=codec_name,width,height,nb_read_frames",
        ])
        .args(["-of", "csv=p=0", "pipe:0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffprobe");
    let mut stdin = ffprobe.stdin.take().expect("its input");
    for frame in frames {
        match frame {
            Frame::Mp4Init { segment, .. } | Frame::Mp4Part { segment, .. } => {
                stdin.write_all(segment).expect("ffprobe reads")
            }
            Frame::Jpeg(_) => panic!("a picture in a video"),
        }
    }
    drop(stdin);
    let output = ffprobe.wait_with_output().expect("ffprobe ends");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn video_of_gstreamer_is_passed_on_whole_and_by_digest() {
    let name = "video_of_gstreamer_is_passed_on_whole_and_by_digest";
    if skips(name, "GStreamer's RTSP server", has_gstreamer()) || skips(name, "ffmpeg", runs("ffprobe", &["-version"]))
    {
        return;
    }
    let peer = gstreamer(&["--user", USER, "--password", PASSWORD]).await;
    let address = format!("rtsp://127.0.0.1:{}/stream2", peer.port);
    let camera = with_user(patient(address.clone()), USER, PASSWORD);
    let (frames, result) = some_frames(&camera, View::Video, 21).await;
    let ended = result.expect("a look");
    println!("first frame after {:?} ms", ended.first_ms);
    assert!(
        matches!(&frames[0], Frame::Mp4Init { mime, .. } if mime.starts_with("video/mp4; codecs=\"avc1.42")),
        "{:?}",
        frames[0]
    );
    assert!(matches!(frames[1], Frame::Mp4Part { is_key: true, .. }));
    assert_eq!(decoded(&frames), "h264,320,240,20");
    // A check of such a camera tells that video comes, and no more.
    let found = check(&camera, &[]).await.expect("a check");
    assert_eq!((found.state, found.reference), (State::Unjudged, None));
    // A wrong password, a wrong path.
    let wrong = with_user(setup_slow(address), USER, "fel");
    assert_eq!(some_frames(&wrong, View::Video, 1).await.1.expect_err("a fault").word(), "refused");
    let wrong = with_user(setup_slow(format!("rtsp://127.0.0.1:{}/other", peer.port)), USER, PASSWORD);
    let word = some_frames(&wrong, View::Video, 1).await.1.expect_err("a fault").word();
    assert_eq!(word, "answered");
}

#[tokio::test]
async fn gstreamer_that_asks_for_basic_hears_no_password() {
    let name = "gstreamer_that_asks_for_basic_hears_no_password";
    if skips(name, "GStreamer's RTSP server", has_gstreamer()) {
        return;
    }
    let peer = gstreamer(&["--user", USER, "--password", PASSWORD, "--method", "basic"]).await;
    let camera = with_user(setup_slow(format!("rtsp://127.0.0.1:{}/stream2", peer.port)), USER, PASSWORD);
    assert_eq!(some_frames(&camera, View::Video, 1).await.1.expect_err("a fault").word(), "password_in_clear");
}

#[tokio::test]
async fn gstreamer_that_ends_or_has_no_h264_is_a_fault() {
    let name = "gstreamer_that_ends_or_has_no_h264_is_a_fault";
    if skips(name, "GStreamer's RTSP server", has_gstreamer()) {
        return;
    }
    let video = |port| Camera::new(setup_slow(format!("rtsp://127.0.0.1:{port}/stream2"))).expect("a camera");
    let peer = gstreamer(&["--frames", "10"]).await;
    let word = some_frames(&video(peer.port), View::Video, 1_000).await.1.expect_err("a fault").word();
    assert!(matches!(word, "ended" | "silent"), "{word}");
    for codec in ["h265", "jpeg"] {
        let peer = gstreamer(&["--codec", codec]).await;
        let word = some_frames(&video(peer.port), View::Video, 1).await.1.expect_err("a fault").word();
        assert_eq!(word, "no_video", "{codec}");
    }
}

/// A key and a self-signed certificate in one file, as both servers read it.
fn pem(folder: &Path) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(vec!["camera".to_owned()]).expect("a certificate");
    let path = folder.join("camera.pem");
    std::fs::write(&path, made.cert.pem() + &made.signing_key.serialize_pem()).expect("a file");
    path
}

fn loopback() -> [Net; 1] {
    ["127.0.0.0/8".parse().expect("a network")]
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn gstreamer_with_tls_is_known_by_its_key() {
    let name = "gstreamer_with_tls_is_known_by_its_key";
    if skips(name, "GStreamer's RTSP server", has_gstreamer()) {
        return;
    }
    let folder = folder();
    let pem = pem(folder.path());
    let peer = gstreamer(&["--user", USER, "--password", PASSWORD, "--pem", pem.to_str().expect("a path")]).await;
    let address = ([127, 0, 0, 1], peer.port).into();
    let pin = pin_of("c1", address, &loopback(), vaka_camera::Waits::default()).await.expect("its key");
    let of_pin =
        |pin| with_user(Setup { pin: Some(pin), ..setup_slow(format!("rtsps://{address}/stream2")) }, USER, PASSWORD);
    let (frames, result) = some_frames(&of_pin(pin), View::Video, 3).await;
    assert_eq!(frames.len(), 3, "{result:?}");
    let word = some_frames(&of_pin(Pin([0; 32])), View::Video, 1).await.1.expect_err("a fault").word();
    assert_eq!(word, "changed_certificate");
}

/// lighttpd as a camera: digest, a still and an MJPEG stream by ffmpeg; TLS on a second port.
struct Web {
    _peer: Peer,
    _folder: tempfile::TempDir,
    http: u16,
    https: u16,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

async fn lighttpd() -> Web {
    let folder = folder();
    let root = folder.path().display();
    let (http, https) = (free_port(), free_port());
    let pem = pem(folder.path());
    let realm = "camera";
    let hash = |algorithm: &str| {
        let text = format!("{USER}:{realm}:{PASSWORD}");
        match algorithm {
            "md5" => support::hex(&support::md5(text.as_bytes())),
            _ => support::hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
        }
    };
    std::fs::write(folder.path().join("users"), format!("{USER}:{realm}:{}\n", hash("sha256"))).expect("a file");
    std::fs::write(folder.path().join("users.md5"), format!("{USER}:{realm}:{}\n", hash("md5"))).expect("a file");
    std::fs::create_dir(folder.path().join("www")).expect("a folder");
    std::fs::write(folder.path().join("www/snap.jpg"), ROOM).expect("a file");
    std::fs::create_dir(folder.path().join("www/md5")).expect("a folder");
    std::fs::write(folder.path().join("www/md5/snap.jpg"), ROOM).expect("a file");
    let stream = "#!/bin/sh\nprintf 'Content-Type: multipart/x-mixed-replace;boundary=ffmpeg\\r\\n\\r\\n'\n\
                  exec ffmpeg -v quiet -re -f lavfi -i testsrc=size=320x240:rate=10 -c:v mjpeg -f mpjpeg -\n";
    std::fs::write(folder.path().join("www/live.cgi"), stream).expect("a file");
    let config = format!(
        "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_cgi\", \"mod_openssl\")\n\
         server.document-root = \"{root}/www\"\nserver.bind = \"127.0.0.1\"\nserver.port = {http}\n\
         server.stream-response-body = 2\n\
         mimetype.assign = (\".jpg\" => \"image/jpeg\")\ncgi.assign = (\".cgi\" => \"/bin/sh\")\n\
         $SERVER[\"socket\"] == \"127.0.0.1:{https}\" {{ ssl.engine = \"enable\"\nssl.pemfile = \"{}\" }}\n\
         auth.backend = \"htdigest\"\nauth.backend.htdigest.userfile = \"{root}/users\"\n\
         auth.require = (\"/\" => (\"method\" => \"digest\", \"algorithm\" => \"SHA-256\", \"realm\" => \"{realm}\", \"require\" => \"valid-user\"))\n\
         $HTTP[\"url\"] =~ \"^/md5/\" {{ auth.backend.htdigest.userfile = \"{root}/users.md5\"\n\
         auth.require = (\"/\" => (\"method\" => \"digest\", \"algorithm\" => \"MD5\", \"realm\" => \"{realm}\", \"require\" => \"valid-user\")) }}\n",
        pem.display()
    );
    let path = folder.path().join("lighttpd.conf");
    std::fs::write(&path, config).expect("a file");
    let child = Command::new("/usr/sbin/lighttpd")
        .arg("-D")
        .arg("-f")
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .expect("lighttpd");
    Web { _peer: Peer { child, stdin: None, port: http }, _folder: folder, http, https }
}

fn has_web() -> bool {
    runs("/usr/sbin/lighttpd", &["-v"]) && runs("ffmpeg", &["-version"])
}

#[tokio::test]
async fn stills_and_mjpeg_behind_digest_and_tls() {
    let name = "stills_and_mjpeg_behind_digest_and_tls";
    if skips(name, "lighttpd and ffmpeg", has_web()) {
        return;
    }
    let web = lighttpd().await;
    let http = |path: &str| format!("http://127.0.0.1:{}{path}", web.http);
    for path in ["/snap.jpg", "/md5/snap.jpg"] {
        let still = with_user(Setup { waits: waits_slow(), ..patient(http(path)) }, USER, PASSWORD);
        let (frames, result) = some_frames(&still, View::Clear, 3).await;
        result.expect(path);
        assert!(frames.iter().all(|frame| matches!(frame, Frame::Jpeg(jpeg) if **jpeg == *ROOM)), "{path}");
        // lighttpd's file never changes: a camera whose picture stands still.
        let awake = with_user(Setup { waits: waits_slow(), ..setup_slow(http(path)) }, USER, PASSWORD);
        assert_eq!(check(&awake, &[]).await.expect("a check").state, State::Frozen);
    }
    let live = with_user(patient(http("/live.cgi")), USER, PASSWORD);
    for view in [View::Clear, View::Veiled] {
        let (frames, result) = some_frames(&live, view, 3).await;
        result.expect("a look");
        assert_eq!(frames.len(), 3);
    }
    assert_eq!(check(&live, &[]).await.expect("a check").state, State::Well);
    let wrong = with_user(setup_slow(http("/snap.jpg")), USER, "fel");
    assert_eq!(some_frames(&wrong, View::Clear, 1).await.1.expect_err("a fault").word(), "refused");
    // The same by TLS.
    let address = ([127, 0, 0, 1], web.https).into();
    let pin = pin_of("c1", address, &loopback(), vaka_camera::Waits::default()).await.expect("its key");
    let secure = Setup { pin: Some(pin), ..patient(format!("https://{address}/live.cgi")) };
    let (frames, result) = some_frames(&with_user(secure, USER, PASSWORD), View::Clear, 3).await;
    assert_eq!(frames.len(), 3, "{result:?}");
}

fn waits_slow() -> vaka_camera::Waits {
    vaka_camera::Waits { still_pause_ms: 10, ..vaka_camera::Waits::default() }
}

#[tokio::test]
async fn ffmpeg_is_a_camera_too() {
    let name = "ffmpeg_is_a_camera_too";
    if skips(name, "ffmpeg", runs("ffmpeg", &["-version"])) {
        return;
    }
    let port = free_port();
    let child = Command::new("ffmpeg")
        .args([
            "-v",
            "quiet",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=320x240:rate=10",
            "-c:v",
            "mjpeg",
            "-f",
            "mpjpeg",
        ])
        .args(["-content_type", "multipart/x-mixed-replace;boundary=ffmpeg", "-listen", "1"])
        .arg(format!("http://127.0.0.1:{port}/live"))
        .stdin(Stdio::null())
        .spawn()
        .expect("ffmpeg");
    let _peer = Peer { child, stdin: None, port };
    let camera = Camera::new(patient(format!("http://127.0.0.1:{port}/live"))).expect("a camera");
    let (frames, result) = some_frames(&camera, View::Veiled, 3).await;
    result.expect("a look");
    assert_eq!(frames.len(), 3);
}
