//! Video by RTSP from cameras that a test scripts: what a broken or false one may not do.

mod support;

use std::sync::{Arc, Mutex};

use support::rtsp::*;
use support::*;
use vaka_camera::{Camera, Fault, Frame, Setup, View, Waits, limits};

async fn video_fault(look: String) -> Fault {
    fault_of(setup(look)).await
}

async fn fault_of(setup: Setup) -> Fault {
    let camera = Camera::new(setup).expect("a camera");
    some_frames(&camera, View::Video, 1_000).await.1.expect_err("a fault")
}

#[tokio::test]
async fn a_picture_comes_as_a_beginning_and_a_part() {
    // Before the first key picture nothing is shown; what is lost takes everything with it up to the next one.
    let between = |number, at| rtp(number, at, true, &[0x41, 0x9a, 1, 2, 3]);
    let packets =
        [between(1, 0), key(2, 9_000), between(3, 18_000), between(5, 27_000), between(6, 36_000), key(7, 45_000)]
            .concat();
    let peer = scripted(move |request, _| plays(request, SDP, &packets, true)).await;
    let camera = Camera::new(setup(format!("rtsp://{}/stream2", peer.address))).expect("a camera");
    let (frames, result) = some_frames(&camera, View::Video, 4).await;
    result.expect("a look");
    let kinds: Vec<&str> = frames
        .iter()
        .map(|frame| match frame {
            Frame::Mp4Init { mime, .. } => mime.as_str(),
            Frame::Mp4Part { is_key: true, .. } => "key",
            Frame::Mp4Part { .. } => "part",
            Frame::Jpeg(_) => "jpeg",
        })
        .collect();
    assert_eq!(kinds, ["video/mp4; codecs=\"avc1.42C00D\"", "key", "part", "key"]);
}

#[tokio::test]
async fn broken_video_is_a_fault_with_its_own_word() {
    let cut = key(1, 0)[..10].to_vec();
    let damaged_sets = SDP.replace("Z0LADdkBQfsBEAAAAwAQAAADAUDxQqSA", "Z/////////8=");
    for (what, sdp, packets, hangs, word) in [
        ("ends in the middle of a picture", SDP, cut.clone(), false, "ended"),
        ("falls silent in the middle of a picture", SDP, cut, true, "silent"),
        ("falls silent after one", SDP, key(1, 0), true, "silent"),
        ("sends damaged H.264", SDP, rtp(1, 0, true, &[0x7c]), true, "malformed"),
        ("sends no RTP", SDP, b"$\0\0\x04abcd".to_vec(), true, "malformed"),
        ("sends no RTSP", SDP, b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), true, "malformed"),
        ("asks us", SDP, b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec(), true, "malformed"),
        (
            "has sound alone",
            "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=c\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\n",
            vec![],
            true,
            "no_video",
        ),
        ("has H.265", &SDP.replace("H264", "H265"), vec![], true, "no_video"),
        ("describes nothing", "hello", vec![], true, "malformed"),
        ("has damaged parameters", &damaged_sets, key(1, 0), true, "malformed"),
    ] {
        let sdp = sdp.to_owned();
        let peer = scripted(move |request, _| plays(request, &sdp, &packets, hangs)).await;
        let fault = video_fault(format!("rtsp://{}/stream2", peer.address)).await;
        assert_eq!(fault.word(), word, "{what}: {fault}");
    }
}

#[tokio::test]
async fn what_never_becomes_a_picture_is_bounded() {
    let piece = vec![0x55; 60_000];
    // Pieces of one picture that never ends.
    let endless = |number: u16| {
        let begins = if number == 0 { 0x80 } else { 0 };
        rtp(number, 9_000, false, &[&[0x7c, 0x05 | begins], piece.as_slice()].concat())
    };
    // What may stand before a picture, at ever new times, each said to end one: the library gathers it as one picture's.
    let before = |number: u16| rtp(number, u32::from(number) * 9_000, true, &[&[0x06], piece.as_slice()].concat());
    // The same behind a slice, in one unit with it.
    let behind = |number: u16| {
        rtp(number, u32::from(number) * 9_000, true, &[&[0x41, 1, 0, 0, 1, 6], piece.as_slice()].concat())
    };
    for (what, packets) in [
        ("one picture", (0..40).flat_map(endless).collect::<Vec<u8>>()),
        ("no picture", (0..40).flat_map(before).collect()),
        ("no picture in disguise", (0..40).flat_map(behind).collect()),
    ] {
        let peer = scripted(move |request, _| plays(request, SDP, &packets, true)).await;
        // Long enough to read two megabytes on a busy machine.
        let waits = Waits { silence_ms: 3_000, ..waits() };
        let fault = fault_of(Setup { waits, ..setup(format!("rtsp://{}/stream2", peer.address)) }).await;
        assert_eq!(fault.word(), "too_large", "{what}: {fault}");
    }
}

