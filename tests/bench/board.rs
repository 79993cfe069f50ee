//! The staff's board under load: `--board`. A hub with 5,000 open alarms, 500 boards open, and a flood.
//!
//! Everything is the real program over real TLS; people are logged in by real cards. The program is `$VAKA_BIN`, else the release build.
//! A press's moment is taken before it is written to the socket, a row's when its event is whole in the page's connection; both by
//! the wall clock of this machine. With chromium, the same until the row is painted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use toml_edit::value;
use vaka_tests::{Crowd, Gateway, Home, Rush, free_port, lacks, root, setting, vaka_bin};

use crate::centre::Kind;
use crate::flood::Flood;
use crate::goals::{self, Goal};
use crate::load::{LoadResult, LoadSpec, Work, now_us};
use crate::mqtt::Version;
use crate::press::Press;
use crate::process::{Role, load_average, peak_mib};
use crate::session::{Identity, Target};
use crate::stats::{median, p50_p99, percentile};
use crate::web::{self, Cards, Visitor, Wire};

/// Homes of the hub, and alarms of each in each lane: 5,000 open.
const HOMES: usize = 250;
const ALARMS_PER_LANE: u64 = 5;
const LANES: [&str; 4] = ["life", "care", "technical", "test"];
/// Buttons of the hub's own, few enough that all of their rows stand on the first page.
const BUTTONS: usize = 16;
/// Groups of people: each sees a list of its own.
const UNITS: usize = 8;
/// Readers and silent connections of the flood.
const READERS: usize = 32;
const SILENT: usize = 1_000;

/// All goals of the table; false: one was missed.
pub fn bench(dir: &Path, quick: bool) -> Result<bool> {
    let crowd = std::env::current_exe()?.with_file_name("crowd");
    let crowd = if crowd.is_file() { crowd } else { root().join("target/release/crowd") };
    ensure!(crowd.is_file(), "build the crowd of devices first: cargo build --release -p vaka-tests --bins");
    let busy = load_average();
    let boards = setting("VAKA_BOARDS", 500) as usize;
    let (presses, rounds) = if quick { (48, 1) } else { (160, 3) };
    let kind = Kind::Sipp;
    let centre = match kind.start(dir)? {
        Some(centre) => centre,
        None => Kind::Own.start(dir)?.context("the bench's own alarm centre did not start")?,
    };
    let home = Home::init();
    let mut town = Town::new(&home, centre.port, boards)?;
    let gateway = Gateway::start(&home);
    gateway.wait_log("path up");
    gateway.wait_log("the board is open");
    town.log_in(boards)?;
    let mut goals = Vec::new();

    let alone = town.watched(dir, 1, presses, 1)?;
    goals.push(Goal::at_most("1 board: press to row in the page's stream, p99", alone.screen.1, 200.0, "ms"));
    let is_painted = town.browser("1 board", &mut goals)?;

    let homes = town.alarms(&crowd)?;
    println!("{} alarms open; {:.0} MiB at most so far", town.home.alarms().len(), peak_mib(gateway.id()));
    let full = town.watched(dir, boards, presses, 2)?;
    goals.push(Goal::at_most("500 boards, 5,000 alarms: the same, p50", full.screen.0, 200.0, "ms"));
    goals.push(Goal::at_most("500 boards, 5,000 alarms: the same, p99", full.screen.1, 200.0, "ms"));
    goals.push(Goal::at_most(
        "500 boards, 5,000 alarms: press to row on the last board, p99",
        full.last.1,
        1_000.0,
        "ms",
    ));
    let mut flood = town.flood(dir, boards, 0, 0)?;
    town.browser("500 boards", &mut goals)?;
    flood.end()?;

    // Quiet and flooded in turns, so that a noisy minute hits both.
    let (mut p50s, mut p99s) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let quiet = accepted(&town.press(dir, presses, 10 + 2 * round)?);
        let mut flood = town.flood(dir, boards, READERS, SILENT)?;
        let flooded = accepted(&town.press(dir, presses, 11 + 2 * round)?);
        let pages = flood.end()?;
        println!(
            "round {}: press to accepted by {}: quiet p50 {:.1} ms, p99 {:.1} ms; flooded p50 {:.1} ms, p99 {:.1} ms ({pages} pages read meanwhile)",
            round + 1,
            kind.name(),
            quiet.0,
            quiet.1,
            flooded.0,
            flooded.1
        );
        p50s.push(flooded.0 / quiet.0);
        p99s.push(flooded.1 / quiet.1);
    }
    goals.push(Goal::at_most("board flooded / board quiet: press to accepted p50", median(p50s), 1.5, "×"));
    goals.push(Goal::at_most("board flooded / board quiet: press to accepted p99", median(p99s), 2.0, "×"));
    drop(homes);
    println!("\n{}", goals::print(&goals));
    println!(
        "{boards} boards of as many people in {UNITS} groups, {} open alarms, flood: {READERS} readers without pause, {SILENT} silent connections; \
         peak RSS {:.0} MiB; load average {busy} before, {} after{}",
        HOMES as u64 * ALARMS_PER_LANE * LANES.len() as u64,
        peak_mib(gateway.id()),
        load_average(),
        if is_painted { "" } else { "; painted: not measured, no browser here" }
    );
    Ok(goals.iter().all(|goal| goal.met() != Some(false)))
}

