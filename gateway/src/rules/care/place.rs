//! Rule `place`: where somebody carries their alarm: areas entered and left.

use super::agreed::Person;
use super::{Out, Sight, View};
use serde::{Deserialize, Serialize};

pub const NAME: &str = "place";
pub const VERSION: u16 = 1;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fence {}

/// What is remembered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Places {}

impl Places {
    pub fn see(&mut self, _sight: &Sight<'_>) {}
}

pub fn judge(_view: View<'_>, _person: &Person, _out: &mut Out) {}
