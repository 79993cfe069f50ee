//! The harness: a home in a temporary directory, the real `vaka` on it, and peers nobody here wrote (SIPp, Kamailio, mosquitto_pub, paho).
//!
//! Enters: the program under test (`$VAKA_BIN`, else the release binary) and the peers' programs. Leaves: what a person or a machine outside
//! could see: exit codes, JSON, what the peers received. Nothing here reads the gateway's code or its files.
//!
//! Invariants: every wait is a condition with a deadline, never a bare sleep; every process is ended by its own id when its owner is dropped;
//! every port is 127.0.0.1 and held by one test at a time; a test that cannot run says [`skip`] and why.

mod board;
pub mod browser;
mod centre;
mod chance;
mod container;
mod crowd;
mod dc09;
mod doorman;
mod est;
mod event;
pub mod firmware;
mod flash;
mod gateway;
mod home;
mod http;
mod imposter;
mod kamailio;
mod launched;
mod look;
mod loop_disk;
mod machine_clock;
mod manager;
mod mosquitto;
mod needs;
pub mod netns;
mod package;
mod paho;
mod ports;
mod process;
mod publisher;
mod raw;
mod receiver;
mod relay;
pub mod runbook;
mod stranger;
mod tpm;
mod wait;

pub use board::Board;
pub use centre::{Centre, Mrq};
pub use chance::Chance;
pub use container::Container;
pub use crowd::{Crowd, Rush};
pub use dc09::{Dc09Options, Dc09Receiver};
pub use est::{Answers, Asked, EstServer};
pub use event::{event, now_ms, press};
pub use firmware::lacks_firmware;
pub use flash::{Flash, Provisioning};
pub use gateway::Gateway;
pub use home::{Home, Output, run_vaka};
pub use http::get;
pub use imposter::{Forgery, Imposter};
pub use kamailio::Kamailio;
pub use launched::Launched;
pub use look::{Camera, lamp, look_steps, traces, with_camera};
pub use loop_disk::{Frozen, LoopDisk};
pub use machine_clock::MachineClock;
pub use manager::Manager;
pub use mosquitto::{MqttVersion, mosquitto_pub, mosquitto_pub_with};
pub use needs::{lacks, or_skip, skip};
pub use package::{made, make_package, pack};
pub use paho::{Load, Paho, Script};
pub use ports::{free_port, is_listening};
pub use process::Process;
pub use publisher::Publisher;
pub use raw::{RawMqtt, connect_packet, publish_packet, tls, tls_anonymous};
pub use receiver::{Receiver, Told};
pub use relay::{Relay, Way};
pub use stranger::{Between, Stranger, Trick, connect_from};
pub use tpm::Tpm;
pub use wait::{eventually, eventually_within};

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the repository")
}

/// The program under test: `$VAKA_BIN`, else `target/release/vaka`.
pub fn vaka_bin() -> PathBuf {
    std::env::var_os("VAKA_BIN").map_or_else(|| root().join("target/release/vaka"), PathBuf::from)
}

/// The Python that has paho-mqtt: `$VAKA_PYTHON`, else the environment that `tests/run` makes.
pub fn python() -> PathBuf {
    std::env::var_os("VAKA_PYTHON").map_or_else(|| root().join("target/venv/bin/python"), PathBuf::from)
}

/// A number from the environment (`VAKA_KILLS=200`), so that a longer run needs no edit.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// True if a program of that name is on the PATH.
pub fn has_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// A program's path, also where Debian puts servers, which an ordinary user's PATH lacks.
pub fn program(name: &str) -> PathBuf {
    let sbin = Path::new("/usr/sbin").join(name);
    if !has_program(name) && sbin.is_file() { sbin } else { PathBuf::from(name) }
}
