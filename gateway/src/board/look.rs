//! Look-ins by camera as the board asks for them.

use vaka_board::gateway::{Granted, LookAt, LookIn, LookOutcome, Refused, Said};
use vaka_protocol::AlarmId;

use super::desk::Desk;
use crate::journal::record;
use crate::look::LookError;
use crate::pipeline::keeper::{Keeper, NotSigned};
use crate::rules::care::look::{self, Wish};
use crate::rules::care::signed::Refusal;

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
        LookError::NoGrant => Refused::Conflict(e.to_string()),
        LookError::Refused(NotSigned::Disk) | LookError::Stopping | LookError::Camera(_) => {
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
    }
}

fn look_in(keeper: &Keeper, at: LookAt) -> Result<LookIn, Refused> {
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

    pub(super) async fn look_opened(
        &self,
        at: LookAt,
        purpose: String,
        clear: bool,
        by: String,
    ) -> Result<Granted, Refused> {
        let Meant { resident, slot_at, alarm } = self.see(move |keeper| meant(keeper, at)).await??;
        self.looks.open(Wish::Open { resident, slot_at, alarm, purpose, clear }, &by).await.map_err(refused)
    }

    pub(super) async fn look_said(&self, look: u64, outcome: LookOutcome, by: String) -> Result<(), Refused> {
        let outcome = match outcome {
            LookOutcome::Calm => record::LookOutcome::Calm,
            LookOutcome::NeedsVisit => record::LookOutcome::NeedsVisit,
            LookOutcome::CouldNotTell => record::LookOutcome::CouldNotTell,
        };
        self.looks.wish(Wish::Outcome { look, outcome }, &by).await.map(|_| ()).map_err(refused)
    }
}