#[tokio::test]
async fn bytes_without_a_picture_are_silence() {
    // A key picture, then one with a loss before it, then for ever what is not the video's.
    let begin = [key(1, 0), rtp(3, 9_000, true, &[0x41, 0x9a, 1, 2, 3])].concat();
    let peer = scripted(move |request, _| match request.starts_with("PLAY") {
        true => Reply::Stream(
            [answer(request, "Session: 1\r\n"), begin.clone()].concat(),
            vec![b"$\x02\0\x04abcd".to_vec()],
        ),
        false => plays(request, SDP, &[], true),
    })
    .await;
    assert_eq!(video_fault(format!("rtsp://{}/stream2", peer.address)).await.word(), "silent");
}

#[tokio::test]
async fn parameters_of_a_picture_that_was_left_out_are_told_with_the_next_one() {
    // Another level: the fourth byte.
    let sps = [
        0x67, 0x42, 0xc0, 0x0e, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 1, 0x40, 0xf1, 0x42,
        0xa4, 0x80,
    ];
    let packets = [
        key(1, 0),
        // One before it was lost.
        rtp(3, 9_000, false, &sps),
        rtp(4, 9_000, false, &[0x68, 0xcb, 0x8c, 0xb2]),
        rtp(5, 9_000, true, &[0x41, 0x9a, 1, 2, 3]),
        key(6, 18_000),
    ]
    .concat();
    let peer = scripted(move |request, _| plays(request, SDP, &packets, true)).await;
    let camera = Camera::new(setup(format!("rtsp://{}/stream2", peer.address))).expect("a camera");
    let (frames, _) = some_frames(&camera, View::Video, 4).await;
    let mimes: Vec<&str> = frames
        .iter()
        .filter_map(|frame| match frame {
            Frame::Mp4Init { mime, .. } => Some(mime.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(mimes, ["video/mp4; codecs=\"avc1.42C00D\"", "video/mp4; codecs=\"avc1.42C00E\""]);
}

#[tokio::test]
async fn statuses_become_faults_and_a_redirect_is_not_followed() {
    for (status, more, word) in [
        (302, "Location: rtsp://127.0.0.1:9/elsewhere\r\n", "redirected"),
        (401, "WWW-Authenticate: Basic realm=\"c\"\r\n", "password_in_clear"),
        (401, "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\"\r\n", "refused"),
        (403, "", "refused"),
        (404, "", "answered"),
        (453, "", "answered"),
    ] {
        let heard = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&heard);
        let peer = scripted(move |request, _| {
            hears.lock().expect("a lock").push_str(request);
            let text = String::from_utf8(answer(request, more)).expect("text");
            Reply::Keep(text.replace("200 OK", &format!("{status} No")).into_bytes())
        })
        .await;
        let camera = with_user(setup(format!("rtsp://{}/stream2?x=1", peer.address)), "vaka", "geheim");
        let fault = some_frames(&camera, View::Video, 1).await.1.expect_err("a fault");
        assert_eq!(fault.word(), word, "{status}: {fault}");
        let heard = heard.lock().expect("a lock").clone();
        assert!(heard.starts_with(&format!("DESCRIBE rtsp://{}/stream2?x=1 RTSP/1.0\r\n", peer.address)), "{heard}");
        assert!(!heard.contains("geheim") && !heard.contains("Basic"), "{heard}");
    }
}

#[tokio::test]
async fn an_address_elsewhere_in_its_answers_stays_the_cameras_own() {
    let heard = Arc::new(Mutex::new(String::new()));
    let hears = Arc::clone(&heard);
    let sdp = SDP.replace("a=control:track1", "a=control:rtsp://192.0.2.1:9/elsewhere/track1");
    let peer = scripted(move |request, _| {
        hears.lock().expect("a lock").push_str(request);
        plays(request, &sdp, &key(1, 0), true)
    })
    .await;
    let camera = Camera::new(setup(format!("rtsp://{}/stream2", peer.address))).expect("a camera");
    assert_eq!(some_frames(&camera, View::Video, 2).await.0.len(), 2);
    let heard = heard.lock().expect("a lock").clone();
    assert!(heard.contains(&format!("SETUP rtsp://{}/elsewhere/track1 RTSP/1.0", peer.address)), "{heard}");
    assert!(!heard.contains("192.0.2.1"), "{heard}");
}

#[tokio::test]
async fn a_camera_that_wakes_is_waited_for() {
    let peer = scripted(|request, count| match count {
        0 => Reply::Close(Vec::new()),
        1 => {
            let text = String::from_utf8(answer(request, "")).expect("text");
            Reply::Keep(text.replace("200 OK", "503 Waking").into_bytes())
        }
        _ => plays(request, SDP, &key(1, 0), true),
    })
    .await;
    let waking = Setup { wake_ms: 20_000, ..setup(format!("rtsp://{}/stream2", peer.address)) };
    let (frames, _) = some_frames(&Camera::new(waking).expect("a camera"), View::Video, 2).await;
    assert_eq!(frames.len(), 2);
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_refused() {
    let head = format!("RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: {}\r\n\r\n", limits::TEXT_BYTES_MAX + 1);
    let peer = scripted(move |_, _| Reply::Hang(head.clone().into_bytes())).await;
    assert_eq!(video_fault(format!("rtsp://{}/", peer.address)).await.word(), "too_large");
    let peer = scripted(|_, _| Reply::Hang(vec![b'R'; limits::HEAD_BYTES_MAX * 2])).await;
    assert_eq!(video_fault(format!("rtsp://{}/", peer.address)).await.word(), "malformed");
}
