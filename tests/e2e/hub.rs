//! A home and its municipality's hub, both the real program: alarms go up, receipts come down, and neither may die in silence.

use toml_edit::value;
use vaka_tests::{Centre, Gateway, Home, MqttVersion, Paho, Process, eventually, lacks, mosquitto_pub, press, program};

/// A hub that sends on to the centre on that port.
fn hub(centre_port: u16) -> Home {
    let hub = Home::init();
    hub.edit(|config| {
        config["gateway"]["id"] = value("hub-1");
        config["gateway"]["role"] = value("hub");
    });
    hub.centre(centre_port);
    hub
}

/// A home whose receiver is the hub, enrolled there as `id`.
fn home_of(hub: &Home, id: &str) -> Home {
    hub.device(id, "gateway");
    let home = Home::init();
    home.edit(|config| {
        config["gateway"]["id"] = value(id);
        config["gateway"]["controller_id"] = value("46700001");
    });
    let pem = |name: &str| hub.pem(id, name).display().to_string();
    let (cert, key, ca) = (pem("cert.pem"), pem("key.pem"), pem("ca.pem"));
    let keys = [("kind", "hub"), ("cert", cert.as_str()), ("key", key.as_str()), ("ca", ca.as_str())];
    home.receiver("kommun", &format!("mqtts:127.0.0.1:{}", hub.mqtt_port), &keys);
    home.device("p1", "pendant");
    home
}

fn press_at(home: &Home, gateway: &Gateway, seq: u64) {
    let published = mosquitto_pub(home, "p1", MqttVersion::V5, "vaka/v1/p1/event", &press(1, seq));
    assert_eq!(published.code, 0, "{published:?}\n{}", gateway.tail());
}

fn id_of(row: &serde_json::Value) -> &str {
    row["id"].as_str().expect("an alarm's id")
}

#[test]
fn an_alarm_goes_up_through_the_hub_and_what_people_do_there_comes_down() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let hub = hub(centre.port);
    let home = home_of(&hub, "gw-0007");
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    press_at(&home, &downstairs, 1);

    let accepted = downstairs.wait_alarm("accepted at the home", |row| row["rung"] == "accepted");
    assert_eq!(accepted["handed_over"], true, "the centre behind the hub proves no more: {accepted}");
    let there = upstairs.wait_alarm("the same at the hub", |row| row["rule"] == "homes");
    assert_eq!((&there["device"], &there["cause"]), (&"gw-0007".into(), &"button".into()), "{there}");
    let message = centre.wait_alarms(1).remove(0);
    assert_eq!((message.get("cid"), message.get("did")), ("46700001", "p1"), "{message:?}");

    hub.vaka(&["alarm", "claim", id_of(&there), "--by", "anna"]).ok();
    downstairs.wait_alarm("claimed at the home", |row| row["rung"] == "claimed");
    let shown = home.vaka(&["alarm", "show", id_of(&accepted), "--json"]).ok().rows().remove(0);
    assert_eq!(shown["claimed_by"], "kommun: staff", "{shown}");
    // Pressed again while somebody has it: another alarm, here and there.
    press_at(&home, &downstairs, 2);
    let second = |row: &serde_json::Value| row["rule"] == "homes" && row["id"] != there["id"];
    let again = upstairs.wait_alarm("the second alarm at the hub", |row| second(row) && row["rung"] == "accepted");
    hub.vaka(&["alarm", "close", id_of(&there), "--by", "anna"]).ok();
    eventually(
        "the first alarm to be closed at the home",
        || downstairs.tail(),
        || {
            let open = home.alarms_not_technical();
            (open.len() == 1 && open[0]["id"] != accepted["id"]).then_some(())
        },
    );
    // The clear was of that alarm alone: the next press is an alarm again.
    hub.vaka(&["alarm", "close", id_of(&again), "--by", "anna"]).ok();
    eventually(
        "both closed at the home",
        || downstairs.tail(),
        || home.alarms_not_technical().is_empty().then_some(()),
    );
    press_at(&home, &downstairs, 3);
    downstairs.wait_alarm("a third alarm, accepted", |row| row["rung"] == "accepted");
    assert_eq!(centre.wait_alarms(3).len(), 3);
}

