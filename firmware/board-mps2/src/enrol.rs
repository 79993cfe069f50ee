//! A new device comes to its gateway by a technician's code. Enters: the line `enrol …`, the network. Leaves: an identity
//! in the flash, or light and words that say why there is none.
//!
//! Nothing of the device runs before that: what is pressed while it lies in a technician's bag calls nobody years later.

use alloc::string::String;
use core::cell::RefCell;
use core::convert::Infallible;

use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Timer, with_timeout};
use embedded_io_async::{Read, Write};
use rustls::Error;
use rustls::pki_types::{CertificateDer, ServerName};
use vaka_device::enrol::{ALPN, Request, Secret, length};
use vaka_device::identity::{
    Ended, Enrolling, NoOffer, NotKept, Offer, drop_offer, granted, keep_grant, keep_offer, next_key, offer, trying,
};
use vaka_device::{Keep, Now, Panel, Shown};

use crate::bell::Bell;
use crate::clock::Clock;
use crate::inputs::Inputs;
use crate::link::{Memory, OPEN};
use crate::tls::door::Met;
use crate::tls::verify::signed_by;
use crate::tls::{Stream, Trouble};
use crate::{entropy, has_line, pause, say, uart, work};

/// Rounds of the code's stretching between two looks at everything else: some 30 ms on a controller of 64 MHz (estimate).
const ROUNDS: u32 = 200;

/// What enrolment shares with the rest of the image.
pub struct Enrolment<'a, K, P> {
    /// Where the identity is kept.
    pub keep: RefCell<&'a mut K>,
    /// What the technician sees.
    pub panel: RefCell<&'a mut P>,
    /// The time.
    pub clock: &'a Clock,
    /// The network.
    pub stack: Stack<'static>,
    /// What this image is, as vaka.toml says it.
    pub kind: &'static str,
    /// Rung when there is a new code.
    pub offered: Bell,
}

