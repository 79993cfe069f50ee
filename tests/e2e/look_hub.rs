//! Staff at a hub look into a home, both the real program: a real camera there, a real browser here, and nothing of a picture left in either.

use toml_edit::{Array, value};
use vaka_tests::browser::browse;
use vaka_tests::{
    Centre, Gateway, Home, MqttVersion, eventually, lacks, lamp, look_steps, mosquitto_pub, mosquitto_pub_with, press,
    traces, with_camera,
};

/// A hub, and a home of it whose receiver `kommun` may order these.
fn hub_and_home(centre: &Centre, orders: &[&str]) -> (Home, Home) {
    let hub = Home::init();
    hub.edit(|config| {
        config["gateway"]["id"] = value("hub-1");
        config["gateway"]["role"] = value("hub");
    });
    hub.centre(centre.port);
    hub.device("gw-0007", "gateway");
    let home = Home::init();
    home.edit(|config| config["gateway"]["id"] = value("gw-0007"));
    let pem = |name: &str| hub.pem("gw-0007", name).display().to_string();
    let (cert, key, ca) = (pem("cert.pem"), pem("key.pem"), pem("ca.pem"));
    let keys = [("kind", "hub"), ("cert", cert.as_str()), ("key", key.as_str()), ("ca", ca.as_str())];
    home.receiver("kommun", &format!("mqtts:127.0.0.1:{}", hub.mqtt_port), &keys);
    home.edit(|config| config["receiver"][0]["orders"] = value(Array::from_iter(orders.iter().copied())));
    (hub, home)
}

/// The look-ins by camera on the hub's round.
fn at_hub(hub: &Home) -> Vec<serde_json::Value> {
    let round = hub.vaka(&["round", "--json"]).ok().rows();
    let items = round.iter().flat_map(|night| night["round"].as_array().cloned().unwrap_or_default());
    items.filter(|item| item["form"] == "camera").collect()
}

