//! A charge: what a merchant wants to be paid, once.

use crate::{Attempt, AttemptState, Changes, EventKind, JobKind, Payer, Refund, Scope};
use tongbao_types::{
    Amount, AttemptId, ChargeId, Code, Fen, Mint, OrderNo, Profile, Secret, Timestamp, TradeNo,
};

/// A charge as it is kept.
#[derive(Debug, Clone)]
pub struct Charge {
    /// Its id.
    pub id: ChargeId,
    /// Whose it is.
    pub scope: Scope,
    /// The merchant's own number, unique in the scope.
    pub order_no: OrderNo,
    /// What is to be paid; always CNY.
    pub amount: Amount,
    /// What was given back so far.
    pub amount_refunded: Fen,
    /// What the payer reads.
    pub subject: String,
    /// A longer description.
    pub body: Option<String>,
    /// Handed back by the provider as it is.
    pub attach: Option<String>,
    /// Where the payer's browser goes after paying.
    pub return_url: Option<String>,
    /// The payer's address, as far as the merchant knows it.
    pub client_ip: Option<String>,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
    /// The older service through whose routes it was made, if it was.
    pub profile: Option<Profile>,
    /// Lets a browser watch this one charge.
    pub client_secret: Secret<String>,
    /// Where it stands.
    pub state: ChargeState,
    /// Whether more channels may be chosen: a refused or closed order does not end it then.
    pub open_choice: bool,
    /// Nobody can pay after this moment.
    pub expires_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many refunds it has.
    pub refunds: i64,
    /// How often it was written; guards against deciding on old rows.
    pub version: i64,
    /// The number of its last event.
    pub events: i64,
}

/// Where a charge stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeState {
    /// Not paid, and can be.
    Pending {
        /// Set once somebody or something decided to close it; the provider comes first.
        closing: Option<CloseReason>,
    },
    /// Paid.
    Succeeded(Payment),
    /// Nobody paid, and nobody can any more.
    Closed {
        /// When it was closed here.
        at: Timestamp,
        /// Why.
        reason: CloseReason,
    },
    /// The provider refused for good.
    Failed {
        /// When.
        at: Timestamp,
        /// What the provider said.
        failure: Failure,
    },
}

/// The payment that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The attempt that was paid.
    pub attempt: AttemptId,
    /// How much was paid; another amount than the charge's only where the app keeps such payments.
    pub amount: Fen,
    /// The provider's number of the trade.
    pub trade_no: TradeNo,
    /// When, by the provider's clock if it said so.
    pub paid_at: Timestamp,
    /// Who paid, as far as it was told.
    pub payer: Option<Payer>,
    /// Paid twice, late or wrongly: what the merchant should know beside the payment.
    pub remark: Option<Failure>,
}

/// Why a charge is or will be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The merchant asked for it.
    Requested,
    /// Its time was over, or polling ended.
    Expired,
    /// The provider closed the order by itself.
    Provider,
}

/// What went wrong, in a form to branch on and in words; with the provider's own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Our code.
    pub code: Code,
    /// What happened, for a person.
    pub message: String,
    /// The provider's own code.
    pub provider_code: Option<String>,
}

/// A charge with all that is needed to decide about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The charge.
    pub charge: Charge,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its refunds, oldest first.
    pub refunds: Vec<Refund>,
    /// Notices about it that were not believed; filled only where a person will read them.
    pub refused: Vec<RefusedNotice>,
}

/// A notice about this charge that was not believed. It changed nothing; this tells the merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedNotice {
    /// About which charge.
    pub charge: ChargeId,
    /// What was wrong; one entry for each code.
    pub code: Code,
    /// The last one's reason, for a person.
    pub reason: String,
    /// How many there were.
    pub count: i64,
    /// When the last one came.
    pub last_at: Timestamp,
}

/// What was asked needs a pending charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charge is no longer pending")]
pub struct NotPending;

