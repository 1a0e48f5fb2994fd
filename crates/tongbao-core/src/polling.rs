//! Polling: when to ask the provider about an order that nobody has told us about, and when to
//! stop.
//!
//! The first look comes after `delay`; each look that finds no payment is followed by another
//! after a growing wait. The order is closed when the looks are used up and its time is over.

use crate::{Attempt, Changes, Charge, EventKind, Loaded};
use tongbao_types::{Channel, Mint, Span, Timestamp};

/// How often and how long to look. From `[polling]` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polling {
    /// From ordering to the first look.
    pub delay: Span,
    /// How many looks a charge without an `expires_at` of its own gets.
    pub attempts: u32,
    /// How the waits between looks grow.
    pub backoff: Backoff,
    /// The longest that one look may take.
    pub ttl: Span,
}

/// How the waits between looks grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// `delay`, 2 × `delay`, 4 × `delay` …, at most an hour.
    Exponential,
    /// `delay`, 2 × `delay`, 3 × `delay` …, at most an hour.
    Linear,
    /// Always `delay`.
    Fixed,
}

/// What follows a look that found no payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    /// Look again then.
    At(Timestamp),
    /// Enough: close the order at the provider, then here.
    Close,
}

impl Polling {
    /// The wait that follows look number `looks` (the first is 1); 0 gives the first delay.
    pub fn wait(&self, looks: u32) -> Span {
        let grown = match self.backoff {
            Backoff::Exponential => self.delay.times(1_i64 << looks.min(20)),
            Backoff::Linear => self.delay.times(i64::from(looks) + 1),
            Backoff::Fixed => self.delay,
        };
        grown.min(Span::from_seconds(3600))
    }

    /// From ordering to the last look, if nothing else is said.
    pub fn patience(&self) -> Span {
        (0..self.attempts.max(1)).fold(Span::ZERO, |sum, look| sum + self.wait(look))
    }

    /// From ordering to the first look.
    pub fn first_wait(&self, channel: Channel) -> Span {
        if channel.is_scanned_by_merchant() { SCANNED_WAIT } else { self.delay }
    }

    /// What follows look number `looks` (the first is 1) at an order, which found no payment.
    pub fn after(&self, looks: u32, charge: &Charge, order: &Attempt, now: Timestamp) -> NextLook {
        let (wait, ends) = if order.channel.is_scanned_by_merchant() {
            (SCANNED_WAIT, charge.expires_at.min(order.created_at + SCANNED_PATIENCE))
        } else {
            (self.wait(looks), charge.expires_at)
        };
        if now >= ends {
            return NextLook::Close;
        }
        NextLook::At((now + wait).min(ends))
    }
}

/// The rhythm that both providers ask for after the merchant scanned a payer's code: a look every 5
/// seconds while the payer types a password, and the order taken back when 45 are over.
const SCANNED_WAIT: Span = Span::from_seconds(5);
const SCANNED_PATIENCE: Span = Span::from_seconds(45);

/// A look begins: the event that says so.
pub fn look_begins(loaded: Loaded, attempt: &Attempt, mint: &mut Mint) -> Option<Changes> {
    let open = loaded.charge.state.is_pending() && attempt.state.is_open();
    open.then(|| {
        let mut changes = Changes::of(loaded);
        changes.tell(EventKind::PollActive, mint);
        changes
    })
}

/// A look found no payment: the event that says so, and the one that looking has ended.
pub fn look_found_nothing(loaded: Loaded, next: NextLook, mint: &mut Mint) -> Changes {
    let mut changes = Changes::of(loaded);
    changes.tell(EventKind::PollFailed, mint);
    if next == NextLook::Close {
        changes.tell(EventKind::PollFinished, mint);
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLLING: Polling = Polling {
        delay: Span::from_seconds(5),
        attempts: 6,
        backoff: Backoff::Exponential,
        ttl: Span::from_seconds(60),
    };

    #[test]
    fn waits_double_and_sum_to_the_patience() {
        let waits: Vec<i64> = (0..6).map(|n| POLLING.wait(n).as_seconds()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160]);
        assert_eq!(POLLING.patience(), Span::from_seconds(315));
        assert_eq!(POLLING.wait(1000), Span::from_seconds(3600));
        let fixed = Polling { backoff: Backoff::Fixed, ..POLLING };
        assert_eq!(fixed.patience(), Span::from_seconds(30));
        let linear = Polling { backoff: Backoff::Linear, ..POLLING };
        assert_eq!(linear.patience(), Span::from_seconds(5 * 21));
    }
}
