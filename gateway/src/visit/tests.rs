//! The page and the signed file.

use serde_json::{Value, json};

use super::{canonical, page, sign, verify};
use crate::config::Language;
use crate::provision::{self, NewHome, Pki};

const AT: i64 = 1_795_212_345_123;

fn protocol() -> Value {
    let line = |name: &str, light: &str, given: Value| {
        let (of, what) = name.split_once('/').expect("a name");
        let device = if of == "gateway" { Value::Null } else { of.into() };
        json!({"line": name, "device": device, "what": what, "light": light, "sv": "Läget.", "en": "<State> & so.", "handed_over": given})
    };
    let given = json!({"reason": "borta <med> den", "to": "Ulla", "by": "ture", "at": AT});
    json!({
        "v": 1, "kind": "vaka-visit", "gateway": "gw-1", "time_zone": "Europe/Stockholm",
        "started_at": AT - 1_800_000, "started_by": "ture", "finished_at": AT, "finished_by": "ture",
        "lines": [
            line("gateway/paths", "green", Value::Null), line("gateway/mains", "yellow", Value::Null),
            line("p1/signal", "green", Value::Null), line("p1/battery", "green", Value::Null),
            line("p1/press", "green", Value::Null), line("p1/seen", "green", Value::Null),
            line("p2/press", "red", given),
        ],
        "devices": [
            {"device": "p1", "kind": "pendant", "room": "hall", "resident": "r1",
             "signal": {"worst_dbm": -71, "probes": 0, "by_hand": true, "at": AT, "least_dbm": -75},
             "battery": {"percent": 90, "by_hand": false, "at": AT},
             "press": {"what": "button", "alarm": "a1", "at": AT - 60_000, "accepted_at": AT - 58_650, "receiver": "larmcentral",
                       "claimed_at": null, "claimed_by": null},
             "told": null, "seen": {"at": AT, "by": "ture"}, "wired": false},
            {"device": "p2", "kind": "pendant", "room": null, "resident": null, "signal": null, "battery": null,
             "press": null, "told": null, "seen": null, "wired": false},
        ],
    })
}

#[test]
fn the_canonical_bytes_are_sorted_and_the_same_however_the_file_is_laid_out() {
    let value: Value =
        serde_json::from_str(r#"{ "b": [1, {"z": null, "å": "\u00e5\"", "a": true}], "a": -7 }"#).unwrap();
    assert_eq!(String::from_utf8(canonical(&value)).unwrap(), r#"{"a":-7,"b":[1,{"a":true,"z":null,"å":"å\""}]}"#);
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(canonical(&serde_json::from_str(&pretty).unwrap()), canonical(&value));
}

#[test]
fn what_a_gateway_signed_is_known_again_and_a_changed_word_or_another_home_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let home = |name: &str, gateway: &str| {
        let dir = folder.path().join(name);
        let gateway = gateway.try_into().unwrap();
        let new = NewHome { gateway, controller_id: "1".into(), listen: ([127, 0, 0, 1], 0).into() };
        provision::create(&dir, &new, AT - 86_400_000).unwrap();
        Pki::beside(&dir)
    };
    let (own, other) = (home("own", "gw-1"), home("other", "gw-1"));
    let signed = sign(&protocol(), &own.client_cert(), &own.client_key()).unwrap();
    let found = verify(&signed, &own.device_ca()).unwrap();
    assert_eq!((found.gateway.as_str(), found.finished_at, found.digest.len()), ("gw-1", AT, 64));
    // Written, printed and read again it is the same.
    let read: Value = serde_json::from_str(&serde_json::to_string_pretty(&signed).unwrap()).unwrap();
    assert_eq!(verify(&read, &own.device_ca()).unwrap(), found);

    // A device has a certificate of the same authority; it is no gateway, whatever the protocol says.
    let wish = provision::AddDevice {
        id: "p1".try_into().unwrap(),
        kind: crate::config::DeviceKind::Pendant,
        room: None,
        resident: None,
        via: None,
        out: Some(folder.path().join("p1")),
    };
    provision::add(&folder.path().join("own/vaka.toml"), &wish, AT - 86_400_000).unwrap();
    let mut forged = protocol();
    forged["gateway"] = "p1".into();
    let forged = sign(&forged, &folder.path().join("p1/cert.pem"), &folder.path().join("p1/key.pem")).unwrap();
    assert!(verify(&forged, &own.device_ca()).unwrap_err().contains("key of the device p1"));

    let refused = |file: &Value, ca: &std::path::Path| verify(file, ca).unwrap_err();
    let mut changed = signed.clone();
    changed["protocol"]["lines"][6]["light"] = "green".into();
    assert!(refused(&changed, &own.device_ca()).contains("changed since"), "a red line made green");
    assert!(refused(&signed, &other.device_ca()).contains("not of this home's authority"));
    let of_other = sign(&protocol(), &other.client_cert(), &own.client_key()).unwrap();
    assert!(refused(&of_other, &own.device_ca()).contains("another key"));
    let mut elsewhere = protocol();
    elsewhere["gateway"] = "gw-2".into();
    let elsewhere = sign(&elsewhere, &own.client_cert(), &own.client_key()).unwrap();
    assert!(refused(&elsewhere, &own.device_ca()).contains("signed by gw-1"));
    for broken in [json!({}), json!({"protocol": {}}), json!({"protocol": {}, "signature": {"algorithm": "none"}})] {
        refused(&broken, &own.device_ca());
    }
    for key in ["value", "certificate"] {
        let mut broken = signed.clone();
        broken["signature"][key] = "0ö".into();
        refused(&broken, &own.device_ca());
    }
}

#[test]
fn the_page_says_who_what_and_what_was_handed_over_and_escapes_every_word() {
    let zone = jiff::tz::TimeZone::get("Europe/Stockholm").unwrap();
    let sv = page(&protocol(), &zone, Language::Sv);
    for part in [
        "Besöksprotokoll gw-1",
        "ture",
        "-71 dBm",
        "90 %",
        "→ larmcentral",
        "1,3 s",
        "borta &lt;med&gt; den",
        "Ulla",
        "✗ överlämnat",
    ] {
        assert!(sv.contains(part), "`{part}` is missing:\n{sv}");
    }
    let en = page(&protocol(), &zone, Language::En);
    assert!(en.contains("&lt;State&gt; &amp; so.") && en.contains("1.3 s") && en.contains("Not in order: p2."));
    for page in [&sv, &en] {
        assert!(!page.contains("<script") && !page.contains("http:") && !page.contains("https:"));
        assert_eq!(page.matches("<table>").count(), page.matches("</table>").count());
        assert_eq!(page.matches("<table>").count(), 3);
    }
}
