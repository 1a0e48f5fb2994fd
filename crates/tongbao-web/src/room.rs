//! Room for connections, and who leaves when there is none: a caller that keeps us waiting makes
//! room for one that may have something to say.
//!
//! A connection keeps us waiting while no request is under way, while its request is still
//! arriving, and while it does not read its reply. Nothing has been begun then that would be cut
//! in two: a request is handled once its body is there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Who leaves is looked for again after so long, if everybody is at work.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One address may hold this part of the room before its connections are the first to leave.
const SHARE: usize = 4;

/// This part of the room is made free at once, so that a crowd at the door does not make us look
/// through everybody for each newcomer.
const FREED: usize = 64;

/// All connections of a server.
pub(crate) struct Room {
    free: Arc<Semaphore>,
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
    count: AtomicU64,
    connections_max: usize,
    began: Instant,
}

/// A connection's place, given free by dropping it.
pub(crate) struct Place {
    /// What is known of the connection.
    pub(crate) seat: Arc<Seat>,
    number: u64,
    room: Arc<Room>,
    _permit: OwnedSemaphorePermit,
}

/// What one connection is doing.
pub(crate) struct Seat {
    neighbourhood: IpAddr,
    is_under_way: AtomicBool,
    is_blocked: AtomicBool,
    /// Since when it keeps us waiting, in microseconds after the room was opened.
    since: AtomicU64,
    leave: Notify,
    began: Instant,
}

impl Room {
    pub(crate) fn new(connections_max: usize) -> Arc<Room> {
        Arc::new(Room {
            free: Arc::new(Semaphore::new(connections_max)),
            seats: Mutex::default(),
            count: AtomicU64::new(0),
            connections_max,
            began: Instant::now(),
        })
    }

    /// A place for a new connection, as soon as there is one.
    pub(crate) async fn enter(self: &Arc<Room>, peer: IpAddr) -> Place {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                // A crowd should find room made already, and not wait until somebody has left.
                let low = self.connections_max / FREED / 2;
                if low > 0 && self.free.available_permits() == low {
                    self.make_free();
                }
                return self.seat(peer, permit);
            }
            self.make_free();
            let freed = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, freed).await {
                return self.seat(peer, permit.expect("nobody closes this semaphore"));
            }
        }
    }

    fn seat(self: &Arc<Room>, peer: IpAddr, permit: OwnedSemaphorePermit) -> Place {
        let seat = Arc::new(Seat {
            neighbourhood: neighbourhood(peer),
            is_under_way: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            since: AtomicU64::new(0),
            leave: Notify::new(),
            began: self.began,
        });
        seat.waits();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::clone(&seat));
        Place { seat, number, room: Arc::clone(self), _permit: permit }
    }

    /// Asks those who keep us waiting longest to leave; those first of whose address too many are
    /// here.
    fn make_free(&self) {
        let seats = self.lock();
        let mut of_neighbourhood: HashMap<IpAddr, usize> = HashMap::new();
        for seat in seats.values() {
            *of_neighbourhood.entry(seat.neighbourhood).or_default() += 1;
        }
        let mut waiting: Vec<(bool, u64, &Arc<Seat>)> = seats
            .values()
            .filter(|seat| seat.keeps_waiting())
            .map(|seat| {
                let has_share =
                    of_neighbourhood[&seat.neighbourhood] * SHARE <= self.connections_max;
                (has_share, seat.since.load(Ordering::Relaxed), seat)
            })
            .collect();
        let n_freed = (self.connections_max / FREED).max(1).min(waiting.len());
        if n_freed == 0 {
            tracing::warn!("every connection is at work, so new ones wait");
            return;
        }
        waiting.select_nth_unstable_by_key(n_freed - 1, |(share, since, _)| (*share, *since));
        for (.., seat) in &waiting[..n_freed] {
            seat.leave.notify_one();
        }
        tracing::debug!(connections = n_freed, "waiting connections make room for new ones");
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.lock().remove(&self.number);
    }
}

