//! Look-ins by camera under load: `--looks`. 179 cameras, ten people who look at once, and presses meanwhile: in one house, whose own staff look,
//! and in ten homes of one hub, where the staff are.
//!
//! The gateways are the real program over real TLS (`$VAKA_BIN`, else the release build), people are logged in by real cards. Cameras and
//! lamps are this program's own: a camera here gives ffmpeg's pictures over HTTP as fast as it is asked, so what is measured is the way
//! through the gateway. H.264 is GStreamer's, passed on by the gateway's camera crate in a process of its own. 179 is the number of cameras
//! of the largest municipality in a survey of 2025.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vaka_tests::Gateway;

use crate::centre::Kind;
use crate::goals::{self, Goal};
use crate::process::{cpu_us, load_average, memory_mib, peak_mib};
use crate::stats::{median, p50_p99, percentile};
use site::Site;

mod cameras;
mod site;

pub use cameras::video_role;

const CAMERAS: usize = 179;
/// Homes of the hub.
const HOMES: usize = 10;
/// Looks at once.
const AT_ONCE: usize = 10;
/// Turns of looks, each at other residents; one in [`ASLEEP`] at cameras that have to wake first.
const TURNS: usize = 12;
const ASLEEP: usize = 4;
/// How long one look lasts, in seconds.
const LOOK_S: u64 = 15;

/// All goals of both tables; false: one was missed.
pub fn bench(dir: &Path, quick: bool) -> Result<bool> {
    let busy = load_average();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cameras = runtime.block_on(cameras::start(dir))?;
    let bench = Bench { dir, runtime, turns: if quick { 4 } else { TURNS }, presses: if quick { 48 } else { 160 } };
    let mut house = bench.at(&Site::house(cameras)?)?;
    match cameras::video()? {
        Some(share) => {
            house.push(Goal::at_most("processor of an H.264 stream passed on, share of a core", share, 5.0, "%"))
        }
        None => println!("H.264: not measured, no GStreamer here"),
    }
    let hub = bench.at(&Site::hub(cameras)?)?;
    println!("\n{CAMERAS} cameras in one house, {AT_ONCE} looks at once of {LOOK_S} s\n{}", goals::print(&house));
    println!("\nthe same cameras in {HOMES} homes of one hub, where the staff are\n{}", goals::print(&hub));
    println!("load average {busy} before, {} after", load_average());
    Ok(house.iter().chain(&hub).all(|goal| goal.met() != Some(false)))
}

struct Bench<'d> {
    dir: &'d Path,
    runtime: tokio::runtime::Runtime,
    turns: usize,
    /// In each turn, without looks and with them.
    presses: u64,
}

impl Bench<'_> {
    /// Every turn at one site.
    fn at(&self, site: &Site) -> Result<Vec<Goal>> {
        let kind = Kind::Sipp;
        let centre = match kind.start(self.dir)? {
            Some(centre) => centre,
            None => Kind::Own.start(self.dir)?.context("the bench's own alarm centre did not start")?,
        };
        site.staff().centre(centre.port);
        let gateways: Vec<Gateway> = site.gateways().map(Gateway::start).collect();
        gateways[0].wait_log("the board is open");
        for gateway in &gateways {
            gateway.wait_log("path up");
        }
        self.runtime.block_on(site.lamps())?;
        site.until_checked()?;
        let memory = || gateways.iter().map(|gateway| memory_mib(gateway.id()).0).sum::<f64>();
        let spent_us = || gateways.iter().map(|gateway| cpu_us(gateway.id())).sum::<f64>();
        let cores = |since: f64, begun: Instant| (spent_us() - since) / 1e6 / begun.elapsed().as_secs_f64();
        let before = memory();
        let (cpu, begun) = (spent_us(), Instant::now());
        std::thread::sleep(Duration::from_secs(LOOK_S));
        let idle = cores(cpu, begun);

        let (mut ready, mut asleep) = (Vec::new(), Vec::new());
        let (mut without, mut with) = (Vec::new(), Vec::new());
        let mut shares = [Vec::new(), Vec::new()];
        for turn in 0..self.turns {
            let sleepy = turn % ASLEEP == ASLEEP - 1;
            let clear = turn % 2 == 0;
            let quiet = site.press(self.dir, self.presses, 1 + 2 * turn as u32)?;
            let visitors = self.runtime.block_on(site.log_in(turn))?;
            let looks = turn * AT_ONCE..(turn + 1) * AT_ONCE;
            if !sleepy {
                // A ready camera: somebody has just asked it for a picture.
                self.runtime.block_on(cameras::wake(site.cameras, looks.clone()))?;
            }
            let (cpu, begun) = (spent_us(), Instant::now());
            let looking = looks.zip(visitors).map(|(n, visitor)| self.runtime.spawn(site.watch(n, visitor, clear)));
            let looking: Vec<_> = looking.collect();
            let busy = site.press(self.dir, self.presses, 2 + 2 * turn as u32)?;
            let (mut firsts, mut pictures) = (Vec::new(), 0);
            for look in looking {
                let seen = self.runtime.block_on(look)??;
                firsts.push(seen.first_ms);
                pictures += seen.pictures;
            }
            let share = (cores(cpu, begun) - idle).max(0.0) * 100.0 / AT_ONCE as f64;
            shares[usize::from(clear)].push(share);
            println!(
                "turn {}: {AT_ONCE} looks, {}{}, {pictures} pictures: first picture p50 {:.0} ms, last {:.0} ms; {share:.1} % of a core each; \
                 press to accepted p99 quiet {:.1} ms, meanwhile {:.1} ms",
                turn + 1,
                if clear { "clear" } else { "veiled" },
                if sleepy { ", cameras asleep" } else { "" },
                p50_p99(firsts.clone()).0,
                firsts.iter().copied().fold(0.0, f64::max),
                p50_p99(quiet.clone()).1,
                p50_p99(busy.clone()).1,
            );
            if sleepy { &mut asleep } else { &mut ready }.extend(firsts);
            without.extend(quiet);
            with.extend(busy);
        }
        let p95 = |mut firsts: Vec<f64>| {
            firsts.sort_by(f64::total_cmp);
            percentile(&firsts, 0.95)
        };
        let [veiled, clear] = shares.map(median);
        let presses = without.len();
        let ((quiet_p50, quiet_p99), (busy_p50, busy_p99)) = (p50_p99(without), p50_p99(with));
        println!(
            "{presses} presses each, accepted: without looks p50 {quiet_p50:.1} ms, p99 {quiet_p99:.1} ms; with them {busy_p50:.1} ms, {busy_p99:.1} ms; \
             a veiled look took {veiled:.1} % of a core; peak RSS {:.0} MiB where the staff are",
            peak_mib(gateways[0].id()),
        );
        Ok(vec![
            Goal::at_most("tap to first picture, camera ready, p95", p95(ready), 1_000.0, "ms"),
            Goal::at_most("the same, camera asleep (wakes in 1 s), p95", p95(asleep), 3_000.0, "ms"),
            Goal::at_most("processor of a look, clear, all gateways' share of a core", clear, 5.0, "%"),
            Goal::at_most("10 looks / none: press to accepted p50", busy_p50 / quiet_p50, 1.2, "×"),
            Goal::at_most("10 looks / none: press to accepted p99", busy_p99 / quiet_p99, 1.2, "×"),
            Goal::at_most("memory that looks have added, all gateways", memory() - before, 64.0, "MiB"),
        ])
    }
}
