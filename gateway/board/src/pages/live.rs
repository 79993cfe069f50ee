//! How it stands this moment, kept once for all open pages.
//!
//! Enters: the gateway's changes, and its answer to "are you there" every [`BEAT_MS`]. Leaves: [`Now`], whole and unchanging, to
//! whoever watches. Invariants: a beat is published only when the gateway has answered, so a page never lives on the board's word
//! alone; a page that reads slowly misses states in between, never the last one; a receiver that lags reads everything anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Mutex, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::list::order;
use super::view::View;
use super::words::many;
use crate::gateway::{Alarm, Change, Gateway, Health, Night, Refused};
use crate::limits::{ANSWER_MS_MAX, BEAT_MS, NIGHT_READ_MS, SHOWS_MS_MAX};

/// How it stands. Shared between all pages, never changed in place.
#[derive(Debug, Clone)]
pub struct Now {
    /// Grows with every change of what is shown; with the start it is the `id:` of an event.
    pub version: u64,
    pub started_ms: i64,
    /// When the gateway answered last, UTC milliseconds.
    pub answered_ms: i64,
    /// Open ones, in the list's order.
    pub alarms: Vec<Arc<Alarm>>,
    pub health: Arc<Health>,
    /// Tonight's round, as read last. Absent: the gateway could not say.
    pub night: Option<Arc<Night>>,
}

impl Now {
    /// "Alla 41 hörs.", or how many are not.
    pub fn heard(&self, view: &View) -> String {
        let (heard, of) = (self.health.heard, self.health.heard_of);
        let what = match self.health.role.as_str() {
            "hub" => many(view.lang, of, ("hem", "hem"), ("home", "homes")),
            _ => many(view.lang, of, ("enhet", "enheter"), ("device", "devices")),
        };
        match of.saturating_sub(heard) {
            _ if of == 0 => view.t("Men ingen enhet är inlagd än.", "But no device has been added yet.").to_owned(),
            0 if of == 1 => view.say(format!("Den enda hörs ({what})."), format!("The only one is heard ({what}).")),
            0 => view.say(format!("Alla {what} hörs."), format!("All {what} are heard.")),
            silent => {
                view.say(format!("Men {silent} av {what} hörs inte."), format!("But {silent} of {what} are not heard."))
            }
        }
    }

    fn put(&mut self, alarm: Arc<Alarm>) {
        self.alarms.retain(|one| one.id != alarm.id);
        if alarm.closed_by.is_none() {
            let at = self.alarms.partition_point(|one| order(one) < order(&alarm));
            self.alarms.insert(at, alarm);
        }
    }
}

type Watched = watch::Receiver<Arc<Now>>;

/// The one follower of the gateway. Begins with the first page that asks.
#[derive(Debug, Default)]
pub struct Live(Mutex<Option<Watched>>);

impl Live {
    /// # Errors
    /// What the gateway says, where it does not answer.
    pub async fn follow(&self, gateway: &Arc<dyn Gateway>) -> Result<Watched, Refused> {
        let mut watched = self.0.lock().await;
        // The follower ends with the gateway; should it ever end otherwise, the next page begins it again.
        if let Some(watched) = watched.as_ref().filter(|watched| watched.has_changed().is_ok()) {
            let silent_ms = gateway.now_ms() - watched.borrow().answered_ms;
            return match silent_ms <= ANSWER_MS_MAX {
                true => Ok(watched.clone()),
                // An old state must not look like this moment's.
                false => {
                    Err(Refused::Unavailable(format!("asking the gateway how it stands: silent for {silent_ms} ms")))
                }
            };
        }
        // Before the first reading: nothing falls between.
        let changes = gateway.follow();
        let now = read(gateway.as_ref(), 0, gateway.now_ms()).await?;
        let (sender, receiver) = watch::channel(Arc::new(now));
        tokio::spawn(keep(Arc::clone(gateway), changes, sender));
        *watched = Some(receiver.clone());
        Ok(receiver)
    }

