//! Look-ins by camera as the board asks for them.

use vaka_board::gateway::{Granted, LookAt, LookIn, LookOutcome, LookWish, Refused, Said};
use vaka_protocol::{AlarmId, DeviceId, Ordered};

use super::desk::Desk;
use super::round::homes;
use crate::journal::record;
use crate::look::{LookError, ThereWish};
use crate::pipeline::command_id;
use crate::pipeline::keeper::{Keeper, NotSigned};
use crate::rules::care::look::{self, Wish};
use crate::rules::care::signed::Refusal;
use crate::rules::care::when;
use crate::rules::homes::HomeLook;
use crate::rules::orders;

/// Which look-in or alarm, as the rules name it.
struct Meant {
    resident: String,
    slot_at: Option<i64>,
    alarm: Option<AlarmId>,
}

pub(super) fn refused(e: LookError) -> Refused {
    match e {
        LookError::Refused(NotSigned::Refused(Refusal::NotFound(why))) => Refused::NotFound(why),
        LookError::Refused(NotSigned::Refused(Refusal::Conflict(why))) => Refused::Conflict(why),
        LookError::Refused(NotSigned::Refused(Refusal::Wrong(why))) => Refused::Wrong(why),
        LookError::NoGrant | LookError::GaveWay | LookError::NotOrdered(_) | LookError::NotTaken(_) => {
            Refused::Conflict(e.to_string())
        }
        LookError::OnItsWay => Refused::OnItsWay(e.to_string()),
        LookError::Disk | LookError::Refused(NotSigned::Disk) | LookError::Stopping | LookError::Camera(_) => {
            Refused::Unavailable(e.to_string())
        }
    }
}

/// Whose camera an alarm opens.
fn meant(keeper: &Keeper, at: LookAt) -> Result<Meant, Refused> {
    match at {
        LookAt::Slot { resident, planned_at } => Ok(Meant { resident, slot_at: Some(planned_at), alarm: None }),
        LookAt::Alarm(id) => {
            let view = keeper.view();
            let none = || Refused::NotFound(format!("alarm {id} opens no camera; go there"));
            let alarm = AlarmId::try_from(id.as_str()).ok().and_then(|id| view.alarms.get(&id)).ok_or_else(none)?;
            let mut people = view.agreed.people.iter();
            let person =
                people.find(|person| person.look.as_ref().is_some_and(|look| look::opens(person, look, alarm)));
            let person = person.ok_or_else(none)?;
            Ok(Meant { resident: person.id.clone(), slot_at: None, alarm: Some(alarm.id().clone()) })
        }
        LookAt::Home { home, .. } => Err(Refused::NotFound(format!("the home {home} looks for itself"))),
    }
}

/// A look into a home, as far as is known here.
struct InHome {
    home: DeviceId,
    look: HomeLook,
    /// Our alarm, where one opens it.
    alarm: Option<AlarmId>,
}

/// `None`: it is not of a home.
fn in_home(keeper: &Keeper, at: &LookAt) -> Result<Option<InHome>, Refused> {
    let looks = &keeper.state().home_looks;
    match at {
        LookAt::Home { home, resident, planned_at } => {
            let none = || Refused::NotFound(format!("`{home}` has told of no look-in of `{resident}` then; go there"));
            let home = DeviceId::try_from(home.as_str()).map_err(|_| none())?;
            let look = looks.get(&home, resident, *planned_at).cloned().ok_or_else(none)?;
            Ok(Some(InHome { home, look, alarm: None }))
        }
        LookAt::Alarm(id) => {
            let Some((alarm, told)) = AlarmId::try_from(id.as_str()).ok().and_then(|id| {
                let alarm = keeper.state().alarms.get(&id).filter(|alarm| alarm.closed_by.is_none())?;
                Some((alarm, alarm.raise.home.as_deref()?))
            }) else {
                return Ok(None);
            };
            let home = alarm.raise.device.clone();
            let none = || Refused::NotFound(format!("`{home}` lets alarm {id} open no camera; go there"));
            let look = looks.of_alarm(&home, &told.alarm).cloned().ok_or_else(none)?;
            Ok(Some(InHome { home, look, alarm: Some(alarm.id().clone()) }))
        }
        LookAt::Slot { .. } => Ok(None),
    }
}

fn look_in_home(keeper: &Keeper, InHome { home, look, alarm }: InHome) -> LookIn {
    let latest = when::local(&keeper.agreed().zone, look.latest_ms).strftime("%H:%M").to_string();
    let slot = &look.slot;
    let is_open = homes::is_open(&look, keeper.now_ms());
    let said = match alarm {
        Some(_) => Said::new(
            format!("Hemmet {home}. Ett larm öppnar kameran, till {latest}."),
            format!("Home {home}. An alarm opens the camera, until {latest}."),
        ),
        None => Said::new(
            format!("Hemmet {home}. Tillsyn {slot}, senast {latest}."),
            format!("Home {home}. Look-in {slot}, by {latest}."),
        ),
    };
    LookIn {
        unit: keeper.labels().unit(None, Some(&home)),
        said,
        seconds: look.look_s.into(),
        may_see_clearly: look.may_see_clearly,
        in_home: true,
        refused: (!is_open).then(|| format!("the home says that this look-in is {}; go there if in doubt", look.state)),
        fault: None,
        unsaid: homes::unsaid(keeper.state(), &home, &look, keeper.now_ms()),
        // As the home's alarms have it: our own r1, or another home's, is somebody else, and has their own extract.
        resident: format!("{home}/{}", look.resident),
    }
}

