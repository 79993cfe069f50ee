//! The work beside the gateway: asks the publisher, brings images, and has the journal's thread look whose turn it is.
//!
//! It has a thread of its own: an SD card that is slow to write an image holds up nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};
use vaka_update::devices::Devices;
use vaka_update::fetch::Publisher;

use super::patience::Patience;
use super::serve::{self, Counter};
use super::shelf::{Shelf, Trouble};
use super::{Ask, Door, Offer, Standing, put};
use crate::clock::{Clock, Confidence};
use crate::config::Config;
use crate::limits::{FIRMWARE_CHECK_LOOKS, FIRMWARE_LOOK_MS};

/// All that the work needs of the gateway.
pub struct Work {
    pub config: watch::Receiver<Arc<Config>>,
    pub door: Door,
    pub clock: Arc<dyn Clock>,
    pub shutdown: watch::Receiver<bool>,
}

/// Begins the work, until the gateway stops.
///
/// # Errors
/// Where there is no thread for it.
pub fn start(work: Work) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = async move {
        let mut shutdown = work.shutdown.clone();
        tokio::select! {
            () = work.run() => {}
            _ = shutdown.changed() => {}
        }
    };
    std::thread::Builder::new().name("firmware".into()).spawn(move || runtime.block_on(run))?;
    Ok(())
}

impl Work {
    async fn run(self) {
        let mut looks = interval(Duration::from_millis(FIRMWARE_LOOK_MS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut look, mut trouble, mut patience) = (0_u32, String::new(), Patience::default());
        let mut server: Option<(SocketAddr, JoinHandle<()>)> = None;
        loop {
            let mut asks = tokio::select! {
                _ = looks.tick() => look.is_multiple_of(FIRMWARE_CHECK_LOOKS),
                () = self.door.check.notified() => {
                    patience.forget();
                    true
                }
                () = self.door.look.notified() => false,
            };
            let config = self.config.borrow().clone();
            if let Some(settings) = config.update.as_ref().filter(|_| config.firmware.is_some()) {
                let shelf = Shelf::new(config.images());
                // As it was kept, so that a box that is cut off goes on; a key that counts no more takes its list with it.
                let mut list = shelf.kept(&settings.keys);
                // Before the publisher is asked, who may be slow: a device may be fetching.
                self.look(&config, &shelf, list.as_ref()).await;
                self.listen(&config, &mut server);
                // What did not come goes on at the next look but a few.
                asks |= !trouble.is_empty() && look.is_multiple_of(FIRMWARE_CHECK_LOOKS / 60);
                if asks {
                    let went = self.ask(&config, settings, &shelf, &mut list, (&mut patience, look)).await;
                    let said = went.err().map(|e| e.to_string()).unwrap_or_default();
                    if said != trouble && !said.is_empty() {
                        warn!("firmware of devices: {said}");
                    }
                    trouble = said;
                    self.look(&config, &shelf, list.as_ref()).await;
                }
            } else {
                server.take().into_iter().for_each(|(_, server)| server.abort());
                self.door.board.set(|found| found.offer = Some(offer(&config, None, &Shelf::new(config.images()))));
            }
            look = look.wrapping_add(1);
            self.door.board.set(|found| {
                found.trouble.clone_from(&trouble);
                found.is_busy &= !asks;
            });
        }
    }

    /// Has the journal's thread do what is due.
    async fn look(&self, config: &Arc<Config>, shelf: &Shelf, list: Option<&Devices>) -> Option<Standing> {
        let now = self.clock.now();
        // By a clock that is not believed nothing expires, and nothing begins either.
        let is_past =
            |list: &&Devices| now.confidence != Confidence::Floor && now.wall_ms >= list.expires.as_millisecond();
        let offer = offer(config, list.filter(|list| !is_past(list)), shelf);
        self.door.board.set(|found| found.offer = Some(offer.clone()));
        put(&self.door.inbox, |reply| Ask::Look { offer, reply }).await.ok()
    }

    fn listen(&self, config: &Config, server: &mut Option<(SocketAddr, JoinHandle<()>)>) {
        let Some(address) = config.firmware.as_ref().map(|firmware| firmware.listen) else { return };
        if server.as_ref().is_some_and(|(at, _)| *at == address) {
            return;
        }
        server.take().into_iter().for_each(|(_, server)| server.abort());
        let Door { inbox, board, .. } = self.door.clone();
        let counter = Arc::new(Counter { inbox, board });
        *server = Some((address, tokio::spawn(serve::run(address, counter))));
    }

    /// Asks the publisher, and brings what a device here can use.
    async fn ask(
        &self,
        config: &Arc<Config>,
        settings: &crate::config::Update,
        shelf: &Shelf,
        list: &mut Option<Devices>,
        (patience, look): (&mut Patience, u32),
    ) -> Result<(), Trouble> {
        let publisher: Publisher =
            crate::update::publisher(settings).map_err(|why| Trouble::Publisher(why.to_string()))?;
        let fresh = shelf.ask(&publisher, &settings.keys, list.as_ref()).await?;
        if list.as_ref() != Some(&fresh) {
            info!(firmware.made = %fresh.made, firmware.images = fresh.images.len(), "the publisher's list of firmware");
        }
        let before = list.replace(fresh.clone());
        if self.clock.now().wall_ms >= fresh.expires.as_millisecond() {
            return Err(Trouble::Expired(fresh.expires));
        }
        // Looked at with the new list: from here on nobody is told of an image of the one before; what somebody was told of meanwhile
        // is known, and what that list named goes at the next asking alone.
        if let Some(standing) = self.look(config, shelf, Some(&fresh)).await {
            let lists: Vec<&Devices> = [Some(&fresh), before.as_ref()].into_iter().flatten().collect();
            shelf.clear(&lists, standing.serving.as_ref().map(|serving| serving.sha256.as_str()));
        }
        let boards = config.firmware.as_ref().map(|firmware| &firmware.boards);
        let fresh = &fresh;
        let here = shelf.here(Some(fresh));
        let mut first = Ok(());
        let mut brought = std::collections::BTreeSet::new();
        for device in config.devices.values().filter(|device| device.via.is_none()) {
            let board = boards.and_then(|boards| boards.get(&device.id)).map(String::as_str);
            let Ok(image) = fresh.newest(device.kind.as_str(), board) else { continue };
            if here.contains(&image.sha256) || !brought.insert(&image.sha256) {
                continue;
            }
            let brought = match patience.holds(&image.sha256, look) {
                Some(why) => Err(Trouble::Wrong(why.to_owned())),
                None => shelf.bring(&publisher, image, config).await,
            };
            match &brought {
                Ok(()) => patience.right(&image.sha256),
                Err(e @ (Trouble::Damaged { .. } | Trouble::NotIt { .. })) => {
                    patience.wrong(&image.sha256, look, e.to_string());
                }
                Err(_) => {}
            }
            // One that is wrong keeps no other away.
            first = first.and(brought);
        }
        first
    }
}

fn offer(config: &Arc<Config>, list: Option<&Devices>, shelf: &Shelf) -> Arc<Offer> {
    Arc::new(Offer { config: config.clone(), list: list.cloned(), here: shelf.here(list) })
}
