//! The rules: what a charge may become, and why. Pure functions over loaded rows and a time.
//!
//! A function here takes what was loaded plus `now` and returns [`Changes`]: rows to write, events
//! to tell, jobs to promise. It does no I/O, knows no provider's bytes and no database, and is
//! idempotent, so that callers may load and decide again whenever a write came second.

mod adopt;
mod attempt;
mod changes;
mod charge;
mod delivery;
mod event;
mod job;
mod observation;
mod policy;
mod polling;
mod provider_reply;
mod refund;
mod scope;

pub use adopt::Adoption;
pub use attempt::{Attempt, AttemptState, Route};
pub use changes::{Changes, ChargeWrite};
pub use charge::{
    Charge, ChargeState, CloseReason, Draft, Failure, Loaded, NotPending, Payment, RefusedNotice,
};
pub use delivery::{Callback, Delivery, DeliveryState, Endpoint, Retry, Target, Try};
pub use event::{Event, EventKind};
pub use job::{Job, JobChange, JobKind, NewJob};
pub use observation::{Action, Fact, Mismatch, Observation, Payer, RefundFact, Seen, Source};
pub use policy::{Policy, Unexpected};
pub use polling::{Backoff, NextLook, Polling};
pub use provider_reply::{ProviderReply, ReplyKind};
pub use refund::{REFUNDS_MAX, Refund, RefundCause, RefundDraft, RefundProblem, RefundState};
pub use scope::Scope;

pub mod rules {
    //! The functions that decide.
    pub use crate::adopt::adopt;
    pub use crate::attempt::{begin_another, begin_attempt, observe};
    pub use crate::charge::{await_choice, begin_close, finish_if_idle, give_up, open};
    pub use crate::delivery::{after_try, deliveries_for, is_accepted};
    pub use crate::polling::{look_begins, look_found_nothing};
    pub use crate::refund::{observe_refund, request_refund};
}
