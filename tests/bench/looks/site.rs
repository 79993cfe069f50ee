//! Where looks are measured: a house with its own staff, or homes and their hub. Vaka.toml of each, lamps, people, presses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use toml_edit::{Array, value};
use vaka_tests::{Home, free_port};

use super::{AT_ONCE, CAMERAS, HOMES, LOOK_S, TURNS};
use crate::load::{LoadResult, LoadSpec, Work};
use crate::mqtt::{self, Packet, Version};
use crate::press::BUTTON;
use crate::process::Role;
use crate::session::{Identity, Session, Target};
use crate::web::{self, Cards, Part, Visitor, Wire};

const BUTTONS: usize = 8;

/// What one who looked has seen.
pub(super) struct Seen {
    /// From the tap to the first picture.
    pub(super) first_ms: f64,
    pub(super) pictures: u64,
}

pub(super) struct Site {
    /// Whose board is looked at.
    hub: Option<Home>,
    /// Where cameras and lamps are; the n-th camera is in the n-th of them, round and round. The buttons are in the first.
    homes: Vec<Home>,
    cards: Cards,
    card_port: u16,
    /// The port of all cameras.
    pub(super) cameras: u16,
    /// The look-in of everybody, UTC milliseconds.
    planned_at: i64,
}

fn resident(n: usize) -> String {
    format!("r-{n:03}")
}

fn home_id(n: usize) -> String {
    format!("gw-{n:04}")
}

impl Site {
    /// One house; its staff look.
    pub(super) fn house(cameras: u16) -> Result<Site> {
        Site::new(None, vec![Home::init()], cameras)
    }

    /// Homes whose hub looks.
    pub(super) fn hub(cameras: u16) -> Result<Site> {
        let hub = Home::init();
        hub.edit(|config| {
            config["gateway"]["id"] = value("hub-1");
            config["gateway"]["role"] = value("hub");
        });
        let homes: Vec<Home> = (0..HOMES).map(|_| Home::init()).collect();
        for (n, home) in homes.iter().enumerate() {
            let id = home_id(n);
            hub.device(&id, "gateway");
            let pem = |name: &str| hub.pem(&id, name).display().to_string();
            let (cert, key, ca) = (pem("cert.pem"), pem("key.pem"), pem("ca.pem"));
            let keys = [("kind", "hub"), ("cert", cert.as_str()), ("key", key.as_str()), ("ca", ca.as_str())];
            home.receiver("kommun", &format!("mqtts:127.0.0.1:{}", hub.mqtt_port), &keys);
            home.edit(|config| {
                config["gateway"]["id"] = value(&id);
                config["receiver"][0]["orders"] = value(Array::from_iter(["look"]));
            });
        }
        Site::new(Some(hub), homes, cameras)
    }

    fn new(hub: Option<Home>, homes: Vec<Home>, cameras: u16) -> Result<Site> {
        let card_port = free_port();
        for n in 0..BUTTONS {
            homes[0].device(&format!("press-{n:02}"), "pendant");
        }
        let zone = jiff::tz::TimeZone::get("Europe/Stockholm")?;
        let now = jiff::Timestamp::now().to_zoned(zone).round(jiff::Unit::Minute)?;
        let at = &now - jiff::Span::new().minutes(2);
        let until = &now + jiff::Span::new().minutes(150);
        let (from, latest) = (at.strftime("%H:%M"), until.strftime("%H:%M"));
        let planned_at = at.timestamp().as_millisecond();
        let site = Site {
            cards: Cards::new(&hub.as_ref().unwrap_or(&homes[0]).path("cards.pem"))?,
            hub,
            homes,
            card_port,
            cameras,
            planned_at,
        };
        for n in 0..CAMERAS {
            site.home(n).device(&format!("lamp-{n:03}"), "feedback");
        }
        println!("{CAMERAS} lamps and {BUTTONS} buttons have their certificates");
        for home in &site.homes {
            home.edit(|config| config["gateway"]["role"] = value("house"));
        }
        site.staff().edit(|config| {
            config["board"]["card"]["listen"] = value(format!("127.0.0.1:{card_port}"));
            config["board"]["card"]["ca"] = value("cards.pem");
        });
        for n in 0..CAMERAS {
            let config = site.home(n).config();
            let mut text = std::fs::read_to_string(&config)?;
            let (lamp, r) = (format!("id = \"lamp-{n:03}\"\n"), resident(n));
            ensure!(text.contains(&lamp), "lamp-{n:03} is not in vaka.toml");
            text = text.replace(&lamp, &format!("{lamp}resident = \"{r}\"\n"));
            write!(
                text,
                "\n[[resident]]\nid = \"{r}\"\nlook = {{ camera = \"cam-{n:03}\", rounds = [{{ at = \"{from}\", latest = \"{latest}\" }}], \
                 look_s = {LOOK_S}, may_see_clearly = true, instead = \"visit\", consent = {{ by = \"{r}\", on = \"2026-01-01\" }} }}\n\
                 [[camera]]\nid = \"cam-{n:03}\"\nlook = \"http://127.0.0.1:{cameras}/{n}\"\nallowed = [\"127.0.0.0/8\"]\n\
                 light = \"lamp-{n:03}\"\nwake_s = 2\n",
            )?;
            std::fs::write(config, text)?;
        }
        let person = |n: usize| {
            format!("[[person]]\nid = \"p{n:03}\"\nrole = \"night\"\nunits = [\"*\"]\ncard = \"CN=p{n:03}\"\n")
        };
        std::fs::write(site.staff().path("people.toml"), (0..TURNS * AT_ONCE).map(person).collect::<String>())?;
        Ok(site)
    }

