//! Installed: the package, its unit under a real systemd in a Debian of its own, upgrade and purge.

use std::path::{Path, PathBuf};
use std::process::Command;

use vaka_tests::{Container, eventually, lacks, make_package, or_skip, press, program, root};

/// A commit's time, and a later one's.
const THEN: i64 = 1_790_000_000;
const LATER: i64 = THEN + 86_400;

#[track_caller]
fn package(folder: &Path, second: i64) -> PathBuf {
    make_package(folder, second, Path::new(env!("CARGO_BIN_EXE_manual")))
}

fn said(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{words:?}: {e}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_unit_is_closed_as_far_as_the_work_allows() {
    if lacks(&["systemd-analyze"]) {
        return;
    }
    let unit = root().join("deploy/systemd/vaka.service").display().to_string();
    let score = said(&["systemd-analyze", "security", "--offline=true", "--no-pager", &unit]);
    let words = score.lines().find_map(|line| line.split_once("Overall exposure level for vaka.service: "));
    let level: f64 = words.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()).unwrap_or(10.0);
    assert!(level <= 2.0, "{level}\n{score}");
    let text = std::fs::read_to_string(&unit).expect("the unit");
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word}"));
    // The group that is refused has it in it: allowed before, it would be refused after all.
    assert!(place("SystemCallFilter=~@privileged") < place("SystemCallFilter=adjtimex clock_adjtime"));
    for word in ["network-online", "network.target", "StartLimitBurst", "ProtectClock="] {
        let is_set = text.lines().any(|line| !line.starts_with('#') && line.contains(word));
        assert!(
            !is_set,
            "{word}: a home must not wait for its network, nor give up, nor be kept from reading its clock"
        );
    }
}

