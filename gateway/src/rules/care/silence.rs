//! Rule `silence`: a device that has not been heard for longer than it may be.

use super::{Out, View};

pub const NAME: &str = "silence";
pub const VERSION: u16 = 1;

/// What is agreed of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Supervision {}

pub fn judge(_view: View<'_>, _out: &mut Out) {}
