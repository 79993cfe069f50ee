//! A question to the journal of a gateway that does not run: the same keeper answers it, and writes what it decides.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Exit, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::pipeline::keeper::{Ask, Input, Keeper};
use crate::pipeline::view::Labels;
use crate::pipeline::{home, restore};

/// Asks, and writes what follows from it.
///
/// # Errors
/// Where the journal cannot be opened or written.
pub(super) fn ask<T>(
    config: &Config,
    attempt: &str,
    question: impl FnOnce(oneshot::Sender<T>) -> Ask,
) -> Result<T, Failure> {
    let restored = restore::open(&config.journal.dir, config.journal.size_max_mib * 1024 * 1024)
        .map_err(|e| Failure::new(Exit::Disk, attempt, e, ""))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut keeper = Keeper::new(restored, home(config), Labels::from_config(config), clock, None);
    // Nothing is judged while no gateway runs: nobody could be told, and no device can be heard.
    keeper.judge_nothing();
    // What may be done depends on what is planned.
    keeper.agree(config.agreed.clone());
    keeper.begin();
    let (reply, mut answer) = oneshot::channel();
    keeper.run_batch(&mut vec![Input::Ask(question(reply))]);
    let answer = answer.try_recv().map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))?;
    keeper.finish();
    Ok(answer)
}
