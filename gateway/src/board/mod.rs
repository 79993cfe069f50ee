//! The staff board, as the gateway runs it: on threads and a runtime of its own, below everything else in priority.
//!
//! Enters: `[board]` of the config, the inbox. Leaves: nothing but questions in the inbox. A board that cannot listen, or a part of
//! which panics, is a technical alarm, and opened anew; the gateway goes on without it. A panic in one answer ends its connection alone.

pub mod data;
pub mod desk;
pub mod kept;
mod look;
pub(crate) mod names;
mod people;
mod places;
pub mod round;
pub mod rows;
mod settings;
mod things;
pub mod traces;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use vaka_board::Board;
use vaka_board::auth::card;
use vaka_board::server::{self, Shown};
use vaka_board::settings::Settings;

use crate::ingest::inbox::{Inbox, Rank};
use crate::journal::record::Fault;
use crate::pipeline::keeper::{Ask, Input};

/// The fault that says that nobody sees the board.
const FAULT: &str = "board";
/// Time between two tries to listen, in milliseconds: whoever has the port may let it go. Source: our choice.
const RETRY_MS: u64 = 10_000;
/// How much the board's threads yield to all others (`nice`). Source: our choice; 10 is what a person gives to a long build.
const NICE: i32 = 10;

/// Starts the board. What goes wrong in it is told through `inbox`.
pub fn start(settings: Settings, gateway: Arc<desk::Desk>, inbox: Arc<Inbox<Input>>, shutdown: watch::Receiver<bool>) {
    let body = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("board")
            .on_thread_start(|| {
                let thread = rustix::thread::gettid();
                if let Err(e) = rustix::process::setpriority_process(Some(thread), NICE) {
                    warn!("lowering the board's priority: {e}");
                }
            })
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(run(settings, gateway, inbox, shutdown)),
            Err(e) => error!("starting the board's threads: {e}"),
        }
    };
    if let Err(e) = std::thread::Builder::new().name("board".into()).spawn(body) {
        error!("starting the board's thread: {e}");
    }
}

async fn run(
    settings: Settings,
    gateway: Arc<desk::Desk>,
    inbox: Arc<Inbox<Input>>,
    mut shutdown: watch::Receiver<bool>,
) {
    let tell = |active: bool, detail: String| {
        let fault = Fault { fault: FAULT.into(), device: None, detail, active };
        inbox.put([(Rank::Usual, Input::Ask(Ask::Part(fault)))]);
    };
    loop {
        let served = match open(&settings, &gateway).await {
            Ok(opened) => {
                tell(false, String::new());
                info!(host = %settings.host, listen = %settings.listen, "the board is open");
                serve(opened, shutdown.clone()).await
            }
            Err(e) => Err(e),
        };
        match served {
            Ok(()) => return,
            Err(e) => {
                error!("{e}; alarms go on without the board, trying again in {RETRY_MS} ms");
                tell(true, e);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(RETRY_MS)) => {}
            _ = shutdown.changed() => return,
        }
    }
}

/// Everything there is before anybody is let in.
struct Opened {
    board: Arc<Board>,
    shown: Arc<Shown>,
    listener: TcpListener,
    card: Option<(TcpListener, rustls::ServerConfig)>,
}

async fn open(settings: &Settings, gateway: &Arc<desk::Desk>) -> Result<Opened, String> {
    let (cert, key) = settings.cert.as_ref().unwrap_or(&settings.own);
    let shown = Shown::load(cert, key).map_err(|e| e.to_string())?;
    let board = Board::open(gateway.clone(), settings.clone()).map_err(|e| e.to_string())?;
    let listener = listen(settings.listen, "[board] listen").await?;
    let card = match &settings.card {
        Some(card) => {
            let tls = card::tls(card, shown.clone()).map_err(|e| e.to_string())?;
            Some((listen(card.listen, "[board.card] listen").await?, tls))
        }
        None => None,
    };
    Ok(Opened { board: Arc::new(board), shown, listener, card })
}

async fn listen(address: std::net::SocketAddr, key: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| {
        format!("opening the board on {address}: {e}; another program has the port, or it is not this machine's address ({key})")
    })
}

/// Until the gateway stops, or a part has failed: then in words, and with the ports let go.
async fn serve(
    Opened { board, shown, listener, card }: Opened,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut parts = JoinSet::new();
    parts.spawn(server::keep_certificate(shown.clone(), shutdown.clone()));
    parts.spawn(vaka_board::push::keep(board.clone()));
    if let Some((listener, tls)) = card {
        let router = card::router(board.clone());
        parts.spawn(server::serve(listener, Arc::new(tls), router, shutdown.clone()));
    }
    parts.spawn(server::serve(listener, Arc::new(server::tls(shown)), vaka_board::router(board), shutdown.clone()));
    tokio::select! {
        why = failure(&mut parts) => Err(why),
        _ = shutdown.changed() => Ok(()),
    }
}

/// The first part that panics; one that ends well is waited for no more.
async fn failure(parts: &mut JoinSet<()>) -> String {
    loop {
        match parts.join_next().await {
            Some(Err(e)) => return format!("a part of the board has failed: {e}"),
            Some(Ok(())) => {}
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_told_and_one_that_ends_well_is_not() {
        let mut parts = JoinSet::new();
        parts.spawn(async {});
        parts.spawn(async {
            tokio::task::yield_now().await;
            panic!("a part of a test");
        });
        assert!(failure(&mut parts).await.contains("a part of the board has failed"));
    }
}
