//! An attempt: one order placed at a provider for a charge; and [`observe`], the one function that
//! draws conclusions from what a provider says about it.
//!
//! Paid, paid again, paid twice, late or wrongly, closed, refused: each is a branch here and
//! nowhere else. The function is idempotent and does not mind the order of observations.

use crate::charge::{
    await_choice, close_open_attempts, finish_idle, finish_if_idle, forget_the_end,
};
use crate::refund::give_back;
use crate::{
    Action, Changes, ChargeState, EventKind, Fact, Failure, JobChange, JobKind, Loaded, Mismatch,
    NewJob, NotPending, Observation, Payer, Payment, Policy, Polling, RefundCause, Seen, Source,
    Unexpected,
};
use tongbao_types::{
    AccountName, AttemptId, Bug, Channel, ChargeId, Code, Fen, Mint, OutTradeNo, Span, Timestamp,
    TradeNo, is_planted,
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
    /// Who shall pay, where the order names the payer; a payment code is never kept.
    pub payer: Option<Payer>,
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
        /// How much.
        amount: Fen,
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

/// An order to be placed: through which channel, with which account, for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Through which channel.
    pub channel: Channel,
    /// With which account.
    pub account: AccountName,
    /// Who shall pay, where the channel needs to know.
    pub payer: Option<Payer>,
}

/// Begins an attempt: the intent and the job that will find the truth if we die in the middle.
/// `number` decides the out_trade_no: the order_no itself, where the provider takes it.
pub fn begin_attempt(
    changes: &mut Changes,
    route: Route,
    number: impl FnOnce(AttemptId) -> OutTradeNo,
    polling: &Polling,
    mint: &mut Mint,
) -> AttemptId {
    let id: AttemptId = mint.id();
    let charge = changes.charge.id;
    let Route { channel, account, payer } = route;
    let kept = payer.map(|payer| Payer { auth_code: None, ..payer });
    changes.attempts_new.push(id);
    changes.attempts.push(Attempt {
        id,
        charge,
        channel,
        account,
        out_trade_no: number(id),
        state: AttemptState::Placing,
        payer: kept.filter(|payer| *payer != Payer::default()),
        action: None,
        created_at: mint.now(),
    });
    let first = (mint.now() + polling.first_wait(channel)).min(changes.charge.expires_at);
    changes.promise(JobKind::PollAttempt(id, charge), first, mint);
    id
}

/// Begins one more attempt for a charge that exists; the others stay open until one is paid.
pub fn begin_another(
    loaded: Loaded,
    route: Route,
    number: impl FnOnce(AttemptId) -> OutTradeNo,
    polling: &Polling,
    mint: &mut Mint,
) -> Result<(Changes, AttemptId), NotPending> {
    let waits = matches!(loaded.charge.state, ChargeState::Pending { closing: None });
    if !waits || mint.now() >= loaded.charge.expires_at {
        return Err(NotPending);
    }
    let mut changes = Changes::of(loaded);
    await_choice(&mut changes, mint);
    let id = begin_attempt(&mut changes, route, number, polling, mint);
    Ok((changes, id))
}

