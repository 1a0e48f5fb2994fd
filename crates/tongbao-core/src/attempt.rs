//! An attempt: one order placed at a provider for a charge; and [`observe`], the one function that
//! draws conclusions from what a provider says about it.
//!
//! Paid, paid again, paid twice, paid late, closed, refused, unknown amount: each is a branch here
//! and nowhere else. The function is idempotent and does not mind the order of observations.

use crate::charge::{close_open_attempts, finish_if_idle};
use crate::{
    Action, Changes, ChargeState, EventKind, Fact, Failure, JobKind, Loaded, Mismatch, Observation,
    Payment, Polling, Seen, Source,
};
use tongbao_types::{
    AccountName, AttemptId, Channel, ChargeId, Code, Mint, OutTradeNo, Span, Timestamp, TradeNo,
};

/// An attempt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Of which charge.
    pub charge: ChargeId,
    /// Through which channel.
    pub channel: Channel,
    /// With which account.
    pub account: AccountName,
    /// Its number at the provider.
    pub out_trade_no: OutTradeNo,
    /// Where it stands.
    pub state: AttemptState,
    /// What the payer must be shown, once known.
    pub action: Option<Action>,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// Where an attempt stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// The order is on its way to the provider, or its outcome is not known.
    Placing,
    /// The order stands and waits for the payer.
    Awaiting,
    /// It will be closed at the provider; until that is certain it may still be paid.
    Closing,
    /// Paid.
    Succeeded {
        /// The provider's number of the trade.
        trade_no: TradeNo,
        /// When, by the provider's clock if it said so.
        paid_at: Timestamp,
    },
    /// Closed at the provider without a payment.
    Closed {
        /// When that became known.
        at: Timestamp,
    },
    /// The provider refused the order.
    Failed {
        /// When.
        at: Timestamp,
        /// What the provider said.
        failure: Failure,
    },
}

impl AttemptState {
    /// Waits for the payer, as far as is known.
    pub fn is_open(&self) -> bool {
        matches!(self, AttemptState::Placing | AttemptState::Awaiting)
    }

    /// A payment may still arrive in the ordinary way.
    pub fn can_be_paid(&self) -> bool {
        self.is_open() || matches!(self, AttemptState::Closing)
    }

    /// `status` of the public object, and the word in the database.
    pub fn status(&self) -> &'static str {
        match self {
            AttemptState::Placing => "placing",
            AttemptState::Awaiting => "pending",
            AttemptState::Closing => "closing",
            AttemptState::Succeeded { .. } => "succeeded",
            AttemptState::Closed { .. } => "closed",
            AttemptState::Failed { .. } => "failed",
        }
    }
}

impl Attempt {
    /// What the provider said, if it refused.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            AttemptState::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

/// Begins an attempt: the intent and the job that will find the truth if we die in the middle.
/// `number` decides the out_trade_no: the order_no itself, where the provider takes it.
pub fn begin_attempt(
    changes: &mut Changes,
    route: (Channel, AccountName),
    number: impl FnOnce(AttemptId) -> OutTradeNo,
    polling: &Polling,
    mint: &mut Mint,
) -> AttemptId {
    let id: AttemptId = mint.id();
    let charge = changes.charge.id;
    let (channel, account) = route;
    changes.attempts_new.push(id);
    changes.attempts.push(Attempt {
        id,
        charge,
        channel,
        account,
        out_trade_no: number(id),
        state: AttemptState::Placing,
        action: None,
        created_at: mint.now(),
    });
    let first = (mint.now() + polling.delay).min(changes.charge.expires_at);
    changes.promise(JobKind::PollAttempt(id, charge), first, mint);
    id
}

/// Concludes from an observation about one attempt. `Ok(None)`: nothing new. An error: the
/// observation contradicts the order and is not believed.
pub fn observe(
    loaded: &Loaded,
    id: AttemptId,
    observation: Observation,
    mint: &mut Mint,
) -> Result<Option<Changes>, Mismatch> {
    let Some(attempt) = loaded.attempt(id) else { return Ok(None) };
    let source = observation.source;
    match observation.fact {
        Fact::Awaiting(action) => Ok(awaiting(loaded, attempt, action, mint)),
        Fact::Paid(seen) => paid(loaded, attempt, seen, source, mint),
        Fact::Closed => Ok(closed(loaded, attempt, mint)),
        Fact::Absent => Ok(absent(loaded, attempt, source, mint)),
        Fact::Refused { code, message } => {
            let failure =
                Failure { code: Code::ProviderRefused, message, provider_code: Some(code) };
            Ok(refused(loaded, attempt, failure, mint))
        }
    }
}

fn awaiting(
    loaded: &Loaded,
    attempt: &Attempt,
    action: Option<Action>,
    mint: &mut Mint,
) -> Option<Changes> {
    let learns_action = action.is_some() && attempt.action != action;
    if attempt.state != AttemptState::Placing && !(attempt.state.is_open() && learns_action) {
        return None;
    }
    let was_placing = attempt.state == AttemptState::Placing;
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| {
        attempt.state = AttemptState::Awaiting;
        attempt.action = action.or(attempt.action.take());
    });
    if was_placing {
        changes.tell(EventKind::ChargeAttempted, mint);
        changes.tell(EventKind::PollDelayed, mint);
    }
    Some(changes)
}

