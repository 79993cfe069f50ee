//! The work of an update, step by step: asked for, brought, tried by the program that runs, begun, proven by the next.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};
use vaka_protocol::{AlarmId, Lane};
use vaka_update::disk::{Disk, Folder};
use vaka_update::fetch::{FetchError, Publisher};
use vaka_update::limits::{MANIFEST_BYTES_MAX, SIGNATURE_BYTES_MAX, SYNC_BYTES};
use vaka_update::machine::{self, HEADER_BYTES};
use vaka_update::manifest::{File, ManifestError, Own};
use vaka_update::policy::{self, Moment, Wait};
use vaka_update::sign::{self, SignError};
use vaka_update::slots::{self, StageError};
use vaka_update::{Installed, Manifest, Refusal, State, Version};

use super::{FORMATS, Running, Standing, TARGET, Wish, set_alarm_clock};
use crate::clock::{Clock, Confidence};
use crate::config::{Config, Update as Settings};
use crate::ingest::inbox::{Inbox, Rank};
use crate::journal::record::{Act, ActWhat, Fault, Update, UpdateStep};
use crate::limits::{
    FREE_FOR_TELEMETRY, UPDATE_CHECK_CONFIG_MS, UPDATE_CHECK_LOOKS, UPDATE_DAMAGED_MAX, UPDATE_LOOK_MS,
    UPDATE_PROOF_LOOK_MS, UPDATE_PROOF_MS,
};
use crate::pipeline::keeper::{Ask, Input, Keeper};
use crate::pipeline::updates::NAME;
use crate::rules::care::when;

/// Names of a publisher's files.
pub const MANIFEST: &str = "release.json";
pub const SIGNATURE: &str = "release.json.minisig";

/// Why it goes no further. The words stand in `vaka update status`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("reading [update] ca {path}: {why}")]
    Authority { path: String, why: String },
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("reading the signature: it is no text")]
    NoText,
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(
        "release {0} came {UPDATE_DAMAGED_MAX} times with other bytes than were signed; it is not fetched again until the next start"
    )]
    Damaged(Version),
    #[error("keeping what is installed: {0}")]
    Disk(#[from] std::io::Error),
    #[error("release {version} is here and waits: {wait}")]
    Waits { version: Version, wait: Wait },
    #[error("release {version} waits: {wait}")]
    NotCome { version: Version, wait: Wait },
    #[error(
        "release {0} is here and waits: this gateway was started by `vaka run`, and nobody would go back; start it by `vaka launch`"
    )]
    NotLaunched(Version),
    #[error(
        "release {0} is here and waits: a test alarm of the program that runs was not accepted within {ms} s, and a new one could prove nothing", ms = UPDATE_PROOF_MS / 1_000
    )]
    Unproven(Version),
    #[error("release {version} failed: {why}")]
    Failed { version: Version, why: String },
    #[error(
        "release {version} waits: it needs {needs} more bytes and {free} are free, of which {kept} are kept for the journal; make room beside {folder}"
    )]
    NoRoom { version: Version, needs: u64, free: u64, kept: u64, folder: String },
    /// A person's word came before the end of a download, which is gone on with later.
    #[error("a download was cut off by a wish")]
    Wished((Wish, String)),
    #[error("the gateway is stopping")]
    Stopping,
}

impl Trouble {
    /// The word for figures.
    fn state(&self) -> &'static str {
        match self {
            Trouble::Fetch(_) | Trouble::Authority { .. } | Trouble::Disk(_) | Trouble::Stopping => "unreachable",
            Trouble::Stage(_) | Trouble::Damaged(_) | Trouble::NoRoom { .. } => "unreachable",
            Trouble::Refusal(Refusal::Failed { .. }) | Trouble::Failed { .. } => "failed",
            Trouble::Sign(_) | Trouble::NoText | Trouble::Manifest(_) | Trouble::Refusal(_) => "refused",
            Trouble::Waits { .. } | Trouble::NotCome { .. } | Trouble::NotLaunched(_) | Trouble::Unproven(_) => {
                "waiting"
            }
            Trouble::Wished(_) => "unknown",
        }
    }
}

type Wishes = mpsc::Receiver<(Wish, String)>;

/// All that the work needs of the gateway.
pub struct Work {
    pub config: watch::Receiver<Arc<Config>>,
    pub inbox: Arc<Inbox<Input>>,
    pub clock: Arc<dyn Clock>,
    pub running: Running,
    pub standing: Standing,
    /// Told when another program is to be started.
    pub leave: Arc<Notify>,
    pub shutdown: watch::Receiver<bool>,
}

