//! The sandbox's time: the machine's clock plus an offset that control paths and tests move.
//!
//! Orders expire, notifications repeat and windows close by [`SandboxClock::now`]. What signs a
//! message takes [`SandboxClock::real_now`] instead, since a client compares it with its own clock.
//! A simulation brings a machine's clock of its own, see [`SandboxClock::of`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;
use tongbao_types::{Span, Timestamp};

/// A handle on one shared clock; clones move together.
#[derive(Debug, Clone)]
pub struct SandboxClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    machine: Machine,
    offset_micros: AtomicI64,
    moved: watch::Sender<Span>,
}

/// Asks the machine for its present.
struct Machine(Box<dyn Fn() -> Timestamp + Send + Sync>);

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

impl Default for SandboxClock {
    fn default() -> SandboxClock {
        SandboxClock::new()
    }
}

impl SandboxClock {
    /// A clock that agrees with the machine's.
    pub fn new() -> SandboxClock {
        SandboxClock::of(|| Timestamp::from(jiff::Timestamp::now()))
    }

    /// A clock that agrees with another than the machine's.
    pub fn of(machine: impl Fn() -> Timestamp + Send + Sync + 'static) -> SandboxClock {
        let moved = watch::Sender::new(Span::ZERO);
        let (machine, offset_micros) = (Machine(Box::new(machine)), AtomicI64::new(0));
        SandboxClock { shared: Arc::new(Shared { machine, offset_micros, moved }) }
    }

    /// The sandbox's present.
    pub fn now(&self) -> Timestamp {
        self.real_now() + self.offset()
    }

    /// The machine's present, for time stamps that sign messages.
    pub fn real_now(&self) -> Timestamp {
        (self.shared.machine.0)()
    }

    /// How far the sandbox is ahead of the machine.
    pub fn offset(&self) -> Span {
        Span::from_micros(self.shared.offset_micros.load(Ordering::SeqCst))
    }

    /// Moves the present forward and wakes everybody who waits on [`SandboxClock::on_advance`].
    pub fn advance(&self, by: Span) {
        let before = self.shared.offset_micros.fetch_add(by.as_micros(), Ordering::SeqCst);
        self.shared.moved.send_replace(Span::from_micros(before.saturating_add(by.as_micros())));
    }

    /// Sees the offset each time that it changes. A receiver starts with nothing to see.
    pub fn on_advance(&self) -> watch::Receiver<Span> {
        self.shared.moved.subscribe()
    }

    /// Goes to the offset of an earlier run, unless the clock is ahead of that already.
    pub(crate) fn resume(&self, offset: Span) {
        if offset > self.offset() {
            self.advance(Span::from_micros(offset.as_micros() - self.offset().as_micros()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together_and_tell_it() {
        let clock = SandboxClock::new();
        let other = clock.clone();
        let mut moves = other.on_advance();
        assert!(!moves.has_changed().unwrap());
        let before = other.now();
        clock.advance(Span::from_seconds(7200));
        assert!(other.now().since(before) >= Span::from_seconds(7200));
        assert!(moves.has_changed().unwrap());
        assert_eq!(*moves.borrow_and_update(), Span::from_seconds(7200));
        assert!(other.real_now().since(before) < Span::from_seconds(60));
    }

    #[test]
    fn a_clock_of_its_own_stands_still_until_it_is_moved() {
        let clock = SandboxClock::of(|| Timestamp::from_seconds(5));
        clock.advance(Span::from_seconds(2));
        let (now, real_now) = (clock.now().as_seconds(), clock.real_now().as_seconds());
        assert_eq!((now, real_now), (7, 5));
    }

    #[test]
    fn resuming_never_turns_the_clock_back() {
        let clock = SandboxClock::new();
        clock.resume(Span::from_seconds(60));
        clock.resume(Span::from_seconds(10));
        assert_eq!(clock.offset(), Span::from_seconds(60));
    }
}
