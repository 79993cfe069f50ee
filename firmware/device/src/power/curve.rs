//! What a voltage says about a battery's charge. Enters: millivolts under the device's own load. Leaves: percent.
//!
//! Each curve is a table with straight lines between its points, in integers. Invariant: more millivolts never give less
//! percent. The points are our choice, after the common shape of the makers' discharge curves at room temperature and the
//! small loads of a sleeping device; a maker of a product puts in the curve that was measured with its battery.

/// A kind of battery as the device sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Curve {
    /// What it is called.
    pub name: &'static str,
    /// Millivolts and percent, from full to empty.
    pub points: &'static [(u16, u8)],
    /// From this on the battery must be changed or charged, percent.
    pub low_percent: u8,
    /// Below this nothing is erased, millivolts.
    ///
    /// Source: our choice, above the 1.7 V (bare) or 3.0 V (behind a regulator) that flash parts commonly need, with room
    /// for the sag during the erase.
    pub erase_mv: u16,
    /// Below this the device is about to go, millivolts. Lower: too little is left to send. Higher: charge that is left
    /// there is never used. Source: our choice, above the brown-out detector.
    pub gasp_mv: u16,
}

/// Lithium coin cell, 3 V, e.g. CR2032: flat, then a knee; its end at 2.0 V is where the makers end their curves.
pub static CR2032: Curve = Curve {
    name: "CR2032",
    points: &[(3_000, 100), (2_920, 80), (2_860, 55), (2_790, 35), (2_680, 18), (2_500, 8), (2_250, 2), (2_000, 0)],
    low_percent: 15,
    erase_mv: 2_200,
    gasp_mv: 2_050,
};

/// Lithium thionyl chloride, 3.6 V: so flat that the voltage shows little but the last fifth.
pub static LI_SOCL2: Curve = Curve {
    name: "Li-SOCl2",
    points: &[(3_600, 100), (3_550, 60), (3_500, 35), (3_400, 18), (3_200, 8), (2_800, 2), (2_200, 0)],
    low_percent: 15,
    erase_mv: 2_400,
    gasp_mv: 2_250,
};

/// Two alkaline cells in series: falls all the way.
pub static ALKALINE_PAIR: Curve = Curve {
    name: "2 x alkaline",
    points: &[(3_050, 100), (2_800, 80), (2_600, 55), (2_400, 30), (2_200, 12), (2_000, 4), (1_800, 0)],
    low_percent: 15,
    erase_mv: 2_100,
    gasp_mv: 1_950,
};

/// Lithium polymer, 4.2 V when full: measured before the regulator.
pub static LIPO: Curve = Curve {
    name: "LiPo",
    points: &[(4_150, 100), (4_020, 85), (3_900, 65), (3_800, 42), (3_720, 24), (3_650, 12), (3_550, 5), (3_300, 0)],
    low_percent: 20,
    erase_mv: 3_450,
    gasp_mv: 3_350,
};

/// A capacitor on 5 V that holds a mains device for seconds, before its regulator.
pub static CAPACITOR_5V: Curve =
    Curve { name: "capacitor", points: &[(4_800, 100), (3_300, 0)], low_percent: 0, erase_mv: 4_500, gasp_mv: 3_500 };

impl Curve {
    /// Percent of charge at that voltage, rounded down.
    pub fn percent(&self, millivolts: u16) -> u8 {
        let above = self.points.iter().rev().find(|(point, _)| *point >= millivolts);
        let below = self.points.iter().find(|(point, _)| *point <= millivolts);
        match (above, below) {
            (Some((high_mv, high)), Some((low_mv, low))) if high_mv > low_mv => {
                let part = u32::from(millivolts - low_mv) * u32::from(high - low) / u32::from(high_mv - low_mv);
                // At most the difference of two percents.
                low + part as u8
            }
            (_, Some((_, percent))) => *percent,
            _ => 0,
        }
    }
}
