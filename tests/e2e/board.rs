//! The staff's board in a real browser, against the real program: log-in by each way, the day's work, every page, and the API.

use std::path::PathBuf;
use std::process::Command;

use toml_edit::{Array, value};
use vaka_tests::browser::browse;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, Paho, free_port, lacks, root};

const BROWSER: [&str; 4] = ["chromium", "node", "mosquitto_pub", "playwright"];

/// A home with a resident, their button and bed, and a centre that accepts.
fn home(centre: &Centre) -> Home {
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant").device("bed", "bed-sensor");
    home.edit(|config| {
        let mut resident = toml_edit::Table::new();
        resident["id"] = value("r1");
        resident["unit"] = value("hagalund");
        let mut residents = toml_edit::ArrayOfTables::new();
        residents.push(resident);
        config["resident"] = residents.into();
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            device["resident"] = value("r1");
            device["room"] = value("sovrum");
        }
    });
    home
}

#[test]
fn a_press_is_on_every_screen_is_taken_by_one_and_a_lost_connection_is_said() {
    if lacks(&BROWSER) || lacks(&["sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    let _gateway = Gateway::start(&home);
    browse(&home, "day", &[]);
    let acts: Vec<String> =
        home.records("trace").iter().map(|line| line["act"].as_str().unwrap_or_default().to_owned()).collect();
    for act in ["log-in", "claim", "hand-over", "close", "log-out"] {
        assert!(acts.iter().any(|done| done == act), "no {act} in {acts:?}");
    }
    let verified = home.vaka(&["journal", "verify", "--json"]).ok().rows().remove(0);
    assert_eq!(verified["traces"]["count"], acts.len(), "{verified}");
}

#[test]
fn every_page_is_fit_for_everybody() {
    if lacks(&BROWSER) || lacks(&["sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    let _gateway = Gateway::start(&home);
    browse(&home, "pages", &[]);
}

#[test]
fn whom_the_identity_provider_knows_strongly_enough_is_let_in() {
    if lacks(&BROWSER) || lacks(&["sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    let idp = free_port();
    std::fs::write(home.path("oidc-secret"), "a secret of a test\n").expect("written");
    home.edit(|config| {
        let oidc = &mut config["board"]["oidc"];
        oidc["issuer"] = value(format!("https://localhost:{idp}"));
        oidc["client_id"] = value("vaka");
        oidc["client_secret_file"] = value("oidc-secret");
        oidc["ca"] = value("pki/server-ca.pem");
        oidc["acr"] = value(Array::from_iter(["http://id.sambi.se/loa/loa3"]));
    });
    let people = "[[person]]\nid = \"anna\"\nrole = \"night\"\nunits = [\"*\"]\noidc = \"SE2321000016-anna\"\n";
    std::fs::write(home.path("people.toml"), people).expect("written");
    let _gateway = Gateway::start(&home);
    let file = |name: &str| home.path("pki").join(name).display().to_string();
    let more = [
        ("VAKA_IDP", idp.to_string()),
        ("VAKA_IDP_CERT", file("server.pem")),
        ("VAKA_IDP_KEY", file("server.key")),
        ("VAKA_IDP_SECRET", "a secret of a test".to_owned()),
    ];
    browse(&home, "provider", &more.each_ref().map(|(name, text)| (*name, text.as_str())));
}

/// Runs `openssl` in a folder.
#[track_caller]
fn openssl(dir: &std::path::Path, args: &str) {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An issuer of cards, with a card of Anna's, and one that it has revoked.
fn cards(dir: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("index.txt"), "").expect("written");
    let ca = "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\ndefault_md = sha256\ncrlnumber = crlnumber\ndefault_crl_days = 30\n";
    std::fs::write(dir.join("ca.cnf"), ca).expect("written");
    std::fs::write(dir.join("crlnumber"), "01\n").expect("written");
    std::fs::write(dir.join("client.ext"), "extendedKeyUsage = clientAuth\n").expect("written");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=cards"));
    for card in ["card", "revoked"] {
        openssl(
            &dir,
            &format!("req {key} -keyout {card}.key -out {card}.csr -subj /CN=Anna/serialNumber=SE2321000016-{card}"),
        );
        let sign = format!(
            "x509 -req -in {card}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile client.ext -out {card}.pem"
        );
        openssl(&dir, &sign);
    }
    openssl(&dir, "ca -config ca.cnf -keyfile ca.key -cert ca.pem -revoke revoked.pem");
    openssl(&dir, "ca -config ca.cnf -keyfile ca.key -cert ca.pem -gencrl -out crl.pem");
    dir
}

/// The board takes cards of the folder `cards` on a port of their own.
fn listening_for_cards(home: &Home) -> u16 {
    let port = free_port();
    home.edit(|config| {
        let card = &mut config["board"]["card"];
        card["listen"] = value(format!("127.0.0.1:{port}"));
        card["ca"] = value("cards/ca.pem");
        card["crl"] = value("cards/crl.pem");
    });
    port
}

#[test]
fn a_card_lets_its_person_in_and_no_other_does() {
    if lacks(&BROWSER) || lacks(&["sipp", "openssl"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    let (ours, strange) = (cards(home.path("cards")), cards(home.path("strange")));
    let port = listening_for_cards(&home);
    let person = |name: &str| {
        format!(
            "[[person]]\nid = \"{name}\"\nrole = \"night\"\nunits = [\"*\"]\ncard = \"SERIALNUMBER=SE2321000016-{name}\"\n"
        )
    };
    std::fs::write(home.path("people.toml"), person("card") + &person("revoked")).expect("written");
    let _gateway = Gateway::start(&home);
    let origin = format!("https://localhost:{port}");
    let file = |path: PathBuf| path.display().to_string();
    let more = [
        ("VAKA_CARD_ORIGIN", origin),
        ("VAKA_CARD", file(ours.join("card"))),
        ("VAKA_REVOKED", file(ours.join("revoked"))),
        ("VAKA_STRANGE", file(strange.join("card"))),
    ];
    browse(&home, "card", &more.each_ref().map(|(name, text)| (*name, text.as_str())));
}

#[test]
fn a_visit_by_the_board_alone_cannot_end_red_and_ends_with_a_signed_protocol() {
    if lacks(&BROWSER) || lacks(&["sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    home.vaka(&["device", "remove", "bed"]).ok();
    let door = free_port();
    home.edit(|config| {
        config["enrol"]["listen"] = value(format!("127.0.0.1:{door}"));
        config["receiver"][0]["heartbeat_interval_s"] = value(1);
    });
    let _gateway = Gateway::start(&home);
    browse(&home, "visit", &[("VAKA_ENROL", &door.to_string())]);
}

#[test]
fn help_on_its_way_is_said_and_the_door_opens_where_it_is_agreed() {
    if lacks(&BROWSER) || lacks(&["sipp", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    home.device("door", "lock");
    home.edit(|config| {
        let devices = config["device"].as_array_of_tables_mut().expect("devices");
        let door = devices.iter_mut().find(|device| device["id"].as_str() == Some("door")).expect("the door");
        door["resident"] = value("r1");
        door["unlock"]["roles"] = value(Array::from_iter(["night"]));
    });
    let _gateway = Gateway::start(&home);
    let mut door = Paho::new(&home, "door", MqttVersion::V5).connect();
    door.subscribe("vaka/v1/door/command");
    browse(&home, "order", &[]);
    let heard = door.take_until("\"lock\"");
    let opened: Vec<&str> = heard.iter().filter_map(|message| message["payload"].as_str()).collect();
    assert!(matches!(opened[..], [once] if once.contains("\"open\":true") && once.contains("anna")), "{opened:?}");
}

/// A push service and a phone that nobody here wrote: http-ece opens what was sealed, PyJWT judges who sent it.
#[test]
fn a_phone_is_told_that_somebody_waits_and_nothing_more() {
    if lacks(&BROWSER) || lacks(&["sipp", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    home.edit(|config| {
        config["board"]["push_services"] = value(Array::from_iter(["localhost"]));
        config["board"]["push_ca"] = value("pki/server-ca.pem");
    });
    let file = |name: &str| home.path("pki").join(name).display().to_string();
    let service = vaka_tests::Script::start("push_service.py", &[&file("server.pem"), &file("server.key")]);
    let phone: serde_json::Value = serde_json::from_str(&service.line()).expect("the phone's subscription");
    let _gateway = Gateway::start(&home);
    browse(&home, "push", &[("VAKA_PHONE", &phone.to_string())]);
    let told: serde_json::Value = serde_json::from_str(&service.line()).expect("what the phone was told");
    assert_eq!(told["signed_for"], format!("https://localhost:{}", phone["port"]), "{told}");
    assert_eq!(told["urgency"], "high");
    let message = told["message"].as_object().expect("a message");
    assert_eq!(message.keys().collect::<Vec<_>>(), ["at", "lane"], "somebody waits, and nothing more");
    assert_eq!(message["lane"], "life");
}

/// The API against its own document, judged by schemathesis: no answer that the document does not know.
#[test]
fn the_api_is_as_its_document_says() {
    let judge = root().join("target/venv/bin/schemathesis");
    if lacks(&["sipp", "paho", "mosquitto_pub"]) {
        return;
    }
    assert!(judge.is_file(), "{} is missing: `tests/run` installs it", judge.display());
    let centre = Centre::start("ok");
    let home = home(&centre);
    let _gateway = Gateway::start(&home);
    vaka_tests::mosquitto_pub(&home, "p1", vaka_tests::MqttVersion::V5, "vaka/v1/p1/event", &vaka_tests::press(1, 1));
    for role in ["night", "admin", "auditor"] {
        let token = home.vaka(&["people", "token", role, "--role", role, "--units", "*"]).ok().stdout;
        let url = format!("https://localhost:{}", home.board_port());
        let output = Command::new(&judge)
            .args(["run", &format!("{url}/api/v1/openapi.json"), "--url", &url, "--tls-verify", "false"])
            .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
            // Bounded, and the same in every run.
            .args([
                "--max-examples",
                "10",
                "--seed",
                "1",
                "--exclude-path",
                "/api/v1/events",
                "--phases",
                "examples,coverage,fuzzing",
            ])
            .args([
                "--exclude-checks",
                "ignored_auth,unsupported_method,positive_data_acceptance,missing_required_header",
            ])
            .current_dir(home.dir())
            .output()
            .expect("schemathesis runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "as {role}:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Silent connections of the flood, and people who ask without pause.
const SILENT: usize = 600;
const ASKING: usize = 8;
const PRESSES: u32 = 20;

/// Presses, and all of them accepted by the centre.
fn presses_get_through(home: &Home, centre: &Centre, from: u32) {
    for seq in from..from + PRESSES {
        let press = vaka_tests::press(1, seq.into());
        vaka_tests::mosquitto_pub(home, "p1", vaka_tests::MqttVersion::V5, "vaka/v1/p1/event", &press).ok();
    }
    let all = (from + PRESSES - 1) as usize;
    vaka_tests::eventually(
        &format!("{all} presses accepted"),
        || centre.log().join("\n"),
        || (centre.accepted().len() >= all).then_some(()),
    );
}

#[test]
fn every_press_is_accepted_while_the_board_is_dead_or_flooded() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    let port = home.board_port();
    // Somebody else has its port: there is no board, and that is said.
    let other = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the board's port");
    let gateway = Gateway::start(&home);
    gateway.wait_log("alarms go on without the board");
    presses_get_through(&home, &centre, 1);
    drop(other);
    gateway.wait_log("the board is open");

    // Strangers from several addresses who say nothing, and others who never stop asking.
    let silent: Vec<_> = (0..SILENT)
        .filter_map(|n| vaka_tests::connect_from(port, std::net::Ipv4Addr::new(127, 0, 0, 2 + (n % 5) as u8)).ok())
        .collect();
    assert_eq!(silent.len(), SILENT);
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let ca = home.path("pki/server-ca.pem");
    std::thread::scope(|scope| {
        for _ in 0..ASKING {
            scope.spawn(|| {
                use std::io::{Read, Write};
                use std::sync::atomic::Ordering;
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut board) = vaka_tests::tls_anonymous(port, &ca) else { continue };
                    let ask = b"GET /login HTTP/1.1\r\nhost: localhost\r\n\r\n";
                    while !stop.load(Ordering::Relaxed) && board.write_all(ask).is_ok() {
                        match board.read(&mut [0; 16 * 1024]) {
                            Ok(1..) => answered.fetch_add(1, Ordering::Relaxed),
                            _ => break,
                        };
                    }
                }
            });
        }
        vaka_tests::eventually(
            "the flood to be under way",
            || gateway.tail(),
            || (answered.load(std::sync::atomic::Ordering::Relaxed) >= 100).then_some(()),
        );
        let before = answered.load(std::sync::atomic::Ordering::Relaxed);
        presses_get_through(&home, &centre, PRESSES + 1);
        let meanwhile = answered.load(std::sync::atomic::Ordering::Relaxed) - before;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(meanwhile > 0, "the flood had ended before the presses");
    });
    let pressed = (1..=2 * PRESSES).all(|seq| home.events("p1", 1, seq.into()) == 1);
    assert!(pressed, "each press is in the journal once");
}

/// By openssl's certificates and curl: a program has its entry's rights, and a revoked one no longer.
#[test]
fn a_program_uses_the_api_with_a_certificate() {
    if lacks(&["sipp", "openssl", "curl", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = home(&centre);
    cards(home.path("cards"));
    let port = listening_for_cards(&home);
    let program = |name: &str| {
        format!(
            "[[program]]\nname = \"{name}\"\nrole = \"staff\"\nunits = [\"*\"]\ncard = \"SERIALNUMBER=SE2321000016-{name}\"\n"
        )
    };
    std::fs::write(home.path("people.toml"), program("card") + &program("revoked")).expect("written");
    let gateway = Gateway::start(&home);
    gateway.wait_log("the board is open");
    vaka_tests::mosquitto_pub(&home, "p1", vaka_tests::MqttVersion::V5, "vaka/v1/p1/event", &vaka_tests::press(1, 1))
        .ok();
    let curl = |card: &str, more: &[&str], path: &str| {
        let file = |end: &str| home.path("cards").join(format!("{card}.{end}"));
        let output = Command::new("curl")
            .args(["--silent", "--max-time", "60", "--write-out", "\n%{http_code}", "--cacert"])
            .arg(home.path("pki/server-ca.pem"))
            .arg("--cert")
            .arg(file("pem"))
            .arg("--key")
            .arg(file("key"))
            .args(more)
            .arg(format!("https://localhost:{port}{path}"))
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = said.rsplit_once('\n').expect("a status");
        (body.to_owned(), status.to_owned())
    };
    let (body, status) = curl("card", &[], "/api/v1/alarms");
    assert_eq!(status, "200", "{body}");
    let alarms: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let id = alarms[0]["id"].as_str().expect("an alarm").to_owned();
    let json = ["--header", "content-type: application/json", "--data", r#"{"act":"claim","note":""}"#];
    let (body, status) = curl("card", &json, &format!("/api/v1/alarms/{id}/acts"));
    assert_eq!(status, "200", "{body}");
    assert!(body.contains("\"claimed_by\":\"api-card\""), "{body}");
    assert_eq!(curl("card", &[], "/api/v1/log").1, "403", "staff read no log");
    assert_eq!(curl("revoked", &[], "/api/v1/alarms").1, "000", "TLS lets it go no further");
    let acts: Vec<String> =
        home.records("trace").iter().map(|line| format!("{} {}", line["person"], line["act"])).collect();
    assert!(acts.contains(&"\"api-card\" \"claim\"".to_owned()), "{acts:?}");
}
