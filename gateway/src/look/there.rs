//! A look into a home, from its hub: ordered, waited for, passed on to the one viewer.
//!
//! Enters: an order to the home, a viewer, the home's call. Leaves: parts of the look, to that viewer alone. Invariants: a home reaches only
//! the viewer whose call it was given, once; at most one picture of a look is in this process; the viewer's going ends it. Absent: any
//! judgement of who may look, which is the home's, and a place where a picture stays.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use vaka_board::gateway::{Bytes, Granted, LookPart, Said};
use vaka_camera::{Wiped, limits::LOOK_S_MAX};
use vaka_protocol::look::{CALL, HERE};
use vaka_protocol::{AlarmId, DeviceId, Ordered};

use super::{CALL_BYTES, Grant, LAST_WORD_MS, LookError, Looks, line, random};
use crate::ingest::inbox::Rank;
use crate::ingest::session::Caller;
use crate::limits::{
    LOOK_CALL_MS, LOOK_CALLER_MS, LOOK_CALLERS_MAX, LOOK_CALLERS_OF_HOME_MAX, LOOK_LINE_SILENT_MS, LOOK_SAID_MS,
    LOOK_SETUP_MS, LOOK_WAKE_MS_MAX,
};
use crate::pipeline::keeper::{Ask, NotOrdered};
use crate::rules::orders;

/// A viewer waits for this home's call.
pub(super) struct Call {
    home: DeviceId,
    comes: oneshot::Sender<Caller>,
}

/// Into which home, and what of.
#[derive(Debug, Clone, PartialEq)]
pub struct ThereWish {
    pub home: DeviceId,
    pub resident: String,
    /// Our alarm of that home's, which opens it. Absent: it is planned.
    pub alarm: Option<AlarmId>,
    /// When the look-in begins, UTC milliseconds; 0 for an alarm.
    pub slot_at: i64,
    pub purpose: String,
    pub clear: bool,
    pub by: String,
    pub role: String,
    /// How long it lasts, seconds, as the home has told.
    pub seconds: u64,
}

impl Looks {
    /// Orders the look of the home; its picture waits for the viewer as one of a camera here. What the home says no to, the viewer hears.
    ///
    /// # Errors
    /// [`LookError`]: nothing was ordered.
    pub async fn open_there(self: &Arc<Self>, wish: ThereWish) -> Result<Granted, LookError> {
        let (room, token, call) = (Arc::clone(self), random(super::TOKEN_BYTES)?, random(CALL_BYTES)?);
        // What is given back is zeroed from here on, as where cameras are.
        vaka_camera::wipe_from_now_on();
        let ThereWish { home, resident, alarm, slot_at, purpose, clear, by, role, seconds } = wish;
        let (comes, caller) = oneshot::channel();
        self.calls().insert(call.clone(), Call { home: home.clone(), comes });
        let what = Ordered::Look { resident: resident.as_str().into(), at: slot_at, clear, call: call.as_str().into() };
        let wish = orders::Wish { alarm, device: Some(home), what, by: by.clone(), role, purpose };
        // Someone who goes away now leaves a call behind that ends by itself.
        let granting = tokio::spawn(async move {
            let _call = Forgotten { room: room.clone(), call };
            let ordered = room.ask(Rank::Urgent, |reply| Ask::Order { wish, traced: true, reply }).await;
            let order = match ordered {
                Ok(Ok(order)) => order,
                Ok(Err(NotOrdered::Refused(why))) => return Err(LookError::NotOrdered(why)),
                Ok(Err(NotOrdered::Disk)) => return Err(LookError::Disk),
                Err(e) => return Err(e),
            };
            let (viewer, viewed) = oneshot::channel();
            room.grants().insert(token.clone(), Grant { by, viewer });
            let granted = Granted { look: order, token: token.clone(), seconds };
            tokio::spawn(async move {
                let _call = _call;
                let viewer = timeout(Duration::from_millis(LOOK_SETUP_MS as u64), viewed).await;
                room.grants().remove(&token);
                if let Ok(Ok(viewer)) = viewer {
                    show(&room, order, caller, &viewer).await;
                }
            });
            Ok(granted)
        });
        granting.await.map_err(|_| LookError::Stopping)?
    }
}

