//! Two ways to one alarm centre: real links taken down in network namespaces, and a relay that is slow, silent or breaks off.

use std::time::Duration;

use serde_json::Value;
use toml_edit::{ArrayOfTables, Table, value};
use vaka_tests::netns::{CENTRE, FIBRE, MOBILE, TwoWays};
use vaka_tests::{
    Centre, Gateway, Home, MqttVersion, Paho, Relay, Way, eventually, lacks, mosquitto_pub, or_skip, press,
};

/// A home with a pendant and a lamp that speaks; its one receiver has these paths: name, and keys with their words.
fn home(url: &str, paths: &[(&str, &[(&str, &str)])]) -> Home {
    let home = Home::init();
    home.receiver("larmcentral", url, &[]);
    home.edit(|config| {
        let receivers = config["receiver"].as_array_of_tables_mut().expect("receivers");
        let receiver = receivers.get_mut(0).expect("one receiver");
        receiver["two_paths"] = value(true);
        receiver["heartbeat_interval_s"] = value(1);
        receiver["received_deadline_ms"] = value(1_500);
        receiver["accepted_deadline_ms"] = value(3_000);
        let mut tables = ArrayOfTables::new();
        for (name, keys) in paths {
            let mut path = Table::new();
            path["name"] = value(*name);
            for (key, word) in *keys {
                path[key] = value(*word);
            }
            tables.push(path);
        }
        receiver.insert("path", toml_edit::Item::ArrayOfTables(tables));
    });
    home.device("p1", "pendant").device("lamp", "feedback");
    home
}

fn press_p1(home: &Home, gateway: &Gateway, seq: u64) {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq));
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
}

/// Each press is one more notice of the same alarm, from 0. Waits until it is accepted, and gives the path that it took.
fn accepted_over(gateway: &Gateway, notice: u64) -> String {
    let accepted = |step: &&Value| step["rung"] == "accepted" && step["notice"] == notice;
    let find = |row: &Value| row["rungs"].as_array().and_then(|rungs| rungs.iter().find(accepted).cloned());
    let row = gateway
        .wait_alarm(&format!("press {} accepted", notice + 1), |row| row["lane"] == "life" && find(row).is_some());
    find(&row).expect("just seen")["path"].as_str().expect("a path").to_owned()
}

/// Waits until the newest word on that path is so.
fn path_is(home: &Home, gateway: &Gateway, name: &str, up: bool) {
    let of_path = |record: &&Value| record["path"].as_str().is_some_and(|path| path.starts_with(name));
    eventually(
        &format!("{name} recorded as up={up}"),
        || gateway.tail(),
        || {
            let records = home.records("path");
            records.iter().rfind(of_path).is_some_and(|record| record["up"] == up).then_some(())
        },
    );
}

/// `vaka check`: its exit code, and what it says of a part.
fn check(home: &Home, part: &str) -> (i32, String, String) {
    let output = home.vaka(&["check", "--json"]);
    let said = output.rows().remove(0);
    let parts = said["parts"].as_array().expect("parts");
    let line = parts.iter().find(|line| line["part"] == part).unwrap_or_else(|| panic!("no part {part}: {said}"));
    let word = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (output.code, word("light"), word("found"))
}

/// The words of the newest telling of the technical alarm with that cause.
fn newest_words(home: &Home, cause: &str) -> String {
    let row = home.alarms().into_iter().find(|row| row["cause"] == cause).unwrap_or_else(|| panic!("no alarm {cause}"));
    let shown = home.vaka(&["alarm", "show", row["id"].as_str().expect("an id"), "--json"]).ok().rows().remove(0);
    shown["notices"].as_array().and_then(|notices| notices.last()).expect("a notice")["words"].to_string()
}

/// Once for each time the journal says that the notice was accepted.
fn accepted_records(home: &Home, notice: u64) -> usize {
    let life: Vec<Value> = home.alarms_not_technical();
    let of = |record: &&Value| {
        record["rung"] == "accepted"
            && record["notice"] == notice
            && life.iter().any(|row| row["id"] == record["alarm"])
    };
    home.records("rung").iter().filter(of).count()
}

/// Home and centre in namespaces of their own; the centre behind a relay that knows who calls. Ended inside their namespace.
struct Place {
    ways: TwoWays,
    inner: Option<(Relay, Centre)>,
}

impl Place {
    fn make() -> Result<Place, String> {
        let ways = TwoWays::make()?;
        let inner = ways.away.run(|| {
            let centre = Centre::start("ok");
            let relay = Relay::start("0.0.0.0:5060".parse().expect("an address"), centre.port);
            (relay, centre)
        });
        Ok(Place { ways, inner: Some(inner) })
    }

    fn relay(&self) -> &Relay {
        &self.inner.as_ref().expect("until it is dropped").0
    }

    fn centre(&self) -> &Centre {
        &self.inner.as_ref().expect("until it is dropped").1
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let inner = self.inner.take();
        self.ways.away.run(|| drop(inner));
    }
}

