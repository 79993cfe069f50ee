//! A gateway that is watched: its figures, the alerts on them, a real Prometheus with its page, and what a service manager hears.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use toml_edit::value;
use vaka_tests::runbook::follow;
use vaka_tests::{
    Centre, Gateway, Home, LoopDisk, Manager, MqttVersion, Process, Script, event, eventually, free_port, get,
    has_program, lacks, mosquitto_pub, or_skip, press, root, skip,
};

fn publish(home: &Home, device: &str, payload: &str) {
    let published = mosquitto_pub(home, device, MqttVersion::V5, &format!("vaka/v1/{device}/event"), payload);
    assert_eq!(published.code, 0, "{published:?}");
}

/// A home with a resident, whose pendant was pressed and whose bed was left; the press is accepted.
fn lived_in(home: &Home, centre: &Centre) {
    home.centre(centre.port).device("pendant-of-astrid", "pendant").device("bed-of-astrid", "bed-sensor");
    home.edit(|config| {
        let mut resident = toml_edit::Table::new();
        resident["id"] = value("astrid");
        config["resident"] = toml_edit::Item::ArrayOfTables([resident].into_iter().collect());
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            device["room"] = value("blue-room");
            device["resident"] = value("astrid");
        }
    });
}

fn events(home: &Home, gateway: &Gateway) {
    let once = press(1, 1);
    // The second time byte for byte the same: its acknowledgement was lost.
    publish(home, "pendant-of-astrid", &once);
    publish(home, "pendant-of-astrid", &once);
    publish(home, "pendant-of-astrid", &event(1, 2, r#"{"battery":{"percent":17,"low":true}}"#));
    publish(home, "bed-of-astrid", &event(1, 1, r#"{"bed":{"occupied":false}}"#));
    // 3.1.1 has no reasons: kept and acknowledged.
    let bad = mosquitto_pub(home, "bed-of-astrid", MqttVersion::V311, "vaka/v1/bed-of-astrid/event", "{ no payload");
    assert_eq!(bad.code, 0, "{bad:?}");
    gateway.wait_alarm("the accepted alarm", |row| row["lane"] == "life" && row["rung"] == "accepted");
}

fn page(home: &Home) -> String {
    let (status, text) = get(home.metrics_port(), "/metrics").expect("/metrics");
    assert_eq!(status, 200, "{text}");
    text
}

/// The value of the one sample that begins so.
fn sample(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[test]
fn figures_say_what_happened_and_nothing_of_anybody() {
    if lacks(&["sipp", "mosquitto_pub", "promtool"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    lived_in(&home, &centre);
    let gateway = Gateway::start(&home);
    events(&home, &gateway);
    let page = page(&home);
    for (name, value) in [
        ("vaka_journal_answers", 1.0),
        (r#"vaka_events_total{lane="life"}"#, 1.0),
        (r#"vaka_events_total{lane="technical"}"#, 1.0),
        (r#"vaka_events_total{lane="telemetry"}"#, 1.0),
        ("vaka_events_repeated_total", 1.0),
        ("vaka_events_quarantined_total", 1.0),
        ("vaka_commits_failed_total", 0.0),
        (r#"vaka_alarms_open{lane="life",rung="accepted"}"#, 1.0),
        (r#"vaka_rung_seconds_count{lane="life",rung="accepted"}"#, 1.0),
        (r#"vaka_rung_seconds_count{lane="life",rung="claimed"}"#, 0.0),
        (r#"vaka_lane_waiting{lane="life"}"#, 0.0),
        (r#"vaka_battery_low{kind="pendant"}"#, 1.0),
        (r#"vaka_battery_min_percent{kind="pendant"}"#, 17.0),
        (r#"vaka_devices{kind="bed-sensor",state="heard"}"#, 1.0),
        (r#"vaka_devices{kind="bed-sensor",state="silent"}"#, 0.0),
    ] {
        assert_eq!(sample(&page, name), value, "{name} in\n{page}");
    }
    assert!(sample(&page, "vaka_commit_seconds_count") >= 5.0, "{page}");
    assert!(sample(&page, r#"vaka_certificate_left_seconds{whose="gateway"}"#) > 3_000.0 * 86_400.0, "{page}");
    // A person's id, device, room or alarm is nowhere on it.
    let alarm = home.alarms().remove(0)["id"].as_str().expect("an id").to_owned();
    for word in ["astrid", "blue", &alarm] {
        assert!(!page.contains(word), "{word} in\n{page}");
    }
    // Nothing is shown that is not documented, and Prometheus' own judge has no complaint.
    let documented = fs::read_to_string(root().join("deploy/METRICS.md")).expect("deploy/METRICS.md");
    let shown: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let missing: Vec<_> = shown.iter().filter(|name| !documented.contains(&format!("| `{name}` |"))).collect();
    assert!(missing.is_empty() && shown.len() > 30, "{missing:?} of {}", shown.len());
    let mut judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    judge.stdin.take().expect("its input").write_all(page.as_bytes()).expect("it reads");
    let said = judge.wait_with_output().expect("it ends");
    let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && words.trim().is_empty(), "{words}");

    assert_eq!(get(home.metrics_port(), "/healthz"), Some((200, "ok\n".to_owned())));
    assert_eq!(get(home.metrics_port(), "/api").map(|(status, _)| status), Some(404));
}

#[test]
fn every_alert_is_still_when_all_is_well_and_fires_when_it_should() {
    if lacks(&["promtool"]) {
        return;
    }
    let folder = root().join("deploy/prometheus");
    for args in [&["test", "rules", "vaka.rules.test.yml"][..], &["check", "config", "prometheus.example.yml"]] {
        let said = Command::new("promtool").args(args).current_dir(&folder).output().expect("promtool runs");
        let words = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.status.success(), "{args:?}: {words}");
    }
    let rules = fs::read_to_string(folder.join("vaka.rules.yml")).expect("the rules");
    let tests = fs::read_to_string(folder.join("vaka.rules.test.yml")).expect("their tests");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 20, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
    }
}

/// A running Prometheus on the home, with this repository's rules and page.
fn prometheus(home: &Home, port: u16) -> Process {
    let folder = root().join("deploy/prometheus");
    let config = fs::read_to_string(folder.join("prometheus.example.yml")).expect("the example");
    let config = config
        .replace("15s", "1s")
        .replace("127.0.0.1:9464", &format!("127.0.0.1:{}", home.metrics_port()))
        .replace("[vaka.rules.yml]", &format!("[{}]", folder.join("vaka.rules.yml").display()));
    let file = home.dir().join("prometheus.yml");
    fs::write(&file, config).expect("a file in a temporary directory");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", home.dir().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--web.console.templates={}", folder.join("consoles").display()))
        .arg("--web.console.libraries=/etc/prometheus/console_libraries");
    Process::start(&command, &home.dir().join("prometheus.log"))
}

fn query(port: u16, text: &str) -> Value {
    let escaped: String = text
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let (_, body) = get(port, &format!("/api/v1/query?query={escaped}")).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or_default()
}

/// Every query of the dashboards, with what Grafana would put in.
fn queries() -> Vec<String> {
    let file = fs::read_to_string(root().join("deploy/dashboards/vaka.grafana.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&file).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let panels = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    panels
        .map(|target| {
            target["expr"].as_str().expect("a query").replace("$__rate_interval", "1m").replace("$instance", ".*")
        })
        .collect()
}

#[test]
fn a_real_prometheus_reads_it_and_draws_it() {
    if lacks(&["sipp", "mosquitto_pub", "prometheus", "chromium"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    lived_in(&home, &centre);
    let gateway = Gateway::start(&home);
    let port = free_port();
    let scraper = prometheus(&home, port);
    let answers = || query(port, "up{job='vaka'}")["data"]["result"][0]["value"][1] == "1";
    eventually("the first scrape", || scraper.tail(), || answers().then_some(()));
    // Figures that change while they are looked at.
    let scrapes = || query(port, "count_over_time(up{job='vaka'}[5m])")["data"]["result"][0]["value"][1].clone();
    events(&home, &gateway);
    for seq in 2..40 {
        publish(&home, "bed-of-astrid", &event(1, seq, &format!(r#"{{"bed":{{"occupied":{}}}}}"#, seq % 2 == 0)));
    }
    let enough = || scrapes().as_str().and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count >= 12);
    eventually("a dozen scrapes", || scraper.tail(), || enough().then_some(()));

    let mut empty = Vec::new();
    for text in queries() {
        let answer = query(port, &text);
        assert_eq!(answer["status"], "success", "{text}: {answer}");
        if answer["data"]["result"].as_array().is_none_or(Vec::is_empty) {
            empty.push(text);
        }
    }
    assert!(empty.is_empty(), "these pictures would show nothing: {empty:#?}");
    let firing = query(port, "ALERTS{alertstate='firing',severity='page'}");
    assert_eq!(firing["data"]["result"], serde_json::json!([]), "a home that is well wakes nobody");
    assert!(scraper.output().lines().all(|line| !line.contains("level=error")), "{}", scraper.tail());

    let (status, text) = get(port, "/consoles/vaka.html").expect("the page");
    assert_eq!(status, 200, "{text}");
    let screens = root().join("target/tests/screens");
    fs::create_dir_all(&screens).expect("a folder for pictures");
    let picture = screens.join("prometheus.png");
    let browser = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1180,820"])
        .args(["--virtual-time-budget=4000".to_owned(), format!("--screenshot={}", picture.display())])
        .arg(format!("--user-data-dir={}", home.dir().join("browser").display()))
        .arg(format!("http://127.0.0.1:{port}/consoles/vaka.html?seconds=60"))
        .output()
        .expect("chromium runs");
    let bytes = fs::metadata(&picture).map_or(0, |data| data.len());
    assert!(bytes > 10_000, "{bytes} bytes: {}", String::from_utf8_lossy(&browser.stderr));
}

#[test]
fn a_service_manager_hears_that_it_is_ready_and_goes_on_only_while_it_does() {
    if lacks(&["mosquitto_pub", "curl"]) {
        return;
    }
    if !has_program("fsfreeze") && !vaka_tests::program("fsfreeze").is_absolute() {
        return skip("no fsfreeze: util-linux");
    }
    let Some(disk) = or_skip(LoopDisk::make(48)) else { return };
    let home = Home::init();
    home.device("p1", "pendant");
    home.edit(|config| {
        config["journal"]["dir"] = value(disk.path().join("journal").to_str().expect("text"));
        config["journal"]["size_max_mib"] = value(16);
    });
    let manager = Manager::listen(home.dir());
    let environment = [("NOTIFY_SOCKET", manager.path()), ("WATCHDOG_USEC", "400000")];
    let mut gateway = Gateway::start_with(&home, &environment);
    assert_eq!(manager.hear(), "READY=1");
    assert_eq!([manager.hear(), manager.hear()], ["WATCHDOG=1", "WATCHDOG=1"], "at rest too");

    gateway.reload();
    let next = || loop {
        let word = manager.hear();
        if word != "WATCHDOG=1" {
            return word;
        }
    };
    assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(next(), "READY=1");

    // A disk that hangs: the keeper waits in a commit, everything else runs on.
    let frozen = disk.freeze();
    let press = std::thread::scope(|scope| {
        let press = scope.spawn(|| mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1)));
        let stands_still = || {
            let (_, text) = get(home.metrics_port(), "/metrics").expect("the figures are told all the same");
            sample(&text, "vaka_journal_answers") == 0.0
        };
        eventually("the journal to stand still", || gateway.tail(), || stands_still().then_some(()));
        manager.heard();
        assert!(stands_still(), "for a second look too, two seconds later");
        assert_eq!(get(home.metrics_port(), "/healthz").map(|(status, _)| status), Some(503));
        follow("The journal stands still", &home, "");
        let words = manager.heard();
        drop(frozen);
        assert!(words.is_empty(), "nothing went on, and {words:?} was said");
        press.join().expect("the press")
    });
    assert_eq!(press.code, 0, "{press:?}");
    assert_eq!(manager.hear(), "WATCHDOG=1");
    assert!(gateway.stop().success(), "{}", gateway.tail());
    assert!(manager.heard().iter().any(|word| word == "STOPPING=1"));
}

#[test]
fn the_way_of_an_alarm_is_told_as_spans_once_the_collector_takes_them_and_names_nobody() {
    if lacks(&["sipp", "mosquitto_pub", "paho"]) {
        return;
    }
    let (home, centre) = (Home::init(), Centre::start("ok"));
    lived_in(&home, &centre);
    // The first time it is asked it cannot.
    let collector = Script::start("span_collector.py", &["1"]);
    let port = collector.line();
    home.edit(|config| config["otlp"]["to"] = value(format!("127.0.0.1:{port}")));
    let gateway = Gateway::start(&home);
    events(&home, &gateway);
    let alarm = gateway.wait_alarm("the accepted alarm", |row| row["lane"] == "life" && row["rung"] == "accepted");
    let next = || serde_json::from_str::<Value>(&collector.line()).expect("JSON");
    let (refused, taken) = (next(), next());
    assert_eq!((&refused["status"], &taken["status"]), (&503.into(), &200.into()));
    for request in [&refused, &taken] {
        assert_eq!((&request["path"], &request["broken"]), (&"/v1/traces".into(), &Value::Null), "{request}");
        assert_eq!(request["resource"][0]["service.name"], "vaka");
        let text = request["text"].as_str().expect("its text");
        let names = ["astrid", "pendant", "bed-", "blue-room"];
        assert!(names.iter().all(|name| !text.contains(name)), "{text}");
    }
    let all = |request: &Value| request["spans"].as_array().cloned().unwrap_or_default();
    let of = |request: &Value| {
        let is_of = |span: &Value| span["attributes"]["vaka.alarm.id"] == alarm["id"];
        let root = all(request).into_iter().find(is_of).unwrap_or_else(|| panic!("no span of {alarm} in {request}"));
        all(request).into_iter().filter(|span| span["trace"] == root["trace"]).collect::<Vec<_>>()
    };
    let names = |spans: &[Value]| -> BTreeSet<String> {
        spans.iter().filter_map(|span| Some(span["name"].as_str()?.to_owned())).collect()
    };
    assert_eq!(names(&of(&taken)), ["alarm", "dispatch", "store"].map(String::from).into(), "{taken}");
    assert_eq!(all(&refused)[0]["id"], all(&taken)[0]["id"], "what was refused is told again");

    home.vaka(&["alarm", "claim", alarm["id"].as_str().expect("an id"), "--by", "anna"]).ok();
    let trace = of(&taken)[0]["trace"].clone();
    // Other alarms end meanwhile; this one's other spans come no second time.
    let claimed = loop {
        let spans: Vec<Value> = all(&next()).into_iter().filter(|span| span["trace"] == trace).collect();
        if !spans.is_empty() {
            break spans;
        }
    };
    assert_eq!(names(&claimed), BTreeSet::from(["claim".to_owned()]), "{claimed:?}");
    assert!(claimed[0]["attributes"].as_object().is_some_and(serde_json::Map::is_empty), "nor whoever took it");
}