    /// Where the people are who look.
    pub(super) fn staff(&self) -> &Home {
        self.hub.as_ref().unwrap_or(&self.homes[0])
    }

    /// The one where the staff are first.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Home> {
        self.hub.iter().chain(&self.homes)
    }

    /// Of the n-th camera.
    fn home(&self, n: usize) -> &Home {
        &self.homes[n % self.homes.len()]
    }

    /// What a look-in's name ends with on the staff's board.
    fn at_home(&self, n: usize) -> String {
        match self.hub {
            Some(_) => format!("@{}", home_id(n % self.homes.len())),
            None => String::new(),
        }
    }

    fn ca(&self) -> PathBuf {
        self.staff().path("pki/server-ca.pem")
    }

    /// Every lamp connected, doing what it is told.
    pub(super) async fn lamps(&self) -> Result<()> {
        for n in 0..CAMERAS {
            let (home, id) = (self.home(n), format!("lamp-{n:03}"));
            let target = Target { port: home.mqtt_port, version: Version::V5 };
            let lamp = Identity { dir: home.path(&id), id };
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

    /// Each camera is looked at ahead of its slot, and a hub is told of each look-in: that is over before anything is measured.
    pub(super) fn until_checked(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let steps: Vec<Value> = self.homes.iter().flat_map(|home| home.records("look")).collect();
            let found: Vec<&str> = steps.iter().filter_map(|line| line["step"]["checked"]["found"].as_str()).collect();
            if found.len() >= CAMERAS {
                let well = found.iter().filter(|found| **found == "well").count();
                println!("{well} of {CAMERAS} cameras were found well in {:.0} s", begun.elapsed().as_secs_f64());
                break;
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(240),
                "only {} of {CAMERAS} cameras were checked",
                found.len()
            );
            std::thread::sleep(Duration::from_secs(2));
        }
        let Some(hub) = &self.hub else { return Ok(()) };
        let known = || {
            let round = hub.vaka(&["round", "--json"]).ok().rows();
            let items = round.iter().flat_map(|night| night["round"].as_array().into_iter().flatten());
            items.filter(|item| item["form"] == "camera" && item["state"] == "due").count()
        };
        while known() < CAMERAS {
            ensure!(begun.elapsed() < Duration::from_secs(300), "the hub knows of {} look-ins", known());
            std::thread::sleep(Duration::from_secs(2));
        }
        println!("the hub knows of them all after {:.0} s", begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Those who look in this turn, logged in just now.
    pub(super) async fn log_in(&self, turn: usize) -> Result<Vec<Visitor>> {
        let mut visitors = Vec::new();
        for n in turn * AT_ONCE..(turn + 1) * AT_ONCE {
            visitors.push(self.cards.log_in(&self.ca(), self.card_port, &format!("p{n:03}")).await?);
        }
        Ok(visitors)
    }

    /// Looks as the page does: the tap, the grant, the stream to its end.
    pub(super) fn watch(
        &self,
        n: usize,
        visitor: Visitor,
        clear: bool,
    ) -> impl Future<Output = Result<Seen>> + Send + 'static {
        let (ca, port) = (self.ca(), self.staff().board_port());
        let path = format!("/look/{}.{}{}", resident(n), self.planned_at, self.at_home(n));
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

    /// Presses until all are accepted; from the press, in milliseconds.
    pub(super) fn press(&self, dir: &Path, presses: u64, restart: u32) -> Result<Vec<f64>> {
        let home = &self.homes[0];
        let names = (0..BUTTONS).map(|n| format!("press-{n:02}"));
        let spec = LoadSpec {
            target: Target { port: home.mqtt_port, version: Version::V5 },
            devices: names.map(|id| Identity { dir: home.path(&id), id }).collect(),
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
        Ok(result.presses.iter().filter_map(|press| press.accepted_us).map(|us| us / 1e3).collect())
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
