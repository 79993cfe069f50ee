//! Look-ins by camera under load: `--looks`. A house with 179 cameras, ten people who look at once, and presses meanwhile.
//!
//! The gateway is the real program over real TLS (`$VAKA_BIN`, else the release build), people are logged in by real cards. Cameras and
//! lamps are this program's own: a camera here gives ffmpeg's pictures over HTTP as fast as it is asked, so what is measured is the way
//! through the gateway. H.264 is GStreamer's, passed on by the gateway's camera crate in a process of its own. 179 is the number of cameras
//! of the largest municipality in a survey of 2025.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use toml_edit::value;
use vaka_camera::{Frame, Setup, View, Waits};
use vaka_tests::{Gateway, Home, free_port, lacks, root};

use crate::centre::Kind;
use crate::goals::{self, Goal};
use crate::load::{LoadResult, LoadSpec, Work, now_ms};
use crate::mqtt::{self, Packet, Version};
use crate::press::BUTTON;
use crate::process::{Role, cpu_us, load_average, memory_mib, peak_mib};
use crate::session::{Identity, Session, Target};
use crate::stats::{median, p50_p99, percentile};
use crate::web::{self, Cards, Part, Visitor, Wire};

const CAMERAS: usize = 179;
/// Looks at once.
const AT_ONCE: usize = 10;
/// Turns of looks, each at other residents; one in [`ASLEEP`] at cameras that have to wake first.
const TURNS: usize = 12;
const ASLEEP: usize = 4;
/// How long one look lasts, in seconds.
const LOOK_S: u64 = 15;
/// A camera sleeps when nobody has asked it for so long, and takes so long to wake, in milliseconds.
const SLEEPS_AFTER_MS: u64 = 3_000;
const WAKES_IN_MS: u64 = 1_000;
const BUTTONS: usize = 8;

