//! The way of an event, put together: the only room that imports every stage.
//!
//! ingest → keeper (journal, rules, journal: one commit) → dispatch → receiver; receipts come back as records.

pub mod ageing;
pub mod class;
mod commands;
pub mod control;
pub mod erasing;
pub mod export;
#[cfg(test)]
mod failure_tests;
mod fleet;
mod floods;
pub mod fold;
pub mod follow;
mod health;
mod homes;
#[cfg(test)]
mod hub_tests;
pub mod keeper;
pub mod looks;
mod measures;
mod orders;
#[cfg(test)]
mod orders_tests;
mod passing;
mod readable;
mod renewals;
pub mod restore;
mod rounds;
mod shortage;
#[cfg(test)]
mod stream_tests;
pub mod streams;
#[cfg(test)]
mod tests;
pub mod updates;
pub mod view;
pub mod visits;
mod watchdog;
pub mod whose;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::board;
use crate::clock::{Clock, Confidence, SystemClock};
use crate::config::{Config, ConfigError, DeviceKind};
use crate::dispatch::{DispatchConfig, Dispatcher, ReceiverConfig, ReceiverKind, Report, webhook};
use crate::enrol;
use crate::firmware;
use crate::ingest::inbox::Inbox;
use crate::ingest::listener::{self, DoorCounts};
use crate::ingest::roster::{Listed, Peer, Roster};
use crate::ingest::session::Hall;
use crate::ingest::sessions::Sessions;
use crate::ingest::{Intake, Submission};
use crate::journal::record::Fault;
use crate::limits;
use crate::metrics;
use crate::otlp;
use crate::parts;
use crate::provision;
use crate::rules::care::agreed::Agreed;
use crate::rules::orders::{Orderable, Target};
use crate::rules::{DeviceFacts, Home, visit};
use crate::service::{self, Manager};
use crate::update;
use keeper::{Ask, Input, Keeper};
use restore::RestoreError;
use view::Labels;

/// Why the gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Provision(#[from] provision::ProvisionError),
    #[error(transparent)]
    Tls(#[from] provision::tls::TlsError),
    #[error(transparent)]
    Journal(#[from] RestoreError),
    #[error(
        "listening on {address} for devices: {source}; another program has the port, or it is not this machine's address ([ingest] listen)"
    )]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error(
        "listening on {address} for new devices: {source}; another program has the port, or it is not this machine's address ([enrol] listen)"
    )]
    ListenEnrol { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Start(String),
    #[error("the journal's thread ended unexpectedly: the process has to start anew")]
    KeeperDied,
    #[error("stopping: the journal cannot be written; what was not acknowledged will be sent again")]
    KeeperStuck,
    #[error("this home has moved to another box, which alone may speak as it; if that one never came into use, remove {} and start again", .0.display())]
    Retired(PathBuf),
}

/// Sessions put their submissions here.
struct Gate {
    inbox: Arc<Inbox<Input>>,
}

impl Intake for Gate {
    fn submit(&self, batch: &mut Vec<Submission>) {
        self.inbox.put(batch.drain(..).map(|submission| {
            let input = Input::Submission(submission);
            (input.rank(), input)
        }));
    }

    fn is_overwhelmed(&self) -> bool {
        self.inbox.len() > limits::INBOX_MAX
    }

    fn tell(&self, fault: Fault) {
        self.inbox.put([(true, Input::Ask(Ask::Fault(fault)))]);
    }
}

/// Why it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// Another program is to be started in its place.
    Anew,
}

