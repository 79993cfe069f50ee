//! CSV as RFC 4180 describes it in general: commas, quotes where they are needed. A value never begins as a formula would in a spreadsheet.

use serde_json::Value;

pub const EVENTS: &str = "record,recorded_at_utc,happened_at_utc,device,restart,seq,lane,event,values";
pub const ALARMS: &str = "id,raised_at_utc,lane,rung,device,resident,room,rule,cause,count,claimed_by,closed_by,outcome,note,text_sv,text_en";

/// The row of an event's line; `None`: it is none.
pub fn event(line: &Value) -> Option<String> {
    if line["kind"] != "event" {
        return None;
    }
    let (name, values) = match line["event"].as_object().and_then(|event| event.iter().next()) {
        Some((name, values)) => (name.clone(), values.to_string()),
        None => (String::new(), line.get("payload").map(Value::to_string).unwrap_or_default()),
    };
    let text = |key: &str| plain(&line[key]);
    Some(row(&[
        text("record"),
        utc(&line["recorded_at"]),
        utc(&line["at"]),
        text("device"),
        text("restart"),
        text("seq"),
        text("lane"),
        name,
        values,
    ]))
}

/// The row of an alarm as [`crate::pipeline::view::show`] tells it.
pub fn alarm(shown: &Value) -> String {
    let text = |key: &str| plain(&shown[key]);
    row(&[
        text("id"),
        utc(&shown["raised_at"]),
        text("lane"),
        text("rung"),
        text("device"),
        text("resident"),
        text("room"),
        text("rule"),
        text("cause"),
        text("count"),
        text("claimed_by"),
        text("closed_by"),
        text("outcome"),
        text("note"),
        text("sv"),
        text("en"),
    ])
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn utc(value: &Value) -> String {
    let at = value.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn row(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",")
}

fn quoted(cell: &str) -> String {
    // What a person or device wrote must not be carried out by who opens it.
    let is_formula =
        cell.starts_with(['=', '+', '@', '\t', '\r']) || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_not_carried_out() {
        let cells = ["plain", "a,b", "say \"hi\"", "two\nlines", "=1+1", "-12", "-cmd", ""].map(str::to_owned);
        assert_eq!(row(&cells), "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",'=1+1,-12,'-cmd,");
    }
}
