use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use vaka_protocol::{Event, Lane, Press};

use super::table::Table;
use super::zigbee2mqtt::{read, read_as, source};
use super::{Adapted, AdapterError, Presses};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/zigbee2mqtt").join(name)
}

/// (topic, payload) of every recorded line.
fn recorded() -> Vec<(String, Value)> {
    let text = fs::read_to_string(data("payloads.jsonl")).expect("the recorded payloads are part of the source");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.map(|line| (line["topic"].as_str().expect("a topic").to_string(), line["payload"].clone())).collect()
}

fn said(payload: &str) -> Adapted {
    read("zigbee2mqtt/hall", payload.as_bytes()).expect("a readable message")
}

fn events(payload: &str) -> Vec<Event> {
    said(payload).events
}

#[test]
fn all_recorded_lines_give_what_the_table_says() {
    let mut table = Table::default();
    for (topic, payload) in recorded() {
        table.add(&topic, payload.to_string().as_bytes());
    }
    let printed = table.to_string();
    println!("{printed}");
    assert_eq!(table.messages(), 188);
    if std::env::var_os("VAKA_BLESS").is_some() {
        fs::write(data("table.txt"), &printed).expect("the table can be written");
    }
    let golden = fs::read_to_string(data("table.txt")).expect("the table is part of the source");
    assert_eq!(
        printed, golden,
        "the adapter reads the recorded payloads otherwise than tests/data/zigbee2mqtt/table.txt says"
    );
}

#[test]
fn no_field_of_a_recorded_line_is_dropped() {
    for (topic, payload) in recorded() {
        let adapted = read(&topic, payload.to_string().as_bytes()).expect("a readable message");
        let counted = adapted.told + adapted.measurements + adapted.unknown.len() as u32;
        assert_eq!(counted as usize, payload.as_object().expect("an object").len(), "{payload} gave {adapted:?}");
        assert!(adapted.events.is_sorted_by_key(Event::lane), "the most urgent first: {:?}", adapted.events);
    }
}

