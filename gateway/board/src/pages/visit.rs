//! `/visit`: the technician's list. It ends when no line is red that nobody has been given.
//!
//! Enters: how the visit stands, as `vaka visit status --json` prints it. Leaves: the same steps as on the command line.

use axum::extract::{Form, Path};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::word;
use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::words;
use crate::gateway::{Lang, Refused};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_open(line: &Value) -> bool {
    line["light"] == "red" && !line["handed_over"].is_object()
}

/// What a line is about.
fn about(view: &View, what: &str) -> String {
    let said = match what {
        "route" => view.t("Provens väg", "Way of the tests"),
        "paths" => view.t("Förbindelser", "Paths"),
        "mains" => view.t("Ström bruten", "Mains cut"),
        "clock" => view.t("Klocka", "Clock"),
        "disk" => view.t("Disk", "Disk"),
        "heard" => view.t("Hörd", "Heard"),
        "signal" => view.t("Signal", "Signal"),
        "battery" => view.t("Batteri", "Battery"),
        "press" => view.t("Provad ända fram", "Tried all the way"),
        "tried" => view.t("Provad", "Tried"),
        "seen" => view.t("Svar vid enheten", "Answer at the device"),
        other => return words::sentence(other),
    };
    said.to_owned()
}

pub(super) async fn visit(asked: Asked) -> Result<Markup, Trouble> {
    let status = asked.sight().visit().await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("visit", "visit", "status", None).await?;
    let view = &asked.view;
    let title = view.t("Besök", "Visit");
    let body = if status["open"].is_object() { open(view, &status) } else { closed(view, &status) };
    Ok(Frame::new(view, title).tab("/visit").page(body))
}

fn closed(view: &View, status: &Value) -> Markup {
    html! {
        div.narrow {
            h1 { (view.t("Inget besök pågår", "No visit is under way")) }
            p { (view.t("Under ett besök visar varje enhet att den fungerar, ända fram till en människa. Besöket kan inte avslutas rött.",
                "During a visit every device shows that it works, all the way to a person. A visit cannot end red.")) }
            form method="post" action="/visit" { button.main name="step" value="start" { (view.t("Börja besöket", "Begin the visit")) } }
            @if let Some(at) = status["finished_at"].as_i64() {
                p.soft { (view.t("Förra besöket avslutades ", "The last visit was finished ")) (view.times.when(at)) "." }
                div.act {
                    a.button href="/visit/protocol/page" { (view.t("Protokollet att skriva ut", "The protocol to print")) }
                    a.button href="/visit/protocol/signed" { (view.t("Samma, signerat", "The same, signed")) }
                }
            }
        }
    }
}

fn open(view: &View, status: &Value) -> Markup {
    let red = items(&status["lines"]).filter(|line| is_open(line)).count();
    let by = text(&status["open"]["by"]);
    let since = status["open"]["started_at"].as_i64().map(|at| view.times.when(at)).unwrap_or_default();
    // Lines of a device stand together; the gateway's own first.
    let mut devices: Vec<&str> = items(&status["lines"]).map(|line| text(&line["device"])).collect();
    devices.sort_unstable();
    devices.dedup();
    let heading = match red {
        0 => view.t("Inget är rött. Besöket kan avslutas.", "Nothing is red. The visit can be finished.").to_owned(),
        n => words::many(view.lang, n, ("rad är röd", "rader är röda"), ("line is red", "lines are red")),
    };
    html! {
        h1 { (heading) }
        p.lead { (view.say(format!("Besök av {by}, sedan {since}."), format!("Visit by {by}, since {since}."))) }
        (armed(view, &status["open"]["armed"]))
        @for device in devices {
            section.card aria-labelledby={ "v-" (device) } {
                h2 id={ "v-" (device) } { @if device.is_empty() { (view.t("Gatewayen själv", "The gateway itself")) } @else { (device) } }
                ul.rows { @for line in items(&status["lines"]).filter(|line| text(&line["device"]) == device) { (row(view, line)) } }
            }
        }
        form.act method="post" action="/visit" {
            @if red == 0 { button.main name="step" value="finish" { (view.t("Avsluta besöket", "Finish the visit")) } }
            @else { p.strong { (view.t("Ordna det röda, eller lämna över det till någon. Sedan kan besöket avslutas.", "Put right what is red, or give it to somebody. Then the visit can be finished.")) } }
        }
    }
}

