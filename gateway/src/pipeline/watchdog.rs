//! The service manager hears that the gateway goes on, from where the work is done.
//!
//! A look asks whether the keeper has turned since the look before: a commit has returned, or, while the disk refuses, a try to open
//! the journal anew has. If so, the word goes through dispatch's own queue, and dispatch says it. A commit that hangs, a keeper or a
//! dispatch that stands still: nobody says it, and the manager starts the gateway anew. A disk that refuses is not such a case: what
//! is known of receivers' answers would be lost with the process, and nothing won.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{oneshot, watch};

use super::keeper::{Ask, Input};
use crate::dispatch::Dispatcher;
use crate::ingest::inbox::Inbox;
use crate::service::{GOES_ON, Manager, READY};

/// Counts the keeper's turns.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<AtomicU64>);

impl Turns {
    pub fn turned(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says [`READY`] once the keeper has begun and dispatch runs, then [`GOES_ON`] for as long as both do.
pub async fn run(
    manager: Arc<Manager>,
    turns: Turns,
    inbox: Arc<Inbox<Input>>,
    dispatcher: Dispatcher,
    mut shutdown: watch::Receiver<bool>,
) {
    let (reply, begun) = oneshot::channel();
    turn(&inbox, move || {
        // Nobody waits where everything stops already.
        let _ = reply.send(());
    });
    if begun.await.is_err() {
        return;
    }
    dispatcher.pulse(word(&manager, READY));
    let Some(every) = manager.look_every() else { return };
    let mut looks = tokio::time::interval(every);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = 0;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = shutdown.changed() => return,
        }
        if std::mem::replace(&mut seen, turns.count()) != seen {
            dispatcher.pulse(word(&manager, GOES_ON));
        }
        // At rest the keeper sleeps: it is asked to turn, so that the next look sees whether it can.
        turn(&inbox, || ());
    }
}

fn word(manager: &Arc<Manager>, word: &'static str) -> Box<dyn FnOnce() + Send> {
    let manager = manager.clone();
    Box::new(move || manager.say(word))
}

/// After the keeper's next commit: `done`.
fn turn(inbox: &Inbox<Input>, done: impl FnOnce() + Send + 'static) {
    inbox.put([(true, Input::Ask(Ask::See(Box::new(move |_| done()))))]);
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::keeper::Keeper;
    use super::super::restore;
    use super::super::view::Labels;
    use super::*;
    use crate::clock::ManualClock;
    use crate::dispatch::DispatchConfig;
    use crate::journal::Options;
    use crate::journal::index::Index;
    use crate::journal::simdisk::SimDisk;
    use crate::rules::Home;

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_when_the_keeper_has_begun_and_goes_on_only_while_the_keeper_turns() {
        let clock = Arc::new(ManualClock::new(1_795_000_000_000));
        let options = Options { disk: Arc::new(SimDisk::new(1)), ..Options::default() };
        let index = Index::new(Path::new("/dev/null/index"));
        let restored = restore::open_with(Path::new("/sim/journal"), 1 << 26, options, index).expect("opens");
        let mut keeper = Keeper::new(restored, Home::default(), Labels::default(), clock.clone(), None);
        let inbox: Arc<Inbox<Input>> = Arc::default();
        let (_stop, shutdown) = watch::channel(false);
        let dispatcher = Dispatcher::start(DispatchConfig::default(), clock, Arc::new(|_| {}), shutdown.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let heard = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
        heard.set_nonblocking(true).expect("a socket of ours");
        let words = || {
            let mut word = [0; 32];
            std::iter::from_fn(|| {
                heard.recv(&mut word).ok().map(|length| String::from_utf8_lossy(&word[..length]).into_owned())
            })
            .collect::<Vec<_>>()
        };
        let patience = Duration::from_secs(60);
        let manager = Arc::new(Manager::at(&path, patience).expect("the socket is there"));
        tokio::spawn(run(manager, keeper.turns(), inbox.clone(), dispatcher, shutdown));
        let look = patience / 4;
        let turn = |keeper: &mut Keeper| {
            let mut batch = Vec::new();
            inbox.take(9, Duration::ZERO, &mut batch);
            keeper.run_batch(&mut batch);
        };

        tokio::time::sleep(10 * look).await;
        assert_eq!(words(), [""; 0], "the journal is still being read");
        keeper.begin();
        turn(&mut keeper);
        // The first look comes at once, and finds that it has turned.
        tokio::time::sleep(look / 2).await;
        assert_eq!(words(), [READY, GOES_ON]);
        tokio::time::sleep(10 * look).await;
        assert_eq!(words(), [""; 0], "a commit hangs: the looks go on, and find nothing new");
        turn(&mut keeper);
        tokio::time::sleep(look).await;
        assert_eq!(words(), [GOES_ON]);
    }
}
