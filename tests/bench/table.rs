//! Figures as they come in, and the one table that goes out: medians of rounds, each beside its peers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stats::median;

/// One measure: its unit and every round's figure by column.
#[derive(Default)]
struct Row {
    unit: String,
    rounds: BTreeMap<String, Vec<f64>>,
}

/// Rows in the order in which they were first measured.
#[derive(Default)]
pub struct Table {
    order: Vec<String>,
    rows: BTreeMap<String, Row>,
}

impl Table {
    /// One round's figure. Rounds of all columns of a row belong together by their position.
    pub fn add(&mut self, row: &str, unit: &str, column: &str, figure: f64) {
        if !self.rows.contains_key(row) {
            self.order.push(row.to_owned());
        }
        let place = self.rows.entry(row.to_owned()).or_default();
        unit.clone_into(&mut place.unit);
        place.rounds.entry(column.to_owned()).or_default().push(figure);
    }

    pub fn rounds(&self, row: &str, column: &str) -> &[f64] {
        self.rows.get(row).and_then(|row| row.rounds.get(column)).map_or(&[], Vec::as_slice)
    }

    pub fn median(&self, row: &str, column: &str) -> f64 {
        median(self.rounds(row, column).iter().copied())
    }

    /// Median of the ratios of one round each: a noisy minute of the machine hits both sides of a ratio.
    pub fn ratio(&self, row: &str, column: &str, beside: &str) -> f64 {
        let pairs = self.rounds(row, column).iter().zip(self.rounds(row, beside));
        median(pairs.filter(|(_, b)| **b != 0.0).map(|(a, b)| a / b))
    }

    /// The table as text. `columns`: ours first, then the one that ours is set in ratio to. Rows without any are left out.
    pub fn print(&self, columns: &[&str]) -> String {
        let mut lines = vec![vec!["".to_owned(), "unit".to_owned()]];
        lines[0].extend(columns.iter().map(|c| c.to_string()));
        let beside = columns.get(1);
        lines[0].extend(beside.map(|c| format!("{}/{c}", columns[0])));
        for name in &self.order {
            let row = &self.rows[name];
            if !columns.iter().any(|column| row.rounds.contains_key(*column)) {
                continue;
            }
            let mut line = vec![name.clone(), row.unit.clone()];
            line.extend(columns.iter().map(|column| figure(self.median(name, column))));
            line.extend(beside.map(|column| match self.ratio(name, columns[0], column) {
                ratio if ratio.is_finite() => format!("{ratio:.2}"),
                _ => "–".to_owned(),
            }));
            lines.push(line);
        }
        aligned(&lines)
    }

    /// Read back from what `json` wrote; rounds that had no number are NaN again.
    pub fn from_json(rows: &Value) -> Option<Table> {
        let mut table = Table::default();
        for row in rows.as_array()? {
            for (column, figures) in row["columns"].as_object()? {
                for round in figures["rounds"].as_array()? {
                    let figure = round.as_f64().unwrap_or(f64::NAN);
                    table.add(row["row"].as_str()?, row["unit"].as_str()?, column, figure);
                }
            }
        }
        Some(table)
    }

    pub fn json(&self) -> Value {
        let rows = self.order.iter().map(|name| {
            let row = &self.rows[name];
            let columns: serde_json::Map<String, Value> = row.rounds.iter().map(|(column, rounds)| {
                (column.clone(), json!({"median": number(self.median(name, column)), "rounds": rounds.iter().map(|r| number(*r)).collect::<Vec<_>>()}))
            }).collect();
            json!({"row": name, "unit": row.unit, "columns": columns})
        });
        Value::Array(rows.collect())
    }
}

/// JSON knows no NaN: a figure that is missing is null.
fn number(figure: f64) -> Value {
    serde_json::Number::from_f64(figure).map_or(Value::Null, Value::Number)
}

/// Three figures that matter; missing ones as a dash.
pub fn figure(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        v if v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Columns set under each other, the first to the left, figures to the right.
pub fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| lines.iter().filter_map(|l| l.get(c)).map(|t| t.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (c, cell) in line.iter().enumerate() {
            let pad = " ".repeat(widths[c] - cell.chars().count());
            out += &if c < 2 { format!("{cell}{pad}  ") } else { format!("{pad}{cell}  ") };
        }
        text += out.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        let mut table = Table::default();
        for (ours, theirs) in [(20.0, 10.0), (2.0, 1.0), (9.0, 3.0)] {
            table.add("rate", "ack/s", "vaka", ours);
            table.add("rate", "ack/s", "peer", theirs);
        }
        assert_eq!(table.ratio("rate", "vaka", "peer"), 2.0);
        assert_eq!(table.median("rate", "vaka"), 9.0);
        assert!(table.print(&["vaka", "peer"]).contains("2.00"));
        assert!(table.ratio("rate", "vaka", "nobody").is_nan());
        table.add("lost", "ms", "peer", f64::NAN);
        let again = Table::from_json(&table.json()).unwrap();
        assert_eq!(again.print(&["vaka", "peer"]), table.print(&["vaka", "peer"]));
    }
}