#[test]
fn what_endangers_life_is_life() {
    for (payload, event) in [
        (r#"{"smoke":true}"#, Event::Smoke { active: true }),
        (r#"{"smoke_alarm_1":true}"#, Event::Smoke { active: true }),
        (r#"{"smoke_state":"alarm"}"#, Event::Smoke { active: true }),
        (r#"{"gas":true}"#, Event::Gas { active: true }),
        (r#"{"gas_alarm_2":"ON"}"#, Event::Gas { active: true }),
        (r#"{"carbon_monoxide":true}"#, Event::Co { active: true }),
        (r#"{"carbon_monoxide_alarm":1}"#, Event::Co { active: true }),
        (r#"{"co_state":"alarm"}"#, Event::Co { active: true }),
        (r#"{"co":true}"#, Event::Co { active: true }),
        (r#"{"water_leak":true}"#, Event::Flood { active: true }),
        (r#"{"water_leak_alarm_1":true}"#, Event::Flood { active: true }),
        (r#"{"active_water_leak":true}"#, Event::Flood { active: true }),
        (r#"{"input_3_leak_detect_9":"Leak"}"#, Event::Flood { active: true }),
        (r#"{"water_leakage_state":"water_leakage_yes"}"#, Event::Flood { active: true }),
        (r#"{"halo_alert_state":"interconnect_smoke"}"#, Event::Smoke { active: true }),
        (r#"{"water":true}"#, Event::Flood { active: true }),
        (r#"{"leak":1}"#, Event::Flood { active: true }),
        (r#"{"fire":true}"#, Event::Heat { active: true }),
        (r#"{"fall_status":"fall_alarm"}"#, Event::Fall { impact_mg: None, still_s: None }),
        (r#"{"fall_down_status":"fall"}"#, Event::Fall { impact_mg: None, still_s: None }),
        (r#"{"fall":true}"#, Event::Fall { impact_mg: None, still_s: None }),
        (r#"{"status":"falling"}"#, Event::Fall { impact_mg: None, still_s: None }),
        (r#"{"sos":true}"#, Event::Button { press: Press::Long }),
        (r#"{"sos_alarm":"ON"}"#, Event::Button { press: Press::Long }),
        (r#"{"panic":true}"#, Event::Button { press: Press::Long }),
        (r#"{"emergency":true}"#, Event::Button { press: Press::Long }),
        (r#"{"action":"panic"}"#, Event::Button { press: Press::Long }),
        (r#"{"action":"emergency"}"#, Event::Button { press: Press::Long }),
        (r#"{"action":"1_SOS"}"#, Event::Button { press: Press::Long }),
        (r#"{"sensor":{"smoke":true}}"#, Event::Smoke { active: true }),
        (r#"{"SMOKE":"TRUE"}"#, Event::Smoke { active: true }),
    ] {
        let adapted = said(payload);
        assert_eq!(adapted.events, std::slice::from_ref(&event), "{payload}");
        assert_eq!(event.lane(), Lane::Life);
        assert!(adapted.unknown.is_empty(), "{payload}: {:?}", adapted.unknown);
    }
}

#[test]
fn life_stands_before_everything_else_in_a_message() {
    let events = events(r#"{"battery":4,"contact":false,"tamper":true,"linkquality":20,"sos":true}"#);
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["button", "tamper", "battery", "door"]);
}

#[test]
fn an_unexpected_value_of_what_could_be_an_alarm_goes_to_a_person() {
    for payload in [
        r#"{"smoke":"unknown"}"#,
        r#"{"smoke":37}"#,
        r#"{"carbon_monoxide":35}"#,
        r#"{"fall_status":7}"#,
        r#"{"fall_status":"fall_warning"}"#,
        r#"{"fall_detection":true}"#,
        r#"{"action":"abracadabra"}"#,
        r#"{"action":"many"}"#,
        r#"{"action":["single"]}"#,
        r#"{"alarm":true}"#,
        r#"{"alarm_1":true}"#,
        r#"{"fault":true}"#,
        r#"{"emergency_overheat":true}"#,
        r#"{"door_state":"error_forced_open"}"#,
        r#"{"temperature":85000}"#,
        r#"{"battery":255}"#,
        r#"{"lock_state":"jammed"}"#,
        r#"{"faults":["motor"]}"#,
        r#"{"something_new":"is_up"}"#,
    ] {
        let adapted = said(payload);
        assert_eq!((adapted.events.len(), adapted.unknown.len()), (0, 1), "{payload}: {adapted:?}");
    }
}

#[test]
fn measurements_and_settings_are_no_questions() {
    for payload in [
        r#"{"linkquality":120,"voltage":3000,"illuminance":12,"power":4.5,"humidity":50.1}"#,
        r#"{"smoke_density":0.3,"gas_value":12,"co":7,"co_ppm":7,"gas":2071.3,"leakage_current":0.5}"#,
        r#"{"gas_sensitivity":"10%LEL","fall_detection":"ON","smoke_alarm_silenced":true,"alarm_volume":"high","tamper_alarm_switch":"ON"}"#,
        r#"{"leakage":1,"water":1,"high_gas":20,"humidity_alarm_upper":60,"movement_detection":"ON","outputMode":"Dimmer","state_plug_1":"ON"}"#,
        r#"{"update":{"state":"available","installed_version":1},"last_seen":"2026-11-21T10:00:00Z","update_available":false}"#,
        r#"{"alarm":false,"fault":"none","faults":[],"error_status":0,"smoke":null,"action":"","action_user":3}"#,
        r#"{"occupancy":false,"presence":"none","vibration":false,"tamper":false,"sos":false,"fall_status":"normal","fault_alarm":"none"}"#,
        r#"{"state":"ON","state_left":"OFF","child_lock":"UNLOCK","color":{"x":0.1,"y":0.2},"color_mode":"xy","power_on_behavior":"previous"}"#,
    ] {
        let adapted = said(payload);
        assert!(adapted.events.is_empty() && adapted.unknown.is_empty(), "{payload}: {adapted:?}");
        assert!(adapted.measurements > 0);
    }
}

#[test]
fn a_plain_press_means_what_the_enrolment_says() {
    let press = |action: &str, presses| {
        read_as("zigbee2mqtt/b", format!(r#"{{"action":"{action}"}}"#).as_bytes(), presses).expect("readable")
    };
    for action in ["single", "double", "hold", "1_single", "button_3", "single_left", "long_press", "many"] {
        assert_eq!(
            press(action, Presses::Undecided).unknown.len(),
            1,
            "{action}: nobody has said whose button this is"
        );
        assert_eq!(press(action, Presses::Resident).events.len(), 1, "{action}");
        assert_eq!(press(action, Presses::Ordinary).measurements, 1, "{action}");
    }
    for action in ["on", "off", "toggle", "brightness_step_up", "open_3", "recall_1", "on_press"] {
        assert_eq!(press(action, Presses::Undecided).measurements, 1, "{action} commands a light or a cover");
        assert_eq!(press(action, Presses::Resident).events.len(), 1, "{action} of the resident's own button is a call");
    }
    for action in [
        "release",
        "hold_release",
        "brightness_stop",
        "arm_all_zones",
        "disarm",
        "none",
        "rotate_left",
        "non_access_user_operational_event",
    ] {
        assert_eq!(press(action, Presses::Resident).measurements, 1, "{action} is no press");
    }
    for presses in [Presses::Undecided, Presses::Resident, Presses::Ordinary] {
        assert_eq!(press("panic", presses).events, [Event::Button { press: Press::Long }]);
    }
    assert_eq!(press("hold", Presses::Resident).events, [Event::Button { press: Press::Long }]);
    assert_eq!(press("single", Presses::Resident).events, [Event::Button { press: Press::Short }]);
}

#[test]
fn doors_locks_and_batteries_are_put_together_from_their_fields() {
    assert_eq!(events(r#"{"contact":true}"#), [Event::Door { open: false }]);
    assert_eq!(events(r#"{"contact":false}"#), [Event::Door { open: true }]);
    assert_eq!(events(r#"{"window":"CLOSED"}"#), [Event::Door { open: false }]);
    assert_eq!(events(r#"{"opening_state":"tilted"}"#), [Event::Door { open: true }]);
    assert_eq!(
        events(r#"{"state":"LOCK","lock_state":"unlocked","action_source_name":"keypad"}"#),
        [Event::Lock { locked: false, by: Some("keypad".into()) }],
        "lock_state knows better than state"
    );
    assert_eq!(events(r#"{"state":"UNLOCK"}"#), [Event::Lock { locked: false, by: None }]);
    assert_eq!(events(r#"{"battery":59.71,"battery_low":false}"#), [Event::Battery { percent: Some(60), low: false }]);
    assert_eq!(events(r#"{"battery":"3"}"#), [Event::Battery { percent: Some(3), low: true }]);
    assert_eq!(events(r#"{"battery":80,"battery_low":true}"#), [Event::Battery { percent: Some(80), low: true }]);
    assert_eq!(events(r#"{"battery_state":"low"}"#), [Event::Battery { percent: None, low: true }]);
    assert_eq!(events(r#"{"temperature":-3.456}"#), [Event::Temperature { centi_c: -346 }]);
    assert_eq!(events(r#"{"occupancy":true,"presence":true,"vibration":true}"#), [Event::Motion {}]);
    assert_eq!(
        events(r#"{"sos":true,"action":"emergency"}"#),
        [Event::Button { press: Press::Long }],
        "one press, told twice"
    );
}

#[test]
fn of_two_fields_with_one_name_neither_hides_the_other() {
    assert_eq!(events(r#"{"sos":true,"sos":false}"#), [Event::Button { press: Press::Long }]);
    assert_eq!(events(r#"{"smoke":true,"smoke":false}"#).len(), 2);
}

#[test]
fn a_topic_says_whose_message_it_is() {
    assert_eq!(source("zigbee2mqtt/0x00158d0001"), Some("0x00158d0001"));
    assert_eq!(source("z2m-upstairs/kitchen/button"), Some("kitchen/button"));
    assert_eq!(source("zigbee2mqtt/hall/availability"), Some("hall"));
    assert_eq!(source("zigbee2mqtt/hall/set/state"), Some("hall"));
    assert_eq!(source("zigbee2mqtt/bridge/logging"), Some("bridge"));
    assert_eq!(source("zigbee2mqtt"), None);
    assert_eq!(source("zigbee2mqtt/"), None);
}

#[test]
fn what_is_not_a_devices_state_is_counted_and_says_nothing() {
    for (topic, payload, online) in [
        ("zigbee2mqtt/hall/availability", "offline", Some(false)),
        ("zigbee2mqtt/hall/availability", r#"{"state":"online"}"#, Some(true)),
        ("zigbee2mqtt/bridge/state", r#"{"state":"offline"}"#, Some(false)),
        ("zigbee2mqtt/bridge/logging", r#"{"level":"error","message":"smoke"}"#, None),
        ("zigbee2mqtt/bridge/devices", r#"[{"sos":true}]"#, None),
        ("zigbee2mqtt/hall/set", r#"{"warning":{"mode":"emergency"}}"#, None),
    ] {
        let adapted = read(topic, payload.as_bytes()).expect("readable");
        assert_eq!((adapted.online, adapted.measurements), (online, 1), "{topic} {payload}");
        assert!(adapted.events.is_empty() && adapted.unknown.is_empty());
    }
    assert_eq!(read("zigbee2mqtt/hall/availability", b"maybe").expect("readable").unknown.len(), 1);
    let cleared = read("zigbee2mqtt/hall", b"").expect("a cleared retained message");
    assert_eq!((cleared.events.len(), cleared.unknown.len()), (0, 0));
}

#[test]
fn one_capability_per_topic_is_read_too() {
    let adapted = read("zigbee2mqtt/kitchen/button/action", b"emergency").expect("readable");
    assert_eq!(
        (adapted.source.as_str(), adapted.events),
        ("kitchen/button", vec![Event::Button { press: Press::Long }])
    );
    assert_eq!(read("zigbee2mqtt/hall/smoke", b"true").expect("readable").events, [Event::Smoke { active: true }]);
}

#[test]
fn what_cannot_be_read_names_the_topic_and_what_is_wrong() {
    let error = |topic: &str, payload: &[u8]| read(topic, payload).expect_err("unreadable").to_string();
    assert!(error("zigbee2mqtt/hall", b"{\"smoke\":tr").contains("\"zigbee2mqtt/hall\": not JSON"));
    assert!(error("zigbee2mqtt/hall", b"[{\"smoke\":true}]").contains("a list where an object"));
    assert!(error("zigbee2mqtt/hall", b"\xff\xfe").contains("not JSON"));
    assert!(error("zigbee2mqtt/a/b", b"[1]").contains("a list"));
    assert_eq!(read("hall", b"{}"), Err(AdapterError::Topic { topic: "hall".into() }));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_never_panic(topic in ".{0,40}", payload in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = read(&topic, &payload);
    }

    /// Any flat object: each field is counted once, and a word that no table knows never becomes an event.
    #[test]
    fn every_field_is_counted_once(
        fields in proptest::collection::btree_map("[a-z]{1,8}(_[a-z0-9]{1,6}){0,2}", "[a-z_]{0,10}", 0..8)
    ) {
        let payload = serde_json::to_string(&fields).expect("a map of text");
        let adapted = read("zigbee2mqtt/x", payload.as_bytes()).expect("readable");
        let counted = adapted.told + adapted.measurements + adapted.unknown.len() as u32;
        proptest::prop_assert_eq!(counted as usize, fields.len());
    }
}
