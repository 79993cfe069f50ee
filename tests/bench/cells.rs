//! The measurements: each starts a server, measures one thing, puts its figures into the table and stops the server.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::centre;
use crate::disk;
use crate::load::{LoadResult, LoadSpec, Work};
use crate::peer::{Peer, Server};
use crate::press::Press;
use crate::process::{Process, Role, context_switches, cpu_us, memory_mib, peak_mib, write_bytes};
use crate::session::Session;
use crate::stats::{median, p50_p99};
use crate::table::Table;

/// Connections and in flight on each.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub window: usize,
}

/// The loads the goals speak of.
pub const LOADS: [Load; 3] =
    [Load { connections: 1, window: 1 }, Load { connections: 16, window: 4 }, Load { connections: 50, window: 10 }];

/// The column of figures that are the machine's own.
pub const MACHINE: &str = "disk";
pub const RAW_P50: &str = "append 400 B + fdatasync, p50";

/// Rows that goals and plot look at.
pub const ACKNOWLEDGED: &str = "acknowledged";
pub const P50: &str = "PUBACK p50";
pub const P99: &str = "PUBACK p99";
pub const KILLED: &str = "acknowledged before kill -9";
pub const LOST: &str = "of these lost";
pub const WRITTEN: &str = "16×1 written to the disk";
pub const IDLE_RSS: &str = "idle, 50 devices: RSS";
pub const IDLE_WAKES: &str = "idle: context switches";
pub const IDLE_SYNCS: &str = "idle: syncs";
pub const SIZE: &str = "program, stripped";
pub const CONNACK: &str = "start to first CONNACK";

impl Load {
    pub fn name(&self) -> String {
        format!("{}×{}", self.connections, self.window)
    }

    pub fn row(&self, what: &str) -> String {
        format!("{} {what}", self.name())
    }
}

/// Events acknowledged before a kill. Below mosquitto's queue limit of 1,000, so that the kill alone is judged.
const KILL_EVENTS: u64 = 900;

/// A generator, in a process of its own, that has connected everything.
pub fn generator(dir: &Path, server: &Server, peer: &dyn Peer, load: Load, restart: u32, work: Work) -> Result<Role> {
    let spec = LoadSpec {
        target: server.target.clone(),
        devices: peer.devices()[..load.connections].to_vec(),
        window: load.window,
        restart,
        work,
    };
    let path = dir.join("load.json");
    fs::write(&path, serde_json::to_string(&spec)?)?;
    let mut role = Role::spawn("load", &[path.as_os_str()])?;
    let ready = role.line().with_context(|| format!("connecting {} devices to {}", load.connections, peer.name()))?;
    ensure!(ready == "ready", "the generator said {ready:?} instead of ready");
    Ok(role)
}

pub fn result(mut role: Role) -> Result<LoadResult> {
    Ok(serde_json::from_str(&role.line()?)?)
}

/// Acknowledged events per second and PUBACK latency, on an empty store.
pub fn throughput(
    table: &mut Table,
    dir: &Path,
    peer: &mut dyn Peer,
    load: Load,
    warm_up_ms: u64,
    measure_ms: u64,
) -> Result<f64> {
    let server = peer.start_empty()?;
    if peer.keeps_only_for_somebody() {
        peer.prepare_keeping(&server)?;
    }
    let role = generator(dir, &server, peer, load, 1, Work::Timed { warm_up_ms, measure_ms })?;
    let before_us = cpu_us(server.pid());
    let result = result(role)?;
    let server_us = cpu_us(server.pid()) - before_us;
    let rate = result.acked as f64 / result.seconds;
    let all = result.acked_total.max(1) as f64;
    table.add(&load.row(ACKNOWLEDGED), "ev/s", peer.name(), rate);
    table.add(&load.row(P50), "ms", peer.name(), result.p50_us / 1e3);
    table.add(&load.row(P99), "ms", peer.name(), result.p99_us / 1e3);
    table.add(&load.row("server's processor time"), "µs/ev", peer.name(), server_us / all);
    table.add(&load.row("generator's processor time"), "µs/ev", peer.name(), result.cpu_us / all);
    table.add(&load.row("peak memory"), "MiB", peer.name(), peak_mib(server.pid()));
    table.add("refused", "events", peer.name(), result.refused as f64);
    Ok(rate)
}

