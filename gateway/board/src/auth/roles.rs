//! Roles and what each may do. The one table that says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a person works as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Home-care assistant: alarms and the round of their own groups.
    Staff,
    /// Night patrol: as staff, and looks in.
    Night,
    /// Provisions and mends devices; sees no resident's name.
    Technician,
    /// People, agreements and settings.
    Admin,
    /// Reads the log, and nothing else.
    Auditor,
}

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Log-in pages, style, script: nobody has to be known.
    Open,
    /// Anybody who is logged in.
    Any,
    /// One's own keys: anybody, freshly proven.
    OwnKeys,
    SeeAlarms,
    ActOnAlarms,
    SeeRound,
    SignRound,
    SeeResidents,
    /// A name, an address, how to get in.
    SeeNames,
    ChangeAgreements,
    /// Ends what was agreed, at once.
    Withdraw,
    SeeDevices,
    ChangeDevices,
    /// Silences a device for good.
    RevokeDevices,
    SeePeople,
    ChangePeople,
    SeeLog,
    /// Says something to a resident.
    Say,
    /// Opens a lock or gives a locked dose free.
    Unlock,
    /// Looks in by camera.
    LookIn,
    /// Says what a look showed: by then the log-in is older than a look may be.
    SayLook,
}

impl Right {
    /// Needs a strong authentication no older than [`crate::limits::FRESH_MS`].
    pub fn is_sensitive(self) -> bool {
        matches!(
            self,
            Right::Unlock
                | Right::LookIn
                | Right::ChangePeople
                | Right::OwnKeys
                | Right::Withdraw
                | Right::RevokeDevices
        )
    }
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Staff, Role::Night, Role::Technician, Role::Admin, Role::Auditor];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Staff => "staff",
            Role::Night => "night",
            Role::Technician => "technician",
            Role::Admin => "admin",
            Role::Auditor => "auditor",
        }
    }

    pub fn may(self, right: Right) -> bool {
        use Right::*;
        match right {
            Open | Any | OwnKeys => true,
            SeeAlarms => !matches!(self, Role::Auditor),
            ActOnAlarms => matches!(self, Role::Staff | Role::Night | Role::Technician | Role::Admin),
            SeeRound | SignRound | SeeNames => matches!(self, Role::Staff | Role::Night),
            SeeResidents => matches!(self, Role::Staff | Role::Night | Role::Admin),
            ChangeAgreements | Withdraw | SeePeople | ChangePeople => matches!(self, Role::Admin),
            SeeDevices => matches!(self, Role::Staff | Role::Night | Role::Technician | Role::Admin),
            ChangeDevices | RevokeDevices => matches!(self, Role::Technician | Role::Admin),
            SeeLog => matches!(self, Role::Auditor | Role::Admin),
            Say | Unlock => matches!(self, Role::Staff | Role::Night),
            LookIn | SayLook => matches!(self, Role::Night),
        }
    }
}

/// Whose residents a person sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Units(pub BTreeSet<String>);

impl Units {
    /// `*` stands for every group; what has no group is seen by whoever sees every group, and by those who have any where it is an
    /// alarm (an alarm that nobody sees is worse).
    pub fn cover(&self, unit: Option<&str>) -> bool {
        self.0.contains("*") || unit.is_some_and(|unit| self.0.contains(unit))
    }
}
