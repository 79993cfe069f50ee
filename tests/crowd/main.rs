//! Many devices in one process, beside the gateway's own: each process here may have only so many descriptors.
//!
//! Enters: a first line of JSON on stdin (`Setup`), then commands, one a line. Leaves: one line of JSON for each.
//! The devices stay connected until stdin ends.

mod device;

use std::io::BufRead;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rcgen::{Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use device::{Authority, Count, Device, Opened};

#[derive(Deserialize)]
struct Setup {
    port: u16,
    /// The home's folder with its authorities.
    pki: PathBuf,
    devices: Vec<String>,
    /// Handshakes at once.
    at_once: usize,
    from: IpAddr,
    /// An event that each device publishes as soon as it is connected, under restart 2.
    #[serde(default)]
    first: Option<String>,
    /// How often a device whose connection is closed before its CONNACK tries again.
    tries: u32,
}

#[derive(Default, Serialize)]
struct Connected {
    connected: usize,
    /// Refused with "server busy".
    busy: usize,
    failed: usize,
    /// The longest time from a device's connection to its first event's PUBACK.
    first_ms: f64,
    /// The same from a device's first try to connect, with all the tries that were turned away.
    back_ms: f64,
    /// Tries to connect, all devices'.
    tries: u64,
    /// What the last one that failed said.
    error: Option<String>,
}

/// Of one device that came in: until its first event was stored, or until it was connected where it has none.
#[derive(Default)]
struct Took {
    /// From its connection.
    first: Duration,
    /// From its first try.
    back: Duration,
    tries: u32,
}

#[derive(Deserialize)]
struct Publish {
    event: String,
    restart: u32,
    seq: u64,
    /// By each device.
    count: u64,
    #[serde(default)]
    press_every: u64,
    /// Only these of the connected devices, by place.
    #[serde(default)]
    only: Option<Vec<usize>>,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}

async fn run() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().context("no setup on stdin")??;
    let setup: Setup = serde_json::from_str(&first).context("reading the setup")?;
    let (mut devices, connected) = connect(setup).await?;
    println!("{}", serde_json::to_string(&connected)?);
    for line in lines {
        let command: Publish = serde_json::from_str(&line?).context("reading a command")?;
        let counts = publish(&mut devices, Arc::new(command)).await?;
        println!("{}", serde_json::to_string(&counts)?);
    }
    Ok(())
}

async fn connect(setup: Setup) -> Result<(Vec<Option<Box<Device>>>, Connected)> {
    let read = |name: &str| {
        let path = setup.pki.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(read("server-ca.pem")?.as_bytes())?)?;
    let key = KeyPair::from_pem(&read("device-ca.key")?)?;
    let issuer = Issuer::from_ca_cert_pem(&read("device-ca.pem")?, key)?;
    let authority = Arc::new(Authority { issuer, roots: Arc::new(roots) });
    let places = Arc::new(Semaphore::new(setup.at_once));
    let first = Arc::new(setup.first);
    let mut tasks = JoinSet::new();
    for (place, id) in setup.devices.into_iter().enumerate() {
        let (places, authority, first) = (places.clone(), authority.clone(), first.clone());
        tasks.spawn_local(async move {
            let _place = places.acquire_owned().await?;
            let tls = authority.tls(&id)?;
            let (mut tried, begun) = (1, Instant::now());
            loop {
                match Device::open(&id, tls.clone(), setup.from, setup.port).await {
                    Err(_) if tried < setup.tries => {
                        // Spread, as every real device's waits are: in step they would find the door full, then idle.
                        let spread_percent = 50 + (place as u64 * 61 + u64::from(tried) * 37) % 101;
                        let pause_ms = 50 * u64::from(tried.min(20)) * spread_percent / 100;
                        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                        tried += 1;
                    }
                    Ok(Opened::Device(mut device)) => {
                        let connected = Instant::now();
                        if let Some(first) = &*first {
                            device.publish(first, 2, 1, 1, 0).await?;
                        }
                        let took = Took { first: connected.elapsed(), back: begun.elapsed(), tries: tried };
                        return Ok((Opened::Device(device), took));
                    }
                    other => return other.map(|opened| (opened, Took::default())),
                }
            }
        });
    }
    let (mut devices, mut sum) = (Vec::new(), Connected::default());
    while let Some(opened) = tasks.join_next().await {
        match opened? {
            Ok((Opened::Device(device), took)) => {
                devices.push(Some(device));
                sum.first_ms = sum.first_ms.max(took.first.as_secs_f64() * 1e3);
                sum.back_ms = sum.back_ms.max(took.back.as_secs_f64() * 1e3);
                sum.tries += u64::from(took.tries);
            }
            Ok((Opened::Busy, _)) => sum.busy += 1,
            Err(e) => {
                sum.failed += 1;
                sum.error = Some(format!("{e:#}"));
            }
        }
    }
    devices.sort_by(|a, b| a.as_ref().map(|d| &d.id).cmp(&b.as_ref().map(|d| &d.id)));
    sum.connected = devices.len();
    Ok((devices, sum))
}

/// All at once; one count for each device that published, by its place.
async fn publish(devices: &mut [Option<Box<Device>>], command: Arc<Publish>) -> Result<Vec<Count>> {
    let all = || (0..devices.len()).collect();
    let chosen: Vec<usize> = command.only.clone().unwrap_or_else(all);
    let mut tasks = JoinSet::new();
    for &place in &chosen {
        let mut device = devices.get_mut(place).and_then(Option::take).with_context(|| format!("no device {place}"))?;
        let command = command.clone();
        tasks.spawn_local(async move {
            let Publish { event, restart, seq, count, press_every, .. } = &*command;
            let counted = device.publish(event, *restart, *seq, *count, *press_every).await;
            (place, device, counted)
        });
    }
    let mut counts = vec![Count::default(); devices.len()];
    while let Some(done) = tasks.join_next().await {
        let (place, device, counted) = done?;
        counts[place] = counted.with_context(|| device.id.clone())?;
        devices[place] = Some(device);
    }
    Ok(chosen.into_iter().map(|place| counts[place]).collect())
}