/// Runs the gateway of the config at `path` until SIGTERM or SIGINT, or until an update begins. SIGHUP reads the config anew, all or nothing.
///
/// # Errors
/// [`RunError`], where it cannot start, or must not go on.
pub async fn run(path: PathBuf, running: update::Running) -> Result<Ended, RunError> {
    let manager = Arc::new(Manager::from_environment());
    let (config, warnings) = Config::load(&path)?;
    for warning in &warnings {
        warn!("{warning}");
    }
    if crate::backup::retire::holds(&config.home) {
        return Err(RunError::Retired(crate::backup::retire::mark(&config.home)));
    }
    // Before the journal's lock is taken: whoever finds the lock may send SIGHUP.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| RunError::Start(format!("taking SIGTERM: {e}")))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| RunError::Start(format!("taking SIGINT: {e}")))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| RunError::Start(format!("taking SIGHUP: {e}")))?;
    let strangers = limits::HANDSHAKES_MAX + config.enrol.map_or(0, |_| limits::ENROL_PLACES_MAX);
    let most_connected = raise_descriptor_limit(strangers);
    let clock = Arc::new(SystemClock::new());
    let size_max_bytes = config.journal.size_max_mib * 1024 * 1024;
    let restored = restore::open_to_run(&config.journal.dir, size_max_bytes)?;
    clock.remember(restored.newest_wall_ms());
    clock.raise_floor(provision::read_floor(&config.pki()));
    let now = clock.now();
    if now.confidence == Confidence::Floor {
        warn!("the machine's clock is not believed: time goes on from the newest that is known ({})", now.wall_ms);
    }

    // A box that lay in a cupboard for years shows its devices nothing that has ended.
    provision::renew_own(&config.pki(), now.wall_ms);
    let tls = provision::tls::server_config(&config, clock.clone())?;
    let (tls_changes, tls) = watch::channel(tls);
    let (roster_changes, roster) = watch::channel(Arc::new(roster(&config)?));
    let roster_changes = Arc::new(roster_changes);
    let (stop, shutdown) = watch::channel(false);
    let address = config.ingest.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    let enrol_listener = match config.enrol {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.map_err(|source| RunError::ListenEnrol { address, source })?)
        }
        None => None,
    };
    let control = control::bind(&config.journal.dir).map_err(RunError::Start)?;

    let inbox = Arc::new(Inbox::default());
    let reports = {
        let inbox = inbox.clone();
        Arc::new(move |report: Report| inbox.put([(true, Input::Report(report))]))
    };
    let dispatcher = Dispatcher::start(dispatch_config(&config)?, clock.clone(), reports, shutdown.clone());
    let mut keeper =
        Keeper::new(restored, home(&config), Labels::from_config(&config), clock.clone(), Some(dispatcher.clone()));
    keeper.agree(config.agreed.clone());
    let (for_hubs, asked_by_hubs) = tokio::sync::mpsc::unbounded_channel();
    keeper.look_for_hubs_with(for_hubs);
    let (changes, follower) = board::desk::follower();
    if config.board.is_some() {
        keeper.follow_with(follower);
    }
    let (stopping, turns) = (keeper.stopping(), keeper.turns());
    keeper.read_streams_with(streams::spawn_reader(config.journal.dir.clone(), {
        let inbox = inbox.clone();
        move |window| inbox.put([(false, Input::Ask(Ask::Window(window)))])
    }));
    let keeper = spawn_keeper(keeper, inbox.clone())?;
    spawn_verify(config.journal.dir.clone(), inbox.clone());
    let own_renewed = Arc::new(tokio::sync::Notify::new());
    tokio::spawn(renew_elsewhere(config.pki(), clock.clone(), own_renewed.clone(), shutdown.clone()));
    let (certificates_read, certificates) = watch::channel(Vec::new());
    let watched =
        Watched { pki: config.pki(), clock: clock.clone(), own_renewed: own_renewed.clone(), certificates_read };
    tokio::spawn(watch_parts(watched, roster.clone(), inbox.clone(), shutdown.clone()));

    let (callers, called) = tokio::sync::mpsc::channel(crate::limits::LOOK_CALLERS_MAX);
    let hall = Arc::new(Hall {
        intake: Arc::new(Gate { inbox: inbox.clone() }),
        renewals: renewals::start(config.pki(), clock.clone(), roster_changes.clone())?,
        roster,
        sessions: Sessions::new(most_connected),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
        counts: DoorCounts::default(),
        callers: Some(callers),
    });
    let (reload_sender, mut reloads) = tokio::sync::mpsc::channel(1);
    let (config_changes, config_in_force) = watch::channel(Arc::new(config.clone()));
    let looks = crate::look::Looks::new(inbox.clone(), config_changes.subscribe());
    if let Some(settings) = config.board.clone() {
        let desk =
            board::desk::Desk::new(inbox.clone(), clock.clone(), config_in_force.clone(), looks.clone(), changes);
        let desk = desk.reload_with(reload_sender.clone());
        board::start(settings, Arc::new(desk), inbox.clone(), shutdown.clone());
    }
    tokio::spawn(crate::look::carry_for_hubs(looks.clone(), asked_by_hubs));
    tokio::spawn(crate::look::hear_homes(looks.clone(), called));
    tokio::spawn(crate::look::keep_checking(looks.clone(), shutdown.clone()));
    let enrolment = Arc::new(enrol::Counts::default());
    let (enrolled_sender, mut enrolled) = tokio::sync::mpsc::unbounded_channel();
    if let Some(listener) = enrol_listener {
        let made_for = (config.clone(), clock.clone());
        let settings = move || provision::tls::enrol_config(&made_for.0, made_for.1.clone());
        let first = settings()?;
        let door = enrol::door::Door::new(&config, clock.clone(), enrolment.clone(), enrolled_sender.clone());
        let door = enrol::door::run(listener, Arc::new(door), tls.clone(), settings, first, shutdown.clone());
        tokio::spawn(door);
    }
    let door = tokio::spawn(listener::run(listener, tls, identify, hall.clone()));
    let standing = update::Standing::default();
    if let Some(to) = config.otlp {
        let (inbox, clock) = (inbox.clone(), clock.clone());
        let (gateway, version) = (config.gateway.id.to_string(), env!("CARGO_PKG_VERSION").to_owned());
        tokio::spawn(otlp::Teller { to, gateway, version, inbox, clock }.run(shutdown.clone()));
    }
    if let Some(address) = config.metrics {
        let measures = Arc::new(measures::Measures {
            inbox: inbox.clone(),
            hall: hall.clone(),
            dispatcher: dispatcher.clone(),
            enrolment: enrolment.clone(),
            updates: (running.version, standing.clone()),
            config: config_in_force,
            certificates,
            clock: clock.clone(),
        });
        tokio::spawn(metrics::server::run(address, move || measures.clone().look(), shutdown.clone()));
    }
    tokio::spawn(watchdog::run(manager.clone(), turns, inbox.clone(), dispatcher.clone(), shutdown.clone()));
    let leave = Arc::new(tokio::sync::Notify::new());
    let (wishes, wished) = tokio::sync::mpsc::channel(1);
    let work = update::Work {
        config: config_changes.subscribe(),
        inbox: inbox.clone(),
        clock: clock.clone(),
        running: running.clone(),
        standing: standing.clone(),
        leave: leave.clone(),
        shutdown: shutdown.clone(),
    };
    update::start(work, wished).map_err(|e| RunError::Start(format!("starting the thread of updates: {e}")))?;
    let fleet = firmware::Door {
        inbox: inbox.clone(),
        board: firmware::Board::default(),
        check: Arc::default(),
        look: Arc::default(),
    };
    let giving = firmware::Work {
        config: config_changes.subscribe(),
        door: fleet.clone(),
        clock: clock.clone(),
        shutdown: shutdown.clone(),
    };
    firmware::start(giving).map_err(|e| RunError::Start(format!("starting the thread of firmware: {e}")))?;
    let updates = update::Door { wishes, standing, running, config: config_changes.subscribe() };
    let doors = control::Doors {
        inbox: inbox.clone(),
        hall: hall.clone(),
        dispatcher: dispatcher.clone(),
        enrolment,
        updates,
        fleet,
        looks,
    };
    tokio::spawn(control::serve(control, doors, shutdown));
    info!(
        gateway.id = %config.gateway.id,
        listen = %address,
        enrol = config.enrol.map(tracing::field::display),
        devices = config.devices.len(),
        receivers = config.receivers.len(),
        "ready"
    );

    let mut keeper_ended = keeper.ended;
    let mut ended = Ended::Stopped;
    loop {
        let mut asked: Option<tokio::sync::oneshot::Sender<Result<(), String>>> = None;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = leave.notified() => {
                ended = Ended::Anew;
                break;
            }
            _ = &mut keeper_ended => return Err(RunError::KeeperDied),
            _ = hangup.recv() => {}
            () = own_renewed.notified() => {}
            Some(reply) = reloads.recv() => asked = Some(reply),
            // Whoever invited it has sent SIGHUP; if that did not come through, the device must not stand before a closed door.
            Some(device) = enrolled.recv() => if hall.roster.borrow().devices.contains_key(&device) { continue },
        }
        manager.reloading(clock.now().mono_ms);
        match reload(&path, &config, clock.clone()) {
            Ok(fresh) => {
                inbox.put([(
                    true,
                    Input::Ask(Ask::Home { home: fresh.home, labels: fresh.labels, agreed: fresh.agreed }),
                )]);
                dispatcher.reconfigure(fresh.dispatch);
                roster_changes.send_replace(fresh.roster);
                // A renewal may have come in between.
                renewals::read_list(&config.pki(), &roster_changes);
                tls_changes.send_replace(fresh.tls);
                config_changes.send_replace(fresh.config);
                info!("the config was read anew");
                asked.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
            }
            Err(e) => {
                error!("reading the config anew: {e}; the old one stays in force");
                asked.into_iter().for_each(|reply| drop(reply.send(Err(e.to_string()))));
            }
        }
        manager.say(service::READY);
    }
    info!("stopping");
    // To the service manager the next program is the same process, which goes on.
    if ended == Ended::Stopped {
        manager.say(service::STOPPING);
    }
    stop.send_replace(true);
    let _ = door.await;
    wait_for_sessions(&hall).await;
    stopping.store(true, Ordering::Release);
    // Last of all: what the sessions still had to say is before it.
    inbox.put([(false, Input::Stop)]);
    let patience = Duration::from_millis(limits::STOP_MS_MAX);
    if tokio::time::timeout(patience, keeper_ended).await.is_err() {
        return Err(RunError::KeeperStuck);
    }
    let _ = std::fs::remove_file(control::socket(&config.journal.dir));
    Ok(ended)
}

