//! Who read and did what, read off the journal beside the keeper.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;

use vaka_board::gateway::{Trace, TraceQuery, Traced};

use crate::journal::reader;
use crate::journal::record::{Kind, Record};
use crate::pipeline::export::hex;

/// The newest that `query` asks for, newest first.
///
/// # Errors
/// In words, where the journal cannot be read.
pub fn find(dir: &Path, query: &TraceQuery) -> Result<Vec<Traced>, String> {
    let mut found: VecDeque<Traced> = VecDeque::new();
    let each = |entry: reader::Entry<'_>| {
        if entry.header.kind != Kind::Trace as u8 {
            return ControlFlow::Continue(());
        }
        let Ok(Record::Trace(trace)) = Record::decode(entry.header.kind, entry.body) else {
            return ControlFlow::Continue(());
        };
        let is_meant = query.from.is_none_or(|from| trace.at >= from)
            && query.until.is_none_or(|until| trace.at < until)
            && query.person.as_ref().is_none_or(|person| *person == trace.person)
            && query.resident.is_none() | (query.resident == trace.resident);
        if is_meant {
            if found.len() >= query.most {
                found.pop_front();
            }
            let hash = hex(&trace.hash());
            let (seq, at) = (entry.header.seq, trace.at);
            let crate::journal::record::Trace { person, role, session, act, object, purpose, resident, .. } = trace;
            let trace = Trace { person, role, session, act, object, purpose, resident };
            found.push_back(Traced { seq, at, trace, hash });
        }
        ControlFlow::Continue(())
    };
    reader::scan(dir, 0, each).map_err(|e| format!("reading the log: {e}"))?;
    Ok(found.into_iter().rev().collect())
}
