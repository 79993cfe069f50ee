//! Pictures by HTTP: what a camera gives, and what a broken or false one may not do.

mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::*;
use tokio::time::Instant;
use vaka_camera::{Camera, Fault, Frame, Net, Setup, View, Why, frames, limits, look, pin_of};

fn bytes(frame: &Frame) -> &[u8] {
    match frame {
        Frame::Jpeg(jpeg) => jpeg,
        other => panic!("not a picture: {other:?}"),
    }
}

#[tokio::test]
async fn stills_come_one_after_the_other_as_they_are() {
    let peer = scripted(|_, count| Reply::Keep(jpeg(if count % 2 == 0 { ROOM } else { ROOM_AGAIN }))).await;
    let (taken, result) = some_frames(&camera(peer.address), View::Clear, 3).await;
    assert_eq!(taken.iter().map(bytes).collect::<Vec<_>>(), [ROOM, ROOM_AGAIN, ROOM]);
    assert_eq!(result.expect("a look").why, Why::Left, "the viewer had seen enough");
}

#[tokio::test]
async fn mjpeg_comes_part_by_part_whatever_its_form() {
    let boundary_only = [b"--frame\r\n\r\n".as_slice(), ROOM, b"\r\n--frame\r\n\r\n", ROOM, b"\r\n"].concat();
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunked_head = MJPEG.replace("boundary=frame", "boundary=\"--frame\"\r\nTransfer-Encoding: chunked");
    for (head, pieces) in [
        (MJPEG.to_owned(), vec![part(ROOM)]),
        (format!("{MJPEG}not for us\r\n"), vec![boundary_only]),
        (chunked_head, part(ROOM).chunks(1_000).map(chunk).collect()),
    ] {
        let what = head.clone();
        let peer = scripted(move |_, _| Reply::Stream(head.clone().into_bytes(), pieces.clone())).await;
        let (taken, result) = some_frames(&camera(peer.address), View::Clear, 3).await;
        assert!(result.is_ok(), "{what}: {result:?}");
        assert_eq!(taken.iter().map(bytes).collect::<Vec<_>>(), [ROOM; 3], "{what}");
    }
}

#[tokio::test]
async fn a_veiled_look_lets_nothing_of_the_picture_through() {
    let peer = scripted(|_, _| Reply::Stream(MJPEG.into(), vec![part(ROOM)])).await;
    let (taken, result) = some_frames(&camera(peer.address), View::Veiled, 2).await;
    result.expect("a look");
    for frame in &taken {
        let veiled = bytes(frame);
        assert!(veiled.len() < 4_000, "{} bytes", veiled.len());
        assert!(veiled.starts_with(&[0xff, 0xd8]) && veiled.ends_with(&[0xff, 0xd9]));
        assert!(!ROOM.windows(20).any(|slice| veiled.windows(20).any(|own| own == slice)), "a piece of the picture");
    }
}

#[tokio::test]
async fn a_look_is_over_at_its_moment_whatever_the_camera_does() {
    let peer = scripted(|_, _| Reply::Stream(MJPEG.into(), vec![part(ROOM)])).await;
    let (sink, mut shown) = frames();
    let until = Instant::now() + Duration::from_secs(2);
    let camera = camera(peer.address);
    let (result, first) = tokio::join!(look(&camera, View::Clear, until, &sink), shown.next());
    let ended = result.expect("a look");
    assert_eq!(ended.why, Why::Expired);
    assert!(Instant::now() >= until);
    assert!(first.is_some() && ended.passed == 1 && ended.lost > 0, "one was taken, the rest is left out: {ended:?}");
    assert!(ended.first_ms.is_some());
    drop(sink);
    assert!(shown.next().await.is_none(), "nothing is had after its moment");
}

#[tokio::test]
async fn a_look_at_nothing_is_a_fault_and_no_quiet_end() {
    let peer = scripted(|_, _| Reply::Hang(Vec::new())).await;
    let (sink, _shown) = frames();
    let result = look(&camera(peer.address), View::Clear, Instant::now() + Duration::from_millis(50), &sink).await;
    assert_eq!(result.expect_err("nothing was seen").word(), "silent");
}

