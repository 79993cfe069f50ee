//! A home leaves its box: backed up beside a running gateway, moved to another box in one visit, taken out, ended. The real program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use toml_edit::value;
use vaka_tests::{
    Centre, Gateway, Home, LoopDisk, MqttVersion, event, eventually, lacks, mosquitto_pub, or_skip, press, python,
    vaka_bin,
};

/// Makes the municipality's key, beside the home, and names its recipient in vaka.toml.
fn key(home: &Home) -> PathBuf {
    let said = home.vaka_plain(&["backup", "key", "--to", "key.txt"]).ok().stdout;
    let recipient = said.split('"').nth(1).expect("a recipient").to_owned();
    assert!(recipient.starts_with("age1"), "{said}");
    home.edit(|config| {
        config["backup"] = toml_edit::table();
        config["backup"]["recipients"] = value(toml_edit::Array::from_iter([recipient]));
    });
    home.dir().join("key.txt")
}

fn publish(home: &Home, device: &str, payload: &str) {
    let topic = format!("vaka/v1/{device}/event");
    let published = mosquitto_pub(home, device, MqttVersion::V5, &topic, payload);
    assert_eq!(published.code, 0, "{published:?}");
}

/// Who lives there, each with a telephone number; nobody else does any more.
fn residents(home: &Home, who: &[(&str, &str)]) {
    home.edit(|config| {
        let mut residents = toml_edit::ArrayOfTables::new();
        for (id, phone) in who {
            let mut table = toml_edit::Table::new();
            table["id"] = value(*id);
            table["phone"] = value(*phone);
            residents.push(table);
        }
        config.insert("resident", toml_edit::Item::ArrayOfTables(residents));
    });
}

/// Files below a folder, by their path there.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let name = PathBuf::from(entry.file_name());
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|path| name.join(path)));
        } else {
            found.insert(name);
        }
    }
    found
}

fn pendant(mrq: &vaka_tests::Mrq) -> bool {
    mrq.code("dty") == Some(3)
}

#[test]
fn a_box_is_replaced_in_one_visit_and_nothing_is_lost() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant").device("d1", "door-sensor");
    let key = key(&home);
    let mut old = Gateway::start(&home);
    let first = press(1, 1);
    publish(&home, "p1", &first);
    let before = old.wait_alarm("the press accepted", |row| row["rung"] == "accepted");

    // Out of use first: what is pressed now waits in its device.
    home.vaka(&["backup", "--to", "moved.age", "--retire"]).ok();
    assert!(old.ended().success(), "{}", old.tail());
    let again = home.vaka(&["run"]);
    assert!(again.code == 64 && again.stderr.contains("has moved to another box"), "{again:?}");
    let backup = home.dir().join("moved.age");
    home.vaka_plain(&["backup", "check", "moved.age", "--identity", "key.txt"]).ok();

    let new = Home::restored(&home, &backup, &key);
    // Whatever the program had written is there, but what it makes anew.
    let anew = ["retired", "journal/lock", "journal/control.sock", "journal/reserve", "journal/head.new"];
    let is_anew = |path: &PathBuf| anew.iter().any(|name| path == Path::new(name)) || path.starts_with("journal/index");
    let missing: Vec<_> =
        files(&home.path("")).difference(&files(&new.path(""))).filter(|path| !is_anew(path)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    let (records, continued) = (home.export(), new.export());
    assert_eq!(records, continued, "the same records and nothing between");
    let read = |home: &Home, name: &str| std::fs::read(home.path(name)).expect("a file");
    assert_ne!(read(&home, "pki/server.pem"), read(&new, "pki/server.pem"), "a box of its own");
    assert_eq!(
        read(&home, "pki/server-ca.pem"),
        read(&new, "pki/server-ca.pem"),
        "under the authority that devices know"
    );

    // What stands in a home is told in DATA.md, but the devices' own folders.
    let page = std::fs::read_to_string(vaka_tests::root().join("deploy/DATA.md")).expect("deploy/DATA.md");
    for entry in std::fs::read_dir(home.path("")).expect("the home").flatten() {
        let name = entry.file_name().into_string().expect("text");
        assert!(
            ["p1", "d1"].contains(&name.as_str()) || page.contains(&format!("`{name}")),
            "{name} is not in deploy/DATA.md"
        );
    }

    let gateway = Gateway::start(&new);
    let open = new.alarms_not_technical();
    assert_eq!(
        (open.len(), &open[0]["id"], &open[0]["rung"], &open[0]["count"]),
        (1, &before["id"], &"accepted".into(), &1.into())
    );
    // A device that had not heard that its press was taken says it again: known.
    publish(&new, "p1", &first);
    publish(&new, "p1", &press(1, 2));
    let joined =
        gateway.wait_alarm("the next press in the same alarm", |row| row["count"] == 2 && row["rung"] == "accepted");
    assert_eq!(joined["id"], before["id"]);
    assert_eq!((new.events("p1", 1, 1), new.events("p1", 1, 2)), (1, 1));
    let told: Vec<_> = centre.alarms().into_iter().filter(pendant).collect();
    let references: BTreeSet<&str> = told.iter().map(|mrq| mrq.get("ref")).collect();
    assert_eq!((told.len(), references.len()), (2, 2), "the alarm from before was not told as new: {told:?}");

    let number = |record: &Value| record["record"].as_u64().expect("a number");
    let last = records.iter().map(number).max().expect("records");
    let after: Vec<u64> = new.export().iter().map(number).filter(|number| *number > last).collect();
    assert!(!after.is_empty() && after.iter().all(|number| *number > last + (1 << 35)), "{last}, then {after:?}");
    new.vaka(&["journal", "verify"]).ok();
}

