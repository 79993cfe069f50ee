//! Agreed days on the real program, over weeks of its clock: what is over is read by nobody, also on the disk itself and after a power cut, and
//! what somebody may wait for stays.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use toml_edit::value;
use vaka_tests::{
    Chance, Gateway, Home, LoopDisk, MachineClock, MqttVersion, event, eventually, lacks, mosquitto_pub, or_skip,
    setting,
};

/// A pendant and a bed sensor; telemetry and positions are kept three days, what calls for help six.
fn agreed(home: Home) -> Home {
    home.device("p1", "pendant").device("bed1", "bed-sensor");
    home.edit(|config| {
        config["journal"]["size_max_mib"] = value(32);
        config["retention"] = toml_edit::table();
        for (name, days) in [("telemetry_days", 3), ("positions_days", 3), ("life_days", 6)] {
            config["retention"][name] = value(days);
        }
    });
    home
}

fn start<'h>(home: &'h Home, clock: &MachineClock) -> Gateway<'h> {
    let words = clock.environment();
    Gateway::start_with(home, &words.each_ref().map(|(name, value)| (*name, value.as_str())))
}

fn publish(home: &Home, device: &str, payload: &str) {
    let topic = format!("vaka/v1/{device}/event");
    let published = mosquitto_pub(home, device, MqttVersion::V5, &topic, payload);
    assert_eq!(published.code, 0, "{published:?}");
}

/// What the two devices have said, by number.
#[derive(Default)]
struct Said {
    bed: u64,
    pendant: u64,
}