/// Each connection is a descriptor, and the usual soft limit is below the connections that are let in. Returns how many devices
/// may be connected at once: the door must never be the one to find that there are no more descriptors.
fn raise_descriptor_limit(strangers: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.current = limit.maximum,
        Err(e) => warn!("raising the limit of open files: {e}; fewer devices can be connected at once"),
    }
    let descriptors = limit.current.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
    descriptors.saturating_sub(strangers + limits::DESCRIPTORS_KEPT).clamp(1, limits::CONNECTIONS_MAX)
}

/// Sessions say goodbye by themselves; a moment is enough, and what they had not acknowledged comes again.
async fn wait_for_sessions(hall: &Hall) {
    for _ in 0..50 {
        if hall.sessions.connected() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Running {
    ended: tokio::sync::oneshot::Receiver<()>,
}

fn spawn_keeper(mut keeper: Keeper, inbox: Arc<Inbox<Input>>) -> Result<Running, RunError> {
    let (ending, ended) = tokio::sync::oneshot::channel();
    let body = move || {
        // Dropped when the thread ends, by return or by panic: the process must not live on without it.
        let _ending = ending;
        keeper.begin();
        let mut batch = Vec::with_capacity(limits::COMMIT_RECORDS_MAX);
        let (mut stopping, mut previous) = (false, 0);
        while !stopping {
            inbox.take(limits::COMMIT_RECORDS_MAX, keeper.patience(), &mut batch);
            let is_idle = batch.is_empty();
            if let Some(missing) = missing_company(previous, &batch) {
                inbox.gather(missing, Duration::from_micros(limits::GATHER_US));
                inbox.take(limits::COMMIT_RECORDS_MAX - batch.len(), Duration::ZERO, &mut batch);
            }
            previous = batch.len();
            stopping = batch.iter().any(|input| matches!(input, Input::Stop));
            keeper.run_batch(&mut batch);
            keeper.keep_house(is_idle);
        }
        keeper.finish();
    };
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(body)
        .map_err(|e| RunError::Start(format!("starting the journal's thread: {e}")))?;
    Ok(Running { ended })
}

/// How many more inputs are worth waiting for before a commit of `batch`: whoever was answered by the `previous` commit, of
/// so many records, is about to send again. `None`: a lone device, an urgent input, or enough.
fn missing_company(previous: usize, batch: &[Input]) -> Option<usize> {
    let few = batch.len() + previous <= limits::GATHER_RECORDS_MAX;
    let can_wait = |input: &Input| matches!(input, Input::Submission(_)) && !input.is_urgent();
    (previous > 1 && few && !batch.is_empty() && batch.iter().all(can_wait)).then_some(previous)
}

/// Reads the whole journal once, beside the keeper: a start looks only at what it needs, and a press must not wait for the rest.
fn spawn_verify(dir: PathBuf, inbox: Arc<Inbox<Input>>) {
    let body = move || match crate::journal::reader::verify(&dir) {
        Ok(report) => {
            let (records, found, unopened) = (report.records, report.damage, report.unopened);
            inbox.put([(false, Input::Ask(Ask::Damaged { records, found, unopened }))]);
        }
        Err(e) => warn!("verifying the journal: {e}"),
    };
    if let Err(e) = std::thread::Builder::new().name("verify".into()).spawn(body) {
        warn!("starting the thread that verifies the journal: {e}; `vaka journal verify` does the same");
    }
}

/// What is looked at slowly.
struct Watched {
    pki: provision::Pki,
    clock: Arc<SystemClock>,
    /// Told that the gateway's own certificates are new.
    own_renewed: Arc<tokio::sync::Notify>,
    certificates_read: watch::Sender<Vec<parts::Ends>>,
}

/// Looks at the gateway's own parts, slowly, until it stops.
async fn watch_parts(
    Watched { pki, clock, own_renewed, certificates_read }: Watched,
    roster: watch::Receiver<Arc<Roster>>,
    inbox: Arc<Inbox<Input>>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut known = parts::Parts::default();
    let mut floor = Some(provision::Floor::new(pki.clone()));
    let mut looks = tokio::time::interval(Duration::from_millis(parts::LOOK_MS));
    for look in 0_u32.. {
        tokio::select! {
            _ = looks.tick() => {}
            _ = shutdown.changed() => return,
        }
        let (pki, roster) = (pki.clone(), roster.borrow().clone());
        let read_certificates = look % parts::CERTIFICATES_EVERY == 0;
        let now = clock.now();
        // Files are read beside the threads that serve devices.
        let mut raised = floor.take().unwrap_or_else(|| provision::Floor::new(pki.clone()));
        let files = tokio::task::spawn_blocking(move || {
            let is_new = read_certificates && provision::renew_own(&pki, now.wall_ms);
            if read_certificates && now.confidence == Confidence::Synchronised {
                raised.raise(now);
            }
            let certificates = read_certificates.then(|| parts::certificates(&pki, roster.devices.keys()));
            (certificates, is_new, raised, parts::hottest(std::path::Path::new("/sys/class/thermal")))
        });
        let Ok((certificates, is_new, raised, milli_c)) = files.await else { return };
        floor = Some(raised);
        if is_new {
            own_renewed.notify_one();
        }
        if let Some(certificates) = &certificates {
            certificates_read.send_replace(certificates.clone());
        }
        let faults = known.judge(&parts::Reading { now: clock.now(), certificates, milli_c });
        if !faults.is_empty() {
            inbox.put(faults.into_iter().map(|fault| (false, Input::Ask(Ask::Part(fault)))));
        }
    }
}

/// Has the gateway's certificate renewed where it comes from, if that is outside the home, until the gateway stops.
async fn renew_elsewhere(
    pki: provision::Pki,
    clock: Arc<SystemClock>,
    own_renewed: Arc<tokio::sync::Notify>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut looks = tokio::time::interval(Duration::from_millis(parts::LOOK_MS));
    let mut not_before_ms = 0;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = shutdown.changed() => return,
        }
        let now = clock.now();
        // A clock that is lost knows nothing of a certificate's life.
        if now.confidence == Confidence::Floor || now.mono_ms < not_before_ms {
            continue;
        }
        let wait_ms = match crate::est::renew_if_due(&pki, now.wall_ms).await {
            Ok(None) => 0,
            Ok(Some(crate::est::Outcome::Enrolled(certificate))) => {
                info!(issuer = certificate.issuer, "the gateway's certificate was renewed at its authority");
                own_renewed.notify_one();
                0
            }
            Ok(Some(crate::est::Outcome::Later(after))) => {
                info!(seconds = after.as_secs(), "the authority wants time for the gateway's next certificate");
                u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
            }
            Err(error) => {
                warn!("renewing the gateway's certificate: {error}");
                limits::EST_TRY_MS
            }
        };
        not_before_ms = clock.now().mono_ms.saturating_add(wait_ms);
    }
}

