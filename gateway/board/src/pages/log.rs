//! `/log`: who read and did what, and why; `/log/export` the same as JSON lines; `/residents/{id}/extract` what one resident is
//! given: "who has looked at me".

use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::words;
use crate::auth::Role;
use crate::gateway::{TraceQuery, Traced};
use crate::limits::{TRACES_EXPORTED_MAX, TRACES_SHOWN_MAX};

#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    person: String,
    #[serde(default)]
    resident: String,
    /// Local dates, both included.
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    /// Of the page before: older than this, UTC milliseconds.
    before: Option<i64>,
}

impl Filter {
    fn query(&self, view: &View, most: usize) -> TraceQuery {
        let word = |word: &str| Some(word.trim().to_owned()).filter(|word| !word.is_empty());
        let midnight =
            |date: Date| date.to_zoned(view.times.zone.clone()).ok().map(|at| at.timestamp().as_millisecond());
        let date = |text: &str| text.trim().parse::<Date>().ok();
        let until = date(&self.until).and_then(|date| date.tomorrow().ok()).and_then(midnight).map(|at| at - 1);
        TraceQuery {
            from: date(&self.from).and_then(midnight),
            until: self.before.map_or(until, |before| Some(until.unwrap_or(i64::MAX).min(before - 1))),
            person: word(&self.person),
            resident: word(&self.resident),
            most,
        }
    }

    /// The same for the export, and for the next page.
    fn again(&self, before: Option<i64>) -> String {
        let mut again = String::new();
        let pairs =
            [("person", &self.person), ("resident", &self.resident), ("from", &self.from), ("until", &self.until)];
        for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            again.push_str(&format!("{key}={}&", escaped(value)));
        }
        before.map_or_else(|| again.trim_end_matches('&').to_owned(), |before| format!("{again}before={before}"))
    }
}

