//! Peers that are silent, broken, or wrong. Each is a script over one raw connection at a time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::scaip::xml::Fields;
use super::super::sip::{Decoder, Frame, Message, Start, write};
use super::*;

/// A scripted peer that listens on loopback.
struct Peer {
    listener: TcpListener,
}

/// One connection to a peer.
struct Line {
    stream: TcpStream,
    decoder: Decoder,
}

impl Peer {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn url(&self) -> String {
        format!("sip:{};transport=tcp", self.listener.local_addr().unwrap())
    }

    async fn line(&self) -> Line {
        let (stream, _) = self.listener.accept().await.unwrap();
        Line { stream, decoder: Decoder::new() }
    }
}

impl Line {
    /// The next message of any kind; `None` when the gateway has closed.
    async fn any(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next().expect("the gateway frames well") {
                match frame {
                    Frame::Message(message) => return Some(message),
                    other => panic!("the gateway sent {other:?}"),
                }
            }
            match self.stream.read(&mut buffer).await {
                Ok(count) if count > 0 => self.decoder.feed(&buffer[..count]),
                _ => return None,
            }
        }
    }

    /// The next alarm; heartbeats before it get their 200.
    async fn alarm(&mut self) -> Option<Message> {
        loop {
            let message = self.any().await?;
            if let Start::Response { .. } = message.start {
                continue;
            }
            if Fields::read(&message.body).unwrap().text("mty") == Some("PI") {
                self.say(&message, 200, "OK").await;
                continue;
            }
            return Some(message);
        }
    }

    async fn response(&mut self) -> u16 {
        loop {
            if let Start::Response { status, .. } = self.any().await.expect("a response").start {
                return status;
            }
        }
    }

    async fn say(&mut self, to: &Message, status: u16, reason: &str) {
        let bytes = write::answer(to, status, reason, "t").unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

fn reference_of(message: &Message) -> String {
    Fields::read(&message.body).unwrap().text("ref").unwrap().to_owned()
}

/// The centre's own MESSAGE with its answer, written by hand so that it owes nothing to the gateway's writer.
pub(super) fn mrs(reference: &str, snu: u32, more: &str) -> Vec<u8> {
    let body = format!("<mrs><ref>{reference}</ref><snu>{snu}</snu>{more}</mrs>\r\n");
    format!(
        "MESSAGE sip:gw SIP/2.0\r\nv: SIP/2.0/TCP proxy;branch=z9hG4bKp\r\nVia: SIP/2.0/TCP centre;branch=z9hG4bKc\r\n\
         f: <sip:arc>;tag=1\r\nt: <sip:gw>\r\ni: {reference}-{snu}\r\nCSeq: 1 MESSAGE\r\n\
         c: application/scaip+xml\r\nContent-Length:    {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A stage with the hostile peer first and a good centre second.
async fn with_backup(peer: &Peer) -> (Stage, Centre) {
    let centre = Centre::start(None).await.unwrap();
    let stage = Stage::new(config(vec![receiver("bad", &peer.url()), patient("good", &centre.url())]));
    (stage, centre)
}

#[tokio::test]
async fn silence_is_overtaken_by_the_next_receiver() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(&peer).await;
    let hold = tokio::spawn(async move { peer.line().await });
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@bad", "sent@good", "received@good", "accepted@good"]);
    let counted = &stage.dispatcher.counts()["bad"];
    assert!(counted.values().any(|over| over.get("not_received") == Some(&1)), "{counted:?}");
    drop(hold.await);
}

#[tokio::test]
async fn a_200_without_an_answer_is_received_and_no_more() {
    let peer = Peer::new().await;
    let (mut stage, _centre) = with_backup(&peer).await;
    let script = tokio::spawn(async move {
        let mut line = peer.line().await;
        let alarm = line.alarm().await.unwrap();
        line.say(&alarm, 202, "Accepted").await;
        (peer, line, reference_of(&alarm))
    });
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@bad", "received@bad", "sent@good", "received@good", "accepted@good"]);
    // Long after its deadline the answer comes, twice: it counts once.
    let (_peer, mut line, reference) = script.await.unwrap();
    for _ in 0..2 {
        line.raw(&mrs(&reference, 0, "<mre>1</mre><cre>62</cre><tnu>sip:op@c</tnu>")).await;
        assert_eq!(line.response().await, 200);
    }
    let late = stage.accepted("a1").await;
    assert!(
        matches!(late, Report::Rung { receiver, detail, .. } if receiver == "bad" && detail == "mre=1 cre=62 tnu=sip:op@c")
    );
    stage.dispatcher.owe(notice("a2", 1));
    stage.accepted("a2").await;
    assert_eq!(stage.rungs("a1").iter().filter(|r| *r == "accepted@bad").count(), 1);
}

#[tokio::test]
async fn garbage_and_half_messages_end_the_connection_not_the_alarm() {
    let breakers: [&[u8]; 5] = [
        b"\x00\xff\x13garbage\r\n\r\n",
        b"SIP/2.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"SIP/2.0 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: x\r\nContent-Len",
        b"MESSAGE sip:gw SIP/2.0\r\nVia: x\r\nContent-Length: 50\r\n\r\n<mrs><ref>",
    ];
    for bytes in breakers {
        let peer = Peer::new().await;
        let mut stage = Stage::new(config(vec![patient("c", &peer.url())]));
        stage.dispatcher.owe(notice("a1", 1));
        let mut line = peer.line().await;
        let first = line.alarm().await.unwrap();
        line.raw(bytes).await;
        // In the middle of its message the peer is gone; or the gateway gives the connection up.
        line.stream.shutdown().await.unwrap();
        while line.any().await.is_some() {}
        let mut line = peer.line().await;
        let again = line.alarm().await.unwrap();
        assert_eq!(reference_of(&first), reference_of(&again));
        assert_ne!(first.header("call-id"), again.header("call-id"));
        line.say(&again, 200, "OK").await;
        line.raw(&mrs(&reference_of(&again), 0, "")).await;
        stage.accepted("a1").await;
        assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
    }
}

#[tokio::test]
async fn bad_messages_are_answered_and_the_connection_lives_on() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer.url())]));
    let mut line = peer.line().await;
    let head = "Via: x;branch=1\r\nFrom: <sip:c>\r\nTo: <sip:g>\r\nCall-ID: 1\r\n";
    let bad = [
        (format!("MESSAGE  two-spaces SIP/2.0\r\n{head}CSeq: 1 MESSAGE\r\nl: 3\r\n\r\nabc"), 400),
        (format!("MESSAGE sip:gw@:5060 SIP/2.0\r\n{head}CSeq: 1 MESSAGE\r\nl: 3\r\n\r\nabc"), 400),
        (format!("INVITE sip:gw SIP/2.0\r\n{head}CSeq: 1 INVITE\r\nl: 0\r\n\r\n"), 405),
        (format!("MESSAGE sip:gw SIP/2.0\r\n{head}CSeq: 1 MESSAGE\r\nRequire: x\r\nl: 0\r\n\r\n"), 420),
        (format!("MESSAGE sip:gw SIP/2.0\r\n{head}CSeq: 1 MESSAGE\r\nl: 70000\r\n\r\n{}", "x".repeat(70_000)), 413),
        (String::from_utf8(mrs("unknown", 0, "")).unwrap(), 200),
    ];
    for (text, status) in bad {
        line.raw(text.as_bytes()).await;
        assert_eq!(line.response().await, status, "{}", &text[..40]);
    }
    line.raw(b"SIP/2.0 200 OK\r\nVia: x;branch=unknown\r\nCSeq: 1 MESSAGE\r\nl: 0\r\n\r\n\r\n\r\n").await;
    stage.dispatcher.owe(notice("a1", 1));
    // The pong is between messages; the alarm comes on the same connection.
    let alarm = line.alarm().await.unwrap();
    line.raw(&mrs(&reference_of(&alarm), 0, "")).await;
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
}

