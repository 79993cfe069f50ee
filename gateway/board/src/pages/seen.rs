//! What a person sees: every row a page shows comes through here, and nowhere else is a unit compared.
//!
//! Enters: the gateway's rows and a person's units. Leaves: the rows those cover. What has no unit is seen by whoever sees every
//! unit; an alarm without one by everybody who may see alarms: an alarm that nobody sees is worse than one too many.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::{Session, Units};
use crate::gateway::{
    Alarm, Device, Gateway, InviteWish, LookAt, LookIn, Night, Refused, Resident, RoundItem, Story, TraceQuery, Traced,
};

/// Whether these units see an alarm.
pub fn sees_alarm(units: &Units, alarm: &Alarm) -> bool {
    // What nobody has accepted is everybody's.
    alarm.unit.is_none() || alarm.nobody || units.cover(alarm.unit.as_deref())
}

/// Whether these units see a line of the round.
pub fn sees_round(units: &Units, item: &RoundItem) -> bool {
    units.cover(item.unit.as_deref())
}

/// The gateway through a person's eyes. What they do not see is not found.
pub struct Sight<'b> {
    gateway: &'b dyn Gateway,
    units: &'b Units,
}

fn none(what: &str, id: &str) -> Refused {
    Refused::NotFound(format!("there is no {what} {id} that this person may see"))
}

impl<'b> Sight<'b> {
    pub fn new(gateway: &'b dyn Gateway, session: &'b Session) -> Self {
        Sight { gateway, units: &session.person.units }
    }

    /// Every alarm at hand, open ones first.
    pub async fn alarms(&self) -> Result<Vec<Arc<Alarm>>, Refused> {
        let mut alarms = self.gateway.alarms(true).await?;
        alarms.retain(|alarm| sees_alarm(self.units, alarm));
        Ok(alarms)
    }

    pub async fn story(&self, id: &str) -> Result<Story, Refused> {
        let story = self.gateway.story(id).await?;
        match sees_alarm(self.units, &story.alarm) {
            true => Ok(story),
            false => Err(none("alarm", id)),
        }
    }

    pub async fn residents(&self) -> Result<Vec<Resident>, Refused> {
        let mut residents = self.gateway.residents().await?;
        residents.retain(|resident| self.units.cover(resident.unit.as_deref()));
        Ok(residents)
    }

    pub async fn resident(&self, id: &str) -> Result<Resident, Refused> {
        let found = self.residents().await?.into_iter().find(|resident| resident.id == id);
        found.ok_or_else(|| none("resident", id))
    }

    pub async fn devices(&self) -> Result<Vec<Device>, Refused> {
        let mut devices = self.gateway.devices().await?;
        devices.retain(|device| self.units.cover(device.unit.as_deref()));
        Ok(devices)
    }

    pub async fn device(&self, id: &str) -> Result<Device, Refused> {
        self.devices().await?.into_iter().find(|device| device.id == id).ok_or_else(|| none("device", id))
    }

    /// Whether this person may have this device: for a resident they see, and in no other's place. Without a resident it is everybody's, and
    /// whoever sees every group invites it.
    pub async fn may_invite(&self, wish: &InviteWish) -> Result<(), Refused> {
        match &wish.resident {
            Some(resident) => drop(self.resident(resident).await?),
            None if self.units.cover(None) => {}
            None => {
                let why = "a device of no resident belongs to every group; name a resident of yours";
                return Err(Refused::Forbidden(why.into()));
            }
        }
        let there = self.gateway.devices().await?.into_iter().find(|device| device.id == wish.id);
        match there {
            Some(device) if !self.units.cover(device.unit.as_deref()) => Err(Refused::Forbidden(format!(
                "{} is called so already by a device of another group; take another id",
                device.id
            ))),
            _ => Ok(()),
        }
    }

    /// Whether this person sees everything that stands in this gateway: what concerns all of it is theirs to end.
    pub async fn sees_all(&self) -> Result<bool, Refused> {
        Ok(self.units.cover(None)
            || self.gateway.devices().await?.iter().all(|one| self.units.cover(one.unit.as_deref())))
    }

    /// How the visit stands, as far as this person sees it: lines of the gateway itself, and of their devices.
    pub async fn visit(&self) -> Result<Value, Refused> {
        let mut status = self.gateway.visit(json!("status")).await?;
        if !self.units.cover(None) {
            let own: Vec<String> = self.devices().await?.into_iter().map(|device| device.id).collect();
            let is_own = |device: &Value| match device.as_str() {
                None | Some("") => true,
                Some(id) => own.iter().any(|one| one == id),
            };
            if let Some(lines) = status["lines"].as_array_mut() {
                lines.retain(|line| is_own(&line["device"]));
            }
            if !is_own(&status["open"]["armed"]["device"]) {
                status["open"]["armed"] = Value::Null;
            }
        }
        Ok(status)
    }

    /// `date` as [`Gateway::night`] takes it.
    pub async fn night(&self, date: Option<String>) -> Result<Night, Refused> {
        let mut night = self.gateway.night(date).await?;
        night.round.retain(|item| sees_round(self.units, item));
        night.people.retain(|of| self.units.cover(of.unit.as_deref()));
        Ok(night)
    }

    /// A look-in by camera, before anybody looks.
    pub async fn look_in(&self, at: LookAt) -> Result<LookIn, Refused> {
        let look = self.gateway.look_in(at).await?;
        match self.units.cover(look.unit.as_deref()) {
            true => Ok(look),
            false => Err(none("resident", &look.resident)),
        }
    }

    /// What was done and read: of residents these units cover, and what is of no resident.
    pub async fn traces(&self, query: TraceQuery) -> Result<Vec<Traced>, Refused> {
        let mut traces = self.gateway.traces(query).await?;
        if !self.units.0.contains("*") {
            let own: Vec<String> = self.residents().await?.into_iter().map(|resident| resident.id).collect();
            traces.retain(|traced| traced.trace.resident.as_ref().is_none_or(|id| own.contains(id)));
        }
        Ok(traces)
    }
}
