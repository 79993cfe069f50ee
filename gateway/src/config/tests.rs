//! What a technician reads when vaka.toml is wrong, and what the gateway reads when it is right.

use std::path::Path;

use proptest::prelude::*;
use vaka_protocol::{DeviceId, Lane};

use super::*;

/// A public key of minisign.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const HEAD: &str = "[gateway]\nid = \"gw-1\"\ncontroller_id = \"1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n";

fn parse(text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    let short = |finding: &Finding| finding.to_string();
    match Config::parse(text.as_bytes(), Path::new("v.toml")) {
        Ok((config, warnings)) => Ok((config, warnings.iter().map(short).collect())),
        Err(ConfigError::Invalid(findings)) => Err(findings.iter().map(short).collect()),
        Err(other) => Err(vec![other.to_string()]),
    }
}

fn receiver(more: &str) -> String {
    format!("{HEAD}[[receiver]]\nname = \"lc\"\nkind = \"scaip\"\nurl = \"sip:127.0.0.1:5060;transport=tcp\"\n{more}\n")
}

#[test]
fn errors_name_line_key_and_fix() {
    let device = |body: &str| format!("{HEAD}[[device]]\n{body}\n");
    let kinds = "kinds: pendant, fixed-trigger, fall-detector, bed-sensor, chair-sensor, mat-sensor, door-sensor, motion-sensor, \
        smoke-detector, gas-detector, co-detector, heat-detector, flood-sensor, enuresis-sensor, seizure-sensor, gps-alarm, \
        dispenser, cabinet, lock, thermometer, vital-monitor, feedback, bridge, gateway, other";
    let table: &[(String, String)] = &[
        // Unknown keys and tables.
        (device("id = \"p1\"\nkind = \"pendant\"\nrom = \"hall\""), "v.toml:9: unknown key `rom` in [[device]]; did you mean `room`?".into()),
        (format!("{HEAD}[journal]\nsize = 5"), "v.toml:7: unknown key `size` in [journal]; did you mean `size_max_mib`?".into()),
        (format!("{HEAD}[journal]\ncolour = 5"), "v.toml:7: unknown key `colour` in [journal]; known: dir, size_max_mib".into()),
        (format!("{HEAD}[[devise]]\nid = \"p1\""), "v.toml:6: unknown table `devise`; did you mean `device`?".into()),
        (format!("{HEAD}[[camera]]\nid = \"c1\""), "v.toml:6: the key `look` is missing in [[camera]]".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\nhost = \"x.se\""), "v.toml:8: `host`: phones and passkeys trust `x.se` only with its own certificate: give [board] `cert` and `key`, or leave `host` out for localhost".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\nhost = \"https://x.se\""), "v.toml:8: `host`: `https://x.se` is not a host name; write it as people type it, without https:// and port".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\ncert = \"c.pem\""), "v.toml:8: `cert` and `key` go together; give both or none".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\nidle_min = 0"), "v.toml:8: `idle_min` must be from 1 to 480, found 0".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\n[board.card]\nlisten = \"127.0.0.1:1\"\nca = \"ca.pem\""), "v.toml:9: `listen`: [board] has this address already; give [board.card] a port of its own".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\n[board.oidc]\nissuer = \"http://idp.se\"\nclient_id = \"v\"\nacr = [\"loa3\"]"), "v.toml:9: `issuer`: `http://idp.se` is not an https:// address; the provider's word is worth no more than the way it comes".into()),
        (format!("{HEAD}[board]\nlisten = \"127.0.0.1:1\"\n[board.oidc]\nissuer = \"https://idp.se\"\nclient_id = \"v\"\nacr = []"), "v.toml:11: `acr` of [board.oidc] is empty; name how strongly people must have proven who they are, e.g. \"http://id.sambi.se/loa/loa3\"".into()),
        ("listn = 1".into(), "v.toml:1: unknown table `listn`; known: gateway, ingest, enrol, journal, backup, retention, receiver, route, device, resident, night, presence, fence, dose, reminder, threshold, silence, power, camera, visit, board, metrics, otlp, update, firmware".into()),
        (format!("{HEAD}[update]\nurl = \"http://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\""), "v.toml:7: `url`: `http://u.se/` is no address of releases; write https://HOST/FOLDER/, without a user".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = []\nca = \"v\""), "v.toml:8: `keys`: 0 keys, 1 to 2 can be; name the publisher's public key, and the next one while they change (`vaka release key`)".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"RWQ\"]\nca = \"v\""), "v.toml:8: `keys`: reading public key `RWQ`: it is not one of minisign's; give its second line, 56 characters that begin with RW".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\nquiet = [\"21-07\"]"), "v.toml:10: `quiet`: `21-07` is no window; write \"HH:MM-HH:MM\", local time, such as \"21:00-07:00\"".into()),
        (format!("{HEAD}[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://127.0.0.1:1\""), "v.toml:8: `[firmware]` without [update]: nobody says where images come from; add [update] with url, ca and keys: the list of images stands beside the releases".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"https://127.0.0.1:1\""), "v.toml:12: `url`: `https://127.0.0.1:1` is no address for devices; write http://HOST:PORT, as the devices reach `listen`; an image is signed, so plain HTTP does".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://:1\""), "v.toml:12: `url`: `http://:1` is no address for devices; write http://HOST:PORT, as the devices reach `listen`; an image is signed, so plain HTTP does".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://u@h:1\""), "v.toml:12: `url`: `http://u@h:1` is no address for devices; write http://HOST:PORT, as the devices reach `listen`; an image is signed, so plain HTTP does".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"8081\"\nurl = \"http://h:1\""), "v.toml:11: `listen`: expected ADDRESS:PORT such as \"127.0.0.1:8883\", found `8081`".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\""), "v.toml:10: the key `url` is missing in [firmware]".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://h:1\"\n[firmware.boards]\np2 = \"b\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\""), "v.toml:14: `boards`: there is no device `p2`; did you mean `p1`?".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://h:1\"\n[firmware.boards]\np1 = \"b 1\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\""), "v.toml:14: `boards`: `b 1` is no board; write 1 to 16 letters, digits and `-`, as its maker says".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://h:1\"\n[firmware.boards]\np1 = \"a-board-of-17-let\"\n[[device]]\nid = \"p1\"\nkind = \"pendant\""), "v.toml:14: `boards`: `a-board-of-17-let` is no board; write 1 to 16 letters, digits and `-`, as its maker says".into()),
        (format!("{HEAD}[update]\nurl = \"https://u.se/\"\nkeys = [\"{KEY}\"]\nca = \"v\"\n[firmware]\nlisten = \"127.0.0.1:1\"\nurl = \"http://{}\"", "h".repeat(200)), "v.toml:12: `url`: 207 bytes; a device takes 167".into()),
        // Missing and mistyped.
        ("".into(), "v.toml:1: the table [gateway] is missing".into()),
        (device("id = \"p1\""), "v.toml:6: the key `kind` is missing in [[device]]".into()),
        ("[gateway]\nid = 5\n".into(), "v.toml:2: `id` in [gateway]: expected text in quotes, found integer `5`".into()),
        (format!("{HEAD}[journal]\nsize_max_mib = \"big\""), "v.toml:7: `size_max_mib` in [journal]: expected a whole number, found string \"big\"".into()),
        (device("id = \"p1\"\nkind = \"pendant\"\nfixed = 1"), "v.toml:9: `fixed` in [[device]]: expected true or false, found integer `1`".into()),
        (format!("{HEAD}[[route]]\nlanes = \"life\"\nto = []"), "v.toml:7: `lanes` in [[route]]: expected a list in [ ], found string \"life\"".into()),
        // Words.
        (device("id = \"p1\"\nkind = \"pendent\""), format!("v.toml:8: unknown device kind `pendent`; did you mean `pendant`?; {kinds}")),
        (device("id = \"p1\"\nkind = \"smoke\""), format!("v.toml:8: unknown device kind `smoke`; did you mean `smoke-detector`?; {kinds}")),
        (device("id = \"p1\"\nkind = \"zzzzzzzz\""), format!("v.toml:8: unknown device kind `zzzzzzzz`; {kinds}")),
        (device("id = \"P 1\"\nkind = \"pendant\""), "v.toml:7: `id`: `P 1` is not an id; use a-z, 0-9 and -, 1 to 32 characters".into()),
        (receiver("[[route]]\nlanes = [\"live\"]\nto = [\"lc\"]"), "v.toml:11: unknown lane `live`; did you mean `life`? known: life, care, technical, telemetry, test".into()),
        (receiver("[[route]]\nlanes = [\"telemetry\"]\nto = [\"lc\"]"), "v.toml:11: `telemetry` goes to a hub or a webhook only, and `lc` is of kind scaip; give it a [[route]] of its own, or remove it from `lanes`".into()),
        (receiver("[[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"ld\"]"), "v.toml:12: this [[route]] names the unknown receiver `ld`; did you mean `lc`?".into()),
        (receiver("[[route]]\nlanes = []\nto = [\"lc\"]"), "v.toml:10: `lanes` of this [[route]] is empty; name at least one".into()),
        (HEAD.replace("\"gw-1\"", "\"gw-1\"\nrole = \"huose\""), "v.toml:3: unknown role `huose`; did you mean `house`? known: home, house, hub".into()),
        (HEAD.replace("\"gw-1\"", "\"gw-1\"\nlanguage = \"fi\""), "v.toml:3: unknown language `fi`; known: sv, en".into()),
        (HEAD.replace("\"gw-1\"", "\"gw-1\"\ntime_zone = \"Europe/Stokholm\""), "v.toml:3: unknown time zone `Europe/Stokholm`; did you mean `Europe/Stockholm`?".into()),
        (HEAD.replace("\"1\"", "\"12a\""), "v.toml:3: `controller_id`: expected 1 to 16 digits, found `12a`".into()),
        (HEAD.replace("127.0.0.1:0", "localhost"), "v.toml:5: `listen`: expected ADDRESS:PORT such as \"127.0.0.1:8883\", found `localhost`".into()),
        (format!("{HEAD}tls_min = \"1.1\""), "v.toml:6: unknown tls_min `1.1`; did you mean `1.3`? known: 1.3, 1.2".into()),
        (format!("{HEAD}[retention]\npositions_days = 2"), "v.toml:7: `positions_days`: 2 days cannot be; the gateway itself needs what it judged for 3 days, and at most 36500 can be said: write a number between, or leave it out, and the journal's size alone decides".into()),
        (format!("{HEAD}[retention]\nlife_days = -1"), "v.toml:7: `life_days`: -1 days cannot be; the gateway itself needs what it judged for 3 days, and at most 36500 can be said: write a number between, or leave it out, and the journal's size alone decides".into()),
        (format!("{HEAD}[journal]\nsize_max_mib = 15"), "v.toml:7: `size_max_mib` must be from 16 to 1048576, found 15".into()),
        (format!("{HEAD}[enrol]\nlisten = \"8884\""), "v.toml:7: `listen`: expected ADDRESS:PORT such as \"127.0.0.1:8883\", found `8884`".into()),
        (format!("{}[enrol]\nlisten = \"127.0.0.1:1\"", HEAD.replace(":0", ":1")), "v.toml:7: `listen`: [ingest] has this address already; give [enrol] a port of its own".into()),
        // Receivers.
        (receiver("").replace("\"scaip\"", "\"scape\""), "v.toml:8: unknown receiver kind `scape`; did you mean `scaip`? known: scaip, hub, sos-access, webhook, dc09".into()),
        (receiver("").replace(";transport=tcp", ""), "v.toml:9: `url`: `sip:127.0.0.1:5060` would use UDP, which this gateway does not speak: write `sips:HOST:PORT`, or add `;transport=tcp`".into()),
        (receiver("").replace("sip:127.0.0.1:5060;transport=tcp", "sips:lc.example:99999"), "v.toml:9: `url`: `sips:lc.example:99999` is no SIP address: write `sips:HOST:PORT`, or `sip:HOST:PORT;transport=tcp` for tests".into()),
        (receiver("").replace("controller_id = \"1\"\n", ""), "v.toml:7: a scaip receiver needs `controller_id` in [gateway] (digits, given by the alarm centre)".into()),
        (receiver("cert = \"c.pem\""), "v.toml:10: `cert` and `key` go together; give both or none".into()),
        (receiver("user = \"u\""), "v.toml:10: `user` and `password_file` go together; give both or none".into()),
        (receiver("heartbeat_interval_s = 0"), "v.toml:10: `heartbeat_interval_s` must be from 1 to 3600, found 0".into()),
        (receiver("pin = \"abc\""), "v.toml:10: `pin`: expected the SHA-256 of the receiver's public key as 64 hex digits, found `abc`".into()),
        (receiver("[[receiver]]\nname = \"lc\"\nkind = \"scaip\"\nurl = \"sips:x\"\npin = \"00\""), "v.toml:11: there is already a receiver `lc` in line 7; give each its own name".into()),
        (receiver("claimed_deadline_s = 60"), "v.toml:10: `claimed_deadline_s` is of receivers that tell of a person's claim: a hub".into()),
        (receiver("[[receiver.path]]\nname = \"a\"\naddress = \"eth0\""), "v.toml:12: `address` of a path is this machine's own address on it, such as \"192.0.2.7\"; found `eth0`".into()),
        (receiver("[[receiver.path]]\nname = \"a\"\ninterface = \"an interface\""), "v.toml:12: `interface`: no interface is called `an interface`; `ip link` shows their names".into()),
        (receiver("[[receiver.path]]\nname = \"a\"\n[[receiver.path]]\nname = \"a\""), "v.toml:6: receiver `lc`: two of its paths are called `a`; give each its own name".into()),
        (receiver("").replace("scaip", "hub"), "v.toml:6: receiver `lc`: `sip:127.0.0.1:5060;transport=tcp` is no hub: write `mqtts:HOST:PORT`".into()),
        (receiver("pin = \"0000000000000000000000000000000000000000000000000000000000000000\"").replace("scaip", "hub").replace("sip:127.0.0.1:5060;transport=tcp", "mqtts:hub"), "v.toml:6: receiver `lc`: a hub knows this gateway by its certificate: write the `cert` and `key` that `vaka device add … --kind gateway` made there".into()),
        (receiver("[[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"lc\"]\ndays = [\"moonday\"]"), "v.toml:13: unknown day `moonday`; did you mean `monday`? known: monday, tuesday, wednesday, thursday, friday, saturday, sunday".into()),
        (receiver("[[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"lc\"]\nfrom = \"25:00\""), "v.toml:13: `from`: expected a local time such as \"22:00\", found `25:00`".into()),
        // Devices.
        (device("id = \"p1\"\nkind = \"pendant\"\n[[device]]\nid = \"p1\"\nkind = \"lock\""), "v.toml:10: there is already a device `p1` in line 6; give each its own id".into()),
        (device("id = \"gw-1\"\nkind = \"pendant\""), "v.toml:7: `gw-1` is the gateway's own id; give the device another".into()),
        (device("id = \"s\"\nkind = \"lock\"\nvia = \"z\""), "v.toml:9: `via` needs `address`: the device's name on the bridge".into()),
        (device("id = \"s\"\nkind = \"lock\"\naddress = \"z\""), "v.toml:9: `address` needs `via`: the bridge that speaks for the device".into()),
        (device("id = \"s\"\nkind = \"lock\"\nvia = \"zigbee\"\naddress = \"1\""), "v.toml:9: `via` names the unknown device `zigbee`; add a [[device]] of kind bridge".into()),
        (device("id = \"s\"\nkind = \"lock\"\nvia = \"p\"\naddress = \"1\"\n[[device]]\nid = \"p\"\nkind = \"pendant\""), "v.toml:9: `via` must name a bridge, and `p` is a pendant".into()),
        (format!("{HEAD}[otlp]\nto = \"192.0.2.7:4318\""), "v.toml:7: `to`: expected an address of this machine such as \"127.0.0.1:4318\", found `192.0.2.7:4318`; a collector here sends on by TLS".into()),
        (format!("{HEAD}[[resident]]\nid = \"r\"\nphone = \"0812\""), "v.toml:8: `phone`: expected an international number such as \"+46812345678\", found `0812`".into()),
    ];
    for (text, expected) in table {
        let said = parse(text).err().unwrap_or_default();
        assert!(said.contains(expected), "\n{text}\nexpected: {expected}\nsaid:     {}", said.join("\n          "));
    }
}