#[test]
fn a_hub_that_dies_and_comes_back_loses_nothing_and_raises_nothing_twice() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let hub = hub(centre.port);
    let home = home_of(&hub, "gw-0007");
    let mut upstairs = Gateway::start(&hub);
    let mut downstairs = Gateway::start(&home);
    press_at(&home, &downstairs, 1);
    downstairs.wait_alarm("accepted", |row| row["rung"] == "accepted");

    upstairs.kill();
    press_at(&home, &downstairs, 2);
    let row = downstairs.wait_alarm("joined, and held back by the press that the hub has not", |row| row["count"] == 2);
    assert!(row["rung"] == "stored" || row["rung"] == "sent", "{row}");
    // The home dies too: what it owes stands in its journal.
    downstairs.kill();
    upstairs.restart();
    downstairs.restart();
    downstairs.wait_alarm("all of it accepted", |row| row["count"] == 2 && row["rung"] == "accepted");
    let there = upstairs.wait_alarm("the same at the hub", |row| row["rule"] == "homes" && row["count"] == 2);
    assert_eq!(hub.alarms_not_technical().len(), 1, "{there}");
    let raised = hub.records("decisions").iter().filter(|record| record.to_string().contains("\"homes\"")).count();
    assert_eq!(raised, 1, "raised once");
}

#[test]
fn what_the_hubs_staff_close_while_the_home_restarts_is_closed_at_home_and_mutes_nothing_later() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let hub = Home::init();
    hub.edit(|config| config["gateway"]["role"] = value("hub"));
    let home = home_of(&hub, "gw-0007");
    home.device("p2", "pendant");
    let upstairs = Gateway::start(&hub);
    let mut downstairs = Gateway::start(&home);
    let low = |device: &str, seq: u64| {
        let event = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"battery":{{"percent":5,"low":true}}}}}}"#);
        let published = mosquitto_pub(&home, device, MqttVersion::V5, &format!("vaka/v1/{device}/event"), &event);
        assert_eq!(published.code, 0, "{published:?}\n{}", downstairs_tail(&home));
    };
    let of = |device: &'static str| {
        move |row: &serde_json::Value| {
            row["cause"] == "battery" && (row["device"] == device || row["home"]["device"] == device)
        }
    };
    let mut there = Vec::new();
    for device in ["p1", "p2"] {
        low(device, 1);
        there.push(upstairs.wait_alarm("the battery at the hub", of(device)));
        hub.vaka(&["alarm", "claim", id_of(there.last().expect("one")), "--by", "anna"]).ok();
        downstairs.wait_alarm("claimed at the home", |row| of(device)(row) && row["rung"] == "claimed");
    }
    // One is closed while the home's gateway stands still, the other once it is there again.
    downstairs.kill();
    hub.vaka(&["alarm", "close", id_of(&there[0]), "--by", "anna"]).ok();
    downstairs.restart();
    let open = |home: &Home, device: &'static str| home.alarms().into_iter().find(of(device));
    let is_gone =
        |device| eventually("closed at the home", || downstairs.tail(), || open(&home, device).is_none().then_some(()));
    is_gone("p1");
    hub.vaka(&["alarm", "close", id_of(&there[1]), "--by", "anna"]).ok();
    is_gone("p2");
    assert!(open(&hub, "p1").is_none() && open(&hub, "p2").is_none(), "asking raised nothing: {:?}", hub.alarms());
    for device in ["p1", "p2"] {
        low(device, 2);
        upstairs.wait_alarm("the same cause is an alarm again", of(device));
    }
}