/// All goals of the table; false: one was missed.
pub fn bench(dir: &Path, quick: bool) -> Result<bool> {
    let busy = load_average();
    let (turns, presses) = if quick { (4, 48) } else { (TURNS, 160) };
    let kind = Kind::Sipp;
    let centre = match kind.start(dir)? {
        Some(centre) => centre,
        None => Kind::Own.start(dir)?.context("the bench's own alarm centre did not start")?,
    };
    let home = Home::init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cameras = runtime.block_on(cameras(dir))?;
    let house = House::new(&home, centre.port, cameras)?;
    let gateway = Gateway::start(&home);
    gateway.wait_log("path up");
    gateway.wait_log("the board is open");
    runtime.block_on(house.lamps())?;
    house.until_checked()?;
    let (before, _) = memory_mib(gateway.id());
    let spent = |since: f64, begun: Instant| (cpu_us(gateway.id()) - since) / 1e6 / begun.elapsed().as_secs_f64();
    let (cpu, begun) = (cpu_us(gateway.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(LOOK_S));
    let idle = spent(cpu, begun);

    let (mut ready, mut asleep) = (Vec::new(), Vec::new());
    let (mut p99s, mut p50s) = (Vec::new(), Vec::new());
    let mut shares = [Vec::new(), Vec::new()];
    for turn in 0..turns {
        let sleepy = turn % ASLEEP == ASLEEP - 1;
        let clear = turn % 2 == 0;
        let quiet = house.press(dir, presses, 1 + 2 * turn as u32)?;
        let visitors = runtime.block_on(house.log_in(turn))?;
        if !sleepy {
            // A ready camera: somebody has just asked it for a picture.
            runtime.block_on(house.wake(turn))?;
        }
        let (cpu, begun) = (cpu_us(gateway.id()), Instant::now());
        let looking: Vec<_> = visitors
            .into_iter()
            .enumerate()
            .map(|(n, visitor)| runtime.spawn(house.watch(turn * AT_ONCE + n, visitor, clear)))
            .collect();
        let busy = house.press(dir, presses, 2 + 2 * turn as u32)?;
        let (mut firsts, mut pictures) = (Vec::new(), 0);
        for look in looking {
            let seen = runtime.block_on(look)??;
            firsts.push(seen.first_ms);
            pictures += seen.pictures;
        }
        let share = (spent(cpu, begun) - idle).max(0.0) * 100.0 / AT_ONCE as f64;
        shares[usize::from(clear)].push(share);
        println!(
            "turn {}: {AT_ONCE} looks, {}{}, {pictures} pictures: first picture p50 {:.0} ms, last {:.0} ms; {share:.1} % of a core each; \
             press to accepted p99 quiet {:.1} ms, meanwhile {:.1} ms",
            turn + 1,
            if clear { "clear" } else { "veiled" },
            if sleepy { ", cameras asleep" } else { "" },
            p50_p99(firsts.clone()).0,
            firsts.iter().copied().fold(0.0, f64::max),
            quiet.1,
            busy.1,
        );
        if sleepy { &mut asleep } else { &mut ready }.extend(firsts);
        p50s.push(busy.0 / quiet.0);
        p99s.push(busy.1 / quiet.1);
    }
    let p95 = |mut firsts: Vec<f64>| {
        firsts.sort_by(f64::total_cmp);
        percentile(&firsts, 0.95)
    };
    let mut table = vec![
        Goal::at_most("tap to first picture, camera ready, p95", p95(ready), 1_000.0, "ms"),
        Goal::at_most("the same, camera asleep (wakes in 1 s), p95", p95(asleep), 3_000.0, "ms"),
        Goal::at_most("processor of a look, clear, share of a core", median(std::mem::take(&mut shares[1])), 5.0, "%"),
        Goal::at_most("10 looks / none: press to accepted p50", median(p50s), 1.2, "×"),
        Goal::at_most("10 looks / none: press to accepted p99", median(p99s), 1.2, "×"),
        Goal::at_most("memory that looks have added", memory_mib(gateway.id()).0 - before, 64.0, "MiB"),
    ];
    match video()? {
        Some(share) => {
            table.push(Goal::at_most("processor of an H.264 stream passed on, share of a core", share, 5.0, "%"))
        }
        None => println!("H.264: not measured, no GStreamer here"),
    }
    println!("\n{}", goals::print(&table));
    println!(
        "{CAMERAS} cameras in one house, {AT_ONCE} looks at once of {LOOK_S} s, {turns} turns; a veiled look took {:.1} % of a core; \
         peak RSS {:.0} MiB; load average {busy} before, {} after",
        median(std::mem::take(&mut shares[0])),
        peak_mib(gateway.id()),
        load_average(),
    );
    Ok(table.iter().all(|goal| goal.met() != Some(false)))
}

/// What one who looked has seen.
struct Seen {
    /// From the tap to the first picture.
    first_ms: f64,
    pictures: u64,
}

struct House<'h> {
    home: &'h Home,
    ca: PathBuf,
    cards: Cards,
    card_port: u16,
    cameras: u16,
    /// The look-in of everybody, UTC milliseconds.
    planned_at: i64,
}

