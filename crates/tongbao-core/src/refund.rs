//! A refund: money of one payment on its way back to the payer; and [`observe_refund`], the one
//! function that draws conclusions from what a provider says about it.
//!
//! A refund reserves its amount from the moment it is written, before the provider is called, under
//! the version of the charge; only a final answer releases it. Its number at the provider is fixed
//! then too and kept for every repetition, since a new number would be a second refund.

use crate::{
    Attempt, AttemptState, Changes, ChargeState, EventKind, Failure, JobKind, Loaded, Mismatch,
    RefundFact, Scope,
};
use tongbao_types::{
    AccountName, Amount, AttemptId, Bug, ChargeId, Code, Fen, Mint, OutRefundNo, RefundId,
    RefundNo, Span, Timestamp, is_planted,
};

/// A refund as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Whose it is.
    pub scope: Scope,
    /// Of which charge.
    pub charge: ChargeId,
    /// The attempt whose payment it gives back.
    pub attempt: AttemptId,
    /// The account that was paid and pays back.
    pub account: AccountName,
    /// The merchant's own number, unique in the scope.
    pub refund_no: RefundNo,
    /// Its number at the provider, unique at the account.
    pub out_refund_no: OutRefundNo,
    /// How much.
    pub amount: Amount,
    /// For the payer to read.
    pub reason: Option<String>,
    /// Why it was made.
    pub cause: RefundCause,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
    /// Where it stands.
    pub state: RefundState,
    /// The provider's number of it, once told.
    pub provider_no: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a refund was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundCause {
    /// The merchant asked for it.
    Requested,
    /// The charge was paid already.
    PaidTwice,
    /// The charge had ended, and the app wants late payments back.
    PaidLate,
    /// The payer paid another amount, and the app wants such payments back.
    PaidWrongAmount,
}

/// Where a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    /// On its way, or its outcome is not known.
    Pending {
        /// Why it takes longer, if the provider said so.
        trouble: Option<Failure>,
    },
    /// The money is back.
    Succeeded {
        /// When, by the provider's clock if it said so.
        at: Timestamp,
    },
    /// The provider refused it for good; no money moved.
    Failed {
        /// When.
        at: Timestamp,
        /// What the provider said.
        failure: Failure,
    },
    /// The provider closed it; no money moved.
    Closed {
        /// When that became known.
        at: Timestamp,
    },
}

/// What a merchant asks for, checked in its form.
#[derive(Debug, Clone, Default)]
pub struct RefundDraft {
    /// The merchant's number; without one the id's characters are used.
    pub refund_no: Option<RefundNo>,
    /// How much; without it all that is left.
    pub amount: Option<Amount>,
    /// Which payment, where the charge was paid more than once.
    pub attempt: Option<AttemptId>,
    /// For the payer to read.
    pub reason: Option<String>,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
}

/// Why a refund cannot be made. Nothing was written and nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefundProblem {
    /// Nobody has paid, or not through that attempt.
    #[error("there is no payment to refund")]
    NothingToRefund,
    /// More than what is left of the payment.
    #[error("only {} fen of the payment are left to refund", .left.0)]
    TooLarge {
        /// Paid and neither given back nor on its way.
        left: Fen,
    },
    /// As many as the providers allow for one payment.
    #[error("a payment can have at most {REFUNDS_MAX} refunds")]
    TooMany,
    /// The payment is older than the providers refund.
    #[error("the payment is older than a year")]
    TooLate,
}

/// The providers allow so many refunds of one payment.
pub const REFUNDS_MAX: usize = 50;
/// The providers refund a payment for a year.
const REFUNDABLE_FOR: Span = Span::from_seconds(365 * 86_400);
/// The wait before the first look at a refund that the provider works on, and the longest one.
const FIRST_LOOK: Span = Span::from_seconds(5);
const LONGEST_WAIT: Span = Span::from_seconds(3600);
/// Nobody but a person at the provider can move an abnormal refund, so looks are seldom.
const ABNORMAL_WAIT: Span = Span::from_seconds(6 * 3600);

