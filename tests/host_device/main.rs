//! A device as a program of this machine: `vaka-device` with the role of updates, over real MQTT and TLS, and its image over real HTTP.
//! Its flash is a file; it starts again by itself as a board does after a reset. `image` signs an image for it.
//!
//! ```text
//! host-device image pendant 2 1.1.0 key pendant.img      a key that it trusts is the byte 1, a stranger's any other
//! host-device run p1 127.0.0.1:8883 h/p1 p1.flash factory.img
//! ```
//!
//! Its clock runs [`HURRY`] times as fast, so that a pause of a minute is one of a second.

#[path = "../../firmware/device/examples/sign.rs"]
mod sign;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use p256::ecdsa::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vaka::uplink::{Door, Link, News};
use vaka_device::flash::Flash;
use vaka_device::update::Update;
use vaka_device::update::boot::{self, Layout};
use vaka_device::update::image::{Keys, Target};
use vaka_device::{Boot, Device, EVENTS_MAX, Now, Panel, Ticket};
use vaka_parts::nor::{Nor, NorError, PAGE_BYTES};
use vaka_protocol::limits::MESSAGE_BYTES_MAX;
use vaka_protocol::{DeviceId, Light, Sound, StartCause, topic};

const PAGE: u32 = PAGE_BYTES as u32;
/// Two slots of 160 KiB, the record, eight pages of events.
const LAYOUT: Layout = Layout { a: 0, b: 40 * PAGE, slot_bytes: 40 * PAGE, record: 80 * PAGE };
const SLOTS: (u32, u32) = (0, 82 * PAGE);
const KEEP: (u32, u32) = (82 * PAGE, 8 * PAGE);
const BOARD: &str = "host";
/// How much faster than ours its clock runs.
const HURRY: u64 = 60;
/// Bytes that it fetches at once, as a board with little memory.
const PIECE_BYTES: u32 = 4_096;
/// Between two pieces, milliseconds: a radio is slow.
const PIECE_MS: u64 = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["image", role, number, version, key, to] => make(role, number.parse()?, version, key.parse()?, to),
        ["run", id, address, pem, flash, factory] => {
            let id = DeviceId::try_from(*id).map_err(|e| anyhow::anyhow!("{id}: {e}"))?;
            let pem = PathBuf::from(pem);
            let identity = (pem.join("cert.pem"), pem.join("key.pem"));
            let identity = Some((identity.0.as_path(), identity.1.as_path()));
            let tls = vaka::provision::tls::client_config(&pem.join("ca.pem"), identity)?;
            let door = Door::near(address.parse()?, id, tls);
            live(&door, &Chip::open(flash.into(), factory)?).await
        }
        _ => bail!("host-device image ROLE NUMBER VERSION KEY FILE | run ID ADDRESS PEM-DIR FLASH FACTORY-IMAGE"),
    }
}

fn key(number: u8) -> Result<SigningKey> {
    Ok(SigningKey::from_slice(&[number; 32])?)
}

fn make(role: &str, version: u32, name: &str, number: u8, to: &str) -> Result<()> {
    let body: Vec<u8> = (0..100_007_u32).map(|at| (at.wrapping_mul(31) + version) as u8).collect();
    let release = sign::Release { key: 0, role, board: BOARD, version, name };
    let bytes = sign::image(&release, &body, &key(number)?).map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(std::fs::write(to, bytes)?)
}

/// The flash, and the file in which it outlives this program.
struct Chip {
    nor: Rc<RefCell<Nor<Vec<u8>>>>,
    file: PathBuf,
}

impl Chip {
    /// As it was left; new, with the factory's image in slot A.
    fn open(file: PathBuf, factory: &str) -> Result<Chip> {
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(_) => {
                let mut bytes = vec![0xff; 90 * PAGE_BYTES];
                let image = std::fs::read(factory)?;
                bytes[..image.len()].copy_from_slice(&image);
                bytes
            }
        };
        Ok(Chip { nor: Rc::new(RefCell::new(Nor::over(bytes))), file })
    }

    fn part(&self, (from, bytes): (u32, u32)) -> Part {
        Part { nor: Rc::clone(&self.nor), from, bytes }
    }

    /// Whole or not at all: a model of flash has no half written file.
    fn save(&self) -> Result<()> {
        let new = self.file.with_extension("new");
        std::fs::write(&new, self.nor.borrow().bytes())?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}

/// A part of the one flash.
struct Part {
    nor: Rc<RefCell<Nor<Vec<u8>>>>,
    from: u32,
    bytes: u32,
}

impl ErrorType for Part {
    type Error = NorError;
}

impl ReadNorFlash for Part {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorError> {
        self.nor.borrow_mut().read(self.from + offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.bytes as usize
    }
}

impl NorFlash for Part {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorError> {
        self.nor.borrow_mut().erase(self.from + from, self.from + to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorError> {
        self.nor.borrow_mut().write(self.from + offset, bytes)
    }
}

struct NoPanel;

impl Panel for NoPanel {
    fn show(&mut self, _: Option<Light>, _: Option<Sound>, _: Option<&str>, _: Now) {}