#[test]
fn a_link_that_goes_down_is_overtaken_by_the_other_and_with_neither_the_home_hears_of_it() {
    if lacks(&["sipp", "mosquitto_pub", "paho", "ip"]) {
        return;
    }
    let Some(place) = or_skip(Place::make()) else { return };
    let _inside = place.ways.home.enter();
    let url = format!("sip:{CENTRE}:5060;transport=tcp");
    let home = home(&url, &[("fibre", &[("interface", "fibre")]), ("mobile", &[("interface", "mobile")])]);
    let gateway = Gateway::start(&home);
    let mut lamp = Paho::new(&home, "lamp", MqttVersion::V5).connect();
    lamp.subscribe("vaka/v1/lamp/command");
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);
    assert_eq!(check(&home, "paths").1, "green");
    // Both lead to the same address, and the table says fibre: what comes from the other end was bound to it.
    assert!(place.relay().count(MOBILE, "PI") > 0 && place.ways.sent_packets("mobile") > 0);

    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).starts_with("fibre "));
    assert_eq!((place.relay().count(FIBRE, "ME"), place.relay().count(MOBILE, "ME")), (1, 0));

    let (heartbeats, packets) = (place.relay().count(MOBILE, "PI"), place.ways.sent_packets("mobile"));
    place.ways.down("fibre");
    path_is(&home, &gateway, "fibre", false);
    gateway.wait_alarm("fibre told as lost", |row| row["cause"] == "path fibre" && row["rung"] == "accepted");
    let (code, light, found) = check(&home, "paths");
    assert!(code == 0 && light == "yellow" && found.contains("larmcentral over fibre"), "{code} {light} {found}");
    press_p1(&home, &gateway, 2);
    assert!(accepted_over(&gateway, 1).starts_with("mobile "));
    assert!(place.relay().count(MOBILE, "ME") >= 1 && place.ways.sent_packets("mobile") > packets);
    eventually(
        "mobile to be watched as closely as fibre was",
        || gateway.tail(),
        || (place.relay().count(MOBILE, "PI") >= heartbeats + 4).then_some(()),
    );

    place.ways.up("fibre");
    path_is(&home, &gateway, "fibre", true);
    eventually(
        "fibre's return, with how long it was away",
        || gateway.tail(),
        || {
            let words = newest_words(&home, "path fibre");
            (words.contains("fibre åter efter") && words.contains("sekund")).then_some(())
        },
    );
    press_p1(&home, &gateway, 3);
    assert!(accepted_over(&gateway, 2).starts_with("fibre "));

    place.ways.down("fibre");
    place.ways.down("mobile");
    path_is(&home, &gateway, "fibre", false);
    path_is(&home, &gateway, "mobile", false);
    lamp.take_until("når ingen just nu");
    let (code, light, found) = check(&home, "paths");
    assert!(code == 1 && light == "red" && found.contains("not reached: larmcentral"), "{code} {light} {found}");
    press_p1(&home, &gateway, 4);
    let row = gateway.wait_alarm("the press joined", |row| row["lane"] == "life" && row["count"] == 4);
    assert_eq!(row["rung"], "stored", "{row}");
    assert_eq!(check(&home, "alarms").1, "red");

    place.ways.up("mobile");
    place.ways.up("fibre");
    accepted_over(&gateway, 3);
    lamp.take_until("tillbaka");
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);
    assert_eq!((0..4).map(|notice| accepted_records(&home, notice)).collect::<Vec<_>>(), [1; 4]);
    let references: Vec<String> = place.centre().alarms().iter().map(|mrq| mrq.get("ref").to_owned()).collect();
    let taken = place.centre().accepted();
    assert!(taken.iter().all(|reference| references.contains(reference)), "{references:?} {taken:?}");
    eventually("all well again", || check(&home, "paths").2, || (check(&home, "paths").1 == "green").then_some(()));
}

/// A modem that comes back under another name: its path is lost for as long, is told, and takes nothing of the other with it.
#[test]
fn an_interface_that_is_renamed_is_a_path_lost_until_it_has_its_name_again() {
    if lacks(&["sipp", "mosquitto_pub", "ip"]) {
        return;
    }
    let Some(place) = or_skip(Place::make()) else { return };
    let _inside = place.ways.home.enter();
    let url = format!("sip:{CENTRE}:5060;transport=tcp");
    let home = home(&url, &[("fibre", &[("interface", "fibre")]), ("mobile", &[("interface", "mobile")])]);
    let gateway = Gateway::start(&home);
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);

    place.ways.rename("fibre", "wwan7");
    path_is(&home, &gateway, "fibre", false);
    gateway.wait_alarm("fibre told as lost", |row| row["cause"] == "path fibre" && row["rung"] == "accepted");
    // Up again, and as good as ever; but it is not what vaka.toml names.
    place.ways.up_as("fibre", "wwan7");
    // What the kernel still had for the connection that was lost goes out now; what is new does not.
    let (alarms, other) = (place.relay().count(FIBRE, "ME"), place.relay().count(MOBILE, "PI"));
    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).starts_with("mobile "));
    eventually(
        "mobile to be watched on",
        || gateway.tail(),
        || (place.relay().count(MOBILE, "PI") >= other + 4).then_some(()),
    );
    assert_eq!(place.relay().count(FIBRE, "ME"), alarms, "no alarm leaves by an interface that nobody named");
    path_is(&home, &gateway, "fibre", false);
    let (code, light, found) = check(&home, "paths");
    assert!(code == 0 && light == "yellow" && found.contains("larmcentral over fibre"), "{code} {light} {found}");

    place.ways.rename("wwan7", "fibre");
    place.ways.up("fibre");
    path_is(&home, &gateway, "fibre", true);
    press_p1(&home, &gateway, 2);
    assert!(accepted_over(&gateway, 1).starts_with("fibre "));
    assert_eq!((0..2).map(|notice| accepted_records(&home, notice)).collect::<Vec<_>>(), [1; 2]);
    eventually("all well again", || check(&home, "paths").2, || (check(&home, "paths").1 == "green").then_some(()));
}

