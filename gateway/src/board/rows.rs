//! Alarms as the board shows them. Enters: what the journal has folded to. Leaves: rows and stories; ids, never names.

use vaka_board::gateway as shown;
use vaka_board::gateway::{Said, StoryLine};
use vaka_protocol::{Ordered, Rung};

use crate::journal::record::{CloseOutcome, JoinWhat, Order};
use crate::pipeline::keeper::Keeper;
use crate::pipeline::view::Labels;
use crate::rules;
use crate::rules::alarms::{Alarm, Step};
use crate::rules::care::agreed::Agreed;
use crate::rules::orders::{self, Kept};

/// One row.
pub fn alarm(alarm: &Alarm, labels: &Labels, agreed: &Agreed) -> shown::Alarm {
    let raise = &alarm.raise;
    let (home, label) = (raise.home.as_deref(), labels.of(&raise.device));
    let of_basis = raise.basis.as_deref().and_then(|basis| basis.resident.clone());
    // A home names its residents itself: another home's r1, or the hub's own, is somebody else.
    let of_home = home.and_then(|home| home.resident.as_ref()).map(|id| format!("{}/{id}", raise.device));
    let own = home.is_none().then(|| of_basis.or(label.resident)).flatten();
    let resident = of_home.or(own);
    let told = home.and_then(|home| home.device.as_ref()).unwrap_or(&raise.device);
    let ((what_sv, why_sv), (what_en, why_en)) = (in_two(&raise.sv), in_two(&raise.en));
    shown::Alarm {
        id: alarm.id().to_string(),
        lane: raise.lane,
        rung: alarm.rung(),
        steps: alarm.steps.iter().map(step).collect(),
        device: told.to_string(),
        kind: agreed.devices.get(&raise.device).map_or_else(String::new, |device| device.kind.to_owned()),
        home: home.map(|_| raise.device.to_string()),
        unit: labels.unit(resident.as_deref(), Some(&raise.device)),
        resident,
        room: home.and_then(|home| home.room.clone()).or(label.room),
        rule: format!("{} {}", raise.rule, raise.rule_version),
        what: Said::new(what_sv, what_en),
        why: Said::new(why_sv, why_en),
        raised_at: alarm.raised_at,
        happened_at: raise.happened_at,
        delayed: raise.delayed,
        test: raise.lane == vaka_protocol::Lane::Test,
        count: alarm.count,
        claimed_by: alarm.claimed_by.clone(),
        closed_by: alarm.closed_by.clone(),
        outcome: alarm.outcome.map(outcome),
        note: alarm.note.clone(),
        handed_over: alarm.is_handed_over(),
        nobody: alarm.nobody,
        cancelled: alarm.cancelled,
        over: alarm.over,
        due_at: raise.basis.as_deref().and_then(|basis| basis.due_at),
    }
}

/// The row, and everything that explains it.
pub fn story(alarm: &Alarm, keeper: &Keeper) -> shown::Story {
    let (labels, agreed, home, now_ms) = (keeper.labels(), keeper.agreed(), keeper.home(), keeper.moment().wall_ms);
    let raise = &alarm.raise;
    let basis = raise.basis.as_deref();
    let mut lines: Vec<StoryLine> = alarm.steps.iter().map(step_line).collect();
    lines.extend(alarm.notices.iter().filter_map(|notice| {
        let (sv, en) = match notice.what? {
            JoinWhat::Again => ("Kom igen.", "It came again."),
            JoinWhat::Cancel => ("Den boende tog tillbaka det.", "The resident took it back."),
            JoinWhat::Over => ("Orsaken är över.", "The cause is over."),
            JoinWhat::Where => ("Enheten sade var den är.", "The device said where it is."),
            JoinWhat::HandedOver => ("Lämnat över.", "Handed over."),
            JoinWhat::Escalated => ("Mer hjälp begärdes.", "More help was asked for."),
        };
        let said = notice.words.as_deref().map_or_else(|| Said::new(sv, en), |(sv, en)| Said::new(sv, en));
        Some(StoryLine { at: notice.happened_at, said })
    }));
    let speaks = |kept: &Kept| kept.order.to.as_ref().is_some_and(|to| home.facts(to).speaks);
    lines.extend(keeper.state().orders.about(alarm.id()).flat_map(|kept| order_lines(kept, speaks(kept), now_ms)));
    lines.sort_by_key(|line| line.at);
    let seen = match basis {
        Some(basis) => basis.seen.iter().map(|seen| (seen.at, format!("{}: {}", seen.device, seen.what))).collect(),
        None => vec![(raise.happened_at, format!("{}: {}", raise.device, raise.cause))],
    };
    let prevented = match basis {
        Some(basis) => basis.prevented.as_ref().map(|(sv, en)| Said::new(sv, en)),
        None => {
            let (sv, en) = rules::prevented_by(raise.lane);
            Some(Said::new(sv, en))
        }
    };
    let newest = alarm.notices.iter().rev().find_map(|notice| notice.whereabouts.as_deref());
    shown::Story {
        alarm: self::alarm(alarm, labels, agreed),
        lines,
        // In the protocol's words: what a device says has no translation.
        seen: seen.into_iter().map(|(at, what)| StoryLine { at, said: Said::new(what.clone(), what) }).collect(),
        agreed: basis.map(|basis| basis.agreed.clone()).unwrap_or_default(),
        prevented,
        position: newest.or(raise.whereabouts.as_deref()).map(|at| shown::Position {
            latitude: f64::from(at.lat_e7) / 1e7,
            longitude: f64::from(at.lon_e7) / 1e7,
            accuracy_m: at.accuracy_m,
            at: at.at,
        }),
    }
}

