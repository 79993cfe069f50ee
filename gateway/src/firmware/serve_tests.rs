//! What a device is answered over a real connection, piece by piece, as the journal's thread says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::Config;

/// Three pieces and a half.
const SIZE: usize = FIRMWARE_PIECE_BYTES * 7 / 2;
const PATH: &str = "0123456789abcdef0123456789abcdef";

fn image() -> Vec<u8> {
    (0..SIZE).map(|at| (at % 251) as u8).collect()
}

fn may() -> May {
    Some(Ok(Serving { path: PATH.into(), sha256: "ab".repeat(32), size_bytes: SIZE as u32 }))
}

fn not_now() -> May {
    Some(Err("quiet time".into()))
}

/// What a request is answered where the journal's thread says this, the last again and again: the status, the lines of the head, the body.
/// And what it was told that the device has.
async fn ask(request: &str, range: &str, answers: &[May]) -> (u16, String, Vec<u8>, Vec<u32>) {
    let dir = tempfile::tempdir().unwrap();
    let text = b"[gateway]\nid = \"gw-1\"\ncontroller_id = \"1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n";
    let (config, _) = Config::parse(text, &dir.path().join("v.toml")).unwrap();
    let shelf = Shelf::new(config.images()).path(&"ab".repeat(32));
    std::fs::create_dir_all(shelf.parent().unwrap_or(Path::new("."))).unwrap();
    std::fs::write(&shelf, image()).unwrap();
    let counter = Arc::new(Counter { inbox: Arc::new(Inbox::default()), board: Board::default() });
    counter.board.set(|found| {
        found.offer = Some(Arc::new(Offer { config: Arc::new(config), list: None, here: BTreeSet::new() }));
    });
    let has = Arc::new(Mutex::new(Vec::new()));
    let (inbox, answers, told) = (counter.inbox.clone(), answers.to_vec(), has.clone());
    std::thread::spawn(move || {
        let (mut batch, mut count) = (Vec::new(), 0);
        loop {
            inbox.take(1, Duration::from_secs(3_600), &mut batch);
            let Some(Input::Ask(keeper::Ask::Firmware(Ask::May { has_bytes, reply, .. }))) = batch.pop() else {
                return;
            };
            told.lock().unwrap().push(has_bytes);
            let _ = reply.send(answers[count.min(answers.len() - 1)].clone());
            count += 1;
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let serving = tokio::spawn(attend(stream, counter.clone()));
    let range = if range.is_empty() { String::new() } else { format!("Range: {range}\r\n") };
    let request = format!("{request} HTTP/1.1\r\nHost: v\r\nConnection: close\r\n{range}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // One that is cut off may end so too.
    let _ = client.read_to_end(&mut said).await;
    serving.await.unwrap();
    // Nothing of ours: the thread above ends.
    counter.inbox.put([(Rank::Usual, Input::Stop)]);
    let has = has.lock().unwrap().clone();
    let Some(end) = said.windows(4).position(|part| part == b"\r\n\r\n") else {
        return (0, String::new(), said, has);
    };
    let head = String::from_utf8_lossy(&said[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head, said[end + 4..].to_vec(), has)
}

#[tokio::test]
async fn the_whole_or_what_comes_behind_a_byte_is_given_as_it_is() {
    let get = format!("GET /{PATH}");
    let (status, head, body, has) = ask(&get, "", &[may()]).await;
    assert_eq!((status, body == image(), has[0]), (200, true, 0), "{head}");
    let (status, head, body, has) = ask(&get, "bytes=20000-", &[may()]).await;
    assert_eq!((status, body == image()[20_000..], has[0]), (206, true, 20_000), "{head}");
    assert!(head.contains(&format!("content-range: bytes 20000-{}/{SIZE}", SIZE - 1)), "{head}");
    let (status, head, body, _) = ask(&get, "bytes=20000-20009", &[may()]).await;
    assert_eq!((status, &body[..]), (206, &image()[20_000..20_010]), "{head}");
    let (status, head, body, has) = ask(&format!("HEAD /{PATH}"), "bytes=20000-", &[may()]).await;
    assert_eq!((status, body.len(), has), (206, 0, vec![0]), "{head}");
}

#[tokio::test]
async fn who_asks_for_what_comes_behind_the_end_hears_that_it_may_restart_or_that_it_waits() {
    let get = format!("GET /{PATH}");
    let range = format!("bytes={SIZE}-");
    let (status, head, _, has) = ask(&get, &range, &[may()]).await;
    assert_eq!((status, has), (416, vec![SIZE as u32]), "{head}");
    assert!(head.contains(&format!("content-range: bytes */{SIZE}")), "{head}");
    let (status, head, body, _) = ask(&get, &range, &[not_now()]).await;
    assert_eq!(status, 503, "{head}");
    assert!(head.contains("retry-after") && body.starts_with(b"not now: quiet time"), "{head}");
}

#[tokio::test]
async fn who_is_not_meant_is_told_of_nothing_and_a_refusal_cuts_an_answer_off_where_it_is() {
    let get = format!("GET /{PATH}");
    for (request, answer, wanted) in
        [(get.as_str(), None, 404), ("GET /other", may(), 404), ("POST /0123456789abcdef0123456789abcdef", may(), 405)]
    {
        let (status, head, ..) = ask(request, "", &[answer]).await;
        assert_eq!(status, wanted, "{request}: {head}");
    }
    // It may begin, and have one piece, and then no more. What was not sent by then goes with the connection.
    let (_, head, body, has) = ask(&get, "", &[may(), may(), not_now()]).await;
    assert!(body.len() <= FIRMWARE_PIECE_BYTES && image().starts_with(&body), "{} bytes: {head}", body.len());
    assert_eq!(has.len(), 3);
    // And begun again, it is asked for each piece.
    let (.., body, has) = ask(&get, "", &[may()]).await;
    assert_eq!((body.len(), has.len()), (SIZE, 5));
}

#[test]
fn only_who_fetches_says_what_they_have() {
    for (method, range, wanted) in [
        (Method::GET, Some("bytes=100-"), 100),
        (Method::GET, Some("bytes=40-59"), 40),
        (Method::GET, Some("bytes=-5"), 0),
        (Method::GET, None, 0),
        (Method::HEAD, Some("bytes=100-"), 0),
    ] {
        assert_eq!(has_bytes(&method, range), wanted, "{method} {range:?}");
    }
}

#[test]
fn ranges_are_read_as_a_device_asks() {
    for (range, wanted) in [
        ("bytes=0-", Span::Part(0, 100)),
        ("bytes=40-", Span::Part(40, 100)),
        ("bytes=40-59", Span::Part(40, 60)),
        ("bytes=40-400", Span::Part(40, 100)),
        ("bytes=99-99", Span::Part(99, 100)),
        ("bytes=40-18446744073709551615", Span::Part(40, 100)),
        ("bytes=100-", Span::Beyond),
        ("bytes=60-40", Span::Whole),
        ("bytes=-5", Span::Whole),
        ("bytes=0-1,5-6", Span::Whole),
        ("pieces=0-1", Span::Whole),
        ("", Span::Whole),
    ] {
        assert_eq!(span(range, 100), wanted, "{range}");
    }
}
