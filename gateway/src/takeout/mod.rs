//! Everything that the gateway keeps, in open formats, for whoever takes it elsewhere: without this program and its makers.
//!
//! Enters: a home, running or not; one resident, or everybody. Leaves: a folder with a README, a file of JSON lines and a JSON Schema for each
//! kind of record, CSV of events and alarms, names, devices and vaka.toml. Invariants: every kind of record has its file and schema; of one
//! resident nothing of another's is in it; readable by its owner alone. Absent: keys (a backup has them).

mod csv;
mod readme;
mod schema;
#[cfg(test)]
mod tests;
mod whose;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use vaka_seal::Ring;

pub use schema::{Field, Is, KINDS, Kind, UNREADABLE};
pub use whose::Whose;

use crate::board::names::{NameError, Names};
use crate::config::Config;
use crate::journal::{ReadError, reader};
use crate::pipeline::export;
use crate::pipeline::restore;
use crate::pipeline::view::{self, Labels};

/// Why there is no export. The text names the object and the fix.
#[derive(Debug, thiserror::Error)]
pub enum TakeoutError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} is not empty; name a folder of its own", .0.display())]
    Taken(PathBuf),
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error("reading names: {0}")]
    Names(#[from] NameError),
    #[error("nobody of the id `{id}` lives here, or has; known: {known}")]
    Nobody { id: String, known: String },
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Written {
    /// Lines by kind; kinds without one too.
    pub records: BTreeMap<&'static str, u64>,
    pub names: usize,
    pub alarms: usize,
    /// Places in the journal that could not be read.
    pub damaged: usize,
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> TakeoutError + '_ {
    move |source| TakeoutError::File { path: path.to_path_buf(), source }
}

/// One file under way.
struct Out {
    path: PathBuf,
    to: BufWriter<File>,
    lines: u64,
}

impl Out {
    fn create(path: PathBuf) -> Result<Out, TakeoutError> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Out { to: BufWriter::new(opened.map_err(at(&path))?), path, lines: 0 })
    }

    fn line(&mut self, text: &str) -> Result<(), TakeoutError> {
        self.lines += 1;
        writeln!(self.to, "{text}").map_err(at(&self.path))
    }

    fn done(mut self) -> Result<u64, TakeoutError> {
        self.to.flush().and_then(|()| self.to.get_ref().sync_all()).map_err(at(&self.path))?;
        Ok(self.lines)
    }
}

/// Writes the export into `to`, which is made, or is an empty folder. `resident`: of this one alone.
///
/// # Errors
/// [`TakeoutError`].
pub fn write(config: &Config, resident: Option<&str>, to: &Path) -> Result<Written, TakeoutError> {
    let mut whose = match resident {
        None => None,
        Some(id) => {
            let keys = Ring::load(&config.journal.dir).map_err(ReadError::Keys)?;
            let mut known: BTreeSet<&str> = keys.iter().flat_map(Ring::residents).collect();
            known.extend(config.agreed.people.iter().map(|person| person.id.as_str()));
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Some(Whose::of(config, keys, id).ok_or_else(|| TakeoutError::Nobody { id: id.to_owned(), known })?)
        }
    };
    if fs::read_dir(to).is_ok_and(|mut names| names.next().is_some()) {
        return Err(TakeoutError::Taken(to.to_path_buf()));
    }
    for folder in [to, &to.join("records"), &to.join("schema")] {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
    }
    let mut written = records(config, whose.as_mut(), to)?;
    written.alarms = alarms(config, whose.as_ref(), to)?;
    written.names = people(config, resident, to)?;
    let mut readme = Out::create(to.join("README.md"))?;
    readme.line(readme::text(config.gateway.id.as_ref(), resident, &written).trim_end())?;
    readme.done()?;
    if resident.is_none() {
        let text = fs::read_to_string(&config.file).map_err(at(&config.file))?;
        let mut toml = Out::create(to.join("vaka.toml"))?;
        toml.line(text.trim_end())?;
        toml.done()?;
    }
    Ok(written)
}