/// Begins the work beside the gateway, until that stops. `wishes`: what people ask for, and who.
///
/// # Errors
/// Where there is no thread for it.
pub fn start(work: Work, wishes: Wishes) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("update".into()).spawn(move || runtime.block_on(work.run(wishes)))?;
    Ok(())
}

/// What a look is for.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// The publisher is asked.
    asks: bool,
    /// A person wants it.
    by_hand: bool,
}

/// What one look leaves for the next.
#[derive(Debug, Default)]
struct Memory {
    /// Releases whose bytes were not those that were signed, each time that they came.
    damaged: Vec<Version>,
    /// When the publisher was asked last, it offered what is staged to this box.
    offered: bool,
}

/// What is to be brought.
struct Download<'d> {
    publisher: &'d Publisher,
    manifest: &'d Manifest,
    file: &'d File,
}

impl Work {
    async fn run(self, mut wishes: Wishes) {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.work(&mut wishes) => {}
            _ = shutdown.changed() => {}
        }
    }

    async fn work(&self, wishes: &mut Wishes) {
        let folder = self.config.borrow().releases();
        if let Err(e) = self.begin(&folder).await {
            error!("looking after what is installed: {e}");
            self.say(e.state(), &e.to_string());
        }
        let mut looks = interval(Duration::from_millis(UPDATE_LOOK_MS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut look, mut memory, mut cut_off) = (0_u32, Memory::default(), None);
        loop {
            let (asks, wish) = match cut_off.take() {
                Some(wish) => (true, Some(wish)),
                None => tokio::select! {
                    _ = looks.tick() => (look.is_multiple_of(UPDATE_CHECK_LOOKS), None),
                    Some(wish) = wishes.recv() => (true, Some(wish)),
                },
            };
            look = look.wrapping_add(1);
            let config = self.config.borrow().clone();
            let by_hand = matches!(&wish, Some((Wish::Apply, _)));
            let went = match (&wish, &config.update) {
                (Some((Wish::Rollback, by)), _) => self.roll_back(&folder, by).await,
                (_, None) => Ok(("off", "there is no [update] in vaka.toml".to_owned())),
                (_, Some(settings)) => {
                    let looks = Look { asks, by_hand };
                    self.turn(&config, settings, &folder, looks, &mut memory, wishes).await
                }
            };
            match went {
                Err(Trouble::Wished(wish)) => cut_off = Some(wish),
                Ok((state, text)) => self.say(state, &text),
                Err(e) => self.say(e.state(), &e.to_string()),
            }
        }
    }

    /// Logged where it is news.
    fn say(&self, state: &'static str, text: &str) {
        let at = self.clock.now().wall_ms;
        let is_news = self.standing.get().text != text;
        match state {
            "refused" | "failed" | "unreachable" if is_news => warn!("update: {text}"),
            // A home without updates need not hear of it.
            "off" => {}
            _ if is_news && !text.is_empty() => info!("update: {text}"),
            _ => {}
        }
        self.standing.set(|said| {
            // A look that asked nobody says nothing new.
            if !text.is_empty() {
                (said.state, said.at) = (state, at);
                said.text.clear();
                said.text.push_str(text);
            }
            said.busy = false;
        });
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Trouble> {
        let (reply, answer) = oneshot::channel();
        self.inbox.put([(Rank::Usual, Input::Ask(question(reply)))]);
        answer.await.map_err(|_| Trouble::Stopping)
    }

    /// Looks at what the journal has folded to, after its next commit: what was put before is on the disk.
    async fn see<T: Send + 'static>(&self, look: impl FnOnce(&Keeper) -> T + Send + 'static) -> Result<T, Trouble> {
        let question = |reply: oneshot::Sender<T>| {
            Ask::See(Box::new(move |keeper: &Keeper| {
                // Whoever asked may have gone away.
                let _ = reply.send(look(keeper));
            }))
        };
        self.ask(question).await
    }

    fn record(&self, version: Version, step: UpdateStep, detail: &str) {
        let (version, by) = (version.to_string(), self.running.version.to_string());
        info!(update.version = version, update.step = ?step, "{detail}");
        let update = Update { version, step, by, detail: detail.to_owned() };
        self.inbox.put([(Rank::Usual, Input::Ask(Ask::Updated(update)))]);
    }

    /// The technical alarm of a failed update, or its end.
    fn alarm(&self, active: bool, detail: String) {
        let fault = Fault { fault: "update-failed".into(), device: None, detail, active };
        self.inbox.put([(Rank::Usual, Input::Ask(Ask::Part(fault)))]);
    }

    /// What became of the programs before this start, and whether this one stays.
    async fn begin(&self, folder: &Folder) -> Result<(), Trouble> {
        for test in self.see(Keeper::own_tests).await? {
            self.end_test(test, "it was cut off").await?;
        }
        let state = match State::load(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                slots::forget(folder)?;
                self.alarm(true, format!("what was installed cannot be read ({e}): the packaged program runs"));
                State::default()
            }
            state => state?,
        };
        let version = self.running.version;
        let on_trial = state.on_trial().is_some_and(|trial| trial.version == version);
        let is_rotten = state.good.as_ref().filter(|good| good.version > version && !on_trial);
        if let Some(good) = is_rotten.filter(|_| self.running.launcher.is_some()) {
            slots::go_back(folder, good.version, "its bytes are not those that were signed any more")?;
        }
        let failed = State::load(folder)?.failed;
        for failed in failed.iter().filter(|failed| !failed.told) {
            self.record(failed.version, UpdateStep::Back, &failed.why);
            self.alarm(true, format!("{}: {}", failed.version, failed.why));
        }
        if failed.iter().any(|failed| !failed.told) {
            self.see(|_| ()).await?;
            slots::told(folder)?;
        }
        if on_trial && self.running.launcher.is_some() {
            self.say("trial", &format!("release {version} is on trial: its test alarm is on its way"));
            // For as long as it takes: the alarm clock of the kernel ends it.
            self.round_trip(None).await?;
            slots::confirm(folder, version)?;
            set_alarm_clock(0);
            self.record(version, UpdateStep::Proven, "its test alarm was accepted");
            self.alarm(false, String::new());
            self.say("current", &format!("release {version} runs, and has proven itself"));
        }
        Ok(())
    }

    /// One look. An empty text: nothing new. What its publisher has called back, put off, or cannot be asked about is not begun.
    async fn turn(
        &self,
        config: &Config,
        settings: &Settings,
        folder: &Folder,
        Look { asks, by_hand }: Look,
        memory: &mut Memory,
        wishes: &mut Wishes,
    ) -> Result<(&'static str, String), Trouble> {
        let mut found = String::new();
        if asks {
            memory.offered = false;
            let publisher = publisher(settings)?;
            let manifest = released(&publisher, settings).await?;
            let state = State::load(folder)?;
            // A person may try again what has failed.
            let failed = if by_hand { Vec::new() } else { state.failures() };
            let own = Own {
                running: self.running.version,
                formats: &FORMATS,
                packaged: self.running.packaged.as_ref(),
                target: TARGET,
                failed: &failed,
            };
            let file = manifest.judge(&own, self.clock.now().wall_ms);
            let newer = matches!(file, Ok(Some(_))).then_some(manifest.version);
            // Called back by its publisher.
            if state.staged().is_some_and(|staged| Some(staged.version) != newer) {
                slots::unstage(folder)?;
            }
            match file? {
                None => found = format!("release {} runs, and is the newest", manifest.version),
                Some(file) => {
                    if !by_hand {
                        let version = manifest.version;
                        policy::has_come(&manifest, config.gateway.id.as_str(), self.moment(config))
                            .map_err(|wait| Trouble::NotCome { version, wait })?;
                    }
                    let is_here =
                        |staged: &Installed| (staged.version, &staged.sha256) == (manifest.version, &file.sha256);
                    if !state.staged().is_some_and(is_here) {
                        let download = Download { publisher: &publisher, manifest: &manifest, file };
                        self.bring(&download, config, folder, &mut memory.damaged, wishes).await?;
                    }
                    memory.offered = true;
                }
            }
        }
        match State::load(folder)?.staged().filter(|_| memory.offered) {
            Some(staged) => self.switch(config, settings, folder, staged, by_hand).await,
            None => Ok(("current", found)),
        }
    }

    fn moment(&self, config: &Config) -> Moment {
        let now = self.clock.now();
        let local = when::local(&config.gateway.time_zone, now.wall_ms);
        let local_min = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or_default();
        Moment { wall_ms: now.wall_ms, sure: now.confidence != Confidence::Floor, local_min }
    }

    async fn bring(
        &self,
        download: &Download<'_>,
        config: &Config,
        folder: &Folder,
        damaged: &mut Vec<Version>,
        wishes: &mut Wishes,
    ) -> Result<(), Trouble> {
        let Download { publisher, manifest, file } = *download;
        let version = manifest.version;
        if damaged.iter().filter(|known| **known == version).count() >= UPDATE_DAMAGED_MAX as usize {
            return Err(Trouble::Damaged(version));
        }
        folder.make()?;
        let name = slots::download(&file.sha256);
        slots::forget_downloads(folder, &name)?;
        let mut there = folder.length(&name)?;
        if there > file.size {
            folder.remove(&name)?;
            there = 0;
        }
        if there < file.size {
            has_room(version, file.size - there, config, &folder.path(""))?;
            let mut unsynced = 0;
            let begin = || folder.remove(&name);
            let keep = |piece: &[u8]| {
                folder.append(&name, piece)?;
                unsynced += piece.len() as u64;
                if unsynced >= SYNC_BYTES {
                    unsynced = 0;
                    folder.sync(&name)?;
                }
                Ok(())
            };
            // Nobody who wants to go back waits for a slow publisher; what came stays.
            tokio::select! {
                went = publisher.rest(&file.file, there, file.size, begin, keep) => went?,
                Some(wish) = wishes.recv() => return Err(Trouble::Wished(wish)),
            }
        }
        let staged = slots::stage(folder, manifest, &file.sha256);
        if matches!(staged, Err(StageError::Damaged { .. })) {
            damaged.push(version);
        }
        staged?;
        self.record(version, UpdateStep::Staged, "");
        Ok(())
    }

    /// Gives the gateway to the program that is staged, if nothing is in the way.
    async fn switch(
        &self,
        config: &Config,
        settings: &Settings,
        folder: &Folder,
        staged: &Installed,
        by_hand: bool,
    ) -> Result<(&'static str, String), Trouble> {
        let version = staged.version;
        if self.running.launcher.is_none() {
            return Err(Trouble::NotLaunched(version));
        }
        let is_provable = !config.receivers_for(Lane::Test).is_empty();
        let waits = |wait| Trouble::Waits { version, wait };
        let scene = self.see(move |keeper| keeper.scene(is_provable)).await?;
        policy::is_quiet(&scene, &settings.quiet, self.moment(config), by_hand).map_err(waits)?;
        if let Err(why) = reads_config(&folder.path(staged.slot.name()), &config.file).await {
            slots::go_back(folder, version, &why)?;
            self.record(version, UpdateStep::Back, &why);
            self.alarm(true, format!("{version}: {why}"));
            self.see(|_| ()).await?;
            slots::told(folder)?;
            return Err(Trouble::Failed { version, why });
        }
        // A receiver that answers nobody is not the new program's fault: the one that runs goes first.
        let proven = timeout(Duration::from_millis(UPDATE_PROOF_MS), self.round_trip(Some(version))).await;
        let Ok(proven) = proven else {
            for test in self.see(Keeper::own_tests).await? {
                self.end_test(test, "it was not accepted in time").await?;
            }
            return Err(Trouble::Unproven(version));
        };
        proven?;
        // Somebody may have pressed meanwhile.
        let scene = self.see(move |keeper| keeper.scene(is_provable)).await?;
        policy::is_quiet(&scene, &settings.quiet, self.moment(config), by_hand).map_err(waits)?;
        self.record(version, UpdateStep::Begun, "");
        self.see(|_| ()).await?;
        slots::switch(folder)?;
        self.leave.notify_one();
        Ok(("trial", format!("release {version} is started")))
    }

    /// A test alarm of this program, until a receiver has accepted it. `before`: for the program that is to come.
    async fn round_trip(&self, before: Option<Version>) -> Result<(), Trouble> {
        let version = self.running.version.to_string();
        let alarm = self.ask(|reply| Ask::Prove { version, reply }).await?;
        let mut looks = interval(Duration::from_millis(UPDATE_PROOF_LOOK_MS));
        loop {
            looks.tick().await;
            let asked = alarm.clone();
            if self.see(move |keeper| keeper.is_accepted(&asked)).await? == Some(true) {
                break;
            }
        }
        let note = match before {
            Some(next) => format!("accepted: the way is proven, {next} may begin"),
            None => "accepted: the program has proven itself".to_owned(),
        };
        self.end_test(alarm, &note).await
    }

    async fn end_test(&self, alarm: AlarmId, note: &str) -> Result<(), Trouble> {
        let act = Act::new(alarm, ActWhat::Close, NAME.to_owned(), note.to_owned());
        // A person may have closed it already.
        if let Err(why) = self.ask(|reply| Ask::Act { act, reply }).await? {
            info!("ending a test of the program: {why}");
        }
        Ok(())
    }

    async fn roll_back(&self, folder: &Folder, by: &str) -> Result<(&'static str, String), Trouble> {
        let version = self.running.version;
        let why = format!("rolled back by {by}");
        if self.running.launcher.is_none() {
            return Err(Trouble::NotLaunched(version));
        }
        if !slots::go_back(folder, version, &why)? {
            let why = "there is no program before the packaged one".to_owned();
            return Err(Trouble::Failed { version, why });
        }
        self.see(|_| ()).await?;
        self.leave.notify_one();
        Ok(("current", format!("release {version} is given up: the one before it is started")))
    }
}

