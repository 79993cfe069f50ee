//! A look-in by camera, ordered at a hub: asked of the home there, judged here by the home's own rules of looks.
//!
//! Enters: a wish. Leaves, at a hub: the order to the home; in a home: what the rule `look` is to judge. Invariant: a hub adds nothing to
//! what may be seen here: it is one more who asks.

use vaka_protocol::{AlarmId, DeviceId, Ordered};

use super::{Order, View, Why, Wish, is_heard, life_ms, with_command};
use crate::journal::record::{LookOutcome, OfHome};
use crate::rules::Home;
use crate::rules::alarms::Alarm;
use crate::rules::care::look;
use crate::rules::care::signed::Refusal;

/// Who looks, there as here. Source: the board's right to look.
pub(super) const ROLE: &str = "night";
/// As `orders` of a receiver names it: who may look may say what they saw.
const LOOK: &str = "look";

/// In a home: it lets that hub look now.
pub fn may_look(home: &Home, receiver: &str) -> bool {
    home.orders.hubs.get(receiver).is_some_and(|may| may.contains(LOOK))
}

/// At a hub: the order to the home.
pub(super) fn to_home(view: View<'_>, wish: Wish) -> Result<Order, Why> {
    let Wish { alarm, device, what, by, role, purpose } = wish;
    // A look in this house needs no order.
    let home = device.filter(|device| view.home.facts(device).home).ok_or(Why::NoDevice)?;
    if role != ROLE {
        return Err(Why::Role);
    }
    let of = alarm.as_ref().map(|id| at_home(view, id, &home)).transpose()?;
    let expires_at = view.now_ms.saturating_add(life_ms(&what));
    let (from, command, refused, look) = (None, None, None, None);
    let order = Order { to: Some(home), alarm, what, by, role, purpose, expires_at, from, of, command, refused, look };
    Ok(with_command(order, view))
}

/// How that home calls this open alarm of its own.
fn at_home(view: View<'_>, alarm: &AlarmId, home: &DeviceId) -> Result<OfHome, Why> {
    let known = view.alarms.get(alarm).filter(|known| known.closed_by.is_none() && known.raise.device == *home);
    let told = known.and_then(|known| known.raise.home.as_deref()).ok_or(Why::NoAlarm)?;
    Ok(OfHome { alarm: told.alarm.clone(), device: None })
}

/// What a hub's order asks of the rule `look`.
#[derive(Debug, Clone, PartialEq)]
pub struct LookWish {
    pub wish: look::Wish,
    /// What the home says at the hub's door, where something is to be seen.
    pub call: Option<String>,
}

/// In a home: what the hub asks, where it may ask at all. `known`: the look that an earlier order of that hub opened.
///
/// # Errors
/// [`Why`] not.
pub fn look_of_hub(
    view: View<'_>,
    receiver: &str,
    expires_at: i64,
    wish: &Wish,
    known: impl FnOnce(u64) -> Option<u64>,
) -> Result<LookWish, Why> {
    is_heard(view, receiver, expires_at, LOOK)?;
    if wish.role != ROLE {
        return Err(Why::Role);
    }
    match &wish.what {
        Ordered::Look { resident, at, clear, call } => {
            let (resident, purpose) = (resident.as_str().to_owned(), wish.purpose.clone());
            if let Some(id) = &wish.alarm {
                // One that this hub was never told of is none of its business.
                let is_told = |alarm: &Alarm| alarm.steps.iter().any(|step| step.receiver == receiver);
                view.alarms.get(id).filter(|alarm| is_told(alarm)).ok_or(Why::NoAlarm)?;
            }
            let slot_at = wish.alarm.is_none().then_some(*at);
            let wish = look::Wish::Open { resident, slot_at, alarm: wish.alarm.clone(), purpose, clear: *clear };
            Ok(LookWish { wish, call: Some(call.as_str().to_owned()) })
        }
        Ordered::Looked { id, outcome } => {
            let look = known(*id).ok_or(Why::NoLook)?;
            let outcome = LookOutcome::of(outcome).ok_or(Why::NoLook)?;
            Ok(LookWish { wish: look::Wish::Outcome { look, outcome }, call: None })
        }
        _ => Err(Why::NoDevice),
    }
}

impl From<&Refusal> for Why {
    /// A hub is told no more of the home than it needs.
    fn from(refusal: &Refusal) -> Why {
        match refusal {
            Refusal::NotFound(_) => Why::NoLook,
            Refusal::Conflict(_) | Refusal::Wrong(_) => Why::NotNow,
        }
    }
}