    fn pass(&mut self, _: Now) -> Option<u64> {
        None
    }
}

type Body = Device<Flash<Part>, Update<Part>, NoPanel>;

/// Boots again and again, for ever.
async fn live(door: &Door, chip: &Chip) -> Result<()> {
    loop {
        let boot = boot::choose(&mut chip.part(SLOTS), &LAYOUT);
        let header = boot::header(&mut chip.part(SLOTS), &LAYOUT, boot.slot).context("no image boots")?;
        let role: &'static str = match std::str::from_utf8(&header.role)?.trim_end_matches('\0') {
            "pendant" => "pendant",
            "fixed-trigger" => "fixed-trigger",
            other => bail!("no role `{other}`"),
        };
        println!("boots {}", header.name.as_str());
        let keys = Keys([Some(sign::public(&key(1)?)), None]);
        let update = Update::new(chip.part(SLOTS), LAYOUT, boot, Target { role, board: BOARD }, keys);
        let cause = update.start_cause().unwrap_or(StartCause::Power);
        // A board has it in its program; here a boot is no new process, and there are few.
        let version: &'static str = Box::leak(header.name.as_str().to_owned().into_boxed_str());
        let start = Boot { room: EVENTS_MAX, chance: 1, cause, version };
        let body = Body::boot(Flash::open(chip.part(KEEP)), update, NoPanel, start, Now::booted(0));
        chip.save()?;
        run(door, chip, body).await?;
    }
}

/// Until it restarts itself.
async fn run(door: &Door, chip: &Chip, mut body: Body) -> Result<()> {
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "a device of its own, with a clock of its own")]
    let now = || Now {
        uptime_ms: began.elapsed().as_millis() as u64 * HURRY,
        at: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .map(|since| since.as_millis() as i64),
    };
    let (mut link, mut connected, mut numbers) = (Some(Link::open(door)), false, 0);
    let mut flying: BTreeMap<u64, Ticket> = BTreeMap::new();
    let mut saved = (0, 0);
    loop {
        body.pass(now());
        let counts = chip.nor.borrow().counts();
        if saved != (counts.writes, counts.erases) {
            saved = (counts.writes, counts.erases);
            chip.save()?;
        }
        if body.role.wants_restart() {
            if let Some(link) = link {
                link.close().await;
            }
            return Ok(());
        }
        if let Some(link) = link.as_mut().filter(|_| connected) {
            let mut buffer = [0; MESSAGE_BYTES_MAX];
            while link.in_flight() < 8 {
                let Some((ticket, bytes)) = body.next(&mut buffer) else { break };
                if !link.publish(numbers, &topic::event(&door.device), bytes.to_vec()) {
                    break;
                }
                flying.insert(numbers, ticket);
                numbers += 1;
                body.handed(ticket);
            }
        }
        let wanted = body.role.fetch(now()).map(|fetch| (fetch.url.to_owned(), fetch.offset, fetch.size_bytes));
        if let Some((url, offset, size)) = wanted {
            match piece(&url, offset).await {
                Ok(Said::Bytes(bytes)) => {
                    // Why a chunk is not taken is told as an event.
                    let _ = body.with_role(now(), |role, cx| role.chunk(offset, &bytes, cx));
                }
                Ok(Said::NotNow) => {
                    println!("not now at {offset}");
                    body.with_role(now(), |role, cx| role.not_now(cx));
                }
                Ok(Said::AtItsEnd) if offset == size => {
                    println!("may restart");
                    body.with_role(now(), |role, cx| role.may_restart(cx));
                }
                Ok(Said::AtItsEnd) => {
                    println!("not fetched: the file ends before {offset}");
                    body.with_role(now(), |role, cx| role.not_fetched(cx));
                }
                Err(e) => {
                    println!("not fetched: {e:#}");
                    body.with_role(now(), |role, cx| role.not_fetched(cx));
                }
            }
        }
        let news = async {
            match &mut link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        match tokio::time::timeout(Duration::from_millis(PIECE_MS), news).await {
            Err(_) if link.is_none() => link = Some(Link::open(door)),
            Err(_) => {}
            Ok(News::Connected) => connected = true,
            Ok(News::Acked { number, .. }) => {
                if let Some(ticket) = flying.remove(&number) {
                    body.acked(ticket, now());
                }
            }
            Ok(News::Command(bytes)) => {
                if body.command(&bytes, now()).is_err() {
                    println!("a command that cannot be read");
                }
            }
            Ok(News::Ended(why)) => {
                println!("apart: {why}");
                (link, connected) = (None, false);
                flying.clear();
                body.apart();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What the gateway answers.
enum Said {
    Bytes(Vec<u8>),
    /// 503.
    NotNow,
    /// 416: nothing is behind what was asked from.
    AtItsEnd,
}

/// The next piece of the image, by HTTP with `Range`.
async fn piece(url: &str, offset: u32) -> Result<Said> {
    let rest = url.strip_prefix("http://").context("not plain HTTP")?;
    let (host, path) = rest.split_once('/').context("no path")?;
    let mut stream = TcpStream::connect(host).await?;
    let last = offset + PIECE_BYTES - 1;
    let request =
        format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={offset}-{last}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the connection ended in the head")?;
    let head = String::from_utf8_lossy(&answer[..at]).to_ascii_lowercase();
    match head.split_whitespace().nth(1) {
        Some("503") => return Ok(Said::NotNow),
        Some("416") => return Ok(Said::AtItsEnd),
        status => ensure!(status == Some("206"), "{}", head.lines().next().unwrap_or_default()),
    }
    ensure!(head.contains(&format!("content-range: bytes {offset}-")), "another part: {head}");
    println!("piece {offset}");
    Ok(Said::Bytes(answer.split_off(at + 4)))
}
