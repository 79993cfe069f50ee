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

const SIZE: (u32, u32) = (900, 640);
const GROUND: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const FAINT: RGBColor = RGBColor(100, 108, 116);
const LINE: RGBColor = RGBColor(216, 222, 228);

/// Left end of the axis of ratios, and its width, in pixels.
const AXIS_LEFT: i32 = 250;
const AXIS_WIDTH: i32 = 620;
const ROW_HEIGHT: i32 = 34;

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
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    picture(table, columns, &area).map_err(|e| anyhow!("drawing {}: {e}", file.display()))
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn picture(table: &Table, columns: &[&str], area: &Area) -> Drawn {
    area.draw(&Rectangle::new([(0, 0), (SIZE.0 as i32 - 1, SIZE.1 as i32 - 1)], GROUND.filled()))?;
    area.draw(&Rectangle::new([(0, 0), (SIZE.0 as i32 - 1, SIZE.1 as i32 - 1)], LINE))?;
    text(area, "Times mosquitto as it is shipped", (20, 26), 18, INK, HPos::Left)?;
    legend(columns, area)?;
    let lines = ratios();
    let bottom = 76 + ROW_HEIGHT * lines.len() as i32;
    let (low, high) = range(table, columns, &lines);
    let x = |ratio: f64| {
        let share = (ratio.clamp(low, high) / low).ln() / (high / low).ln();
        AXIS_LEFT + (share * f64::from(AXIS_WIDTH)).round() as i32
    };
    let mut decade = low;
    while decade <= high * 1.01 {
        let color = if (decade - 1.0).abs() < 1e-9 { INK } else { LINE };
        area.draw(&PathElement::new([(x(decade), 68), (x(decade), bottom)], color))?;
        text(area, &times(decade), (x(decade), bottom + 12), 12, FAINT, HPos::Center)?;
        decade *= 10.0;
    }
    let mut better = None;
    for (index, line) in lines.iter().enumerate() {
        let y = 76 + ROW_HEIGHT * index as i32 + ROW_HEIGHT / 2;
        if better != Some(line.more_is_better) {
            better = Some(line.more_is_better);
            let hint = if line.more_is_better { "more is better" } else { "less is better" };
            area.draw(&PathElement::new(
                [(20, y - ROW_HEIGHT / 2), (AXIS_LEFT + AXIS_WIDTH, y - ROW_HEIGHT / 2)],
                LINE,
            ))?;
            text(area, hint, (20, y - 8), 11, FAINT, HPos::Left)?;
        }
        text(area, &line.text, (AXIS_LEFT - 14, y), 13, INK, HPos::Right)?;
        // Ours last: it lies on top.
        for column in columns.iter().rev() {
            let ratio = table.median(&line.row, column) / table.median(&line.row, MOSQUITTO);
            if *column == MOSQUITTO || !ratio.is_finite() {
                continue;
            }
            marker(area, column, (x(ratio), y))?;
            if *column == VAKA {
                let said = if ratio == 0.0 { "0".to_owned() } else { times(ratio) };
                text(area, &said, (x(ratio), y - 13), 12, color(VAKA), HPos::Center)?;
            }
        }
    }
    bars(table, columns, area, bottom + 34)
}

/// Whole decades around all ratios; zeros stand at the left end.
fn range(table: &Table, columns: &[&str], lines: &[Ratio]) -> (f64, f64) {
    let all = lines.iter().flat_map(|line| {
        columns.iter().map(|column| table.median(&line.row, column) / table.median(&line.row, MOSQUITTO))
    });
    let (low, high) = all
        .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
        .fold((0.1f64, 10.0f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
    (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()))
}

fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 10.0 => format!("{r:.0}×"),
        r if r >= 1.0 => format!("{:.1}×", r).replace(".0×", "×"),
        r if r >= 0.1 => format!("{r:.2}×"),
        r => format!("{r:.3}×").replace("0×", "×"),
    }
}

fn legend(columns: &[&str], area: &Area) -> Drawn {
    let mut left = AXIS_LEFT + AXIS_WIDTH;
    for column in columns.iter().rev() {
        left -= 8 * column.len() as i32 + 26;
        marker(area, column, (left, 26))?;
        text(area, column, (left + 10, 26), 13, INK, HPos::Left)?;
    }
    let note = "vaka acknowledges from the disk, the others from memory or the page cache";
    text(area, note, (20, 50), 12, FAINT, HPos::Left)
}

/// Three pictures of bars, side by side.
fn bars(table: &Table, columns: &[&str], area: &Area, top: i32) -> Drawn {
    let delivered = |column: &str| table.median(&row(Way::Tuned, DELIVERED), column);
    let panels: [(&str, Bars); 3] = [
        ("lost after kill -9, of 100", &|column| {
            let share = 100.0 * table.median(LOST, column) / table.median(KILLED, column);
            (share, figure(share))
        }),
        ("alarm after an outage, s", &|column| {
            let seconds = table.median(&row(Way::Tuned, AFTER), column) / 1e3;
            if delivered(column) == 0.0 { (f64::NAN, "lost".into()) } else { (seconds, figure(seconds)) }
        }),
        ("written per 300-byte event, bytes", &|column| {
            let bytes = table.median(WRITTEN, column);
            (bytes, if bytes == 0.0 { "0 (memory)".into() } else { figure(bytes) })
        }),
    ];
    const WIDTH: i32 = 290;
    area.draw(&PathElement::new([(20, top - 8), (SIZE.0 as i32 - 20, top - 8)], LINE))?;
    for (index, (title, value)) in panels.iter().enumerate() {
        let left = 20 + WIDTH * index as i32;
        text(area, title, (left, top + 10), 14, INK, HPos::Left)?;
        let longest = columns.iter().map(|column| value(column).0).filter(|v| v.is_finite()).fold(0.0, f64::max);
        let name_width = 120;
        let room = f64::from(WIDTH - name_width - 90);
        for (place, column) in columns.iter().enumerate() {
            let y = top + 38 + 24 * place as i32;
            let (bar, said) = value(column);
            let share = if longest > 0.0 && bar.is_finite() { bar / longest } else { 0.0 };
            let start = left + name_width;
            let end = start + (share * room).round() as i32;
            text(area, column, (start - 8, y), 12, INK, HPos::Right)?;
            area.draw(&Rectangle::new([(start, y - 7), (end.max(start + 1), y + 7)], color(column).filled()))?;
            text(area, &said, (end.max(start + 1) + 6, y), 12, INK, HPos::Left)?;
        }
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
    let style = ("sans-serif", size).into_font().color(&color).pos(Pos::new(side, VPos::Center));
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
        assert_eq!(times(0.1), "0.10×");
        assert_eq!(times(0.01), "0.01×");
    }
}
