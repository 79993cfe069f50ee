//! How such a receiver is judged over TLS, and who hears nothing.

use super::super::super::tests::tls::{House, house};
use super::*;

fn secure(peer: &Peer, house: &House) -> ReceiverConfig {
    let dir = house.dir.path();
    ReceiverConfig {
        cert: Some(dir.join("gw.pem")),
        key: Some(dir.join("gw.key")),
        ..of_this_kind(tests::patient("bad", &format!("tls:{}", peer.address())))
    }
}

/// Held back from everybody who is not the receiver: the good one takes the alarm.
async fn is_passed_by(tls: &CentreTls, receiver: impl Fn(&Peer) -> ReceiverConfig) -> String {
    let peer = Peer::over_tls(tls).await;
    let (mut stage, _centre) = with_backup(receiver(&peer)).await;
    stage.dispatcher.owe(notice("a1", 1));
    let hear = tokio::spawn(async move { peer.line().await.until(">").await });
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), TAKEN_BY_GOOD);
    let why = stage.path("bad", false).await;
    assert!(!hear.is_finished(), "something was said to a stranger");
    hear.abort();
    why
}

#[tokio::test]
async fn a_pinned_key_is_told_whatever_the_name_and_an_ended_certificate_too() {
    for ended in [false, true] {
        let house = house("else.where", ended);
        let peer = Peer::over_tls(&house.centre).await;
        let pinned = ReceiverConfig { pins: vec![house.pin.clone()], ..secure(&peer, &house) };
        let mut stage = Stage::new(config(vec![pinned]));
        stage.dispatcher.owe(notice("a1", 1));
        alarm(&peer).await.answer("alarmresponse", 0).await;
        stage.accepted("a1").await;
        let told = stage.heard.iter().filter(|r| matches!(r, Report::Certificate { ended: Some(_), .. })).count();
        assert_eq!(told, usize::from(ended), "{:?}", stage.heard);
    }
}

#[tokio::test]
async fn an_unpinned_key_and_a_wrong_name_hear_nothing() {
    let (right, other) = (house("127.0.0.1", false), house("else.where", false));
    let unpinned = |peer: &Peer| ReceiverConfig { pins: vec![right.pin.clone()], ..secure(peer, &other) };
    let why = is_passed_by(&other.centre, unpinned).await;
    assert!(why.contains(&other.pin), "{why}");
    let misnamed = |peer: &Peer| ReceiverConfig { ca: Some(other.dir.path().join("ca.pem")), ..secure(peer, &other) };
    let why = is_passed_by(&other.centre, misnamed).await;
    assert!(why.contains("not valid for name"), "{why}");
}

#[tokio::test]
async fn closed_in_the_middle_of_tls_is_passed_by() {
    let house = house("127.0.0.1", false);
    let peer = Peer::new().await;
    let pinned = ReceiverConfig { pins: vec![house.pin.clone()], ..secure(&peer, &house) };
    let (mut stage, _centre) = with_backup(pinned).await;
    stage.dispatcher.owe(notice("a1", 1));
    let cut = tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        loop {
            // Half of its hello, and gone.
            let mut stream = peer.bare().await;
            let _ = stream.read_exact(&mut [0; 32]).await;
        }
    });
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), TAKEN_BY_GOOD);
    stage.path("bad", false).await;
    cut.abort();
}