fn paid(
    loaded: &Loaded,
    attempt: &Attempt,
    seen: Seen,
    source: Source,
    mint: &mut Mint,
) -> Result<Option<Changes>, Mismatch> {
    check_payment(loaded, attempt, &seen)?;
    if matches!(attempt.state, AttemptState::Succeeded { .. }) {
        return Ok(None);
    }
    let paid_at = seen.paid_at.unwrap_or(mint.now());
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| {
        attempt.state = AttemptState::Succeeded { trade_no: seen.trade_no.clone(), paid_at };
    });
    forget_jobs(&mut changes, attempt);
    if source == Source::Poll {
        changes.tell(EventKind::PollComplete, mint);
    }
    let payment = Payment {
        attempt: attempt.id,
        trade_no: seen.trade_no,
        paid_at,
        payer: seen.payer,
        remark: None,
    };
    settle(&mut changes, payment, mint);
    Ok(Some(changes))
}

/// An attempt that was closing has a job that closes it; any other can only have one that looks.
fn forget_jobs(changes: &mut Changes, before: &Attempt) {
    let charge = changes.charge.id;
    changes.forget(match before.state {
        AttemptState::Closing => JobKind::CloseAttempt(before.id, charge),
        _ => JobKind::PollAttempt(before.id, charge),
    });
}

/// The charge's side of a payment.
fn settle(changes: &mut Changes, payment: Payment, mint: &mut Mint) {
    match &mut changes.charge.state {
        ChargeState::Pending { .. } => {
            let attempt = payment.attempt;
            changes.charge.state = ChargeState::Succeeded(payment);
            changes.tell(EventKind::ChargeSucceeded, mint);
            close_open_attempts(changes, Some(attempt), mint.now(), mint);
        }
        ChargeState::Succeeded(first) => {
            let message = format!("paid a second time, as trade {}", payment.trade_no);
            first.remark = Some(remark(Code::PaidTwice, message));
            changes.tell(EventKind::ChargePaidTwice, mint);
        }
        ChargeState::Closed { at, .. } | ChargeState::Failed { at, .. } => {
            let message = format!("paid at {} after the charge had ended at {at}", payment.paid_at);
            let remark = Some(remark(Code::PaidLate, message));
            changes.charge.state = ChargeState::Succeeded(Payment { remark, ..payment });
            changes.tell(EventKind::ChargePaidLate, mint);
            changes.tell(EventKind::ChargeSucceeded, mint);
        }
    }
}

fn remark(code: Code, message: String) -> Failure {
    Failure { code, message, provider_code: None }
}

fn check_payment(loaded: &Loaded, attempt: &Attempt, seen: &Seen) -> Result<(), Mismatch> {
    let wrong = |code, reason| Err(Mismatch { code, reason });
    let amount = loaded.charge.amount.fen();
    if seen.currency != "CNY" {
        let reason = format!("the order is in CNY, the provider says {}", seen.currency);
        return wrong(Code::CurrencyMismatch, reason);
    }
    if seen.amount != amount {
        let reason = format!("the order is {amount:?}, the provider says {:?}", seen.amount);
        return wrong(Code::AmountMismatch, reason);
    }
    match &attempt.state {
        AttemptState::Succeeded { trade_no, .. } if *trade_no != seen.trade_no => {
            let reason = format!("the order was paid as trade {trade_no}, not {}", seen.trade_no);
            wrong(Code::TradeNoMismatch, reason)
        }
        _ => Ok(()),
    }
}

fn closed(loaded: &Loaded, attempt: &Attempt, mint: &mut Mint) -> Option<Changes> {
    if !attempt.state.can_be_paid() {
        return None;
    }
    let at = mint.now();
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| attempt.state = AttemptState::Closed { at });
    forget_jobs(&mut changes, attempt);
    finish_if_idle(&mut changes, mint);
    Some(changes)
}

/// The provider knows no such order. Before the payer has come that is Alipay's ordinary answer,
/// and after an order call without an answer it proves nothing. Only an answer to a close ends the
/// attempt; since the payer may hold the code still, one more look follows after its time is over.
fn absent(loaded: &Loaded, attempt: &Attempt, source: Source, mint: &mut Mint) -> Option<Changes> {
    if source != Source::Close {
        return None;
    }
    let last_look = loaded.charge.expires_at + Span::from_seconds(60);
    let mut changes = closed(loaded, attempt, mint)?;
    let job = JobKind::PollAttempt(attempt.id, changes.charge.id);
    changes.forget(job);
    changes.promise(job, last_look.max(mint.now()), mint);
    Some(changes)
}

fn refused(
    loaded: &Loaded,
    attempt: &Attempt,
    failure: Failure,
    mint: &mut Mint,
) -> Option<Changes> {
    if attempt.state != AttemptState::Placing {
        return None;
    }
    let at = mint.now();
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| attempt.state = AttemptState::Failed { at, failure });
    forget_jobs(&mut changes, attempt);
    finish_if_idle(&mut changes, mint);
    Some(changes)
}
