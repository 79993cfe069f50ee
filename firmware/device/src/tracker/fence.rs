//! The coarse fence on the device: a circle. A second guard beside the gateway's fences; it only lets a position be told.

use super::fix::Fix;

/// Beyond the circle by this much, less the fix's uncertainty, it is outside, metres. Source: our choice: wider than the
/// wander of a device that lies at the window.
const HYSTERESIS_M: u32 = 25;

/// Fixes in a row that must say so. Source: our choice: a single one jumps.
const ROW: u8 = 2;

/// A fix that is less sure decides nothing, metres. Source: our choice.
const ACCURACY_M_MAX: u32 = 100;

/// Metres that a ten-millionth of a degree of latitude stands for, times 10,000,000: 111,195 m a degree on a sphere of
/// 6,371 km. The earth differs by half a per cent, a coarse fence does not care.
const E7_M_E7: i64 = 111_195;

/// Largest fence, metres; a square of more would not fit. Beyond: no fence.
const RADIUS_M_MAX: u32 = 1_000_000;

/// A circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// Its middle, degrees times 10,000,000.
    pub lat_e7: i32,
    /// The same.
    pub lon_e7: i32,
    /// Metres.
    pub radius_m: u32,
}

impl Fence {
    /// As it is kept. Layout: version 1; latitude, longitude, radius, each four bytes little-endian.
    pub fn to_bytes(&self) -> [u8; 13] {
        let mut bytes = [1; 13];
        bytes[1..5].copy_from_slice(&self.lat_e7.to_le_bytes());
        bytes[5..9].copy_from_slice(&self.lon_e7.to_le_bytes());
        bytes[9..].copy_from_slice(&self.radius_m.to_le_bytes());
        bytes
    }

    /// As it was kept. `None`: it is no fence.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [1, a, b, c, d, e, f, g, h, i, j, k, l] = *bytes else { return None };
        let fence = Self {
            lat_e7: i32::from_le_bytes([a, b, c, d]),
            lon_e7: i32::from_le_bytes([e, f, g, h]),
            radius_m: u32::from_le_bytes([i, j, k, l]),
        };
        Some(fence).filter(|fence| (1..=RADIUS_M_MAX).contains(&fence.radius_m))
    }

    /// Surely outside, surely inside, or `None`: too near to the line, or too unsure.
    pub fn side_of(&self, fix: &Fix) -> Option<bool> {
        if fix.accuracy_m > ACCURACY_M_MAX {
            return None;
        }
        let apart_m2 = apart_m2((self.lat_e7, self.lon_e7), (fix.lat_e7, fix.lon_e7));
        let square = |metres: i64| metres * metres;
        let (radius_m, error_m) = (i64::from(self.radius_m), i64::from(fix.accuracy_m));
        if apart_m2 > square(radius_m + error_m + i64::from(HYSTERESIS_M)) {
            Some(true)
        } else if apart_m2 <= square((radius_m - error_m).max(0))
            || (radius_m < error_m && apart_m2 <= square(radius_m))
        {
            Some(false)
        } else {
            None
        }
    }
}

/// The square of the distance, metres, on a sphere laid flat; good to a per cent within 100 km, and far beyond it still
/// far.
fn apart_m2(a: (i32, i32), b: (i32, i32)) -> i64 {
    const TURN_E7: i64 = 3_600_000_000;
    let north_e7 = i64::from(b.0) - i64::from(a.0);
    // Over the date line the short way.
    let east_e7 = (i64::from(b.1) - i64::from(a.1) + TURN_E7 / 2).rem_euclid(TURN_E7) - TURN_E7 / 2;
    let middle_e7 = (i64::from(a.0) + i64::from(b.0)) / 2;
    let north_m = north_e7 * E7_M_E7 / 10_000_000;
    let east_m = east_e7 * E7_M_E7 / 10_000_000 * cos_e6(middle_e7) / 1_000_000;
    north_m * north_m + east_m * east_m
}

/// Cosine of a latitude, millionths: 1 − x²/2 + x⁴/24 − x⁶/720, wrong by less than a thousandth.
fn cos_e6(lat_e7: i64) -> i64 {
    const E6: i64 = 1_000_000;
    // Radians, millionths: π/180 = 0.017453293.
    let x = lat_e7 * 17_453_293 / 10_000_000_000;
    let x2 = x * x / E6;
    let x4 = x2 * x2 / E6;
    (E6 - x2 / 2 + x4 / 24 - x4 * x2 / E6 / 720).max(0)
}

/// On which side the device was, and whether it crossed.
#[derive(Debug, Clone, Default)]
pub struct Side {
    is_outside: Option<bool>,
    row: Option<(bool, u8)>,
}

impl Side {
    /// Not known yet.
    pub const fn new() -> Self {
        Self { is_outside: None, row: None }
    }

    /// Takes a fix. `Some(true)`: it has left, or is found outside. `Some(false)`: it is back.
    pub fn take(&mut self, fence: &Fence, fix: &Fix) -> Option<bool> {
        let is_outside = fence.side_of(fix)?;
        let before = self.row.filter(|(side, _)| *side == is_outside).map_or(0, |(_, row)| row);
        let row = before.saturating_add(1);
        self.row = Some((is_outside, row));
        if row < ROW || self.is_outside == Some(is_outside) {
            return None;
        }
        let was = self.is_outside.replace(is_outside);
        // First found inside: nothing was crossed.
        (was.is_some() || is_outside).then_some(is_outside)
    }

    /// The last fix left a doubt that the next would settle.
    pub fn is_in_doubt(&self) -> bool {
        self.row.is_some_and(|(side, row)| row < ROW && self.is_outside != Some(side))
    }
}
