//! Log-in by a card, over real TLS: who is let in, who no longer is, and that a second log-in costs a second card.

#[allow(dead_code, reason = "shared with the tests of the other doors, which use the rest")]
mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use support::House;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use vaka_board::auth::card;
use vaka_board::server::{Shown, serve};
use vaka_board::settings::Card;

const PEOPLE: &str = "[[person]]\nid = \"natt-07\"\nrole = \"night\"\ncard = \"SERIALNUMBER=SE2321000016-1003\"\n";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    let (pem, der) = (certificate.pem(), certificate.der().clone());
    Authority { issuer: Issuer::new(params, key), pem, der }
}

impl Authority {
    /// A certificate for a name on the network, or for somebody with this serial number.
    fn issue(&self, host: Option<&str>, subject: &str, serial: u64) -> (CertificateDer<'static>, KeyPair, String) {
        let mut params =
            CertificateParams::new(host.map(str::to_owned).into_iter().collect::<Vec<_>>()).expect("names");
        // 2.5.4.5: the serial number of a subject, which is where such cards carry who it is.
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), subject);
        params.serial_number = Some(SerialNumber::from(serial));
        let purpose =
            if host.is_some() { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let pem = certificate.pem();
        (certificate.der().clone(), key, pem)
    }

    fn revoke(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            // Long past: what it says still holds.
            next_update: date_time_ymd(2026, 1, 2),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("signed").pem().expect("PEM")
    }
}

struct Desk {
    house: House,
    address: SocketAddr,
    own: Authority,
    crl: PathBuf,
    _stop: tokio::sync::watch::Sender<bool>,
}

/// The card's listener, as it runs.
async fn desk(cards: &Authority) -> Desk {
    let house = House::new(PEOPLE, vaka_board::auth::router, |_| {});
    let dir = house.dir.path();
    let own = authority("the board's own");
    let (_, key, pem) = own.issue(Some("localhost"), "board", 1);
    let (cert, private) = (dir.join("cert.pem"), dir.join("key.pem"));
    let (ca, crl) = (dir.join("cards.pem"), dir.join("cards.crl"));
    std::fs::write(&cert, pem).expect("written");
    std::fs::write(&private, key.serialize_pem()).expect("written");
    std::fs::write(&ca, &cards.pem).expect("written");
    std::fs::write(&crl, cards.revoke(&[])).expect("written");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let settings = Card { listen: address, ca, crl: Some(crl.clone()) };
    let tls = card::tls(&settings, Shown::load(&cert, &private).expect("a certificate")).expect("TLS");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(serve(listener, Arc::new(tls), card::router(house.board.clone()), stopping));
    Desk { house, address, own, crl, _stop: stop }
}

