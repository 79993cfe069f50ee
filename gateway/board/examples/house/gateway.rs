//! A house in memory: the gateway's side of the board with plausible rows, for looking at pages and for their tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio::time::Instant;
use vaka_board::gateway::*;
use vaka_protocol::{Ordered, Rung};

use super::rows;

/// 2026-11-22 03:12:08 in Stockholm: in the middle of a night.
pub const START_MS: i64 = 1_795_313_528_000;

/// Everything there is.
pub struct State {
    pub alarms: Vec<Alarm>,
    pub devices: Vec<Device>,
    pub residents: Vec<Resident>,
    pub night: Night,
    pub traces: Vec<Traced>,
    pub visit: Value,
    pub grants: Vec<Grant>,
}

/// One look that was granted.
pub struct Grant {
    token: String,
    by: String,
    slot: (String, i64),
    used: bool,
}

/// How long one look lasts here.
const LOOK_MS: u64 = 30_000;

pub struct House {
    begun: Instant,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    /// Nothing is answered: as when the gateway has died.
    pub dead: AtomicBool,
    /// Nothing can be written down.
    pub full: AtomicBool,
}

fn none(what: &str, id: &str) -> Refused {
    Refused::NotFound(format!("there is no {what} {id}"))
}

impl House {
    pub fn new() -> Self {
        let state = Mutex::new(rows::state(START_MS));
        House {
            begun: Instant::now(),
            state,
            changes: broadcast::channel(64).0,
            dead: AtomicBool::new(false),
            full: AtomicBool::new(false),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An alarm comes, or is another now.
    pub fn put(&self, alarm: Alarm) {
        let mut state = self.state();
        match state.alarms.iter_mut().find(|one| one.id == alarm.id) {
            Some(one) => *one = alarm.clone(),
            None => state.alarms.push(alarm.clone()),
        }
        let _ = self.changes.send(Change::Alarm(Arc::new(alarm)));
    }

    fn answer<'a, T: Send + 'a>(&self, answer: Result<T, Refused>) -> Later<'a, T> {
        let dead = self.dead.load(Ordering::SeqCst);
        let dead = dead.then(|| Refused::Unavailable("asking the gateway: it does not run; start it".into()));
        Box::pin(async move { dead.map_or(answer, Err) })
    }

    fn looks(&self, resident: &str, planned_at: i64) -> bool {
        let state = self.state();
        state
            .night
            .round
            .iter()
            .any(|item| item.resident == resident && item.planned_at == planned_at && item.look.is_some())
    }

    fn find(&self, alarm: &str) -> Result<Alarm, Refused> {
        self.state().alarms.iter().find(|one| one.id == alarm).cloned().ok_or_else(|| none("alarm", alarm))
    }

    fn do_act(&self, id: &str, act: AlarmAct, by: &str, note: &str) -> Result<Alarm, Refused> {
        let mut alarm = self.find(id)?;
        let at = self.now_ms();
        let step = |rung| Step { rung, at, receiver: String::new(), path: String::new(), detail: by.to_owned() };
        if let Some(who) = &alarm.closed_by {
            return Err(Refused::Conflict(format!("alarm {id} was closed by {who}")));
        }
        match act {
            AlarmAct::Claim { from } => {
                if let Some(who) = alarm.claimed_by.clone().filter(|who| who != by && from.as_ref() != Some(who)) {
                    return Err(Refused::Conflict(format!("alarm {id} is {who}'s")));
                }
                alarm.claimed_by = Some(by.to_owned());
                alarm.rung = Rung::Claimed;
                alarm.steps.push(step(Rung::Claimed));
            }
            AlarmAct::Close { outcome, .. } => {
                alarm.closed_by = Some(by.to_owned());
                alarm.outcome = Some(outcome);
                alarm.rung = Rung::Closed;
                alarm.steps.push(step(Rung::Closed));
            }
            AlarmAct::HandOver { .. } => alarm.claimed_by = None,
            AlarmAct::Escalate => alarm.nobody = true,
            AlarmAct::Note => {}
        }
        if !note.is_empty() {
            alarm.note = note.to_owned();
        }
        self.put(alarm.clone());
        Ok(alarm)
    }

    fn do_visit(&self, wish: &Value) -> Value {
        let mut state = self.state();
        if wish.get("start").is_some() {
            state.visit = rows::visit(START_MS);
        }
        if let Some(given) = wish.get("hand_over") {
            let lines = state.visit["lines"].as_array_mut().into_iter().flatten();
            for line in lines.filter(|line| line["line"] == given["line"]) {
                line["handed_over"] =
                    json!({"reason": given["reason"], "to": given["to"], "by": given["by"], "at": START_MS});
            }
        }
        if wish.get("finish").is_some() {
            state.visit = json!({"open": null, "lines": [], "red": 0, "finished_at": START_MS});
        }
        state.visit.clone()
    }
}

impl Gateway for House {
    fn now_ms(&self) -> i64 {
        START_MS + i64::try_from(self.begun.elapsed().as_millis()).unwrap_or_default()
    }

