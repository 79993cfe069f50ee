//! The bundle as a page: no script, nothing from elsewhere.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::Incident;
use crate::report::escaped;

/// The page, in Swedish and English beside each other.
pub fn page(incident: &Incident, zone: &TimeZone) -> String {
    let mut html = String::new();
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let title = format!("Larm / Alarm {}", incident.alarm);
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"sv\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<title>{0}</title>\n\
         <style>body{{font:16px/1.5 sans-serif;margin:2rem;max-width:70rem}}table{{border-collapse:collapse;width:100%}}\
         td,th{{border-bottom:1px solid #999;padding:.3rem .6rem;text-align:left;vertical-align:top}}\
         td.f{{font-family:monospace;font-size:.85em;overflow-wrap:anywhere}}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    let p = |html: &mut String, text: &str| {
        let _ = writeln!(html, "<p>{}</p>", escaped(text));
    };
    if incident.named {
        p(&mut html, "Innehåller personuppgifter. / Holds personal data.");
    } else {
        p(
            &mut html,
            "Utan namn: id är ersatta med nummer, människors egna ord är utelämnade. / Without names: ids are replaced by numbers, people's own words are left out.",
        );
    }
    for key in ["sv", "en"] {
        if let Some(text) = incident.shown[key].as_str() {
            p(&mut html, text);
        }
    }
    let versions: Vec<String> = incident.versions.iter().map(|(what, version)| format!("{what}: {version}")).collect();
    p(&mut html, &format!("Version: {}", versions.join(", ")));
    html.push_str(
        "<h2>Händelser / Timeline</h2>\n<table>\n<tr><th>Tid / Time</th><th>Slag / Kind</th><th>Vad / What</th></tr>\n",
    );
    for line in &incident.timeline {
        row(&mut html, line, zone);
    }
    html.push_str("</table>\n");
    if incident.more > 0 {
        p(&mut html, &format!("+ {}", incident.more));
    }
    html.push_str("<h2>Varför / Why</h2>\n");
    block(&mut html, &incident.shown["why"]);
    html.push_str("<h2>Siffror / Figures</h2>\n");
    block(&mut html, &serde_json::to_value(&incident.figures).unwrap_or_default());
    html.push_str("<h2>Konfiguration / Configuration</h2>\n");
    block(&mut html, &incident.config);
    html.push_str("</body>\n</html>\n");
    html
}

fn block(html: &mut String, facts: &Value) {
    let _ = writeln!(html, "<pre>{}</pre>", escaped(&format!("{facts:#}")));
}

fn row(html: &mut String, line: &Value, zone: &TimeZone) {
    let at = line["recorded_at"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = at.map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()).unwrap_or_default();
    let kind = line["kind"].as_str().unwrap_or_default();
    let mut rest = line.clone();
    if let Value::Object(fields) = &mut rest {
        fields.retain(|key, _| !["recorded_at", "kind", "boot", "lane"].contains(&key.as_str()));
    }
    let _ = writeln!(
        html,
        "<tr><td>{}</td><td>{}</td><td class=\"f\">{}</td></tr>",
        escaped(&at),
        escaped(kind),
        escaped(&rest.to_string())
    );
}
