//! The home's key sealed to a TPM, under a real systemd and the packaged unit, with the commands of TPM.md as they stand there: the disk alone
//! opens nothing, another machine starts no gateway on it and harms nothing, and with the backup's key it goes on where it was.

use std::path::{Path, PathBuf};

use vaka_tests::{Container, Tpm, eventually, lacks, make_package, or_skip, press, program, root};

const THEN: i64 = 1_790_000_000;

/// The commands under a heading of TPM.md: each fenced block is one.
fn commands(heading: &str) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("deploy/TPM.md")).expect("TPM.md");
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading} in TPM.md"));
    let chapter = rest.split("\n## ").next().expect("a chapter");
    chapter.split("```sh\n").skip(1).map(|block| block.split("```").next().expect("an end").to_owned()).collect()
}

/// A system with the package, and its home's key sealed to a TPM.
struct Machine {
    system: Container,
    folder: tempfile::TempDir,
}

impl Machine {
    fn boot() -> Result<Machine, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let system = Container::boot()?;
        Tpm::is_known_to(&system);
        let package = make_package(folder.path(), THEN, Path::new(env!("CARGO_BIN_EXE_manual")));
        system.copy_in(&package, "/root/vaka.deb");
        system.run("dpkg -i /root/vaka.deb && rm /root/vaka.deb").ok();
        Ok(Machine { system, folder })
    }

    fn log(&self) -> String {
        self.system.run("journalctl --no-pager -n 60").stdout
    }

    /// By root at the machine, with its TPM; must succeed.
    #[track_caller]
    fn root(&self, command: &str) -> String {
        let output = self.system.run_with_tpm(command);
        assert_eq!(output.code, 0, "{command}: {output:?}\n{}", self.log());
        output.stdout
    }

    fn show(&self, what: &str) -> String {
        self.system.run(&format!("systemctl show -P {what} vaka")).stdout.trim().to_owned()
    }

    fn is_active(&self, what: &str) {
        eventually(what, || self.log(), || (self.show("ActiveState") == "active").then_some(()));
    }

    fn vaka(&self, words: &str) -> vaka_tests::Output {
        self.system.run(&format!("cd / && runuser -u vaka -- vaka {words}"))
    }

    /// One press, acknowledged.
    fn press(&self, seq: u64) {
        let pem = |name: &str| self.system.path(&format!("/var/lib/vaka/home/p1/{name}")).display().to_string();
        let (ca, cert, key) = (pem("ca.pem"), pem("cert.pem"), pem("key.pem"));
        let (broker, payload) = (program("mosquitto_pub").display().to_string(), press(1, seq));
        let words = [&broker[..], "-h", "127.0.0.1", "-p", "8883", "--cafile", &ca, "--cert", &cert, "--key", &key];
        let words = [&words[..], &["-q", "1", "-V", "mqttv5", "-t", "vaka/v1/p1/event", "-m", &payload]].concat();
        assert_eq!(self.system.beside(&words).code, 0, "{}", self.log());
    }

    /// Presses that the journal has, read with the key that the TPM opens, as TPM.md says.
    fn presses(&self) -> usize {
        let export = commands("The service gets the key").pop().expect("the export");
        let said = self.root(&export);
        said.lines().filter(|line| line.contains(r#""kind":"event""#) && line.contains("button")).count()
    }

    /// Files of the whole system, as far as it has written any, that hold the key in clear: its digits, or its bytes.
    fn in_clear(&self, digits: &str) -> Vec<PathBuf> {
        let bytes: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits")).collect();
        let mut found = Vec::new();
        for folder in ["etc", "home", "opt", "root", "srv", "usr/local", "var"] {
            look(&self.system.path(folder), &[digits.as_bytes(), &bytes], &mut found);
        }
        found
    }
}

fn look(folder: &Path, words: &[&[u8]], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            look(&path, words, found);
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            if words.iter().any(|word| bytes.windows(word.len()).any(|part| part == *word)) {
                found.push(path);
            }
        }
    }
}

const DECRYPT: &str = "systemd-creds decrypt --name=home.key /etc/vaka/home.key.cred -";

