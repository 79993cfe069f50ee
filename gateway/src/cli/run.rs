//! `vaka run`: the gateway in the foreground, logging to stderr.

use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::{Exit, Failure};
use crate::journal::ErrorKind;
use crate::pipeline::restore::RestoreError;
use crate::pipeline::{self, Ended, RunError};
use crate::update::Running;

pub fn run(config: &Path, running: Running) -> Result<Exit, Failure> {
    // VAKA_LOG takes the usual filter words, e.g. `debug` or `vaka::dispatch=trace`.
    let filter = EnvFilter::try_from_env("VAKA_LOG").unwrap_or_else(|_| EnvFilter::new("info,mqtt_protocol_core=off"));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    // A log that cannot be written must not end what it logs.
    log.log_internal_errors(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Internal, "start the gateway", e, ""))?;
    let launcher = running.launcher.clone();
    let ended = runtime.block_on(pipeline::run(config.to_owned(), running));
    // A receiver that does not answer must not hold up the end.
    runtime.shutdown_background();
    match (ended.map_err(|e| failure(&e))?, launcher) {
        // It is the same process for whoever started it, and no pause of a service manager lies between.
        (Ended::Anew, Some(launcher)) => Err(super::launch::again(&launcher, config)),
        _ => Ok(Exit::Ok),
    }
}

/// A home's box has few cores, and more threads than cores cost memory each.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(1, 4))
}

fn failure(error: &RunError) -> Failure {
    match error {
        RunError::Config(e) => Failure::config(e),
        RunError::Journal(RestoreError::Open(e)) if e.kind() == ErrorKind::Misuse => {
            Failure::new(Exit::Usage, "start the gateway", error, "")
        }
        RunError::Journal(_) => Failure::new(Exit::Disk, "start the gateway", error, ""),
        RunError::KeeperStuck => Failure::new(Exit::Disk, "stop the gateway", error, ""),
        RunError::KeeperDied => {
            Failure::new(Exit::Internal, "run the gateway", error, "start it again: it replays its journal")
        }
        RunError::Provision(_)
        | RunError::Tls(_)
        | RunError::Listen { .. }
        | RunError::ListenEnrol { .. }
        | RunError::Retired(_)
        | RunError::Start(_) => Failure::new(Exit::Usage, "start the gateway", error, ""),
    }
}