#[test]
fn syntax_and_encoding_name_the_line() {
    assert!(parse("[gateway]\nid = \n").unwrap_err()[0].starts_with("v.toml:2: "));
    let bytes = b"[gateway]\nid = \"\xff\"\n";
    let error = Config::parse(bytes, Path::new("v.toml")).unwrap_err().to_string();
    assert_eq!(error, "v.toml:2: not UTF-8 text; save the file as UTF-8");
}

#[test]
fn one_run_names_everything() {
    let text = format!("{HEAD}[[device]]\nid = \"P\"\nkind = \"x-ray\"\n[[route]]\nlanes = [\"lif\"]\nto = [\"a\"]\n");
    assert_eq!(parse(&text).unwrap_err().len(), 4);
}

#[test]
fn warnings_are_loud() {
    let none =
        "v.toml: no [[receiver]]: alarms are kept and shown here, but NOBODY OUTSIDE IS TOLD; add the alarm centre";
    assert_eq!(parse(HEAD).unwrap().1, [none]);

    let unrouted = parse(&receiver("")).unwrap().1;
    let life =
        "v.toml: no [[route]] for the lane `life`: LIFE ALARMS GO TO NOBODY; add lanes = [\"life\"] and to = [...]";
    assert_eq!(unrouted, [life, "v.toml:7: no [[route]] leads to receiver `lc`"]);

    let route = "[[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"lc\"]";
    assert_eq!(parse(&receiver(route)).unwrap().1, [""; 0]);
    let blind = receiver(route).replace("sip:127.0.0.1:5060;transport=tcp", "sips:lc.example:5061");
    let untrusted =
        "v.toml:6: receiver `lc` has neither `pin` nor `ca`: it is not trusted and NOTHING WILL BE DELIVERED to it";
    assert_eq!(parse(&blind).unwrap().1, [untrusted]);
    let open = receiver(route).replace("127.0.0.1:5060", "10.0.0.1:5060");
    assert!(parse(&open).unwrap().1[0].starts_with("v.toml:9: receiver `lc` is reached without encryption"));
    // A file that anybody may read everywhere stands for the password.
    let readable = receiver(&format!("user = \"u\"\npassword_file = \"/etc/passwd\"\n{route}"));
    assert!(parse(&readable).unwrap().1[0].starts_with("v.toml:11: `password_file`: others can read "));
    let missing = receiver(&format!("user = \"u\"\npassword_file = \"/nowhere/at-all\"\n{route}"));
    assert!(parse(&missing).unwrap().1[0].starts_with("v.toml:11: `password_file`: there is no file /nowhere/at-all"));
}

