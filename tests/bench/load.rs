//! The load generator, in a process of its own: a window of QoS 1 publishes per connection, each PUBACK matched by packet id.
//!
//! Enters: a `LoadSpec` as JSON in a file. Leaves on stdout: a line `ready` once all are connected, then a `LoadResult` as JSON.
//! One thread and pre-sized buffers: on two cores every microsecond spent here is taken from the server.

use std::io::{Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::mqtt::{self, Packet};
use crate::press;
use crate::process::cpu_us;
use crate::session::{ANSWER_S_MAX, Identity, Session, Target};
use crate::stats::p50_p99;

/// Size of every event, in bytes, as the goals say.
pub const EVENT_BYTES: usize = 300;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// Keep the window full: first without counting, then counted.
    Timed { warm_up_ms: u64, measure_ms: u64 },
    /// Publish this many per device and wait for all acknowledgements.
    Count { per_device: u64 },
    /// Stay connected and silent until stdin ends.
    Hold,
    /// Press, and wait until the device hears that the alarm is accepted.
    Press { presses: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadSpec {
    pub target: Target,
    pub devices: Vec<Identity>,
    pub window: usize,
    /// Boot counter of every device; another one for each run on the same store.
    pub restart: u32,
    pub work: Work,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LoadResult {
    /// Acknowledged within the measured time, and that time in seconds.
    pub acked: u64,
    pub seconds: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Since `ready`, so beside the server's own count of processor time.
    pub acked_total: u64,
    /// Acknowledgements that say no (MQTT 5 reason of 0x80 or more).
    pub refused: u64,
    /// Processor time of this generator since `ready`, in microseconds.
    pub cpu_us: f64,
    /// Only for presses: when each came to which rung, in microseconds.
    #[serde(default)]
    pub presses: Vec<press::Press>,
}

/// Bytes of one event: Vaka's JSON payload, filled up with a field that nobody knows.
pub fn event_payload(restart: u32, seq: u64, at_ms: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(EVENT_BYTES);
    // Writing to a Vec cannot fail.
    let _ = write!(
        bytes,
        r#"{{"v":1,"restart":{restart},"seq":{seq},"uptime_ms":{seq},"at":{at_ms},"event":{{"motion":{{}}}},"pad":""#
    );
    bytes.resize(EVENT_BYTES - 2, b'.');
    bytes.extend(b"\"}");
    bytes
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_millis() as u64)
}

/// The same in microseconds, to be set against what another process saw.
pub fn now_us() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64() * 1e6)
}

/// The `load` role of the program.
pub fn role(spec: &Path) -> Result<()> {
    let text = std::fs::read_to_string(spec).with_context(|| format!("reading {}", spec.display()))?;
    let spec: LoadSpec = serde_json::from_str(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, run(spec))?;
    println!("{}", serde_json::to_string(&result)?);
    Ok(())
}

async fn run(spec: LoadSpec) -> Result<LoadResult> {
    let mut sessions = Vec::new();
    for device in &spec.devices {
        let mut session = Session::open(&spec.target, device, false).await?;
        if matches!(spec.work, Work::Hold | Work::Press { .. }) {
            session.subscribe(&device.command_topic()).await?;
        }
        sessions.push(session);
    }
    println!("ready");
    std::io::stdout().flush()?;
    let me = std::process::id();
    let cpu_before = cpu_us(me);
    let mut result = match spec.work {
        Work::Timed { warm_up_ms, measure_ms } => {
            let start = Instant::now() + Duration::from_millis(warm_up_ms);
            let end = start + Duration::from_millis(measure_ms);
            let mut result = drive(sessions, &spec, Until::Time { start, end }).await?;
            result.seconds = (end - start).as_secs_f64();
            result
        }
        Work::Count { per_device } => {
            let start = Instant::now();
            let mut result = drive(sessions, &spec, Until::Count(per_device)).await?;
            result.seconds = start.elapsed().as_secs_f64();
            result
        }
        Work::Hold => {
            std::io::stdin().read_to_end(&mut Vec::new())?;
            for session in sessions {
                session.close().await?;
            }
            LoadResult::default()
        }
        Work::Press { presses } => press::run(sessions, &spec, presses).await?,
    };
    result.cpu_us = cpu_us(me) - cpu_before;
    Ok(result)
}

