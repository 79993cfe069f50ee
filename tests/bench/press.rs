//! From a press to the light on the pendant: publish, PUBACK, and the `receipt` command of every rung, as a device sees them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::load::{LoadResult, LoadSpec, now_ms, now_us};
use crate::mqtt::{self, Packet};
use crate::session::{ANSWER_S_MAX, Identity, Session};

/// Rest between two presses, in milliseconds: a press comes to a gateway at rest.
const REST_MS: u64 = 20;

/// A press, as a payload's event.
pub const BUTTON: &str = r#"{"button":{"press":"short"}}"#;

/// Microseconds from publishing to each answer; None if it did not come before `accepted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Press {
    /// When it was pressed, UTC microseconds: what other processes saw is set against it.
    #[serde(default)]
    pub at_us: f64,
    pub puback_us: Option<f64>,
    pub stored_us: Option<f64>,
    pub sent_us: Option<f64>,
    pub received_us: Option<f64>,
    pub accepted_us: Option<f64>,
}

/// One press after the other, on each device in turn; ends early at one that nobody accepts. A second press on a device joins its alarm and is sent again.
pub async fn run(mut sessions: Vec<Session>, spec: &LoadSpec, presses: u64) -> Result<LoadResult> {
    let mut result = LoadResult::default();
    let mut next_seq = vec![1u64; sessions.len()];
    for press in 0..presses {
        let place = press as usize % sessions.len();
        let device = &spec.devices[place];
        let pressing = one(&mut sessions[place], device, spec.restart, &mut next_seq[place]);
        match tokio::time::timeout(Duration::from_secs(ANSWER_S_MAX), pressing).await {
            Ok(pressed) => result.presses.push(pressed.with_context(|| format!("pressing {}", device.id))?),
            Err(_) => {
                // The rest would wait as long: all of them count as unheard.
                eprintln!("press {press} on {} was not accepted within {ANSWER_S_MAX} s", device.id);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(REST_MS)).await;
    }
    result.acked_total = result.presses.len() as u64;
    Ok(result)
}

async fn one(session: &mut Session, device: &Identity, restart: u32, next_seq: &mut u64) -> Result<Press> {
    let version = session.version;
    let topic = device.event_topic();
    let seq = *next_seq;
    *next_seq += 1;
    let payload = event(restart, seq, BUTTON);
    let mut press = Press { at_us: now_us(), ..Press::default() };
    mqtt::publish(&mut session.out, version, &topic, 1, payload.as_bytes());
    let start = Instant::now();
    session.flush().await?;
    loop {
        let mut done = Vec::new();
        while let Some(packet) = session.inbox.next(version)? {
            let after_us = start.elapsed().as_secs_f64() * 1e6;
            match packet {
                Packet::PubAck { id: 1, refused } => {
                    anyhow::ensure!(!refused, "the press was refused");
                    press.puback_us = Some(after_us);
                }
                Packet::Publish { id, payload, .. } => {
                    let command: serde_json::Value = serde_json::from_slice(payload).context("reading a command")?;
                    let receipt = &command["command"]["receipt"];
                    if receipt["restart"] == restart && receipt["seq"] == seq {
                        match receipt["rung"].as_str() {
                            Some("stored") => press.stored_us = Some(after_us),
                            Some("sent") => press.sent_us = Some(after_us),
                            Some("received") => press.received_us = Some(after_us),
                            Some("accepted") => press.accepted_us = Some(after_us),
                            _ => {}
                        }
                    }
                    if let Some(id) = id {
                        mqtt::puback(&mut session.out, id);
                    }
                    done.extend(command["id"].as_u64());
                }
                _ => {}
            }
        }
        // A real device answers every command; those answers are events and cost commits, so they belong to the figure.
        for command in done {
            let seq = *next_seq;
            *next_seq += 1;
            let done = event(restart, seq, &format!(r#"{{"done":{{"id":{command},"outcome":"done"}}}}"#));
            // Ids above 1, so that they are not taken for the press.
            let id = 2 + (seq % 60_000) as u16;
            mqtt::publish(&mut session.out, version, &topic, id, done.as_bytes());
        }
        session.flush().await?;
        if press.accepted_us.is_some() {
            return Ok(press);
        }
        session.fill().await?;
    }
}

/// Bytes of one event, as JSON.
pub fn event(restart: u32, seq: u64, event: &str) -> String {
    let at = now_ms();
    format!(r#"{{"v":1,"restart":{restart},"seq":{seq},"uptime_ms":{at},"at":{at},"event":{event}}}"#)
}
