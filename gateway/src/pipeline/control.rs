//! The command line's way to a running gateway: one JSON line in, one out, over a socket in the journal's folder.
//!
//! Only the gateway's own user may open it. Absent: any other authority; the operating system has judged who asks.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tracing::warn;
use vaka_protocol::{AlarmId, DeviceId};

use super::keeper::{Ask, Input};
use super::view;
use super::visits::Wish;
use crate::board::round;
use crate::dispatch::Dispatcher;
use crate::firmware;
use crate::ingest::inbox::Inbox;
use crate::ingest::session::Hall;
use crate::journal::record::Act;
use crate::limits::{LOOK_SETUP_MS, LOOK_WAKE_MS_MAX};
use crate::look::Looks;
use crate::rules::care::signed;
use crate::rules::orders;
use crate::update;

/// Longest request line, in bytes.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;

/// Longest wait for an answer, in milliseconds. Beyond: an error. Source: our choice; the keeper answers within a fsync.
const ANSWER_MS: u64 = 30_000;

/// The same for the check of a camera, in milliseconds: its light answers, it wakes, it is judged, and each is recorded.
pub const CAMERA_MS: u64 =
    ANSWER_MS + LOOK_SETUP_MS as u64 + LOOK_WAKE_MS_MAX as u64 + vaka_camera::limits::CHECK_MS_MAX;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Alarms {
        all: bool,
    },
    Show {
        alarm: AlarmId,
    },
    Act {
        act: Act,
    },
    Stat,
    Visit {
        wish: Wish,
    },
    /// New versions of the program.
    Update {
        wish: update::Wish,
        by: String,
    },
    /// Firmware of the devices.
    Firmware {
        wish: firmware::Wish,
        by: String,
    },
    /// What is known of each device.
    Devices,
    Doses,
    /// The round of a local date, else tonight's.
    Round {
        date: Option<String>,
    },
    /// What is known of each camera.
    Cameras,
    /// To check one now. The answer takes [`CAMERA_MS`] at most.
    CheckCamera {
        camera: DeviceId,
        by: String,
        /// Absent: what it sees is not accepted as its view.
        accept_why: Option<String>,
    },
    Sign {
        wish: signed::Wish,
        by: String,
    },
    Order {
        wish: orders::Wish,
    },
    /// What was ordered, and what became of it.
    Orders,
    /// One resident's data is made unreadable, for good.
    Erase {
        resident: String,
        by: String,
    },
    Release {
        resident: String,
        slot: String,
        /// Absent: the newest dose of the slot that is locked.
        date: Option<String>,
        by: String,
        note: String,
    },
}

/// `Ok` holds what was asked for; `Err` says in words why not.
pub type Response = Result<Value, String>;

pub fn socket(journal_dir: &Path) -> PathBuf {
    journal_dir.join("control.sock")
}

/// # Errors
/// Where the socket cannot be made; the text names it.
pub fn bind(journal_dir: &Path) -> Result<UnixListener, String> {
    let path = socket(journal_dir);
    // The journal's lock is held: a socket found here is a dead gateway's.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(|e| {
        format!("opening the control socket {}: {e}; a shorter path for [journal] dir may help", path.display())
    })?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| format!("closing the control socket {} to others: {e}", path.display()))?;
    Ok(listener)
}

/// Whom the requests are put to.
#[derive(Clone)]
pub struct Doors {
    pub inbox: Arc<Inbox<Input>>,
    pub hall: Arc<Hall>,
    pub dispatcher: Dispatcher,
    pub enrolment: Arc<crate::enrol::Counts>,
    pub updates: update::Door,
    pub fleet: firmware::Door,
    pub looks: Arc<Looks>,
}

pub async fn serve(listener: UnixListener, doors: Doors, mut shutdown: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = shutdown.changed() => return,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, doors.clone()))),
            Err(e) => warn!("accepting on the control socket: {e}"),
        }
    }
}

