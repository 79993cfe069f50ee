//! The data side of the desk: devices, residents, the night, signatures, names, settings, and what a technician does.
//!
//! Enters: the board's questions and wishes. Leaves: rows; files of the home, written beside the keeper on threads that may wait.
//! Invariant: what changes vaka.toml answers once the gateway runs on it, or says that it does not.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;
use vaka_board::gateway::{
    Device, Health, InviteWish, Invited, Lang, Name, Night, OrderWish, Protocol, Refused, Resident, Said,
    SettingsChange, Sign,
};
use vaka_protocol::DeviceId;

use super::desk::{Desk, alarm_id};
use super::names::{NameError, Names};
use super::{people, round, settings, things};
use crate::cli::check;
use crate::config::{Config, DeviceKind, Language};
use crate::ingest::inbox::Rank;
use crate::limits::{INVITATION_MS, SIGN_NOTE_BYTES_MAX};
use crate::pipeline::keeper::{Ask, Keeper, NotOrdered, NotSigned};
use crate::pipeline::visits;
use crate::provision::{self, AddDevice, ProvisionError};
use crate::rules::care::signed::{Refusal, Wish};
use crate::rules::orders;
use crate::visit;

/// Asks the gateway to read its config anew; hears how that went.
pub type Reload = tokio::sync::mpsc::Sender<oneshot::Sender<Result<(), String>>>;

fn unavailable(e: impl std::fmt::Display) -> Refused {
    Refused::Unavailable(e.to_string())
}

fn provisioned(e: ProvisionError) -> Refused {
    Refused::Wrong(e.to_string())
}

fn named(e: NameError) -> Refused {
    match e {
        NameError::TooLong(_) => Refused::Wrong(e.to_string()),
        _ => Refused::Unavailable(e.to_string()),
    }
}

/// Reads or writes files where waiting for a disk holds nobody up.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(unavailable)?
}