#[tokio::test]
async fn only_the_right_reference_accepts_and_the_answer_may_come_first() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let alarm = line.alarm().await.unwrap();
    let reference = reference_of(&alarm);
    line.raw(&mrs("0000000000000000", 0, "")).await;
    line.raw(&mrs(&reference.to_lowercase(), 0, "")).await;
    for _ in 0..2 {
        assert_eq!(line.response().await, 200);
    }
    assert_eq!(stage.rungs("a1").iter().filter(|r| r.starts_with("accepted")).count(), 0);
    // The answer, its repetition and the 200 in one piece.
    let mut bytes = mrs(&reference, 0, "");
    bytes.extend(mrs(&reference, 0, ""));
    bytes.extend(write::answer(&alarm, 200, "OK", "t").unwrap());
    line.raw(&bytes).await;
    stage.accepted("a1").await;
    for _ in 0..2 {
        assert_eq!(line.response().await, 200);
    }
    stage.dispatcher.owe(notice("a2", 1));
    let next = line.alarm().await.unwrap();
    line.raw(&mrs(&reference_of(&next), 0, "")).await;
    stage.accepted("a2").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
}

#[tokio::test]
async fn refusals_go_to_the_next_receiver_and_come_round_again() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let mut references = Vec::new();
    for status in [503, 404, 603, 486] {
        let alarm = line.alarm().await.unwrap();
        line.say(&alarm, status, "No").await;
        references.push(reference_of(&alarm));
    }
    for snu in [5, 6, 2, 99] {
        let alarm = line.alarm().await.unwrap();
        line.say(&alarm, 200, "OK").await;
        line.raw(&mrs(&reference_of(&alarm), snu, "<ste>nej</ste>")).await;
        references.push(reference_of(&alarm));
    }
    let alarm = line.alarm().await.unwrap();
    line.raw(b"SIP/2.0 100 Trying\r\nVia: ").await;
    line.raw(format!("{}\r\nCSeq: 1 MESSAGE\r\nl: 0\r\n\r\n", alarm.header("via").unwrap()).as_bytes()).await;
    line.say(&alarm, 200, "OK").await;
    line.raw(&mrs(&reference_of(&alarm), 0, "")).await;
    stage.accepted("a1").await;
    references.push(reference_of(&alarm));
    references.dedup();
    assert_eq!(references, [notice("a1", 1).reference]);
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
}