/// What the disk alone took in this round: the floor for everything that is durable.
pub fn raw_disk(table: &mut Table, raw: disk::Raw) -> f64 {
    let [append_p50, append_p99, overwrite_p50] = raw.figures_ms();
    table.add(RAW_P50, "ms", MACHINE, append_p50);
    table.add("append 400 B + fdatasync, p99", "ms", MACHINE, append_p99);
    table.add("overwrite 400 B + fdatasync, p50", "ms", MACHINE, overwrite_p50);
    append_p50
}

/// Acknowledged events that are gone after kill -9.
pub fn lost_after_kill(table: &mut Table, dir: &Path, peer: &mut dyn Peer) -> Result<f64> {
    let load = Load { connections: 10, window: 4 };
    let per_device = KILL_EVENTS / load.connections as u64;
    let mut server = peer.start_empty()?;
    peer.prepare_keeping(&server)?;
    let role = generator(dir, &server, peer, load, 77, Work::Count { per_device })?;
    let result = result(role)?;
    server.process.kill();
    let server = peer.start_again()?;
    let kept = peer.kept(&server, 77)?;
    let acked = peer.devices()[..load.connections].iter().flat_map(|d| (1..=per_device).map(|seq| (d.id.clone(), seq)));
    let lost = acked.filter(|event| !kept.contains(event)).count() as f64 - result.refused as f64;
    table.add(KILLED, "events", peer.name(), result.acked_total as f64);
    table.add(LOST, "events", peer.name(), lost);
    Ok(lost)
}

/// Bytes on the disk per event with 16 waiting: what the kernel wrote, and by how much the store grew.
pub fn disk_bytes(table: &mut Table, dir: &Path, peer: &mut dyn Peer, events: u64) -> Result<()> {
    let load = Load { connections: 16, window: 1 };
    let server = peer.start_empty()?;
    peer.prepare_keeping(&server)?;
    let per_device = events.min(peer.disk_events_max()) / 16;
    let role = generator(dir, &server, peer, load, 1, Work::Count { per_device })?;
    let written = write_bytes(server.pid());
    let size = disk::folder_bytes(peer.store());
    let result = result(role)?;
    let all = result.acked_total as f64;
    table.add(WRITTEN, "B/ev", peer.name(), (write_bytes(server.pid()) - written) / all);
    table.add("16×1 growth of the store", "B/ev", peer.name(), (disk::folder_bytes(peer.store()) - size) / all);
    Ok(())
}

/// From spawn to a listening socket, and to the CONNACK of a device that tries at once.
pub fn ready(table: &mut Table, peer: &mut dyn Peer) -> Result<f64> {
    let server = peer.start_empty()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let session = runtime.block_on(Session::open(&server.target, &peer.devices()[0], false))?;
    let connected_ms = server.spawned.elapsed().as_secs_f64() * 1e3;
    drop(session);
    table.add("start to listening", "ms", peer.name(), server.listening_ms);
    table.add(CONNACK, "ms", peer.name(), connected_ms);
    Ok(connected_ms)
}

