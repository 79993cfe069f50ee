//! Who may sit at the board's door: so many connections in all and of one address, and a stranger gives way to whoever comes.
//!
//! Enters: connections as they are accepted, and word that somebody on one of them has logged in. Leaves: a [`Seat`] each, or none; and
//! word to a seat that it has to go. Invariants: where all seats are taken, the one that goes is the oldest stranger's of the most
//! crowded address, so that a crowd behind one address locks out nobody behind another; whoever is logged in is never sent away.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::auth::place_of;
use crate::limits::{CONNECTIONS_HERE_MAX, CONNECTIONS_MAX};

/// The seats of one listener.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    most_here: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// By number, so that the oldest is first.
    seats: BTreeMap<u64, Sitting>,
    here: BTreeMap<IpAddr, Here>,
}

#[derive(Debug)]
struct Sitting {
    address: IpAddr,
    is_stranger: bool,
    goes: Arc<Notify>,
}

/// How many sit at one address, and how many of them nobody knows.
#[derive(Debug, Default)]
struct Here {
    all: usize,
    strangers: usize,
}

impl Default for Seats {
    fn default() -> Self {
        Seats::new(CONNECTIONS_MAX, CONNECTIONS_HERE_MAX)
    }
}

impl Seats {
    /// `most` in all, `most_here` of one address.
    pub fn new(most: usize, most_here: usize) -> Self {
        Seats { most, most_here, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a connection from there. `None`: everybody who sits is logged in, or of this address as many as may.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = place_of(address);
        let mut taken = self.taken();
        let here = taken.here.get(&address).map_or(0, |here| here.all);
        if here >= self.most_here {
            taken.send_away(address)?;
        } else if taken.seats.len() >= self.most {
            let crowd = taken.here.iter().max_by_key(|(_, here)| here.strangers).map(|(address, _)| *address)?;
            taken.send_away(crowd)?;
        }
        let number = taken.next;
        taken.next += 1;
        let goes = Arc::new(Notify::new());
        taken.seats.insert(number, Sitting { address, is_stranger: true, goes: goes.clone() });
        let here = taken.here.entry(address).or_default();
        here.all += 1;
        here.strangers += 1;
        Some(Seat { seats: Arc::clone(self), number, goes })
    }
}

impl Taken {
    /// The oldest stranger of this address goes. `None`: there is none.
    fn send_away(&mut self, address: IpAddr) -> Option<()> {
        let oldest = self.seats.iter().find(|(_, one)| one.is_stranger && one.address == address).map(|(n, _)| *n)?;
        self.leave(oldest)?.goes.notify_one();
        Some(())
    }

    fn leave(&mut self, number: u64) -> Option<Sitting> {
        let left = self.seats.remove(&number)?;
        if let Some(here) = self.here.get_mut(&left.address) {
            here.all -= 1;
            here.strangers -= usize::from(left.is_stranger);
            if here.all == 0 {
                self.here.remove(&left.address);
            }
        }
        Some(left)
    }
}

/// A connection's place. Given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    number: u64,
    goes: Arc<Notify>,
}

impl Seat {
    /// Somebody on it is logged in: it is never sent away for another's sake.
    pub fn is_known(&self) {
        let mut taken = self.seats.taken();
        let Some(sitting) = taken.seats.get_mut(&self.number).filter(|sitting| sitting.is_stranger) else { return };
        sitting.is_stranger = false;
        let address = sitting.address;
        if let Some(here) = taken.here.get_mut(&address) {
            here.strangers -= 1;
        }
    }

    /// Until it has to go.
    pub async fn has_to_go(&self) {
        self.goes.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sit(seats: &Arc<Seats>, address: &str) -> Option<Seat> {
        seats.take(address.parse().expect("an address"))
    }

    fn is_gone(seat: &Seat) -> bool {
        !seat.seats.taken().seats.contains_key(&seat.number)
    }

    #[test]
    fn a_crowd_gives_way_to_others_and_the_oldest_of_it_goes_first() {
        let seats = Arc::new(Seats::new(4, 4));
        let crowd: Vec<Seat> = (0..4).filter_map(|_| sit(&seats, "192.0.2.1")).collect();
        let other = sit(&seats, "192.0.2.2").expect("the crowd gives way");
        assert!(is_gone(&crowd[0]) && !is_gone(&crowd[1]));
        assert!(sit(&seats, "192.0.2.1").is_some(), "one of their own for one of their own");
        assert!(!is_gone(&other), "and not the other's");
    }

    #[test]
    fn who_is_logged_in_stays_and_an_address_has_a_share() {
        let seats = Arc::new(Seats::new(4, 3));
        let known: Vec<Seat> = (0..3).filter_map(|_| sit(&seats, "2001:db8:1:2::7")).collect();
        known.iter().for_each(Seat::is_known);
        assert!(sit(&seats, "2001:db8:1:2:ffff::8").is_none(), "a network of IPv6 is one address");
        let other = sit(&seats, "2001:db8:1:3::7").expect("another network");
        other.is_known();
        assert!(sit(&seats, "192.0.2.1").is_none(), "all of them are logged in");
        drop(other);
        assert!(sit(&seats, "192.0.2.1").is_some());
        assert!(known.iter().all(|seat| !is_gone(seat)));
    }

    #[test]
    fn what_is_given_back_is_counted_once() {
        let seats = Arc::new(Seats::new(2, 2));
        for _ in 0..10 {
            let (one, two) = (sit(&seats, "192.0.2.1"), sit(&seats, "192.0.2.1"));
            // The third sends the first away, whose own end then changes nothing.
            let three = sit(&seats, "192.0.2.1");
            one.as_ref().expect("a seat").is_known();
            drop((one, two, three));
        }
        assert!(seats.taken().seats.is_empty() && seats.taken().here.is_empty());
    }
}