#[tokio::test]
async fn broken_cameras_are_faults_with_their_own_words() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let longer = String::from_utf8_lossy(&jpeg(b"")).replace("Length: 0", "Length: 9999").into_bytes();
    let large_8k = {
        // The room's own bytes, but its header says 7680 x 4320.
        let mut large = ROOM.to_vec();
        let at = large.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame's header");
        large[at + 5..at + 9].copy_from_slice(&[0x10, 0xe0, 0x1e, 0x00]);
        large
    };
    let too_long = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        limits::PICTURE_BYTES_MAX + 1
    );
    let long_part = format!("{MJPEG}--frame\r\nContent-Length: {}\r\n\r\n", limits::PICTURE_BYTES_MAX + 1);
    let shorter = String::from_utf8_lossy(&jpeg(b"")).replace("Length: 0", "Length: 100").into_bytes();
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
    for (what, bytes, word) in [
        ("drops in the middle of a still", cut(jpeg(ROOM)), "ended"),
        ("drops in the middle of a part", cut([MJPEG.as_bytes(), &part(ROOM)].concat()), "ended"),
        ("states more bytes than it sends", [longer, ROOM.to_vec()].concat(), "ended"),
        ("states fewer bytes than it sends", [shorter, ROOM.to_vec()].concat(), "malformed"),
        ("states two lengths", two_lengths.into(), "malformed"),
        ("sends 8K", jpeg(&large_8k), "too_large"),
        ("states a still beyond the bound", too_long.into(), "too_large"),
        ("states a part beyond the bound", long_part.into(), "too_large"),
        ("sends no JPEG", jpeg(b"<html>"), "malformed"),
        ("sends a page", ok("text/html", b"<html>"), "malformed"),
        ("sends no HTTP", b"220 camera FTP\r\n\r\n".to_vec(), "malformed"),
        ("has nothing there", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), "answered"),
        ("is busy", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec(), "answered"),
        ("ends at once", Vec::new(), "ended"),
    ] {
        let peer = scripted(move |_, _| Reply::Close(bytes.clone())).await;
        let fault = fault(&camera(peer.address)).await;
        assert_eq!(fault.word(), word, "{what}: {fault}");
        assert!(fault.to_string().contains("camera c1"), "{fault}");
    }
}

#[tokio::test]
async fn a_damaged_picture_is_found_where_it_is_decoded() {
    let mut damaged = ROOM.to_vec();
    damaged.truncate(700);
    damaged.extend_from_slice(&[0xff, 0xd9]);
    let at = damaged.windows(2).position(|pair| pair == [0xff, 0xc4]).expect("a table");
    damaged[at + 5..at + 30].fill(0xff);
    let peer = scripted(move |_, _| Reply::Keep(jpeg(&damaged))).await;
    let (_, result) = some_frames(&camera(peer.address), View::Veiled, 1).await;
    assert_eq!(result.expect_err("a fault").word(), "malformed");
}

#[tokio::test]
async fn silence_is_a_fault_at_every_step() {
    for (what, bytes) in [
        ("before the answer", Vec::new()),
        ("in its head", b"HTTP/1.1 200".to_vec()),
        ("in a still", jpeg(ROOM)[..600].to_vec()),
        ("in a part", [MJPEG.as_bytes(), &part(ROOM)[..600]].concat()),
    ] {
        let peer = scripted(move |_, _| Reply::Hang(bytes.clone())).await;
        assert_eq!(
            fault(&camera(peer.address)).await,
            Fault::Silent { camera: "c1".to_owned(), silent_ms: 300 },
            "{what}"
        );
    }
}

#[tokio::test]
async fn bytes_without_a_picture_are_silence() {
    let begin = [MJPEG.as_bytes(), &part(ROOM)].concat();
    let peer = scripted(move |_, _| Reply::Stream(begin.clone(), vec![b"not for us\r\n".to_vec()])).await;
    let (frames, result) = some_frames(&camera(peer.address), View::Clear, 2).await;
    assert_eq!((frames.len(), result.expect_err("a fault").word()), (1, "silent"));
}