#[test]
fn what_people_in_the_home_do_is_known_at_the_hub_also_when_it_was_away() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let hub = hub(centre.port);
    let home = home_of(&hub, "gw-0007");
    let mut upstairs = Gateway::start(&hub);
    let mut downstairs = Gateway::start(&home);
    press_at(&home, &downstairs, 1);
    let accepted = downstairs.wait_alarm("accepted at the home", |row| row["rung"] == "accepted");
    home.vaka(&["alarm", "claim", id_of(&accepted), "--by", "anna"]).ok();
    let there = upstairs.wait_alarm("claimed at the hub", |row| row["rung"] == "claimed");
    let shown = hub.vaka(&["alarm", "show", id_of(&there), "--json"]).ok().rows().remove(0);
    assert_eq!(shown["claimed_by"], "gw-0007: anna", "{shown}");
    // Closed while the hub is away; then the home is away too.
    upstairs.kill();
    home.vaka(&["alarm", "close", id_of(&accepted), "--by", "anna"]).ok();
    downstairs.kill();
    upstairs.restart();
    assert_eq!(hub.alarms_not_technical().len(), 1, "the hub has not heard of it yet");
    downstairs.restart();
    let is_empty = || hub.alarms_not_technical().is_empty().then_some(());
    eventually("closed at the hub", || upstairs.tail(), is_empty);
    // The next press is an alarm again. Closed while the home's gateway stands still, it is told at its start.
    press_at(&home, &downstairs, 2);
    let again = downstairs.wait_alarm("a second alarm, accepted", |row| row["rung"] == "accepted");
    assert_ne!(again["id"], accepted["id"]);
    assert_eq!(hub.alarms_not_technical().len(), 1);
    downstairs.kill();
    home.vaka(&["alarm", "close", id_of(&again), "--by", "bo"]).ok();
    downstairs.restart();
    eventually("closed at the hub too", || upstairs.tail(), is_empty);
    let by_the_home = |record: &&serde_json::Value| record["by"].as_str().is_some_and(|by| by.starts_with("gw-0007: "));
    let acts: Vec<_> = hub.records("act").iter().filter(by_the_home).map(|act| act["act"].clone()).collect();
    assert_eq!(acts, ["claim", "close", "close"], "each once, however often it was told");
    assert_eq!(centre.wait_alarms(2).len(), 2);
}

