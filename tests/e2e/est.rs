//! The gateway gets its certificate at a municipality's authority, and keeps it good; whoever poses as the authority learns nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use vaka_tests::{Answers, EstServer, Gateway, Home, Output, lacks};

/// What was shown as ours to receivers, and the key that stays.
fn files(home: &Home) -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| std::fs::read(home.path(name)).expect("a file of pki/");
    (read("pki/client.pem"), read("pki/client.key"))
}

fn password(home: &Home, text: &str) -> String {
    std::fs::write(home.path("otp"), format!("{text}\n")).expect("written");
    "h/otp".to_owned()
}

fn enrol(home: &Home, server: &EstServer, more: &[&str]) -> Output {
    let (url, root) = (server.url(), server.root().display().to_string());
    let mut args = vec!["identity", "est", &url];
    if !more.contains(&"--fingerprint") {
        args.extend(["--anchor", &root]);
    }
    args.extend(more);
    home.vaka(&args)
}

fn shown(home: &Home) -> Value {
    home.vaka(&["identity", "show", "--json"]).ok().rows().remove(0)
}

#[test]
fn a_gateway_enrols_with_a_one_time_password_and_renews_by_itself_under_the_same_key() {
    if lacks(&["openssl"]) {
        return;
    }
    let (home, server) = (Home::init(), EstServer::start("gw:Sommar-4711"));
    let (before, key) = files(&home);
    let otp = password(&home, "Sommar-4711");
    let login = ["--user", "gw", "--password-file", &otp];
    // Two thirds of its life are over when it comes: the running gateway asks for the next one at once.
    server.answer(Answers::Issues { since_h: 216, for_h: 72 });
    let came = enrol(&home, &server, &login).ok();
    assert!(came.stdout.contains("Kommun gateways") && came.stdout.contains("gw-0001"), "{came:?}");
    let (first, same_key) = files(&home);
    assert!(first != before && same_key == key, "the key stays where it is");
    assert_eq!(shown(&home)["url"], format!("{}/.well-known/est", server.url()));
    let used_up = enrol(&home, &server, &login);
    assert!(used_up.code == 1 && used_up.stderr.contains("401") && used_up.stderr.contains("used up"), "{used_up:?}");
    assert_eq!(files(&home).0, first);

    server.answer(Answers::Issues { since_h: 0, for_h: 8760 });
    let gateway = Gateway::start(&home);
    gateway.wait_log("was renewed at its authority");
    gateway.wait_log("the config was read anew");
    let (second, same_key) = files(&home);
    assert!(second != first && same_key == key);
    let asked = server.asked();
    let last = asked.last().expect("it asked");
    assert!(last.what.ends_with("/simplereenroll") && last.login.is_none(), "{last:?}");
    assert_eq!(last.shown.as_deref(), Some("gw-0001"), "by the certificate that it had");
    // The very names of the certificate, also those that the authority had added.
    let has = |text: &str| last.csr.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("Hemtj\u{e4}nsten") && has("gw-0001"));
    let written = gateway.log() + &came.stdout + &used_up.stderr;
    assert!(!written.contains("Sommar-4711"), "a password is written down");
    for file in ["pki/est.json", "pki/est-ca.pem"] {
        assert!(!std::fs::read_to_string(home.path(file)).expect("kept").contains("Sommar-4711"));
    }
}

#[test]
fn who_is_to_be_trusted_is_known_before_anything_is_said() {
    if lacks(&["openssl"]) {
        return;
    }
    let (home, server, poser) = (Home::init(), EstServer::start("gw:otp"), EstServer::start("gw:otp"));
    let (before, _) = files(&home);
    let otp = password(&home, "otp");
    let login = ["--user", "gw", "--password-file", &otp];
    // Another root than the one that was said: not even a request is made.
    let root = server.root().display().to_string();
    let refused = home.vaka(&[&["identity", "est", &poser.url(), "--anchor", &root][..], &login].concat());
    assert!(refused.code == 1 && refused.stderr.contains("nothing was sent"), "{refused:?}");
    assert_eq!(poser.heard(), 0);
    // By fingerprint, what anybody may ask is asked, and nothing more.
    let print = server.fingerprint();
    let fingerprint = [&["--fingerprint", print.as_str()][..], &login].concat();
    let refused = enrol(&home, &poser, &fingerprint);
    assert!(refused.code == 1 && refused.stderr.contains("no authority with that fingerprint"), "{refused:?}");
    assert!(poser.asked().is_empty() && files(&home).0 == before);
    enrol(&home, &server, &fingerprint).ok();
    for wrong in [&["identity", "est", "http://127.0.0.1", "--anchor", &root][..], &["identity", "est", &server.url()]]
    {
        assert_eq!(home.vaka(wrong).code, 64, "{wrong:?}");
    }
}