#[test]
fn a_route_or_a_path_that_can_lose_an_alarm_is_said_loud() {
    let by_day = "[[route]]\nlanes = [\"care\", \"technical\"]\nto = [\"lc\"]\n[[route]]\nlanes = [\"life\"]\nto = [\"lc\"]\nfrom = \"07:00\"\nuntil = \"22:00\"\n";
    let gap = "v.toml: no [[route]] for the lane `life` on monday from 00:00: LIFE ALARMS GO TO NOBODY THEN; add a [[route]] \
        without days and hours as the last";
    assert_eq!(parse(&receiver(by_day)).unwrap().1, [gap]);
    let by_night = by_day.replace("07:00", "x").replace("22:00", "07:00").replace('x', "22:00");
    assert_eq!(parse(&receiver(&format!("{by_day}{by_night}"))).unwrap().1, [""; 0]);

    let route = "[[route]]\nlanes = [\"life\", \"care\", \"technical\"]\nto = [\"lc\"]";
    let paths = "two_paths = true\n[[receiver.path]]\nname = \"fibre\"\ninterface = \"eth0\"\n";
    let alone = "v.toml:6: receiver `lc` is promised two paths and has 1; add [[receiver.path]] for each, with `interface` or `address`";
    assert_eq!(parse(&receiver(&format!("{paths}{route}"))).unwrap().1, [alone]);
    let both = format!("{paths}[[receiver.path]]\nname = \"mobile\"\naddress = \"192.0.2.7\"\n{route}");
    let (config, warnings) = parse(&receiver(&both)).unwrap();
    assert_eq!(warnings, [""; 0]);
    let names: Vec<&str> = config.receivers[0].paths.iter().map(|path| path.name.as_str()).collect();
    assert_eq!(names, ["fibre", "mobile"]);
}