/// Everything that a new config changes while the gateway runs.
struct Fresh {
    home: Home,
    labels: Labels,
    agreed: Arc<Agreed>,
    dispatch: DispatchConfig,
    roster: Arc<Roster>,
    tls: Arc<rustls::ServerConfig>,
    config: Arc<Config>,
}

fn reload(path: &std::path::Path, running: &Config, clock: Arc<SystemClock>) -> Result<Fresh, RunError> {
    let (config, warnings) = Config::load(path)?;
    for warning in &warnings {
        warn!("{warning}");
    }
    let listens =
        |config: &Config| (config.ingest.listen, config.enrol, config.metrics, config.otlp, config.journal.dir.clone());
    if listens(&config) != listens(running) {
        warn!(
            "[ingest] listen, [enrol] listen, [metrics] listen, [otlp] to and [journal] dir change at the next start only"
        );
    }
    provision::renew_own(&config.pki(), clock.now().wall_ms);
    Ok(Fresh {
        home: home(&config),
        labels: Labels::from_config(&config),
        agreed: config.agreed.clone(),
        dispatch: dispatch_config(&config)?,
        roster: Arc::new(roster(&config)?),
        tls: provision::tls::server_config(&config, clock)?,
        config: Arc::new(config),
    })
}

fn identify(certificate: &rustls::pki_types::CertificateDer<'_>) -> Result<Peer, String> {
    let identity = provision::identity(certificate).map_err(|e| e.to_string())?;
    Ok(Peer {
        device: identity.device,
        enrolment: identity.enrolment,
        serial: identity.serial,
        not_after: identity.not_after,
    })
}