/// The publisher's server, as the config trusts it.
pub(crate) fn publisher(settings: &Settings) -> Result<Publisher, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::Authority {
        path: settings.ca.display().to_string(),
        why: why.to_string(),
    };
    let authorities = CertificateDer::pem_file_iter(&settings.ca).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let authorities = authorities.map_err(|e| wrong(&e))?;
    if authorities.is_empty() {
        return Err(wrong(&"it holds no certificate"));
    }
    Ok(Publisher::new(settings.address.clone(), &authorities)?)
}

/// What the publisher offers, once a key of the config is known to have signed it.
async fn released(publisher: &Publisher, settings: &Settings) -> Result<Manifest, Trouble> {
    let bytes = publisher.small(MANIFEST, MANIFEST_BYTES_MAX).await?;
    let signature = publisher.small(SIGNATURE, SIGNATURE_BYTES_MAX).await?;
    let signature = String::from_utf8(signature).map_err(|_| Trouble::NoText)?;
    sign::verify(&settings.keys, &bytes, &signature)?;
    Ok(Manifest::parse(&bytes)?)
}

/// So many bytes can be written in `folder` before any lane of the journal would be refused for want of room.
fn has_room(version: Version, needs: u64, config: &Config, folder: &Path) -> Result<(), Trouble> {
    let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let kept = (config.journal.size_max_mib << 20) / FREE_FOR_TELEMETRY;
    if free < needs.saturating_add(kept) {
        let folder = folder.display().to_string();
        return Err(Trouble::NoRoom { version, needs, free, kept, folder });
    }
    Ok(())
}