#[test]
fn staff_at_a_hub_look_into_a_home_that_grants_it_lights_its_lamp_and_keeps_nothing() {
    if lacks(&["chromium", "node", "playwright", "paho", "ffmpeg", "sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (hub, home) = hub_and_home(&centre, &["look"]);
    let camera = with_camera(&home);
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    let lamp = lamp(&home);
    eventually(
        "the hub knows of the look-in",
        || upstairs.tail(),
        || at_hub(&hub).iter().any(|item| item["home"] == "gw-0007" && item["state"] == "due").then_some(()),
    );
    browse(&hub, "look_hub", &[("VAKA_PICTURES", &camera.pictures.display().to_string())]);
    let light = || serde_json::from_str::<serde_json::Value>(&lamp.line()).expect("JSON")["feedback"]["light"].clone();
    assert_eq!(light(), "steady");
    while light() != "off" {}

    // Who looked, and why, stands in the home's own records, by the name that the hub gave.
    let steps = look_steps(&home);
    let asked = steps.iter().find(|step| step["asked"]["by"] == "kommun: natt-1").expect("who looked");
    assert_eq!(asked["asked"]["purpose"], "Avtalad tillsyn");
    let shown_s = |step: &serde_json::Value| step["ended"]["shown_ms"].as_u64().map(|ms| ms / 1_000);
    assert!(steps.iter().any(|step| step["ended"]["why"] == "time" && shown_s(step) == Some(15)), "{steps:?}");
    let calm =
        |step: &serde_json::Value| step["outcome"]["outcome"] == "calm" && step["outcome"]["by"] == "kommun: natt-1";
    assert!(steps.iter().any(calm), "{steps:?}");
    let ordered = |record: &serde_json::Value| {
        record["act"] == "order look" && record["person"] == "kommun: natt-1" && record["resident"] == "r1"
    };
    assert!(home.records("trace").iter().any(ordered), "the resident's extract has it");
    let looked = |record: &serde_json::Value| {
        record["act"] == "look" && record["person"] == "natt-1" && record["resident"] == "gw-0007/r1"
    };
    let at_the_hub = hub.records("trace");
    assert!(!at_the_hub.iter().any(|record| record["resident"] == "r1"), "the hub's own r1 is somebody else");
    let looked = at_the_hub.iter().find(|record| looked(record)).unwrap_or_else(|| panic!("{at_the_hub:?}"));
    assert_eq!(looked["purpose"], "Avtalad tillsyn");

    // It was looked at clearly: what passed is what is searched for.
    let folders = [home.dir(), hub.dir()];
    assert_eq!(traces(&folders, &camera.pictures), 0, "nothing of a picture is in either's folder, journal or log");
    std::fs::copy(camera.pictures.join("01.jpg"), hub.path("journal/found.test")).expect("a copy");
    assert!(traces(&folders, &camera.pictures) > 0, "the search finds what is there");
    drop((upstairs, downstairs));
}

#[test]
fn an_alarm_of_a_home_opens_its_camera_for_staff_at_the_hub_where_that_is_agreed() {
    if lacks(&["chromium", "node", "playwright", "paho", "ffmpeg", "sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (hub, home) = hub_and_home(&centre, &["look"]);
    let camera = with_camera(&home);
    home.device("p1", "pendant");
    home.edit(|config| {
        config["resident"][0]["look"]["alarm_may_look"] = value(Array::from_iter(["button"]));
        for device in config["device"].as_array_of_tables_mut().expect("devices").iter_mut() {
            device["resident"] = value("r1");
        }
    });
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    let lamp = lamp(&home);
    let pressed = mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 1));
    assert_eq!(pressed.code, 0, "{}", pressed.stderr);
    let alarm = || hub.alarms().iter().find(|alarm| alarm["cause"] == "button").map(|alarm| alarm["id"].clone());
    let alarm = eventually("the hub has the alarm", || upstairs.tail(), alarm);
    let pictures = camera.pictures.display().to_string();
    let alarm = alarm.as_str().expect("an id").to_owned();
    browse(&hub, "look_hub_alarm", &[("VAKA_PICTURES", &pictures), ("VAKA_ALARM", &alarm)]);
    let light = || serde_json::from_str::<serde_json::Value>(&lamp.line()).expect("JSON")["feedback"]["light"].clone();
    while light() != "steady" {}
    while light() != "off" {}
    let steps = look_steps(&home);
    let asked = steps.iter().find(|step| step["asked"]["by"] == "kommun: natt-1").expect("who looked");
    assert_eq!(asked["asked"]["purpose"], "Larm");
    assert!(asked["asked"]["alarm"].is_string() && asked["asked"]["slot"].is_null(), "{asked}");
    assert_eq!(asked["asked"]["clear"], true, "the home has let the veil off");
    let calm =
        |step: &serde_json::Value| step["outcome"]["outcome"] == "calm" && step["outcome"]["by"] == "kommun: natt-1";
    assert!(steps.iter().any(calm), "{steps:?}");
    let ordered = |record: &serde_json::Value| {
        record["act"] == "order look"
            && record["person"] == "kommun: natt-1"
            && record["resident"] == "r1"
            && record["object"] == "camera cam, clear"
    };
    assert!(home.records("trace").iter().any(ordered), "the resident's extract has it: {:?}", home.records("trace"));
    assert_eq!(traces(&[home.dir(), hub.dir()], &camera.pictures), 0, "nothing of a picture is kept");
    drop((upstairs, downstairs));
}

#[test]
fn a_hub_takes_what_speaks_mqtt_whatever_it_calls_itself() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (hub, _home) = hub_and_home(&centre, &["look"]);
    hub.device("p1", "pendant");
    let upstairs = Gateway::start(&hub);
    for (seq, name) in (1..).zip(["mqtt", "x-amzn-mqtt-ca", "vaka-look/9"]) {
        let options = ["--tls-alpn", name];
        let topic = "vaka/v1/p1/event";
        let pressed = mosquitto_pub_with(&options, &hub, "p1", MqttVersion::V5, topic, &press(1, seq));
        assert_eq!(pressed.code, 0, "{name}: {}; {}", pressed.stderr, upstairs.tail());
    }
    // The look stream is that still, and takes no MQTT.
    let options = ["--tls-alpn", "vaka-look/1"];
    let pressed = mosquitto_pub_with(&options, &hub, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, 9));
    assert_ne!(pressed.code, 0, "{}", pressed.stdout);
    drop(upstairs);
}

#[test]
fn a_look_in_that_was_withdrawn_while_the_home_was_down_leaves_the_hubs_round() {
    if lacks(&["paho", "ffmpeg", "sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (hub, home) = hub_and_home(&centre, &["look"]);
    let _camera = with_camera(&home);
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    eventually("the hub knows of the look-in", || upstairs.tail(), || (!at_hub(&hub).is_empty()).then_some(()));
    drop(downstairs);
    home.edit(|config| {
        config["resident"][0].as_table_mut().expect("a resident").remove("look");
    });
    let downstairs = Gateway::start(&home);
    eventually("the hub knows that it is gone", || upstairs.tail(), || at_hub(&hub).is_empty().then_some(()));
    drop((upstairs, downstairs));
}

#[test]
fn a_home_that_does_not_let_its_hub_look_tells_it_nothing_and_shows_it_nothing() {
    if lacks(&["paho", "ffmpeg", "sipp"]) {
        return;
    }
    let centre = Centre::start("ok");
    let (hub, home) = hub_and_home(&centre, &["feedback"]);
    let _camera = with_camera(&home);
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    eventually(
        "the hub hears the home",
        || downstairs.tail(),
        || {
            let stat = hub.vaka(&["journal", "stat", "--json"]).ok().rows().remove(0);
            (!stat["running"]["homes"]["gw-0007"].is_null()).then_some(())
        },
    );
    assert_eq!(at_hub(&hub), [] as [serde_json::Value; 0]);
    assert!(!look_steps(&home).iter().any(|step| step["asked"]["by"].is_string()));
    drop((upstairs, downstairs));
}