#[test]
fn a_path_bound_to_an_address_leaves_from_that_address() {
    if lacks(&["sipp", "mosquitto_pub", "ip"]) {
        return;
    }
    let Some(place) = or_skip(Place::make()) else { return };
    let _inside = place.ways.home.enter();
    // Each link's other end is an address of the centre's place.
    let (fibre_url, mobile_url) = ("sip:10.71.0.2:5060;transport=tcp", "sip:10.72.0.2:5060;transport=tcp");
    let fibre: &[(&str, &str)] = &[("address", FIBRE), ("url", fibre_url)];
    let mobile: &[(&str, &str)] = &[("address", MOBILE), ("url", mobile_url)];
    let home = home(fibre_url, &[("fibre", fibre), ("mobile", mobile)]);
    let gateway = Gateway::start(&home);
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);
    place.ways.down("fibre");
    path_is(&home, &gateway, "fibre", false);
    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).contains(mobile_url));
    assert_eq!(place.relay().count(FIBRE, "ME"), 0);
}

/// Two relays before one centre, on loopback.
fn relayed(centre: &Centre) -> (Relay, Relay, Home) {
    let relay = || Relay::start("127.0.0.1:0".parse().expect("an address"), centre.port);
    let (fibre, mobile) = (relay(), relay());
    let url = |relay: &Relay| format!("sip:127.0.0.1:{};transport=tcp", relay.port);
    let (first, second) = (url(&fibre), url(&mobile));
    let home = home(&first, &[("fibre", &[("url", &first)]), ("mobile", &[("url", &second)])]);
    (fibre, mobile, home)
}

#[test]
fn a_half_open_first_path_is_overtaken_then_known_as_lost_and_used_again_when_it_speaks() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (fibre, _mobile, home) = relayed(&centre);
    let gateway = Gateway::start(&home);
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);
    fibre.is(Way::Swallows);
    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).starts_with("mobile "));
    path_is(&home, &gateway, "fibre", false);
    press_p1(&home, &gateway, 2);
    assert!(accepted_over(&gateway, 1).starts_with("mobile "));
    fibre.is(Way::Passes);
    path_is(&home, &gateway, "fibre", true);
    press_p1(&home, &gateway, 3);
    assert!(accepted_over(&gateway, 2).starts_with("fibre "));
    assert_eq!((0..3).map(|notice| accepted_records(&home, notice)).collect::<Vec<_>>(), [1; 3]);
}

#[test]
fn a_slow_path_is_a_path() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (fibre, mobile, home) = relayed(&centre);
    // As over a satellite: within the deadlines, beyond the heartbeat's interval with the answer.
    fibre.is(Way::Delays(Duration::from_millis(600)));
    let gateway = Gateway::start(&home);
    path_is(&home, &gateway, "fibre", true);
    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).starts_with("fibre "));
    let before = fibre.count("127.0.0.1", "PI");
    eventually(
        "four more heartbeats",
        || gateway.tail(),
        || (fibre.count("127.0.0.1", "PI") >= before + 4).then_some(()),
    );
    assert!(home.records("path").iter().all(|record| record["up"] == true), "{:?}", home.records("path"));
    assert_eq!(mobile.count("127.0.0.1", "ME"), 0);
}

#[test]
fn a_connection_lost_before_the_answer_sends_the_same_alarm_over_the_other_path() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (fibre, _mobile, home) = relayed(&centre);
    let gateway = Gateway::start(&home);
    path_is(&home, &gateway, "fibre", true);
    path_is(&home, &gateway, "mobile", true);
    fibre.is(Way::CutsAfterAlarm);
    press_p1(&home, &gateway, 1);
    assert!(accepted_over(&gateway, 0).starts_with("mobile "));
    let life: Vec<_> = centre.alarms().into_iter().filter(|mrq| mrq.code("dty") == Some(3)).collect();
    assert_eq!(life.len(), 2, "the centre had taken it: {life:?}");
    assert_eq!(life[0], life[1], "under the same reference, in the same words");
    assert_eq!(accepted_records(&home, 0), 1);
}