impl<'h> House<'h> {
    fn new(home: &'h Home, centre_port: u16, cameras: u16) -> Result<House<'h>> {
        let card_port = free_port();
        home.edit(|config| {
            config["gateway"]["role"] = value("house");
            config["board"]["card"]["listen"] = value(format!("127.0.0.1:{card_port}"));
            config["board"]["card"]["ca"] = value("cards.pem");
        });
        home.centre(centre_port);
        for n in 0..BUTTONS {
            home.device(&format!("press-{n:02}"), "pendant");
        }
        for n in 0..CAMERAS {
            home.device(&format!("lamp-{n:03}"), "feedback");
        }
        println!("{CAMERAS} lamps and {BUTTONS} buttons have their certificates");
        let zone = jiff::tz::TimeZone::get("Europe/Stockholm")?;
        let now = jiff::Timestamp::now().to_zoned(zone).round(jiff::Unit::Minute)?;
        let at = &now - jiff::Span::new().minutes(2);
        let until = &now + jiff::Span::new().minutes(150);
        let mut text = std::fs::read_to_string(home.config())?;
        for n in 0..CAMERAS {
            let lamp = format!("id = \"lamp-{n:03}\"\n");
            ensure!(text.contains(&lamp), "lamp-{n:03} is not in vaka.toml");
            text = text.replace(&lamp, &format!("{lamp}resident = \"r-{n:03}\"\n"));
            write!(
                text,
                "\n[[resident]]\nid = \"r-{n:03}\"\nlook = {{ camera = \"cam-{n:03}\", rounds = [{{ at = \"{}\", latest = \"{}\" }}], \
                 look_s = {LOOK_S}, may_see_clearly = true, instead = \"visit\", consent = {{ by = \"r-{n:03}\", on = \"2026-01-01\" }} }}\n\
                 [[camera]]\nid = \"cam-{n:03}\"\nlook = \"http://127.0.0.1:{cameras}/{n}\"\nallowed = [\"127.0.0.0/8\"]\n\
                 light = \"lamp-{n:03}\"\nwake_s = 2\n",
                at.strftime("%H:%M"),
                until.strftime("%H:%M"),
            )?;
        }
        std::fs::write(home.config(), text)?;
        let person = |n: usize| {
            format!("[[person]]\nid = \"p{n:03}\"\nrole = \"night\"\nunits = [\"*\"]\ncard = \"CN=p{n:03}\"\n")
        };
        std::fs::write(home.path("people.toml"), (0..TURNS * AT_ONCE).map(person).collect::<String>())?;
        let cards = Cards::new(&home.path("cards.pem"))?;
        let planned_at = at.timestamp().as_millisecond();
        Ok(House { ca: home.path("pki/server-ca.pem"), home, cards, card_port, cameras, planned_at })
    }

    /// Every lamp connected, doing what it is told.
    async fn lamps(&self) -> Result<()> {
        let target = Target { port: self.home.mqtt_port, version: Version::V5 };
        for n in 0..CAMERAS {
            let id = format!("lamp-{n:03}");
            let lamp = Identity { dir: self.home.path(&id), id };
            let mut session = Session::open(&target, &lamp, false).await?;
            session.subscribe(&lamp.command_topic()).await?;
            tokio::spawn(async move {
                if let Err(e) = shine(session, &lamp).await {
                    eprintln!("{}: {e:#}", lamp.id);
                }
            });
        }
        println!("{CAMERAS} lamps are connected");
        Ok(())
    }

    /// The gateway looks at each camera ahead of its slot: that is over before anything is measured.
    fn until_checked(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let steps = self.home.records("look");
            let found: Vec<&str> = steps.iter().filter_map(|line| line["step"]["checked"]["found"].as_str()).collect();
            if found.len() >= CAMERAS {
                let well = found.iter().filter(|found| **found == "well").count();
                println!("{well} of {CAMERAS} cameras were found well in {:.0} s", begun.elapsed().as_secs_f64());
                return Ok(());
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(240),
                "only {} of {CAMERAS} cameras were checked",
                found.len()
            );
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Those who look in this turn, logged in just now.
    async fn log_in(&self, turn: usize) -> Result<Vec<Visitor>> {
        let mut visitors = Vec::new();
        for n in turn * AT_ONCE..(turn + 1) * AT_ONCE {
            visitors.push(self.cards.log_in(&self.ca, self.card_port, &format!("p{n:03}")).await?);
        }
        Ok(visitors)
    }

    /// Asks the cameras of this turn for a picture, so that they are awake.
    async fn wake(&self, turn: usize) -> Result<()> {
        let asking = (turn * AT_ONCE..(turn + 1) * AT_ONCE).map(|n| {
            let port = self.cameras;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.write_all(format!("GET /{n} HTTP/1.1\r\nhost: c\r\n\r\n").as_bytes()).await?;
                let mut line = String::new();
                BufReader::new(stream).read_line(&mut line).await?;
                anyhow::Ok(())
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await??;
        }
        Ok(())
    }

    /// Looks as the page does: the tap, the grant, the stream to its end.
    fn watch(&self, n: usize, visitor: Visitor, clear: bool) -> impl Future<Output = Result<Seen>> + Send + 'static {
        let (ca, port) = (self.ca.clone(), self.home.board_port());
        let path = format!("/look/r-{n:03}.{}", self.planned_at);
        async move {
            let tls = web::tls(&ca, None)?;
            let begun = Instant::now();
            let form = if clear { "purpose=Avtalad+tillsyn&clear=true" } else { "purpose=Avtalad+tillsyn" };
            let mut wire = Wire::open(&tls, port).await?;
            let page = wire.post(&path, &visitor, port, "application/x-www-form-urlencoded", form).await?;
            let token =
                page.split_once("data-token=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(token, _)| token);
            let token = token.with_context(|| format!("no grant for {path}"))?;
            let mut parts = wire.parts("/look/stream", &visitor, port, token).await?;
            let (mut first, mut pictures) = (None, 0);
            while let Some(Part { kind, bytes }) = parts.next().await? {
                match kind {
                    b'P' => {
                        first.get_or_insert_with(|| begun.elapsed());
                        pictures += 1;
                    }
                    b'E' if first.is_none() => {
                        anyhow::bail!("{path} ended without a picture: {}", String::from_utf8_lossy(&bytes))
                    }
                    _ => {}
                }
            }
            let first = first.with_context(|| format!("{path}: no picture came"))?;
            Ok(Seen { first_ms: first.as_secs_f64() * 1e3, pictures })
        }
    }

    /// Presses until all are accepted; p50 and p99 in milliseconds.
    fn press(&self, dir: &Path, presses: u64, restart: u32) -> Result<(f64, f64)> {
        let names = (0..BUTTONS).map(|n| format!("press-{n:02}"));
        let spec = LoadSpec {
            target: Target { port: self.home.mqtt_port, version: Version::V5 },
            devices: names.map(|id| Identity { dir: self.home.path(&id), id }).collect(),
            window: 1,
            restart,
            work: Work::Press { presses },
        };
        let file = dir.join("looks-load.json");
        std::fs::write(&file, serde_json::to_string(&spec)?)?;
        let mut role = Role::spawn("load", &[file.as_os_str()])?;
        role.line().context("the buttons' connections")?;
        let result: LoadResult = serde_json::from_str(&role.line()?)?;
        ensure!(result.presses.len() as u64 == presses, "{} of {presses} {BUTTON} accepted", result.presses.len());
        let (p50, p99) = p50_p99(result.presses.iter().filter_map(|press| press.accepted_us).collect());
        Ok((p50 / 1e3, p99 / 1e3))
    }
}

/// Answers each command with `done`, until the gateway goes.
async fn shine(mut session: Session, lamp: &Identity) -> Result<()> {
    let (mut seq, version) = (0, session.version);
    loop {
        let mut told = Vec::new();
        while let Some(packet) = session.inbox.next(version)? {
            if let Packet::Publish { id: Some(id), payload, .. } = packet {
                mqtt::puback(&mut session.out, id);
                let command: Value = serde_json::from_slice(payload)?;
                told.push(command["id"].clone());
            }
        }
        for id in told {
            seq += 1;
            let done =
                format!(r#"{{"v":1,"restart":1,"seq":{seq},"event":{{"done":{{"id":{id},"outcome":"done"}}}}}}"#);
            mqtt::publish(&mut session.out, version, &lamp.event_topic(), 1 + (seq % 60_000) as u16, done.as_bytes());
        }
        session.flush().await?;
        if session.fill().await.is_err() {
            return Ok(());
        }
    }
}

/// All cameras on one port, told apart by their path; the port.
async fn cameras(dir: &Path) -> Result<u16> {
    ensure!(!lacks(&["ffmpeg"]), "the cameras' pictures are made by ffmpeg: tests/run installs it");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=5"])
        .args(["-vf", "noise=alls=12:allf=t", "-frames:v", "20", "-q:v", "5"])
        .arg(dir.join("%02d.jpg"))
        .status()?;
    ensure!(made.success(), "ffmpeg ended with {made}");
    let pictures = (1..=20).map(|n| std::fs::read(dir.join(format!("{n:02}.jpg"))));
    let pictures: Arc<Vec<Vec<u8>>> = Arc::new(pictures.collect::<Result<_, _>>()?);
    let asked: Arc<Vec<AtomicU64>> = Arc::new((0..CAMERAS).map(|_| AtomicU64::new(0)).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (pictures, asked) = (pictures.clone(), asked.clone());
            // A camera whose viewer has gone: nothing to tell.
            tokio::spawn(async move { give(stream, &pictures, &asked).await.ok() });
        }
    });
    Ok(port)
}

/// One connection to a camera.
async fn give(stream: TcpStream, pictures: &[Vec<u8>], asked: &[AtomicU64]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let camera = line.split(' ').nth(1).and_then(|path| path.strip_prefix('/')?.parse::<usize>().ok());
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line).await?;
        }
        let camera = camera.filter(|camera| *camera < asked.len()).context("a camera that is none")?;
        let before = asked[camera].swap(now_ms(), Ordering::Relaxed);
        if now_ms() - before > SLEEPS_AFTER_MS {
            tokio::time::sleep(Duration::from_millis(WAKES_IN_MS)).await;
        }
        let picture = &pictures[now_ms() as usize / 200 % pictures.len()];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\ncontent-length: {}\r\n\r\n", picture.len());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(picture).await?;
    }
}

