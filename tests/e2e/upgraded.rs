//! One package after another under load, in a Debian of its own, with `kill -9` at random moments in the middle: of the gateway, of dpkg,
//! of both; presses among what is sent. What was acknowledged is in the journal, once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vaka_tests::{Chance, Container, Load, eventually_within, lacks, make_package, or_skip, setting};

/// A commit's time; each package is of a day later.
const THEN: i64 = 1_790_000_000;
const DAY_S: i64 = 86_400;
const DEVICES: [&str; 2] = ["m1", "p1"];
/// About each second round meets an open life alarm, which holds the new program back.
const PRESS_EVERY: u32 = 3_000;
/// A debug program on busy cores, after two kills.
const PATIENCE: Duration = Duration::from_secs(120);

/// dpkg writes its number down, so that whoever cuts it off hits no other.
const INSTALL: &str =
    "sh -c 'echo $$ > /run/installing; exec dpkg -i /root/vaka.deb' < /dev/null > /root/dpkg.log 2>&1";

#[test]
fn killed_in_the_middle_of_upgrades_under_load_nothing_acknowledged_is_lost() {
    if lacks(&["paho", "dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    let rounds = setting("VAKA_PACKAGE_ROUNDS", 20);
    let mut chance = Chance::from_environment();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Some(system) = or_skip(Container::boot()) else { return };
    let run = |script: &str| system.run(script);
    let log = || run("journalctl -u vaka --no-pager -n 40; tail -n 5 /root/dpkg.log").stdout;
    let show = |what: &str| run(&format!("systemctl show -P {what} vaka")).stdout.trim().to_owned();
    let vaka = |words: &str| run(&format!("cd / && runuser -u vaka -- vaka {words}"));
    let package = |round: u64| {
        let made = make_package(
            &folder.path().join("package"),
            THEN + DAY_S * round.cast_signed(),
            Path::new(env!("CARGO_BIN_EXE_manual")),
        );
        system.copy_in(&made, "/root/vaka.deb");
        let version = run("dpkg-deb --field /root/vaka.deb Version").ok().stdout.trim().to_owned();
        std::fs::remove_file(made).expect("it was just made");
        version
    };
    let well = |version: &str| {
        let installed = || run("dpkg-query -W -f '${Status} ${Version}' vaka").stdout;
        eventually_within(PATIENCE, &format!("{version} installed and the gateway ready"), log, || {
            let wanted = format!("install ok installed {version}");
            (installed() == wanted && show("ActiveState") == "active").then_some(())
        });
    };

    let first = package(0);
    run("dpkg -i /root/vaka.deb").ok();
    vaka("init /var/lib/vaka/home").ok();
    for device in DEVICES {
        vaka(&format!("device add {device} --kind pendant --out /var/lib/vaka/home/{device}")).ok();
    }
    run("systemctl start vaka").ok();
    well(&first);
    let pem = |device: &str, file: &str| system.path(&format!("/var/lib/vaka/home/{device}/{file}"));
    let inside = system.enter_network();
    let mut load = Load::start_at(8883, pem, &DEVICES, 5, PRESS_EVERY);
    drop(inside);
    load.wait_more(20, log);

    // What a person on duty does; a press that comes meanwhile opens the next.
    let close_all = || {
        let open: Vec<Value> = serde_json::from_str(&vaka("alarm list --json").ok().stdout).expect("alarms");
        for alarm in open.iter().filter(|alarm| alarm["lane"] == "life") {
            vaka(&format!("alarm close {} --by anna", alarm["id"].as_str().expect("an id"))).ok();
        }
    };
    let runs_the_one_before =
        || run("readlink /proc/$(systemctl show -P MainPID vaka)/exe").ok().stdout.contains("(deleted)");
    let (mut cut_off, mut too_late, mut held) = (0, 0, 0);
    for round in 1..=rounds {
        let version = package(round);
        let before = show("MainPID");
        std::thread::scope(|scope| {
            let installing = scope.spawn(|| run(INSTALL));
            eventually_within(PATIENCE, "dpkg to begin", log, || {
                (installing.is_finished() || run("test -s /run/installing").code == 0).then_some(())
            });
            load.wait_more(1 + chance.below(300) as usize, log);
            if round % 3 != 1 {
                // Gone already where it was quicker: then this round killed the gateway alone.
                match run("kill -9 $(cat /run/installing)").code {
                    0 => cut_off += 1,
                    _ => too_late += 1,
                }
            }
            if round % 3 != 2 {
                run("systemctl kill -s KILL vaka");
            }
            installing.join().expect("no panic in it");
        });
        run("rm -f /run/installing");
        // What was cut off is done again, as `apt` or a technician does; what it had begun is waited for.
        eventually_within(PATIENCE, "the package to be installed", log, || (run(INSTALL).code == 0).then_some(()));
        run("rm -f /run/installing");
        well(&version);
        if runs_the_one_before() {
            held += 1;
            let said = run("cat /root/dpkg.log").stdout;
            assert!(said.contains("a life alarm is open"), "round {round}: {said}");
            close_all();
            run("systemctl restart vaka").ok();
            well(&version);
        }
        assert!(!runs_the_one_before(), "round {round}: it runs the new program");
        assert_ne!(show("MainPID"), before, "round {round}");
        close_all();
        load.wait_more(20, log);
    }
    let (acked, refused) = load.finish();
    assert!(refused.is_empty(), "{} refused, first: {:?}", refused.len(), refused.first());
    let mut stored = BTreeMap::<(String, u64, u64), u32>::new();
    for line in vaka("journal export").ok().stdout.lines().filter(|line| line.contains(r#""kind":"event""#)) {
        let record: Value = serde_json::from_str(line).expect("a line of JSON");
        let number = |key: &str| record[key].as_u64().unwrap_or_else(|| panic!("{key} in {record}"));
        let device = record["device"].as_str().expect("a device").to_owned();
        *stored.entry((device, number("restart"), number("seq"))).or_default() += 1;
    }
    let lost: Vec<_> = acked.iter().filter(|identity| !stored.contains_key(*identity)).collect();
    let doubled = stored.values().filter(|count| **count > 1).count();
    println!(
        "{rounds} upgrades, dpkg cut off in {cut_off} ({too_late} too late), held by a life alarm in {held}, {} acknowledged, {} stored, {} lost, {doubled} doubled",
        acked.len(),
        stored.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{} of {} are lost, first: {:?}", lost.len(), acked.len(), lost.first());
    assert_eq!(doubled, 0, "doubled");
    assert_eq!(vaka("journal verify").code, 0);
    assert!(!run("journalctl -u vaka --no-pager").stdout.contains("panicked"), "{}", log());
    assert_eq!(run("systemctl --failed --no-legend --plain").stdout, "");
}
