//! Checks without a picture leaving: what a camera shows, judged by a state.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use support::rtsp::*;
use support::*;
use vaka_camera::{Camera, Checked, Fault, Reference, Setup, State, View, check};

const PERSON: &[u8] = include_bytes!("data/person.jpg");
const TURNED: &[u8] = include_bytes!("data/turned.jpg");
const DARK: &[u8] = include_bytes!("data/dark.jpg");
const COVERED: &[u8] = include_bytes!("data/covered.jpg");
// With the time and a name written into them, as most cameras do.
const DARK_CLOCK: &[u8] = include_bytes!("data/dark-clock.jpg");
const COVERED_CLOCK: &[u8] = include_bytes!("data/covered-clock.jpg");
const ROOM_CLOCKS: [&[u8]; 2] = [include_bytes!("data/room-clock-1.jpg"), include_bytes!("data/room-clock-2.jpg")];

/// What a check finds in these, in turns.
async fn checked(pictures: &'static [&'static [u8]], references: &[Reference]) -> Checked {
    let peer = scripted(move |_, count| Reply::Keep(jpeg(pictures[count % pictures.len()]))).await;
    check(&camera(peer.address), references).await.expect("a check")
}

#[tokio::test]
async fn each_state_is_told_from_the_others() {
    let accepted = checked(&[ROOM, ROOM_AGAIN], &[]).await;
    assert_eq!(accepted.state, State::Well);
    let reference = accepted.reference.expect("a reference");
    for (what, pictures, state) in [
        ("the same room", &[ROOM_AGAIN, ROOM] as &'static [&'static [u8]], State::Well),
        ("somebody lies in bed", &[ROOM, PERSON], State::Well),
        ("the same picture again and again", &[ROOM], State::Frozen),
        ("the same picture under a clock that goes on", &ROOM_CLOCKS, State::Frozen),
        ("dark", &[DARK], State::Dark),
        ("dark, and a clock", &[DARK_CLOCK], State::Dark),
        ("covered", &[COVERED], State::Covered),
        ("covered, and a clock", &[COVERED_CLOCK], State::Covered),
        ("turned", &[TURNED, ROOM, TURNED, TURNED], State::Moved),
    ] {
        assert_eq!(checked(pictures, &[reference]).await.state, state, "{what}");
    }
    let turned = checked(&[ROOM, TURNED], &[]).await.reference.expect("a reference");
    assert_eq!(checked(&[ROOM, TURNED], &[reference, turned]).await.state, State::Well, "one of two is enough");
    let read: Reference = reference.to_string().parse().expect("a reference");
    assert_eq!(read, reference);
    assert!("00".parse::<Reference>().is_err() && "é".repeat(48).parse::<Reference>().is_err());
}

#[tokio::test]
async fn a_stream_is_checked_as_stills_are() {
    let peer = scripted(|_, _| Reply::Stream(MJPEG.into(), vec![part(ROOM), part(ROOM_AGAIN), part(PERSON)])).await;
    assert_eq!(check(&camera(peer.address), &[]).await.expect("a check").state, State::Well);
}

#[tokio::test]
async fn a_camera_with_video_and_stills_is_checked_by_both_ways() {
    let stills = scripted(|_, count| Reply::Keep(jpeg([ROOM, ROOM_AGAIN][count % 2]))).await;
    let packets = [key(1, 0), key(2, 9_000), key(3, 18_000)].concat();
    let video = scripted(move |request, _| plays(request, SDP, &packets, true)).await;
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    let of = |video, stills| {
        let snapshot = Some(format!("http://{stills}/"));
        Camera::new(Setup { snapshot, ..setup(format!("rtsp://{video}/")) }).expect("a camera")
    };
    assert_eq!(check(&of(video.address, stills.address), &[]).await.expect("a check").state, State::Well);
    assert_eq!(check(&of(closed, stills.address), &[]).await.expect_err("a fault").word(), "path_down");
    assert_eq!(check(&of(video.address, closed), &[]).await.expect_err("a fault").word(), "path_down");
}

#[tokio::test]
async fn a_failed_check_is_a_fault_and_never_well() {
    let peer = scripted(|_, _| Reply::Keep(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
    assert!(matches!(check(&camera(peer.address), &[]).await, Err(Fault::Answered { status: 503, .. })));
    let peer = scripted(|_, count| if count == 0 { Reply::Keep(jpeg(ROOM)) } else { Reply::Hang(Vec::new()) }).await;
    assert_eq!(check(&camera(peer.address), &[]).await.expect_err("a fault").word(), "silent");
}

#[tokio::test]
async fn infrared_light_that_comes_on_while_the_camera_wakes_is_waited_for() {
    let count = AtomicUsize::new(0);
    let peer = scripted(move |_, _| {
        let at = count.fetch_add(1, Ordering::SeqCst);
        Reply::Keep(jpeg(if at < 6 { DARK } else { [ROOM, ROOM_AGAIN][at % 2] }))
    })
    .await;
    let setup = Setup { wake_ms: 30_000, ..setup(format!("http://{}/", peer.address)) };
    let found = check(&Camera::new(setup).expect("a camera"), &[]).await.expect("a check");
    assert_eq!(found.state, State::Well);
}

#[tokio::test]
async fn video_alone_can_be_neither_veiled_nor_shown_as_pictures() {
    let camera = Camera::new(setup("rtsp://127.0.0.1:9/stream".to_owned())).expect("a camera");
    assert!(camera.can(View::Video) && !camera.can(View::Veiled) && !camera.can(View::Clear));
    assert_eq!(some_frames(&camera, View::Veiled, 1).await.1.expect_err("a fault").word(), "no_pictures");
}
