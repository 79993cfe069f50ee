//! Prometheus' text format, version 0.0.4: families in the order of their names, each with its help and type once.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Histogram;
use super::families::{Family, Kind};

/// What the answer is declared as.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Samples, gathered in any order.
#[derive(Debug, Default)]
pub struct Page(BTreeMap<&'static str, (&'static Family, Vec<String>)>);

impl Page {
    /// One sample. `labels`: the values, in the order of the family's label names.
    pub fn put(&mut self, family: &'static Family, labels: &[&str], value: f64) {
        let labels = braces(family, labels, None);
        self.line(family, format!("{}{labels} {}", family.name, number(value)));
    }

    pub fn histogram(&mut self, family: &'static Family, labels: &[&str], bounds: &[f64], seen: &Histogram) {
        let name = family.name;
        for (bound, count) in bounds.iter().zip(seen.cumulative(bounds)) {
            let within = braces(family, labels, Some(&number(*bound)));
            self.line(family, format!("{name}_bucket{within} {count}"));
        }
        let all = braces(family, labels, Some("+Inf"));
        self.line(family, format!("{name}_bucket{all} {}", seen.count));
        let labels = braces(family, labels, None);
        self.line(family, format!("{name}_sum{labels} {}", number(seen.sum)));
        self.line(family, format!("{name}_count{labels} {}", seen.count));
    }

    /// All that `other` has too.
    pub fn append(&mut self, other: Page) {
        for (name, (family, lines)) in other.0 {
            self.0.entry(name).or_insert_with(|| (family, Vec::new())).1.extend(lines);
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, (family, lines)) in &self.0 {
            let kind = family.kind.as_str();
            // A String takes whatever is written to it.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}\n{}", family.help, lines.join("\n"));
        }
        text
    }

    fn line(&mut self, family: &'static Family, line: String) {
        self.0.entry(family.name).or_insert_with(|| (family, Vec::new())).1.push(line);
    }
}

/// `{lane="life",le="0.1"}`; nothing where there are no labels.
fn braces(family: &Family, values: &[&str], le: Option<&str>) -> String {
    debug_assert_eq!(family.labels.len(), values.len(), "{}", family.name);
    debug_assert!(le.is_none() || family.kind == Kind::Histogram, "{}", family.name);
    let pairs = family.labels.iter().copied().zip(values.iter().copied()).chain(le.map(|le| ("le", le)));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// Receivers' names come from a person's file.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: f64) -> String {
    // Rust writes whole numbers without a point, and never with an exponent: both are what the format takes.
    if value == f64::INFINITY { "+Inf".to_owned() } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::super::families;
    use super::*;

    #[test]
    fn a_family_stands_once_with_all_its_samples_and_labels_are_escaped() {
        let mut page = Page::default();
        page.put(&families::PATH_UP, &["a\"b\\c", "d\ne"], 1.0);
        page.put(&families::CONNECTIONS, &[], 2.0);
        let mut other = Page::default();
        other.put(&families::PATH_UP, &["z", "tcp"], 0.0);
        page.append(other);
        let text = page.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE vaka_connections gauge",
                "vaka_connections 2",
                "# TYPE vaka_path_up gauge",
                r#"vaka_path_up{receiver="a\"b\\c",path="d\ne"} 1"#,
                r#"vaka_path_up{receiver="z",path="tcp"} 0"#,
            ]
        );
    }

    #[test]
    fn a_histogram_has_every_bound_and_all() {
        let mut page = Page::default();
        let mut seen = Histogram::default();
        seen.observe(&[0.5, 2.0], 1.25);
        page.histogram(&families::COMMIT_SECONDS, &[], &[0.5, 2.0], &seen);
        let text = page.text();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let name = families::COMMIT_SECONDS.name;
        assert_eq!(
            samples,
            [
                format!("{name}_bucket{{le=\"0.5\"}} 0"),
                format!("{name}_bucket{{le=\"2\"}} 1"),
                format!("{name}_bucket{{le=\"+Inf\"}} 1"),
                format!("{name}_sum 1.25"),
                format!("{name}_count 1"),
            ]
        );
    }
}
