//! The gateway as the board asks it: each question goes through the inbox, and is answered after a commit.
//!
//! Enters: the board's questions and acts. Leaves: rows, and records of what people did. What a person does goes before
//! telemetry; what a person reads goes after it.
//! Invariant: no more than [`ASKS_MAX`] questions wait at once, so that a flooded board does not fill the inbox.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use vaka_board::gateway::{
    self as shown, AlarmAct, Change, Gateway, Granted, InviteWish, Invited, Lang, Later, LookAt, LookIn, LookOutcome,
    LookPart, LookWish, Name, Night, Refused, SettingsChange, Sign, Traced,
};
use vaka_protocol::AlarmId;

use super::data::Reload;
use super::kept::Kept;
use super::rows;
use crate::clock::Clock;
use crate::config::{Config, Language};
use crate::ingest::inbox::{Inbox, Rank};
use crate::journal::record::{Act, ActWhat, Trace};
use crate::look::Looks;
use crate::pipeline::follow::{Follower, Touched};
use crate::pipeline::keeper::{Ask, Input, Keeper};
use crate::rules::care::look::Wish;

/// Questions of the board that wait for the keeper at once. A question takes it some microseconds to some milliseconds. Beyond: the
/// board's own requests wait. Source: our choice.
const ASKS_MAX: usize = 32;
/// Changes that a slow page may be behind. Beyond: it reads everything anew. Source: our choice.
const CHANGES_KEPT: usize = 1_024;

/// Readings of the whole log at once: each scans the journal, and holds as many lines as were asked for. Beyond: they wait. Source: our choice.
const LOG_READINGS_MAX: usize = 1;

/// What the board has of the gateway.
pub struct Desk {
    inbox: Arc<Inbox<Input>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: watch::Receiver<Arc<Config>>,
    told: Told,
    places: Semaphore,
    log_readings: Semaphore,
    /// Held while a file is written whole.
    pub(super) writing: tokio::sync::Mutex<()>,
    pub(super) reload: Option<Reload>,
    pub(super) looks: Arc<Looks>,
}

fn stopping<E>(_: E) -> Refused {
    Refused::Unavailable("the gateway is stopping".to_owned())
}

impl Desk {
    pub fn new(
        inbox: Arc<Inbox<Input>>,
        clock: Arc<dyn Clock>,
        config: watch::Receiver<Arc<Config>>,
        looks: Arc<Looks>,
        told: Told,
    ) -> Self {
        let (places, log_readings) = (Semaphore::new(ASKS_MAX), Semaphore::new(LOG_READINGS_MAX));
        let writing = tokio::sync::Mutex::new(());
        Desk { inbox, clock, config, told, places, log_readings, writing, reload: None, looks }
    }

    /// With the way to have the config read anew; without it a change holds from the next start.
    pub fn reload_with(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<T>(
        &self,
        rank: Rank,
        question: impl FnOnce(oneshot::Sender<T>) -> Ask,
    ) -> Result<T, Refused> {
        let _place = self.places.acquire().await.map_err(stopping)?;
        let (reply, answer) = oneshot::channel();
        self.inbox.put([(rank, Input::Ask(question(reply)))]);
        answer.await.map_err(stopping)
    }

    /// Looks at what the journal has folded to.
    pub(super) async fn see<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Keeper) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let question = |reply: oneshot::Sender<T>| {
            Ask::See(Box::new(move |keeper: &Keeper| {
                // Whoever asked may have gone away.
                let _ = reply.send(look(keeper));
            }))
        };
        self.ask(Rank::Last, question).await
    }

    /// How the alarm stands, or that there is none.
    async fn row(&self, id: AlarmId) -> Result<shown::Alarm, Refused> {
        let asked = id.clone();
        let row = move |keeper: &Keeper| {
            let known = keeper.state().alarms.get(&asked)?;
            Some(rows::alarm(known, keeper.labels(), keeper.agreed()))
        };
        self.see(row).await?.ok_or_else(|| Refused::NotFound(format!("there is no alarm {id}")))
    }
}

