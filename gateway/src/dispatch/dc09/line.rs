//! One connection to a receiver: a task that reads and a task that writes.
//!
//! Enters: frames to send. Leaves: [`Wire`] events in the order of the stream. Invariants: a frame is one write, since a receiver in use
//! takes whatever one read gives it for one frame; dropping a [`Line`] closes it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::answer::{Answer, Decoder};
use super::cipher::Key;
use crate::dispatch::stream::{OpenError, Opened, Stream};

/// What a connection tells.
pub(crate) enum Wire {
    Dialled(Result<Opened, OpenError>),
    Answer(u64, Answer),
    Closed(u64, String),
}

/// Frames that wait to be written: the one in flight and one sent again.
const QUEUED_MAX: usize = 2;

#[derive(Debug)]
pub(crate) struct Line {
    out: mpsc::Sender<Vec<u8>>,
    reader: AbortHandle,
    writer: AbortHandle,
}

impl Line {
    /// Starts to read and write. Everything is told under this `id`.
    pub fn start(id: u64, stream: Box<dyn Stream>, key: Option<Key>, wire: mpsc::Sender<Wire>) -> Self {
        let (reading, writing) = tokio::io::split(stream);
        let (out, queue) = mpsc::channel(QUEUED_MAX);
        let reader = tokio::spawn(read(id, reading, key, wire.clone())).abort_handle();
        let writer = tokio::spawn(write(id, writing, queue, wire)).abort_handle();
        Self { out, reader, writer }
    }

    /// Queues a frame; false where the peer does not take what is queued already, or is gone.
    #[must_use]
    pub fn send(&self, frame: Vec<u8>) -> bool {
        self.out.try_send(frame).is_ok()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

async fn read(id: u64, mut reading: impl AsyncRead + Unpin, key: Option<Key>, wire: mpsc::Sender<Wire>) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 2 * 1024];
    let why = 'lost: loop {
        match reading.read(&mut buffer).await {
            Ok(0) if decoder.in_frame() => break "closed by the peer in the middle of an answer".to_owned(),
            Ok(0) => break "closed by the peer".to_owned(),
            Ok(count) => decoder.feed(&buffer[..count]),
            Err(error) => break error.to_string(),
        }
        loop {
            match decoder.next(key.as_ref()) {
                Ok(Some(answer)) => drop(wire.send(Wire::Answer(id, answer)).await),
                Ok(None) => break,
                Err(lost) => break 'lost lost.to_string(),
            }
        }
    };
    let _ = wire.send(Wire::Closed(id, why)).await;
}

async fn write(
    id: u64,
    mut writing: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    wire: mpsc::Sender<Wire>,
) {
    while let Some(frame) = queue.recv().await {
        let written = async {
            writing.write_all(&frame).await?;
            writing.flush().await
        };
        if let Err(error) = written.await {
            let _ = wire.send(Wire::Closed(id, error.to_string())).await;
            return;
        }
    }
}
