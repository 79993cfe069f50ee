//! The table's main rows as a picture: a table enters, an SVG file leaves.
//!
//! Above, ratios to mosquitto as it is shipped, on a logarithmic axis; below, bars of what is no ratio because somebody's
//! figure is 0. The ground is opaque, so that it reads the same on a light page and on a dark one; peers differ in shape as
//! well as in colour.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::cells::{ACKNOWLEDGED, IDLE_RSS, IDLE_WAKES, KILLED, LOADS, LOST, P99, WRITTEN};
use crate::outage::{AFTER, DELIVERED, Way, row};
use crate::peers::{AEDES, MOSQUITTO, MOSQUITTO_AUTOSAVE, RUMQTTD, VAKA};
use crate::table::{Table, figure};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Width of the picture, in pixels.
const WIDTH: i32 = 900;
const GROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(100, 108, 116);
const LINE: RGBColor = RGBColor(216, 222, 228);

/// Left end of the axis of ratios, and its width, in pixels.
const AXIS_LEFT: i32 = 250;
const AXIS_WIDTH: i32 = 620;
const ROW_HEIGHT: i32 = 34;
/// Where the rows of ratios begin; height of one bar with its gap; widths of the three pictures of bars.
const ROWS_TOP: i32 = 80;
const BAR_HEIGHT: i32 = 24;
const BAR_WIDTHS: [i32; 3] = [245, 360, 255];

/// One line of the upper picture.
struct Ratio {
    text: String,
    /// Of the table.
    row: String,
    more_is_better: bool,
}

fn ratios() -> Vec<Ratio> {
    let of_load = |what: &'static str, more_is_better: bool| {
        LOADS.map(|load| Ratio { text: format!("{what}, {}", load.name()), row: load.row(what), more_is_better })
    };
    let mut lines: Vec<Ratio> = of_load(ACKNOWLEDGED, true).into_iter().chain(of_load(P99, false)).collect();
    for line in &mut lines[..LOADS.len()] {
        line.text = line.text.replace(',', " per s,");
    }
    for (text, row) in [("memory at rest, 50 devices", IDLE_RSS), ("wake-ups at rest", IDLE_WAKES)] {
        lines.push(Ratio { text: text.into(), row: row.into(), more_is_better: false });
    }
    lines
}