impl Desk {
    /// What a browser with this card hears. `None`: TLS let it go no further.
    async fn show(&self, card: Option<&(CertificateDer<'static>, KeyPair, String)>, more: &str) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.own.der.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let builder = builder.with_root_certificates(roots);
        let config = match card {
            Some((certificate, key, _)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
                builder.with_client_auth_cert(vec![certificate.clone()], key).expect("a card")
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let request = format!("GET /card?to=/night HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
        // Twice over one connection: only the first is answered.
        stream.write_all(request.repeat(2).as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        // What came before the end counts, however it ends.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        (!answer.is_empty()).then_some(answer)
    }
}

#[tokio::test]
async fn a_card_opens_a_session_for_its_bearer_and_one_handshake_one_session() {
    let cards = authority("cards");
    let desk = desk(&cards).await;
    let card = cards.issue(None, "SE2321000016-1003", 7);
    let answer = desk.show(Some(&card), "").await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    assert!(answer.contains("location: https://localhost:8443/night\r\n"), "{answer}");
    assert!(answer.contains("set-cookie: __Host-sid=") && answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "a second log-in needs a second handshake");
    assert_eq!(desk.house.told.traces(), ["natt-07 log-in board: card"]);
    let again = desk.show(Some(&card), "sec-fetch-site: cross-site\r\n").await.expect("answered");
    assert!(again.starts_with("HTTP/1.1 403"), "another site logs nobody in: {again}");
}

#[tokio::test]
async fn no_card_a_strange_issuer_a_revoked_card_and_an_unknown_bearer_are_refused() {
    let cards = authority("cards");
    let desk = desk(&cards).await;
    let card = cards.issue(None, "SE2321000016-1003", 7);
    assert_eq!(desk.show(None, "").await, None);
    let forged = authority("cards").issue(None, "SE2321000016-1003", 7);
    assert_eq!(desk.show(Some(&forged), "").await, None, "the same words, another issuer");

    let unknown = desk.show(Some(&cards.issue(None, "SE2321000016-9999", 8)), "").await.expect("answered");
    assert!(unknown.starts_with("HTTP/1.1 403") && unknown.contains("SE2321000016-9999"), "{unknown}");
    assert!(!unknown.contains("__Host-sid"), "{unknown}");
    let traces = desk.house.told.traces();
    assert_eq!(traces, [" log-in-failed card: names nobody in people.toml"], "and the log has no serial number");

    assert!(desk.show(Some(&card), "").await.is_some(), "not revoked yet");
    std::fs::write(&desk.crl, cards.revoke(&[7])).expect("written");
    assert_eq!(desk.show(Some(&card), "").await, None, "revoked, without a restart");
    std::fs::write(&desk.crl, "no list").expect("written");
    assert_eq!(desk.show(Some(&card), "").await, None, "a list that cannot be read leaves the one before in force");

    std::fs::write(&desk.crl, cards.revoke(&[])).expect("written");
    std::fs::write(desk.house.dir.path().join("people.toml"), format!("{PEOPLE}ended = true\n")).expect("written");
    let ended = desk.show(Some(&card), "").await.expect("answered");
    assert!(ended.starts_with("HTTP/1.1 403"), "{ended}");
}

/// What a program with this certificate hears of one request.
impl Desk {
    async fn call(&self, card: &(CertificateDer<'static>, KeyPair, String), head: &str) -> Option<String> {
        let mut roots = RootCertStore::empty();
        roots.add(self.own.der.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let key = PrivateKeyDer::try_from(card.1.serialize_der()).expect("a key");
        let config = builder.with_root_certificates(roots).with_client_auth_cert(vec![card.0.clone()], key);
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config.expect("a card")));
        let mut stream = connector.connect(name, stream).await.ok()?;
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        (!answer.is_empty()).then(|| String::from_utf8(answer).expect("text"))
    }
}

#[tokio::test]
async fn a_program_with_a_certificate_has_the_rights_of_its_entry_and_no_browser_and_no_person_has() {
    let cards = authority("cards");
    let desk = desk(&cards).await;
    let program = "[[program]]\nname = \"journal\"\nrole = \"night\"\nunits = [\"*\"]\ncard = \"SERIALNUMBER=P-1\"\n";
    std::fs::write(desk.house.dir.path().join("people.toml"), format!("{PEOPLE}{program}")).expect("written");
    let (journal, person) = (cards.issue(None, "P-1", 9), cards.issue(None, "SE2321000016-1003", 7));
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    let openapi = get("/api/v1/openapi.json", "");
    let answer = desk.call(&journal, &openapi.repeat(2)).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "a second request needs a second handshake");

    // What its role may not, and what no program may, is refused in its name.
    let log = desk.call(&journal, &get("/api/v1/log", "")).await.expect("answered");
    assert!(log.starts_with("HTTP/1.1 403"), "{log}");
    assert_eq!(desk.house.told.traces(), ["api-journal refused /api/v1/log: SeeLog"]);

    // A person's card is no program, a browser is none, and a cookie counts nothing here.
    for (who, more) in [(&person, ""), (&person, "cookie: __Host-sid=x\r\n")] {
        let answer = desk.call(who, &get("/api/v1/openapi.json", more)).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    for more in ["sec-fetch-site: cross-site\r\n", "origin: https://localhost:8443\r\n"] {
        let answer = desk.call(&journal, &get("/api/v1/openapi.json", more)).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
    let page = desk.call(&journal, &get("/", "")).await.expect("answered");
    assert!(page.starts_with("HTTP/1.1 404"), "the pages are elsewhere: {page}");
    let card = desk.call(&journal, &get("/card", "")).await.expect("answered");
    assert!(card.starts_with("HTTP/1.1 403"), "a program logs in nowhere: {card}");

    std::fs::write(&desk.crl, cards.revoke(&[9])).expect("written");
    assert_eq!(desk.call(&journal, &openapi).await, None, "revoked");
    std::fs::write(&desk.crl, cards.revoke(&[])).expect("written");
    std::fs::write(desk.house.dir.path().join("people.toml"), format!("{PEOPLE}{program}ended = true\n"))
        .expect("written");
    let ended = desk.call(&journal, &openapi).await.expect("answered");
    assert!(ended.starts_with("HTTP/1.1 401"), "{ended}");
}