impl Said {
    /// Both are well; after each word the gateway looks after its house.
    fn all_is_well(&mut self, home: &Home) {
        self.by_pendant(home, r#"{"battery":{"percent":90,"low":false}}"#);
        self.bed += 1;
        publish(home, "bed1", &event(1, self.bed, &format!(r#"{{"bed":{{"occupied":{}}}}}"#, self.bed % 2 == 1)));
    }

    fn by_pendant(&mut self, home: &Home, what: &str) -> u64 {
        self.pendant += 1;
        publish(home, "p1", &event(1, self.pendant, what));
        self.pendant
    }

    fn press(&mut self, home: &Home) -> u64 {
        self.by_pendant(home, r#"{"button":{"press":"short"}}"#)
    }

    fn days(&mut self, home: &Home, clock: &mut MachineClock, days: u32) {
        for _ in 0..2 * days {
            clock.hours(12);
            self.all_is_well(home);
            // Its second word is answered when the house was kept after the first.
            self.all_is_well(home);
        }
    }
}

/// Numbers of this device's events that can be read.
fn readable(export: &[Value], device: &str) -> BTreeSet<u64> {
    let events = export.iter().filter(|line| line["kind"] == "event" && line["device"] == device);
    events.map(|line| line["seq"].as_u64().expect("a number")).collect()
}

fn gone(export: &[Value]) -> usize {
    export.iter().filter(|line| line["kind"] == "gone").count()
}

/// What stands in the file of keys now, beyond what every such file begins with.
fn keys(home: &Home) -> Vec<u8> {
    std::fs::read(home.path("journal/keys")).expect("the keys")[32..96].to_vec()
}

fn close(home: &Home, gateway: &Gateway) {
    let row = gateway.wait_alarm("the press", |row| row["lane"] == "life" && row["rung"] != "closed");
    home.vaka(&["alarm", "close", row["id"].as_str().expect("an id"), "--by", "staff-anna"]).ok();
}

#[test]
fn what_is_over_its_days_is_gone_from_the_disk_and_what_somebody_waits_for_stays() {
    if lacks(&["mosquitto_pub", "mkfs.ext4"]) {
        return;
    }
    let Some(disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = agreed(Home::init_on(&disk.path()));
    let mut clock = MachineClock::new();
    let mut gateway = start(&home, &clock);
    let (mut said, mut earlier) = (Said::default(), vec![keys(&home)]);
    said.all_is_well(&home);
    let position = said.by_pendant(&home, r#"{"position":{"lat_e7":593293000,"lon_e7":180686000}}"#);
    let pressed = said.press(&home);
    close(&home, &gateway);
    said.days(&home, &mut clock, 2);
    let export = home.export();
    assert!(readable(&export, "bed1").contains(&1) && gone(&export) == 0, "their days are not over");
    assert!(readable(&export, "p1").is_superset(&BTreeSet::from([position, pressed])));

    earlier.push(keys(&home));
    said.days(&home, &mut clock, 4);
    let export = home.export();
    let kept = readable(&export, "bed1");
    assert!(!kept.contains(&1) && kept.contains(&said.bed), "{kept:?}\n{}", gateway.tail());
    let of_pendant = readable(&export, "p1");
    assert!(!of_pendant.contains(&position), "where somebody was is over: {of_pendant:?}");
    assert!(of_pendant.contains(&pressed), "that they called is not: {of_pendant:?}");
    let over = export.iter().find(|line| line["kind"] == "gone").expect("what is gone");
    assert_eq!(over["kept_days"], 3, "{over}");
    let classes = |line: &Value| line["periods"].as_array().map_or(Vec::new(), |periods| periods.clone());
    let classes: BTreeSet<String> = export
        .iter()
        .filter(|line| line["kind"] == "aged")
        .flat_map(classes)
        .map(|period| period["class"].as_str().expect("a class").to_owned())
        .collect();
    assert_eq!(classes, BTreeSet::from(["positions".to_owned(), "telemetry".to_owned()]));
    // The keys that were are nowhere on the disk, in a file or not; the search finds what is there.
    for old in &earlier {
        assert!(!disk.holds_bytes(old), "an earlier file of keys is on the disk");
    }
    assert!(disk.holds_bytes(&keys(&home)));

    // Somebody calls, and nobody has been there yet: nothing goes, however long that lasts.
    let again = said.press(&home);
    let (before, count) = (readable(&home.export(), "bed1"), gone(&home.export()));
    said.days(&home, &mut clock, 6);
    let export = home.export();
    assert_eq!(gone(&export), count);
    assert!(readable(&export, "bed1").is_superset(&before));
    assert!(readable(&export, "p1").is_superset(&BTreeSet::from([pressed, again])));
    let words = clock.environment();
    let retention = |home: &Home| {
        home.vaka_with(&words.each_ref().map(|(name, value)| (*name, value.as_str())), &["retention"]).ok().stdout
    };
    assert!(retention(&home).contains("nothing goes as long as "), "{}", retention(&home));
    close(&home, &gateway);
    said.days(&home, &mut clock, 5);
    let export = home.export();
    assert!(gone(&export) > count && readable(&export, "bed1").is_disjoint(&before));
    assert!(!readable(&export, "p1").contains(&pressed), "its six days are over too");
    let shown = retention(&home);
    assert!(
        shown.contains("life: 6 days") && shown.contains("gone up to") && !shown.contains("nothing goes"),
        "{shown}"
    );

    let page = home.vaka(&["report", "--lang", "en"]).ok().stdout;
    assert!(page.contains("records of those days nobody can read any more"), "the page says that something is missing");

    // A time source that is gone, and a clock that nobody vouches for: nothing goes.
    clock.vouch(false);
    let count = gone(&home.export());
    said.days(&home, &mut clock, 5);
    assert_eq!(gone(&home.export()), count);
    clock.vouch(true);
    said.days(&home, &mut clock, 5);
    assert!(gone(&home.export()) > count);

    // All that is made of a journal is made of this one too.
    home.vaka(&["journal", "verify"]).ok();
    let row = home.alarms().into_iter().find(|row| row["lane"] == "life").map(|row| row["id"].to_string());
    gateway.kill();
    home.vaka(&["journal", "rebuild"]).ok();
    let gateway = start(&home, &clock);
    let after = home.alarms().into_iter().find(|row| row["lane"] == "life").map(|row| row["id"].to_string());
    assert_eq!(after, row);
    said.all_is_well(&home);
    let key = home.vaka_plain(&["backup", "key", "--to", "key.txt"]).ok().stdout;
    let recipient = key.split('"').nth(1).expect("a recipient");
    home.vaka(&["backup", "--to", "home.age", "--recipient", recipient]).ok();
    drop(gateway);
    let export = home.export();
    let restored = Home::restored(&home, &home.dir().join("home.age"), &home.dir().join("key.txt"));
    let there = restored.export();
    assert_eq!((gone(&there), readable(&there, "p1")), (gone(&export), readable(&export, "p1")));
    restored.vaka(&["journal", "verify"]).ok();
    let mut gateway = start(&restored, &clock);
    said.days(&restored, &mut clock, 4);
    assert!(gone(&restored.export()) > gone(&export), "its days go on on the new box");
    gateway.kill();
}

/// The journal and the home's key lie on this disk.
fn move_to(home: &Home, disk: &LoopDisk) {
    for name in ["journal", "home.key"] {
        let moved = Command::new("mv").arg(home.path(name)).arg(disk.path()).status().expect("mv");
        assert!(moved.success(), "moving {name}");
    }
    assert!(Command::new("sync").arg("-f").arg(disk.path()).status().expect("sync").success());
    use_disk(home, disk);
}

fn use_disk(home: &Home, disk: &LoopDisk) {
    let dir = disk.path().join("journal").display().to_string();
    home.edit(|config| config["journal"]["dir"] = value(&dir));
}

#[test]
fn a_power_cut_while_records_go_loses_nothing_else_and_the_next_pass_ends_it() {
    if lacks(&["mosquitto_pub", "mkfs.ext4"]) {
        return;
    }
    let Some(mut disk) = or_skip(LoopDisk::make(64)) else { return };
    let home = agreed(Home::init());
    move_to(&home, &disk);
    let (mut clock, mut said, mut chance) = (MachineClock::new(), Said::default(), Chance::from_environment());
    let written = |disk: &LoopDisk| std::fs::read(disk.path().join("journal/keys")).expect("the keys");
    let (cuts, mut among) = (setting("VAKA_AGEING_CUTS", 6), 0);
    for round in 1..=cuts {
        let mut gateway = start(&home, &clock);
        said.all_is_well(&home);
        let pressed = said.press(&home);
        close(&home, &gateway);
        said.days(&home, &mut clock, 3);
        let (before, keys) = (home.export(), written(&disk));
        // Something is due with the next word: somewhere in what follows the power goes.
        clock.hours(24);
        let word = event(1, said.bed + 1, r#"{"bed":{"occupied":true}}"#);
        let copy = std::thread::scope(|scope| {
            // Nobody asks whether it was answered.
            scope.spawn(|| mosquitto_pub(&home, "bed1", MqttVersion::V5, "vaka/v1/bed1/event", &word));
            let keys_changed = || (written(&disk) != keys).then_some(());
            eventually("the pass to begin", || gateway.tail(), keys_changed);
            // A moment that is another each time: as long as some looks at the file take.
            (0..chance.below(400)).for_each(|_| drop(written(&disk)));
            gateway.freeze();
            let copy = disk.cut();
            gateway.kill();
            copy
        });
        disk = copy;
        use_disk(&home, &disk);

        home.vaka(&["journal", "verify"]).ok();
        let export = home.export();
        assert!(readable(&export, "bed1").contains(&said.bed), "round {round}: what was acknowledged");
        let aged = |export: &[Value]| export.iter().filter(|line| line["kind"] == "aged").count();
        among += u32::from(aged(&export) > aged(&before) && gone(&export) == gone(&before));
        // Four days old, of six.
        let still = readable(&export, "p1");
        assert!(still.contains(&pressed) && readable(&before, "p1").contains(&pressed), "round {round}: {still:?}");
    }
    let _gateway = start(&home, &clock);
    said.days(&home, &mut clock, 5);
    let kept = readable(&home.export(), "bed1");
    assert!(!kept.contains(&1) && kept.contains(&said.bed), "{kept:?}");
    home.vaka(&["journal", "verify"]).ok();
    println!("{among} of {cuts} cuts fell between the record of what goes and its keys");
}