#[test]
fn a_backup_beside_a_running_gateway_survives_a_kill_and_tells_what_it_cannot_know() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = Home::init();
    home.device("p1", "pendant");
    let key = key(&home);
    let mut gateway = Gateway::start(&home);
    for seq in 1..=5 {
        publish(&home, "p1", &press(1, seq));
    }
    home.vaka(&["backup", "--to", "home.age"]).ok();
    let (file, part) = (home.dir().join("home.age"), home.dir().join("home.age.part"));
    let first = std::fs::read(&file).expect("the backup");

    // Killed in the middle of the next: the one before is whole.
    let ballast = home.path("ballast");
    let large = std::fs::File::create(&ballast).and_then(|file| file.set_len(1 << 30));
    large.expect("a large file in the home, without blocks");
    let mut killed = Command::new(vaka_bin())
        .args(["backup", "--to", "home.age", "--config", "h/vaka.toml"])
        .current_dir(home.dir())
        .stdout(Stdio::null())
        .spawn()
        .expect("vaka starts");
    let length = || std::fs::metadata(&part).map_or(0, |found| found.len());
    eventually("the next backup to be under way", || gateway.tail(), || (length() > 4 << 20).then_some(()));
    killed.kill().expect("SIGKILL");
    assert!(!killed.wait().expect("its end").success(), "it was killed before it was done");
    assert!(part.exists() && std::fs::read(&file).expect("the backup") == first);
    home.vaka_plain(&["backup", "check", "home.age", "--identity", "key.txt"]).ok();
    std::fs::remove_file(&ballast).expect("it");

    // What happens after a backup is not in it, and the box that is made of it says so.
    home.vaka(&["backup", "--to", "home.age"]).ok();
    assert!(!part.exists());
    publish(&home, "p1", &press(1, 6));
    gateway.kill();
    let new = Home::restored(&home, &file, &key);
    assert_eq!((new.events("p1", 1, 5), new.events("p1", 1, 6)), (1, 0));
    let gateway = Gateway::start(&new);
    gateway
        .wait_alarm("that it goes on from a backup", |row| row["lane"] == "technical" && row["device"] == "restored");
    // The device never heard of it again; pressed anew it is taken.
    publish(&new, "p1", &press(1, 7));
    assert_eq!(new.events("p1", 1, 7), 1);
}

