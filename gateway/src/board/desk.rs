//! The gateway as the board asks it: each question goes through the inbox, and is answered after a commit.
//!
//! Enters: the board's questions and acts. Leaves: rows, and records of what people did. What a person does goes before
//! telemetry; what a person reads goes after it.
//! Invariant: no more than [`ASKS_MAX`] questions wait at once, so that a flooded board does not fill the inbox.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use vaka_board::gateway::{
    self as shown, AlarmAct, Change, Gateway, InviteWish, Invited, Lang, Later, Name, Night, Refused, SettingsChange,
    Sign, Traced,
};
use vaka_protocol::AlarmId;

use super::data::Reload;
use super::rows;
use crate::clock::Clock;
use crate::config::{Config, Language};
use crate::ingest::inbox::{Inbox, Rank};
use crate::journal::record::{Act, ActWhat, Trace};
use crate::pipeline::follow::{Follower, Touched};
use crate::pipeline::keeper::{Ask, Input, Keeper};

/// Questions of the board that wait for the keeper at once. A question takes it some microseconds to some milliseconds. Beyond: the
/// board's own requests wait. Source: our choice.
const ASKS_MAX: usize = 32;
/// Changes that a slow page may be behind. Beyond: it reads everything anew. Source: our choice.
const CHANGES_KEPT: usize = 1_024;

/// What the board has of the gateway.
pub struct Desk {
    inbox: Arc<Inbox<Input>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: watch::Receiver<Arc<Config>>,
    changes: broadcast::Sender<Change>,
    places: Semaphore,
    /// Held while a file is written whole.
    pub(super) writing: tokio::sync::Mutex<()>,
    pub(super) reload: Option<Reload>,
}

fn stopping<E>(_: E) -> Refused {
    Refused::Unavailable("the gateway is stopping".to_owned())
}

impl Desk {
    pub fn new(
        inbox: Arc<Inbox<Input>>,
        clock: Arc<dyn Clock>,
        config: watch::Receiver<Arc<Config>>,
        changes: broadcast::Sender<Change>,
    ) -> Self {
        let (places, writing) = (Semaphore::new(ASKS_MAX), tokio::sync::Mutex::new(()));
        Desk { inbox, clock, config, changes, places, writing, reload: None }
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
pub fn follower() -> (broadcast::Sender<Change>, Follower) {
    let (changes, _) = broadcast::channel(CHANGES_KEPT);
    let sender = changes.clone();
    let follower = move |keeper: &Keeper, touched: &Touched| {
        if sender.receiver_count() == 0 {
            return;
        }
        let alarms = &keeper.state().alarms;
        for alarm in touched.alarms.iter().filter_map(|id| alarms.get(id)) {
            let row = rows::alarm(alarm, keeper.labels(), keeper.agreed());
            let _ = sender.send(Change::Alarm(Arc::new(row)));
        }
        if touched.anew {
            let _ = sender.send(Change::Anew);
        } else if touched.others {
            let _ = sender.send(Change::Other);
        }
    };
    (changes, Box::new(follower))
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
        self.changes.subscribe()
    }

    fn alarms(&self, all: bool) -> Later<'_, Vec<shown::Alarm>> {
        later(self.see(move |keeper| {
            let (alarms, labels, agreed) = (&keeper.state().alarms, keeper.labels(), keeper.agreed());
            let mut open: Vec<_> = alarms.open().map(|alarm| rows::alarm(alarm, labels, agreed)).collect();
            open.sort_by_key(|row| (row.lane, std::cmp::Reverse(row.raised_at)));
            if all {
                open.extend(alarms.closed().rev().map(|alarm| rows::alarm(alarm, labels, agreed)));
            }
            open
        }))
    }

    fn story(&self, alarm: &str) -> Later<'_, shown::Story> {
        let id = alarm_id(alarm);
        later(async move {
            let id = id?;
            let asked = id.clone();
            let story = move |keeper: &Keeper| {
                let known = keeper.state().alarms.get(&asked)?;
                let now_ms = keeper.moment().wall_ms;
                Some(rows::story(known, &keeper.state().orders, keeper.labels(), keeper.agreed(), now_ms))
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
