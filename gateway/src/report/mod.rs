//! What a municipality can take to its board: a span of days in figures, as one page that needs nothing beside itself.
//!
//! Enters: a journal's folder, read and never written, also while the gateway runs; what is agreed (whose device it is); the
//! days. Leaves: [`figures::Figures`] and the page made of them. Invariants: the same journal makes the same bytes (nothing
//! says when the page was made); ids, never names; a figure without a record behind it is not shown.
//! Absent: a script, a picture from elsewhere, a position, a reading of a body.

pub mod figures;
pub mod nights;
mod page;
mod plots;
mod svg;
#[cfg(test)]
mod tests;
mod words;

use std::ops::ControlFlow;
use std::path::Path;

pub use figures::{Count, Days, Figures};
use jiff::{Span, ToSpan};
pub use page::page;
pub(crate) use svg::escaped;
pub(crate) use words::{Voice, day_and_clock};

use crate::journal::{ReadError, reader};
use crate::rules::care::agreed::Agreed;
use crate::rules::care::when;

/// Days shown where none are asked for, the last one with records included. Source: our choice, a month as a board looks at it.
pub const DAYS: i64 = 30;
/// Most days on one page. Beyond: refused, a plot of nights is a row for each. Source: our choice, a leap year.
pub const DAYS_MAX: i64 = 366;

/// The last [`DAYS`] days of the journal in `dir`; `None`: it is empty.
///
/// # Errors
/// Where the folder cannot be read.
pub fn last_days(dir: &Path, agreed: &Agreed) -> Result<Option<Days>, ReadError> {
    let mut newest = None;
    reader::scan(dir, 0, |entry| {
        newest = newest.max(Some(entry.header.wall_ms));
        ControlFlow::Continue(())
    })?;
    Ok(newest.map(|newest| {
        let to = when::local(&agreed.zone, newest).date();
        let back: Span = (DAYS - 1).days();
        Days { from: to.checked_sub(back).unwrap_or(to), to }
    }))
}

/// Counts the journal in `dir`. `gateway`: its id.
///
/// # Errors
/// Where the folder cannot be read. Damage is no error: it is counted.
pub fn read(dir: &Path, agreed: &Agreed, gateway: &str, days: Days) -> Result<Figures, ReadError> {
    let mut count = Count::new(agreed, days);
    let mut unreadable = 0;
    let scan = reader::scan(dir, 0, |entry| {
        match entry.decode() {
            Ok(record) => count.take(&entry.header, &record),
            Err(_) => unreadable += 1,
        }
        ControlFlow::Continue(())
    })?;
    Ok(count.finish(gateway, scan.damage.len() + unreadable))
}