impl Desk {
    fn config_now(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    pub(super) async fn health_now(&self) -> Result<Health, Refused> {
        let (config, now) = (self.config_now(), self.clock.now());
        self.see(move |keeper| things::health(&config, keeper.state(), now)).await
    }

    pub(super) async fn devices_now(&self) -> Result<Vec<Device>, Refused> {
        let (config, now) = (self.config_now(), self.clock.now());
        let known = self.see(|keeper: &Keeper| things::known(keeper.state())).await?;
        on_disk(move || things::devices(&config, &known, now).map_err(Refused::Unavailable)).await
    }

    pub(super) async fn residents_now(&self) -> Result<Vec<Resident>, Refused> {
        let config = self.config_now();
        let doses = self.ask(Rank::Last, |reply| Ask::Doses { reply }).await?;
        on_disk(move || {
            let names = Names::of(&config);
            for line in names.damaged().map_err(named)? {
                tracing::warn!(line, "names.enc: a line cannot be read; whose it is nobody knows, the others are read");
            }
            let written = names.written().map_err(named)?;
            let text = settings::text_of_file(&config.file);
            Ok(people::residents(&config, &text, &doses, &written))
        })
        .await
    }

    pub(super) async fn night_of(&self, date: Option<String>) -> Result<Night, Refused> {
        let date = date.map(|word| round::date(&word)).transpose().map_err(Refused::Wrong)?;
        self.see(move |keeper| round::night(keeper, date)).await
    }

    pub(super) async fn signed(&self, sign: Sign, by: String) -> Result<(), Refused> {
        let wish = match sign {
            Sign::Visit { resident, planned_at, note } => Wish::Visit { resident, planned_at, note },
            Sign::Dose { resident, slot, planned_at, given, note } => {
                Wish::Dose { resident, slot, planned_at, given, note }
            }
        };
        let done = self.ask(Rank::Urgent, |reply| Ask::Sign { wish, by, reply }).await?;
        done.map_err(|why| match why {
            NotSigned::Refused(Refusal::NotFound(why)) => Refused::NotFound(why),
            NotSigned::Refused(Refusal::Conflict(why)) => Refused::Conflict(why),
            NotSigned::Refused(Refusal::Wrong(why)) => Refused::Wrong(why),
            NotSigned::Disk => unavailable(why),
        })
    }

    pub(super) async fn released(
        &self,
        resident: String,
        slot: String,
        by: String,
        note: String,
    ) -> Result<(), Refused> {
        if note.len() > SIGN_NOTE_BYTES_MAX {
            return Err(Refused::Wrong(format!("the note is longer than {SIGN_NOTE_BYTES_MAX} bytes; shorten it")));
        }
        let question = |reply| Ask::Release { resident, slot, date: None, by, note, reply };
        self.ask(Rank::Urgent, question).await?.map(|_| ()).map_err(Refused::Conflict)
    }

    pub(super) async fn name(&self, resident: String) -> Result<Name, Refused> {
        let names = Names::of(&self.config_now());
        on_disk(move || {
            let none = || Refused::NotFound(format!("no name is written of resident `{resident}`"));
            names.read(&resident).map_err(named)?.ok_or_else(none)
        })
        .await
    }

    pub(super) async fn named(&self, resident: String, name: Name) -> Result<(), Refused> {
        let config = self.config_now();
        if !config.agreed.people.iter().any(|person| person.id == resident) {
            return Err(Refused::NotFound(format!("there is no resident `{resident}` in vaka.toml")));
        }
        // One writer: the file is written whole.
        let _place = self.writing.lock().await;
        on_disk(move || Names::of(&config).write(&resident, &name).map_err(named)).await
    }

    pub(super) async fn settings_changed(&self, change: SettingsChange, by: String) -> Result<(), Refused> {
        let (config, now_ms) = (self.config_now(), self.clock.now().wall_ms);
        let now = settings::local_now(&config, now_ms);
        on_disk(move || settings::change(&config, &change, &by, now)).await?;
        let Some(reload) = &self.reload else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        reload.send(reply).await.map_err(unavailable)?;
        let why = |why| format!("it is written to vaka.toml and not in force yet: {why}");
        answer.await.map_err(unavailable)?.map_err(|e| Refused::Unavailable(why(e)))
    }

    pub(super) async fn invited(&self, wish: InviteWish) -> Result<Invited, Refused> {
        let id = device_id(&wish.id)?;
        let kind: DeviceKind = wish.kind.parse().map_err(|e| Refused::Wrong(format!("{e}")))?;
        let deaf = || {
            let fix = "put [enrol] with listen = \"ADDRESS:8884\" into vaka.toml and start the gateway anew";
            Refused::Conflict(format!("nothing listens for new devices; {fix}"))
        };
        // Before anything is written: a code that nobody can use is none.
        if self.config.borrow().enrol.is_none() {
            return Err(deaf());
        }
        let (file, now) = (self.file(), self.clock.now());
        let InviteWish { room, resident, .. } = wish;
        on_disk(move || {
            let wish = AddDevice { id, kind, room, resident, via: None, out: None };
            let invited = provision::invite(&file, &wish, INVITATION_MS, now).map_err(provisioned)?;
            let url = invited.url(None).ok_or_else(deaf)?;
            Ok(Invited { code: invited.code.text().to_string(), url, until: invited.invitation.expires_at })
        })
        .await
    }

    pub(super) async fn revoked(&self, device: String) -> Result<(), Refused> {
        let id = device_id(&device)?;
        let (file, now_ms) = (self.file(), self.clock.now().wall_ms);
        on_disk(move || provision::remove(&file, &id, None, now_ms).map(|_| ()).map_err(provisioned)).await
    }

    pub(super) async fn ordered(&self, wish: OrderWish, by: String) -> Result<Result<(), Said>, Refused> {
        let OrderWish { alarm, device, what, purpose, role } = wish;
        let alarm = alarm.map(|id| alarm_id(&id)).transpose()?;
        let device = device.map(|id| device_id(&id)).transpose()?;
        let wish = orders::Wish { alarm, device, what, by, role, purpose };
        match self.ask(Rank::Urgent, |reply| Ask::Order { wish, traced: true, reply }).await? {
            Ok(_) => Ok(Ok(())),
            Err(NotOrdered::Refused(why)) => {
                let (sv, en) = why.said();
                Ok(Err(Said::new(sv, en)))
            }
            Err(full @ NotOrdered::Disk) => Err(unavailable(full)),
        }
    }

    pub(super) async fn visited(&self, wish: Value) -> Result<Value, Refused> {
        let wish: visits::Wish =
            serde_json::from_value(wish).map_err(|e| Refused::Wrong(format!("a visit's step: {e}")))?;
        self.ask(Rank::Usual, |reply| Ask::Visit { wish, reply }).await?.map_err(Refused::Conflict)
    }

    pub(super) async fn protocol_in(&self, lang: Lang) -> Result<Protocol, Refused> {
        let protocol = self.ask(Rank::Last, |reply| Ask::Visit { wish: visits::Wish::Protocol, reply }).await?;
        let protocol = protocol.map_err(Refused::NotFound)?;
        let config = self.config_now();
        let language = if lang == Lang::En { Language::En } else { Language::Sv };
        on_disk(move || {
            let visit::Files { name, page, signed } =
                visit::files(&config, &protocol, language).map_err(unavailable)?;
            Ok(Protocol { name, page, signed })
        })
        .await
    }

    pub(super) async fn checked(&self) -> Result<Value, Refused> {
        let file = self.file();
        on_disk(move || Ok(check::findings(&file))).await
    }

    fn file(&self) -> PathBuf {
        self.config.borrow().file.clone()
    }
}

fn device_id(word: &str) -> Result<DeviceId, Refused> {
    let wrong = || Refused::Wrong(format!("`{word}` is no id; use a-z, 0-9 and -, 1 to 32 characters"));
    DeviceId::try_from(word).map_err(|_| wrong())
}