/// The channel that every open page listens to, and what feeds it.
pub fn follower() -> (Told, Follower) {
    let told = Told { changes: broadcast::channel(CHANGES_KEPT).0, kept: Arc::default() };
    let Told { changes, kept } = told.clone();
    let follower = move |keeper: &Keeper, touched: &Touched| {
        // Nobody looks: nothing is kept that the next who does would believe.
        if changes.receiver_count() == 0 || touched.anew {
            kept.forget();
        }
        if changes.receiver_count() == 0 {
            return;
        }
        let alarms = &keeper.state().alarms;
        let row = |alarm| Arc::new(rows::alarm(alarm, keeper.labels(), keeper.agreed()));
        let fresh: Vec<_> = touched.alarms.iter().filter_map(|id| alarms.get(id)).map(row).collect();
        if !fresh.is_empty() {
            kept.put(keeper, &fresh);
        }
        for row in fresh {
            let _ = changes.send(Change::Alarm(row));
        }
        if touched.anew {
            let _ = changes.send(Change::Anew);
        } else if touched.others {
            let _ = changes.send(Change::Other);
        }
    };
    (told, Box::new(follower))
}

/// What the keeper tells after each commit: the changes for open pages, and the rows as they are now.
#[derive(Clone)]
pub struct Told {
    pub(crate) changes: broadcast::Sender<Change>,
    pub(crate) kept: Arc<Kept>,
}

pub(super) fn alarm_id(word: &str) -> Result<AlarmId, Refused> {
    AlarmId::try_from(word).map_err(|_| Refused::NotFound(format!("there is no alarm {word}")))
}

fn later<'a, T>(answer: impl Future<Output = Result<T, Refused>> + Send + 'a) -> Later<'a, T> {
    Box::pin(answer)
}