impl RefundCause {
    /// Every cause.
    pub const ALL: [RefundCause; 4] = [
        RefundCause::Requested,
        RefundCause::PaidTwice,
        RefundCause::PaidLate,
        RefundCause::PaidWrongAmount,
    ];

    /// Its name in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            RefundCause::Requested => "requested",
            RefundCause::PaidTwice => "paid_twice",
            RefundCause::PaidLate => "paid_late",
            RefundCause::PaidWrongAmount => "paid_wrong_amount",
        }
    }

    /// Reads a name back.
    pub fn read(word: &str) -> Option<RefundCause> {
        RefundCause::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

impl RefundState {
    /// `status` of the public object, and the word in the database.
    pub fn status(&self) -> &'static str {
        match self {
            RefundState::Pending { .. } => "pending",
            RefundState::Succeeded { .. } => "succeeded",
            RefundState::Failed { .. } => "failed",
            RefundState::Closed { .. } => "closed",
        }
    }

    /// Its amount cannot be refunded once more: it has gone back or may go back.
    pub fn reserves(&self) -> bool {
        matches!(self, RefundState::Pending { .. } | RefundState::Succeeded { .. })
    }

    /// On its way, or its outcome is not known.
    pub fn is_pending(&self) -> bool {
        matches!(self, RefundState::Pending { .. })
    }
}

impl Refund {
    /// What the provider said against it, if anything.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            RefundState::Pending { trouble } => trouble.as_ref(),
            RefundState::Failed { failure, .. } => Some(failure),
            RefundState::Succeeded { .. } | RefundState::Closed { .. } => None,
        }
    }

    /// The wait before look number `runs + 1` at it.
    pub fn wait(&self, runs: u32) -> Span {
        match &self.state {
            RefundState::Pending { trouble: Some(Failure { code: Code::RefundAbnormal, .. }) } => {
                ABNORMAL_WAIT
            }
            _ => FIRST_LOOK.times(1_i64 << runs.min(20)).min(LONGEST_WAIT),
        }
    }
}

impl Loaded {
    /// The refund with this id.
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// What of a payment has neither gone back nor is on its way back.
    pub fn left(&self, attempt: &Attempt) -> Fen {
        left(attempt, &self.refunds)
    }

    /// The payment that a refund is about, if none is named: the one that counts, else the only
    /// other one.
    fn payment_to_refund(&self, named: Option<AttemptId>) -> Option<&Attempt> {
        let paid = |a: &&Attempt| matches!(a.state, AttemptState::Succeeded { .. });
        let counts = match &self.charge.state {
            ChargeState::Succeeded(payment) => Some(payment.attempt),
            _ => None,
        };
        match named.or(counts) {
            Some(id) => self.attempts.iter().filter(paid).find(|attempt| attempt.id == id),
            None => self.attempts.iter().find(paid),
        }
    }
}

fn left(attempt: &Attempt, refunds: &[Refund]) -> Fen {
    let AttemptState::Succeeded { amount, .. } = attempt.state else { return Fen::ZERO };
    let reserves = |refund: &Refund| match is_planted(Bug::RefundNotReserved) {
        true => matches!(refund.state, RefundState::Succeeded { .. }),
        false => refund.state.reserves(),
    };
    let of_it = |refund: &&Refund| refund.attempt == attempt.id && reserves(refund);
    let reserved: i64 = refunds.iter().filter(of_it).map(|refund| refund.amount.fen().0).sum();
    Fen((amount.0 - reserved).max(0))
}

