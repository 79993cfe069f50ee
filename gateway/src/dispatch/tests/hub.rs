//! Hubs that are not what they should be: none of them holds up an alarm for the next receiver.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::tls::{House, file, house};
use super::*;

/// What a peer does with each connection.
#[derive(Clone, Copy)]
enum Does {
    /// Reads and says nothing.
    Nothing,
    /// Reads what comes first and answers with this.
    Answers(&'static [u8]),
    /// Reads what comes first and closes.
    Closes,
}

async fn peer(does: Does) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 512];
                let _ = stream.read(&mut bytes).await;
                match does {
                    Does::Closes => return,
                    Does::Nothing => {}
                    Does::Answers(words) => {
                        let _ = stream.write_all(words).await;
                    }
                }
                while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
            });
        }
    });
    address
}

/// A hub there, known by the house's authority.
fn hub(house: &House, address: SocketAddr) -> ReceiverConfig {
    let dir = house.dir.path();
    let url = format!("mqtts:{address}");
    ReceiverConfig {
        device: Some("gw-1".parse().expect("a device id")),
        cert: file(dir, "gw.pem"),
        key: file(dir, "gw.key"),
        ca: file(dir, "ca.pem"),
        received_deadline_ms: 200,
        accepted_deadline_ms: 400,
        ..ReceiverConfig::new("hub", ReceiverKind::Hub, &url)
    }
}

