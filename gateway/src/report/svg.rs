//! A drawing as SVG text: a page carries it in itself and needs nobody else's program to show it.
//!
//! Enters: shapes in pixels of a drawing [`WIDTH`] wide. Leaves: text. Invariants: every word is escaped; numbers have one
//! decimal, so that the same figures make the same bytes; a drawing has a title and a description for whoever does not see it.

use std::fmt::Write;

/// Width of every drawing, in its own pixels.
pub const WIDTH: f64 = 900.0;
/// What stands before the scale, in pixels: the rows' names.
pub const LEFT: f64 = 170.0;
/// What is left free after it.
pub const RIGHT: f64 = 30.0;

/// Text as HTML and SVG want it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A drawing under way.
#[derive(Default)]
pub struct Svg(String);

impl Svg {
    /// `what` is a class of the page's style: the colour.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), what: &str) {
        // A minute among hours must still be seen.
        let width = width.max(1.5);
        let _ =
            writeln!(self.0, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" class="{what}"/>"#);
    }

    /// As [`Svg::rect`], with words that a pointer resting on it shows.
    pub fn told(&mut self, at: (f64, f64), size: (f64, f64), what: &str, words: &str) {
        let _ = write!(self.0, "<g><title>{}</title>", escaped(words));
        self.rect(at, size, what);
        self.0.push_str("</g>\n");
    }

    pub fn line(&mut self, (x, y): (f64, f64), (to_x, to_y): (f64, f64), what: &str) {
        let _ = writeln!(self.0, r#"<line x1="{x:.1}" y1="{y:.1}" x2="{to_x:.1}" y2="{to_y:.1}" class="{what}"/>"#);
    }

    pub fn dot(&mut self, (x, y): (f64, f64), what: &str) {
        let _ = writeln!(self.0, r#"<circle cx="{x:.1}" cy="{y:.1}" r="5" class="{what}"/>"#);
    }

    /// `anchor`: start, middle or end.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: &str, words: &str) {
        let _ = writeln!(self.0, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escaped(words));
    }

    /// Coloured squares with what they mean, in one line at the top; returns the height they take.
    pub fn legend(&mut self, of: &[(&str, &str)]) -> f64 {
        let mut x = LEFT;
        for (what, words) in of {
            self.rect((x, 4.0), (14.0, 14.0), what);
            self.text((x + 20.0, 16.0), "start", words);
            x += 44.0 + 8.0 * words.chars().count() as f64;
        }
        30.0
    }

    /// The whole drawing. `id` is its own on the page.
    pub fn finish(self, id: &str, height: f64, title: &str, description: &str) -> String {
        format!(
            "<svg role=\"img\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" aria-labelledby=\"{id}-t {id}-d\" id=\"{id}\">\n\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{}</svg>\n",
            escaped(title),
            escaped(description),
            self.0
        )
    }
}

/// A scale from left to right: where a value between `low` and `high` stands, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    pub fn new(low: f64, high: f64) -> Scale {
        Scale { low, high: if high > low { high } else { low + 1.0 } }
    }

    pub fn at(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}