    fn zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::get("Europe/Stockholm").unwrap_or(jiff::tz::TimeZone::UTC)
    }

    fn lang(&self) -> Lang {
        Lang::Sv
    }

    fn health(&self) -> Later<'_, Health> {
        let state = self.state();
        let silent = state.devices.iter().filter(|device| device.silent).count();
        self.answer(Ok(Health {
            gateway: "hus-1".into(),
            role: "house".into(),
            version: "0.1.0".into(),
            clock: "synchronised".into(),
            paths: vec![PathState { receiver: "larmcentral".into(), path: "fiber".into(), up: true, since: None }],
            heard: state.devices.len() - silent,
            heard_of: state.devices.len(),
            newest_life_at: Some(self.now_ms() - 4_000),
            wrong: Vec::new(),
        }))
    }

    fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn alarms(&self, all: bool) -> Later<'_, Vec<Arc<Alarm>>> {
        let alarms = self.state().alarms.clone();
        let alarms = alarms.into_iter().filter(|alarm| all || alarm.closed_by.is_none());
        self.answer(Ok(alarms.map(Arc::new).collect()))
    }

    fn story(&self, alarm: &str) -> Later<'_, Story> {
        self.answer(self.find(alarm).map(rows::story))
    }

    fn act(&self, alarm: &str, act: AlarmAct, by: &str, note: &str) -> Later<'_, Alarm> {
        self.answer(self.do_act(alarm, act, by, note))
    }

    /// Here nothing is agreed of any lock; words are heard.
    fn order(&self, wish: OrderWish, _: &str) -> Later<'_, Result<(), Said>> {
        self.answer(Ok(match wish.what {
            Ordered::Unlock { .. } | Ordered::Lock {} => {
                Err(Said::new("ingen har kommit överens om det", "nobody has agreed to it"))
            }
            Ordered::Feedback { .. } | Ordered::Settings { .. } => Ok(()),
            // A house has no homes.
            Ordered::Look { .. } | Ordered::Looked { .. } => Err(Said::new("inget hem", "no home")),
        }))
    }

    fn devices(&self) -> Later<'_, Vec<Device>> {
        self.answer(Ok(self.state().devices.clone()))
    }

    fn residents(&self) -> Later<'_, Vec<Resident>> {
        self.answer(Ok(self.state().residents.clone()))
    }

    fn night(&self, _date: Option<String>) -> Later<'_, Night> {
        self.answer(Ok(self.state().night.clone()))
    }

    fn sign(&self, sign: Sign, by: &str) -> Later<'_, ()> {
        let (who, at) = match &sign {
            Sign::Visit { resident, planned_at, .. } => (resident.clone(), planned_at.unwrap_or_default()),
            Sign::Dose { resident, planned_at, .. } => (resident.clone(), *planned_at),
        };
        let mut state = self.state();
        for item in state.night.round.iter_mut().filter(|item| item.resident == who && item.planned_at == at) {
            item.state = RoundState::Visited;
            item.by = Some(by.to_owned());
        }
        let _ = self.changes.send(Change::Other);
        self.answer(Ok(()))
    }

    fn look_in(&self, at: LookAt) -> Later<'_, LookIn> {
        let resident = match at {
            LookAt::Slot { resident, planned_at } if self.looks(&resident, planned_at) => resident,
            _ => return self.answer(Err(none("look-in", "then"))),
        };
        self.answer(Ok(LookIn {
            resident,
            unit: Some("hagalund".into()),
            said: Said::new("Tillsyn 03:00, senast 04:00.", "Look-in 03:00, by 04:00."),
            seconds: 30,
            may_see_clearly: true,
            in_home: false,
            refused: None,
            fault: None,
            unsaid: None,
        }))
    }

    fn open_look(&self, wish: LookWish, by: &str) -> Later<'_, Granted> {
        let LookAt::Slot { resident, planned_at } = wish.at else { return self.answer(Err(none("look-in", "then"))) };
        let mut state = self.state();
        let look = state.grants.len() as u64 + 1;
        if state.grants.iter().any(|grant| grant.slot == (resident.clone(), planned_at)) {
            return self.answer(Err(Refused::Conflict("it was looked at already; go there if in doubt".into())));
        }
        let token = format!("{look:064x}");
        state.grants.push(Grant { token: token.clone(), by: by.to_owned(), slot: (resident, planned_at), used: false });
        self.answer(Ok(Granted { look, token, seconds: LOOK_MS / 1_000 }))
    }

    fn watch_look(&self, token: &str, by: &str) -> Later<'_, mpsc::Receiver<LookPart>> {
        let mut state = self.state();
        let grant = state.grants.iter_mut().find(|grant| grant.token == token && grant.by == by && !grant.used);
        let Some(grant) = grant else {
            return self.answer(Err(Refused::Conflict("the grant was used, or is somebody else's".into())));
        };
        grant.used = true;
        let (to, parts) = mpsc::channel(1);
        tokio::spawn(rows::pictures(to, LOOK_MS));
        self.answer(Ok(parts))
    }

    fn unveil_look(&self, look: u64, _: &str, by: &str) -> Later<'_, ()> {
        let state = self.state();
        let index = usize::try_from(look).ok().and_then(|look| look.checked_sub(1));
        let grant = index.and_then(|index| state.grants.get(index)).filter(|grant| grant.by == by && grant.used);
        self.answer(grant.map(|_| ()).ok_or_else(|| none("look", "of that number")))
    }

    fn say_look(&self, look: u64, outcome: LookOutcome, by: &str) -> Later<'_, ()> {
        let mut state = self.state();
        let index = usize::try_from(look).ok().and_then(|look| look.checked_sub(1));
        let slot = index.and_then(|index| state.grants.get(index)).map(|grant| grant.slot.clone());
        let Some((resident, at)) = slot else { return self.answer(Err(none("look", "of that number"))) };
        for item in state.night.round.iter_mut().filter(|item| item.resident == resident && item.planned_at == at) {
            item.state = if outcome == LookOutcome::Calm { RoundState::Done } else { RoundState::Visit };
            item.by = Some(by.to_owned());
            item.look = None;
        }
        let _ = self.changes.send(Change::Other);
        self.answer(Ok(()))
    }

    fn release_dose(&self, resident: &str, slot: &str, _by: &str, _note: &str) -> Later<'_, ()> {
        let mut state = self.state();
        let of = state.residents.iter_mut().filter(|one| one.id == resident);
        let locked = of.flat_map(|one| one.doses.iter_mut()).find(|dose| dose.slot == slot && dose.locked);
        let done = locked.map(|dose| dose.locked = false).ok_or_else(|| none("locked dose", slot));
        self.answer(done)
    }

    fn name_of(&self, _resident: &str) -> Later<'_, Name> {
        self.answer(Ok(Name {
            name: "Exempel Exempelsson".into(),
            address: "Exempelgatan 4 B, 2 tr".into(),
            key_note: "Nyckelskåp till vänster om porten, kod hos jouren".into(),
            phone: "+46 70 000 00 00".into(),
        }))
    }

    fn set_name(&self, resident: &str, _name: Name, _by: &str) -> Later<'_, ()> {
        let mut state = self.state();
        let found = state.residents.iter_mut().find(|one| one.id == resident);
        let done = found.map(|one| one.has_name = true).ok_or_else(|| none("resident", resident));
        self.answer(done)
    }

    fn change_settings(&self, change: SettingsChange, _by: &str) -> Later<'_, ()> {
        let at = self.now_ms();
        let mut state = self.state();
        if change.values.iter().any(|(key, value)| key.ends_with("_min") && value.parse::<u32>().is_err()) {
            return self
                .answer(Err(Refused::Wrong("[resident.night] absence_care_min must be a number of minutes".into())));
        }
        let of = state.residents.iter_mut().filter(|one| one.id == change.resident);
        let agreed = of.flat_map(|one| one.agreements.iter_mut()).find(|agreed| agreed.table == change.table);
        let done = agreed.ok_or_else(|| none("agreement", &change.table)).map(|agreed| {
            agreed.withdrawn_at = change.withdraw.then_some(at);
            if !change.withdraw {
                (agreed.settings, agreed.consent_by, agreed.consent_on) =
                    (change.values, change.consent_by, change.consent_on);
            }
        });
        self.answer(done)
    }

    fn invite(&self, wish: InviteWish, _by: &str) -> Later<'_, Invited> {
        let url = format!("vaka-enrol:v1?gateway=hus-1&id={}&code=EXEMPEL-0001-0002", wish.id);
        self.answer(Ok(Invited { code: "EXEMPEL-0001-0002".into(), url, until: self.now_ms() + 3_600_000 }))
    }

    fn revoke(&self, device: &str, _by: &str) -> Later<'_, ()> {
        let mut state = self.state();
        let found = state.devices.iter_mut().find(|one| one.id == device);
        let done = found.map(|one| one.revoked = true).ok_or_else(|| none("device", device));
        self.answer(done)
    }

    fn visit(&self, wish: Value) -> Later<'_, Value> {
        self.answer(Ok(self.do_visit(&wish)))
    }

    fn protocol(&self, _: Lang) -> Later<'_, Protocol> {
        let words = |text: &str| text.to_owned();
        self.answer(Ok(Protocol { name: words("visit-gw-1"), page: words("<!doctype html>"), signed: words("{}") }))
    }

    fn check(&self) -> Later<'_, Value> {
        self.answer(Ok(rows::check()))
    }

    fn trace(&self, trace: Trace) -> Later<'_, ()> {
        if self.full.load(Ordering::Relaxed) {
            return self.answer(Err(Refused::Unavailable("the disk is full".into())));
        }
        let at = self.now_ms();
        let mut state = self.state();
        let seq = state.traces.len() as u64 + 1;
        state.traces.push(Traced { seq, at, trace, hash: format!("{seq:064x}") });
        self.answer(Ok(()))
    }

    fn traces(&self, query: TraceQuery) -> Later<'_, Vec<Traced>> {
        let state = self.state();
        let of = |asked: &Option<String>, is: Option<&String>| asked.as_ref().is_none_or(|asked| Some(asked) == is);
        let found = state.traces.iter().rev().filter(|traced| {
            of(&query.person, Some(&traced.trace.person))
                && of(&query.resident, traced.trace.resident.as_ref())
                && query.from.is_none_or(|from| traced.at >= from)
                && query.until.is_none_or(|until| traced.at <= until)
        });
        self.answer(Ok(found.take(query.most).cloned().collect()))
    }
}
