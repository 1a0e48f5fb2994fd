//! Planted bugs: what a payment service must never do, to be switched on one at a time by the
//! simulation, which has to notice each of them. A simulation that finds nothing proves something
//! only if it would have found these.
//!
//! Where one is planted stands `is_planted(Bug::…)`. Without the feature `planted`, which nothing
//! that is shipped has, this is the constant `false`, and the compiler leaves the branch out.

macro_rules! bugs {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug { $(#[doc = $doc] $name,)* }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Bug] = &[$(Bug::$name,)*];
        }
    };
}

bugs! {
    /// A notice's signature is not looked at: WeChat Pay v2.
    VerifySkipped,
    /// The same, WeChat Pay v3.
    VerifySkippedAtV3,
    /// The same, Alipay's OpenAPI and v3.
    VerifySkippedAtAlipay,
    /// The same, Alipay's old gateway; nor is it asked whether the notice is its own.
    VerifySkippedAtLegacy,
    /// A notice of another amount than the charge's is believed.
    AmountUnchecked,
    /// A refund on its way does not count as money that is gone.
    RefundNotReserved,
    /// An order call without a clear answer counts as refused.
    UnknownTakenAsFailed,
    /// Events are written after the change that they tell, by a commit of their own.
    EventApart,
    /// Whoever once leased a job may settle it, even if somebody else has leased it since.
    LeaseWithoutEpoch,
    /// A close that the provider refuses counts as done, without asking how the order stands.
    CloseBeforeQuery,
    /// A refund that is sent again gets another number.
    NewRefundNumber,
    /// An order is found by its number alone, whosever account was notified.
    AccountUnchecked,
    /// A payment after the end of its charge changes nothing at the charge.
    LatePaymentDropped,
    /// The other orders of a paid charge stay open.
    SiblingsNotClosed,
    /// Deliveries are written after their events, by a commit of their own.
    DeliveryApart,
    /// A job whose process died is never leased again.
    JobDroppedAfterCrash,
    /// The Idempotency-Key is written after the intent, by a commit of its own.
    KeyApart,
    /// A second payment of a paid charge is kept.
    PaidTwiceKept,
    /// A notice is receipted although it could not be stored.
    ReceiptBeforeCommit,
    /// A decision on old rows is written over newer ones.
    StaleWriteAccepted,
    /// The first look that gets no answer is the last.
    PollEndsAtFirstError,
    /// A refund may be larger than what is left.
    RefundSumUnchecked,
    /// Events are numbered by the time instead of one by one.
    SequenceFromClock,
    /// An order that is seen open after its close stays open.
    LateOrderLeftOpen,
    /// An older service's merchant is not told of a payment.
    CallbackForgotten,
    /// A bill is shown without the lines of money that went back.
    BillLineDropped,
    /// What came of a bill is kept without looking whether it is whole.
    BillUnchecked,
}

/// Whether planted bugs are compiled in at all.
pub const BUGS_ARE_COMPILED: bool = cfg!(feature = "planted");

#[cfg(feature = "planted")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread has this bug.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Gives this thread a bug, or takes it away.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}

#[cfg(feature = "planted")]
pub use switch::{is_planted, plant};

/// Never.
#[cfg(not(feature = "planted"))]
pub const fn is_planted(_: Bug) -> bool {
    false
}
