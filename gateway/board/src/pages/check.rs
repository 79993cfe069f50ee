//! `/check`: the doctor's findings, worst first, as `vaka check --plain` says them.

use maud::{Markup, html};
use serde_json::Value;

use super::frame::Frame;
use super::trouble::Trouble;
use super::view::{Asked, View};
use super::words;
use crate::gateway::Lang;

struct Row<'c> {
    light: &'c str,
    name: String,
    plain: &'c str,
    exact: &'c str,
}

impl<'c> Row<'c> {
    fn of(line: &'c Value, plain: &str, name: String) -> Self {
        Row { light: text(&line["light"]), name, plain: text(&line[plain]), exact: text(&line["found"]) }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn part_name(view: &View, part: &str) -> String {
    let said = match part {
        "config" | "home" => view.t("Inställningar", "Settings"),
        "life alarms" => view.t("Nödlarm går till", "Emergencies go to"),
        "certificates" => view.t("Certifikat", "Certificates"),
        "gateway" => view.t("Gatewayen", "The gateway"),
        "journal" => view.t("Det sparade", "What is kept"),
        "disk" => view.t("Plats", "Room"),
        "connections" => view.t("Anslutningar", "Connections"),
        "paths" => view.t("Vägar till mottagare", "Paths to receivers"),
        "alarms" => view.t("Larm på väg", "Alarms on their way"),
        "clock" => view.t("Klocka", "Clock"),
        other => return words::sentence(other),
    };
    said.to_owned()
}

fn rank(light: &str) -> u8 {
    match light {
        "red" => 0,
        "yellow" => 1,
        _ => 2,
    }
}

pub(super) async fn check(asked: Asked) -> Result<Markup, Trouble> {
    asked.trace("check", "gateway", "check", None).await?;
    let found = asked.board.gateway.check().await.map_err(|refused| asked.trouble(refused))?;
    // Of devices, those that this person may see.
    let own: Vec<String> = asked
        .sight()
        .devices()
        .await
        .map_err(|refused| asked.trouble(refused))?
        .into_iter()
        .map(|device| device.id)
        .collect();
    let residents = asked.sight().residents().await.map_err(|refused| asked.trouble(refused))?;
    // Of cameras, those of residents whom they see.
    let residents: Vec<String> = residents.into_iter().map(|resident| resident.id).collect();
    let view = &asked.view;
    let plain = if view.lang == Lang::Sv { "plain_sv" } else { "plain_en" };
    let items = |key: &str| found[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_parts = items("parts").iter().map(|line| Row::of(line, plain, part_name(view, text(&line["part"]))));
    let of_devices = items("devices").iter().filter(|line| own.iter().any(|id| line["device"] == id.as_str()));
    let of_devices = of_devices.map(|line| Row::of(line, plain, text(&line["device"]).to_owned()));
    let of_cameras = items("cameras").iter().filter(|line| residents.iter().any(|id| line["resident"] == id.as_str()));
    let of_cameras = of_cameras.map(|line| Row::of(line, plain, text(&line["camera"]).to_owned()));
    let mut rows: Vec<Row<'_>> = of_parts.chain(of_devices).chain(of_cameras).collect();
    rows.sort_by_key(|row| rank(row.light));
    let heading = match rows.first().map(|row| row.light) {
        Some("red") => view.t("Något måste göras nu", "Something has to be done now"),
        Some("yellow") => {
            view.t("Vaka håller vakt. Något bör ses över.", "Vaka keeps watch. Something should be looked at.")
        }
        _ => view.t("Allt är i ordning", "All is in order"),
    };
    let body = html! {
        h1 { (heading) }
        ul.rows.card { @for row in &rows { (line(view, row)) } }
        p.soft { (view.t("Samma som ", "The same as ")) code { "vaka check" } "." }
    };
    Ok(Frame::new(view, view.t("Kontroll", "Check")).tab("/check").page(body))
}

fn line(view: &View, row: &Row<'_>) -> Markup {
    let (mark, class, word) = match row.light {
        "red" => ("!", "miss", view.t("Nu", "Now")),
        "yellow" => ("–", "next", view.t("Se över", "Look at")),
        _ => ("✓", "ok", view.t("I ordning", "In order")),
    };
    html! {
        li {
            span { strong { (row.name) } small { (row.plain) }
                @if !row.exact.is_empty() && row.light != "green" {
                    details { summary { (view.t("Exakt", "Exactly")) span.sr { ": " (row.name) } } small lang="en" { (row.exact) } }
                } }
            span.tag.(class) { span aria-hidden="true" { (mark) } " " (word) }
        }
    }
}