/// What a merchant asks for, checked.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Whose it will be.
    pub scope: Scope,
    /// The merchant's number; without one the id's characters are used.
    pub order_no: Option<OrderNo>,
    /// What is to be paid.
    pub amount: Amount,
    /// What the payer reads.
    pub subject: String,
    /// A longer description.
    pub body: Option<String>,
    /// Handed back by the provider as it is.
    pub attach: Option<String>,
    /// Where the payer's browser goes after paying.
    pub return_url: Option<String>,
    /// The payer's address.
    pub client_ip: Option<String>,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
    /// The older service through whose routes it is made, if it is.
    pub profile: Option<Profile>,
    /// Random text; the charge's id is put before it.
    pub secret: Secret<String>,
    /// Nobody can pay after this moment.
    pub expires_at: Timestamp,
}

impl ChargeState {
    /// Not paid, and can be.
    pub fn is_pending(&self) -> bool {
        matches!(self, ChargeState::Pending { .. })
    }

    /// `status` of the public object.
    pub fn status(&self) -> &'static str {
        match self {
            ChargeState::Pending { .. } => "pending",
            ChargeState::Succeeded(_) => "succeeded",
            ChargeState::Closed { .. } => "closed",
            ChargeState::Failed { .. } => "failed",
        }
    }
}

impl CloseReason {
    /// Its name in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseReason::Requested => "requested",
            CloseReason::Expired => "expired",
            CloseReason::Provider => "provider",
        }
    }

    /// Reads a name back.
    pub fn read(word: &str) -> Option<CloseReason> {
        let all = [CloseReason::Requested, CloseReason::Expired, CloseReason::Provider];
        all.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl Loaded {
    /// The attempt with this id.
    pub fn attempt(&self, id: AttemptId) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }
}

impl PartialEq for Charge {
    /// Compares all but the secret, which equals only itself by being of the same charge.
    fn eq(&self, other: &Charge) -> bool {
        self.id == other.id
            && self.scope == other.scope
            && self.order_no == other.order_no
            && self.amount == other.amount
            && self.amount_refunded == other.amount_refunded
            && self.subject == other.subject
            && self.body == other.body
            && self.attach == other.attach
            && self.return_url == other.return_url
            && self.client_ip == other.client_ip
            && self.metadata == other.metadata
            && self.profile == other.profile
            && self.state == other.state
            && self.open_choice == other.open_choice
            && self.expires_at == other.expires_at
            && self.refunds == other.refunds
            && self.created_at == other.created_at
            && self.version == other.version
            && self.events == other.events
    }
}

impl Eq for Charge {}

/// A new charge, without an attempt. Begin an attempt or [`await_choice`] next.
pub fn open(draft: Draft, mint: &mut Mint) -> Changes {
    let id: ChargeId = mint.id();
    let from_id = || OrderNo::new(id.bare()).expect("26 letters and digits are an order number");
    let secret = format!("{id}_secret_{}", draft.secret.expose());
    let charge = Charge {
        id,
        order_no: draft.order_no.unwrap_or_else(from_id),
        scope: draft.scope,
        amount: draft.amount,
        amount_refunded: Fen::ZERO,
        subject: draft.subject,
        body: draft.body,
        attach: draft.attach,
        return_url: draft.return_url,
        client_ip: draft.client_ip,
        metadata: draft.metadata,
        profile: draft.profile,
        client_secret: Secret::new(secret),
        state: ChargeState::Pending { closing: None },
        open_choice: false,
        expires_at: draft.expires_at,
        created_at: mint.now(),
        refunds: 0,
        version: 1,
        events: 0,
    };
    let mut changes = Changes::insert(charge);
    changes.tell(EventKind::ChargeCreated, mint);
    changes
}

/// A charge whose channel may still be chosen, or chosen once more, ends at its own time, whatever
/// becomes of its orders.
pub fn await_choice(changes: &mut Changes, mint: &mut Mint) {
    changes.charge.open_choice = true;
    let (id, expires_at) = (changes.charge.id, changes.charge.expires_at);
    changes.promise(JobKind::ExpireCharge(id), expires_at, mint);
}