impl Looks {
    /// Tells a home what somebody here saw in it, and waits until it has heard it.
    ///
    /// # Errors
    /// [`LookError::OnItsWay`]: it is ordered, and the home has not answered in [`LOOK_SAID_MS`]. The others: the home does not take it.
    pub async fn say_there(&self, said: orders::Wish) -> Result<(), LookError> {
        let order = self.ask(Rank::Urgent, |reply| Ask::Order { wish: said, traced: true, reply }).await?;
        let order = order.map_err(|e| match e {
            NotOrdered::Refused(why) => LookError::NotOrdered(why),
            NotOrdered::Disk => LookError::Disk,
        })?;
        let (to, answer) = oneshot::channel();
        self.tell(Ask::OrderWatch { order, to });
        match timeout(Duration::from_millis(LOOK_SAID_MS), answer).await {
            Ok(Ok(word)) if word == "done" => Ok(()),
            Ok(Ok(word)) => Err(LookError::NotTaken(word)),
            Ok(Err(_)) | Err(_) => Err(LookError::OnItsWay),
        }
    }

    /// Somebody waits for a call of this home.
    fn waits_for(&self, home: &DeviceId) -> bool {
        self.calls().values().any(|call| call.home == *home)
    }
}

/// The call is known until it was answered or given up.
struct Forgotten {
    room: Arc<Looks>,
    call: String,
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        self.room.calls().remove(&self.call);
    }
}

/// Until the home has ended it, or the viewer has gone.
async fn show(room: &Looks, order: u64, caller: oneshot::Receiver<Caller>, viewer: &mpsc::Sender<LookPart>) {
    let (to, refused) = oneshot::channel();
    room.tell(Ask::OrderWatch { order, to });
    let refused = async {
        match refused.await {
            Ok(word) if word != "done" => word,
            // It is on its way, or the gateway stops.
            _ => std::future::pending().await,
        }
    };
    let caller = tokio::select! {
        caller = timeout(Duration::from_millis(LOOK_CALL_MS), caller) => caller,
        word = refused => return last(viewer, word.clone(), orders::said(&word)).await,
        () = viewer.closed() => return,
    };
    let Ok(Ok(Caller { mut stream, .. })) = caller else {
        return last(viewer, "home_away".to_owned(), HOME_AWAY.into_words()).await;
    };
    if line::put(&mut stream, HERE, &[]).await.is_err() {
        return last(viewer, "home_away".to_owned(), HOME_AWAY.into_words()).await;
    }
    let longest = Duration::from_millis((LOOK_SETUP_MS + LOOK_WAKE_MS_MAX) as u64 + 2 * LOOK_LINE_SILENT_MS)
        + Duration::from_secs(LOOK_S_MAX);
    // The home ends it; a home that does not is not believed.
    match timeout(longest, pass(&mut stream, viewer)).await {
        Ok(true) => {}
        Ok(false) | Err(_) => last(viewer, "line_lost".to_owned(), LINE_LOST.into_words()).await,
    }
}

/// Swedish, English.
struct Words(&'static str, &'static str);

impl Words {
    fn into_words(self) -> (String, String) {
        (self.0.to_owned(), self.1.to_owned())
    }
}

const HOME_AWAY: Words = Words("Hemmet svarar inte. Gå dit.", "The home does not answer. Go there.");
const LINE_LOST: Words = Words(
    "Förbindelsen med hemmet bröts. Gå dit om du är osäker.",
    "The connection to the home broke. Go there if you are in doubt.",
);

async fn last(viewer: &mpsc::Sender<LookPart>, why: String, (sv, en): (String, String)) {
    let last = LookPart::Ended { why, said: Said::new(sv, en) };
    // A viewer who reads nothing more has gone.
    let _ = timeout(Duration::from_millis(LAST_WORD_MS), viewer.send(last)).await;
}

/// A picture, and the one place for it: free again when the viewer's connection has it.
struct Held {
    picture: Wiped,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.picture
    }
}

/// Passes on what the home sends. True: the home had the last word, or the viewer has gone.
async fn pass(home: &mut (impl AsyncRead + Unpin), viewer: &mpsc::Sender<LookPart>) -> bool {
    let places = Arc::new(Semaphore::new(1));
    loop {
        // Nothing is read before the picture before has gone.
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = viewer.closed() => return true,
        };
        let Ok(place) = place else { return false };
        let own = |picture| Bytes::from_owner(Held { picture, _place: place });
        let part = tokio::select! {
            part = timeout(Duration::from_millis(LOOK_LINE_SILENT_MS), line::take_part(home, own)) => part,
            () = viewer.closed() => return true,
        };
        let part = match part {
            Ok(Ok(part)) => part,
            Ok(Err(e)) => {
                tracing::warn!("a look into a home broke: {e}");
                return false;
            }
            Err(_) => {
                tracing::warn!("a look into a home broke: nothing for {LOOK_LINE_SILENT_MS} ms");
                return false;
            }
        };
        let is_last = matches!(part, LookPart::Ended { .. });
        if viewer.send(part).await.is_err() || is_last {
            return true;
        }
    }
}

