//! Rule `power`: mains lost and back, batteries.

use super::{Out, View};

pub const NAME: &str = "power";
pub const VERSION: u16 = 1;

/// What is agreed of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {}

pub fn judge(_view: View<'_>, _out: &mut Out) {}
