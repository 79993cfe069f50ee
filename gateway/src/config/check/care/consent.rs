//! `consent = { … }` in the tables of what is agreed with a person: who gave it, from when until when it holds, and that it was withdrawn.
//!
//! One table of its own: `from` and `until` beside it are times of day. All of it may be left out: then the agreement holds always, and
//! whoever shows it says that nobody's consent is written down.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::super::explain::shown;
use super::dose::date;
use super::{Check, Text};
use crate::rules::care::term::Term;

/// Longest name of whoever consented, in bytes. Source: our choice; a name, what they are to the resident, and a telephone number.
const BY_BYTES_MAX: usize = 128;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Table {
    by: Option<Text>,
    on: Option<Text>,
    from: Option<Text>,
    until: Option<Text>,
    withdrawn: Option<Text>,
    changed_by: Option<Text>,
    changed_at: Option<Text>,
}

/// The term that is written; without a table one that always holds.
pub(in crate::config) fn term(c: &mut Check<'_>, zone: &TimeZone, table: Option<&Spanned<Table>>) -> Term {
    let Some(table) = table.map(Spanned::get_ref) else { return Term::default() };
    let mut dated = |key: &str, word: &Option<Text>| word.as_ref().and_then(|word| date(c, key, word));
    let (on, from, until) = (dated("on", &table.on), dated("from", &table.from), dated("until", &table.until));
    if let (Some(from), Some(until), Some(word)) = (from, until, &table.until)
        && until < from
    {
        c.wrong(word, format!("`until` is before `from` ({from}); it is the last day on which this is agreed"));
    }
    let by = table.by.as_ref().map(|word| {
        let said = word.get_ref().trim();
        if !(1..=BY_BYTES_MAX).contains(&said.len()) || said.contains(char::is_control) {
            let text =
                format!("`by`: expected 1 to {BY_BYTES_MAX} bytes: who gave the consent, such as \"the resident\"");
            c.wrong(word, text);
        }
        said.to_owned()
    });
    let withdrawn = moment(c, "withdrawn", table.withdrawn.as_ref());
    // Written by whoever changed it, for people; it must be readable all the same.
    moment(c, "changed_at", table.changed_at.as_ref());
    if let Some(word) = table.changed_by.as_ref().filter(|word| word.get_ref().contains(char::is_control)) {
        c.wrong(word, "`changed_by` is one line: who changed this table last".to_owned());
    }
    Term { from, until, withdrawn, by, on, ..Term::default() }.in_zone(zone)
}

fn moment(c: &mut Check<'_>, key: &str, word: Option<&Text>) -> Option<DateTime> {
    let word = word?;
    let moment = word.get_ref().parse().ok().filter(|_| word.get_ref().contains(['T', ' ']));
    if moment.is_none() {
        let said = shown(word.get_ref());
        c.wrong(word, format!("`{key}`: expected a local time such as \"2026-12-20T14:30\", found `{said}`"));
    }
    moment
}