fn armed(view: &View, armed: &Value) -> Markup {
    let device = text(&armed["device"]);
    html! {
        @if !device.is_empty() {
            div.card.now role="status" {
                p.strong { (view.say(format!("Prov på {device} i {} s till. Ett tryck är ett prov; nästa är på riktigt.", armed["left_s"]),
                    format!("Test of {device} for {} s more. One press is a test; the next is real.", armed["left_s"]))) }
                @if armed["connected"] != true {
                    p { (view.t("Enheten är inte ansluten: trycket räknas bara om den anger egen tid, annars blir det ett riktigt larm.",
                        "It is not connected: its press counts only if it tells its own time, else it is a real alarm.")) }
                }
                p { a.button href="/visit" { (view.t("Läs om", "Read again")) } }
            }
        }
    }
}

fn row(view: &View, line: &Value) -> Markup {
    let given = &line["handed_over"];
    let (mark, class, word) = match (text(&line["light"]), given.is_object()) {
        ("red", true) => ("→", "next", view.t("Överlämnat", "Handed over")),
        ("red", false) => ("✗", "miss", view.t("Rött", "Red")),
        ("yellow", _) => ("–", "later", view.t("Att veta", "To know")),
        _ => ("✓", "ok", view.t("Klart", "In order")),
    };
    let found = text(&line[if view.lang == Lang::Sv { "sv" } else { "en" }]);
    html! {
        li {
            span { strong { (about(view, text(&line["what"]))) } small { (found)
                @if given.is_object() { " " (view.t("Till ", "To ")) (text(&given["to"])) ": " (text(&given["reason"])) "." } } }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
            @if is_open(line) { div.act { (steps(view, line)) } }
        }
    }
}

/// What a red line can be put right with, here and now.
fn steps(view: &View, line: &Value) -> Markup {
    let (device, name, what) = (text(&line["device"]), text(&line["line"]), text(&line["what"]));
    let spoken = html! { span.sr { ": " (name) } };
    html! {
        @if line["command"].is_string() {
            @match what {
                "press" | "tried" => form method="post" action="/visit" {
                    input type="hidden" name="device" value=(device);
                    button.main name="step" value="arm" { (if what == "press" { view.t("Slå på prov", "Arm the test") } else { view.t("Låt den lysa och låta", "Let it light and sound") }) (spoken) }
                },
                "seen" => form method="post" action="/visit" {
                    input type="hidden" name="device" value=(device);
                    button.main name="step" value="seen" { (view.t("Jag såg eller hörde svaret", "I saw or heard the answer")) (spoken) }
                },
                "signal" | "battery" => details.act-form {
                    summary.button { (view.t("Skriv in mätning …", "Write what was measured …")) (spoken) }
                    form.form method="post" action="/visit" {
                        input type="hidden" name="device" value=(device);
                        @if what == "signal" {
                            label { (view.t("Signal, dBm", "Signal, dBm")) input type="number" name="signal_dbm" min="-150" max="20"; }
                            label.tick { input type="checkbox" name="wired" value="true"; (view.t("Den har kabel, ingen radio", "It is wired, no radio")) }
                        } @else {
                            label { (view.t("Batteri, procent", "Battery, percent")) input type="number" name="battery_percent" min="0" max="100"; }
                            label.tick { input type="checkbox" name="no_battery" value="true"; (view.t("Den har inget batteri", "It has no battery")) }
                        }
                        button name="step" value="measured" { (view.t("Spara", "Save")) }
                    }
                },
                _ => {}
            }
        }
        details.act-form {
            summary.button { (view.t("Lämna över …", "Hand over …")) (spoken) }
            form.form method="post" action="/visit" {
                input type="hidden" name="line" value=(name);
                label { (view.t("Varför är det inte klart?", "Why is it not in order?")) input name="reason" required maxlength="200" autocomplete="off"; }
                label { (view.t("Vem tar det, och när?", "Who sees to it, and when?")) input name="to" required maxlength="200" autocomplete="off"; }
                button name="step" value="hand-over" { (view.t("Lämna över", "Hand over")) }
            }
        }
    }
}