#[test]
fn what_is_kept_is_counted_taken_out_and_told_without_names() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = Home::init();
    residents(&home, &[("r1", "+46701234567"), ("r2", "+46707654321")]);
    for (device, resident) in [("stinas-larm", "r1"), ("olles-larm", "r2")] {
        let out = format!("h/{device}");
        let more = ["--room", "Sovrum 3", "--resident", resident, "--out", &out];
        home.vaka(&[&["device", "add", device, "--kind", "pendant"][..], &more].concat()).ok();
    }
    let mut gateway = Gateway::start(&home);
    publish(&home, "stinas-larm", &press(1, 1));
    publish(&home, "olles-larm", &press(1, 1));
    publish(&home, "stinas-larm", &event(1, 2, r#"{"battery":{"percent":80,"low":false}}"#));
    let alarm = gateway.wait_alarm("stina's alarm", |row| row["device"] == "stinas-larm" && row["lane"] == "life");

    let kept = home.vaka(&["retention", "--json"]).ok().rows().remove(0);
    let of = |kind: &str| {
        let rows = kept["rows"].as_array().expect("rows").iter().filter(|row| row["kind"] == kind);
        rows.map(|row| row["records"].as_u64().expect("a number")).sum::<u64>()
    };
    assert_eq!(of("event"), 3, "{kept}");
    let said = home.vaka(&["retention"]).ok().stdout;
    assert!(said.contains("of 512 MiB") && said.contains("too early to say"), "{said}");

    // Nothing is written between two readings.
    assert!(gateway.stop().success(), "{}", gateway.tail());

    // Everything, and each line as its schema says: judged by an implementation of JSON Schema that nobody here wrote.
    home.vaka(&["export", "--to", "all"]).ok();
    let all = home.dir().join("all");
    let lines = |folder: &Path| -> usize {
        let records = std::fs::read_dir(folder.join("records")).expect("records").flatten();
        records.map(|file| std::fs::read_to_string(file.path()).expect("lines").lines().count()).sum()
    };
    assert_eq!(lines(&all), home.export().len());
    let judge = "import json,pathlib,sys\n\
        try:\n import jsonschema\nexcept ImportError:\n print('none'); sys.exit(0)\n\
        n=0\n\
        for f in sorted(pathlib.Path(sys.argv[1],'records').glob('*.jsonl')):\n\
        \x20v=jsonschema.Draft202012Validator(json.load(open(pathlib.Path(sys.argv[1],'schema',f.stem+'.schema.json'))))\n\
        \x20for l in open(f):\n\
        \x20\x20v.validate(json.loads(l)); n+=1\n\
        print(n)\n";
    if let Ok(judged) = Command::new(python()).args(["-c", judge]).arg(&all).output() {
        let said = String::from_utf8_lossy(&judged.stdout).trim().to_owned();
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
        assert!(said == "none" || said == lines(&all).to_string(), "{said}");
    }

    // One resident's, and nothing of the other's.
    home.vaka(&["export", "--to", "r1", "--resident", "r1"]).ok();
    let mut text = String::new();
    for file in files(&home.dir().join("r1")) {
        text += &std::fs::read_to_string(home.dir().join("r1").join(file)).expect("text");
    }
    assert!(text.contains("stinas-larm") && text.contains("button") && text.contains("\"percent\":80"), "{text}");
    assert!(!text.contains("olles-larm") && !text.contains("\"r2\""), "{text}");
    assert_eq!(home.vaka(&["export", "--to", "r1", "--resident", "r1"]).code, 64, "never into what is there");
    assert_eq!(home.vaka(&["export", "--to", "x", "--resident", "r9"]).code, 64);

    let id = alarm["id"].as_str().expect("an id");
    home.vaka(&["incident", id, "--to", "incident.tar"]).ok();
    let bundle = String::from_utf8_lossy(&std::fs::read(home.dir().join("incident.tar")).expect("it")).into_owned();
    for who in ["stinas-larm", "olles-larm", "\"r1\"", "Sovrum 3", "+4670", "gw-0001"] {
        assert!(!bundle.contains(who), "{who}");
    }
    assert!(bundle.contains("incident.html") && bundle.contains("\"button\"") && bundle.contains("stored"));
}

/// The one who moves out takes what was theirs along, and the one who has the device now gets nothing of it.
#[test]
fn a_device_that_changed_hands_is_each_ones_for_their_time() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    // With and without keys of periods beside those of residents.
    for retention in [None, Some(30)] {
        changes_hands(retention);
    }
}

