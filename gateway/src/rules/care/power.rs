//! Rule `power`: mains lost and back, batteries.
use serde::{Deserialize, Serialize};
use super::{Out, View, Sight};

pub const NAME: &str = "power";
pub const VERSION: u16 = 1;

#[derive(Debug, Clone, PartialEq)]
pub struct Policy { pub mains_delay_ms: i64, pub battery_min_percent: u8 }
impl Default for Policy { fn default() -> Self { Policy { mains_delay_ms: 600_000, battery_min_percent: 10 } } }
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Powers {}
impl Powers { pub fn see(&mut self, _s: &Sight<'_>) {} }

pub fn judge(_view: View<'_>, _out: &mut Out) {}