async fn answer(mut stream: UnixStream, doors: Doors) {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader.take(REQUEST_BYTES_MAX)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let response: Response = match serde_json::from_str(&line) {
            Ok(request) => ask(request, &doors).await,
            Err(e) => Err(format!("reading a request on the control socket: {e}")),
        };
        let mut text = serde_json::to_string(&response).unwrap_or_default();
        text.push('\n');
        if writer.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn ask(request: Request, doors: &Doors) -> Response {
    fn gone<E>(_: E) -> String {
        "the gateway is stopping".to_owned()
    }
    let Doors { inbox, hall, dispatcher, enrolment, updates, fleet, looks } = doors;
    let put = |ask| inbox.put([(true, Input::Ask(ask))]);
    match request {
        Request::Alarms { all } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Alarms { all, reply });
            serde_json::to_value(answer.await.map_err(gone)?).map_err(|e| e.to_string())
        }
        Request::Show { alarm } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Show { alarm: alarm.clone(), reply });
            answer.await.map_err(gone)?.ok_or_else(|| format!("there is no alarm {alarm}"))
        }
        Request::Act { act } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Act { act, reply });
            serde_json::to_value(answer.await.map_err(gone)??).map_err(|e| e.to_string())
        }
        Request::Visit { wish } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Visit { wish, reply });
            answer.await.map_err(gone)?
        }
        Request::Update { wish, by } => updates.ask(wish, by),
        Request::Firmware { wish, by } => fleet.ask(wish, by).await,
        Request::Devices => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Devices { reply });
            answer.await.map_err(gone)
        }
        Request::Doses => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Doses { reply });
            serde_json::to_value(answer.await.map_err(gone)?).map_err(|e| e.to_string())
        }
        Request::Round { date } => {
            let date = date.map(|word| round::date(&word)).transpose()?;
            let (reply, answer) = oneshot::channel();
            put(Ask::See(Box::new(move |keeper| {
                let _ = reply.send(round::night(keeper, date));
            })));
            serde_json::to_value(answer.await.map_err(gone)?).map_err(|e| e.to_string())
        }
        Request::Cameras => {
            serde_json::to_value(looks.known().await.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
        }
        Request::CheckCamera { camera, by, accept_why } => {
            let tried = match accept_why {
                None => looks.try_camera(camera, &by).await,
                Some(why) => looks.accept_view(camera, &by, why).await,
            };
            serde_json::to_value(tried.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
        }
        Request::Sign { wish, by } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Sign { wish, by, reply });
            answer.await.map_err(gone)?.map(|()| Value::Null).map_err(|e| e.to_string())
        }
        Request::Order { wish } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Order { wish, traced: false, reply });
            answer.await.map_err(gone)?.map(Value::from).map_err(|e| e.to_string())
        }
        Request::Orders => {
            let (reply, answer) = oneshot::channel();
            put(Ask::See(Box::new(move |keeper| {
                // Whoever asked may have gone away.
                let _ = reply.send(view::orders(keeper.state()));
            })));
            serde_json::to_value(answer.await.map_err(gone)?).map_err(|e| e.to_string())
        }
        Request::Erase { resident, by } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Erase { resident, by, reply });
            serde_json::to_value(answer.await.map_err(gone)??).map_err(|e| e.to_string())
        }
        Request::Release { resident, slot, date, by, note } => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Release { resident, slot, date, by, note, reply });
            serde_json::to_value(answer.await.map_err(gone)??).map_err(|e| e.to_string())
        }
        Request::Stat => {
            let (reply, answer) = oneshot::channel();
            put(Ask::Stat { reply });
            let mut stat = answer.await.map_err(gone)?;
            stat["connections"] = view::connections(hall);
            stat["program_replaced"] = is_replaced().into();
            stat["enrolment"] = serde_json::to_value(enrolment.all()).unwrap_or_default();
            stat["receivers"] = serde_json::to_value(dispatcher.counts()).unwrap_or_default();
            Ok(stat)
        }
    }
}

/// Asks the gateway whose journal is in `journal_dir`. `None`: no gateway runs there.
pub fn request(journal_dir: &Path, request: &Request) -> Option<Response> {
    request_within(journal_dir, request, ANSWER_MS)
}

/// As [`request`], for one that takes longer: the answer is waited for `answer_ms`.
pub fn request_within(journal_dir: &Path, request: &Request, answer_ms: u64) -> Option<Response> {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket(journal_dir)).ok()?;
    let mut ask = || -> std::io::Result<Response> {
        stream.set_read_timeout(Some(std::time::Duration::from_millis(answer_ms)))?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    Some(ask().unwrap_or_else(|e| Err(format!("asking the running gateway: {e}; try again"))))
}
/// The program's file is another, or gone, since this process began: an upgrade that waits for its restart.
fn is_replaced() -> bool {
    std::fs::read_link("/proc/self/exe").is_ok_and(|file| file.to_string_lossy().ends_with(" (deleted)"))
}