/// Who has called and has not said for which look, by home.
#[derive(Clone, Default)]
struct Callers(Arc<Mutex<BTreeMap<DeviceId, usize>>>);

impl Callers {
    /// `None`: as many as may are here, of this home or of all.
    fn enter(&self, home: &DeviceId) -> Option<CallerPlace> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_home = callers.get(home).copied().unwrap_or(0);
        if of_home >= LOOK_CALLERS_OF_HOME_MAX || callers.values().sum::<usize>() >= LOOK_CALLERS_MAX {
            return None;
        }
        callers.insert(home.clone(), of_home + 1);
        Some(CallerPlace { callers: self.clone(), home: home.clone() })
    }
}

/// Free again when it is dropped.
struct CallerPlace {
    callers: Callers,
    home: DeviceId,
}

impl Drop for CallerPlace {
    fn drop(&mut self) {
        let mut callers = self.callers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut of_home) = callers.entry(self.home.clone()) {
            *of_home.get_mut() -= 1;
            if *of_home.get() == 0 {
                of_home.remove();
            }
        }
    }
}

/// Homes that call: each is brought to the viewer who waits for it, or closed. Until no more come.
pub async fn hear_homes(looks: Arc<Looks>, mut callers: mpsc::Receiver<Caller>) {
    let callers_of = Callers::default();
    while let Some(mut caller) = callers.recv().await {
        // Else any device with a certificate could take all places from those who are waited for.
        if !looks.waits_for(&caller.home) {
            tracing::debug!(home = %caller.home, "called for a look, and nobody waits for that home");
            continue;
        }
        let Some(place) = callers_of.enter(&caller.home) else {
            tracing::warn!(home = %caller.home, "more homes call for a look than may at once");
            continue;
        };
        let looks = looks.clone();
        tokio::spawn(async move {
            let _place = place;
            let until = Instant::now() + Duration::from_millis(LOOK_CALLER_MS);
            let Ok(Ok((CALL, call))) = tokio::time::timeout_at(until, line::take(&mut caller.stream)).await else {
                return tracing::warn!(home = %caller.home, "a home called for a look and did not say for which");
            };
            let call = std::str::from_utf8(&call).unwrap_or_default();
            match looks.take_call(call, &caller.home) {
                // Who waited may have gone: the stream is then closed.
                Some(comes) => drop(comes.send(caller)),
                None => tracing::warn!(home = %caller.home, "a home called for a look that nobody waits for"),
            }
        });
    }
}