/// p50 and p99 from press to accepted, in milliseconds.
fn accepted(presses: &[Press]) -> (f64, f64) {
    let (p50, p99) = p50_p99(presses.iter().filter_map(|press| press.accepted_us).collect());
    (p50 / 1e3, p99 / 1e3)
}

/// A hub, its buttons, and people who are logged in.
struct Town<'h> {
    home: &'h Home,
    ca: PathBuf,
    buttons: Vec<Identity>,
    people: Vec<Visitor>,
    cards: Cards,
    card_port: u16,
}

/// Press to row, p50 and p99 in milliseconds.
struct Watched {
    /// On one board that is looked at.
    screen: (f64, f64),
    /// On the last of all.
    last: (f64, f64),
}

impl<'h> Town<'h> {
    fn new(home: &'h Home, centre_port: u16, people: usize) -> Result<Town<'h>> {
        let card_port = free_port();
        home.edit(|config| {
            config["gateway"]["id"] = value("hub-1");
            config["gateway"]["role"] = value("hub");
            config["journal"]["size_max_mib"] = value(4096);
            config["board"]["card"]["listen"] = value(format!("127.0.0.1:{card_port}"));
            config["board"]["card"]["ca"] = value("cards.pem");
        });
        home.centre(centre_port);
        let names: Vec<String> = (0..BUTTONS).map(|n| format!("press-{n:02}")).collect();
        for name in &names {
            home.device(name, "pendant");
        }
        home.crowd("gw", HOMES, "gateway");
        let person = |n: usize| {
            let unit = n % UNITS;
            format!("[[person]]\nid = \"p{n:03}\"\nrole = \"night\"\nunits = [\"u{unit}\"]\ncard = \"CN=p{n:03}\"\n")
        };
        std::fs::write(home.path("people.toml"), (0..people).map(person).collect::<String>())?;
        let cards = Cards::new(&home.path("cards.pem"))?;
        let buttons = names.into_iter().map(|id| Identity { dir: home.path(&id), id }).collect();
        Ok(Town { ca: home.path("pki/server-ca.pem"), home, buttons, people: Vec::new(), cards, card_port })
    }

    fn log_in(&mut self, people: usize) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let begun = std::time::Instant::now();
        for n in 0..people {
            self.people.push(runtime.block_on(self.cards.log_in(&self.ca, self.card_port, &format!("p{n:03}")))?);
        }
        println!("{people} people logged in by their cards in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Homes that tell of their alarms; they stay open, and are connected for as long as this is held.
    fn alarms(&self, crowd: &Path) -> Result<Crowd> {
        let ids: Vec<String> = (0..HOMES).map(|n| format!("gw{n:05}")).collect();
        let mut homes = Crowd::start(crowd, self.home, &ids, Rush::default()).all(HOMES);
        for (n, lane) in LANES.iter().enumerate() {
            let cause = if *lane == "technical" { "tamper" } else { "button" };
            let event = format!(
                r#"{{"alarm":{{"alarm":"aSEQ","lane":"{lane}","cause":"{cause}","device":"p1","resident":"r1","room":"hall","count":1,"dty":3,"stc":10,"text":"Larmknappen trycktes. Ingen har svarat i rummet."}}}}"#
            );
            let seq = 1 + n as u64 * ALARMS_PER_LANE;
            let (stored, refused) =
                homes.publish(&json!({"event": event, "restart": 1, "seq": seq, "count": ALARMS_PER_LANE}));
            ensure!(refused == 0 && stored == HOMES as u64 * ALARMS_PER_LANE, "{stored} stored, {refused} refused");
        }
        // Some are taken, so that every part of the first page is full.
        let open = self.home.alarms();
        for row in open.iter().filter(|row| row["lane"] == "care").take(20) {
            let id = row["id"].as_str().context("a row without an id")?;
            self.home.vaka(&["alarm", "claim", id, "--by", "p000"]).ok();
        }
        Ok(homes)
    }

    fn presses(&self, dir: &Path, presses: u64, restart: u32) -> Result<Role> {
        let spec = LoadSpec {
            target: Target { port: self.home.mqtt_port, version: Version::V5 },
            devices: self.buttons.clone(),
            window: 1,
            restart,
            work: Work::Press { presses },
        };
        let file = dir.join("board-load.json");
        std::fs::write(&file, serde_json::to_string(&spec)?)?;
        let mut role = Role::spawn("load", &[file.as_os_str()])?;
        role.line().context("the buttons' connections")?;
        Ok(role)
    }

    /// Presses on each button in turn, until all are accepted.
    fn press(&self, dir: &Path, presses: u64, restart: u32) -> Result<Vec<Press>> {
        let result: LoadResult = serde_json::from_str(&self.presses(dir, presses, restart)?.line()?)?;
        ensure!(result.presses.len() as u64 == presses, "{} of {presses} accepted", result.presses.len());
        Ok(result.presses)
    }

    /// Closes what the buttons have raised: the next press of each is a new alarm, and stands on top of every board.
    fn close(&self) -> Result<()> {
        for row in
            self.home.alarms().iter().filter(|row| row["device"].as_str().is_some_and(|id| id.starts_with("press-")))
        {
            let id = row["id"].as_str().context("a row without an id")?;
            self.home.vaka(&["alarm", "close", id, "--by", "p000"]).ok();
        }
        Ok(())
    }

    /// Presses while so many boards are open and looked at.
    fn watched(&self, dir: &Path, boards: usize, presses: u64, restart: u32) -> Result<Watched> {
        self.close()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let sights: Vec<Arc<Mutex<Sight>>> = (0..boards).map(|_| Arc::default()).collect();
        let tls = web::tls(&self.ca, None)?;
        let port = self.home.board_port();
        runtime.block_on(async {
            for (visitor, sight) in self.people.iter().zip(&sights) {
                let (visitor, sight, tls) = (visitor.clone(), sight.clone(), tls.clone());
                let first = Wire::open(&tls, port).await?.follow("/events?on=alarms", &visitor).await?;
                tokio::spawn(async move {
                    let mut events = first;
                    loop {
                        while let Ok(Some(event)) = events.next().await {
                            sight.lock().expect("one writer").see(&event, now_us());
                        }
                        // The board judges anew who is there now and then: a browser asks again at once.
                        let Ok(wire) = Wire::open(&tls, port).await else { return };
                        let Ok(again) = wire.follow("/events?on=alarms", &visitor).await else { return };
                        events = again;
                    }
                });
            }
            anyhow::Ok(())
        })?;
        println!("{boards} boards open");
        let before = Sight::counts(&sights[0].lock().expect("one writer"));
        let pressed = self.press(dir, presses, restart)?;
        // What is on its way arrives, or is missing below.
        std::thread::sleep(Duration::from_secs(2));
        let mut screen = Vec::new();
        let mut last = Vec::new();
        for (n, press) in pressed.iter().enumerate() {
            let button = n % self.buttons.len();
            let count = before.get(&button).copied().unwrap_or(0) + (n / self.buttons.len()) as u32 + 1;
            let after_ms = |sight: &Arc<Mutex<Sight>>| {
                let sight = sight.lock().expect("one writer");
                let rows = sight.rows.get(&button)?;
                // The first event that shows this press, or one after it.
                rows.range(count..).map(|(_, at_us)| (at_us - press.at_us) / 1e3).reduce(f64::min)
            };
            screen.push(after_ms(&sights[0]).context("a press that its board never showed")?);
            let all: Option<Vec<f64>> = sights.iter().map(after_ms).collect();
            last.push(all.context("a press that some board never showed")?.into_iter().fold(0.0, f64::max));
        }
        let watched = Watched { screen: p50_p99(screen), last: p50_p99(last) };
        let accepted = accepted(&pressed);
        println!(
            "press to row, {boards} boards: on one p50 {:.1} ms, p99 {:.1} ms; on the last p50 {:.1} ms, p99 {:.1} ms; to accepted p50 {:.1} ms, p99 {:.1} ms",
            watched.screen.0, watched.screen.1, watched.last.0, watched.last.1, accepted.0, accepted.1
        );
        Ok(watched)
    }

    /// The flood, begun.
    fn flood(&self, dir: &Path, boards: usize, readers: usize, silent: usize) -> Result<Flooding> {
        let spec = Flood {
            port: self.home.board_port(),
            ca: self.ca.clone(),
            boards: self.people[..boards].to_vec(),
            readers: self.people.iter().take(readers).cloned().collect(),
            silent,
        };
        let file = dir.join("board-flood.json");
        std::fs::write(&file, serde_json::to_string(&spec)?)?;
        let mut role = Role::spawn("flood", &[file.as_os_str()])?;
        role.line().context("the flood's connections")?;
        Ok(Flooding(role))
    }

    /// What a real browser says: bytes and time of the first page, press to painted row. False: there is none here.
    fn browser(&self, when: &str, goals: &mut Vec<Goal>) -> Result<bool> {
        if lacks(&["chromium", "node", "mosquitto_pub", "playwright"]) {
            return Ok(false);
        }
        // Its row is the newest, and in sight.
        self.close()?;
        let modules = root().join("target/browser/node_modules");
        let script = root().join("tests/browser/speed.cjs");
        let mut command = Command::new("node");
        command.arg(script).env("NODE_PATH", modules).env("VAKA_BIN", vaka_bin()).env("VAKA_HOME", self.home.path(""));
        command.env("VAKA_BOARD", format!("https://localhost:{}", self.home.board_port()));
        command.env("VAKA_MQTT", self.home.mqtt_port.to_string()).env("VAKA_SCREENS", self.home.path(""));
        let output = command.env("VAKA_COOKIES", &self.people[0].cookies).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "speed.cjs ended with {}", output.status);
        let said: Value = serde_json::from_slice(&output.stdout).context("reading what speed.cjs measured")?;
        println!("{when}, in chromium: {said}");
        let list = |name: &str| said[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let figure = |name: &str| said[name].as_f64().unwrap_or(f64::NAN);
        let (_, painted_p99) = p50_p99(list("painted_ms"));
        let mut goal = |what: &str, measured, bound, unit| {
            goals.push(Goal::at_most(Box::leak(format!("{when}: {what}").into_boxed_str()), measured, bound, unit));
        };
        goal("press to painted row, p99", painted_p99, 200.0, "ms");
        goal("first page over the wire, all of it", figure("bytes") / 1024.0, 100.0, "KiB");
        let mut usable: Vec<f64> = list("usable_ms");
        usable.sort_by(f64::total_cmp);
        goal("first page usable on a throttled phone, median", percentile(&usable, 0.5), 1_000.0, "ms");
        Ok(true)
    }
}

/// The flood while it lasts.
struct Flooding(Role);

impl Flooding {
    /// Ends it; how many pages its readers have read.
    fn end(&mut self) -> Result<u64> {
        drop(self.0.process.take_stdin());
        Ok(self.0.line()?.parse()?)
    }
}

/// What one board has shown of the buttons' alarms: of each button, when (UTC microseconds) which count was first on it.
#[derive(Debug, Default)]
struct Sight {
    rows: BTreeMap<usize, BTreeMap<u32, f64>>,
}

impl Sight {
    fn see(&mut self, event: &str, at_us: f64) {
        for article in event.split("<article").skip(1) {
            let number = |after: &str| article.split_once(after).and_then(|(_, rest)| rest.get(..2)?.parse().ok());
            let Some(button) = number(" press-") else { continue };
            let count = article.split_once(" gånger").and_then(|(before, _)| before.rsplit(' ').next()?.parse().ok());
            self.rows.entry(button).or_default().entry(count.unwrap_or(1)).or_insert(at_us);
        }
    }

    /// The newest count of each button.
    fn counts(&self) -> BTreeMap<usize, u32> {
        let newest = |(button, rows): (&usize, &BTreeMap<u32, f64>)| Some((*button, *rows.last_key_value()?.0));
        self.rows.iter().filter_map(newest).collect()
    }
}