impl Seat {
    /// A request has arrived, or at least its headers.
    pub(crate) fn works(&self) {
        self.is_blocked.store(false, Ordering::Relaxed);
        self.is_under_way.store(true, Ordering::Relaxed);
    }

    /// No request is under way.
    pub(crate) fn waits(&self) {
        self.touch();
        self.is_under_way.store(false, Ordering::Relaxed);
    }

    /// Nothing goes on before the caller sends more or reads more.
    pub(crate) fn is_blocked(&self) {
        if !self.is_blocked.swap(true, Ordering::Relaxed) {
            self.touch();
        }
    }

    /// It goes on.
    pub(crate) fn goes_on(&self) {
        if self.is_blocked.load(Ordering::Relaxed) {
            self.is_blocked.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the caller is who must do something next.
    pub(crate) fn keeps_waiting(&self) -> bool {
        !self.is_under_way.load(Ordering::Relaxed) || self.is_blocked.load(Ordering::Relaxed)
    }

    /// Waits until the room is needed by others. Whoever is at work by then stays.
    pub(crate) async fn asked_to_leave(&self) {
        loop {
            self.leave.notified().await;
            // The connection is driven by the task that waits here, so this stays as it is.
            if self.keeps_waiting() {
                return;
            }
        }
    }

    fn touch(&self) {
        let since = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }
}

/// One household or server: an IPv4 address, or the /64 that an IPv6 address is in, since whoever
/// has one address of it has them all.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether this one is asked to leave, by now.
    fn is_asked(place: &Place) -> bool {
        use futures_util::FutureExt;
        place.seat.asked_to_leave().now_or_never().is_some()
    }

    async fn full(addresses: &[&str]) -> (Arc<Room>, Vec<Place>) {
        let room = Room::new(addresses.len());
        let mut places = Vec::new();
        for (age, text) in addresses.iter().enumerate() {
            let place = room.enter(address(text)).await;
            place.seat.since.store(age as u64, Ordering::Relaxed);
            places.push(place);
        }
        (room, places)
    }

    #[tokio::test]
    async fn who_waits_longest_leaves_and_who_is_at_work_stays() {
        let (room, places) = full(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]).await;
        places[0].seat.works();
        room.make_free();
        assert_eq!(places.iter().map(is_asked).collect::<Vec<_>>(), [false, true, false, false]);
        // Its body does not come, so nothing of it has been begun.
        places[0].seat.is_blocked();
        places[0].seat.since.store(0, Ordering::Relaxed);
        room.make_free();
        assert!(is_asked(&places[0]));
        places[0].seat.goes_on();
        room.make_free();
        assert!(!is_asked(&places[0]));
    }

    #[tokio::test]
    async fn who_went_to_work_after_being_asked_stays() {
        let (room, places) = full(&["10.0.0.1"]).await;
        room.make_free();
        places[0].seat.works();
        assert!(!is_asked(&places[0]));
        places[0].seat.waits();
        room.make_free();
        assert!(is_asked(&places[0]));
    }

    #[tokio::test]
    async fn an_address_with_more_than_its_share_leaves_first() {
        let (room, places) = full(&["10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.0.9"]).await;
        room.make_free();
        assert_eq!(places.iter().map(is_asked).collect::<Vec<_>>(), [false, false, true, false]);
    }

    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_who_left() {
        let (room, mut places) = full(&["10.0.0.1", "10.0.0.2"]).await;
        let entering = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.enter(address("10.0.0.3")).await }
        });
        places[0].seat.asked_to_leave().await;
        drop(places.remove(0));
        assert_eq!(entering.await.unwrap().seat.neighbourhood, address("10.0.0.3"));
    }

    #[test]
    fn a_network_of_ipv6_is_one_neighbour() {
        assert_eq!(neighbourhood(address("2001:db8::1:2:3:4")), address("2001:db8::"));
        assert_eq!(neighbourhood(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }
}
