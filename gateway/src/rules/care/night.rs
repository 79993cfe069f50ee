//! Rule `night`: the night as agreed: bed, doors, visits up, the morning, and the planned look-ins.

use super::agreed::Person;
use super::{Out, Sight, View};
use crate::journal::record::Decision;
use serde::{Deserialize, Serialize};

pub const NAME: &str = "night";
pub const VERSION: u16 = 1;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Nights {}

impl Nights {
    pub fn see(&mut self, _sight: &Sight<'_>) {}

    pub fn apply(&mut self, _decision: &Decision) {}
}

pub fn judge(_view: View<'_>, _person: &Person, _out: &mut Out) {}
