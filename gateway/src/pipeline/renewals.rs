//! Signs what devices ask for on their connections, one after the other, beside the threads that serve them.
//!
//! Enters: wishes of sessions. Leaves: certificates and answers to them, rows in `issued.jsonl` before that, and a roster without those
//! that are superseded. Bounded: [`RENEWALS_WAITING_MAX`](limits::RENEWALS_WAITING_MAX) wait, the rest is refused and comes again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::watch;
use tracing::{error, info, warn};
use vaka_protocol::DeviceId;

use super::RunError;
use crate::clock::Clock;
use crate::ingest::renewal::{Renewals, Wish};
use crate::ingest::roster::{Peer, Roster};
use crate::ingest::{PublishReason, Replies, ToSession};
use crate::limits;
use crate::provision::{self, Issued, NotRenewed, PeerIdentity, Pki};

struct Asked {
    peer: Peer,
    wish: Wish,
    reply: Replies,
}

/// The queue before the one who signs.
pub struct Desk(SyncSender<Asked>);

impl Renewals for Desk {
    fn ask(&self, peer: &Peer, wish: Wish, reply: &Replies) -> bool {
        self.0.try_send(Asked { peer: peer.clone(), wish, reply: reply.clone() }).is_ok()
    }
}

/// Starts the thread; it ends when the last session has gone.
pub fn start(
    pki: Pki,
    clock: Arc<dyn Clock>,
    roster: Arc<watch::Sender<Arc<Roster>>>,
) -> Result<Arc<dyn Renewals>, RunError> {
    let (desk, asked) = sync_channel(limits::RENEWALS_WAITING_MAX);
    let mut signer = Signer { pki, clock, roster, given_at_ms: BTreeMap::new() };
    std::thread::Builder::new()
        .name("renewals".into())
        .spawn(move || signer.serve(&asked))
        .map_err(|e| RunError::Start(format!("starting the thread that renews certificates: {e}")))?;
    Ok(Arc::new(Desk(desk)))
}

struct Signer {
    pki: Pki,
    clock: Arc<dyn Clock>,
    roster: Arc<watch::Sender<Arc<Roster>>>,
    /// When each device was given its last new one, by the running clock. Bounded by the devices that are listed.
    given_at_ms: BTreeMap<DeviceId, u64>,
}

impl Signer {
    fn serve(&mut self, asked: &Receiver<Asked>) {
        while let Ok(Asked { peer, wish, reply }) = asked.recv() {
            let identity = PeerIdentity {
                device: peer.device.clone(),
                enrolment: peer.enrolment,
                serial: peer.serial.clone(),
                not_after: peer.not_after,
            };
            // A session that has ended hears nothing: its device asks again.
            match wish {
                Wish::Renew { request, number } => {
                    let reason = self.renew(&identity, &request, &reply);
                    let _ = reply.send(ToSession::Answers { first: number, count: 1, reason });
                }
                Wish::Listening => {
                    if let Some(certificate) = provision::waiting(&self.pki, &identity) {
                        let _ = reply.send(ToSession::Certificate(certificate));
                    }
                }
                Wish::Used => self.first_used(&identity),
            }
        }
    }

    fn renew(&mut self, peer: &PeerIdentity, request: &[u8], reply: &Replies) -> PublishReason {
        // Revoked since it connected: the session is about to hear it.
        if self.roster.borrow().revoked.contains(&peer.serial) {
            return PublishReason::NotAuthorized;
        }
        let now = self.clock.now();
        let given_at_ms = self.given_at_ms.get(&peer.device);
        if given_at_ms.is_some_and(|at_ms| now.mono_ms.saturating_sub(*at_ms) < limits::RENEWAL_PAUSE_MS)
            && provision::waiting(&self.pki, peer).is_none()
        {
            return PublishReason::QuotaExceeded;
        }
        match provision::renew(&self.pki, peer, request, now.wall_ms) {
            Ok(renewal) => {
                if renewal.is_new {
                    info!(device.id = %peer.device, serial = %renewal.serial, "certificate renewed");
                    self.given_at_ms.insert(peer.device.clone(), now.mono_ms);
                    read_list(&self.pki, &self.roster);
                }
                let _ = reply.send(ToSession::Certificate(renewal.certificate));
                PublishReason::Success
            }
            Err(why) => {
                let reason = match &why {
                    NotRenewed::Unreadable(_) => PublishReason::PayloadFormatInvalid,
                    NotRenewed::NotInForce => PublishReason::NotAuthorized,
                    NotRenewed::TooEarly => PublishReason::QuotaExceeded,
                    NotRenewed::Provision(error) => {
                        error!(device.id = %peer.device, "renewing a certificate: {error}");
                        return PublishReason::QuotaExceeded;
                    }
                };
                warn!(device.id = %peer.device, serial = %peer.serial, "certificate not renewed: {why}");
                reason
            }
        }
    }

    fn first_used(&self, peer: &PeerIdentity) {
        match provision::first_used(&self.pki, peer, self.clock.now().wall_ms) {
            Ok(true) => {
                info!(device.id = %peer.device, serial = %peer.serial, "the renewed certificate is in use, those before it are superseded");
                read_list(&self.pki, &self.roster);
            }
            Ok(false) => {}
            Err(error) => error!(device.id = %peer.device, "superseding a certificate: {error}"),
        }
    }
}

/// Reads the list of certificates into the roster: open connections hear of what is superseded as of what is revoked. Read and put in
/// place in one step, so that of two who do it the later one has seen all.
pub fn read_list(pki: &Pki, roster: &watch::Sender<Arc<Roster>>) {
    roster.send_modify(|roster| match Issued::load(&pki.issued()) {
        Ok((issued, _)) => {
            let fresh = Roster { revoked: issued.revoked(), renewed: issued.renewed(), ..(**roster).clone() };
            *roster = Arc::new(fresh);
        }
        Err(error) => error!("reading the list of certificates: {error}"),
    });
}