/// The new program can be started on this machine, and reads the config that is in force.
async fn reads_config(program: &Path, config: &Path) -> Result<(), String> {
    // Before the kernel is asked: what it does not know it may give to a shell.
    let mut header = Vec::with_capacity(HEADER_BYTES);
    let file = std::fs::File::open(program).map_err(|e| format!("it cannot be read: {e}"))?;
    file.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(|e| format!("it cannot be read: {e}"))?;
    machine::fits(&header, TARGET)?;
    let mut command = tokio::process::Command::new(program);
    command.arg("check-config").arg(config).kill_on_drop(true);
    command.stdin(std::process::Stdio::null());
    let ended = timeout(Duration::from_millis(UPDATE_CHECK_CONFIG_MS), command.output()).await;
    let output = ended
        .map_err(|_| format!("it did not read vaka.toml within {} s", UPDATE_CHECK_CONFIG_MS / 1_000))?
        .map_err(|e| format!("it cannot be started here: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or_default();
    let line = if line.is_empty() { String::new() } else { format!(": {line}") };
    Err(format!("it does not read vaka.toml ({}){line}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_for_another_machine_is_given_up_before_it_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("vaka");
        let mut bytes = std::fs::read("/proc/self/exe").unwrap();
        // Little-endian: x86-64 becomes AArch64, and the other way round.
        bytes[18] = if bytes[18] == 62 { 183 } else { 62 };
        std::fs::write(&program, bytes).unwrap();
        let why = reads_config(&program, &folder.path().join("vaka.toml")).await.unwrap_err();
        assert!(why.starts_with("it is a program for "), "{why}");
        let gone = reads_config(&folder.path().join("gone"), &program).await.unwrap_err();
        assert!(gone.contains("cannot be read"), "{gone}");
    }
}