fn roster(config: &Config) -> Result<Roster, provision::ProvisionError> {
    let (issued, warnings) = provision::Issued::load(&config.pki().issued())?;
    for warning in &warnings {
        warn!("{warning}");
    }
    let mut roster = Roster { revoked: issued.revoked(), renewed: issued.renewed(), ..Roster::default() };
    for device in config.devices.values() {
        if matches!(device.kind, DeviceKind::Bridge | DeviceKind::Gateway) {
            roster.many.insert(device.id.clone());
        }
        match (&device.via, &device.address) {
            (Some(bridge), Some(address)) => {
                roster.behind.entry(bridge.clone()).or_default().insert(address.clone(), device.id.clone());
                if matches!(device.kind, DeviceKind::Pendant | DeviceKind::FixedTrigger) {
                    roster.callers.insert(device.id.clone());
                }
            }
            _ => {
                let (bridge, home) = (device.kind == DeviceKind::Bridge, device.kind == DeviceKind::Gateway);
                roster.devices.insert(device.id.clone(), Listed { bridge, home });
            }
        }
    }
    Ok(roster)
}

/// What dispatch has to know of the config.
fn dispatch_config(config: &Config) -> Result<DispatchConfig, RunError> {
    Ok(DispatchConfig {
        controller_id: config.gateway.controller_id.clone().unwrap_or_default(),
        // One home, one resident's telephone: where the alarm centre calls back.
        caller: config.residents.values().find_map(|resident| resident.phone.clone()),
        time_zone: config.gateway.time_zone.iana_name().unwrap_or_default().to_owned(),
        receivers: config.receivers.iter().map(with_secrets).collect::<Result<_, _>>()?,
        routes: config.routes.clone(),
    })
}