/// A file to keep: the page has a style of its own, which the board's own pages must not have.
pub(super) async fn protocol(asked: Asked, Path(form): Path<String>) -> Result<Response, Trouble> {
    sees_all(&asked).await?;
    let made = asked.board.gateway.protocol(asked.view.lang).await.map_err(|refused| asked.trouble(refused))?;
    let (kind, end, text) = match form.as_str() {
        "page" => ("text/html; charset=utf-8", "html", made.page),
        "signed" => ("application/json", "json", made.signed),
        other => return Err(asked.trouble(Refused::NotFound(format!("a protocol is page or signed, not {other:?}")))),
    };
    asked.trace("read-protocol", "visit", made.name.clone(), None).await?;
    let name = format!("attachment; filename=\"{}.{end}\"", made.name);
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response())
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Step {
    step: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    line: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    signal_dbm: String,
    #[serde(default)]
    battery_percent: String,
    #[serde(default)]
    wired: bool,
    #[serde(default)]
    no_battery: bool,
}

/// A visit is of everything that stands there.
async fn sees_all(asked: &Asked) -> Result<(), Trouble> {
    match asked.sight().sees_all().await.map_err(|refused| asked.trouble(refused))? {
        true => Ok(()),
        false => {
            let why = "a visit is of every device here, and some belong to groups that this person does not see";
            Err(asked.trouble(Refused::Forbidden(why.into())))
        }
    }
}

pub(super) async fn step(asked: Asked, Form(form): Form<Step>) -> Result<Redirect, Trouble> {
    let by = asked.by();
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse::<i16>().map(Some).map_err(|_| {
            asked.trouble(Refused::Wrong(format!("a measurement must be a whole number such as -71; {text:?} came")))
        }),
    };
    let device = &form.device;
    let wish = match form.step.as_str() {
        "start" => json!({"start": {"by": by}}),
        "arm" => json!({"arm": {"device": device, "by": by}}),
        "seen" => json!({"seen": {"device": device, "by": by}}),
        "measured" => json!({"measured": {
            "device": device, "by": by, "signal_dbm": number(&form.signal_dbm)?, "wired": form.wired,
            "battery_percent": number(&form.battery_percent)?, "no_battery": form.no_battery,
        }}),
        "hand-over" => json!({"hand_over": {
            "line": form.line, "reason": word(&asked, &form.reason)?, "to": word(&asked, &form.to)?, "by": by,
        }}),
        "finish" => json!({"finish": {"by": by}}),
        other => return Err(asked.trouble(Refused::Wrong(format!("a visit has no step {other:?}")))),
    };
    // What concerns the whole gateway is done by whoever sees all of it; a line, by whoever sees its device.
    if matches!(form.step.as_str(), "start" | "finish") {
        sees_all(&asked).await?;
    }
    if !form.line.is_empty() {
        let status = asked.sight().visit().await.map_err(|refused| asked.trouble(refused))?;
        if !items(&status["lines"]).any(|line| text(&line["line"]) == form.line) {
            let why = format!("the visit has no line {} that this person may see", form.line);
            return Err(asked.trouble(Refused::NotFound(why)));
        }
    }
    if !device.is_empty() {
        asked.sight().device(device).await.map_err(|refused| asked.trouble(refused))?;
    }
    let object = [device.as_str(), form.line.as_str()].into_iter().find(|word| !word.is_empty()).unwrap_or("visit");
    asked.trace("visit", object, format!("visit {}", form.step), None).await?;
    asked.board.gateway.visit(wish).await.map_err(|refused| asked.trouble(refused))?;
    Ok(Redirect::to("/visit"))
}
