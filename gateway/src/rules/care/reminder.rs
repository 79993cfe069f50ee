//! Rule `reminder`: what the resident has asked to be reminded of.

use super::agreed::Person;
use super::{Out, View};

pub const NAME: &str = "reminder";
pub const VERSION: u16 = 1;

/// What is agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reminder {}

pub fn judge(_view: View<'_>, _person: &Person, _out: &mut Out) {}