#[test]
fn a_close_that_overtakes_its_alarm_on_the_way_to_the_hub_settles_it_there() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let hub = Home::init();
    hub.edit(|config| config["gateway"]["role"] = value("hub"));
    hub.device("gw-0007", "gateway");
    let mut upstairs = Gateway::start(&hub);
    let tell = |seq: u64, alarm: &str, more: &str| {
        let event = format!(
            r#"{{"v":1,"restart":0,"seq":{seq},"event":{{"alarm":{{"alarm":"{alarm}","lane":"care","cause":"dose","number":0,"happened_at":1795000000000,{more}}}}}}}"#
        );
        let published = mosquitto_pub(&hub, "gw-0007", MqttVersion::V5, "vaka/v1/gw-0007/event", &event);
        assert_eq!(published.code, 0, "{published:?}");
    };
    tell(90, "a1", r#""rung":"closed","by":"anna""#);
    upstairs.kill();
    upstairs.restart();
    tell(1, "a1", r#""what":"raise","count":1,"text":"Dos""#);
    tell(2, "a2", r#""what":"raise","count":1,"text":"Dos""#);
    let open = upstairs.wait_alarm("the other alarm", |row| row["rule"] == "homes");
    assert_eq!(open["home"]["alarm"], "a2", "that one nobody has closed");
    assert_eq!(hub.alarms_not_technical().len(), 1);
    let all = hub.vaka(&["alarm", "list", "--all", "--json"]).ok().rows();
    let closed = all.iter().find(|row| row["home"]["alarm"] == "a1").expect("it is not forgotten");
    let shown = hub.vaka(&["alarm", "show", id_of(closed), "--json"]).ok().rows().remove(0);
    assert_eq!(shown["closed_by"], "gw-0007: anna", "{shown}");
}

#[test]
fn how_the_home_is_is_seen_at_the_hub() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let hub = Home::init();
    hub.edit(|config| config["gateway"]["role"] = value("hub"));
    let home = home_of(&hub, "gw-0007");
    let upstairs = Gateway::start(&hub);
    let downstairs = Gateway::start(&home);
    let health =
        || hub.vaka(&["journal", "stat", "--json"]).ok().rows().remove(0)["running"]["homes"]["gw-0007"].clone();
    let is = |what: &str, ok: bool| {
        let wanted = || Some(health()).filter(|health| health["ok"] == ok);
        eventually(what, || upstairs.tail(), wanted)
    };
    is("well at first", true);
    let low = r#"{"v":1,"restart":1,"seq":1,"event":{"battery":{"percent":5,"low":true}}}"#;
    assert_eq!(mosquitto_pub(&home, "p1", MqttVersion::V5, "vaka/v1/p1/event", low).code, 0);
    downstairs.wait_alarm("the battery is low", |row| row["cause"] == "battery");
    let said = is("not well", false);
    assert_eq!((&said["faults"], &said["text"]), (&1.into(), &"p1: Batteriet behöver bytas.".into()), "{said}");
    // The technical alarm itself is there, and no second one for the same.
    upstairs.wait_alarm("the battery at the hub", |row| row["cause"] == "battery" && row["device"] == "gw-0007");
    assert!(!hub.alarms().iter().any(|row| row["cause"] == "health"), "{:?}", hub.alarms());
}

#[test]
fn telemetry_goes_to_the_hub_by_its_own_route_and_loses_and_doubles_nothing() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let hub = Home::init();
    hub.edit(|config| config["gateway"]["role"] = value("hub"));
    let home = home_of(&hub, "gw-0007");
    home.device("t1", "thermometer");
    let mut upstairs = Gateway::start(&hub);
    let mut downstairs = Gateway::start(&home);
    let measure = |range: std::ops::Range<u64>| {
        for seq in range {
            let event = format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"temperature":{{"centi_c":{seq}}}}}}}"#);
            assert_eq!(mosquitto_pub(&home, "t1", MqttVersion::V5, "vaka/v1/t1/event", &event).code, 0);
        }
    };
    // Nobody has agreed to it yet.
    measure(1..3);
    home.edit(|config| {
        let mut route = toml_edit::Table::new();
        route["lanes"] = value(toml_edit::Array::from_iter(["telemetry"]));
        route["to"] = value(toml_edit::Array::from_iter(["kommun"]));
        config["route"].as_array_of_tables_mut().expect("routes").push(route);
    });
    downstairs.kill();
    downstairs.restart();
    let position = r#"{"v":1,"restart":1,"seq":900,"event":{"position":{"lat_e7":593293235,"lon_e7":180685808}}}"#;
    assert_eq!(mosquitto_pub(&home, "t1", MqttVersion::V5, "vaka/v1/t1/event", position).code, 0);
    let told = || {
        let of_home = hub.records("event").into_iter().filter(|record| record["of"] == "t1");
        of_home
            .map(|record| record["event"]["temperature"]["centi_c"].as_u64().expect("a temperature"))
            .collect::<Vec<_>>()
    };
    let until = |what: &str, count: usize| {
        eventually(what, || downstairs_tail(&home), || (told().len() >= count).then_some(()));
    };
    measure(3..5);
    until("what was measured after the route was made", 2);
    // The hub is away, then the home too: the journal keeps it.
    upstairs.kill();
    measure(5..9);
    press_at(&home, &downstairs, 1);
    downstairs.kill();
    upstairs.restart();
    downstairs.restart();
    downstairs.wait_alarm("the press at the hub", |row| row["rung"] == "received" || row["rung"] == "accepted");
    until("what was measured while the hub was away", 6);
    measure(9..10);
    until("and what came then", 7);
    assert_eq!(told(), (3..10).collect::<Vec<_>>(), "in order, each once, and no position");
    assert!(hub.alarms().iter().all(|row| row["cause"] == "button"), "{:?}", hub.alarms());
}

