//! What was promised about speed and size, beside what was measured.

use serde_json::{Value, json};

use crate::cells::{
    ACKNOWLEDGED, CONNACK, IDLE_RSS, IDLE_SYNCS, LOADS, LOST, MACHINE, P50, RAW_P50, SIZE, UNHEARD, WRITTEN, press_row,
};
use crate::outage::{self, AFTER, Way};
use crate::peers::{MOSQUITTO, MOSQUITTO_AUTOSAVE, VAKA};
use crate::stats::median;
use crate::table::{Table, aligned, figure};

pub struct Goal {
    pub text: &'static str,
    pub measured: f64,
    pub bound: f64,
    pub unit: &'static str,
    /// At least the bound; else at most.
    at_least: bool,
}

impl Goal {
    pub fn at_least(text: &'static str, measured: f64, bound: f64, unit: &'static str) -> Goal {
        Goal { text, measured, bound, unit, at_least: true }
    }

    pub fn at_most(text: &'static str, measured: f64, bound: f64, unit: &'static str) -> Goal {
        Goal { text, measured, bound, unit, at_least: false }
    }

    /// None: not measured in this run.
    pub fn met(&self) -> Option<bool> {
        self.measured.is_finite().then_some(if self.at_least {
            self.measured >= self.bound
        } else {
            self.measured <= self.bound
        })
    }
}

/// Every goal; a bound that depends on the machine is computed round by round, beside the figure it bounds.
pub fn goals(table: &Table) -> Vec<Goal> {
    let (at_least, at_most) = (Goal::at_least, Goal::at_most);
    let own = |row: &str| table.median(row, VAKA);
    let raw = table.rounds(RAW_P50, MACHINE);
    let single = LOADS[0].row(P50);
    let singles = table.rounds(&single, VAKA).iter().zip(table.rounds(&single, MOSQUITTO)).zip(raw);
    let single_ratio = median(singles.map(|((vaka, mosquitto), raw)| vaka / (raw + mosquitto)));
    // There are fewer outages of the slow one: the medians' ratio, not the ratios' median.
    let after = |name| table.median(&outage::row(Way::Tuned, AFTER), name);
    let mut goals = vec![
        at_least(
            "50×10: acknowledged, times mosquitto's",
            table.ratio(&LOADS[2].row(ACKNOWLEDGED), VAKA, MOSQUITTO),
            2.0,
            "×",
        ),
        at_least(
            "50×10: acknowledged, times mosquitto's with autosave_on_changes",
            table.ratio(&LOADS[2].row(ACKNOWLEDGED), VAKA, MOSQUITTO_AUTOSAVE),
            50.0,
            "×",
        ),
        at_least(
            "alarm after an outage, times sooner than over the tuned bridge with autosave",
            after(MOSQUITTO_AUTOSAVE) / after(VAKA),
            5.0,
            "×",
        ),
        at_most("1×1: PUBACK p50, times (raw fdatasync + mosquitto's)", single_ratio, 1.5, "×"),
    ];
    for (text, centre) in [
        ("press to accepted p50, less 3 raw fdatasyncs (SIPp)", "SIPp"),
        ("press to accepted p50, less 3 raw fdatasyncs (bench centre)", "bench centre"),
    ] {
        let row = press_row(centre, "accepted, p50");
        let beyond = median(table.rounds(&row, VAKA).iter().zip(raw).map(|(press, raw)| press - 3.0 * raw));
        goals.push(at_most(text, beyond, 5.0, "ms"));
    }
    goals.extend([
        at_most(
            "presses that nobody accepted",
            table.rounds(UNHEARD, VAKA).iter().copied().fold(f64::NAN, f64::max),
            0.0,
            "",
        ),
        at_most("lost after kill -9", own(LOST), 0.0, "events"),
        at_most("RSS with 50 devices", own(IDLE_RSS), 16.0, "MiB"),
        at_most("program, stripped", own(SIZE), 12.0, "MiB"),
        at_most("start to first CONNACK, empty journal", own(CONNACK), 500.0, "ms"),
        at_most("written to the disk per 300 B event, 16 waiting", own(WRITTEN), 700.0, "B"),
        at_most("syncs at rest", own(IDLE_SYNCS), 0.0, "/min"),
    ]);
    goals
}

pub fn print(goals: &[Goal]) -> String {
    let mut lines = vec![["goal", "", "measured", "bound", "met"].map(str::to_owned).to_vec()];
    for goal in goals {
        let sign = if goal.at_least { "≥" } else { "≤" };
        let met = match goal.met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "not measured",
        };
        lines.push(vec![
            goal.text.into(),
            goal.unit.into(),
            figure(goal.measured),
            format!("{sign} {}", figure(goal.bound)),
            met.into(),
        ]);
    }
    aligned(&lines)
}

pub fn json(goals: &[Goal]) -> Value {
    let measured = |goal: &Goal| serde_json::Number::from_f64(goal.measured).map_or(Value::Null, Value::Number);
    let line =
        |g: &Goal| json!({"goal": g.text, "unit": g.unit, "measured": measured(g), "bound": g.bound, "met": g.met()});
    goals.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_beside_a_peer_that_is_left_out_is_not_measured() {
        let mut table = Table::default();
        let sooner =
            |table: &Table| goals(table).into_iter().find(|goal| goal.text.starts_with("alarm after")).unwrap();
        // Three outages beside one: each side's median, not only the pair.
        for after_ms in [900.0, 100.0, 300.0] {
            table.add(&outage::row(Way::Tuned, AFTER), "ms", VAKA, after_ms);
        }
        assert_eq!(sooner(&table).met(), None);
        table.add(&outage::row(Way::Tuned, AFTER), "ms", MOSQUITTO_AUTOSAVE, 1_800.0);
        assert_eq!((sooner(&table).measured, sooner(&table).met()), (6.0, Some(true)));
        table.add(&outage::row(Way::Tuned, AFTER), "ms", MOSQUITTO_AUTOSAVE, 600.0);
        assert_eq!(sooner(&table).met(), Some(false));
    }
}
