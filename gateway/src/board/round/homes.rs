//! At a hub: the look-ins by camera of the homes whose people let it look.
//!
//! Enters: what the homes have told, what was ordered of them. Leaves: rows of the round. Invariant: a row says what the home said last;
//! whether somebody may look is the home's to say.

use vaka_board::gateway::{RoundItem, RoundState, Said};
use vaka_protocol::{DeviceId, Ordered};

use crate::pipeline::command_id;
use crate::pipeline::fold::State;
use crate::pipeline::keeper::Keeper;
use crate::rules::care::when::{Span, local};
use crate::rules::homes::HomeLook;
use crate::rules::orders::Kept;

/// Those that begin within `span`.
pub(super) fn items(keeper: &Keeper, span: &Span) -> Vec<RoundItem> {
    let shown = keeper.state().home_looks.planned().filter(|(_, look)| span.contains(look.at_ms));
    shown.map(|(home, look)| item(keeper, home, look)).collect()
}

/// Somebody may ask the home to look, as far as is known here.
pub fn is_open(look: &HomeLook, now_ms: i64) -> bool {
    matches!(look.state.as_str(), "open" | "again") && (look.at_ms..look.latest_ms).contains(&now_ms)
}

/// The order by which somebody here has looked and has not said what they saw: its number.
pub fn unsaid(state: &State, home: &DeviceId, look: &HomeLook, now_ms: i64) -> Option<u64> {
    if look.state != "unsaid" {
        return None;
    }
    let of_home = || state.orders.newest().filter(|(_, kept)| kept.order.to.as_ref() == Some(home));
    let outcome = |kept: &Kept| kept.outcome.as_ref().map(|(word, _)| word == "done");
    let of_slot = |kept: &Kept| {
        let alarm = kept.order.of.as_ref().map(|of| &of.alarm);
        matches!(&kept.order.what, Ordered::Look { resident, at, .. }
            if alarm == look.alarm.as_ref() && *at == look.at_ms && resident.as_str() == look.resident)
    };
    let (number, _) = of_home().find(|(_, kept)| of_slot(kept) && outcome(kept) == Some(true))?;
    let is_of = |kept: &Kept| matches!(kept.order.what, Ordered::Looked { id, .. } if id == command_id(number));
    // One that the home refused, or has not answered in its time, is said anew.
    let stands = |kept: &Kept| outcome(kept).unwrap_or(kept.order.expires_at > now_ms);
    let is_said = of_home().any(|(_, kept)| is_of(kept) && stands(kept));
    (!is_said).then_some(number)
}

fn item(keeper: &Keeper, home: &DeviceId, look: &HomeLook) -> RoundItem {
    let (state, now_ms) = (keeper.state(), keeper.now_ms());
    let latest = local(&keeper.agreed().zone, look.latest_ms).strftime("%H:%M").to_string();
    let (stands, said) = match look.state.as_str() {
        "planned" => (RoundState::Later, Said::new(format!("Före {latest}."), format!("By {latest}."))),
        "open" | "again" if now_ms < look.latest_ms => {
            (RoundState::Due, Said::new(format!("Titta före {latest}."), format!("Look by {latest}.")))
        }
        "looking" => (RoundState::Due, Said::new("Någon tittar nu.", "Somebody is looking now.")),
        "unsaid" => (RoundState::Due, Said::new("Någon har tittat. Hur var det?", "Somebody has looked. How was it?")),
        "done" => (RoundState::Done, Said::new("Sedd lugn.", "Seen calm.")),
        "declined" => (RoundState::Declined, Said::new("Avböjd; ingen kommer.", "Declined; nobody comes.")),
        // Its task is an alarm of the home's, which came by itself.
        "visit" => (RoundState::Visit, Said::new("Ett besök begärdes.", "A visit was asked for.")),
        _ => (RoundState::Missed, Said::new("Ingenting visar att den är gjord.", "Nothing shows that it was made.")),
    };
    RoundItem {
        resident: look.resident.clone(),
        unit: keeper.labels().unit(None, Some(home)),
        form: "camera".to_owned(),
        planned_at: look.at_ms,
        latest_at: Some(look.latest_ms),
        state: stands,
        said,
        by: None,
        alarm: None,
        slot: Some(look.slot.clone()),
        look: is_open(look, now_ms).then(|| format!("{}.{}@{home}", look.resident, look.at_ms)),
        unsaid: unsaid(state, home, look, now_ms),
        home: Some(home.to_string()),
    }
}
