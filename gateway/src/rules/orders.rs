//! Orders: what a person has one of the devices do, here or from the hub that this home belongs to.
//!
//! Enters: a wish, with who and as what, and what is agreed at home. Leaves: an order with the command that it means, or why not; and
//! what became of it. Invariants: the home judges, whoever asks; an order of a hub is carried out once, however often it is said; a door
//! opens only by an agreement in force, soon or not at all.

mod looks;

use crate::rules::gone::Gone;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vaka_protocol::{AlarmId, Command, DeviceId, Lane, Ordered, Outcome};

use super::Home;
use super::alarms::{Alarm, Alarms};
use super::care::term::Term;
use crate::journal::record::{FromHub, OfHome, OnTheWire, Order};
use crate::limits::{
    LOOK_OUTCOME_MS, ORDER_CLOCKS_MS, ORDER_FEEDBACK_MS, ORDER_LOOK_MS, ORDER_SETTINGS_MS, ORDER_UNLOCK_MS,
    ORDERS_KEPT_MAX,
};
pub use looks::{LookWish, look_of_hub, may_look};

/// What may be ordered here, and by whom.
#[derive(Debug, Default, Clone)]
pub struct Orderable {
    pub devices: BTreeMap<DeviceId, Target>,
    /// Whose each device is, also of those that take no commands.
    pub residents: BTreeMap<DeviceId, String>,
    /// By receiver, what people there may order here: keys of [`Ordered`].
    pub hubs: BTreeMap<String, BTreeSet<&'static str>>,
}

/// A device that takes commands.
#[derive(Debug, Clone, Default)]
pub struct Target {
    pub resident: Option<String>,
    /// It opens and locks: a door's lock or a cabinet.
    pub is_lock: bool,
    /// It leads in, as a cabinet does not.
    pub is_door: bool,
    /// It says and shows words.
    pub speaks: bool,
    /// What is agreed of its opening. Absent: nobody opens it through here.
    pub unlock: Option<Unlock>,
}

/// The agreement about a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlock {
    pub roles: BTreeSet<String>,
    /// Also without an alarm of that resident.
    pub always: bool,
    /// It locks again after so many seconds.
    pub open_s: u16,
    pub term: Term,
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    /// The alarm that it is about.
    #[serde(default)]
    pub alarm: Option<AlarmId>,
    /// Which device. Absent: the alarm's own, or its resident's lock.
    #[serde(default)]
    pub device: Option<DeviceId>,
    pub what: Ordered,
    pub by: String,
    pub role: String,
    #[serde(default)]
    pub purpose: String,
}

/// Why not: a word on the wire, and what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    NoAlarm,
    NoDevice,
    NotADevice,
    NotALock,
    NotAgreed,
    NotInForce,
    Role,
    WithoutAlarm,
    Hub,
    Clock,
    Expired,
    Busy,
    NoLook,
    NotNow,
}

impl Why {
    pub const ALL: [Why; 14] = [
        Why::NoAlarm,
        Why::NoDevice,
        Why::NotADevice,
        Why::NotALock,
        Why::NotAgreed,
        Why::NotInForce,
        Why::Role,
        Why::WithoutAlarm,
        Why::Hub,
        Why::Clock,
        Why::Expired,
        Why::Busy,
        Why::NoLook,
        Why::NotNow,
    ];

