//! A receiver that is asked, as seen over TLS: a stranger hears nothing, and the next receiver has the alarm.
//!
//! The kinds pass in how they reach a scripted peer; what they say to the right one is their own test.

use tokio::io::AsyncReadExt;

use super::scripted::Peer;
use super::tls::{House, house};
use super::{Stage, config, notice, patient};
use crate::demo::centre::{Centre, CentreTls};
use crate::dispatch::ReceiverConfig;

pub(in crate::dispatch) const TAKEN_BY_GOOD: [&str; 3] = ["sent@good", "received@good", "accepted@good"];

/// A stage with the scripted peer first and a good centre of another kind second.
pub(in crate::dispatch) async fn with_backup(first: ReceiverConfig) -> (Stage, Centre) {
    let centre = Centre::start(None).await.unwrap();
    let stage = Stage::new(config(vec![first, patient("good", &centre.url())]));
    (stage, centre)
}

/// With our certificate, as the kind's `secure` says the rest. Called `bad`.
pub(in crate::dispatch) fn known(
    secure: impl Fn(&Peer) -> ReceiverConfig,
    peer: &Peer,
    house: &House,
) -> ReceiverConfig {
    let dir = house.dir.path();
    ReceiverConfig { cert: Some(dir.join("gw.pem")), key: Some(dir.join("gw.key")), ..secure(peer) }
}

/// Held back from a peer that is not the receiver: the good one takes the alarm. Why it was held back.
async fn is_passed_by(tls: &CentreTls, receiver: impl Fn(&Peer) -> ReceiverConfig) -> String {
    let peer = Peer::over_tls(tls).await;
    let (mut stage, _centre) = with_backup(receiver(&peer)).await;
    stage.dispatcher.owe(notice("a1", 1));
    let trusted = tokio::spawn(async move { drop(peer.line().await) });
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), TAKEN_BY_GOOD);
    let why = stage.path("bad", false).await;
    assert!(!trusted.is_finished(), "a stranger was spoken to");
    trusted.abort();
    why
}

/// Another key than the pinned one, and another name than the certificate's.
pub(in crate::dispatch) async fn hear_nothing(secure: impl Fn(&Peer) -> ReceiverConfig) {
    let (right, other) = (house("127.0.0.1", false), house("else.where", false));
    let unpinned = |peer: &Peer| ReceiverConfig { pins: vec![right.pin.clone()], ..known(&secure, peer, &other) };
    let why = is_passed_by(&other.centre, unpinned).await;
    assert!(why.contains(&other.pin), "{why}");
    let ca = Some(other.dir.path().join("ca.pem"));
    let misnamed = |peer: &Peer| ReceiverConfig { ca: ca.clone(), ..known(&secure, peer, &other) };
    let why = is_passed_by(&other.centre, misnamed).await;
    assert!(why.contains("not valid for name"), "{why}");
}

/// A peer that reads half of our hello and is gone, every time.
pub(in crate::dispatch) async fn cut_in_the_middle_of_tls(secure: impl Fn(&Peer) -> ReceiverConfig) {
    let house = house("127.0.0.1", false);
    let peer = Peer::new().await;
    let pinned = ReceiverConfig { pins: vec![house.pin.clone()], ..known(&secure, &peer, &house) };
    let (mut stage, _centre) = with_backup(pinned).await;
    stage.dispatcher.owe(notice("a1", 1));
    let cut = tokio::spawn(async move {
        loop {
            let mut stream = peer.bare().await;
            let _ = stream.read_exact(&mut [0; 32]).await;
        }
    });
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), TAKEN_BY_GOOD);
    stage.path("bad", false).await;
    cut.abort();
}
