//! How a receiver is judged over TLS: pinned, by a CA, and who is refused.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

use super::super::tls::Pin;
use super::*;
use crate::demo::centre::CentreTls;

/// An authority, and a centre and a gateway under it.
pub(in crate::dispatch) struct House {
    pub dir: tempfile::TempDir,
    pub centre: CentreTls,
    pub pin: String,
}

/// Serial number of the gateway's second certificate, gw-renewed.pem: of the same key.
pub(in crate::dispatch) const RENEWED_SERIAL: u64 = 77;

impl House {
    /// Puts the renewed certificate of the gateway in the place of the first.
    pub fn renew(&self) {
        std::fs::rename(self.dir.path().join("gw-renewed.pem"), self.dir.path().join("gw.pem")).unwrap();
    }
}

/// Waits until it is so; nothing asserts how long that took.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("in time");
}

pub(in crate::dispatch) fn house(name: &str, expired: bool) -> House {
    let dir = tempfile::tempdir().unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::from_params(&params, &ca_key);
    let make = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (centre, centre_key) = make(name);
    let (gateway, gateway_key) = make("gateway");
    let renewed = {
        let mut params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from(RENEWED_SERIAL));
        params.signed_by(&gateway_key, &issuer).unwrap()
    };
    std::fs::write(dir.path().join("gw-renewed.pem"), renewed.pem()).unwrap();
    std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.path().join("gw.pem"), gateway.pem()).unwrap();
    std::fs::write(dir.path().join("gw.key"), gateway_key.serialize_pem()).unwrap();
    let pin = Pin::of(&CertificateDer::from(centre.der().to_vec())).unwrap().hex();
    let client_ca_pem = (!expired).then(|| ca.pem().into_bytes());
    let centre = CentreTls {
        cert_pem: centre.pem().into_bytes(),
        key_pem: centre_key.serialize_pem().into_bytes(),
        client_ca_pem,
    };
    House { dir, centre, pin }
}

pub(super) fn file(dir: &Path, name: &str) -> Option<std::path::PathBuf> {
    Some(dir.join(name))
}

fn known(house: &House, url: &str) -> ReceiverConfig {
    let dir = house.dir.path();
    ReceiverConfig { cert: file(dir, "gw.pem"), key: file(dir, "gw.key"), ..patient("c", url) }
}

async fn is_accepted(config_of: impl Fn(&House, &str) -> ReceiverConfig, house: House) -> Stage {
    let centre = Centre::start(Some(&house.centre)).await.unwrap();
    let mut stage = Stage::new(config(vec![config_of(&house, &centre.url())]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    stage.path("c", true).await;
    stage
}

async fn is_refused(receiver: ReceiverConfig) -> String {
    let mut stage = Stage::new(config(vec![receiver]));
    stage.dispatcher.owe(notice("a1", 1));
    let why = stage.path("c", false).await;
    assert!(stage.rungs("a1").is_empty(), "{:?}", stage.heard);
    why
}

#[tokio::test]
async fn a_pinned_key_is_taken_whatever_the_name() {
    is_accepted(
        |house, url| ReceiverConfig { pins: vec![house.pin.clone()], ..known(house, url) },
        house("else.where", false),
    )
    .await;
}

#[tokio::test]
async fn an_authority_vouches_for_a_name() {
    let by_ca = |house: &House, url: &str| ReceiverConfig { ca: file(house.dir.path(), "ca.pem"), ..known(house, url) };
    is_accepted(by_ca, house("127.0.0.1", false)).await;
}

#[tokio::test]
async fn an_expired_certificate_with_the_pinned_key_is_used_and_told() {
    let pinned = |house: &House, url: &str| ReceiverConfig { pins: vec![house.pin.clone()], ..known(house, url) };
    let stage = is_accepted(pinned, house("127.0.0.1", true)).await;
    // 2020-01-01.
    let told =
        stage.heard.iter().filter(|r| matches!(r, Report::Certificate { ended: Some(1_577_836_800), .. })).count();
    assert_eq!(told, 1, "{:?}", stage.heard);
}

#[tokio::test]
async fn an_unpinned_key_is_refused_and_its_pin_is_named() {
    let (home, other) = (house("127.0.0.1", false), house("127.0.0.1", false));
    let centre = Centre::start(Some(&home.centre)).await.unwrap();
    let why = is_refused(ReceiverConfig { pins: vec![other.pin.clone()], ..known(&home, &centre.url()) }).await;
    assert!(why.contains(&home.pin), "{why}");
    assert_eq!(centre.count().connections, 0);
}

#[tokio::test]
async fn a_wrong_name_a_wrong_authority_and_an_ended_certificate_are_refused() {
    let (named, other, ended) = (house("else.where", false), house("127.0.0.1", false), house("127.0.0.1", true));
    let centre = Centre::start(Some(&named.centre)).await.unwrap();
    let by_ca =
        |ca: &House, home: &House, url: &str| ReceiverConfig { ca: file(ca.dir.path(), "ca.pem"), ..known(home, url) };
    assert!(is_refused(by_ca(&named, &named, &centre.url())).await.contains("not valid for name"));
    assert!(is_refused(by_ca(&other, &named, &centre.url())).await.contains("invalid peer certificate"));
    let late = Centre::start(Some(&ended.centre)).await.unwrap();
    assert!(is_refused(by_ca(&ended, &ended, &late.url())).await.contains("expired"));
}

#[tokio::test]
async fn a_centre_that_wants_a_certificate_gets_no_alarm_without_one() {
    let home = house("127.0.0.1", false);
    let centre = Centre::start(Some(&home.centre)).await.unwrap();
    let mut stage =
        Stage::new(config(vec![ReceiverConfig { pins: vec![home.pin.clone()], ..patient("c", &centre.url()) }]));
    stage.dispatcher.owe(notice("a1", 1));
    stage.path("c", false).await;
    assert_eq!(centre.count().alarms, 0);
}

#[tokio::test]
async fn a_renewed_certificate_of_ours_is_shown_without_a_restart_and_the_path_never_falls() {
    let home = house("127.0.0.1", false);
    let centre = Centre::start(Some(&home.centre)).await.unwrap();
    let config = config(vec![ReceiverConfig { pins: vec![home.pin.clone()], ..known(&home, &centre.url()) }]);
    let mut stage = Stage::new(config.clone());
    stage.dispatcher.owe(notice("a1", 1));
    stage.accepted("a1").await;
    // Nothing is new: the connection stays.
    stage.dispatcher.reconfigure(config.clone());
    stage.dispatcher.owe(notice("a2", 1));
    stage.accepted("a2").await;
    assert_eq!(centre.count().connections, 1);
    home.renew();
    stage.dispatcher.reconfigure(config);
    until(|| centre.count().connections == 2).await;
    stage.dispatcher.owe(notice("a3", 1));
    stage.accepted("a3").await;
    assert_eq!((centre.count().connections, centre.count().alarms), (2, 3));
    assert!(!stage.heard.iter().any(|r| matches!(r, Report::Path { up: false, .. })), "{:?}", stage.heard);
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let home = house("127.0.0.1", false);
    let missing = ReceiverConfig { ca: Some("/nowhere/ca.pem".into()), ..patient("c", "sips:127.0.0.1:9") };
    assert!(is_refused(missing).await.contains("/nowhere/ca.pem"));
    drop(home);
}