impl Looks {
    /// Whoever waits for this call of this home. Once.
    fn take_call(&self, call: &str, home: &DeviceId) -> Option<oneshot::Sender<Caller>> {
        let mut calls = self.calls();
        if calls.get(call)?.home != *home {
            return None;
        }
        calls.remove(call).map(|call| call.comes)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::config::Config;
    use crate::ingest::inbox::Inbox;
    use crate::pipeline::keeper::Input;

    fn picture(byte: u8) -> LookPart {
        LookPart::Picture(vec![byte; 100].into())
    }

    #[tokio::test]
    async fn a_hub_holds_one_picture_and_reads_no_other_before_it_is_gone() {
        let (mut home, mut hub) = tokio::io::duplex(4_096);
        let (viewer, mut parts) = mpsc::channel(1);
        for byte in 1..=2 {
            line::put_part(&mut home, picture(byte)).await.unwrap();
        }
        let passing = tokio::spawn(async move { pass(&mut hub, &viewer).await });
        let Some(LookPart::Picture(first)) = parts.recv().await else { panic!("a picture") };
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(parts.try_recv().is_err(), "the first is held still");
        assert_eq!(first[..], [1; 100]);
        drop(first);
        assert!(matches!(parts.recv().await, Some(LookPart::Picture(second)) if second[..] == [2; 100]));
        drop(parts);
        assert!(passing.await.unwrap(), "the viewer has gone");
        assert!(home.write_all(&[0; 8_192]).await.is_err(), "and so the home hears");
    }

    #[tokio::test(start_paused = true)]
    async fn a_home_that_falls_silent_or_breaks_off_ends_the_look() {
        let (mut home, mut hub) = tokio::io::duplex(64);
        let (viewer, mut parts) = mpsc::channel(1);
        line::put_part(&mut home, LookPart::Lit).await.unwrap();
        assert!(!pass(&mut hub, &viewer).await, "silent");
        assert!(matches!(parts.recv().await, Some(LookPart::Lit)));
        home.write_all(b"P\x00\x00\x00\x64half").await.unwrap();
        drop(home);
        assert!(!pass(&mut hub, &viewer).await, "broken off within a picture");
        assert!(parts.try_recv().is_err(), "of which nobody saw a part");
    }

    #[tokio::test]
    async fn a_call_is_answered_once_and_by_the_home_that_was_asked() {
        let config =
            Config::parse(b"[gateway]\nid = \"hub-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n", "vaka.toml".as_ref());
        let (_keep, config) = tokio::sync::watch::channel(Arc::new(config.expect("a config").0));
        let looks = Looks::new(Arc::new(Inbox::default()), config);
        let home = |name: &str| DeviceId::try_from(name).unwrap();
        let (comes, _caller) = oneshot::channel();
        assert!(!looks.waits_for(&home("gw-1")));
        looks.calls().insert("c1".into(), Call { home: home("gw-1"), comes });
        assert!(looks.waits_for(&home("gw-1")) && !looks.waits_for(&home("gw-2")));
        assert!(looks.take_call("c2", &home("gw-1")).is_none());
        assert!(looks.take_call("c1", &home("gw-2")).is_none(), "another home");
        assert!(looks.take_call("c1", &home("gw-1")).is_some());
        assert!(looks.take_call("c1", &home("gw-1")).is_none(), "a second time");
        assert!(!looks.waits_for(&home("gw-1")), "it has come");
    }

    #[test]
    fn one_home_takes_no_place_from_another() {
        let callers = Callers::default();
        let home = |name: String| DeviceId::try_from(name.as_str()).unwrap();
        let one = home("gw-1".to_owned());
        let mut places: Vec<_> = (0..LOOK_CALLERS_OF_HOME_MAX).map(|_| callers.enter(&one).expect("room")).collect();
        assert!(callers.enter(&one).is_none());
        let others = LOOK_CALLERS_MAX - LOOK_CALLERS_OF_HOME_MAX;
        places.extend((0..others).map(|number| callers.enter(&home(format!("other-{number}"))).expect("room")));
        assert!(callers.enter(&home("late".to_owned())).is_none(), "all are taken");
        drop(places.remove(0));
        assert!(callers.enter(&one).is_some());
        drop(places);
        assert!(callers.0.lock().unwrap().is_empty(), "nobody is remembered");
    }

    /// What a tap at the hub says once the home has answered so; `None`: it has not.
    async fn said(answers: Option<&'static str>) -> Result<(), LookError> {
        let config =
            Config::parse(b"[gateway]\nid = \"hub-1\"\n[ingest]\nlisten = \"127.0.0.1:0\"\n", "vaka.toml".as_ref());
        let (_keep, config) = tokio::sync::watch::channel(Arc::new(config.expect("a config").0));
        let inbox = Arc::new(Inbox::default());
        let looks = Looks::new(inbox.clone(), config);
        let what = Ordered::Looked { id: 7, outcome: "calm".into() };
        let (by, role, purpose) = ("anna".to_owned(), "night".to_owned(), "the round".to_owned());
        let wish = orders::Wish { alarm: None, device: DeviceId::try_from("gw-1").ok(), what, by, role, purpose };
        let keeper = async {
            let mut unanswered = Vec::new();
            loop {
                let mut batch = Vec::new();
                inbox.take(1, Duration::ZERO, &mut batch);
                for input in batch {
                    match (input, answers) {
                        (Input::Ask(Ask::Order { reply, .. }), _) => drop(reply.send(Ok(7))),
                        (Input::Ask(Ask::OrderWatch { order: 7, to }), Some(word)) => drop(to.send(word.to_owned())),
                        (Input::Ask(Ask::OrderWatch { order: 7, to }), None) => unanswered.push(to),
                        _ => panic!("something else was asked"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            said = looks.say_there(wish) => said,
            () = keeper => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tap_is_done_when_the_home_has_it_and_not_before() {
        assert!(said(Some("done")).await.is_ok());
        assert!(matches!(said(Some("refused")).await, Err(LookError::NotTaken(word)) if word == "refused"));
        assert!(matches!(said(None).await, Err(LookError::OnItsWay)), "nobody has heard it yet");
    }
}
