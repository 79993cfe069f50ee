//! Rule `presence`: no activity for longer than agreed; who is out is not missed.

use super::agreed::Person;
use super::{Out, Sight, View};
use crate::journal::record::Decision;
use serde::{Deserialize, Serialize};

pub const NAME: &str = "presence";
pub const VERSION: u16 = 1;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Presence {}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Presences {}

impl Presences {
    pub fn see(&mut self, _sight: &Sight<'_>) {}

    pub fn apply(&mut self, _decision: &Decision) {}
}

pub fn judge(_view: View<'_>, _person: &Person, _out: &mut Out) {}