#[derive(Clone, Copy)]
enum Until {
    Time { start: Instant, end: Instant },
    Count(u64),
}

/// All connections at once; latencies of all connections together.
async fn drive(sessions: Vec<Session>, spec: &LoadSpec, until: Until) -> Result<LoadResult> {
    let spec = Rc::new(spec.clone());
    let mut tasks = Vec::new();
    for (index, session) in sessions.into_iter().enumerate() {
        let spec = spec.clone();
        tasks.push(tokio::task::spawn_local(async move {
            let device = &spec.devices[index];
            publish(session, device, &spec, until).await.with_context(|| format!("publishing as {}", device.id))
        }));
    }
    let mut result = LoadResult::default();
    let mut latencies_us = Vec::new();
    // One bound for all, not one per read: timers would cost the generator a tenth of its time.
    let patience = match until {
        Until::Time { end, .. } => end + Duration::from_secs(ANSWER_S_MAX),
        Until::Count(_) => Instant::now() + Duration::from_secs(3 * ANSWER_S_MAX),
    };
    for task in tasks {
        let Ok(share) = tokio::time::timeout_at(patience.into(), task).await else {
            bail!("publishes without PUBACK for {ANSWER_S_MAX} s");
        };
        let share = share??;
        latencies_us.extend(share.latencies_us);
        result.acked_total += share.acked_total;
        result.refused += share.refused;
    }
    result.acked = latencies_us.len() as u64;
    (result.p50_us, result.p99_us) = p50_p99(latencies_us);
    Ok(result)
}

#[derive(Default)]
struct Share {
    latencies_us: Vec<f64>,
    acked_total: u64,
    refused: u64,
}

async fn publish(mut session: Session, device: &Identity, spec: &LoadSpec, until: Until) -> Result<Share> {
    let version = session.version;
    let topic = device.event_topic();
    let mut share = Share::default();
    // Packet id n stands in slot n - 1.
    let mut sent: Vec<Option<Instant>> = vec![None; spec.window];
    let mut waiting = 0;
    let mut seq = 0;
    let mut now = Instant::now();
    loop {
        let more = match until {
            Until::Time { end, .. } => now < end,
            Until::Count(count) => seq < count,
        };
        if !more && waiting == 0 {
            session.close().await?;
            return Ok(share);
        }
        if more && waiting < spec.window {
            let at_ms = now_ms();
            now = Instant::now();
            for (slot, place) in sent.iter_mut().enumerate() {
                if matches!(until, Until::Count(count) if seq == count) {
                    break;
                }
                if place.is_none() {
                    seq += 1;
                    let payload = event_payload(spec.restart, seq, at_ms);
                    mqtt::publish(&mut session.out, version, &topic, slot as u16 + 1, &payload);
                    *place = Some(now);
                    waiting += 1;
                }
            }
            session.flush().await?;
        }
        session.fill().await?;
        now = Instant::now();
        while let Some(packet) = session.inbox.next(version)? {
            let (id, refused) = match packet {
                Packet::PubAck { id, refused } => (id, refused),
                Packet::Publish { id: Some(id), .. } => {
                    mqtt::puback(&mut session.out, id);
                    continue;
                }
                _ => continue,
            };
            let place = sent.get_mut(usize::from(id).wrapping_sub(1)).and_then(Option::take);
            let Some(at) = place else { bail!("a PUBACK for packet {id}, which is not waiting for one") };
            waiting -= 1;
            if refused {
                share.refused += 1;
                continue;
            }
            share.acked_total += 1;
            let counted = match until {
                Until::Time { start, end } => now >= start && now < end,
                Until::Count(_) => true,
            };
            if counted {
                share.latencies_us.push((now - at).as_secs_f64() * 1e6);
            }
        }
        ensure!(share.refused < 1_000, "{} events refused: this run measures refusals", share.refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_the_promised_size_and_can_be_read() {
        for (restart, seq) in [(1, 1), (4_000_000_000, u64::from(u32::MAX))] {
            let payload = event_payload(restart, seq, 1_795_212_345_123);
            assert_eq!(payload.len(), EVENT_BYTES);
            let read: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(read["seq"], seq);
        }
    }
}