/// Draws it. An error: a run without mosquitto, or a file that cannot be written.
pub fn draw(table: &Table, columns: &[&str], file: &Path) -> Result<()> {
    ensure!(columns.contains(&MOSQUITTO), "--plot draws ratios to mosquitto, and mosquitto was not measured");
    let lines = ratios();
    let bars_top = ROWS_TOP + ROW_HEIGHT * lines.len() as i32 + 40;
    let height = bars_top + 34 + BAR_HEIGHT * columns.len() as i32;
    let area = SVGBackend::new(file, (WIDTH as u32, height as u32)).into_drawing_area();
    let drawn = ground(&area, height)
        .and_then(|()| legend(columns, &area))
        .and_then(|()| rows(table, columns, &lines, &area))
        .and_then(|()| bars(table, columns, &area, bars_top))
        .and_then(|()| Ok(area.present()?));
    drawn.map_err(|e| anyhow!("drawing {}: {e}", file.display()))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn ground(area: &Area, height: i32) -> Drawn {
    let whole = [(0, 0), (WIDTH - 1, height - 1)];
    area.draw(&Rectangle::new(whole, GROUND.filled()))?;
    Ok(area.draw(&Rectangle::new(whole, LINE))?)
}

/// The upper picture: a row for each ratio, a mark for each peer.
fn rows(table: &Table, columns: &[&str], lines: &[Ratio], area: &Area) -> Drawn {
    let bottom = ROWS_TOP + ROW_HEIGHT * lines.len() as i32;
    let (low, high) = range(table, columns, lines);
    let x = |ratio: f64| {
        let share = (ratio.clamp(low, high) / low).ln() / (high / low).ln();
        AXIS_LEFT + (share * f64::from(AXIS_WIDTH)).round() as i32
    };
    let mut decade = low;
    while decade <= high * 1.01 {
        let color = if (decade - 1.0).abs() < 1e-9 { INK } else { LINE };
        area.draw(&PathElement::new([(x(decade), ROWS_TOP), (x(decade), bottom)], color))?;
        text(area, &times(decade), (x(decade), bottom + 13), 12, FAINT, HPos::Center)?;
        decade *= 10.0;
    }
    let mut better = None;
    for (index, line) in lines.iter().enumerate() {
        let top = ROWS_TOP + ROW_HEIGHT * index as i32;
        let y = top + ROW_HEIGHT / 2 + 2;
        if better != Some(line.more_is_better) {
            better = Some(line.more_is_better);
            let hint = if line.more_is_better { "more is better →" } else { "← less is better" };
            area.draw(&PathElement::new([(20, top), (AXIS_LEFT + AXIS_WIDTH, top)], LINE))?;
            // On the side where better lies.
            let (at, side) = if line.more_is_better {
                (AXIS_LEFT + AXIS_WIDTH - 6, HPos::Right)
            } else {
                (AXIS_LEFT + 6, HPos::Left)
            };
            text(area, hint, (at, top + 10), 11, FAINT, side)?;
        }
        text(area, &line.text, (AXIS_LEFT - 16, y), 13, INK, HPos::Right)?;
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for column in columns {
            let ratio = table.ratio(&line.row, column, MOSQUITTO);
            if *column == MOSQUITTO || !ratio.is_finite() {
                continue;
            }
            // No place on such an axis is nothing: those stand side by side at its end. Else, a mark that would hide
            // another stands below it.
            let mut at = (x(ratio), y);
            while ratio == 0.0 && taken.contains(&at) {
                at.0 += 16;
            }
            while taken.iter().any(|other| (at.0 - other.0).abs() < 12 && (at.1 - other.1).abs() < 9) {
                at.1 += 9;
            }
            taken.push(at);
            marker(area, column, at)?;
            if *column == VAKA {
                let said = if ratio == 0.0 { "none".to_owned() } else { times(ratio) };
                let half = 4 * said.chars().count() as i32;
                area.draw(&Rectangle::new([(at.0 - half, y - 21), (at.0 + half, y - 9)], GROUND.filled()))?;
                text(area, &said, (at.0, y - 14), 12, color(VAKA), HPos::Center)?;
            }
        }
    }
    Ok(())
}

/// Whole decades around all ratios; zeros stand at the left end.
fn range(table: &Table, columns: &[&str], lines: &[Ratio]) -> (f64, f64) {
    let all = lines.iter().flat_map(|line| columns.iter().map(|column| table.ratio(&line.row, column, MOSQUITTO)));
    let (low, high) = all
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .fold((0.1f64, 10.0f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()))
}

/// Two figures that matter, without zeros that say nothing.
fn times(ratio: f64) -> String {
    let said = match ratio {
        r if r >= 10.0 => return format!("{r:.0}×"),
        r if r >= 1.0 => format!("{r:.1}"),
        r if r >= 0.1 => format!("{r:.2}"),
        r => format!("{r:.3}"),
    };
    format!("{}×", said.trim_end_matches('0').trim_end_matches('.'))
}

fn legend(columns: &[&str], area: &Area) -> Drawn {
    text(area, "Beside mosquitto as it is shipped", (20, 28), 18, INK, HPos::Left)?;
    let note = "1× is mosquitto. Vaka acknowledges what is on the disk; the others acknowledge first.";
    text(area, note, (20, 54), 13, FAINT, HPos::Left)?;
    let mut left = WIDTH - 20;
    for column in columns.iter().rev() {
        left -= 7 * column.len() as i32 + 12;
        text(area, column, (left, 28), 13, INK, HPos::Left)?;
        left -= 12;
        marker(area, column, (left, 28))?;
        left -= 8;
    }
    Ok(())
}

/// The lower pictures: three with a bar for each peer, side by side.
fn bars(table: &Table, columns: &[&str], area: &Area, top: i32) -> Drawn {
    let delivered = |way, column: &str| table.median(&row(way, DELIVERED), column);
    let panels: [(&str, Bars); 3] = [
        ("lost after kill -9, of 100", &|column| {
            let share = 100.0 * table.median(LOST, column) / table.median(KILLED, column);
            (share, figure(share))
        }),
        ("seconds to the alarm after an outage", &|column| {
            let seconds = table.median(&row(Way::Tuned, AFTER), column) / 1e3;
            let mut said = if delivered(Way::Tuned, column) == 0.0 { "lost".into() } else { figure(seconds) };
            if delivered(Way::AsShipped, column) == 0.0 {
                said += " tuned; as shipped: lost";
            }
            (seconds, said)
        }),
        ("bytes written per event of 300", &|column| {
            let bytes = table.median(WRITTEN, column);
            (bytes, figure(bytes))
        }),
    ];
    let mut left = 20;
    area.draw(&PathElement::new([(left, top - 10), (WIDTH - 20, top - 10)], LINE))?;
    for ((title, value), width) in panels.iter().zip(BAR_WIDTHS) {
        text(area, title, (left, top + 8), 13, INK, HPos::Left)?;
        let longest = columns.iter().map(|column| value(column).0).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let start = left + 132;
        for (place, column) in columns.iter().enumerate() {
            let y = top + 34 + BAR_HEIGHT * place as i32;
            let (bar, said) = value(column);
            text(area, column, (start - 8, y), 12, INK, HPos::Right)?;
            let mut end = start;
            if bar.is_finite() && longest > 0.0 {
                end += (bar / longest * 55.0).round().max(1.0) as i32;
                area.draw(&Rectangle::new([(start, y - 7), (end, y + 7)], color(column).filled()))?;
            }
            text(area, &said, (end + 6, y), 12, INK, HPos::Left)?;
        }
        left += width;
    }
    Ok(())
}

/// A column's bar and what is written beside it.
type Bars<'a> = &'a dyn Fn(&str) -> (f64, String);

/// Told apart with any colour vision (Okabe and Ito's palette).
fn color(column: &str) -> RGBColor {
    match column {
        VAKA => RGBColor(0, 114, 178),
        MOSQUITTO => RGBColor(110, 118, 129),
        MOSQUITTO_AUTOSAVE => RGBColor(213, 94, 0),
        RUMQTTD => RGBColor(0, 158, 115),
        AEDES => RGBColor(204, 121, 167),
        _ => INK,
    }
}

fn marker(area: &Area, column: &str, (x, y): (i32, i32)) -> Drawn {
    let style = color(column).filled();
    match column {
        VAKA => area.draw(&Circle::new((x, y), 7, style))?,
        MOSQUITTO => area.draw(&Rectangle::new([(x - 1, y - 7), (x + 1, y + 7)], INK.filled()))?,
        MOSQUITTO_AUTOSAVE => area.draw(&TriangleMarker::new((x, y), 7, style))?,
        RUMQTTD => area.draw(&Rectangle::new([(x - 5, y - 5), (x + 5, y + 5)], style))?,
        _ => area.draw(&Polygon::new([(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)], style))?,
    }
    Ok(())
}

fn text(area: &Area, said: &str, at: (i32, i32), size: i32, color: RGBColor, side: HPos) -> Drawn {
    // plotters draws a font 1.24 times as small as it is told.
    let style = ("sans-serif", f64::from(size) * 1.24).into_font().color(&color).pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(said.to_owned(), at, style))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_every_peer_that_was_measured_and_no_other() {
        let mut table = Table::default();
        for (column, rate) in [(VAKA, 70_000.0), (MOSQUITTO, 40_000.0), (AEDES, 5_000.0)] {
            table.add(&LOADS[2].row(ACKNOWLEDGED), "ev/s", column, rate);
            table.add(IDLE_WAKES, "/min", column, if column == VAKA { 0.0 } else { 600.0 });
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("figures.svg");
        draw(&table, &[VAKA, MOSQUITTO, AEDES], &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(svg.contains("1.8×"), "the ratio of the rates");
        assert!(svg.contains(AEDES) && !svg.contains(RUMQTTD));
        assert!(draw(&table, &[VAKA, AEDES], &file).unwrap_err().to_string().contains("mosquitto was not measured"));
    }

    #[test]
    fn ratios_are_said_in_few_figures() {
        assert_eq!(times(10.0), "10×");
        assert_eq!(times(1.0), "1×");
        assert_eq!(times(1.84), "1.8×");
        assert_eq!(times(0.1), "0.1×");
        assert_eq!(times(0.01), "0.01×");
    }
}