#[test]
fn a_home_whose_key_is_in_the_tpm_opens_on_its_own_machine_alone_and_is_lost_on_none() {
    if lacks(&["mosquitto_pub", "dpkg-deb", "dpkg-shlibdeps", "swtpm", "age-keygen"]) {
        return;
    }
    let Some(machine) = or_skip(Machine::boot()) else { return };
    let system = &machine.system;
    let own = Tpm::plug_into(system);
    for command in commands("A new home: the key never touches the disk in clear") {
        machine.root(&command);
    }
    assert!(!system.path("/var/lib/vaka/home/home.key").exists(), "made with the key that was passed");
    let said = machine.vaka("backup key --to /var/lib/vaka/key.txt").ok().stdout;
    let recipient = said.lines().find(|line| line.contains("age1")).expect("a recipient").to_owned();
    let (config, key) = (system.path("/var/lib/vaka/home/vaka.toml"), system.path("/var/lib/vaka/key.txt"));
    let text = std::fs::read_to_string(&config).expect("vaka.toml");
    std::fs::write(&config, format!("{text}\n[backup]\n{recipient}\n")).expect("writing vaka.toml");
    // No box has it.
    std::fs::copy(&key, machine.folder.path().join("key.txt")).expect("the municipality keeps it");
    std::fs::remove_file(&key).expect("removed");
    machine.vaka("device add p1 --kind pendant --out /var/lib/vaka/home/p1").ok();
    machine.root(&commands("The service gets the key")[0]);
    machine.is_active("the gateway with its key from the TPM");
    machine.press(1);
    assert_eq!(machine.presses(), 1);
    // As vaka-backup.timer says.
    machine.root("install -d -m 0700 -o vaka -g vaka /var/backups/vaka && systemctl start vaka-backup");
    let digits = machine.root(DECRYPT).trim().to_owned();
    assert_eq!(digits.len(), 64);
    assert_eq!(machine.in_clear(&digits), Vec::<PathBuf>::new(), "in clear on the disk");

    // The disk in another machine.
    drop(own);
    let other = Tpm::plug_into(system);
    // Another key beside, as a person keeps one: what is started without the right one goes by none.
    let beside = "/var/lib/vaka/home/home.key.2";
    system.run(&format!("printf '5a%.0s' $(seq 32) > {beside}; chown vaka: {beside}; chmod 600 {beside}")).ok();
    let before = system.run("cd /var/lib/vaka/home && sha256sum journal/keys journal/segments/* pki/*").ok().stdout;
    system.run("systemctl restart vaka");
    eventually(
        "the start to be refused",
        || machine.log(),
        || (machine.show("ExecMainStatus") == "243" || machine.show("Result") == "exit-code").then_some(()),
    );
    let log = machine.log();
    assert!(log.contains("status=243/CREDENTIALS"), "{log}");
    assert_ne!(machine.show("ActiveState"), "active");
    assert_ne!(system.run_with_tpm(DECRYPT).code, 0);
    let by_hand = machine.vaka("run --config /var/lib/vaka/home/vaka.toml");
    for word in ["home.key", "$CREDENTIALS_DIRECTORY", "TPM", "backup"] {
        assert!(by_hand.code != 0 && by_hand.stderr.contains(word), "{word} in {by_hand:?}");
    }
    let after = system.run("cd /var/lib/vaka/home && sha256sum journal/keys journal/segments/* pki/*").ok().stdout;
    assert_eq!(before, after, "nothing is made or changed in its place");
    system.run(&format!("rm {beside}")).ok();
    assert!(!system.path("/var/lib/vaka/home/home.key").exists());

    // With the backup's key it goes on.
    system.run("mkdir -p /media/usb && cp /var/backups/vaka/home.age /media/usb/").ok();
    system.copy_in(&machine.folder.path().join("key.txt"), "/media/usb/key.txt");
    for command in commands("Another box, or a TPM that was cleared") {
        machine.root(&command);
    }
    machine.is_active("the gateway with its key in the new TPM");
    machine.press(2);
    assert_eq!(machine.presses(), 2, "{}", machine.log());
    assert_eq!(machine.in_clear(&digits), Vec::<PathBuf>::new(), "in clear on the disk");
    drop(other);
}

#[test]
fn a_key_that_lies_as_a_file_moves_into_the_tpm() {
    if lacks(&["mosquitto_pub", "dpkg-deb", "dpkg-shlibdeps", "swtpm"]) {
        return;
    }
    let Some(machine) = or_skip(Machine::boot()) else { return };
    let system = &machine.system;
    let _own = Tpm::plug_into(system);
    machine.vaka("init /var/lib/vaka/home").ok();
    machine.vaka("device add p1 --kind pendant --out /var/lib/vaka/home/p1").ok();
    system.run("systemctl start vaka").ok();
    machine.is_active("the gateway with its key as a file");
    machine.press(1);
    let digits =
        std::fs::read_to_string(system.path("/var/lib/vaka/home/home.key")).expect("the key").trim().to_owned();
    assert!(!machine.in_clear(&digits).is_empty(), "what is looked for later is found now");
    let steps = commands("A home that has its key as a file");
    let (into_tpm, shred) = steps.split_at(steps.len() - 1);
    for command in into_tpm {
        machine.root(command);
    }
    machine.root(&commands("The service gets the key")[0]);
    machine.is_active("the gateway with its key from the TPM");
    let check = "vaka check --config /var/lib/vaka/home/vaka.toml";
    let export = commands("The service gets the key").pop().expect("the export");
    let with_key = export.split("vaka journal export").next().expect("what passes it");
    let said = system.run_with_tpm(&format!("{with_key} {check}")).stdout;
    assert!(said.contains("lies in clear as /var/lib/vaka/home/home.key too: shred"), "{said}");
    machine.root(&shred[0]);
    machine.root("systemctl restart vaka");
    machine.is_active("the gateway without the file");
    machine.press(2);
    assert_eq!(machine.presses(), 2);
    assert_eq!(machine.in_clear(&digits), Vec::<PathBuf>::new(), "in clear on the disk");
}
