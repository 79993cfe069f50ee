//! How such a receiver is judged over TLS, and who hears nothing.

use super::super::super::tests::strangers::{self, known};
use super::super::super::tests::tls::house;
use super::*;

fn secure(peer: &Peer) -> ReceiverConfig {
    unpinged(of_this_kind(tests::patient("bad", &format!("https://{}/", peer.address()))))
}

#[tokio::test]
async fn a_client_certificate_alone_is_enough_and_an_ended_one_of_the_receiver_is_told() {
    for ended in [false, true] {
        let house = house("else.where", ended);
        let peer = Peer::over_tls(&house.centre).await;
        let unsigned = WebhookConfig { secrets: Vec::new(), ping: false, ..own() };
        let pins = vec![house.pin.clone()];
        let receiver = ReceiverConfig { pins, webhook: Some(unsigned), ..known(secure, &peer, &house) };
        let mut stage = Stage::new(config(vec![receiver]));
        stage.dispatcher.owe(notice("a1", 1));
        let mut line = peer.line().await;
        assert_eq!(alarm(&mut line).await.header("webhook-signature"), "");
        line.say(OK).await;
        received(&mut stage, "a1").await;
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
