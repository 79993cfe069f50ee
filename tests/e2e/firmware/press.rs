//! A press, up to the light that says it is received; and what the pendant shows when it cannot be.

use std::net::{Ipv4Addr, SocketAddr};

use vaka_tests::{Centre, Flash, Gateway, Home, Provisioning, Relay, Way, lacks, lacks_firmware};

use crate::{count, flash, pendant};

#[test]
fn a_press_on_the_pendant_lights_it_when_the_centre_has_accepted() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("started power");
    board.wait("connected");

    board.say("press 120");
    board.wait("light blink");
    board.wait("text Larmet skickas");
    let row = gateway.wait_alarm("the press accepted", |row| row["rung"] == "accepted");
    assert_eq!((&row["device"], &row["lane"]), (&"p1".into(), &"life".into()), "{row}");
    assert_eq!(centre.wait_alarms(1)[0].code("dty"), Some(3), "a pendant");
    board.wait("light steady");
    board.wait("text Larmet är mottaget");

    // Not a word of it before: what the pendant said until the receipt promises nothing.
    let said = board.lines();
    let steady = said.iter().position(|line| line == "light steady").expect("just waited for");
    assert!(said[..steady].iter().all(|line| !line.contains("mottaget")), "{}", board.tail());

    // A person takes it and ends it; the pendant says so.
    let id = row["id"].as_str().expect("an id");
    home.vaka(&["alarm", "claim", id, "--by", "anna"]).ok();
    board.wait("text Hjälp är på väg");
    home.vaka(&["alarm", "close", id, "--by", "anna", "--note", "helped up"]).ok();
    board.wait("light off");
}

#[test]
fn a_press_that_only_the_pins_interrupt_saw_is_a_call() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.wait("acked");
    // Held up as by an erase of its flash, for longer than a button bounces.
    board.say("tap 60");
    board.wait("light steady");
    gateway.wait_alarm("the press accepted", |row| row["rung"] == "accepted" && row["count"] == 1);
}

#[test]
fn a_pendant_tells_how_well_it_hears_where_it_is_put_up_as_often_as_a_visit_wants() {
    if lacks_firmware() {
        return;
    }
    let home = Home::init();
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.wait("acked");
    for line in ["signal -71", "skip 600000"] {
        board.say(line);
    }
    board.wait("skipped");
    let told = |home: &Home| count(home, "p1", |event| event["signal"]["rssi_dbm"] == -71);
    vaka_tests::eventually("three probes", || gateway.tail(), || (told(&home) == 3).then_some(()));
}

#[test]
fn a_pulled_cable_is_told_to_the_resident_and_the_press_arrives_when_it_is_back() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.set_link(false);
    board.wait("apart network");

    board.say("press 120");
    board.wait("text Larmet skickas");
    board.wait("text Larmet har inte gått fram än");
    assert!(home.alarms_not_technical().is_empty());
    board.set_link(true);
    board.wait("connected");
    board.wait("light steady");
    gateway.wait_alarm("the press accepted", |row| row["rung"] == "accepted" && row["count"] == 1);
}

#[test]
fn a_path_that_swallows_everything_is_given_up_and_tried_again() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    let gateway = Gateway::start(&home);
    let relay = Relay::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), home.mqtt_port);
    let provisioning = Provisioning { port: relay.port, ..Provisioning::of(&home, "p1") };
    let mut board = pendant(&Flash::new(&home.dir().join("p1.flash"), &provisioning));
    board.wait("connected");
    // Its first event is acknowledged: the connection stands.
    board.wait("acked");

    relay.is(Way::Swallows);
    board.say("press 120");
    board.wait("text Larmet har inte gått fram än");
    board.wait("apart late");
    relay.is(Way::Passes);
    board.wait("connected");
    board.wait("light steady");
    gateway.wait_alarm("the press accepted, once", |row| row["rung"] == "accepted" && row["count"] == 1);
}

#[test]
fn a_path_that_loses_every_packet_is_given_up_and_tried_again() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = flash(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = pendant(&flash);
    board.wait("connected");
    board.wait("acked");

    // Nobody acknowledges even the bytes: what waits for that waits for ever.
    board.drop_packets(true);
    board.say("press 120");
    board.wait("text Larmet har inte gått fram än");
    board.wait("apart late");
    board.drop_packets(false);
    board.wait("connected");
    board.wait("light steady");
    gateway.wait_alarm("the press accepted, once", |row| row["rung"] == "accepted" && row["count"] == 1);
}
