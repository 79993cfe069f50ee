//! The alarms of the evening as `vaka alarm list` has them: every rung with its time, for a reader.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::teller::in_words;

/// Rows of `vaka alarm list --json --all`.
pub struct AlarmTable<'a>(pub &'a [Value]);

/// Rows printed; a recording may raise hundreds.
const ROWS_SHOWN: usize = 24;

impl fmt::Display for AlarmTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "none");
        }
        let mut rows: Vec<&Value> = self.0.iter().collect();
        rows.sort_by_key(|row| row["raised_at"].as_i64());
        let is_hub = rows.iter().any(|row| !row["home"].is_null());
        let home = |name: &str| if is_hub { format!("{name:<10} ") } else { String::new() };
        let after = "rungs, each after it was stored";
        writeln!(f, "{:<10} {}{:<11} {:<10} {:<10} {after}", "lane", home("home"), "device", "cause", "now")?;
        for row in rows.iter().take(ROWS_SHOWN) {
            let text = |key: &str| row[key].as_str().unwrap_or("?").to_string();
            let times =
                row["count"].as_u64().filter(|count| *count > 1).map_or(String::new(), |count| format!(" ×{count}"));
            let cause = format!("{}{times}", text("cause"));
            let (place, device) = match row["home"]["device"].as_str() {
                Some(device) => (text("device"), device.to_owned()),
                None => (String::new(), text("device")),
            };
            let (lane, now) = (text("lane"), text("rung"));
            writeln!(f, "{lane:<10} {}{device:<11} {cause:<10} {now:<10} {}", home(&place), rungs(row))?;
        }
        if rows.len() > ROWS_SHOWN {
            writeln!(f, "and {} more", rows.len() - ROWS_SHOWN)?;
        }
        Ok(())
    }
}

/// `sent 2 ms, received 3 ms, accepted 4 ms`: each rung once, by the notice that reached it first.
fn rungs(row: &Value) -> String {
    let mut seen: Vec<&str> = vec!["stored"];
    let mut told = Vec::new();
    for step in row["rungs"].as_array().into_iter().flatten() {
        let (Some(rung), Some(at)) = (step["rung"].as_str(), step["at"].as_i64()) else { continue };
        if seen.contains(&rung) {
            continue;
        }
        seen.push(rung);
        let after_ms = at.saturating_sub(row["raised_at"].as_i64().unwrap_or(at));
        told.push(format!("{rung} {}", in_words(Duration::from_millis(after_ms.max(0) as u64))));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_shows_each_rung_once() {
        let row = json!({"lane": "life", "device": "p1", "cause": "button", "rung": "accepted", "count": 2, "raised_at": 1000, "rungs": [
            {"rung": "stored", "at": 1000}, {"rung": "sent", "at": 1002}, {"rung": "accepted", "at": 1005},
            {"rung": "stored", "at": 1100}, {"rung": "accepted", "at": 1105}]});
        let table = AlarmTable(&[row]).to_string();
        assert!(table.contains("button ×2") && table.ends_with("sent 2.0 ms, accepted 5.0 ms\n"), "{table}");
    }

    #[test]
    fn a_hubs_rows_say_which_home() {
        let row = json!({"lane": "life", "device": "home-07", "cause": "button", "rung": "stored", "raised_at": 1000, "rungs": [],
            "home": {"device": "pendant-07"}});
        let table = AlarmTable(&[row]).to_string();
        assert!(table.lines().nth(1).is_some_and(|line| line.contains("home-07    pendant-07")), "{table}");
    }
}