/// Concludes from an observation about one attempt. `Ok(None)`: nothing new. An error: the
/// observation contradicts the order and is not believed.
pub fn observe(
    loaded: &Loaded,
    id: AttemptId,
    observation: Observation,
    policy: &Policy,
    mint: &mut Mint,
) -> Result<Option<Changes>, Mismatch> {
    let Some(attempt) = loaded.attempt(id) else { return Ok(None) };
    let source = observation.source;
    match observation.fact {
        Fact::Awaiting(action) => Ok(awaiting(loaded, attempt, (action, source), mint)),
        Fact::Paid(seen) => paid(loaded, attempt, (seen, source), policy, mint),
        Fact::Closed => Ok(closed(loaded, attempt, source, mint)),
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
    (action, source): (Option<Action>, Source),
    mint: &mut Mint,
) -> Option<Changes> {
    let is_closed = matches!(attempt.state, AttemptState::Closed { .. });
    if is_closed && !is_planted(Bug::LateOrderLeftOpen) {
        return Some(close_once_more(loaded, attempt, mint));
    }
    // Placed twice at the same time, the order has two codes, of which one may be void, and nobody
    // knows which: the one that is shown stays, and whoever comes second asks for a new one.
    let may_replace = attempt.action.is_none() || source == Source::Sync;
    let learns_action = action.is_some() && attempt.action != action && may_replace;
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

/// A process that stood still may place an order after it was closed. Nobody was shown how to pay
/// it, and nobody shall.
fn close_once_more(loaded: &Loaded, attempt: &Attempt, mint: &mut Mint) -> Changes {
    let mut changes = Changes::of(loaded.clone());
    hasten(&mut changes, JobKind::CloseAttempt(attempt.id, attempt.charge), mint);
    changes
}

fn paid(
    loaded: &Loaded,
    attempt: &Attempt,
    (seen, source): (Seen, Source),
    policy: &Policy,
    mint: &mut Mint,
) -> Result<Option<Changes>, Mismatch> {
    check_payment(loaded, attempt, &seen, source)?;
    if matches!(attempt.state, AttemptState::Succeeded { .. }) {
        return Ok(None);
    }
    if !attempt.state.can_be_paid() && seen.returned {
        // Nothing of it is here any more, so there is nothing to deliver for or to give back.
        return Ok(None);
    }
    if may_be_taken_back(attempt) && seen.returned {
        return Ok(closed(loaded, attempt, source, mint));
    }
    if may_be_taken_back(attempt) && source == Source::Notice {
        return Ok(Some(ask_now(loaded, attempt, mint)));
    }
    let paid_at = seen.paid_at.unwrap_or(mint.now());
    let (amount, trade_no, returned) = (seen.amount, seen.trade_no, seen.returned);
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| {
        let trade_no = trade_no.clone();
        attempt.state = AttemptState::Succeeded { amount, trade_no, paid_at };
    });
    forget_jobs(&mut changes, attempt);
    if source == Source::Poll {
        changes.tell(EventKind::PollComplete, mint);
    }
    let (attempt, payer) = (attempt.id, seen.payer);
    let payment = Payment { attempt, amount, trade_no, paid_at, payer, remark: None };
    let unwanted = settle(&mut changes, payment, policy, mint);
    if let Some(cause) = unwanted.filter(|_| !returned) {
        give_back(&mut changes, attempt, cause, mint);
    }
    Ok(Some(changes))
}

/// Closing an order of a code that the merchant scanned gives back what was paid meanwhile, and
/// the notice of that payment may come after it. Only the provider's answer now tells.
fn may_be_taken_back(attempt: &Attempt) -> bool {
    let ended = matches!(attempt.state, AttemptState::Closing | AttemptState::Closed { .. });
    ended && attempt.channel.is_scanned_by_merchant()
}

fn ask_now(loaded: &Loaded, attempt: &Attempt, mint: &mut Mint) -> Changes {
    let mut changes = Changes::of(loaded.clone());
    let kind = match attempt.state {
        AttemptState::Closing => JobKind::CloseAttempt(attempt.id, attempt.charge),
        _ => JobKind::PollAttempt(attempt.id, attempt.charge),
    };
    hasten(&mut changes, kind, mint);
    changes
}

fn hasten(changes: &mut Changes, kind: JobKind, mint: &mut Mint) {
    let run_at = mint.now();
    changes.jobs.push(JobChange::Hasten(NewJob { id: mint.id(), kind, run_at }));
}

/// An attempt that was closing has a job that closes it; any other can only have one that looks.
fn forget_jobs(changes: &mut Changes, before: &Attempt) {
    let charge = changes.charge.id;
    changes.forget(match before.state {
        AttemptState::Closing => JobKind::CloseAttempt(before.id, charge),
        _ => JobKind::PollAttempt(before.id, charge),
    });
}

/// The charge's side of a payment: it counts, or there is a cause to give it back.
fn settle(
    changes: &mut Changes,
    payment: Payment,
    policy: &Policy,
    mint: &mut Mint,
) -> Option<RefundCause> {
    let right_amount = changes.charge.amount.fen() == payment.amount;
    match &mut changes.charge.state {
        ChargeState::Succeeded(first) => {
            let message = format!("paid a second time, as trade {}", payment.trade_no);
            first.remark = Some(remark(Code::PaidTwice, message));
            changes.tell(EventKind::ChargePaidTwice, mint);
            (!is_planted(Bug::PaidTwiceKept)).then_some(RefundCause::PaidTwice)
        }
        ChargeState::Pending { .. } if right_amount => succeed(changes, payment, mint),
        ChargeState::Pending { .. } => wrongly(changes, payment, policy, mint),
        ChargeState::Closed { at, .. } | ChargeState::Failed { at, .. } => {
            if is_planted(Bug::LatePaymentDropped) {
                return None;
            }
            let message = format!("paid at {} after the charge had ended at {at}", payment.paid_at);
            changes.tell(EventKind::ChargePaidLate, mint);
            if policy.late == Unexpected::Refund {
                Some(RefundCause::PaidLate)
            } else if right_amount {
                let remark = Some(remark(Code::PaidLate, message));
                succeed(changes, Payment { remark, ..payment }, mint)
            } else {
                wrongly(changes, payment, policy, mint)
            }
        }
    }
}

/// A payment that counts: the charge is paid and every other order of it is closed.
fn succeed(changes: &mut Changes, payment: Payment, mint: &mut Mint) -> Option<RefundCause> {
    let attempt = payment.attempt;
    changes.charge.state = ChargeState::Succeeded(payment);
    forget_the_end(changes);
    changes.tell(EventKind::ChargeSucceeded, mint);
    if !is_planted(Bug::SiblingsNotClosed) {
        close_open_attempts(changes, Some(attempt), mint.now(), mint);
    }
    None
}

/// A payment of another amount, told by the provider itself when it was asked.
fn wrongly(
    changes: &mut Changes,
    payment: Payment,
    policy: &Policy,
    mint: &mut Mint,
) -> Option<RefundCause> {
    let (asked, came) = (changes.charge.amount.fen(), payment.amount);
    let message = format!("the charge is {asked:?}, paid were {came:?}");
    let remark = remark(Code::PaidWrongAmount, message);
    changes.tell(EventKind::ChargePaidWrongAmount, mint);
    if policy.wrong_amount == Unexpected::Keep {
        return succeed(changes, Payment { remark: Some(remark), ..payment }, mint);
    }
    finish_idle(changes, Some(remark), mint);
    Some(RefundCause::PaidWrongAmount)
}

fn remark(code: Code, message: String) -> Failure {
    Failure { code, message, provider_code: None }
}

/// Another amount in a notice contradicts the order; the answer to a question of ours is a fact.
fn check_payment(
    loaded: &Loaded,
    attempt: &Attempt,
    seen: &Seen,
    source: Source,
) -> Result<(), Mismatch> {
    let wrong = |code, reason| Err(Mismatch { code, reason });
    let amount = loaded.charge.amount.fen();
    if seen.currency != "CNY" {
        let reason = format!("the order is in CNY, the provider says {}", seen.currency);
        return wrong(Code::CurrencyMismatch, reason);
    }
    let believable = source != Source::Notice && seen.amount > Fen::ZERO;
    if seen.amount != amount && !believable && !is_planted(Bug::AmountUnchecked) {
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

fn closed(loaded: &Loaded, attempt: &Attempt, source: Source, mint: &mut Mint) -> Option<Changes> {
    let mut changes = ended(loaded, attempt, source, mint)?;
    // Who placed it was never heard of again, and may be about to place it still.
    if source == Source::Close && attempt.action.is_none() {
        look_once_more(&mut changes, attempt, mint);
    }
    Some(changes)
}

fn ended(loaded: &Loaded, attempt: &Attempt, source: Source, mint: &mut Mint) -> Option<Changes> {
    if !attempt.state.can_be_paid() {
        return None;
    }
    let at = mint.now();
    let mut changes = Changes::of(loaded.clone());
    changes.change(attempt.id, |attempt| attempt.state = AttemptState::Closed { at });
    forget_jobs(&mut changes, attempt);
    if source == Source::Poll && attempt.state.is_open() {
        // The provider was quicker to close it, and no other look will say that looking has ended.
        changes.tell(EventKind::PollFailed, mint);
        changes.tell(EventKind::PollFinished, mint);
    }
    finish_if_idle(&mut changes, mint);
    Some(changes)
}

/// The provider knows no such order. Before the payer has come that is Alipay's ordinary answer,
/// and after an order call without an answer it proves nothing. Only an answer to a close ends the
/// attempt; the payer may hold the code still.
fn absent(loaded: &Loaded, attempt: &Attempt, source: Source, mint: &mut Mint) -> Option<Changes> {
    if source != Source::Close {
        return None;
    }
    let mut changes = ended(loaded, attempt, source, mint)?;
    look_once_more(&mut changes, attempt, mint);
    Some(changes)
}

/// One more look when the time of an order is over, after a close that proves little.
fn look_once_more(changes: &mut Changes, attempt: &Attempt, mint: &mut Mint) {
    let last_look = changes.charge.expires_at + Span::from_seconds(60);
    let job = JobKind::PollAttempt(attempt.id, changes.charge.id);
    changes.forget(job);
    changes.promise(job, last_look.max(mint.now()), mint);
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
