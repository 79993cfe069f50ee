//! `vaka camera`: the cameras and their last check; a check now; a new view accepted after a camera was moved on purpose.
//!
//! Asked of the running gateway, which alone opens a camera: recorded first, with its light on, and no picture leaves it. Absent: a way
//! to see a picture from here.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use vaka_protocol::DeviceId;

use super::{Exit, Failure, local_time, print_json, print_line};
use crate::clock::{Clock, SystemClock};
use crate::config::{Camera, Config, nearest};
use crate::look::Tried;
use crate::notice::say;
use crate::pipeline::control::{self, Request};
use crate::pipeline::restore;
use crate::provision;
use crate::rules::care::look::{CameraKnown, MOVED, WELL, camera_known, found_in_words};

#[derive(Debug, Subcommand)]
pub enum CameraCommand {
    /// Each camera: whose, its light, what its last check found
    #[command(after_help = "Example:\n  vaka camera list --json")]
    List {
        /// One JSON array
        #[arg(long)]
        json: bool,
    },
    /// Check a camera now, as before a look-in: its light goes on, and nobody sees anything
    #[command(
        after_help = "Only where look-ins through it are agreed, and not against a \"not tonight\". Takes up to a minute.\nExit 1 if it found something wrong.\nExample:\n  vaka camera check cam-r1 --by ture"
    )]
    Check {
        camera: DeviceId,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Take what a camera sees now as its view: after it was set up, or moved on purpose
    #[command(
        after_help = "It is checked first; a dark, covered or frozen picture is not accepted. What is kept is where edges run, in coarse cells, from\nwhich no picture can be made. Who accepted it, and why, is recorded with the resident's data.\nExamples:\n  vaka camera reference cam-r1 --by ture --why \"moved to the other wall\"\n  vaka camera reference cam-r1 --also --by ture --why \"by infrared light\""
    )]
    Reference {
        camera: DeviceId,
        /// Beside the views that were accepted before, not in their place: by day and by infrared light
        #[arg(long)]
        also: bool,
        /// Who
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Why it sees something else now
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// One camera, as `vaka camera list --json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    camera: DeviceId,
    room: Option<String>,
    /// Whose home it sees; absent: nobody has agreed to it, and it is never opened.
    resident: Option<String>,
    light: DeviceId,
    /// How many views are accepted. 0: that it was moved is not noticed.
    references: usize,
    #[serde(flatten)]
    known: CameraKnown,
}

pub fn run(command: CameraCommand, config: &Path) -> Result<Exit, Failure> {
    let (config, _) = Config::load(config).map_err(|e| Failure::config(&e))?;
    match command {
        CameraCommand::List { json } => list(&config, json),
        CameraCommand::Check { camera, by, json } => {
            let attempt = format!("check camera {camera}");
            named(&config, &camera, &attempt)?;
            let tried = tried(&config, &attempt, Request::CheckCamera { camera, by, accept_why: None })?;
            if json {
                print_json(&tried)?;
            } else {
                print_line(&words(&config, &tried.found))?;
            }
            Ok(if tried.found == WELL { Exit::Ok } else { Exit::FoundWrong })
        }
        CameraCommand::Reference { camera, also, by, why, json } => accept(&config, &camera, also, by, why, json),
    }
}

fn list(config: &Config, json: bool) -> Result<Exit, Failure> {
    let known = known(config).map_err(|e| Failure::new(Exit::Disk, "list the cameras", e, ""))?;
    let row = |camera: &Camera| Row {
        camera: camera.id.clone(),
        room: camera.room.clone(),
        resident: resident(config, &camera.id).map(str::to_owned),
        light: camera.light.clone(),
        references: camera.references.len(),
        known: known.get(&camera.id).cloned().unwrap_or_default(),
    };
    let rows: Vec<Row> = config.cameras.values().map(row).collect();
    if json {
        print_json(&rows)?;
        return Ok(Exit::Ok);
    }
    if rows.is_empty() {
        print_line("No cameras are set up; a [[camera]] in the configuration sets one up.")?;
    }
    for row in &rows {
        let whose = row.resident.as_ref().map_or("nobody's: stays closed".to_owned(), |id| format!("resident {id}"));
        let checked = match (row.known.checked_at, &row.known.found) {
            (Some(at), Some(found)) => {
                format!("{} {found}: {}", local_time(at, &config.gateway.time_zone), words(config, found))
            }
            _ => "never checked".to_owned(),
        };
        let open = if row.known.is_open { "open now, " } else { "" };
        let views = row.references;
        print_line(&format!("{}  {whose}  light {}  views {views}  {open}{checked}", row.camera, row.light))?;
    }
    Ok(Exit::Ok)
}

