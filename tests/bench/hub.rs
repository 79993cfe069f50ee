//! A home's alarm through its hub, and a hub with a municipality's homes: `--hub`.
//!
//! Everything is the real program and real connections over mutual TLS. The program is `$VAKA_BIN`, else the release build.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use toml_edit::value;
use vaka_tests::{Crowd, Gateway, Home, Rush, setting};

use crate::centre::Kind;
use crate::disk::Raw;
use crate::load::{LoadResult, LoadSpec, Work};
use crate::mqtt::Version;
use crate::press::Press;
use crate::process::{Role, cpu_us, load_average, peak_mib};
use crate::session::{Identity, Target};
use crate::stats::{median, p50_p99};

/// Presses of the first part.
const PRESSES: u64 = 200;
/// Alarms of each home in the second.
const ALARMS_PER_HOME: u64 = 20;

/// A home's alarm; `SEQ` becomes the event's number, so that each is an alarm of its own.
const ALARM: &str = r#"{"alarm":{"alarm":"aSEQ","lane":"life","cause":"button","device":"p1","resident":"r1","room":"hall","count":1,"dty":3,"stc":10,"text":"Larmknapp"}}"#;

pub fn bench(dir: &Path) -> Result<()> {
    let crowd = std::env::current_exe()?.with_file_name("crowd");
    anyhow::ensure!(crowd.is_file(), "build the crowd of devices first: cargo build --release -p vaka-tests --bins");
    let busy = load_average();
    through_a_hub(dir)?;
    many_homes(dir, &crowd)?;
    println!("load average before {busy}, after {}", load_average());
    Ok(())
}

fn hub(centre_port: u16) -> Home {
    let hub = Home::init();
    hub.edit(|config| {
        config["gateway"]["id"] = value("hub-1");
        config["gateway"]["role"] = value("hub");
        config["journal"]["size_max_mib"] = value(4096);
    });
    hub.centre(centre_port);
    hub
}

/// Press at a home, accepted at the centre behind its hub, as the pendant hears it.
fn through_a_hub(dir: &Path) -> Result<()> {
    for kind in Kind::ALL {
        let Some(centre) = kind.start(dir)? else {
            println!("press through a hub to {}: not measured, it is not on this machine", kind.name());
            continue;
        };
        let hub = hub(centre.port);
        hub.device("gw-0001", "gateway");
        let home = Home::init();
        let pem = |name: &str| hub.pem("gw-0001", name).display().to_string();
        let (cert, key, ca) = (pem("cert.pem"), pem("key.pem"), pem("ca.pem"));
        let keys = [("kind", "hub"), ("cert", cert.as_str()), ("key", key.as_str()), ("ca", ca.as_str())];
        home.receiver("hub", &format!("mqtts:127.0.0.1:{}", hub.mqtt_port), &keys);
        home.device("p1", "pendant");
        let (_upstairs, downstairs) = (Gateway::start(&hub), Gateway::start(&home));
        downstairs.wait_log("path up");
        let mut raw = Raw::default();
        raw.slice(dir, Duration::from_secs(1))?;
        let spec = LoadSpec {
            target: Target { port: home.mqtt_port, version: Version::V5 },
            devices: vec![Identity { id: "p1".into(), dir: home.path("p1") }],
            window: 1,
            restart: 1,
            work: Work::Press { presses: PRESSES },
        };
        let file = dir.join("hub-load.json");
        std::fs::write(&file, serde_json::to_string(&spec)?)?;
        let mut role = Role::spawn("load", &[file.as_os_str()])?;
        role.line().context("the pendant's connection")?;
        let result: LoadResult = serde_json::from_str(&role.line()?)?;
        raw.slice(dir, Duration::from_secs(1))?;
        let accepted: Vec<f64> = result.presses.iter().filter_map(|press| press.accepted_us).collect();
        let heard = accepted.len();
        let (p50, p99) = p50_p99(accepted);
        let fdatasync_ms = raw.figures_ms()[0];
        let bound_ms = 6.0 * fdatasync_ms + 10.0;
        println!(
            "press at a home -> accepted by {} through a hub: p50 {:.1} ms, p99 {:.1} ms ({heard} of {PRESSES}); fdatasync {fdatasync_ms:.2} ms; \
             goal p50 <= 6 fdatasync + 10 ms = {bound_ms:.1} ms: {}",
            kind.name(),
            p50 / 1e3,
            p99 / 1e3,
            verdict(p50 / 1e3 <= bound_ms)
        );
        println!("    of it, p50: {}", rungs(&result.presses));
    }
    Ok(())
}