/// For a query: everything but letters, digits, `-` and `_` by its bytes.
fn escaped(value: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    value.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn object(filter: &Filter) -> String {
    let again = filter.again(None);
    if again.is_empty() { "log".to_owned() } else { format!("log {again}") }
}

pub(super) async fn log(asked: Asked, Query(filter): Query<Filter>) -> Result<Markup, Trouble> {
    asked.trace("read-log", object(&filter), "audit", None).await?;
    let view = &asked.view;
    let query = filter.query(view, TRACES_SHOWN_MAX);
    let traces = asked.sight().traces(query).await.map_err(|refused| asked.trouble(refused))?;
    let check = asked.board.gateway.check().await.map_err(|refused| asked.trouble(refused))?;
    let older = traces.last().filter(|_| traces.len() >= TRACES_SHOWN_MAX).map(|last| last.at);
    let title = view.t("Logg", "Log");
    let body = html! {
        h1 { (view.t("Vem har läst och gjort vad", "Who has read and done what")) }
        (chain(view, &check, traces.first()))
        form.form.filter method="get" action="/log" role="search" {
            label { (view.t("Person", "Person")) input name="person" value=(filter.person) autocomplete="off"; }
            label { (view.t("Boende", "Resident")) input name="resident" value=(filter.resident) autocomplete="off"; }
            label { (view.t("Från dag", "From day")) input type="date" name="from" value=(filter.from); }
            label { (view.t("Till dag", "To day")) input type="date" name="until" value=(filter.until); }
            button { (view.t("Visa", "Show")) }
        }
        (table(view, &traces))
        div.act {
            @if let Some(before) = older { a.button href={ "/log?" (filter.again(Some(before))) } { (view.t("Äldre", "Older")) } }
            a.button href={ "/log/export?" (filter.again(None)) } download { (view.t("Exportera (JSON-rader)", "Export (JSON lines)")) }
        }
    };
    Ok(Frame::new(view, title).tab("/log").page(body))
}

/// Whether the journal that the log stands in is whole, as the doctor found it.
fn chain(view: &View, check: &serde_json::Value, newest: Option<&Traced>) -> Markup {
    let mut parts = check["parts"].as_array().into_iter().flatten();
    let journal = parts.find(|part| part["part"] == "journal");
    let light = journal.and_then(|part| part["light"].as_str()).unwrap_or_default();
    let (class, said) = match light {
        "green" => (
            "ok",
            view.t(
                "✓ Loggen är hel: varje rad bygger på den före.",
                "✓ The log is whole: each row builds on the one before.",
            ),
        ),
        "" => (
            "next",
            view.t("? Om loggen är hel går inte att säga nu.", "? Whether the log is whole cannot be said now."),
        ),
        _ => (
            "miss",
            view.t(
                "✗ En del av loggen är skadad. Tala med tekniker.",
                "✗ A part of the log is damaged. Talk to a technician.",
            ),
        ),
    };
    html! {
        div.card {
            p.strong.(class) { (said) }
            @if let Some(newest) = newest {
                p.soft { (view.t("Nyaste rad ", "Newest row ")) (newest.seq) ", " (view.t("kontrollsumma ", "hash ")) code.hash { (newest.hash) } ". "
                    (view.t("Prova själv: ", "Check it yourself: ")) code { "vaka journal verify" } "." }
            }
        }
    }
}

fn table(view: &View, traces: &[Traced]) -> Markup {
    let role =
        |word: &str| Role::ALL.into_iter().find(|role| role.as_str() == word).map(|role| words::role(view.lang, role));
    html! {
        @if traces.is_empty() { p { (view.t("Inga rader.", "No rows.")) } } @else {
            div.scroll tabindex="0" role="region" aria-label=(view.t("Loggens rader", "Rows of the log")) {
                table {
                    thead { tr {
                        th scope="col" { (view.t("När", "When")) } th scope="col" { (view.t("Vem", "Who")) } th scope="col" { (view.t("Gjorde", "Did")) }
                        th scope="col" { (view.t("Med", "To")) } th scope="col" { (view.t("Varför", "Why")) } th scope="col" { (view.t("Rad", "Row")) }
                    } }
                    tbody { @for Traced { seq, at, trace, .. } in traces { tr {
                        td { (view.times.when(*at)) }
                        td { (trace.person) small { (role(&trace.role).unwrap_or(&trace.role)) ", " (trace.session) } }
                        td { (words::act(view.lang, &trace.act)) } td { (words::object(view.lang, &trace.object)) } td { (words::reason(view.lang, &trace.purpose)) } td { (seq) }
                    } } }
                }
            }
        }
    }
}

pub(super) async fn export(asked: Asked, Query(filter): Query<Filter>) -> Result<Response, Trouble> {
    asked.trace("export-log", object(&filter), "audit", None).await?;
    let query = filter.query(&asked.view, TRACES_EXPORTED_MAX);
    let traces = asked.sight().traces(query).await.map_err(|refused| asked.trouble(refused))?;
    let lines: String =
        traces.iter().filter_map(|traced| serde_json::to_string(traced).ok()).map(|line| line + "\n").collect();
    let kind = [
        (header::CONTENT_TYPE, "application/jsonl; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"vaka-log.jsonl\""),
    ];
    Ok((kind, lines).into_response())
}

pub(super) async fn extract(
    asked: Asked,
    Path(id): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Markup, Trouble> {
    asked.sight().resident(&id).await.map_err(|refused| asked.trouble(refused))?;
    asked.trace("read-extract", format!("resident {id}"), "extract", Some(&id)).await?;
    let view = &asked.view;
    let query = TraceQuery { resident: Some(id.clone()), ..filter.query(view, TRACES_EXPORTED_MAX) };
    let traces = asked.sight().traces(query).await.map_err(|refused| asked.trouble(refused))?;
    let title = view.t("Vem har sett mina uppgifter?", "Who has seen my data?");
    let role =
        |word: &str| Role::ALL.into_iter().find(|role| role.as_str() == word).map(|role| words::role(view.lang, role));
    let body = html! {
        div.paper {
            h1 { (title) }
            p { (view.say(format!("Utdrag för boende {id}, gjort {}.", view.times.when(view.times.now_ms)), format!("Extract for resident {id}, made {}.", view.times.when(view.times.now_ms)))) " "
                (view.t("Varje gång någon läst eller ändrat något som rör dig. Nyast först.", "Each time somebody has read or changed something about you. Newest first.")) }
            p { strong { (words::many(view.lang, traces.len(), ("gång", "gånger"), ("time", "times"))) } }
            ul.rows.story {
                @for Traced { at, trace, .. } in &traces {
                    li {
                        time { (view.times.date(view.times.date_of(*at))) " " (view.times.minute(*at)) }
                        span { (words::sentence(role(&trace.role).unwrap_or(&trace.role))) " (" (trace.person) ") " (words::act(view.lang, &trace.act)) "."
                            @if !trace.purpose.is_empty() { small { (view.t("Anledning: ", "Reason: ")) (words::reason(view.lang, &trace.purpose)) } } }
                    }
                }
            }
            p.soft { (view.t("Frågor: fråga din hemtjänst, eller kommunens dataskyddsombud.", "Questions: ask your home care, or the municipality's data protection officer.")) }
        }
    };
    Ok(Frame::new(view, title).tab("/residents").page(body))
}
