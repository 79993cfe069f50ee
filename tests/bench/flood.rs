//! What a board may have to bear, in a process of its own: open boards, people who read as fast as they can, strangers who say nothing.
//!
//! Enters: a [`Flood`] as JSON in a file. Leaves on stdout: a line `ready` when everybody is there, and once stdin has ended how many
//! pages were read. It yields to everything else, as its processor time is not the gateway's to pay.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::web::{self, Visitor, Wire};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flood {
    pub port: u16,
    /// Whom to believe: PEM.
    pub ca: PathBuf,
    /// Open boards: a stream of events each.
    pub boards: Vec<Visitor>,
    /// Each reads the first page again and again.
    pub readers: Vec<Visitor>,
    /// Connections that never say a word, made again when they are closed.
    pub silent: usize,
}

/// How much it yields (`nice`).
const NICE: i32 = 15;

/// The `flood` role of the program.
pub fn role(spec: &Path) -> Result<()> {
    rustix::process::setpriority_process(None, NICE)?;
    let spec: Flood = serde_json::from_str(&std::fs::read_to_string(spec)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let read = Arc::new(AtomicU64::new(0));
        let tls = web::tls(&spec.ca, None)?;
        for visitor in spec.boards {
            let wire = Wire::open(&tls, spec.port).await?;
            tokio::spawn(open_board(wire, tls.clone(), spec.port, visitor));
        }
        for visitor in spec.readers {
            tokio::spawn(reader(tls.clone(), spec.port, visitor, read.clone()));
        }
        for _ in 0..spec.silent {
            tokio::spawn(silence(spec.port));
        }
        println!("ready");
        std::io::stdout().flush()?;
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        ended.await?.context("waiting for the end")?;
        println!("{}", read.load(Ordering::Relaxed));
        Ok(())
    })
}

/// A board that stays open, as a browser keeps it: asked for again whenever it ends.
async fn open_board(wire: Wire, tls: Arc<ClientConfig>, port: u16, visitor: Visitor) {
    let mut wire = Some(wire);
    loop {
        let there = match wire.take() {
            Some(there) => Ok(there),
            None => Wire::open(&tls, port).await,
        };
        if let Ok(there) = there
            && let Ok(mut events) = there.follow("/events?on=alarms", &visitor).await
        {
            while let Ok(Some(_)) = events.next().await {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn reader(tls: Arc<ClientConfig>, port: u16, visitor: Visitor, read: Arc<AtomicU64>) {
    loop {
        let Ok(mut wire) = Wire::open(&tls, port).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while wire.ask("/", &visitor.cookies).await.is_ok() {
            read.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn silence(port: u16) {
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            // Until the board has had enough of it.
            let _ = stream.readable().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