#[test]
fn the_example_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/vaka.example.toml");
    let (config, warnings) = Config::load(&path).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.home, path.parent().unwrap());
    assert_eq!(config.journal.dir, config.home.join("journal"));
    assert_eq!(config.receivers_for(Lane::Life)[0].name, "larmcentral");
    assert!(config.receivers_for(Lane::Telemetry).is_empty());
    let zigbee = DeviceId::try_from("zigbee").unwrap();
    assert_eq!(config.device_behind(&zigbee, "0x00158d0001a2b3c4").unwrap().room.as_deref(), Some("hall"));
    assert_eq!(config.resident("r1").unwrap().phone.as_deref(), Some("tel:+46812345678"));
    assert_eq!(config.gateway.time_zone.iana_name(), Some("Europe/Stockholm"));
}

#[test]
fn kinds_are_forgiving_and_round_trip() {
    for kind in DeviceKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
    }
    assert_eq!("Bed_Sensor".parse(), Ok(DeviceKind::BedSensor));
    assert_eq!("gps alarm".parse(), Ok(DeviceKind::GpsAlarm));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Config::parse(&bytes, Path::new("v.toml"));
    }

    /// The example with a few bytes changed gets further than noise does.
    #[test]
    fn no_damage_panics(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = include_bytes!("../../../deploy/vaka.example.toml").to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Config::parse(&bytes, Path::new("v.toml"));
    }

    #[test]
    fn no_words_panic(words in proptest::collection::vec("\\[\\[?(device|route|x)\\]\\]?|(id|kind|to|url|a`b) ?= ?(\"[^\"]*\"|-?[0-9]{1,20}|\\[\\])|#.*|`, expected `", 0..12)) {
        let _ = Config::parse(format!("{HEAD}{}", words.join("\n")).as_bytes(), Path::new("v.toml"));
    }
}