/// When the pendant heard of each rung.
fn rungs(presses: &[Press]) -> String {
    type Pick = fn(&Press) -> Option<f64>;
    let rungs: [(&str, Pick); 5] = [
        ("PUBACK", |p| p.puback_us),
        ("stored", |p| p.stored_us),
        ("sent", |p| p.sent_us),
        ("received by the hub", |p| p.received_us),
        ("accepted", |p| p.accepted_us),
    ];
    let after = |(rung, pick): (&str, Pick)| {
        let heard: Vec<f64> = presses.iter().filter_map(pick).collect();
        // Not every rung is told: a later one makes it needless.
        let often = if heard.len() < presses.len() { format!(" ({} times)", heard.len()) } else { String::new() };
        format!("{rung} {:.1} ms{often}", median(heard) / 1e3)
    };
    rungs.map(after).join(", ")
}

/// A municipality's homes: all connected, all with alarms; then the hub dies and all come back at once, each with an alarm.
fn many_homes(dir: &Path, crowd: &Path) -> Result<()> {
    let count = setting("VAKA_HOMES", 2_000) as usize;
    let centre = Kind::Own.start(dir)?.context("the bench's own alarm centre did not start")?;
    let hub = hub(centre.port);
    let homes = hub.crowd("gw", count, "gateway");
    let mut gateway = Gateway::start(&hub);
    let begun = Instant::now();
    let mut all = Crowd::start(crowd, &hub, &homes, Rush::default()).all(count);
    println!("{count} homes connected after {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let (stored, refused) = all.publish(&json!({"event": ALARM, "restart": 1, "seq": 1, "count": ALARMS_PER_HOME}));
    let rate = stored as f64 / begun.elapsed().as_secs_f64();
    println!(
        "alarms of {count} homes, durable: {rate:.0}/s ({stored} stored, {refused} refused), peak RSS {:.0} MiB; goals >= 5000/s: {}, <= 256 MiB: {}",
        peak_mib(gateway.id()),
        verdict(rate >= 5_000.0 && refused == 0),
        verdict(peak_mib(gateway.id()) <= 256.0)
    );
    drop(all);
    gateway.kill();
    gateway.restart();
    let begun = Instant::now();
    let cpu_before_us = cpu_us(gateway.id());
    let at_once = setting("VAKA_AT_ONCE", count as u64) as usize;
    let storm = Crowd::start_with(crowd, &hub, &homes, Rush { at_once, ..Rush::default() }, Some(ALARM)).all(count);
    let settled = begun.elapsed();
    // From the first try, however often a home was turned away: what its resident would wait.
    let slowest_ms = storm.slowest_back_ms();
    println!(
        "all {count} come back at once, each with an alarm: settled after {:.1} s, the slowest alarm on the disk {slowest_ms:.0} ms after \
         its home's first try, {:.0} ms after its connection ({} tries); goals <= 60 s: {}, <= 5 s: {}; peak RSS {:.0} MiB",
        settled.as_secs_f64(),
        storm.slowest_first_ms(),
        storm.count("tries"),
        verdict(settled <= Duration::from_secs(60)),
        verdict(slowest_ms <= 5_000.0),
        peak_mib(gateway.id())
    );
    println!(
        "    processor time of it: hub {:.1} s, all homes together {:.1} s (one thread)",
        (cpu_us(gateway.id()) - cpu_before_us) / 1e6,
        cpu_us(storm.id()) / 1e6
    );
    Ok(())
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