fn accept(config: &Config, id: &DeviceId, also: bool, by: String, why: String, json: bool) -> Result<Exit, Failure> {
    let attempt = format!("accept the view of camera {id}");
    named(config, id, &attempt)?;
    let request = Request::CheckCamera { camera: id.clone(), by: by.clone(), accept_why: Some(why) };
    let tried = tried(config, &attempt, request)?;
    let reference = tried.reference.as_deref().unwrap_or_default();
    let views = provision::accept_view(&config.file, id, reference, also)
        .map_err(|e| Failure::new(Exit::Usage, &*attempt, e, "put that right, and take it again"))?;
    let told = provision::tell_gateway(&config.journal.dir.join("lock"));
    if json {
        let fact = serde_json::json!({
            "camera": id, "look": tried.look, "was": tried.found, "references": views, "reference": reference, "gateway": told,
        });
        print_json(&fact)?;
        return Ok(Exit::Ok);
    }
    let was = if tried.found == MOVED { ", another than before," } else { "" };
    print_line(&format!("{id}: its view{was} is accepted by {by}; views that count: {views}"))?;
    print_line(&told.to_string())?;
    Ok(Exit::Ok)
}

/// Only a running gateway opens a camera: without it no light goes on and nothing is recorded.
fn tried(config: &Config, attempt: &str, request: Request) -> Result<Tried, Failure> {
    let none =
        || Failure::new(Exit::FoundWrong, attempt, "no gateway runs here", super::owner::start_it(config, "run"));
    let answer = control::request_within(&config.journal.dir, &request, control::CAMERA_MS).ok_or_else(none)?;
    let tried = answer.map_err(|why| Failure::new(Exit::FoundWrong, attempt, why, ""))?;
    serde_json::from_value(tried).map_err(|e| Failure::new(Exit::Internal, attempt, e, ""))
}

fn named(config: &Config, id: &DeviceId, attempt: &str) -> Result<(), Failure> {
    if config.cameras.contains_key(id) {
        return Ok(());
    }
    let near = nearest(id.as_ref(), config.cameras.keys().map(AsRef::as_ref));
    let fix = near.map_or("see `vaka camera list`".to_owned(), |near| format!("did you mean `{near}`?"));
    let cause = format!("there is no camera `{id}` in {}", config.file.display());
    Err(Failure::new(Exit::Usage, attempt, cause, fix))
}

/// Who has agreed to be seen by it.
pub(super) fn resident<'a>(config: &'a Config, camera: &DeviceId) -> Option<&'a str> {
    let mut people = config.agreed.people.iter();
    let sees = people.find(|person| person.look.as_ref().is_some_and(|look| look.camera == *camera));
    sees.map(|person| person.id.as_str())
}

/// From the running gateway, else from its journal.
///
/// # Errors
/// The journal's, in words.
pub(super) fn known(config: &Config) -> Result<BTreeMap<DeviceId, CameraKnown>, String> {
    if config.cameras.is_empty() {
        return Ok(BTreeMap::new());
    }
    match control::request(&config.journal.dir, &Request::Cameras) {
        Some(answer) => answer.and_then(|known| serde_json::from_value(known).map_err(|e| e.to_string())),
        None => {
            let state = restore::read_only(&config.journal.dir).map_err(|e| e.to_string())?;
            let now_ms = SystemClock::new().now().wall_ms;
            // None is open where no gateway runs.
            let known = |id: &DeviceId| CameraKnown { is_open: false, ..camera_known(&state.care, id, now_ms) };
            Ok(config.cameras.keys().map(|id| (id.clone(), known(id))).collect())
        }
    }
}

fn words(config: &Config, found: &str) -> String {
    let (sv, en) = found_in_words(found);
    say(config.gateway.language, &sv, &en)
}
