//! A look that somebody at a hub was granted, carried out from this home: the line to the hub is the viewer.
//!
//! Enters: what the keeper has granted and committed. Leaves: parts of the look over a connection of its own; the record of its end.
//! Invariants: the line stands, and the hub has said that the viewer is there, before the camera is opened; the line's end is the look's.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use vaka_board::gateway::LookPart;
use vaka_protocol::look::{ALPN, CALL, HERE};

use super::{LAST_WORD_MS, Looks, carry, line};
use crate::dispatch::{self, OpenError};
use crate::limits::LOOK_SETUP_MS;
use crate::pipeline::looks::HubLook;
use crate::rules::care::look::Seen;

/// Why there is no line to the viewer.
#[derive(Debug, thiserror::Error)]
enum NoLine {
    #[error("calling the hub: there is no receiver {0} any more")]
    NoHub(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Line(#[from] line::LineError),
    #[error("calling the hub: nobody waits there for this look any more")]
    NotHere,
    #[error("calling the hub: nothing within {LOOK_SETUP_MS} ms")]
    Slow,
}

/// Until the keeper ends.
pub async fn carry_for_hubs(looks: Arc<Looks>, mut asked: mpsc::UnboundedReceiver<HubLook>) {
    while let Some(asked) = asked.recv().await {
        // As many as there are cameras: each is open for one at a time.
        tokio::spawn(one(looks.clone(), asked));
    }
}

async fn one(room: Arc<Looks>, asked: HubLook) {
    let look = asked.look;
    let (why, shown_ms) = match room.see(move |keeper| keeper.state().care.look.get(look).cloned()).await {
        Ok(Some(seen)) => carry(&room, &asked, &seen).await,
        _ => ("unused".to_owned(), 0),
    };
    room.end(look, why, shown_ms).await;
}

async fn carry(room: &Looks, asked: &HubLook, seen: &Seen) -> (String, u64) {
    let calling = timeout(Duration::from_millis(LOOK_SETUP_MS as u64), call(room, asked));
    let line = match calling.await.unwrap_or(Err(NoLine::Slow)) {
        Ok(line) => line,
        Err(e) => {
            tracing::warn!(receiver = asked.receiver, look = asked.look, "{e}");
            return ("hub_away".to_owned(), 0);
        }
    };
    let (viewer, parts) = mpsc::channel(1);
    let mut sending = tokio::spawn(send(line, parts));
    let ended = carry::carry_out(room, asked.look, seen, viewer).await;
    // A hub that takes nothing more does not hold the look's end up.
    if timeout(Duration::from_millis(LAST_WORD_MS), &mut sending).await.is_err() {
        sending.abort();
    }
    ended
}

/// The line, once the hub has said that the viewer is there.
async fn call(room: &Looks, asked: &HubLook) -> Result<Box<dyn dispatch::Stream>, NoLine> {
    let config = room.config.borrow().clone();
    let hub = config.receivers.iter().find(|receiver| receiver.name == asked.receiver);
    let hub = hub.ok_or_else(|| NoLine::NoHub(asked.receiver.clone()))?;
    let mut line = dispatch::call_hub(hub, ALPN).await?;
    line::put(&mut line, CALL, asked.call.as_bytes()).await.map_err(line::LineError::Io)?;
    match line::take(&mut line).await {
        Ok((HERE, _)) => Ok(line),
        // It closes where nobody waits.
        _ => Err(NoLine::NotHere),
    }
}

/// Hands the parts over until the look is over, or the hub has closed: dropping the receiver ends the look.
async fn send(line: impl AsyncRead + AsyncWrite, mut parts: mpsc::Receiver<LookPart>) {
    let (mut from, mut to) = tokio::io::split(line);
    let mut nothing = [0; 1];
    loop {
        let part = tokio::select! {
            part = parts.recv() => part,
            // It has nothing more to say: whatever it says, the viewer has gone.
            _ = from.read(&mut nothing) => return,
        };
        let Some(part) = part else {
            // Whoever looked has had the last word, or has gone.
            let _ = to.shutdown().await;
            return;
        };
        let put = tokio::select! {
            put = line::put_part(&mut to, part) => put,
            _ = from.read(&mut nothing) => return,
        };
        if put.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hub_that_closes_ends_the_look() {
        let (home, hub) = tokio::io::duplex(1_024);
        let (viewer, parts) = mpsc::channel(1);
        let sending = tokio::spawn(send(home, parts));
        viewer.send(LookPart::Lit).await.unwrap();
        drop(hub);
        viewer.closed().await;
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn also_while_it_takes_nothing() {
        let (home, mut hub) = tokio::io::duplex(8);
        let (viewer, parts) = mpsc::channel(1);
        let sending = tokio::spawn(send(home, parts));
        viewer.send(LookPart::Picture(vec![1; 1_000].into())).await.unwrap();
        // It has begun, and stands.
        hub.read_u8().await.unwrap();
        drop(hub);
        viewer.closed().await;
        sending.await.unwrap();
    }
}
