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
use crate::process::{Role, peak_mib};
use crate::session::{Identity, Target};
use crate::stats::p50_p99;

/// Presses of the first part.
const PRESSES: u64 = 200;
/// Alarms of each home in the second.
const ALARMS_PER_HOME: u64 = 20;

/// A home's alarm; `SEQ` becomes the event's number, so that each is an alarm of its own.
const ALARM: &str = r#"{"alarm":{"alarm":"aSEQ","lane":"life","cause":"button","device":"p1","resident":"r1","room":"hall","count":1,"dty":3,"stc":10,"text":"Larmknapp"}}"#;

pub fn bench(dir: &Path) -> Result<()> {
    let crowd = std::env::current_exe()?.with_file_name("crowd");
    anyhow::ensure!(crowd.is_file(), "build the crowd of devices first: cargo build --release -p vaka-tests --bins");
    through_a_hub(dir)?;
    many_homes(dir, &crowd)
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
    }
    Ok(())
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
    let storm =
        Crowd::start_with(crowd, &hub, &homes, Rush { at_once: count, ..Rush::default() }, Some(ALARM)).all(count);
    let slowest_ms = storm.slowest_first_ms();
    println!(
        "all {count} come back at once, each with an alarm: settled after {:.1} s, the slowest alarm stored {slowest_ms:.0} ms after its home was connected; \
         goals <= 60 s: {}, <= 5 s: {}; peak RSS {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        verdict(begun.elapsed() <= Duration::from_secs(60)),
        verdict(slowest_ms <= 5_000.0),
        peak_mib(gateway.id())
    );
    Ok(())
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