fn records(config: &Config, mut whose: Option<&mut Whose>, to: &Path) -> Result<Written, TakeoutError> {
    let mut files = BTreeMap::new();
    for kind in KINDS.iter().chain([&UNREADABLE]) {
        let mut schema = Out::create(to.join(format!("schema/{}.schema.json", kind.name)))?;
        schema.line(&format!("{:#}", kind.schema()))?;
        schema.done()?;
        files.insert(kind.name, Out::create(to.join(format!("records/{}.jsonl", kind.name)))?);
    }
    let mut events = Out::create(to.join("events.csv"))?;
    events.line(csv::EVENTS)?;
    let mut failed = None;
    let scan = reader::scan(&config.journal.dir, 0, |entry| {
        let line = export::line(&entry.header, entry.body);
        let line = match &mut whose {
            Some(whose) => whose.part(entry.header.key_id, line),
            None => Some(line),
        };
        let Some(line) = line else { return ControlFlow::Continue(()) };
        let file = line["kind"].as_str().and_then(|kind| files.get_mut(kind));
        let put = file.map_or(Ok(()), |file| file.line(&line.to_string())).and_then(|()| match csv::event(&line) {
            Some(row) => events.line(&row),
            None => Ok(()),
        });
        match put {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    events.done()?;
    let mut written = Written { damaged: scan.damage.len(), ..Written::default() };
    for (name, file) in files {
        written.records.insert(name, file.done()?);
    }
    Ok(written)
}

/// Every alarm that is still known, closed ones too.
fn alarms(config: &Config, whose: Option<&Whose>, to: &Path) -> Result<usize, TakeoutError> {
    let state = restore::read_only(&config.journal.dir)?;
    let labels = Labels::from_config(config);
    let mut rows = view::rows(&state, &labels, true);
    rows.retain(|row| whose.is_none_or(|whose| whose.alarm(row.id.as_str(), row.resident.as_deref())));
    let mut table = Out::create(to.join("alarms.csv"))?;
    table.line(csv::ALARMS)?;
    let mut lines = Out::create(to.join("alarms.jsonl"))?;
    for row in &rows {
        let mut shown = view::show(&state, &labels, &row.id).unwrap_or_default();
        if let Some(whose) = whose {
            // The view names whose the device is today.
            shown["resident"] = whose.resident().into();
        }
        lines.line(&shown.to_string())?;
        table.line(&csv::alarm(&shown))?;
    }
    table.done()?;
    lines.done()?;
    Ok(rows.len())
}

/// Who lives here, in clear, and what stands in the home.
fn people(config: &Config, resident: Option<&str>, to: &Path) -> Result<usize, TakeoutError> {
    let names = Names::of(config);
    let mut ids = names.written()?;
    ids.extend(config.agreed.people.iter().map(|person| person.id.clone()));
    ids.sort();
    ids.dedup();
    ids.retain(|id| resident.is_none_or(|resident| resident == id));
    let mut file = Out::create(to.join("residents.jsonl"))?;
    let mut written = 0;
    for id in &ids {
        let name = names.read(id)?;
        written += usize::from(name.is_some());
        let about = name.map(
            |name| json!({"name": name.name, "address": name.address, "key_note": name.key_note, "phone": name.phone}),
        );
        let notice = crate::notice::notice(config, id, config.gateway.language);
        let row = json!({"resident": id, "about": about, "agreed": notice});
        file.line(&row.to_string())?;
    }
    file.done()?;
    let whose = |device: &crate::config::Device| {
        let mut people = config.agreed.people.iter();
        people.find(|person| person.devices.contains(&device.id)).map(|person| person.id.clone())
    };
    let mut file = Out::create(to.join("devices.jsonl"))?;
    for device in config.devices.values() {
        let of = whose(device);
        if resident.is_some() && of.as_deref() != resident {
            continue;
        }
        let mut row = serde_json::to_value(device).unwrap_or_default();
        row["resident"] = of.map_or(Value::Null, Value::from);
        file.line(&row.to_string())?;
    }
    file.done()?;
    Ok(written)
}
