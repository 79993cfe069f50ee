//! A publisher on loopback, with a certificate of its own authority.

use std::cell::RefCell;
use std::sync::Mutex;

use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Answers each request by what `answer` makes of its head; the authority's certificate, and the heads that came.
async fn publisher(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (Publisher, Arc<Mutex<Vec<String>>>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let authority = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let said = answer(&head);
            kept.lock().unwrap().push(head);
            // A client that has heard enough is gone.
            let _ = stream.write_all(&said).await;
            let _ = stream.shutdown().await;
        }
    });
    let address = Address::parse(&format!("https://localhost:{port}/stable/")).unwrap();
    (Publisher::new(address, &[authority]).unwrap(), heads)
}

fn whole(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[tokio::test]
async fn a_small_file_comes_whole_or_not_at_all() {
    let (publisher, heads) = publisher(|head| match head.split(' ').nth(1) {
        Some("/stable/release.json") => whole(b"{}"),
        Some("/stable/large") => whole(&[b'x'; 100]),
        Some("/stable/moved") => b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    })
    .await;
    assert_eq!(publisher.small("release.json", 99).await.unwrap(), b"{}");
    assert!(matches!(publisher.small("large", 99).await, Err(FetchError::TooLong { max: 99, .. })));
    assert!(matches!(publisher.small("moved", 99).await, Err(FetchError::Status { status: 302, .. })));
    let missing = publisher.small("no", 99).await.unwrap_err().to_string();
    assert!(missing.contains("404") && missing.contains("[update] url"), "{missing}");
    assert!(heads.lock().unwrap()[0].starts_with("GET /stable/release.json HTTP/1.1\r\nhost: localhost:"));
}

#[tokio::test]
async fn a_server_that_another_authority_vouches_for_is_none() {
    let (own, _) = publisher(|_| whole(b"{}")).await;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = Publisher::new(own.address.clone(), &[other.cert.der().clone()]).unwrap();
    let refused = stranger.small("release.json", 99).await.unwrap_err().to_string();
    assert!(refused.contains("certificate"), "{refused}");
}

#[tokio::test]
async fn what_was_cut_is_gone_on_with_and_the_other_bytes_of_another_file_are_not() {
    let body: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let served = body.clone();
    let (publisher, heads) = publisher(move |head| {
        let size = served.len();
        let from = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
        let name = head.split(' ').nth(1).unwrap();
        match (name, from) {
            // The connection breaks in the middle.
            ("/stable/cut", None) => {
                let mut said = whole(&served);
                said.truncate(size / 2);
                said
            }
            ("/stable/cut", Some(from)) => {
                let from: usize = from;
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {from}-{}/{size}\r\ncontent-length: {}\r\n\r\n",
                    size - 1,
                    size - from
                );
                [head.as_bytes(), &served[from..]].concat()
            }
            ("/stable/other", Some(_)) => {
                b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-6/7\r\ncontent-length: 2\r\n\r\nab".to_vec()
            }
            ("/stable/long", _) => b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789".to_vec(),
            ("/stable/short", _) => b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n01".to_vec(),
            // Ranges are not every server's.
            _ => whole(&served),
        }
    })
    .await;
    let size = body.len() as u64;
    let kept = RefCell::new(Vec::new());
    let take = async |name: &str, from: usize, size: u64| {
        let begin = || {
            kept.borrow_mut().clear();
            Ok(())
        };
        let keep = |piece: &[u8]| {
            kept.borrow_mut().extend_from_slice(piece);
            Ok(())
        };
        publisher.rest(name, from as u64, size, begin, keep).await
    };
    assert!(take("cut", 0, size).await.is_err());
    let there = kept.borrow().len();
    assert!(there > 0 && there < body.len(), "{there}");
    take("cut", there, size).await.unwrap();
    assert_eq!(*kept.borrow(), body);
    assert!(heads.lock().unwrap()[1].contains(&format!("range: bytes={there}-\r\n")));

    assert!(matches!(take("other", 5, size).await, Err(FetchError::Http { .. })));
    assert_eq!(*kept.borrow(), body, "nothing of it was kept");
    kept.borrow_mut().truncate(7);
    take("plain", 7, size).await.unwrap();
    assert_eq!(*kept.borrow(), body, "from the beginning, where the server knows no ranges");
    assert!(matches!(take("long", 0, 9).await, Err(FetchError::TooLong { max: 9, .. })));
    assert!(matches!(take("short", 0, 9).await, Err(FetchError::Short { got: 2, size: 9, .. })));
}

#[tokio::test]
async fn a_disk_that_refuses_ends_it() {
    let (publisher, _) = publisher(|_| whole(b"0123")).await;
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let refused = publisher.rest("x", 0, 4, || Ok(()), |_| Err(full())).await;
    assert!(matches!(refused, Err(FetchError::Keep { .. })));
}

#[test]
fn an_address_is_a_folder_over_https() {
    let shown = |url: &str| Address::parse(url).map(|address| address.to_string());
    assert_eq!(shown("https://u.example/vaka/stable").unwrap(), "https://u.example/vaka/stable/");
    assert_eq!(shown("https://u.example:8443").unwrap(), "https://u.example:8443/");
    for wrong in ["http://u.example/", "u.example", "https://", "https://a/?x=1", "https://u:pw@a/"] {
        let Err(error) = Address::parse(wrong) else { panic!("{wrong}") };
        assert!(!error.to_string().contains("pw@"), "{error}");
    }
}