    /// As in the outcome that a hub is told.
    pub fn word(self) -> &'static str {
        match self {
            Why::NoAlarm => "no-alarm",
            Why::NoDevice => "no-device",
            Why::NotADevice => "takes-no-commands",
            Why::NotALock => "no-lock",
            Why::NotAgreed => "not-agreed",
            Why::NotInForce => "not-in-force",
            Why::Role => "role",
            Why::WithoutAlarm => "without-alarm",
            Why::Hub => "hub-may-not",
            Why::Clock => "no-clock",
            Why::Expired => "expired",
            Why::Busy => "busy",
            Why::NoLook => "no-look",
            Why::NotNow => "not-now",
        }
    }

    /// Swedish, English.
    pub fn said(self) -> (&'static str, &'static str) {
        match self {
            Why::NoAlarm => ("larmet finns inte, eller är avslutat", "there is no such alarm, or it is closed"),
            Why::NoDevice => ("hemmet har ingen sådan enhet; ange vilken", "the home has no such device; say which"),
            Why::NotADevice => ("enheten tar inte emot kommandon", "the device takes no commands"),
            Why::NotALock => ("enheten är inget lås", "the device is no lock"),
            Why::NotAgreed => (
                "ingen har kommit överens om att låset öppnas härifrån (unlock i [[device]])",
                "nobody has agreed that this lock is opened from here (unlock in [[device]])",
            ),
            Why::NotInForce => ("överenskommelsen gäller inte nu", "what was agreed is not in force now"),
            Why::Role => ("den som ber har inte en roll som får det", "whoever asks has no role that may"),
            Why::WithoutAlarm => (
                "låset får bara öppnas vid ett öppet larm från den boende",
                "the lock may be opened only at an open alarm of the resident",
            ),
            Why::Hub => ("hemmet låter inte centralen göra det", "the home does not let its hub do that"),
            Why::Clock => ("hemmets klocka är inte säker", "the home is not sure of the time"),
            Why::Expired => (
                "det kom för sent, eller så går hemmets klocka och centralens isär",
                "it came too late, or the home's clock and the hub's differ",
            ),
            Why::Busy => ("för mycket väntar på enheten redan", "too much waits for the device already"),
            Why::NoLook => (
                "hemmet känner ingen sådan tillsyn med kamera; gå dit",
                "the home knows no such look-in by camera; go there",
            ),
            Why::NotNow => (
                "hemmet släpper inte in någon blick nu: den boende har sagt nej, någon tittar, eller det är gjort; gå dit",
                "the home lets nobody look now: the resident said no, somebody looks, or it is made; go there",
            ),
        }
    }
}

/// The word that a home answered with, as people read it.
pub fn said(outcome: &str) -> (String, String) {
    let known = Why::ALL.into_iter().find(|why| why.word() == outcome).map(Why::said);
    let (sv, en) = match (outcome, known) {
        (_, Some((sv, en))) => return (format!("Gick inte: {sv}."), format!("Not done: {en}.")),
        ("done", _) => ("Utfört.", "Done."),
        ("refused", _) => ("Enheten vägrade.", "The device refused."),
        ("replaced", _) => ("Ett nyare uppdrag gäller i stället.", "A newer order holds instead."),
        ("forgotten", _) => (
            "Enheten startade om, och vet inte om det blev gjort.",
            "The device started anew, and does not know whether it was done.",
        ),
        ("failed", _) => ("Enheten försökte, och det gick inte.", "The device tried, and it went wrong."),
        _ => return (format!("Svar: {outcome}."), format!("Answer: {outcome}.")),
    };
    (sv.to_owned(), en.to_owned())
}

/// What is known when it is judged.
#[derive(Clone, Copy)]
pub struct View<'v> {
    pub alarms: &'v Alarms,
    pub home: &'v Home,
    /// UTC milliseconds.
    pub now_ms: i64,
    /// The gateway is sure of the time.
    pub sure: bool,
}

/// What somebody here asks for, as the order that it is.
///
/// # Errors
/// [`Why`] not.
pub fn judge(view: View<'_>, wish: Wish) -> Result<Order, Why> {
    if matches!(wish.what, Ordered::Look { .. } | Ordered::Looked { .. }) {
        return looks::to_home(view, wish);
    }
    let alarm = match &wish.alarm {
        Some(id) => Some(view.alarms.get(id).filter(|alarm| alarm.closed_by.is_none()).ok_or(Why::NoAlarm)?),
        None => None,
    };
    let order = |to, expires_at, of| Order {
        to: Some(to),
        alarm: wish.alarm.clone(),
        what: wish.what.clone(),
        by: wish.by.clone(),
        role: wish.role.clone(),
        purpose: wish.purpose.clone(),
        expires_at,
        from: None,
        of,
        command: None,
        refused: None,
        look: None,
    };
    let expires_at = view.now_ms.saturating_add(life_ms(&wish.what));
    // A home's: it knows what is agreed there.
    if let Some(alarm) = alarm
        && let Some(told) = &alarm.raise.home
    {
        let of = OfHome { alarm: told.alarm.clone(), device: wish.device.clone() };
        return Ok(with_command(order(alarm.raise.device.clone(), expires_at, Some(of)), view));
    }
    let device = target(view.home, alarm, &wish)?;
    allowed(view, &device, alarm, &wish)?;
    Ok(with_command(order(device, expires_at, None), view))
}

