//! Where connections stand until they have proved who they are, so that strangers cannot keep residents' devices out.
//!
//! Enters: the address of a new connection, and the moment. Leaves: a ticket, or none; whoever has to make place hears it.
//! Invariants: never more tickets than places ([`HANDSHAKES_MAX`] at the devices' door), nor more of one address than it may have
//! ([`HANDSHAKES_PER_ADDRESS_MAX`]); who comes from an
//! address with fewer tickets than another's gets in. Absent: TLS, and devices that are known: these have places of their own.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits::{HANDSHAKE_FAIR_MS, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX};

struct Standing {
    number: u64,
    since: Instant,
    /// Dropped: whoever stands here has to go.
    _stays: oneshot::Sender<()>,
}

#[derive(Default)]
struct Places {
    /// Oldest first.
    by_address: BTreeMap<IpAddr, VecDeque<Standing>>,
    held: usize,
    next: u64,
}

/// All connections whose device is not known yet.
pub struct Lobby {
    places: Mutex<Places>,
    most: usize,
    most_of_one: usize,
}

impl Default for Lobby {
    /// The devices' door.
    fn default() -> Lobby {
        Lobby::with_places(HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX)
    }
}

/// A place in the lobby, given back when dropped.
pub struct Ticket {
    lobby: Arc<Lobby>,
    address: IpAddr,
    number: u64,
    stays: oneshot::Receiver<()>,
}

impl Lobby {
    /// With so many places, and so many for one address.
    pub fn with_places(most: usize, most_of_one: usize) -> Lobby {
        Lobby { places: Mutex::default(), most, most_of_one }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Whole after every change, also where a holder panicked.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`; `None`: it is to be closed.
    pub fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Ticket> {
        // The same machine, however it writes its address.
        let address = address.to_canonical();
        let mut places = self.lock();
        let own = places.count(address);
        if own >= self.most_of_one {
            places.turn_out(address, Some(now))?;
        } else if places.held >= self.most {
            let (most, crowded) = places.most_crowded()?;
            let is_fair = most > own + 1;
            places.turn_out(crowded, (!is_fair).then_some(now))?;
        }
        let (stays_sender, stays) = oneshot::channel();
        let number = places.next;
        places.next += 1;
        places.held += 1;
        let standing = Standing { number, since: now, _stays: stays_sender };
        places.by_address.entry(address).or_default().push_back(standing);
        Some(Ticket { lobby: self.clone(), address, number, stays })
    }

    /// Connections in it now.
    pub fn len(&self) -> usize {
        self.lock().held
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Places {
    fn count(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).map_or(0, VecDeque::len)
    }

    /// The address with most places; of several, that whose oldest has stood longest.
    fn most_crowded(&self) -> Option<(usize, IpAddr)> {
        let crowds = self.by_address.iter();
        let most =
            crowds.max_by_key(|(_, standing)| (standing.len(), standing.front().map(|s| std::cmp::Reverse(s.number))));
        most.map(|(address, standing)| (standing.len(), *address))
    }

    /// Turns out the oldest of an address; with `now`, only if it has had its time.
    fn turn_out(&mut self, address: IpAddr, now: Option<Instant>) -> Option<()> {
        let number = {
            let oldest = self.by_address.get(&address)?.front()?;
            let fair = Duration::from_millis(HANDSHAKE_FAIR_MS);
            if now.is_some_and(|now| now.duration_since(oldest.since) < fair) {
                return None;
            }
            oldest.number
        };
        self.remove(address, number);
        Some(())
    }

    fn remove(&mut self, address: IpAddr, number: u64) {
        let Some(standing) = self.by_address.get_mut(&address) else { return };
        let before = standing.len();
        standing.retain(|s| s.number != number);
        self.held -= before - standing.len();
        if standing.is_empty() {
            self.by_address.remove(&address);
        }
    }
}

impl Ticket {
    /// Returns when the place is needed for somebody else.
    pub async fn turned_out(&mut self) {
        // Nothing is ever sent: the other end goes with the place.
        let _ = (&mut self.stays).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.lobby.lock().remove(self.address, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 168, 0, n])
    }

    fn is_out(ticket: &mut Ticket) -> bool {
        ticket.stays.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    /// As many as get in.
    fn crowd(lobby: &Arc<Lobby>, from: u8, count: usize, now: Instant) -> Vec<Ticket> {
        (0..count).filter_map(|_| lobby.enter(address(from), now)).collect()
    }

    #[test]
    fn strangers_of_a_few_addresses_keep_nobody_out() {
        let lobby = Arc::new(Lobby::default());
        let now = Instant::now();
        let mut strangers: Vec<Ticket> = (1..=9).flat_map(|n| crowd(&lobby, n, 1_000, now)).collect();
        let standing =
            |strangers: &mut Vec<Ticket>| strangers.iter_mut().filter_map(|t| (!is_out(t)).then_some(())).count();
        assert_eq!((lobby.len(), standing(&mut strangers)), (HANDSHAKES_MAX, HANDSHAKES_MAX));
        // A house comes back at once, each device from its own address.
        let mut devices: Vec<Ticket> = (100..=200).filter_map(|n| lobby.enter(address(n), now)).collect();
        assert_eq!(devices.len(), 101);
        assert_eq!((lobby.len(), standing(&mut strangers)), (HANDSHAKES_MAX, HANDSHAKES_MAX - 101));
        // The strangers come again, as fast as they can: no device that is under way is turned out for them.
        for n in 1..=9 {
            strangers.extend(crowd(&lobby, n, 1_000, now));
        }
        assert!(devices.iter_mut().all(|ticket| !is_out(ticket)));
        assert_eq!(lobby.len(), HANDSHAKES_MAX);
        drop((strangers, devices));
        assert!(lobby.is_empty());
    }

    #[test]
    fn one_address_has_its_part_and_the_slow_make_place_for_the_next() {
        let lobby = Arc::new(Lobby::default());
        let now = Instant::now();
        let mut first = crowd(&lobby, 1, HANDSHAKES_PER_ADDRESS_MAX, now);
        assert_eq!(first.len(), HANDSHAKES_PER_ADDRESS_MAX);
        let soon = now + Duration::from_millis(HANDSHAKE_FAIR_MS - 1);
        assert!(lobby.enter(address(1), soon).is_none(), "who has begun may end");
        let later = now + Duration::from_millis(HANDSHAKE_FAIR_MS);
        let mut newcomer = lobby.enter(address(1), later).expect("the oldest has had its time");
        assert_eq!(first.iter_mut().filter_map(|t| is_out(t).then_some(())).count(), 1);
        assert!(is_out(&mut first[0]) && !is_out(&mut newcomer));
        assert_eq!(lobby.len(), HANDSHAKES_PER_ADDRESS_MAX);
        // Written as IPv6 it is the same machine.
        let IpAddr::V4(v4) = address(1) else { unreachable!() };
        assert!(lobby.enter(IpAddr::V6(v4.to_ipv6_mapped()), now).is_none());
    }
}