fn look_in(keeper: &Keeper, at: LookAt) -> Result<LookIn, Refused> {
    if let Some(there) = in_home(keeper, &at)? {
        return Ok(look_in_home(keeper, there));
    }
    let Meant { resident, slot_at, alarm } = meant(keeper, at)?;
    let view = keeper.view();
    let none = || Refused::NotFound(format!("no look-in by camera is agreed with `{resident}` then; go there"));
    let person = view.agreed.people.iter().find(|person| person.id == resident).ok_or_else(none)?;
    let agreed = person.look.as_ref().ok_or_else(none)?;
    let clock = |at_ms| crate::rules::care::when::local(&view.agreed.zone, at_ms).strftime("%H:%M").to_string();
    let slot = match slot_at {
        Some(at_ms) => Some(look::planned_look(view.care, view.agreed, person, at_ms, view.now).ok_or_else(none)?.0),
        None => None,
    };
    let said = match (&slot, &alarm) {
        (Some(slot), _) => {
            let (name, latest) = (&slot.slot, clock(slot.latest_ms));
            Said::new(format!("Tillsyn {name}, senast {latest}."), format!("Look-in {name}, by {latest}."))
        }
        (None, _) => Said::new("Ett larm öppnar kameran.", "An alarm opens the camera."),
    };
    let may = look::may_ask(view, &resident, slot_at, alarm.as_ref());
    let of_alarm = |(_, seen): &(&u64, &look::Seen)| {
        alarm.is_some() && seen.asked.alarm == alarm && seen.waits_for_outcome(view.now)
    };
    let unsaid = match &slot {
        Some(slot) => slot.unsaid,
        None => view.care.look.of(&resident).rfind(of_alarm).map(|(id, _)| *id),
    };
    Ok(LookIn {
        unit: keeper.labels().unit(Some(&resident), None),
        said,
        seconds: u64::try_from(agreed.look_ms / 1_000).unwrap_or(0),
        may_see_clearly: agreed.may_see_clearly,
        in_home: false,
        refused: may.err().map(|why| why.to_string()),
        fault: slot.and_then(|slot| slot.fault).map(|(sv, en)| Said::new(sv, en)),
        unsaid,
        resident,
    })
}

impl Desk {
    pub(super) async fn looked_up(&self, at: LookAt) -> Result<LookIn, Refused> {
        self.see(move |keeper| look_in(keeper, at)).await?
    }

    pub(super) async fn look_opened(&self, wish: LookWish, by: String) -> Result<Granted, Refused> {
        let LookWish { at, purpose, clear, role } = wish;
        let asked = at.clone();
        if let Some(InHome { home, look, alarm }) = self.see(move |keeper| in_home(keeper, &asked)).await?? {
            let (resident, slot_at, seconds) = (look.resident, look.at_ms, look.look_s.into());
            let wish = ThereWish { home, resident, alarm, slot_at, purpose, clear, by, role, seconds };
            return self.looks.open_there(wish).await.map_err(refused);
        }
        let Meant { resident, slot_at, alarm } = self.see(move |keeper| meant(keeper, at)).await??;
        self.looks.open(Wish::Open { resident, slot_at, alarm, purpose, clear }, &by).await.map_err(refused)
    }

    pub(super) async fn look_said(&self, look: u64, outcome: LookOutcome, by: String) -> Result<(), Refused> {
        let outcome = match outcome {
            LookOutcome::Calm => record::LookOutcome::Calm,
            LookOutcome::NeedsVisit => record::LookOutcome::NeedsVisit,
            LookOutcome::CouldNotTell => record::LookOutcome::CouldNotTell,
        };
        let who = by.clone();
        if let Some(wish) = self.see(move |keeper| said_of_home(keeper, look, outcome, &who)).await?? {
            return self.looks.say_there(wish).await.map_err(refused);
        }
        self.looks.wish(Wish::Outcome { look, outcome }, &by).await.map(|_| ()).map_err(refused)
    }
}

/// What somebody here saw in a home, as the order to it; `None`: it was a look here.
fn said_of_home(
    keeper: &Keeper,
    look: u64,
    outcome: record::LookOutcome,
    by: &str,
) -> Result<Option<orders::Wish>, Refused> {
    let Some(kept) = keeper.state().orders.get(look) else { return Ok(None) };
    let (order, Ordered::Look { .. }) = (&kept.order, &kept.order.what) else { return Ok(None) };
    if order.by != by {
        return Err(Refused::Conflict(format!("only {} looked, and can say what they saw", order.by)));
    }
    let what = Ordered::Looked { id: command_id(look), outcome: outcome.word().into() };
    let (device, by, role) = (order.to.clone(), order.by.clone(), order.role.clone());
    Ok(Some(orders::Wish { alarm: None, device, what, by, role, purpose: order.purpose.clone() }))
}