impl<K: Keep, P: Panel> Enrolment<'_, K, P> {
    /// Returns when the device is enrolled.
    pub async fn run(&self, memory: &mut Memory) {
        loop {
            let offer = offer(&mut **self.keep.borrow_mut());
            let ended = match &offer {
                Some(offer) => self.try_it(offer, memory).await,
                None => None,
            };
            if ended == Some(Ended::Enrolled) {
                return;
            }
            if ended.is_none_or(Ended::is_final) || offer.is_none() {
                self.offered.rung().await;
            }
        }
    }

    /// One code, until it is settled, given up or replaced.
    async fn try_it(&self, offer: &Offer, memory: &mut Memory) -> Option<Ended> {
        self.show(trying());
        let began = work::done();
        let mut stretching = offer.code.stretching();
        let secret = loop {
            if let Some(secret) = stretching.step(ROUNDS) {
                break secret;
            }
            yield_now().await;
        };
        work::tell("code", began);
        let mut enrolling = Enrolling::new();
        loop {
            self.stack.wait_config_up().await;
            let once = with_timeout(OPEN, self.once(offer, &secret, memory));
            let ended = once.await.unwrap_or(Err(Ended::NotReached)).map_or_else(|ended| ended, |()| Ended::Enrolled);
            say!("enrol {}", ended.word());
            let Some(failures) = enrolling.ended(ended) else {
                if ended.is_final() {
                    // Not let go: the next boot asks once more, and hears the same.
                    let _ = drop_offer(&mut **self.keep.borrow_mut());
                }
                self.show(ended.shown());
                return ended.is_final().then_some(ended);
            };
            let pause_ms = pause::ms(failures, false, entropy::chance());
            let mut is_replaced = false;
            select(Timer::after_millis(pause_ms.into()), async {
                self.offered.rung().await;
                is_replaced = true;
            })
            .await;
            if is_replaced {
                return Some(Ended::NotReached);
            }
        }
    }

    async fn once(&self, offer: &Offer, secret: &Secret, memory: &mut Memory) -> Result<(), Ended> {
        let Memory { below_in, below_out, incoming, outgoing, packets, .. } = memory;
        let key = next_key(&mut **self.keep.borrow_mut(), &mut entropy::key).map_err(|_| Ended::NotReached)?;
        let request = key.request();
        let mut socket = TcpSocket::new(self.stack, below_in, below_out);
        socket.set_nagle_enabled(false);
        let [a, b, c, d] = offer.address;
        socket.connect((IpAddress::v4(a, b, c, d), offer.port)).await.map_err(|_| Ended::NotReached)?;
        let met = Met::new(offer.authority);
        // Which certificate is right is not a matter of names here.
        let name = ServerName::try_from("gateway.invalid").map_err(|_| Ended::NotReached)?;
        let config = met.config().ok_or(Ended::NotReached)?;
        let mut stream = Stream::open(socket, config, name, incoming, outgoing).await.map_err(|trouble| {
            say!("door {trouble}");
            match trouble {
                // The QR code told whose authority it is, and it is not.
                Trouble::Tls(Error::InvalidCertificate(_)) => Ended::Impostor,
                _ => Ended::NotReached,
            }
        })?;
        let exporter = met.exporter().filter(|_| stream.protocol() == Some(ALPN)).ok_or(Ended::NotReached)?;
        let asked = Request::new(secret, &exporter, Some(self.kind), &request);
        let asked = asked.write(packets).map_err(|_| Ended::Useless)?;
        stream.write_all(&packets[..asked]).await.map_err(|_| Ended::NotReached)?;
        stream.flush().await.map_err(|_| Ended::NotReached)?;
        let mut prefix = [0; 2];
        stream.read_exact(&mut prefix).await.map_err(|_| Ended::NotReached)?;
        // Longer than what is kept of it could be: of no use.
        let length = length(prefix, packets.len()).map_err(|_| Ended::Useless)?;
        stream.read_exact(&mut packets[..length]).await.map_err(|_| Ended::NotReached)?;
        let granted = granted(&packets[..length], secret, &exporter)?;
        // What it grants must judge it: else the device would refuse this very gateway from now on.
        let shown = met.certificate().ok_or(Ended::Useless)?;
        let name = name_of(&granted.ca.into(), &shown).ok_or(Ended::Useless)?;
        keep_grant(&mut **self.keep.borrow_mut(), &granted, offer.address, &name).map_err(|error| match error {
            NotKept::Flash(_) => Ended::NotReached,
            NotKept::OtherKey | NotKept::Useless => Ended::Useless,
        })?;
        say!("enrolled {}", granted.id);
        Ok(())
    }

    /// The technician's hands and eyes meanwhile: lines, and what the panel plays.
    pub async fn watch(&self, inputs: &mut Inputs) -> Infallible {
        loop {
            let now = self.clock.now();
            while let Some(line) = uart::line() {
                match line.strip_prefix("enrol ") {
                    Some(text) => self.take(text),
                    None => inputs.obey(&line, now),
                }
            }
            let panel_ms = self.panel.borrow_mut().pass(now).unwrap_or(u64::MAX);
            let rest_ms = inputs.pass(now).min(panel_ms);
            if let Some(at) = inputs.take_time() {
                self.clock.set(at);
                say!("time {at}");
            }
            if let Some(ms) = inputs.skip(rest_ms) {
                self.clock.skip(ms);
                yield_now().await;
                continue;
            }
            select(Timer::after_millis(rest_ms.min(86_400_000)), has_line()).await;
        }
    }

    /// A code came. It is not repeated: the line goes to whoever listens.
    fn take(&self, text: &str) {
        match Offer::parse(text) {
            Ok(offer) if keep_offer(&mut **self.keep.borrow_mut(), &offer).is_ok() => {
                say!("offered");
                self.offered.ring();
            }
            Ok(_) => say!("no offer flash"),
            Err(NoOffer::Address) => say!("no offer address"),
            Err(NoOffer::Code(_)) => say!("no offer code"),
            Err(NoOffer::Authority) => say!("no offer authority"),
        }
    }

    fn show(&self, shown: Shown) {
        let now: Now = self.clock.now();
        // Nobody has said yet which language the resident speaks.
        self.panel.borrow_mut().show(Some(shown.light), Some(shown.sound), Some(shown.sv), now);
    }
}

/// The name that the gateway's certificate bears, if that authority has signed it. `localhost` is every machine's: only
/// where there is no other.
fn name_of(authority: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = signed_by(authority, certificate, None).ok()?;
    let own = certificate.valid_dns_names().find(|name| *name != "localhost");
    own.or_else(|| certificate.valid_dns_names().next()).map(String::from)
}