/// What was ordered, and what became of it.
pub(super) fn order_lines(kept: &Kept, speaks: bool, now_ms: i64) -> Vec<StoryLine> {
    let Order { by, purpose, what, expires_at, to, of, .. } = &kept.order;
    // Of a home's door its hub knows no name.
    let own = to.as_ref().filter(|_| of.is_none()).map(|to| (to.as_str(), to.as_str()));
    let door = own.unwrap_or(("dörren", "the door"));
    let (sv, en) = match what {
        Ordered::Unlock { .. } => (format!("lås upp {}", door.0), format!("unlock {}", door.1)),
        Ordered::Lock {} => (format!("lås {}", door.0), format!("lock {}", door.1)),
        Ordered::Feedback { text, .. } => {
            let text = text.as_deref().unwrap_or_default();
            (format!("säg till den boende: ”{text}”"), format!("say to the resident: “{text}”"))
        }
        Ordered::Settings { .. } => ("ställ in enheten".to_owned(), "set the device".to_owned()),
        Ordered::Look { .. } => ("titta med kamera".to_owned(), "look by camera".to_owned()),
        Ordered::Looked { .. } => ("svara hur det var".to_owned(), "say how it was".to_owned()),
    };
    let is_said = matches!(what, Ordered::Feedback { .. }) || purpose.is_empty();
    let why = if is_said { String::new() } else { format!(" ({purpose})") };
    let sv = format!("{by}: {sv}{why}.");
    let en = format!("{by}: {en}{why}.");
    let mut lines = vec![StoryLine { at: kept.at, said: Said::new(sv, en) }];
    match &kept.outcome {
        Some((outcome, at)) => {
            let is_mute = outcome == "done" && matches!(what, Ordered::Feedback { .. }) && own.is_some() && !speaks;
            let (sv, en) = match is_mute {
                true => (
                    "Ljus och ljud. Enheten säger inga ord.".to_owned(),
                    "Light and sound. The device says no words.".to_owned(),
                ),
                false => orders::said(outcome),
            };
            lines.push(StoryLine { at: *at, said: Said::new(sv, en) });
        }
        None if now_ms >= *expires_at => {
            let said =
                Said::new("Inget svar. Vi vet inte om det gjordes.", "No answer. It is not known whether it was done.");
            lines.push(StoryLine { at: *expires_at, said });
        }
        None => {}
    }
    lines
}

/// The first sentence, and the rest.
fn in_two(text: &str) -> (&str, &str) {
    let end = text.find(". ").map_or(text.len(), |end| end + 1);
    (text[..end].trim_end_matches('.'), text[end..].trim_start())
}

fn step(step: &Step) -> shown::Step {
    shown::Step {
        rung: step.rung,
        at: step.at,
        receiver: step.receiver.clone(),
        path: step.path.clone(),
        detail: step.detail.clone(),
    }
}

fn step_line(step: &Step) -> StoryLine {
    let who = &step.detail;
    let (sv, en) = match step.rung {
        Rung::Stored => ("Sparat.".to_owned(), "Stored.".to_owned()),
        Rung::Sent => (format!("Skickat till {}.", step.receiver), format!("Sent to {}.", step.receiver)),
        Rung::Received => (format!("Framme hos {}.", step.receiver), format!("Received by {}.", step.receiver)),
        Rung::Accepted => (format!("Mottaget av {}.", step.receiver), format!("Accepted by {}.", step.receiver)),
        Rung::Claimed => (format!("Taget av {who}."), format!("Taken by {who}.")),
        Rung::Closed => (format!("Avslutat av {who}."), format!("Closed by {who}.")),
    };
    StoryLine { at: step.at, said: Said::new(sv, en) }
}

fn outcome(outcome: CloseOutcome) -> shown::Outcome {
    match outcome {
        CloseOutcome::Helped => shown::Outcome::Helped,
        CloseOutcome::False => shown::Outcome::False,
        CloseOutcome::Technical => shown::Outcome::Technical,
        CloseOutcome::HandedOver => shown::Outcome::HandedOver,
    }
}

/// What a person at the board said it came to.
pub fn close_outcome(outcome: shown::Outcome) -> CloseOutcome {
    match outcome {
        shown::Outcome::Helped => CloseOutcome::Helped,
        shown::Outcome::False => CloseOutcome::False,
        shown::Outcome::Technical => CloseOutcome::Technical,
        shown::Outcome::HandedOver => CloseOutcome::HandedOver,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sentence_is_what_it_is() {
        assert_eq!(in_two("Knappen trycktes. Badrum."), ("Knappen trycktes", "Badrum."));
        assert_eq!(in_two("Knappen trycktes."), ("Knappen trycktes", ""));
        assert_eq!(in_two(""), ("", ""));
    }
}
