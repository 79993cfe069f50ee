//! DC-09 receivers on loopback, beside others: what one of them does leaves the rest working; and how they are judged over TLS.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::config::Dc09Config;
use super::super::dc09::frame::checksum;
use super::tls::{House, file, house};
use super::*;

fn dc09(name: &str, url: &str) -> ReceiverConfig {
    let dc09 = Some(Dc09Config::new("1234"));
    ReceiverConfig { kind: ReceiverKind::Dc09, dc09, ..receiver(name, url) }
}

fn patient_dc09(name: &str, url: &str) -> ReceiverConfig {
    ReceiverConfig { received_deadline_ms: 20_000, accepted_deadline_ms: 40_000, ..dc09(name, url) }
}

fn url(scheme: &str, listener: &TcpListener) -> String {
    format!("{scheme}:{}", listener.local_addr().unwrap())
}

/// Acknowledges whatever it can read.
async fn acknowledges(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut frame = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        frame.push(byte);
        if byte == b'\r' {
            let text = String::from_utf8(std::mem::take(&mut frame)).unwrap();
            let number = &text.split('"').nth(2).unwrap()[..4];
            let body = format!("\"ACK\"{number}R0L0#1234[]");
            let answer = format!("\n{:04X}0{:03X}{body}\r", checksum(body.as_bytes()), body.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A receiver over TLS; it counts the handshakes that came to their end.
fn serve(listener: TcpListener, house: &House) -> watch::Receiver<u32> {
    let certificate = CertificateDer::from_pem_slice(&house.centre.cert_pem).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&house.centre.key_pem).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                count.send_modify(|count| *count += 1);
                tokio::spawn(acknowledges(stream));
            }
        }
    });
    counted
}

#[tokio::test]
async fn an_alarm_climbs_to_accepted_in_one_step() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stage = Stage::new(config(vec![patient_dc09("arc", &url("tcp", &listener))]));
    tokio::spawn(async move { acknowledges(listener.accept().await.unwrap().0).await });
    stage.path("arc", true).await;
    for alarm in ["a1", "a2", "a3"] {
        stage.dispatcher.owe(notice(alarm, 1));
        stage.accepted(alarm).await;
        assert_eq!(stage.rungs(alarm), ["sent@arc", "received@arc", "accepted@arc"]);
    }
}

/// Each of these takes TCP connections and then does its worst.
async fn misbehave(how: usize, mut stream: TcpStream) {
    let mut bytes = [0; 2_048];
    match how {
        // Says nothing, and keeps it open.
        0 => while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {},
        1 => drop(stream),
        2 => {
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(b"\x00\xffgarbage\r\n\r\n").await;
        }
        3 => {
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(b"\nA1B20014\"ACK\"0001").await;
        }
        // Garbage without an end, and never reads.
        _ => while stream.write_all(&[b'\n'; 1]).await.is_ok() && stream.write_all(&[b'x'; 1_024]).await.is_ok() {},
    }
}

#[tokio::test]
async fn whatever_one_receiver_does_the_next_has_the_alarm() {
    for how in 0..5 {
        for scheme in ["tcp", "tls"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let bad = ReceiverConfig { pins: vec!["00".repeat(32)], ..dc09("bad", &url(scheme, &listener)) };
            let bad = if scheme == "tls" { bad } else { ReceiverConfig { pins: Vec::new(), ..bad } };
            let task = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(misbehave(how, stream));
                }
            });
            let centre = Centre::start(None).await.unwrap();
            let mut stage = Stage::new(config(vec![bad, patient("good", &centre.url())]));
            for alarm in ["a1", "a2"] {
                stage.dispatcher.owe(notice(alarm, 1));
                stage.accepted(alarm).await;
                assert!(stage.rungs(alarm).contains(&"accepted@good".to_owned()), "{how} {scheme}: {:?}", stage.heard);
                assert!(!stage.rungs(alarm).contains(&"accepted@bad".to_owned()));
            }
            assert_eq!(centre.taken().len(), 2);
            task.abort();
        }
    }
}

#[tokio::test]
async fn over_tls_a_pinned_key_is_taken_also_when_its_certificate_has_ended() {
    for (name, expired) in [("else.where", false), ("127.0.0.1", true)] {
        let house = house(name, expired);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pinned = ReceiverConfig { pins: vec![house.pin.clone()], ..patient_dc09("arc", &url("tls", &listener)) };
        serve(listener, &house);
        let mut stage = Stage::new(config(vec![pinned]));
        stage.dispatcher.owe(notice("a1", 1));
        stage.accepted("a1").await;
        let told = stage.heard.iter().filter(|r| matches!(r, Report::Certificate { ended: Some(_), .. })).count();
        assert_eq!(told, usize::from(expired), "{:?}", stage.heard);
    }
}

#[tokio::test]
async fn over_tls_a_wrong_name_another_key_and_another_authority_are_refused_and_nothing_is_told() {
    let (named, home, other, ended) =
        (house("else.where", false), house("127.0.0.1", false), house("127.0.0.1", false), house("127.0.0.1", true));
    let ca = |house: &House| file(house.dir.path(), "ca.pem");
    let cases = [
        (&named, ReceiverConfig { ca: ca(&named), ..patient_dc09("arc", "") }, "not valid for name"),
        (&home, ReceiverConfig { pins: vec![other.pin.clone()], ..patient_dc09("arc", "") }, home.pin.as_str()),
        (&home, ReceiverConfig { ca: ca(&other), ..patient_dc09("arc", "") }, "invalid peer certificate"),
        (&ended, ReceiverConfig { ca: ca(&ended), ..patient_dc09("arc", "") }, "expired"),
    ];
    for (house, receiver, says) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = ReceiverConfig { url: url("tls", &listener), ..receiver };
        let handshakes = serve(listener, house);
        let mut stage = Stage::new(config(vec![receiver]));
        stage.dispatcher.owe(notice("a1", 1));
        let why = stage.path("arc", false).await;
        assert!(why.contains(says), "{says}: {why}");
        assert!(stage.rungs("a1").is_empty(), "{:?}", stage.heard);
        assert_eq!(*handshakes.borrow(), 0);
    }
}
