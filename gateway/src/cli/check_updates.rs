//! The doctor's lines of updates: of this program, and of the devices' firmware. Asked of the running gateway alone.

use serde_json::Value;

use crate::config::Config;
use crate::pipeline::control::{self, Request};
use crate::{firmware, update};

/// A part, its light and what was found. A home without updates has no line of them.
pub(super) fn lines(config: &Config) -> Vec<(&'static str, (&'static str, String))> {
    let ask = |request| control::request(&config.journal.dir, &request).and_then(Result::ok);
    let by = String::new;
    let own = config.update.is_some().then(|| ask(Request::Update { wish: update::Wish::Status, by: by() })).flatten();
    let devices = config.firmware.is_some();
    let devices = devices.then(|| ask(Request::Firmware { wish: firmware::Wish::Status, by: by() })).flatten();
    let own = own.map(|status| ("updates", program(&status)));
    own.into_iter().chain(devices.map(|status| ("firmware", fleet(&status)))).collect()
}

/// Yellow, not red: the program before it runs, and alarms go on.
fn program(status: &Value) -> (&'static str, String) {
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    let (state, said, running) = (text("state"), text("said"), text("running"));
    match state.as_str() {
        "failed" | "refused" | "unreachable" => ("yellow", format!("{running} runs; {state}: {said}")),
        "waiting" | "trial" => ("green", format!("{running} runs; {said}")),
        _ => ("green", format!("{running} runs")),
    }
}

fn fleet(status: &Value) -> (&'static str, String) {
    let rows = || status["devices"].as_array().into_iter().flatten();
    let named = |row: &Value| row["device"].as_str().unwrap_or_default().to_owned();
    let halting: Vec<String> =
        rows().filter(|row| row["halts"] == true).map(|row| format!("{} came to nothing", named(row))).collect();
    let waiting: Vec<String> = rows().filter(|row| row["waits"] == true).map(named).collect();
    let trouble = status["trouble"].as_str().filter(|trouble| !trouble.is_empty());
    let mut found = halting.clone();
    found.extend(trouble.map(|trouble| format!("the publisher: {trouble}")));
    if !halting.is_empty() {
        found.push("see: vaka device update list".to_owned());
    }
    if let Some(who) = status["stopped"].as_str() {
        found.push(format!("stopped by {who}"));
    }
    if !waiting.is_empty() {
        found.push(format!("waiting: {}", waiting.join(", ")));
    }
    let is_well = halting.is_empty() && trouble.is_none();
    if found.is_empty() {
        found.push("every device has the newest that there is for it".to_owned());
    }
    (if is_well { "green" } else { "yellow" }, found.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_failed_or_cannot_be_asked_is_yellow_and_what_waits_is_not() {
        for (state, light) in [
            ("failed", "yellow"),
            ("refused", "yellow"),
            ("unreachable", "yellow"),
            ("waiting", "green"),
            ("current", "green"),
        ] {
            let (found, said) = program(&json!({"running": "0.2.0", "state": state, "said": "0.3.0: why"}));
            assert_eq!(found, light, "{state}: {said}");
            assert_eq!(said.contains("why"), state != "current", "{said}");
        }
        let row = |device: &str, waits: bool, halts: bool| json!({"device": device, "waits": waits, "halts": halts});
        let well = json!({"devices": [row("p1", true, false)], "trouble": "", "stopped": null});
        assert_eq!(fleet(&well), ("green", "waiting: p1".to_owned()));
        let bad = json!({"devices": [row("p1", false, true), row("p2", true, false)], "trouble": "", "stopped": null});
        let (light, said) = fleet(&bad);
        assert!(light == "yellow" && said.contains("p1 came to nothing") && said.contains("waiting: p2"), "{said}");
        assert!(said.contains("vaka device update list"), "{said}");
        let (light, said) = fleet(&json!({"devices": [], "trouble": "it answers 404"}));
        assert_eq!((light, said.as_str()), ("yellow", "the publisher: it answers 404"));
        let stopped = json!({"devices": [row("p1", true, false)], "trouble": "", "stopped": "ture"});
        assert_eq!(fleet(&stopped), ("green", "stopped by ture; waiting: p1".to_owned()), "a person's own word");
        let newest = json!({"devices": [row("p1", false, false)], "trouble": "", "stopped": null});
        assert_eq!(fleet(&newest), ("green", "every device has the newest that there is for it".to_owned()));
    }
}