impl Gateway for Desk {
    fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        self.config.borrow().gateway.time_zone.clone()
    }

    fn lang(&self) -> Lang {
        match self.config.borrow().gateway.language {
            Language::Sv => Lang::Sv,
            Language::En => Lang::En,
        }
    }

    fn follow(&self) -> broadcast::Receiver<Change> {
        self.told.changes.subscribe()
    }

    fn alarms(&self, all: bool) -> Later<'_, Vec<Arc<shown::Alarm>>> {
        later(async move {
            // Rows that nobody keeps in step would grow old.
            if let Some(rows) = self.told.kept.read(all).filter(|_| self.told.changes.receiver_count() > 0) {
                return Ok(rows);
            }
            let kept = Arc::clone(&self.told.kept);
            self.see(move |keeper| kept.make(keeper, all)).await
        })
    }

    fn story(&self, alarm: &str) -> Later<'_, shown::Story> {
        let id = alarm_id(alarm);
        later(async move {
            let id = id?;
            let asked = id.clone();
            let story = move |keeper: &Keeper| {
                let known = keeper.state().alarms.get(&asked)?;
                Some(rows::story(known, keeper))
            };
            self.see(story).await?.ok_or_else(|| Refused::NotFound(format!("there is no alarm {id}")))
        })
    }

    fn act(&self, alarm: &str, act: AlarmAct, by: &str, note: &str) -> Later<'_, shown::Alarm> {
        let (id, by, note) = (alarm_id(alarm), by.to_owned(), note.to_owned());
        later(async move {
            let id = id?;
            if let AlarmAct::Claim { .. } = act {
                // A second tap of the same finger changes nothing.
                let now = self.row(id.clone()).await?;
                if now.claimed_by.as_ref() == Some(&by) && now.closed_by.is_none() {
                    return Ok(now);
                }
            }
            if let AlarmAct::Close { seen: Some(seen), .. } = act {
                let now = self.row(id.clone()).await?;
                if now.count > seen {
                    return Err(Refused::Conflict(format!(
                        "alarm {id} has come again since: {} times, {seen} were seen; look once more",
                        now.count
                    )));
                }
            }
            let (what, outcome, other) = match act {
                AlarmAct::Claim { from } => (ActWhat::Claim, None, from),
                AlarmAct::Close { outcome, .. } => (ActWhat::Close, Some(rows::close_outcome(outcome)), None),
                AlarmAct::HandOver { to } => (ActWhat::HandOver, None, Some(to).filter(|to| !to.is_empty())),
                AlarmAct::Escalate => (ActWhat::Escalate, None, None),
                AlarmAct::Note => (ActWhat::Note, None, None),
            };
            let act = Act { outcome, other, ..Act::new(id.clone(), what, by, note) };
            let done = self.ask(Rank::Urgent, |reply| Ask::Act { act, reply }).await?;
            if let Err(why) = done {
                // Refused for how it stands, unless there is no such alarm.
                self.row(id).await?;
                return Err(Refused::Conflict(why));
            }
            self.row(id).await
        })
    }

    fn order(&self, wish: shown::OrderWish, by: &str) -> Later<'_, Result<(), shown::Said>> {
        later(self.ordered(wish, by.to_owned()))
    }

    fn trace(&self, trace: shown::Trace) -> Later<'_, ()> {
        later(async move {
            let shown::Trace { person, role, session, act, object, purpose, resident } = trace;
            let trace = Trace { person, role, session, act, object, purpose, resident, at: 0, before: Vec::new() };
            let done = self.ask(Rank::Last, |reply| Ask::Traces { traces: vec![trace], reply }).await?;
            done.map_err(Refused::Unavailable)
        })
    }

    fn traces(&self, query: shown::TraceQuery) -> Later<'_, Vec<Traced>> {
        let dir = self.config.borrow().journal.dir.clone();
        later(async move {
            let _place = self.log_readings.acquire().await.map_err(stopping)?;
            let found = tokio::task::spawn_blocking(move || super::traces::find(&dir, &query)).await;
            found.map_err(stopping)?.map_err(Refused::Unavailable)
        })
    }

    fn health(&self) -> Later<'_, shown::Health> {
        later(self.health_now())
    }

    fn devices(&self) -> Later<'_, Vec<shown::Device>> {
        later(self.devices_now())
    }

    fn residents(&self) -> Later<'_, Vec<shown::Resident>> {
        later(self.residents_now())
    }

    fn night(&self, date: Option<String>) -> Later<'_, Night> {
        later(self.night_of(date))
    }

    fn sign(&self, sign: Sign, by: &str) -> Later<'_, ()> {
        later(self.signed(sign, by.to_owned()))
    }

    fn look_in(&self, at: LookAt) -> Later<'_, LookIn> {
        later(self.looked_up(at))
    }

    fn open_look(&self, wish: LookWish, by: &str) -> Later<'_, Granted> {
        later(self.look_opened(wish, by.to_owned()))
    }

    fn watch_look(&self, token: &str, by: &str) -> Later<'_, mpsc::Receiver<LookPart>> {
        let parts = self.looks.redeem(token, by).map_err(super::look::refused);
        later(async move { parts })
    }

    fn unveil_look(&self, look: u64, resident: &str, by: &str) -> Later<'_, ()> {
        let (wish, by) = (Wish::Unveil { look, resident: resident.to_owned() }, by.to_owned());
        later(async move { self.looks.wish(wish, &by).await.map(|_| ()).map_err(super::look::refused) })
    }

    fn say_look(&self, look: u64, outcome: LookOutcome, by: &str) -> Later<'_, ()> {
        later(self.look_said(look, outcome, by.to_owned()))
    }

    fn release_dose(&self, resident: &str, slot: &str, by: &str, note: &str) -> Later<'_, ()> {
        later(self.released(resident.to_owned(), slot.to_owned(), by.to_owned(), note.to_owned()))
    }

    fn name_of(&self, resident: &str) -> Later<'_, Name> {
        later(self.name(resident.to_owned()))
    }

    fn set_name(&self, resident: &str, name: Name, _: &str) -> Later<'_, ()> {
        later(self.named(resident.to_owned(), name))
    }

    fn change_settings(&self, change: SettingsChange, by: &str) -> Later<'_, ()> {
        later(self.settings_changed(change, by.to_owned()))
    }

    fn invite(&self, wish: InviteWish, _: &str) -> Later<'_, Invited> {
        later(self.invited(wish))
    }

    fn revoke(&self, device: &str, _: &str) -> Later<'_, ()> {
        later(self.revoked(device.to_owned()))
    }

    fn visit(&self, wish: serde_json::Value) -> Later<'_, serde_json::Value> {
        later(self.visited(wish))
    }

    fn protocol(&self, lang: Lang) -> Later<'_, shown::Protocol> {
        later(self.protocol_in(lang))
    }

    fn check(&self) -> Later<'_, serde_json::Value> {
        later(self.checked())
    }
}