fn downstairs_tail(home: &Home) -> String {
    home.vaka(&["journal", "stat", "--json"]).stdout
}

/// The next command of that kind that reaches a device, once it is there.
fn command(device: &mut Paho, kind: &str) -> serde_json::Value {
    let heard = device.take_until(kind);
    let mut texts = heard.iter().filter_map(|message| message["payload"].as_str());
    let text = texts.rfind(|text| text.contains(kind)).unwrap_or_else(|| panic!("no {kind} in {heard:?}"));
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn what_staff_at_the_hub_order_is_judged_in_the_home_and_done_once() {
    if lacks(&["sipp", "mosquitto_pub", "paho"]) {
        return;
    }
    let centre = Centre::start("ok");
    let hub = hub(centre.port);
    let home = home_of(&hub, "gw-0007");
    home.device("door", "lock");
    let of = |device: &mut toml_edit::Table| device["resident"] = value("r1");
    home.edit(|config| {
        let devices = config["device"].as_array_of_tables_mut().expect("devices");
        devices.iter_mut().for_each(of);
        config["receiver"][0]["orders"] = value(toml_edit::Array::from_iter(["unlock", "feedback"]));
    });
    let upstairs = Gateway::start(&hub);
    let mut downstairs = Gateway::start(&home);
    let mut door = Paho::new(&home, "door", MqttVersion::V5).connect();
    door.subscribe("vaka/v1/door/command");
    let mut pendant = Paho::new(&home, "p1", MqttVersion::V5).connect();
    pendant.subscribe("vaka/v1/p1/command");
    pendant.event(&press(1, 1));
    let there = upstairs.wait_alarm("the alarm at the hub", |row| row["rule"] == "homes" && row["rung"] == "accepted");
    let id = id_of(&there).to_owned();
    let order = |args: &[&str]| {
        let about = ["order", args[0], "--alarm", &id, "--by", "anna", "--as", "night"];
        hub.vaka(&[&about[..], &args[1..]].concat())
    };
    let orders = || hub.vaka(&["alarm", "show", &id, "--json"]).ok().rows().remove(0)["orders"].clone();
    let outcome = |number: usize, word: &str| {
        eventually("what became of it", || upstairs.tail(), || (orders()[number]["outcome"] == word).then_some(()));
    };

    // Words go to the pendant that was pressed.
    order(&["say", "Vi kommer."]).ok();
    let said = command(&mut pendant, "Vi kommer.");
    assert_eq!(said["command"]["feedback"]["text"], "Vi kommer.", "{said}");
    let done = |id: &serde_json::Value, seq: u64, outcome: &str| {
        format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"done":{{"id":{id},"outcome":"{outcome}"}}}}}}"#)
    };
    pendant.event(&done(&said["id"], 2, "done"));
    outcome(0, "done");

    // Nobody has agreed that the door is opened from elsewhere.
    order(&["unlock", "--why", "she lies on the floor"]).ok();
    outcome(1, "not-agreed");
    home.edit(|config| {
        let devices = config["device"].as_array_of_tables_mut().expect("devices");
        let lock = devices.iter_mut().find(|device| device["id"].as_str() == Some("door")).expect("the door");
        lock["unlock"]["roles"] = value(toml_edit::Array::from_iter(["night"]));
    });
    // It is, from now on. The home is away while it is ordered, and back before that is too late.
    downstairs.kill();
    order(&["unlock", "--why", "she lies on the floor"]).ok();
    downstairs.restart();
    door.reconnect();
    door.subscribe("vaka/v1/door/command");
    let told = command(&mut door, "\"lock\"");
    assert_eq!(
        (&told["command"]["lock"]["open"], &told["command"]["lock"]["by"]),
        (&true.into(), &"kommun: anna".into())
    );
    door.event(&done(&told["id"], 1, "done"));
    outcome(2, "done");
    // The home has written down who had it opened, and why; and once.
    let traces = home.records("trace");
    let opened: Vec<_> = traces.iter().filter(|trace| trace["act"] == "order unlock").collect();
    assert_eq!(opened.len(), 1, "{traces:?}");
    assert_eq!((&opened[0]["person"], &opened[0]["resident"]), (&"kommun: anna".into(), &"r1".into()));
    assert!(opened[0]["purpose"].as_str().is_some_and(|why| why.contains("floor")), "{}", opened[0]);
    // Technicians' settings are not theirs to order here.
    order(&["lock"]).ok();
    outcome(3, "hub-may-not");

    // At home: an order of no alarm says what becomes of it too.
    pendant.reconnect();
    pendant.subscribe("vaka/v1/p1/command");
    let rows = || home.vaka(&["order", "list", "--json"]).ok().rows();
    assert_eq!(rows()[0]["outcome"], "hub-may-not", "the newest first: {:?}", rows());
    home.vaka(&["order", "set", "p1", "--volume-percent", "80", "--by", "ture"]).ok();
    let said = command(&mut pendant, "settings");
    assert!(home.vaka(&["order", "list"]).ok().stdout.contains("settings to p1  On its way."));
    pendant.event(&done(&said["id"], 3, "failed"));
    eventually("what became of it", || downstairs.tail(), || (rows()[0]["outcome"] == "failed").then_some(()));
    let told = home.vaka(&["order", "list"]).ok().stdout;
    assert!(told.lines().next().is_some_and(|line| line.contains("The device tried, and it went wrong.")), "{told}");
}

