//! Events: what is told about a charge, in order and without gaps.

use crate::Scope;
use std::fmt;
use std::str::FromStr;
use tongbao_types::{ChargeId, EventId, RefundId, Timestamp, UnknownWord};

/// One thing that happened to a charge. Its public body is rendered from the rows of the same
/// commit, once, by the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub scope: Scope,
    /// About which charge.
    pub charge: ChargeId,
    /// About which of its refunds, if about one.
    pub refund: Option<RefundId>,
    /// What happened.
    pub kind: EventKind,
    /// 1, 2, 3 … for each charge.
    pub sequence: i64,
    /// When it happened here.
    pub created_at: Timestamp,
}

macro_rules! kinds {
    ($(#[doc = $doc:literal] $variant:ident $word:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $(#[doc = $doc] $variant,)* }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant,)*];

            /// Its name in `type`.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $word,)* }
            }

            /// What it means, in one sentence for the reference page.
            pub const fn meaning(self) -> &'static str {
                match self { $(EventKind::$variant => $doc.trim_ascii(),)* }
            }
        }

        impl FromStr for EventKind {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(EventKind::$variant),)*
                    _ => Err(UnknownWord { what: "event", word: word.chars().take(80).collect() }),
                }
            }
        }
    };
}

kinds! {
    /// A charge was made.
    ChargeCreated "charge.created",
    /// An order stands at a provider; the payer can pay.
    ChargeAttempted "charge.attempted",
    /// The charge is paid.
    ChargeSucceeded "charge.succeeded",
    /// Nobody paid, and nobody can any more.
    ChargeClosed "charge.closed",
    /// The provider refused for good.
    ChargeFailed "charge.failed",
    /// A second payment of a paid charge arrived.
    ChargePaidTwice "charge.paid_twice",
    /// A payment arrived after the charge had ended here.
    ChargePaidLate "charge.paid_late",
    /// The payer paid another amount than the charge's.
    ChargePaidWrongAmount "charge.paid_wrong_amount",
    /// A refund was made, by the merchant or by itself.
    RefundCreated "refund.created",
    /// The money is back at the payer's.
    RefundSucceeded "refund.succeeded",
    /// The provider refused the refund for good; no money moved.
    RefundFailed "refund.failed",
    /// The provider closed the refund; the money stays with the merchant.
    RefundClosed "refund.closed",
    /// The refund is stuck: it must be settled at the provider by hand, or waits for money.
    RefundAbnormal "refund.abnormal",
    /// A first look is planned.
    PollDelayed "poll.delayed",
    /// A look begins.
    PollActive "poll.active",
    /// A look found nothing paid, or got no answer; another follows while any are left.
    PollFailed "poll.failed",
    /// A look found the payment.
    PollComplete "poll.complete",
    /// Looking has ended without a payment.
    PollFinished "poll.finished",
}

impl EventKind {
    /// `poll.*` is noise to most; an endpoint gets it only if it names it.
    pub fn only_if_named(self) -> bool {
        self.as_str().starts_with("poll.")
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_and_says_what_it_means() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(kind.meaning().ends_with('.'), "{kind}");
        }
    }
}