fn with_secrets(receiver: &ReceiverConfig) -> Result<ReceiverConfig, RunError> {
    let mut made = receiver.clone();
    if let Some(file) = &receiver.password_file {
        let password = std::fs::read_to_string(file).map_err(|e| {
            let name = &receiver.name;
            RunError::Start(format!("reading the password of receiver {name} from {}: {e}", file.display()))
        })?;
        made.password = Some(password.trim_end_matches(['\r', '\n']).to_owned());
    }
    webhook::config::read_secrets(&mut made).map_err(|e| RunError::Start(e.to_string()))?;
    Ok(made)
}

/// What the rules have to know of the config.
pub fn home(config: &Config) -> Home {
    let facts = |device: &crate::config::Device| DeviceFacts {
        dty: scaip_device_type(device),
        fixed: device.fixed,
        speaks: device.kind == DeviceKind::Feedback,
        home: device.kind == DeviceKind::Gateway,
    };
    Home {
        devices: config.devices.values().map(|device| (device.id.clone(), facts(device))).collect(),
        english: config.gateway.language == crate::config::Language::En,
        life_paths: config
            .receivers_for(vaka_protocol::Lane::Life)
            .into_iter()
            .map(|receiver| (receiver.name.clone(), receiver.path_labels()))
            .collect(),
        telemetry: {
            let to = config.receivers_for(vaka_protocol::Lane::Telemetry);
            to.into_iter().map(|receiver| receiver.name.clone()).collect()
        },
        visit: visit_plan(config),
        hubs: vaka_protocol::Lane::ALL.iter().map(|lane| (*lane, hubs(config, *lane))).collect(),
        planned: config.agreed.planned(),
        orders: orderable(config),
    }
}