#[tokio::test]
async fn a_redirect_is_refused_and_nobody_else_is_asked() {
    let elsewhere = scripted(|_, _| Reply::Keep(jpeg(ROOM))).await;
    let location = elsewhere.address;
    let peer = scripted(move |_, _| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n");
        Reply::Keep(head.into_bytes())
    })
    .await;
    assert_eq!(fault(&camera(peer.address)).await.word(), "redirected");
    assert_eq!(elsewhere.requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_camera_that_is_off_is_down_and_one_that_wakes_is_waited_for() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    assert_eq!(fault(&camera(address)).await.word(), "path_down");
    // Busy twice, then awake.
    let peer = scripted(|_, count| {
        let busy = b"HTTP/1.1 503 Waking\r\nContent-Length: 0\r\n\r\n".to_vec();
        Reply::Keep(if count < 2 { busy } else { jpeg(ROOM) })
    })
    .await;
    let waking = Setup { wake_ms: 20_000, ..setup(format!("http://{}/", peer.address)) };
    let (taken, _) = some_frames(&Camera::new(waking).expect("a camera"), View::Clear, 1).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(peer.requests.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_password_is_given_by_digest_alone() {
    for (demand, word) in [("Basic realm=\"c\"", "password_in_clear"), ("Bearer", "malformed")] {
        let heard = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&heard);
        let peer = scripted(move |request, _| {
            hears.lock().expect("a lock").push_str(request);
            Reply::Keep(
                format!("HTTP/1.1 401 No\r\nWWW-Authenticate: {demand}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            )
        })
        .await;
        let camera = with_user(setup(format!("http://{}/", peer.address)), "vaka", "geheim");
        assert_eq!(fault(&camera).await.word(), word);
        let heard = heard.lock().expect("a lock").clone();
        assert!(!heard.to_lowercase().contains("authorization"), "{heard}");
    }
    // Where both are offered, it is the stronger digest; a wrong password is refused once, not tried for ever.
    let peer = scripted(|request, _| {
        if request.contains("Authorization") {
            assert!(request.contains("SHA-256") && !request.contains("geheim") && !request.contains("Basic"), "{request}");
        }
        let demand = "WWW-Authenticate: Basic realm=\"c\"\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\"\r\n\
                      WWW-Authenticate: Digest realm=\"c\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
        Reply::Keep(format!("HTTP/1.1 401 No\r\n{demand}Content-Length: 0\r\n\r\n").into_bytes())
    })
    .await;
    let camera = with_user(setup(format!("http://{}/", peer.address)), "vaka", "geheim");
    assert_eq!(fault(&camera).await.word(), "refused");
    assert_eq!(peer.requests.load(Ordering::SeqCst), 2);
    assert!(!format!("{camera:?}").contains("geheim"), "{camera:?}");
}

#[tokio::test]
async fn a_pinned_key_is_accepted_and_any_other_refused() {
    let (acceptor, pin) = identity();
    let peer = scripted_with(Some(acceptor), |_, _| Reply::Keep(jpeg(ROOM))).await;
    let allowed = ["127.0.0.0/8".parse().expect("a network")];
    assert_eq!(pin_of("c1", peer.address, &allowed, waits()).await, Ok(pin), "what a technician accepts");
    let refused = pin_of("c1", peer.address, &Net::private(), waits()).await.expect_err("outside");
    assert!(refused.to_string().contains("outside the networks"), "{refused}");
    let of_pin = |pin| Camera::new(Setup { pin, ..setup(format!("https://{}/", peer.address)) });
    let (taken, _) = some_frames(&of_pin(Some(pin)).expect("a camera"), View::Clear, 1).await;
    assert_eq!(taken.len(), 1);
    let asked = peer.requests.load(Ordering::SeqCst);
    let (_, other) = identity();
    assert_eq!(fault(&of_pin(Some(other)).expect("a camera")).await.word(), "changed_certificate");
    assert_eq!(peer.requests.load(Ordering::SeqCst), asked, "nothing was asked of it");
    assert!(of_pin(None).is_err(), "no TLS without a pin");
    // A plain camera where TLS is wanted.
    let plain = scripted(|_, _| Reply::Keep(jpeg(ROOM))).await;
    let camera =
        Camera::new(Setup { pin: Some(pin), ..setup(format!("https://{}/", plain.address)) }).expect("a camera");
    assert!(matches!(fault(&camera).await.word(), "tls" | "path_down"));
}

#[tokio::test]
async fn frames_show_their_length_alone() {
    let peer = scripted(|_, _| Reply::Keep(jpeg(ROOM))).await;
    let (taken, _) = some_frames(&camera(peer.address), View::Clear, 1).await;
    assert_eq!(format!("{taken:?}"), format!("[Jpeg({} bytes)]", ROOM.len()));
}