/// The alarm is with the next receiver, and the hub has proven nothing.
async fn is_overtaken(hub: ReceiverConfig) -> Stage {
    let centre = Centre::start(None).await.unwrap();
    let mut stage = Stage::new(config(vec![hub, patient("centre", &centre.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@centre", "received@centre", "accepted@centre"], "{:?}", stage.heard);
    stage.path("hub", false).await;
    stage
}

#[tokio::test]
async fn a_hub_that_is_silent_closes_or_speaks_nonsense_is_overtaken() {
    let house = house("127.0.0.1", false);
    for does in
        [Does::Nothing, Does::Closes, Does::Answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Does::Answers(&[0x16, 3])]
    {
        let stage = is_overtaken(hub(&house, peer(does).await)).await;
        let counted = &stage.dispatcher.counts()["hub"];
        assert!(counted.values().any(|over| over.get("path_lost") == Some(&1)), "{counted:?}");
    }
}

#[tokio::test]
async fn a_hub_that_is_none_or_somebody_else_is_told_nothing() {
    let (right, other, named) = (house("127.0.0.1", false), house("127.0.0.1", false), house("else.where", false));
    // An alarm centre in the hub's place: the right certificate, another protocol.
    let centre = Centre::start(Some(&right.centre)).await.unwrap();
    is_overtaken(hub(&right, centre.address())).await;
    assert_eq!(centre.count().alarms, 0);
    // The wrong authority, the wrong name, another key than the pinned one.
    is_overtaken(hub(&other, centre.address())).await;
    let elsewhere = Centre::start(Some(&named.centre)).await.unwrap();
    is_overtaken(hub(&named, elsewhere.address())).await;
    let pinned = ReceiverConfig { ca: None, pins: vec![other.pin.clone()], ..hub(&right, centre.address()) };
    is_overtaken(pinned).await;
}

#[tokio::test]
async fn an_ended_certificate_with_the_pinned_key_is_used_and_told() {
    let house = house("127.0.0.1", true);
    let acceptor = tokio_rustls::TlsAcceptor::from(crate::demo::centre::server_config(&house.centre).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut bytes = [0; 512];
        let _ = stream.read(&mut bytes).await;
        // CONNACK of MQTT 5: no session, success, no properties.
        stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
    });
    let pinned = ReceiverConfig { ca: None, pins: vec![house.pin.clone()], ..hub(&house, address) };
    let mut stage = Stage::new(config(vec![pinned]));
    stage.path("hub", true).await;
    // 2020-01-01.
    let told = |r: &&Report| matches!(r, Report::Certificate { ended: Some(1_577_836_800), .. });
    assert_eq!(stage.heard.iter().filter(told).count(), 1, "{:?}", stage.heard);
}

/// The serial number of what the peer showed.
fn serial(stream: &tokio_rustls::server::TlsStream<tokio::net::TcpStream>) -> Vec<u8> {
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
    x509_parser::parse_x509_certificate(shown).expect("X.509").1.raw_serial().to_vec()
}

#[tokio::test]
async fn a_renewed_certificate_takes_the_old_ones_place_at_the_hub_and_nobody_is_gone_meanwhile() {
    let house = house("127.0.0.1", false);
    let acceptor = tokio_rustls::TlsAcceptor::from(crate::demo::centre::server_config(&house.centre).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shown, serials) = std::sync::mpsc::channel();
    let heard = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let hears = heard.clone();
    tokio::spawn(async move {
        let connack: &[u8] = &[0x20, 3, 0, 0, 0];
        let mut bytes = [0; 2_048];
        let mut accept = async || {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            shown.send(serial(&stream)).unwrap();
            let _ = stream.read(&mut bytes).await;
            stream.write_all(connack).await.unwrap();
            stream
        };
        let mut first = accept().await;
        let mut second = accept().await;
        // As a hub does: the newer one takes the place, the older is told so and goes.
        first.write_all(&[0xe0, 2, 0x8e, 0]).await.unwrap();
        let mut rest = Vec::new();
        let _ = first.read_to_end(&mut rest).await;
        hears.lock().unwrap().push(rest);
        let mut said = Vec::new();
        while let Ok(length @ 1..) = second.read(&mut bytes).await {
            said.extend_from_slice(&bytes[..length]);
            hears.lock().unwrap().truncate(1);
            hears.lock().unwrap().push(said.clone());
        }
    });
    let patient = ReceiverConfig { received_deadline_ms: 20_000, accepted_deadline_ms: 40_000, ..hub(&house, address) };
    let config = config(vec![patient]);
    let mut stage = Stage::new(config.clone());
    stage.path("hub", true).await;
    house.renew();
    stage.dispatcher.reconfigure(config);
    super::tls::until(|| heard.lock().unwrap().len() == 1).await;
    stage.dispatcher.owe(notice("a1", 1));
    let is_told = |said: &[u8]| said.windows(5).any(|part| part == b"alarm");
    super::tls::until(|| heard.lock().unwrap().get(1).is_some_and(|said| is_told(said))).await;
    let heard = heard.lock().unwrap();
    assert!(!is_told(&heard[0]), "nothing is told on the one that goes");
    let serials: Vec<Vec<u8>> = serials.try_iter().collect();
    assert_eq!(serials.len(), 2);
    assert_eq!(serials[1], [super::tls::RENEWED_SERIAL as u8]);
    assert!(!stage.heard.iter().any(|r| matches!(r, Report::Path { up: false, .. })), "{:?}", stage.heard);
}

#[tokio::test]
async fn what_the_hub_says_it_has_stored_is_received_though_its_puback_waits() {
    let house = house("127.0.0.1", true);
    let acceptor = tokio_rustls::TlsAcceptor::from(crate::demo::centre::server_config(&house.centre).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let (mut bytes, mut heard) = ([0; 512], String::new());
        let _ = stream.read(&mut bytes).await;
        stream.write_all(&[0x20, 3, 0, 0, 0]).await.unwrap();
        let number = loop {
            let length = stream.read(&mut bytes).await.unwrap();
            heard.push_str(&String::from_utf8_lossy(&bytes[..length]));
            let digits = heard.split_once(r#""seq":"#).and_then(|(_, rest)| rest.split_once(','));
            if let Some((number, _)) = digits {
                break number.to_owned();
            }
        };
        // No PUBACK; a QoS 0 publish of the receipt instead.
        let payload = format!(
            r#"{{"v":1,"id":9,"expires_at":1895212405123,"command":{{"receipt":{{"restart":0,"seq":{number},"alarm":"x1","rung":"stored"}}}}}}"#
        );
        let topic = "vaka/v1/gw-1/command";
        let length = 2 + topic.len() + 1 + payload.len();
        let mut packet = vec![0x30, (length % 128) as u8 | 0x80, (length / 128) as u8, 0, topic.len() as u8];
        packet.extend_from_slice(topic.as_bytes());
        packet.push(0);
        packet.extend_from_slice(payload.as_bytes());
        stream.write_all(&packet).await.unwrap();
        while matches!(stream.read(&mut bytes).await, Ok(1..)) {}
    });
    let patient = ReceiverConfig { received_deadline_ms: 20_000, accepted_deadline_ms: 40_000, ..hub(&house, address) };
    let mut stage = Stage::new(config(vec![ReceiverConfig { ca: None, pins: vec![house.pin.clone()], ..patient }]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.until(|r| matches!(r, Report::Rung { rung: Rung::Received, .. })).await;
    assert_eq!(stage.rungs("a1"), ["sent@hub", "received@hub"]);
}
