//! How it stands this moment, kept once for all open pages.
//!
//! Enters: the gateway's changes, and its answer to "are you there" every [`BEAT_MS`]. Leaves: [`Now`], whole and unchanging, to
//! whoever watches. Invariants: a row that has changed is published before anything is asked; a beat only when the gateway has
//! answered, so a page never lives on the board's word alone; a page that reads slowly misses states in between, never the last one; a receiver that lags reads everything anew.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Mutex, broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::events::Shared;
use super::list::order;
use super::view::View;
use super::words::many;
use crate::auth::Session;
use crate::gateway::{Alarm, Change, Gateway, Health, Night, Refused};
use crate::limits::{ANSWER_MS_MAX, BEAT_MS, GOES_ON_MS, HEALTH_PAUSE_MS, NIGHT_READ_MS, SESSIONS_MAX, SHOWS_MS_MAX};

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
        // An alarm keeps its lane and its time, and with them its place.
        match (self.alarms.binary_search_by(|one| order(one).cmp(&order(&alarm))), &alarm.closed_by) {
            (Ok(at), None) => self.alarms[at] = alarm,
            (Ok(at), Some(_)) => drop(self.alarms.remove(at)),
            (Err(at), None) => self.alarms.insert(at, alarm),
            (Err(_), Some(_)) => {}
        }
    }
}

type Watched = watch::Receiver<Arc<Now>>;

/// The one follower of the gateway. Begins with the first page that asks.
#[derive(Debug, Default)]
pub struct Live {
    watched: Mutex<Option<Watched>>,
    shared: std::sync::Mutex<Shared>,
    /// Sessions that follow the list, by person and name, and when they were told last, UTC milliseconds.
    following: std::sync::Mutex<BTreeMap<(String, String), i64>>,
}

fn who(session: &Session) -> (String, String) {
    (session.person.id.clone(), session.name.clone())
}

impl Live {
    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this session was told the list no longer ago than a stream's pause: then it goes on, and is traced already.
    pub(crate) fn goes_on(&self, session: &Session, now_ms: i64) -> bool {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.get(&who(session)).is_some_and(|told_ms| (0..=GOES_ON_MS).contains(&(now_ms - told_ms)))
    }

    /// It is told the list now.
    pub(crate) fn follows(&self, session: &Session, now_ms: i64) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        if following.len() >= SESSIONS_MAX && !following.contains_key(&who(session)) {
            following.retain(|_, told_ms| (0..=GOES_ON_MS).contains(&(now_ms - *told_ms)));
        }
        following.insert(who(session), now_ms);
    }

    /// # Errors
    /// What the gateway says, where it does not answer.
    pub async fn follow(&self, gateway: &Arc<dyn Gateway>) -> Result<Watched, Refused> {
        let mut watched = self.watched.lock().await;
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
        let Some(mut watched) = self.watched.lock().await.clone() else { return };
        let shown = |now: &Arc<Now>| match now.alarms.iter().find(|one| one.id == alarm.id) {
            Some(one) => alarm.closed_by.is_none() && one.claimed_by == alarm.claimed_by,
            None => alarm.closed_by.is_some(),
        };
        let _ = tokio::time::timeout(Duration::from_millis(SHOWS_MS_MAX), watched.wait_for(shown)).await;
    }
}

async fn read(gateway: &dyn Gateway, version: u64, started_ms: i64) -> Result<Now, Refused> {
    let health = Arc::new(gateway.health().await?);
    let mut alarms = gateway.alarms(false).await?;
    alarms.retain(|alarm| alarm.closed_by.is_none());
    alarms.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
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
    // When the gateway itself is looked at because something has changed.
    let mut look_at: Option<Instant> = None;
    let mut looked = Instant::now();
    loop {
        let mut changed = Changed::default();
        let mut is_beat = false;
        tokio::select! {
            first = changes.recv() => match first {
                Ok(change) => changed.take(change),
                Err(RecvError::Lagged(_)) => changed.anew = true,
                Err(RecvError::Closed) => return,
            },
            _ = beat.tick() => is_beat = true,
            () = tokio::time::sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => is_beat = true,
        }
        loop {
            match changes.try_recv() {
                Ok(change) => changed.take(change),
                Err(TryRecvError::Lagged(_)) => changed.anew = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let now = Arc::clone(&sender.borrow());
        if !changed.anew && !changed.alarms.is_empty() {
            // A row is on the screens before anything else is asked: it comes from the gateway, after its commit.
            let mut next = Now { version: now.version + 1, answered_ms: gateway.now_ms(), ..(*now).clone() };
            changed.alarms.drain(..).for_each(|alarm| next.put(alarm));
            drop(sender.send(Arc::new(next)));
        }
        night_is_old |= changed.other;
        if !changed.anew && !is_beat {
            look_at = look_at.or(Some(looked + Duration::from_millis(HEALTH_PAUSE_MS)));
            continue;
        }
        (look_at, looked) = (None, Instant::now());
        let now = Arc::clone(&sender.borrow());
        let next = match changed.anew {
            true => read(gateway.as_ref(), now.version + 1, now.started_ms).await,
            false => {
                let mut next = (*now).clone();
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
                    next.version += u64::from(!is_same);
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
