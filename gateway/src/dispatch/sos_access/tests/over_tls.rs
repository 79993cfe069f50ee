//! How such a receiver is judged over TLS, and who hears nothing.

use super::super::super::tests::strangers::{self, known};
use super::super::super::tests::tls::house;
use super::*;

fn secure(peer: &Peer) -> ReceiverConfig {
    of_this_kind(tests::patient("bad", &format!("tls:{}", peer.address())))
}

#[tokio::test]
async fn a_pinned_key_is_told_whatever_the_name_and_an_ended_certificate_too() {
    for ended in [false, true] {
        let house = house("else.where", ended);
        let peer = Peer::over_tls(&house.centre).await;
        let pinned = ReceiverConfig { pins: vec![house.pin.clone()], ..known(secure, &peer, &house) };
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
    strangers::hear_nothing(secure).await;
}

#[tokio::test]
async fn closed_in_the_middle_of_tls_is_passed_by() {
    strangers::cut_in_the_middle_of_tls(secure).await;
}