/// Memory, wake-ups and syncs of all peers at rest, side by side, each with all its devices connected.
pub fn idle(
    table: &mut Table,
    dir: &Path,
    peers: &mut [Box<dyn Peer>],
    settle: Duration,
    watch: Duration,
) -> Result<()> {
    let load = LOADS[2];
    let mut held = Vec::new();
    for peer in peers.iter_mut() {
        let server = peer.start_empty()?;
        let role = generator(dir, &server, peer.as_ref(), load, 1, Work::Hold)?;
        held.push((peer.name(), server, role));
    }
    std::thread::sleep(settle);
    let before: Vec<(f64, f64)> = held.iter().map(|(_, s, _)| (context_switches(s.pid()), cpu_us(s.pid()))).collect();
    std::thread::sleep(watch);
    let minutes = watch.as_secs_f64() / 60.0;
    for ((name, server, _), (switches, cpu)) in held.iter().zip(before) {
        let (rss, pss) = memory_mib(server.pid());
        table.add(IDLE_RSS, "MiB", name, rss);
        table.add("idle, 50 devices: PSS", "MiB", name, pss);
        table.add(IDLE_WAKES, "/min", name, (context_switches(server.pid()) - switches) / minutes);
        table.add("idle: processor time", "ms/min", name, (cpu_us(server.pid()) - cpu) / 1e3 / minutes);
    }
    let mut traces = Vec::new();
    for (name, server, _) in &held {
        let file = dir.join(format!("{name}.strace"));
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync,syncfs", "-o"]).arg(&file);
        command.args(["-p", &server.pid().to_string()]).stderr(Stdio::null());
        // Without strace (or the right to trace) the row stays empty.
        if let Ok(strace) = Process::spawn("strace", &mut command) {
            traces.push((*name, strace, file));
        }
    }
    if !traces.is_empty() {
        std::thread::sleep(watch);
    }
    for (name, mut strace, file) in traces {
        strace.kill();
        if let Ok(calls) = fs::read_to_string(file) {
            table.add(IDLE_SYNCS, "/min", name, calls.lines().count() as f64 / minutes);
        }
    }
    for (_, server, mut role) in held {
        drop(role.process.take_stdin());
        role.line()?;
        drop(server);
    }
    Ok(())
}

/// Presses whose `accepted` did not come in time, with any centre.
pub const UNHEARD: &str = "presses not accepted in 20 s";

/// The row of one rung's latency.
pub fn press_row(centre: &str, what: &str) -> String {
    format!("press to {what} ({centre})")
}

/// From a press to the receipts, with an alarm centre of this kind. None: a peer without alarms, or no such centre here.
pub fn presses(
    table: &mut Table,
    dir: &Path,
    peer: &mut dyn Peer,
    kind: centre::Kind,
    presses: u64,
) -> Result<Option<f64>> {
    let Some(centre) = kind.start(dir)? else { return Ok(None) };
    if !peer.alarm_centre(centre.port)? {
        return Ok(None);
    }
    let server = peer.start_empty()?;
    let role = generator(dir, &server, peer, LOADS[2], 1, Work::Press { presses })?;
    let pressed = result(role)?.presses;
    let rung = |pick: fn(&Press) -> Option<f64>| median(pressed.iter().filter_map(pick)) / 1e3;
    let row = |what| press_row(kind.name(), what);
    table.add(&row("PUBACK, p50"), "ms", peer.name(), rung(|p| p.puback_us));
    table.add(&row("received, p50"), "ms", peer.name(), rung(|p| p.received_us));
    let (p50, p99) = p50_p99(pressed.iter().filter_map(|p| p.accepted_us).collect());
    table.add(&row("accepted, p50"), "ms", peer.name(), p50 / 1e3);
    table.add(&row("accepted, p99"), "ms", peer.name(), p99 / 1e3);
    table.add(UNHEARD, "presses", peer.name(), presses as f64 - pressed.len() as f64);
    Ok(Some(p50 / 1e3))
}

/// Size of the program as it is shipped: without symbols.
pub fn program_size(table: &mut Table, dir: &Path, peer: &dyn Peer) -> Result<()> {
    let Some(program) = peer.program() else { return Ok(()) };
    let stripped = dir.join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
    let measured = if done.is_ok_and(|status| status.success()) { stripped.as_path() } else { program };
    table.add(SIZE, "MiB", peer.name(), fs::metadata(measured)?.len() as f64 / 1_048_576.0);
    Ok(())
}