/// The id of the command by which the order in the record of this number goes to whom it is for.
pub fn command_id(order: u64) -> u64 {
    commands::Commands::id(order, 0)
}

/// What people may order of the devices here.
fn orderable(config: &Config) -> Orderable {
    // Behind a bridge nothing hears a command; a gateway is ordered by what is in its home.
    let hears = |device: &&crate::config::Device| {
        device.via.is_none() && !matches!(device.kind, DeviceKind::Gateway | DeviceKind::Bridge)
    };
    let target = |device: &crate::config::Device| {
        let is_lock = matches!(device.kind, DeviceKind::Lock | DeviceKind::Cabinet);
        let (is_door, speaks) = (device.kind == DeviceKind::Lock, device.kind == DeviceKind::Feedback);
        let (resident, unlock) = (device.resident.clone(), config.orders.unlock.get(&device.id).cloned());
        (device.id.clone(), Target { resident, is_lock, is_door, speaks, unlock })
    };
    let of = |device: &crate::config::Device| Some((device.id.clone(), device.resident.clone()?));
    Orderable {
        devices: config.devices.values().filter(hears).map(target).collect(),
        residents: config.devices.values().filter_map(of).collect(),
        hubs: config.orders.hubs.clone(),
    }
}

/// What a technician's visit has to find.
fn visit_plan(config: &Config) -> visit::Plan {
    let want = |device: &crate::config::Device| {
        (device.id.clone(), visit::kinds::of(device.kind.as_str(), device.via.as_ref(), config.visit))
    };
    let test_receivers = config.receivers_for(vaka_protocol::Lane::Test);
    visit::Plan {
        gateway: config.gateway.id.to_string(),
        devices: config.devices.values().map(want).collect(),
        test_receivers: test_receivers.into_iter().map(|receiver| receiver.name.clone()).collect(),
    }
}

/// The hubs that a lane's alarms are told to.
fn hubs(config: &Config, lane: vaka_protocol::Lane) -> Vec<String> {
    let is_hub = |receiver: &&ReceiverConfig| receiver.kind == ReceiverKind::Hub;
    config.receivers_for(lane).into_iter().filter(is_hub).map(|receiver| receiver.name.clone()).collect()
}

/// SCAIP device type of a device's kind. Source: the public code tables of SCAIP implementations.
fn scaip_device_type(device: &crate::config::Device) -> u16 {
    match device.kind {
        DeviceKind::Pendant if device.fixed => 4,
        DeviceKind::Pendant => 3,
        DeviceKind::FixedTrigger => 4,
        DeviceKind::FallDetector => 5,
        DeviceKind::BedSensor => 12,
        DeviceKind::ChairSensor => 44,
        DeviceKind::MatSensor => 13,
        DeviceKind::DoorSensor => 14,
        DeviceKind::MotionSensor => 10,
        DeviceKind::SmokeDetector => 23,
        DeviceKind::GasDetector => 21,
        DeviceKind::CoDetector => 26,
        DeviceKind::HeatDetector => 25,
        DeviceKind::FloodSensor => 33,
        DeviceKind::EnuresisSensor => 16,
        DeviceKind::SeizureSensor => 17,
        DeviceKind::GpsAlarm => 51,
        DeviceKind::Dispenser => 11,
        DeviceKind::Cabinet | DeviceKind::Lock => 43,
        DeviceKind::Thermometer => 20,
        DeviceKind::VitalMonitor => 49,
        DeviceKind::Feedback => 48,
        DeviceKind::Bridge => 40,
        DeviceKind::Gateway => 2,
        DeviceKind::Other => 1,
    }
}