fn with_command(order: Order, view: View<'_>) -> Order {
    Order { command: command(&order, view.home, view.now_ms).map(|command| Box::new(OnTheWire(command))), ..order }
}

/// What somebody at a hub asks for: as [`judge`], within what the home lets that hub do. `expires_at` is the hub's, UTC milliseconds.
///
/// # Errors
/// [`Why`] not.
pub fn judge_of_hub(view: View<'_>, receiver: &str, expires_at: i64, wish: Wish) -> Result<Order, Why> {
    is_heard(view, receiver, expires_at, wish.what.name())?;
    let alarm = wish.alarm.as_ref().and_then(|id| view.alarms.get(id));
    let order = judge(view, wish)?;
    // An alarm that this hub was never told of is none of its business.
    if alarm.is_some_and(|alarm| !alarm.steps.iter().any(|step| step.receiver == receiver)) {
        return Err(Why::NoAlarm);
    }
    // A hub below a hub passes nothing on.
    if order.of.is_some() {
        return Err(Why::NoAlarm);
    }
    Ok(order)
}

/// The home lets that hub order such a thing, and it came in time.
fn is_heard(view: View<'_>, receiver: &str, expires_at: i64, what: &str) -> Result<(), Why> {
    if !view.home.orders.hubs.get(receiver).is_some_and(|may| may.contains(what)) {
        return Err(Why::Hub);
    }
    // The hub says nothing that has expired by its own clock: this is for what was long on the way, whatever the two clocks differ.
    if view.sure && view.now_ms >= expires_at.saturating_add(ORDER_CLOCKS_MS) {
        return Err(Why::Expired);
    }
    Ok(())
}

fn life_ms(what: &Ordered) -> i64 {
    match what {
        Ordered::Unlock { .. } | Ordered::Lock {} => ORDER_UNLOCK_MS,
        Ordered::Feedback { .. } => ORDER_FEEDBACK_MS,
        Ordered::Settings { .. } => ORDER_SETTINGS_MS,
        Ordered::Look { .. } => ORDER_LOOK_MS,
        Ordered::Looked { .. } => LOOK_OUTCOME_MS,
    }
}

/// Whom the alarm is about.
fn resident_of(home: &Home, alarm: &Alarm) -> Option<String> {
    let basis = alarm.raise.basis.as_deref().and_then(|basis| basis.resident.clone());
    basis.or_else(|| home.orders.residents.get(&alarm.raise.device).cloned())
}

/// Somebody calls for help, or may need it: not a battery that has waited for weeks.
fn is_call(alarm: &Alarm) -> bool {
    matches!(alarm.raise.lane, Lane::Life | Lane::Care) && !alarm.over
}