#[test]
fn the_package_has_what_it_should_and_is_the_same_twice() {
    if lacks(&["dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let first = package(&folder.path().join("1"), THEN);
    let second = package(&folder.path().join("2"), THEN);
    assert_eq!(std::fs::read(&first).expect("it"), std::fs::read(&second).expect("it"), "two packages of one program");
    let first = first.to_str().expect("text");
    let fields = said(&["dpkg-deb", "--field", first]);
    for word in ["Package: vaka", "Version: 0.1.0-2026", "Depends: ", "libc6", "adduser"] {
        assert!(fields.contains(word), "{word} in\n{fields}");
    }
    let list = said(&["dpkg-deb", "--contents", first]);
    for (mode, path) in [
        ("-rwxr-xr-x", "./usr/bin/vaka"),
        ("-rw-r--r--", "./usr/lib/systemd/system/vaka.service"),
        ("-rw-r--r--", "./usr/lib/systemd/system/vaka-backup.service"),
        ("-rw-r--r--", "./usr/lib/systemd/system/vaka-backup.timer"),
        ("-rw-r--r--", "./etc/default/vaka"),
        ("-rw-r--r--", "./usr/share/man/man1/vaka.1.gz"),
        ("-rw-r--r--", "./usr/share/man/man1/vaka-alarm-list.1.gz"),
        ("-rw-r--r--", "./usr/share/bash-completion/completions/vaka"),
        ("-rw-r--r--", "./usr/share/zsh/vendor-completions/_vaka"),
        ("-rw-r--r--", "./usr/share/fish/vendor_completions.d/vaka.fish"),
        ("-rw-r--r--", "./usr/share/doc/vaka/copyright"),
        ("-rw-r--r--", "./usr/share/doc/vaka/vaka.example.toml"),
        ("-rw-r--r--", "./usr/share/doc/vaka/RUNBOOK.md"),
        ("-rw-r--r--", "./usr/share/doc/vaka/INSTALL.md"),
        ("-rw-r--r--", "./usr/share/doc/vaka/INSTALL.html"),
        ("-rw-r--r--", "./usr/share/doc/vaka/vaka.cdx.json"),
        ("-rw-r--r--", "./usr/share/doc/vaka/examples/camera.nft"),
        ("-rw-r--r--", "./usr/share/doc/vaka/examples/vaka.rules.yml"),
    ] {
        let is_there = |line: &str| {
            line.starts_with(mode) && line.contains("root/root") && line.split(' ').next_back() == Some(path)
        };
        assert!(list.lines().any(is_there), "{mode} {path} in\n{list}");
    }
    assert!(!list.contains("/home/") && !list.contains("rws"), "{list}");
}

#[test]
fn what_it_is_made_of_is_listed_with_licence_and_checksum() {
    let metadata = Command::new("cargo")
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), metadata.stdout).expect("it");
    let output = Command::new(env!("CARGO_BIN_EXE_sbom"))
        .arg(root().join("Cargo.lock"))
        .stdin(std::fs::File::open(file.path()).expect("it"))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bill: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let parts = bill["components"].as_array().expect("components");
    assert!(parts.len() > 150, "{}", parts.len());
    let named = |name: &str| parts.iter().any(|part| part["name"] == name);
    assert!(["rustls", "ring", "tokio", "sled", "vaka-protocol"].into_iter().all(named));
    assert!(!named("proptest") && !named("clap_mangen"), "what only tests and packaging need is not in the program");
    let ours = |part: &serde_json::Value| part["name"].as_str().is_some_and(|name| name.starts_with("vaka-"));
    let bare: Vec<_> =
        parts.iter().filter(|part| part["licenses"].is_null() || part["hashes"].is_null() && !ours(part)).collect();
    assert!(bare.is_empty(), "{bare:#?}");
    let known: std::collections::BTreeSet<_> = parts
        .iter()
        .chain([&bill["metadata"]["component"]])
        .map(|part| &part["bom-ref"])
        .map(ToString::to_string)
        .collect();
    let needed = bill["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .flat_map(|row| row["dependsOn"].as_array().cloned().unwrap_or_default());
    assert!(needed.into_iter().all(|to| known.contains(&to.to_string())));
}

#[test]
fn installed_started_killed_hung_misconfigured_upgraded_and_purged() {
    if lacks(&["mosquitto_pub", "dpkg-deb", "dpkg-shlibdeps"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let first = package(&folder.path().join("1"), THEN);
    let Some(system) = or_skip(Container::boot()) else { return };
    let run = |script: &str| system.run(script);
    let log = || run("journalctl -u vaka --no-pager -n 40").stdout;
    let show = |what: &str| run(&format!("systemctl show -P {what} vaka")).stdout.trim().to_owned();
    let active = |what: &str| eventually(what, log, || (show("ActiveState") == "active").then_some(()));
    let vaka = |words: &str| run(&format!("cd / && runuser -u vaka -- vaka {words}"));

    system.copy_in(&first, "/root/vaka.deb");
    run("dpkg -i /root/vaka.deb").ok();
    assert_eq!(show("ConditionResult"), "no", "without a home it waits");
    assert_eq!(run("stat -c '%U %a' /var/lib/vaka").stdout.trim(), "vaka 700");
    assert_eq!(run("stat -c '%U %a' /var/backups/vaka").stdout.trim(), "vaka 700");
    assert_eq!(run("systemctl is-enabled vaka-backup.timer").stdout.trim(), "enabled");
    assert_eq!(run("systemctl is-active vaka-backup.timer").stdout.trim(), "active");

    // As root, and yet all of it is the service's.
    run("cd /root && vaka init /var/lib/vaka/home").ok();
    assert_eq!(run("find /var/lib/vaka ! -user vaka").stdout, "");
    // Not before somebody has said to whom, and the doctor asks for that.
    assert!(run("vaka check").stdout.contains("YELLOW  backup        none is made"));
    run("systemctl start vaka-backup").ok();
    assert!(!system.path("/var/backups/vaka/home.age").exists());
    // The installed home is found without a word of where it is.
    vaka("device add p1 --kind pendant --out /var/lib/vaka/home/p1").ok();
    run("systemctl start vaka").ok();
    active("the gateway to be ready");
    assert_eq!((show("Type"), show("NotifyAccess")), ("notify".to_owned(), "main".to_owned()));
    let pem = |name: &str| system.path(&format!("/var/lib/vaka/home/p1/{name}")).display().to_string();
    let send = |seq| {
        let (ca, cert, key) = (pem("ca.pem"), pem("cert.pem"), pem("key.pem"));
        let (broker, payload) = (program("mosquitto_pub").display().to_string(), press(1, seq));
        let words = [&broker[..], "-h", "127.0.0.1", "-p", "8883", "--cafile", &ca, "--cert", &cert, "--key", &key];
        let words = [&words[..], &["-q", "1", "-V", "mqttv5", "-t", "vaka/v1/p1/event", "-m", &payload]].concat();
        assert_eq!(system.beside(&words).code, 0, "{}", log());
    };
    let stored =
        || vaka("journal export").ok().stdout.lines().filter(|line| line.contains(r#""kind":"event""#)).count();
    send(1);
    assert_eq!(stored(), 1);

    // Killed: back by itself, with everything.
    run("systemctl kill -s KILL vaka").ok();
    eventually("its second start", log, || (show("NRestarts") == "1" && show("ActiveState") == "active").then_some(()));
    send(2);
    assert_eq!(stored(), 2);

    // Hung: nothing feeds the watchdog any more.
    run("mkdir -p /etc/systemd/system/vaka.service.d && printf '[Service]\nWatchdogSec=2s\n' > /etc/systemd/system/vaka.service.d/short.conf").ok();
    run("systemctl daemon-reload && systemctl restart vaka").ok();
    active("the gateway with a short watchdog");
    run("systemctl kill -s STOP vaka").ok();
    eventually("the watchdog to end it", log, || log().contains("watchdog").then_some(()));
    active("the gateway after the watchdog");
    send(3);
    run("rm /etc/systemd/system/vaka.service.d/short.conf && systemctl daemon-reload && systemctl restart vaka").ok();
    active("the gateway again");

    // Misconfigured: 64, tried on, and well again without anybody's start.
    run("sed -i 's/^time_zone/time_zome/' /var/lib/vaka/home/vaka.toml").ok();
    run("systemctl reload vaka").ok();
    assert_eq!(show("ActiveState"), "active", "the config in force stays");
    run("systemctl kill -s KILL vaka").ok();
    eventually("exit 64", log, || (show("ExecMainStatus") == "64").then_some(()));
    run("sed -i 's/^time_zome/time_zone/' /var/lib/vaka/home/vaka.toml").ok();
    active("the gateway with a config that is right");

    // Upgraded: not while somebody waits for help; then restarted, nothing lost, nothing asked.
    let next = package(&folder.path().join("2"), LATER);
    system.copy_in(&next, "/root/vaka.deb");
    let before = show("MainPID");
    let held = run("dpkg -i /root/vaka.deb < /dev/null").ok();
    assert!(held.stderr.contains("a life alarm is open"), "{held:?}");
    assert_eq!(show("MainPID"), before, "the program before goes on");
    let doctor = run("vaka check").stdout;
    assert!(doctor.contains("YELLOW  gateway       running; a newer program is installed"), "{doctor}");
    for alarm in vaka("alarm list --json").ok().rows() {
        let id = alarm["id"].as_str().expect("an id");
        vaka(&format!("alarm close {id} --by anna --outcome false")).ok();
    }
    // What the new program could not start with leaves the old one running.
    let swap = |from: &str, to: &str| run(&format!("sed -i s/{from}/{to}/ /var/lib/vaka/home/vaka.toml")).ok();
    swap("time_zone", "time_zome");
    let held = run("dpkg -i /root/vaka.deb < /dev/null").ok();
    assert!(held.stderr.contains("cannot read this home") && held.stderr.contains("`time_zome`"), "{held:?}");
    assert_eq!(show("MainPID"), before, "the program before goes on");
    swap("time_zome", "time_zone");
    run("dpkg -i /root/vaka.deb < /dev/null").ok();
    active("the upgraded gateway");
    assert_ne!(show("MainPID"), before, "it runs the new program");
    send(4);
    assert_eq!(stored(), 4);
    assert_eq!(vaka("journal verify").code, 0);

    // Taken out of use: the other box speaks now, and this one neither starts nor is tried for ever.
    let key = vaka("backup key --to /var/lib/vaka/key.txt").ok().stdout;
    let recipient = key.split('"').nth(1).expect("a recipient");
    run(&format!("printf '\\n[backup]\\nrecipients = [\"{recipient}\"]\\n' >> /var/lib/vaka/home/vaka.toml")).ok();
    run("systemctl start vaka-backup").ok();
    assert!(system.path("/var/backups/vaka/home.age").is_file(), "{}", run("journalctl -u vaka-backup").stdout);
    assert!(run("vaka check").stdout.contains("green   backup        the last one is 0 hours old"));
    run("vaka backup --to /var/backups/vaka/move.age --retire").ok();
    eventually("it to stay out of use", log, || (show("Result") == "exec-condition").then_some(()));
    run("systemctl start vaka").ok();
    assert_eq!((show("ActiveState"), show("SubState")), ("inactive".to_owned(), "dead".to_owned()), "{}", log());
    run("rm /var/lib/vaka/home/retired && systemctl start vaka").ok();
    active("the gateway that is in use again");
    assert_eq!(stored(), 4);

    // Removed, it keeps the home; purged, nothing is left.
    run("dpkg -r vaka").ok();
    assert!(system.path("/var/lib/vaka/home/vaka.toml").is_file());
    let purged = run("dpkg -P vaka").ok();
    assert!(!system.path("/var/lib/vaka").exists() && !system.path("/etc/default/vaka").exists());
    // Sealed to the municipality, and nobody else's to remove.
    assert!(
        system.path("/var/backups/vaka/move.age").is_file() && purged.stderr.contains("left as it was"),
        "{purged:?}"
    );
    assert_ne!(run("getent passwd vaka").code, 0);
    assert_eq!(run("systemctl --failed --no-legend --plain").stdout, "");
}