fn changes_hands(technical_days: Option<i64>) {
    let home = Home::init();
    if let Some(days) = technical_days {
        home.edit(|config| {
            config["retention"] = toml_edit::table();
            config["retention"]["technical_days"] = value(days);
        });
    }
    residents(&home, &[("r1", "+46701234567"), ("r2", "+46707654321")]);
    home.vaka(&["device", "add", "p1", "--kind", "pendant", "--resident", "r1", "--out", "h/p1"]).ok();
    let charge =
        |seq: u64, percent: u8| event(1, seq, &format!(r#"{{"battery":{{"percent":{percent},"low":false}}}}"#));
    let mut gateway = Gateway::start(&home);
    publish(&home, "p1", &charge(1, 71));
    assert!(gateway.stop().success(), "{}", gateway.tail());
    residents(&home, &[("r2", "+46707654321")]);
    home.edit(|config| config["device"][0]["resident"] = value("r2"));
    let mut gateway = Gateway::start(&home);
    publish(&home, "p1", &charge(2, 42));
    assert!(gateway.stop().success(), "{}", gateway.tail());

    for (resident, theirs, anothers) in [("r1", 71, 42), ("r2", 42, 71)] {
        home.vaka(&["export", "--to", resident, "--resident", resident]).ok();
        let events = std::fs::read_to_string(home.dir().join(resident).join("records/event.jsonl")).expect("events");
        let says = |percent: u8| events.contains(&format!("\"percent\":{percent}}}"));
        assert!(says(theirs) && !says(anothers), "{resident}, {technical_days:?} days: {events}");
    }
}

/// Deletes nothing but looks for what was there: on the disk itself, below the file system.
#[test]
fn nothing_of_an_erased_home_is_found_on_its_disk() {
    if lacks(&["mosquitto_pub", "mkfs.ext4"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = Home::init_on(&disk.path());
    home.device("p1", "pendant");
    home.edit(|config| {
        config["journal"]["size_max_mib"] = value(32);
    });
    residents(&home, &[("r1", "+46701234567")]);
    // Beside the home, as INSTALL has it; and of another home there, which is not ours.
    let (own, other) = (home.dir().join("p9"), home.dir().join("other"));
    home.vaka(&["device", "add", "p9", "--kind", "pendant", "--out", own.to_str().expect("text")]).ok();
    std::fs::create_dir(&other).expect("a folder");
    for file in ["key.pem", "ca.pem"] {
        std::fs::write(other.join(file), "of another").expect("a file");
    }
    let mut gateway = Gateway::start(&home);
    publish(&home, "p1", &press(1, 1));
    publish(&home, "p1", "gibberish of stina bergstrom, kept for a person");
    gateway.wait_alarm("the press", |row| row["lane"] == "life");

    // What a device sent is sealed from the first day; the key to it has to go.
    assert!(!disk.holds("gibberish of stina bergstrom"));
    let key = std::fs::read_to_string(home.path("home.key")).expect("the home's key");
    // Whole lines of keys, a telephone number.
    let mut needles = vec!["+46701234567".to_owned(), key.trim().to_owned()];
    for name in ["server.key", "client.key", "server-ca.key", "device-ca.key", "server-ca.pem"] {
        let pem = std::fs::read_to_string(home.path(&format!("pki/{name}"))).expect("a key");
        needles.push(pem.lines().nth(1).expect("its first line").to_owned());
    }
    let pem = std::fs::read_to_string(own.join("key.pem")).expect("a device's key");
    needles.push(pem.lines().nth(1).expect("its first line").to_owned());
    let found = |needles: &[String]| needles.iter().filter(|needle| disk.holds(needle)).cloned().collect::<Vec<_>>();
    assert_eq!(found(&needles), needles, "the search finds what is there");

    let refused = home.vaka(&["erase", "--everything", "--yes"]);
    assert!(refused.code == 1 && refused.stderr.contains("1 life alarms are open"), "{refused:?}");
    assert!(home.vaka(&["erase", "--everything", "--even-so"]).code == 64, "nobody has typed the id");
    assert!(home.config().exists());
    home.vaka(&["erase", "--everything", "--yes", "--even-so"]).ok();
    assert!(gateway.ended().success(), "{}", gateway.tail());
    assert!(!home.path("").exists() && !own.exists() && other.join("key.pem").exists());
    assert_eq!(found(&needles), Vec::<String>::new());
    // Nor what the first vaka.toml said before it was changed.
    assert!(!disk.holds("controller_id"));
}

#[test]
fn a_box_whose_backup_cannot_be_written_goes_on_and_a_name_that_nothing_has_is_a_wrong_use() {
    if lacks(&["mosquitto_pub"]) {
        return;
    }
    let home = Home::init();
    home.device("p1", "pendant");
    key(&home);
    let gateway = Gateway::start(&home);
    for to in ["no-such-folder/moved.age", "h"] {
        let failed = home.vaka(&["backup", "--to", to, "--retire"]);
        assert!(failed.code == 74 && failed.stderr.contains(to), "{failed:?}");
        assert!(!home.path("retired").exists() && !home.dir().join(format!("{to}.part")).exists());
    }
    publish(&home, "p1", &press(1, 1));
    gateway.wait_alarm("the press", |row| row["device"] == "p1");
    for (args, named) in [
        (&["backup", "check", "none.age", "--identity", "key.txt"][..], "none.age is not there"),
        (&["restore", "none.age", "--identity", "key.txt", "--to", "new"], "none.age is not there"),
        (&["restore", "key.txt", "--identity", "none.txt", "--to", "new"], "none.txt is not there"),
    ] {
        let said = home.vaka_plain(args);
        assert!(said.code == 64 && said.stderr.contains(named), "{said:?}");
    }
}

#[test]
fn two_boxes_of_one_backup_are_both_heard_also_of_a_device_that_numbers_nothing() {
    if lacks(&["sipp", "mosquitto_pub"]) {
        return;
    }
    let centre = Centre::start("ok");
    let home = Home::init();
    home.centre(centre.port).device("p1", "pendant");
    let key = key(&home);
    let mut old = Gateway::start(&home);
    home.vaka(&["backup", "--to", "home.age"]).ok();
    // The old box goes on a little, then it is dead.
    let unnumbered = r#"{"v":1,"event":{"button":{"press":"short"}}}"#;
    publish(&home, "p1", unnumbered);
    old.wait_alarm("the press on the old box", |row| row["device"] == "p1" && row["rung"] == "accepted");
    old.kill();
    let backup = home.dir().join("home.age");
    let mut records = BTreeSet::new();
    for round in ["the first", "the second"] {
        let new = Home::restored(&home, &backup, &key);
        let mut gateway = Gateway::start(&new);
        publish(&new, "p1", unnumbered);
        let row = gateway.wait_alarm(round, |row| row["device"] == "p1" && row["rung"] == "accepted");
        assert!(records.insert(row["id"].as_str().expect("an id").to_owned()), "{round}: {row}");
        gateway.kill();
    }
    let pressed: Vec<_> = centre.alarms().into_iter().filter(pendant).collect();
    let references: BTreeSet<&str> = pressed.iter().map(|mrq| mrq.get("ref")).collect();
    assert_eq!((pressed.len(), references.len(), records.len()), (3, 3, 2), "{pressed:?}");
}