fn target(home: &Home, alarm: Option<&Alarm>, wish: &Wish) -> Result<DeviceId, Why> {
    if let Some(device) = &wish.device {
        return match home.orders.devices.contains_key(device) {
            true => Ok(device.clone()),
            false if home.devices.contains_key(device) => Err(Why::NotADevice),
            false => Err(Why::NoDevice),
        };
    }
    let Some(alarm) = alarm else { return Err(Why::NoDevice) };
    let resident = resident_of(home, alarm);
    let theirs = |fits: fn(&Target) -> bool| {
        let of = home.orders.devices.iter().filter(move |(_, target)| fits(target));
        of.filter(|(_, target)| target.resident.is_some() && target.resident == resident)
    };
    match wish.what {
        Ordered::Unlock { .. } | Ordered::Lock {} => {
            let doors: Vec<_> = theirs(|target| target.is_door).collect();
            let agreed: Vec<_> = doors.iter().filter(|(_, target)| target.unlock.is_some()).collect();
            match (&agreed[..], &doors[..]) {
                ([(one, _)], _) | ([], [(one, _)]) => Ok((*one).clone()),
                // Of two doors nobody guesses.
                _ => Err(Why::NoDevice),
            }
        }
        Ordered::Feedback { .. } => {
            // What says words, else the one that was pressed, which has a light.
            let own = Some(&alarm.raise.device).filter(|device| home.orders.devices.contains_key(*device));
            theirs(|target| target.speaks).map(|(id, _)| id).next().or(own).cloned().ok_or(Why::NotADevice)
        }
        // A look is not a device's to carry out.
        Ordered::Settings { .. } | Ordered::Look { .. } | Ordered::Looked { .. } => Err(Why::NoDevice),
    }
}

fn allowed(view: View<'_>, device: &DeviceId, alarm: Option<&Alarm>, wish: &Wish) -> Result<(), Why> {
    let target = view.home.orders.devices.get(device).ok_or(Why::NoDevice)?;
    let has_role = |roles: &[&str]| if roles.contains(&wish.role.as_str()) { Ok(()) } else { Err(Why::Role) };
    match wish.what {
        Ordered::Feedback { .. } => has_role(&["staff", "night"]),
        Ordered::Settings { .. } => has_role(&["technician", "admin"]),
        Ordered::Look { .. } | Ordered::Looked { .. } => has_role(&[looks::ROLE]),
        Ordered::Unlock { .. } | Ordered::Lock {} => {
            if !target.is_lock {
                return Err(Why::NotALock);
            }
            let agreed = target.unlock.as_ref().ok_or(Why::NotAgreed)?;
            if !agreed.roles.contains(&wish.role) {
                return Err(Why::Role);
            }
            // To lock a door needs no more: it opens from inside.
            if wish.what == (Ordered::Lock {}) {
                return Ok(());
            }
            if !view.sure {
                return Err(Why::Clock);
            }
            if !agreed.term.holds(view.now_ms) {
                return Err(Why::NotInForce);
            }
            let is_of = |alarm: &Alarm| is_call(alarm) && resident_of(view.home, alarm) == target.resident;
            let is_theirs = target.resident.is_some() && alarm.is_some_and(is_of);
            if agreed.always || is_theirs { Ok(()) } else { Err(Why::WithoutAlarm) }
        }
    }
}

/// The command that an order means, for the one it goes to.
fn command(order: &Order, home: &Home, now_ms: i64) -> Option<Command> {
    if let Some(of) = &order.of {
        return Some(Command::Order {
            alarm: Some(of.alarm.clone()),
            device: of.device.clone(),
            by: order.by.as_str().into(),
            role: order.role.as_str().into(),
            purpose: order.purpose.as_str().into(),
            what: order.what.clone(),
        });
    }
    let by = order.by.as_str().into();
    Some(match order.what.clone() {
        Ordered::Unlock { open_s } => {
            let agreed = home.orders.devices.get(order.to.as_ref()?)?.unlock.as_ref()?.open_s;
            let until = now_ms.saturating_add(i64::from(open_s.unwrap_or(agreed).min(agreed)) * 1_000);
            Command::Lock { open: true, until: Some(until), by }
        }
        Ordered::Lock {} => Command::Lock { open: false, until: None, by },
        Ordered::Feedback { light, sound, text } => Command::Feedback { light, sound, text },
        Ordered::Settings { heartbeat_interval_s, volume_percent, language } => {
            Command::Settings { heartbeat_interval_s, position_interval_s: None, volume_percent, language }
        }
        // Said to a home, which carries it out itself.
        what @ (Ordered::Look { .. } | Ordered::Looked { .. }) => Command::Order {
            alarm: None,
            device: None,
            by: order.by.as_str().into(),
            role: order.role.as_str().into(),
            purpose: order.purpose.as_str().into(),
            what,
        },
    })
}

