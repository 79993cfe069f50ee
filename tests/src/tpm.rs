//! A TPM 2.0 in software (swtpm), for a system in a [`Container`]: its services find it where systemd looks for one.
//!
//! Between the two stands a little of what the kernel's /dev/tpmrm0 is on a real machine: what a program left open in the TPM is gone when the
//! next one begins. Without it the third start of a service finds no room for a session. Programs make a connection for each command, so the
//! next one is known by its first: TPM2_Startup. One program at a time.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::{Container, Output, Process, eventually, program};

/// In the container's own network: nobody else is there. Programs speak here, and to the next one on its control channel.
const PORT: u16 = 2321;
/// Where swtpm itself takes commands.
const BEHIND: u16 = 2323;

/// What systemd loads to speak to a TPM; Debian only recommends it, and a small tree does without.
const LIBRARIES: &[&str] =
    &["libtss2-esys.so.0", "libtss2-sys.so.1", "libtss2-mu.so.0", "libtss2-rc.so.0", "libtss2-tcti-swtpm.so.0"];

/// First handles of what a program may leave: HMAC sessions, policy sessions, transient objects (TPM 2.0, part 2, 7.2).
const LEFT: &[u32] = &[0x0200_0000, 0x0300_0000, 0x8000_0000];
/// swtpm holds three of each.
const OF_EACH: u32 = 3;

/// Codes of commands (TPM 2.0, part 2, 6.5.2).
const STARTUP: [u8; 4] = [0, 0, 0x01, 0x44];
const FLUSH_CONTEXT: [u8; 4] = [0, 0, 0x01, 0x65];

/// The machine's TPM, until this is dropped. Each has secrets of its own.
pub struct Tpm {
    listener: TcpListener,
    between: Option<JoinHandle<()>>,
    _process: Process,
    _state: TempDir,
}

impl Tpm {
    /// Shows the system where its TPM is. Once for each system.
    pub fn is_known_to(system: &Container) {
        for library in LIBRARIES {
            let found = std::fs::read_dir("/usr/lib")
                .expect("/usr/lib")
                .map(|entry| entry.expect("an entry").path().join(library))
                .find(|path| path.is_file())
                .unwrap_or_else(|| panic!("no {library}: `tests/run` installs it"));
            system.copy_in(&found, found.to_str().expect("text"));
        }
        system.run("mkdir -p /etc/systemd/system.conf.d").ok();
        let device = format!("swtpm:host=127.0.0.1,port={PORT}");
        let words = format!("[Manager]\nManagerEnvironment=SYSTEMD_TPM2_DEVICE={device}\n");
        std::fs::write(system.path("/etc/systemd/system.conf.d/tpm.conf"), words)
            .expect("writing the manager's environment");
        system.run("systemctl daemon-reexec").ok();
    }

    /// A TPM that nobody has used before, plugged in.
    pub fn plug_into(system: &Container) -> Tpm {
        let state = TempDir::with_prefix("vaka-tpm-").expect("a temporary directory");
        let mut command = Command::new(program("swtpm"));
        command
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg(format!("--tpmstate=dir={}", state.path().display()))
            .arg(format!("--server=type=tcp,bindaddr=127.0.0.1,port={BEHIND}"))
            .arg(format!("--ctrl=type=tcp,bindaddr=127.0.0.1,port={}", PORT + 1));
        let _network = system.enter_network();
        let process = Process::start(&command, &state.path().join("swtpm.log"));
        let tpm = eventually("the TPM", || process.tail(), || TcpStream::connect(("127.0.0.1", BEHIND)).ok());
        let listener = TcpListener::bind(("127.0.0.1", PORT)).expect("a port of the container's own");
        let door = listener.try_clone().expect("a second handle");
        let between = std::thread::spawn(move || between(&door, tpm));
        Tpm { listener, between: Some(between), _process: process, _state: state }
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        // Whoever waits to be let in is, and finds nobody.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(between) = self.between.take() {
            let _ = between.join();
        }
    }
}

/// One command after the other, until the door is shut.
fn between(door: &TcpListener, mut tpm: TcpStream) {
    while let Ok((mut program, _)) = door.accept() {
        while let Ok(command) = message(&mut program) {
            if command[6..10] == STARTUP {
                flush(&mut tpm);
            }
            let Ok(answer) = ask(&mut tpm, &command) else { return };
            if program.write_all(&answer).is_err() {
                break;
            }
        }
    }
}

/// What is not there is said so, and nothing else happens.
fn flush(tpm: &mut TcpStream) {
    for handle in LEFT.iter().flat_map(|first| (0..OF_EACH).map(move |at| first + at)) {
        let command = [&[0x80, 0x01, 0, 0, 0, 14][..], &FLUSH_CONTEXT, &handle.to_be_bytes()].concat();
        let _ = ask(tpm, &command);
    }
}

fn ask(tpm: &mut TcpStream, command: &[u8]) -> io::Result<Vec<u8>> {
    tpm.write_all(command)?;
    message(tpm)
}

/// A command or an answer: its tag, its length in bytes, its code, the rest.
fn message(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 10];
    from.read_exact(&mut bytes)?;
    let length = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]) as usize;
    if !(10..=65_536).contains(&length) {
        return Err(io::Error::other(format!("{length} is no length of a TPM's message")));
    }
    bytes.resize(length, 0);
    from.read_exact(&mut bytes[10..])?;
    Ok(bytes)
}

impl Container {
    /// [`Container::run`] as somebody at a machine with a TPM.
    pub fn run_with_tpm(&self, script: &str) -> Output {
        self.run(&format!("export SYSTEMD_TPM2_DEVICE=swtpm:host=127.0.0.1,port={PORT}\n{script}"))
    }
}