#[test]
fn an_authority_that_waits_refuses_or_answers_wrongly_is_named_and_nothing_changes() {
    if lacks(&["openssl"]) {
        return;
    }
    let (home, server) = (Home::init(), EstServer::start("gw:otp"));
    let (before, _) = files(&home);
    // By a certificate that the authority knows: the password is not used up meanwhile.
    let otp = password(&home, "otp");
    enrol(&home, &server, &["--user", "gw", "--password-file", &otp]).ok();
    let (first, _) = files(&home);
    assert_ne!(first, before);
    let pem = |name: &str| home.path(name).display().to_string();
    let (cert, key) = (pem("pki/client.pem"), pem("pki/client.key"));
    let login = ["--cert", cert.as_str(), "--key", key.as_str()];
    for (answers, said) in [
        (Answers::Later, "ask again in 60 s"),
        (Answers::ForAnotherKey, "not of this gateway's key"),
        (Answers::ForServers, "would refuse the certificate"),
        (Answers::Issues { since_h: 7200, for_h: -24 }, "would refuse the certificate"),
        (Answers::Issues { since_h: -72, for_h: 720 }, "would refuse the certificate"),
        (Answers::Says("no base64 at all!"), "it is no base64"),
        (Answers::Says("bm9wZQ=="), "no PKCS #7"),
        (Answers::Status(403), "HTTP 403; the authority will not give this gateway a certificate"),
        (Answers::Status(503), "try again later (it says: <b>[31mthe policy of this authority</b>)"),
    ] {
        server.answer(answers);
        let output = enrol(&home, &server, &login);
        assert!(output.code == 1 && output.stderr.contains(said), "{answers:?}: {output:?}");
        assert_eq!(files(&home).0, first, "{answers:?}");
    }
    // By a clock that is a little ahead of ours.
    server.answer(Answers::Issues { since_h: -12, for_h: 720 });
    enrol(&home, &server, &login).ok();
    assert_ne!(files(&home).0, first);
    let label = home.vaka(
        &[
            &["identity", "est", &format!("{}/.well-known/est/nobody", server.url()), "--anchor", &pem("../none")][..],
            &login,
        ]
        .concat(),
    );
    assert!(label.code == 64 && label.stderr.contains("none"), "{label:?}");
}

/// Every key of the home moved to a folder of its own, as the service manager passes credentials.
fn credentials(home: &Home) -> PathBuf {
    let folder = home.dir().join("credentials");
    std::fs::create_dir(&folder).expect("a folder");
    for key in ["server.key", "client.key", "server-ca.key", "device-ca.key"] {
        std::fs::rename(home.path(&format!("pki/{key}")), folder.join(key)).expect("moved");
    }
    folder
}

fn keys_line(output: &Output) -> (String, String) {
    let rows = output.rows();
    let parts = rows[0]["parts"].as_array().cloned().unwrap_or_default();
    let line = parts.iter().find(|part| part["part"] == "keys").cloned().unwrap_or_default();
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("light"), text("found"))
}

#[test]
fn keys_come_as_credentials_and_the_doctor_says_where_each_is() {
    let home = Home::init();
    let (light, found) = keys_line(&home.vaka(&["check", "--json"]));
    assert!(light == "green" && found.contains("server.key, client.key, server-ca.key, device-ca.key in "), "{found}");
    let open = home.path("pki/client.key");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let (light, found) = keys_line(&home.vaka(&["check", "--json"]));
    assert!(light == "red" && found.contains("chmod 600") && found.contains("client.key"), "{found}");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o600)).expect("changed");

    let folder = credentials(&home);
    let passed = [("CREDENTIALS_DIRECTORY", folder.to_str().expect("a plain path"))];
    let (light, found) = keys_line(&home.vaka(&["check", "--json"]));
    assert!(light == "yellow" && found.contains("device-ca.key: neither a credential nor in"), "{found}");
    let (light, found) = keys_line(&home.vaka_with(&passed, &["check", "--json"]));
    assert!(light == "green" && found.contains("device-ca.key passed by the service manager"), "{light} {found}");
    home.vaka_with(&passed, &["device", "add", "p1", "--kind", "pendant", "--out", "h/p1"]).ok();
    let gateway = Gateway::start_with(&home, &passed);
    // The key that was passed is the one that a device meets.
    let pem = |file| home.pem("p1", file);
    vaka_tests::tls(home.mqtt_port, &pem("ca.pem"), &pem("cert.pem"), &pem("key.pem")).expect("TLS with the gateway");
    drop(gateway);

    // A receiver's files by the same way.
    std::fs::copy(home.path("pki/client.pem"), folder.join("arc.pem")).expect("copied");
    std::fs::copy(folder.join("client.key"), folder.join("arc.key")).expect("copied");
    home.receiver(
        "arc",
        "sips:127.0.0.1:1",
        &[("cert", "credential:arc.pem"), ("key", "credential:arc.key"), ("pin", &"ab".repeat(32))],
    );
    let checked = home.vaka_with(&passed, &["check-config"]).ok();
    assert!(!checked.stderr.contains("credential") && !checked.stderr.contains("no file"), "{checked:?}");
    let without = home.vaka(&["check-config"]).ok();
    assert!(without.stderr.contains("LoadCredential=arc.key:FILE"), "{without:?}");
    std::fs::set_permissions(folder.join("arc.key"), std::fs::Permissions::from_mode(0o644)).expect("changed");
    let open = home.vaka_with(&passed, &["check-config"]).ok();
    assert!(open.stderr.contains("others can read") && open.stderr.contains("arc.key"), "{open:?}");
}