/// What was ordered, newest last, by the number of its record.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Orders(BTreeMap<u64, Kept>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub order: Order,
    /// UTC milliseconds.
    pub at: i64,
    /// What became of it, and when: a word of [`Outcome`] or of [`Why`]. Absent: no answer yet.
    #[serde(default)]
    pub outcome: Option<(String, i64)>,
}

impl Orders {
    /// Orders to their devices are forgotten.
    pub fn forget(&mut self, gone: &Gone<'_>) {
        self.0.retain(|_, kept| !kept.order.to.as_ref().is_some_and(|device| (gone.is_theirs)(device)));
    }

    pub fn apply(&mut self, record: u64, order: &Order, at: i64) {
        // A look is granted by its own record, and carried out beside: with that the order is done.
        let granted = order.look.map(|_| "done".to_owned());
        let outcome = order.refused.clone().or(granted).map(|word| (word, at));
        self.0.insert(record, Kept { order: order.clone(), at, outcome });
        while self.0.len() > ORDERS_KEPT_MAX {
            // What may still be done is not forgotten before what is over.
            let is_over = |(_, kept): &(&u64, &Kept)| kept.outcome.is_some() || kept.order.expires_at <= at;
            let oldest = self.0.iter().find(is_over).or_else(|| self.0.first_key_value()).map(|(record, _)| *record);
            oldest.and_then(|record| self.0.remove(&record));
        }
    }

    /// A newer order took its place before its device had it.
    pub fn replaced(&mut self, record: u64, at: i64) {
        if let Some(kept) = self.0.get_mut(&record).filter(|kept| kept.outcome.is_none()) {
            kept.outcome = Some(("replaced".to_owned(), at));
        }
    }

    /// What hubs have ordered and may not have heard the outcome of: receiver, the hub's id, the word.
    pub fn answers(&self, since_ms: i64) -> impl Iterator<Item = (&String, u64, &String)> {
        self.0.values().filter_map(move |kept| {
            let (word, _) = kept.outcome.as_ref().filter(|(_, at)| *at >= since_ms)?;
            let from = kept.order.from.as_ref()?;
            Some((&from.receiver, from.id, word))
        })
    }

    /// The one it went to has answered. The order, where that is news.
    pub fn done(&mut self, device: &DeviceId, record: u64, outcome: &Outcome, at: i64) -> Option<&Kept> {
        let kept = self.0.get_mut(&record).filter(|kept| kept.order.to.as_ref() == Some(device))?;
        if kept.outcome.is_some() {
            return None;
        }
        kept.outcome = Some((outcome.as_str().to_owned(), at));
        Some(kept)
    }

    /// What was ordered by this command of a hub.
    pub fn of_hub(&self, from: &FromHub) -> Option<&Kept> {
        self.0.values().rev().find(|kept| kept.order.from.as_ref() == Some(from))
    }

    /// Which look a hub's command has opened here, and for whom.
    pub fn look_of(&self, receiver: &str, id: u64) -> Option<u64> {
        let is_it = |kept: &&Kept| {
            let from = kept.order.from.as_ref().filter(|from| from.receiver == receiver && from.id == id);
            from.is_some() && matches!(kept.order.what, Ordered::Look { .. })
        };
        self.0.values().rev().find(is_it)?.order.look
    }

    /// The hub whose order has opened this look here.
    pub fn hub_of(&self, look: u64) -> Option<&str> {
        let opened = |kept: &&Kept| kept.order.look == Some(look) && matches!(kept.order.what, Ordered::Look { .. });
        let kept = self.0.values().rev().find(opened)?;
        kept.order.from.as_ref().map(|from| from.receiver.as_str())
    }

    /// With the number of its record, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = (u64, &Kept)> {
        self.0.iter().rev().map(|(record, kept)| (*record, kept))
    }

    /// With the number of its record, the oldest first.
    pub fn about<'o>(&'o self, alarm: &'o AlarmId) -> impl Iterator<Item = &'o Kept> {
        self.0.values().filter(move |kept| kept.order.alarm.as_ref() == Some(alarm))
    }

    pub fn get(&self, record: u64) -> Option<&Kept> {
        self.0.get(&record)
    }
}