#[tokio::test]
async fn a_login_is_given_once_and_again_only_for_a_stale_nonce() {
    let peer = Peer::new().await;
    let mut with_login = patient("c", &peer.url());
    (with_login.user, with_login.password) = (Some("gw".into()), Some("hemligt".into()));
    let mut stage = Stage::new(config(vec![with_login]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let ask = |message: &Message, nonce: &str, more: &str| {
        let bytes = write::answer(message, 401, "Unauthorized", "t").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let challenge = format!(
            "WWW-Authenticate: Digest realm=\"arc\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\"{more}\r\n"
        );
        text.replace("Content-Length", &format!("{challenge}Content-Length")).into_bytes()
    };
    let first = line.alarm().await.unwrap();
    assert_eq!(first.header("authorization"), None);
    line.raw(&ask(&first, "n1", "")).await;
    let second = line.alarm().await.unwrap();
    line.raw(&ask(&second, "n2", ", stale=true")).await;
    let third = line.alarm().await.unwrap();
    assert!(third.header("authorization").unwrap().contains("nonce=\"n2\""));
    let numbers: Vec<_> = [&first, &second, &third].map(|m| m.cseq().unwrap().0).to_vec();
    assert_eq!(numbers, [1, 2, 3]);
    assert!([&second, &third].iter().all(|m| m.header("call-id") == first.header("call-id") && m.body == first.body));
    assert!(first.branch() != second.branch() && second.branch() != third.branch());
    // Refused for good: the next try is a new request, without a login until asked.
    line.raw(&ask(&third, "n3", "")).await;
    let anew = line.alarm().await.unwrap();
    assert_eq!((anew.header("authorization"), anew.cseq().unwrap().0), (None, 1));
    assert_ne!(anew.header("call-id"), first.header("call-id"));
    line.raw(&mrs(&reference_of(&anew), 0, "")).await;
    stage.accepted("a1").await;
}

#[tokio::test]
async fn an_answer_on_a_connection_of_the_centres_own_is_taken() {
    let (peer, free) = (Peer::new().await, Peer::new().await);
    let listen = free.listener.local_addr().unwrap();
    drop(free);
    let mut stage = Stage::new(config(vec![ReceiverConfig { listen: Some(listen), ..patient("c", &peer.url()) }]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let alarm = line.alarm().await.unwrap();
    line.say(&alarm, 200, "OK").await;
    // It dials the address in our From, as a centre does that keeps no connection.
    let from = alarm.header("from").unwrap();
    assert!(from.contains(&listen.to_string()), "{from}");
    let mut back = Line { stream: TcpStream::connect(listen).await.unwrap(), decoder: Decoder::new() };
    back.raw(&mrs(&reference_of(&alarm), 0, "")).await;
    assert_eq!(back.response().await, 200);
    stage.accepted("a1").await;
    assert_eq!(stage.rungs("a1"), ["sent@c", "received@c", "accepted@c"]);
}

#[tokio::test]
async fn an_answer_within_the_200_is_tolerated() {
    let peer = Peer::new().await;
    let mut stage = Stage::new(config(vec![patient("c", &peer.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    let mut line = peer.line().await;
    let alarm = line.alarm().await.unwrap();
    let body = format!("<scaip><ref>{}</ref><snu>0</snu></scaip>", reference_of(&alarm));
    let plain = String::from_utf8(write::answer(&alarm, 200, "OK", "t").unwrap()).unwrap();
    line.raw(plain.replace("Content-Length: 0", &format!("Content-Length: {}", body.len())).as_bytes()).await;
    line.raw(body.as_bytes()).await;
    stage.accepted("a1").await;
}