/// Writes a merchant's refund: its amount is reserved, and a job promises its outcome at `job_at`.
/// `number` decides the number at the provider: the refund_no itself, where the provider of the
/// payment takes it.
pub fn request_refund(
    loaded: Loaded,
    draft: RefundDraft,
    number: impl FnOnce(&Attempt, &RefundNo, RefundId) -> OutRefundNo,
    job_at: Timestamp,
    mint: &mut Mint,
) -> Result<(Changes, RefundId), RefundProblem> {
    let attempt = loaded.payment_to_refund(draft.attempt).ok_or(RefundProblem::NothingToRefund)?;
    let amount = check_request(&loaded, attempt, draft.amount, mint.now())?;
    let id: RefundId = mint.id();
    let refund_no = draft.refund_no.unwrap_or_else(|| own_number(id));
    let out_refund_no = number(attempt, &refund_no, id);
    let (attempt, account) = (attempt.id, attempt.account.clone());
    let refund = Refund {
        id,
        scope: loaded.charge.scope.clone(),
        charge: loaded.charge.id,
        attempt,
        account,
        out_refund_no,
        refund_no,
        amount,
        reason: draft.reason,
        cause: RefundCause::Requested,
        metadata: draft.metadata,
        state: RefundState::Pending { trouble: None },
        provider_no: None,
        created_at: mint.now(),
    };
    let mut changes = Changes::of(loaded);
    add(&mut changes, refund, job_at, mint);
    Ok((changes, id))
}

fn check_request(
    loaded: &Loaded,
    attempt: &Attempt,
    wanted: Option<Amount>,
    now: Timestamp,
) -> Result<Amount, RefundProblem> {
    let AttemptState::Succeeded { paid_at, .. } = attempt.state else {
        return Err(RefundProblem::NothingToRefund);
    };
    let left = loaded.left(attempt);
    let amount = wanted.or_else(|| Amount::new(left).ok());
    let fits = |amount: &Amount| amount.fen() <= left || is_planted(Bug::RefundSumUnchecked);
    let amount = amount.filter(fits);
    let amount = amount.ok_or(RefundProblem::TooLarge { left })?;
    let counts = |refund: &&Refund| {
        refund.attempt == attempt.id && !matches!(refund.state, RefundState::Failed { .. })
    };
    if loaded.refunds.iter().filter(counts).count() >= REFUNDS_MAX {
        return Err(RefundProblem::TooMany);
    }
    if now > paid_at + REFUNDABLE_FOR {
        return Err(RefundProblem::TooLate);
    }
    Ok(amount)
}

fn own_number(id: RefundId) -> RefundNo {
    RefundNo::new(id.bare()).expect("26 letters and digits are a refund number")
}

/// Gives back, without anybody asking, what is left of a payment that is not wanted.
pub(crate) fn give_back(
    changes: &mut Changes,
    attempt: AttemptId,
    cause: RefundCause,
    mint: &mut Mint,
) {
    let paid = changes.attempts.iter().find(|one| one.id == attempt);
    let paid = paid.expect("a payment is given back in the decision that records it");
    let Ok(amount) = Amount::new(left(paid, &changes.refunds)) else { return };
    let id: RefundId = mint.id();
    let refund = Refund {
        id,
        scope: changes.charge.scope.clone(),
        charge: changes.charge.id,
        attempt,
        account: paid.account.clone(),
        refund_no: own_number(id),
        out_refund_no: OutRefundNo::new(id.bare()).expect("26 letters and digits are a number"),
        amount,
        reason: None,
        cause,
        metadata: Vec::new(),
        state: RefundState::Pending { trouble: None },
        provider_no: None,
        created_at: mint.now(),
    };
    let now = mint.now();
    add(changes, refund, now, mint);
}

fn add(changes: &mut Changes, refund: Refund, job_at: Timestamp, mint: &mut Mint) {
    let (id, charge) = (refund.id, changes.charge.id);
    changes.charge.refunds += 1;
    changes.refunds_new.push(id);
    changes.refunds.push(refund);
    changes.tell_refund(EventKind::RefundCreated, id, mint);
    changes.promise(JobKind::PerformRefund(id, charge), job_at, mint);
}

