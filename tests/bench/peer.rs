//! What is compared: a server that takes QoS 1 publishes over mutual TLS. One implementation per peer; the cells know only this.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::outage::{Upstream, Way};
use crate::process::Process;
use crate::session::{Identity, Target};

pub trait Peer {
    /// The name of its column.
    fn name(&self) -> &'static str;

    /// Version and what was set, for the table's foot.
    fn about(&self) -> String;

    /// Devices it admits, at least as many as the largest load.
    fn devices(&self) -> &[Identity];

    /// The program as it is shipped; its size is measured. None: it is not one program.
    fn program(&self) -> Option<&Path>;

    /// Where it keeps its data.
    fn store(&self) -> &Path;

    /// Starts on an empty store; returns once it listens.
    fn start_empty(&mut self) -> Result<Server>;

    /// Starts on the store as it was left.
    fn start_again(&mut self) -> Result<Server>;

    /// Sends its alarms to the alarm centre on that port from the next start on. False: a peer that knows no alarms.
    fn alarm_centre(&mut self, port: u16) -> Result<bool> {
        let _ = port;
        Ok(false)
    }

    /// Whether it stores nothing unless somebody is owed it: then a subscriber who is away belongs to every load.
    fn keeps_only_for_somebody(&self) -> bool {
        false
    }

    /// Most events that its disk bytes can be measured with in bounded time.
    fn disk_events_max(&self) -> u64 {
        u64::MAX
    }

    /// From the next start on its alarms go there, and nobody is there yet. None: it has no such way up.
    fn upstream(&mut self, dir: &Path, way: Way) -> Result<Option<Box<dyn Upstream>>> {
        let _ = (dir, way);
        Ok(None)
    }

    /// From the next start on as before `upstream`; alarms go nowhere until `alarm_centre` says where.
    fn no_upstream(&mut self) {}

    /// What must be there before publishing so that messages are kept at all, e.g. a subscriber.
    fn prepare_keeping(&mut self, server: &Server) -> Result<()>;

    /// Events that are still there: device and seq, of the given restart.
    fn kept(&mut self, server: &Server, restart: u32) -> Result<BTreeSet<(String, u64)>>;
}

/// A running server.
pub struct Server {
    pub process: Process,
    pub target: Target,
    pub spawned: Instant,
    /// From spawn to a listening socket, in milliseconds.
    pub listening_ms: f64,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
