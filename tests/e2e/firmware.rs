//! The firmware's own image, under QEMU, against the real gateway and SIPp as the alarm centre.

use vaka_tests::{Board, Centre, Flash, Gateway, Home, Provisioning, firmware, lacks, lacks_firmware};

/// A home with one device, and its flash.
fn device(home: &Home, id: &str, kind: &str) -> Flash {
    home.device(id, kind);
    Flash::new(&home.dir().join(format!("{id}.flash")), &Provisioning::of(home, id))
}

#[test]
fn a_press_on_the_pendant_lights_it_when_the_centre_has_accepted() {
    if lacks(&["sipp"]) || lacks_firmware() {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port);
    let flash = device(&home, "p1", "pendant");
    let gateway = Gateway::start(&home);
    let mut board = Board::start(&firmware::image("pendant"), &flash);
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
}