    /// Waits until the list shows what a person has just done, so that the page they come back to does; not longer than
    /// [`SHOWS_MS_MAX`].
    pub async fn shows(&self, alarm: &Alarm) {
        let Some(mut watched) = self.0.lock().await.clone() else { return };
        let shown = |now: &Arc<Now>| match now.alarms.iter().find(|one| one.id == alarm.id) {
            Some(one) => alarm.closed_by.is_none() && one.claimed_by == alarm.claimed_by,
            None => alarm.closed_by.is_some(),
        };
        let _ = tokio::time::timeout(Duration::from_millis(SHOWS_MS_MAX), watched.wait_for(shown)).await;
    }
}

async fn read(gateway: &dyn Gateway, version: u64, started_ms: i64) -> Result<Now, Refused> {
    let health = Arc::new(gateway.health().await?);
    let mut alarms: Vec<Arc<Alarm>> = gateway.alarms(false).await?.into_iter().map(Arc::new).collect();
    alarms.retain(|alarm| alarm.closed_by.is_none());
    alarms.sort_by_cached_key(|alarm| order(alarm));
    let night = gateway.night(None).await.ok().map(Arc::new);
    Ok(Now { version, started_ms, answered_ms: gateway.now_ms(), alarms, health, night })
}

/// Everything that has changed and waits.
#[derive(Default)]
struct Changed {
    alarms: Vec<Arc<Alarm>>,
    other: bool,
    /// Something was missed.
    anew: bool,
}

impl Changed {
    fn take(&mut self, change: Change) {
        match change {
            Change::Alarm(alarm) => self.alarms.push(alarm),
            Change::Other => self.other = true,
            Change::Anew => self.anew = true,
        }
    }
}

async fn keep(gateway: Arc<dyn Gateway>, mut changes: broadcast::Receiver<Change>, sender: watch::Sender<Arc<Now>>) {
    let every = Duration::from_millis(BEAT_MS);
    let mut beat = interval_at(Instant::now() + every, every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut night_read = Instant::now();
    let mut night_is_old = false;
    loop {
        let mut changed = Changed::default();
        tokio::select! {
            first = changes.recv() => match first {
                Ok(change) => changed.take(change),
                Err(RecvError::Lagged(_)) => changed.anew = true,
                Err(RecvError::Closed) => return,
            },
            _ = beat.tick() => {}
        }
        loop {
            match changes.try_recv() {
                Ok(change) => changed.take(change),
                Err(TryRecvError::Lagged(_)) => changed.anew = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let now = Arc::clone(&sender.borrow());
        let next = match changed.anew {
            true => read(gateway.as_ref(), now.version + 1, now.started_ms).await,
            false => {
                let mut next = (*now).clone();
                let shown = !changed.alarms.is_empty();
                changed.alarms.into_iter().for_each(|alarm| next.put(alarm));
                night_is_old |= changed.other;
                // Rounds change by the minute, and are read once for everybody.
                let read_for = night_read.elapsed();
                let is_due = night_is_old && read_for >= Duration::from_millis(BEAT_MS);
                if is_due || read_for >= Duration::from_millis(NIGHT_READ_MS) {
                    next.night = gateway.night(None).await.ok().map(Arc::new);
                    (night_read, night_is_old) = (Instant::now(), false);
                }
                gateway.health().await.map(|health| {
                    let is_same = next.night == now.night && told(&health) == told(&now.health);
                    next.health = Arc::new(health);
                    next.answered_ms = gateway.now_ms();
                    next.version += u64::from(shown || !is_same);
                    next
                })
            }
        };
        match next {
            Ok(next) => drop(sender.send(Arc::new(next))),
            // No beat: pages say within 5 s that they are stale. What was missed is read anew when it answers.
            Err(refused) => {
                tracing::warn!(why = %refused, "the gateway does not answer the board: open pages turn stale");
                changes = gateway.follow();
                night_is_old = true;
                let next = again(gateway.as_ref(), &now, &mut beat).await;
                drop(sender.send(Arc::new(next)));
            }
        }
    }
}

/// Waits until the gateway answers, and reads everything.
async fn again(gateway: &dyn Gateway, now: &Now, beat: &mut tokio::time::Interval) -> Now {
    loop {
        beat.tick().await;
        if let Ok(next) = read(gateway, now.version + 1, now.started_ms).await {
            return next;
        }
    }
}

/// What a page shows of the gateway's health: the newest sign of life alone is no change.
fn told(health: &Health) -> Health {
    Health { newest_life_at: None, ..health.clone() }
}