/// Somebody or something wants the charge closed: each open order must be closed at its provider
/// first, so this only writes the intent and the promises. Whoever closes at once promises the
/// jobs for a later moment, when they will find it done.
pub fn begin_close(
    loaded: Loaded,
    reason: CloseReason,
    jobs_at: Timestamp,
    mint: &mut Mint,
) -> Result<Changes, NotPending> {
    if !loaded.charge.state.is_pending() {
        return Err(NotPending);
    }
    let mut changes = Changes::of(loaded);
    if let ChargeState::Pending { closing } = &mut changes.charge.state {
        closing.get_or_insert(reason);
    }
    close_open_attempts(&mut changes, None, jobs_at, mint);
    finish_if_idle(&mut changes, mint);
    Ok(changes)
}

/// The time of one order is over, though perhaps not that of its charge: as [`begin_close`], for
/// that order alone where the payer may still choose another channel.
pub fn give_up(
    loaded: Loaded,
    attempt: AttemptId,
    jobs_at: Timestamp,
    mint: &mut Mint,
) -> Result<Changes, NotPending> {
    if !loaded.charge.open_choice || mint.now() >= loaded.charge.expires_at {
        return begin_close(loaded, CloseReason::Expired, jobs_at, mint);
    }
    if !loaded.attempt(attempt).is_some_and(|one| one.state.is_open()) {
        return Err(NotPending);
    }
    let mut changes = Changes::of(loaded);
    close_attempts(&mut changes, &[attempt], jobs_at, mint);
    Ok(changes)
}

/// Promises to close every open attempt but one.
pub(crate) fn close_open_attempts(
    changes: &mut Changes,
    but: Option<AttemptId>,
    jobs_at: Timestamp,
    mint: &mut Mint,
) {
    let is_open = |a: &&Attempt| a.state.is_open() && Some(a.id) != but;
    let open: Vec<AttemptId> = changes.attempts.iter().filter(is_open).map(|a| a.id).collect();
    close_attempts(changes, &open, jobs_at, mint);
}

fn close_attempts(
    changes: &mut Changes,
    attempts: &[AttemptId],
    jobs_at: Timestamp,
    mint: &mut Mint,
) {
    let charge = changes.charge.id;
    for &id in attempts {
        changes.change(id, |attempt| attempt.state = AttemptState::Closing);
        changes.forget(JobKind::PollAttempt(id, charge));
        changes.promise(JobKind::CloseAttempt(id, charge), jobs_at, mint);
    }
}

/// Ends a pending charge when no attempt of it can be paid any more: closed if that was wanted or
/// the last order was closed, failed if the last order was refused. While the payer may choose
/// another channel it goes on.
pub fn finish_if_idle(changes: &mut Changes, mint: &mut Mint) {
    let refused = changes.attempts.iter().rev().find_map(|a| a.failure().cloned());
    finish_idle(changes, refused, mint);
}

/// As [`finish_if_idle`], with what to say if nothing else had been wanted.
pub(crate) fn finish_idle(changes: &mut Changes, failure: Option<Failure>, mint: &mut Mint) {
    let ChargeState::Pending { closing } = changes.charge.state else { return };
    if changes.attempts.iter().any(|attempt| attempt.state.can_be_paid()) {
        return;
    }
    let at = mint.now();
    let is_over = at >= changes.charge.expires_at;
    let may_go_on = changes.charge.open_choice || changes.attempts.is_empty();
    if closing.is_none() && may_go_on && !is_over {
        return;
    }
    let (state, kind) = match (closing, failure) {
        (None, Some(failure)) => (ChargeState::Failed { at, failure }, EventKind::ChargeFailed),
        (reason, _) => {
            let expired = if changes.charge.open_choice {
                CloseReason::Expired
            } else {
                CloseReason::Provider
            };
            let reason = reason.unwrap_or(expired);
            (ChargeState::Closed { at, reason }, EventKind::ChargeClosed)
        }
    };
    changes.charge.state = state;
    forget_the_end(changes);
    changes.tell(kind, mint);
}

/// A charge that has ended has no end to be promised any more.
pub(crate) fn forget_the_end(changes: &mut Changes) {
    if changes.charge.open_choice {
        changes.forget(JobKind::ExpireCharge(changes.charge.id));
    }
}