/// An H.264 stream passed on: percent of a core. `None`: there is no GStreamer here.
fn video() -> Result<Option<f64>> {
    // Debian's own Python has its bindings.
    let mut script = Command::new("/usr/bin/python3");
    let mut camera =
        Role::of("the GStreamer camera", script.arg(root().join("tests/peers/rtsp_camera.py")).args(["--rate", "25"]))?;
    let Ok(port) = camera.line() else { return Ok(None) };
    let mut role = Role::spawn("video", &[port.as_ref()])?;
    let said: Value = serde_json::from_str(&role.line()?)?;
    println!("H.264 passed on: {said}");
    Ok(said["share"].as_f64())
}

/// `bench video PORT`: passes the video on for some seconds, and says what that took of a core.
pub fn video_role(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let camera = vaka_camera::Camera::new(Setup {
        id: "cam".into(),
        look: format!("rtsp://127.0.0.1:{port}/stream2"),
        snapshot: None,
        user: String::new(),
        password: vaka_camera::Secret::default(),
        pin: None,
        wake_ms: 0,
        allowed: vec!["127.0.0.0/8".parse().map_err(|e| anyhow::anyhow!("{e}"))?],
        waits: Waits::default(),
    })?;
    let lasts = Duration::from_secs(LOOK_S);
    let (parts, bytes) = runtime.block_on(async {
        let (sink, mut frames) = vaka_camera::frames();
        let counting = tokio::spawn(async move {
            let (mut parts, mut bytes) = (0u64, 0);
            while let Some(frame) = frames.next().await {
                if let Frame::Mp4Part { segment, .. } = frame {
                    (parts, bytes) = (parts + 1, bytes + segment.len());
                }
            }
            (parts, bytes)
        });
        vaka_camera::look(&camera, View::Video, tokio::time::Instant::now() + lasts, &sink).await?;
        drop(sink);
        anyhow::Ok(counting.await?)
    })?;
    ensure!(parts > 0, "no part of the video came");
    let share = cpu_us(std::process::id()) / 1e4 / lasts.as_secs_f64();
    println!("{}", serde_json::json!({"share": share, "parts": parts, "bytes": bytes, "seconds": LOOK_S}));
    Ok(())
}