/// mosquitto in the hub's place, with the hub's own certificate.
fn broker_for(hub: &Home) -> Process {
    let pki = hub.path("pki").display().to_string();
    let config = format!(
        "user root\nlistener {} 127.0.0.1\ncafile {pki}/device-ca.pem\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n\
         require_certificate true\nuse_identity_as_username true\n",
        hub.mqtt_port
    );
    let file = hub.path("mosquitto.conf");
    std::fs::write(&file, config).expect("its configuration");
    Process::start(std::process::Command::new(program("mosquitto")).arg("-c").arg(&file), &hub.path("mosquitto.log"))
}

#[test]
fn a_word_of_a_newer_hub_is_refused_and_not_left_unanswered() {
    if lacks(&["mosquitto", "paho"]) {
        return;
    }
    let hub = Home::init();
    hub.device("staff", "feedback");
    let home = home_of(&hub, "gw-0007");
    home.edit(|config| config["receiver"][0]["orders"] = value(toml_edit::Array::from_iter(["unlock"])));
    let broker = broker_for(&hub);
    let mut staff = Paho::new(&hub, "staff", MqttVersion::V5);
    eventually("the broker to listen", || broker.tail(), || (staff.try_connect()["connected"] == true).then_some(()));
    staff.subscribe("vaka/v1/gw-0007/event");
    let downstairs = Gateway::start(&home);
    downstairs.wait_log("path up");
    let dance = r#"{"v":1,"id":77,"expires_at":4102444800000,"command":{"order":{"by":"anna","role":"staff","what":{"dance":{}}}}}"#;
    let sent = staff.publish("vaka/v1/gw-0007/command", dance, 1);
    assert_eq!(sent["acked"], true, "{sent}\n{}", broker.tail());
    let heard = staff.take_until("\"id\":77");
    let answer = heard.iter().filter_map(|message| message["payload"].as_str()).find(|text| text.contains("\"id\":77"));
    assert!(answer.is_some_and(|text| text.contains("refused")), "{heard:?}\n{}", downstairs.tail());
}