/// Concludes from what a provider said about a refund. `Ok(None)`: nothing new. An error: it
/// contradicts what was asked and is not believed.
pub fn observe_refund(
    loaded: &Loaded,
    id: RefundId,
    fact: RefundFact,
    mint: &mut Mint,
) -> Result<Option<Changes>, Mismatch> {
    let Some(refund) = loaded.refund(id) else { return Ok(None) };
    let number = match &fact {
        RefundFact::Processing { provider_no }
        | RefundFact::Succeeded { provider_no, .. }
        | RefundFact::Abnormal { provider_no } => provider_no.clone(),
        _ => None,
    };
    let state = match next_state(refund, fact, mint.now())? {
        Some(state) => state,
        None if number.is_some() && refund.provider_no != number => refund.state.clone(),
        None => return Ok(None),
    };
    let before = refund.state.clone();
    let mut changes = Changes::of(loaded.clone());
    changes.change_refund(id, |refund| {
        refund.state = state.clone();
        refund.provider_no = number.or(refund.provider_no.take());
    });
    if state != before {
        conclude(&mut changes, id, &state, mint);
    }
    Ok(Some(changes))
}

/// What a refund becomes; `None` if it stays as it is. That money has moved is believed at any
/// time; that it will not move only while nothing final is known.
fn next_state(
    refund: &Refund,
    fact: RefundFact,
    now: Timestamp,
) -> Result<Option<RefundState>, Mismatch> {
    let is_pending = refund.state.is_pending();
    let next = match fact {
        RefundFact::Succeeded { amount, at, .. } => {
            check_amount(refund, amount)?;
            let is_new = !matches!(refund.state, RefundState::Succeeded { .. });
            is_new.then_some(RefundState::Succeeded { at: at.unwrap_or(now) })
        }
        RefundFact::Processing { .. } | RefundFact::Absent => None,
        RefundFact::Abnormal { .. } => is_pending.then(|| {
            troubled(
                Code::RefundAbnormal,
                "the payer's account cannot take the money; settle it at the provider".to_owned(),
                None,
            )
        }),
        RefundFact::Closed => is_pending.then_some(RefundState::Closed { at: now }),
        RefundFact::NotNow { code, message } if refund.cause != RefundCause::Requested => {
            is_pending.then(|| troubled(Code::ProviderRefused, message, Some(code)))
        }
        RefundFact::Refused { code, message } | RefundFact::NotNow { code, message } => {
            let failure =
                Failure { code: Code::ProviderRefused, message, provider_code: Some(code) };
            is_pending.then_some(RefundState::Failed { at: now, failure })
        }
    };
    Ok(next.filter(|next| *next != refund.state))
}

fn troubled(code: Code, message: String, provider_code: Option<String>) -> RefundState {
    RefundState::Pending { trouble: Some(Failure { code, message, provider_code }) }
}

fn check_amount(refund: &Refund, told: Option<Fen>) -> Result<(), Mismatch> {
    let asked = refund.amount.fen();
    match told {
        Some(told) if told != asked => Err(Mismatch {
            code: Code::AmountMismatch,
            reason: format!("the refund is {asked:?}, the provider says {told:?}"),
        }),
        _ => Ok(()),
    }
}

fn conclude(changes: &mut Changes, id: RefundId, state: &RefundState, mint: &mut Mint) {
    let kind = match state {
        RefundState::Pending { .. } => EventKind::RefundAbnormal,
        RefundState::Succeeded { .. } => EventKind::RefundSucceeded,
        RefundState::Failed { .. } => EventKind::RefundFailed,
        RefundState::Closed { .. } => EventKind::RefundClosed,
    };
    count_refunded(changes);
    changes.tell_refund(kind, id, mint);
    if !state.is_pending() {
        changes.forget(JobKind::PerformRefund(id, changes.charge.id));
    }
}

/// `amount_refunded` is what went back of the payment that counts.
fn count_refunded(changes: &mut Changes) {
    let ChargeState::Succeeded(payment) = &changes.charge.state else { return };
    let gone = |refund: &&Refund| {
        refund.attempt == payment.attempt && matches!(refund.state, RefundState::Succeeded { .. })
    };
    let sum = changes.refunds.iter().filter(gone).map(|refund| refund.amount.fen().0).sum();
    changes.charge.amount_refunded = Fen(sum);
}
