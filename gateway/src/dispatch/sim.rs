//! Dispatch without sockets, tasks or a runtime: the same ledger and the same handle, driven by a simulation (feature `sim`).
//!
//! Enters: what the handle was told, what happened at the simulated receivers, and the time. Leaves: attempts to carry out,
//! and reports. The caller is all receivers at once. Absent: anything the ledger does not do in the running gateway too.

use tokio::sync::mpsc;

pub use super::attempts::Start;
pub use super::link::LinkEvent;

use super::attempts::Ledger;
use super::backoff::Dice;
use super::routes::Routes;
use super::{Command, Dispatcher, Pace, Report, Route};

/// One life of dispatch: it begins owing nothing, as after every start of the process.
pub struct Desk {
    ledger: Ledger,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Desk {
    /// A desk with its routes, and the handle that the keeper speaks to. `seed` decides the waits' jitter.
    pub fn new(routes: &[Route], pace: Pace, seed: u64) -> (Dispatcher, Desk) {
        let (commands, queue) = mpsc::unbounded_channel();
        let ledger = Ledger::new(Routes::new(routes), pace, Dice::new(seed));
        (Dispatcher { commands, counts: Default::default() }, Desk { ledger, commands: queue })
    }

    /// Takes what the handle was told since the last call.
    pub fn obey(&mut self, now_ms: u64) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Owe(notice) => reports.extend(self.ledger.owe(*notice, now_ms)),
                Command::Settled(alarm) => {
                    self.ledger.settled(&alarm);
                    reports.extend(self.ledger.has_room());
                }
                // The simulated receivers are told alarms alone.
                Command::Pass(_) => {}
                Command::Reconfigure(config) => reports.extend(self.ledger.reroute(Routes::new(&config.routes))),
                Command::Pulse(done) => done(),
            }
        }
        reports
    }

    /// Attempts to carry out now, most urgent first.
    pub fn start_ready(&mut self, now_ms: u64) -> Vec<Start> {
        self.ledger.start_ready(now_ms)
    }

    /// What the home has to hear because nobody has accepted it in time.
    pub fn nobody_has(&mut self, now_ms: u64) -> Vec<Report> {
        self.ledger.nobody_has(now_ms)
    }

    /// What happened at `receiver`. Each attempt has to end in exactly one `Accepted` or `Failed` that carries it.
    pub fn happened(&mut self, receiver: &str, path: &str, event: LinkEvent, now_ms: u64) -> Vec<Report> {
        let mut reports = self.ledger.happened(receiver, path, event, now_ms);
        reports.extend(self.ledger.has_room());
        reports
    }

    /// When [`Desk::start_ready`] has something next, if nothing happens before.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.ledger.next_due_ms()
    }

    /// Notices neither accepted nor settled.
    pub fn owed_count(&self) -> usize {
        self.ledger.owed_count()
    }
}
