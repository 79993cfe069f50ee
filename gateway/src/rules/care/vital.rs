//! Rule `vital`: readings passed on untouched; a limit only where a named professional set it.

use super::agreed::Person;
use super::{Out, Sight, View};
use serde::{Deserialize, Serialize};

pub const NAME: &str = "vital";
pub const VERSION: u16 = 1;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Vitals {}

impl Vitals {
    pub fn see(&mut self, _sight: &Sight<'_>) {}
}

pub fn judge(_view: View<'_>, _person: &Person, _out: &mut Out) {}
