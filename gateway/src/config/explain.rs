//! Turns what the TOML reader says into what a technician needs: line, table, key, nearest known key.
//!
//! serde's sentences are fixed in its documentation and pinned by the tests beside this module; a sentence that is not
//! recognised is passed on as it is, with its line.

use super::nearest;

/// The line (from 1) in which `offset` stands.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// What is wrong, in words: `(line, text)`.
pub(super) fn explain(text: &str, error: &toml::de::Error) -> (Option<usize>, String) {
    let message = error.message();
    let Some(span) = error.span() else {
        return (None, message.replace('\n', "; "));
    };
    let line = line_of(text, span.start);
    let table = table_at(text, line);
    let said = if let Some((key, expected)) = parts(message, "unknown field `") {
        unknown(key, expected, &table, header_names(text, line, key))
    } else if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        missing(key, &table)
    } else if let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        format!("{}expected {}, found {found}", key_at(text, line), in_words(expected))
    } else {
        message.replace('\n', "; ")
    };
    (Some(line), said)
}

fn unknown(key: &str, expected: &str, table: &str, is_header: bool) -> String {
    let key = shown(key);
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let (what, place) = match (is_header || table.is_empty(), table) {
        (true, _) => ("table", String::new()),
        (false, table) => ("key", format!(" in {table}")),
    };
    match nearest(&key, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{key}`{place}; did you mean `{near}`?"),
        None => format!("unknown {what} `{key}`{place}; known: {}", known.join(", ")),
    }
}

fn missing(key: &str, table: &str) -> String {
    match (table, key) {
        ("", "gateway" | "ingest") => format!("the table [{key}] is missing"),
        ("", _) => format!("the key `{key}` is missing"),
        (table, _) => format!("the key `{key}` is missing in {table}"),
    }
}

/// `prefix KEY`, expected REST`.
fn parts<'m>(message: &'m str, prefix: &str) -> Option<(&'m str, &'m str)> {
    let rest = message.strip_prefix(prefix)?;
    // The key is the author's and may hold anything: the last such seam is serde's own.
    rest.rsplit_once("`, ")
        .filter(|(_, expected)| expected.starts_with("expected"))
        .or_else(|| rest.find("`, expected ").map(|at| (&rest[..at], &rest[at + 3..])))
}

fn in_words(expected: &str) -> &str {
    match expected {
        "a string" => "text in quotes",
        "i64" | "an integer" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list in [ ]",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The last table header at or above `line`, as written: `[gateway]`, `[[device]]`; empty at the top of the file.
fn table_at(text: &str, line: usize) -> String {
    let above: Vec<&str> = text.lines().take(line).collect();
    let header = above.iter().rev().map(|l| l.trim()).find(|l| l.starts_with('[') && !l.contains('='));
    header.and_then(|l| l.rfind(']').map(|end| shown(&l[..=end]))).unwrap_or_default()
}

/// True if `line` is the header of a table that starts with `key`: then the table is unknown, not a key in it.
fn header_names(text: &str, line: usize, key: &str) -> bool {
    let header = text.lines().nth(line - 1).unwrap_or_default().trim();
    header.starts_with('[') && header.trim_start_matches('[').trim_start().starts_with(key)
}

/// "`key` in [table]: " for the value on this line.
fn key_at(text: &str, line: usize) -> String {
    let key = text.lines().nth(line - 1).and_then(|l| l.split_once('=')).map(|(key, _)| key.trim());
    let table = table_at(text, line);
    match key {
        Some(key) if !key.is_empty() && !table.is_empty() => {
            format!("`{}` in {table}: ", shown(key))
        }
        Some(key) if !key.is_empty() => format!("`{}`: ", shown(key)),
        _ => String::new(),
    }
}

/// The author's text, safe to print: control characters escaped, cut to a readable length.
pub(super) fn shown(word: &str) -> String {
    let escaped: String =
        word.chars().take(60).flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] }).collect();
    if word.chars().count() > 60 { escaped + "…" } else { escaped }
}
