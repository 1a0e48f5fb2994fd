//! Refunds: create, read, list; and talking to a provider about one.
//!
//! The amount is reserved and the number at the provider fixed before the provider is called, in
//! one commit with the job that finds the truth if we die. What a provider does not say clearly is
//! asked about, never guessed, and never sent under another number.

use crate::accounts::Entry;
use crate::idempotency::failure;
use crate::orders::{Learnt, order_of};
use crate::replies::{Answering, Subject};
use crate::writes::{Beside, Observed};
use crate::{
    CommitError, Engine, Error, IdempotentRequest, ListView, Page, RefundFilter, RefundView,
    Render, Reply, views,
};
use tokio::sync::{Mutex, MutexGuard};
use tongbao_channels::{Doubt, RefundOrder, Refusal, Reply as Said};
use tongbao_core::rules::request_refund;
use tongbao_core::{
    Attempt, AttemptState, Changes, JobChange, JobKind, Loaded, Mismatch, NewJob, Refund,
    RefundDraft, RefundFact, RefundProblem, ReplyKind, Scope,
};
use tongbao_types::{ChargeId, Code, Mint, OutRefundNo, RefundId, RefundNo};

/// What a merchant asks for. The face has checked the form of each part.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Of which charge.
    pub charge: ChargeId,
    /// How much of which payment, and under which number.
    pub draft: RefundDraft,
}

/// Whoever refunds decides alone in this process, as far as charges share a place here: many
/// refunds of one charge at once each get an answer instead of coming second for ever. It is only
/// a courtesy; what makes decisions safe is the version of the charge.
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Turns {
        Turns(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    async fn of(&self, charge: ChargeId) -> MutexGuard<'_, ()> {
        let place = usize::from(charge.uuid().as_bytes()[15]) % self.0.len();
        self.0[place].lock().await
    }
}

/// Other processes may be quicker, but not so often.
const DECISIONS_MAX: usize = 256;

impl Engine {
    /// Gives money of a payment back. The intent is durable before the provider is called and the
    /// outcome before the reply; a refund of unknown outcome is pending, and asked about.
    pub async fn create_refund(
        &self,
        scope: &Scope,
        new: NewRefund,
        idempotent: Option<IdempotentRequest>,
        render: Render,
    ) -> Reply {
        let request = idempotent.as_ref();
        if let Some(reply) = self.earlier(scope, request, render).await {
            return reply;
        }
        let (loaded, id) = match self.reserve(scope, new, request).await {
            Ok(reserved) => reserved,
            Err(error) => return self.not_begun(error, scope, request, render).await,
        };
        let key = request.map(|request| (scope, request.key.as_str()));
        let answering = Answering { render, subject: Subject::Refund(id), key };
        self.send_reserved(loaded, id, answering).await
    }

    /// The same for the engine's own use cases: the state after the call, whatever came of it.
    pub(crate) async fn refund_now(&self, scope: &Scope, new: NewRefund) -> Result<Loaded, Error> {
        let charge = new.charge;
        let (loaded, id) = self.reserve(scope, new, None).await?;
        let render: Render = |_| (0, String::new());
        let answering = Answering { render, subject: Subject::Refund(id), key: None };
        self.send_reserved(loaded, id, answering).await;
        self.load(charge).await.map_err(|error| error.after_a_call(charge))
    }

    /// Writes the refund: from here on its amount cannot be refunded once more.
    async fn reserve(
        &self,
        scope: &Scope,
        new: NewRefund,
        idempotent: Option<&IdempotentRequest>,
    ) -> Result<(Loaded, RefundId), Error> {
        let NewRefund { charge, draft } = new;
        let _turn = self.turns().of(charge).await;
        for _ in 0..DECISIONS_MAX {
            let loaded = self.own_charge(scope, charge).await;
            let loaded = loaded.map_err(|error| not_refundable(error, charge))?;
            let mut mint = self.mint();
            let (changes, id) = self.plan_refund(loaded, draft.clone(), &mut mint)?;
            let begin = idempotent.map(|request| {
                let mut row = self.idempotency_row(scope, request);
                row.refund = Some(id);
                row
            });
            let beside = Beside { begin, ..Beside::default() };
            match self.write(changes, &beside, &mut mint).await {
                Ok(loaded) => return Ok((loaded, id)),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Stale.into())
    }

    fn plan_refund(
        &self,
        loaded: Loaded,
        draft: RefundDraft,
        mint: &mut Mint,
    ) -> Result<(Changes, RefundId), Error> {
        let charge = loaded.charge.id;
        let number = |paid: &Attempt, refund_no: &RefundNo, id: RefundId| {
            let account = self.accounts().named(&paid.account);
            let taken = account.is_some_and(|a| a.adapter.takes_refund_number(refund_no.as_str()));
            let text = if taken { refund_no.as_str().to_owned() } else { id.bare() };
            OutRefundNo::new(text).expect("both are printable and short")
        };
        // The request's own call comes first; the job finds the truth if that never ends.
        let job_at = mint.now() + self.call_timeout().times(2);
        let requested = request_refund(loaded, draft, number, job_at, mint);
        let (changes, id) = requested.map_err(|problem| explain(problem, charge))?;
        let refund = changes.refunds.iter().find(|refund| refund.id == id);
        let account = self.account_named(&refund.expect("it was requested above").account)?;
        match account.adapter.refund_hindrance() {
            None => Ok((changes, id)),
            Some(why) => {
                let name = account.adapter.name();
                let text = format!("The account {name} cannot refund: {why}");
                let error = Error::new(Code::AccountMissing, text);
                Err(Error { charge: Some(charge), ..error })
            }
        }
    }

    async fn send_reserved(&self, loaded: Loaded, id: RefundId, answering: Answering<'_>) -> Reply {
        let charge = loaded.charge.id;
        let refund = loaded.refund(id).expect("it was reserved in this state").clone();
        let learnt = match self.account_named(&refund.account) {
            Ok(account) => self.send_refund(&account, &loaded, &refund).await,
            Err(error) => nothing(error.to_string()),
        };
        if let Some(reason) = learnt.why_nothing() {
            tracing::warn!(refund.id = %id, reason, "the refund's outcome is unknown");
        }
        let look = vec![self.look_soon(&refund)];
        let Learnt::Fact(fact) = learnt else {
            return self.answer_as_it_stands(charge, answering, look).await;
        };
        let jobs = if is_on_its_way(&fact) { look.clone() } else { Vec::new() };
        let beside = Beside { keep: Some(answering), jobs, ..Beside::default() };
        match self.conclude_refund(loaded, id, &fact, &beside).await {
            Ok(Some(loaded)) => answering.reply(&loaded, self.public_url()),
            Ok(None) => self.answer_as_it_stands(charge, answering, look).await,
            Err(error) => {
                let error = Error { refund: Some(id), ..error.after_a_call(charge) };
                failure(answering.render, &error)
            }
        }
    }

    /// The promised look at a refund need not wait any longer than for the first time.
    pub(crate) fn look_soon(&self, refund: &Refund) -> JobChange {
        let mut mint = self.mint();
        let kind = JobKind::PerformRefund(refund.id, refund.charge);
        let run_at = mint.now() + refund.wait(0);
        JobChange::Hasten(NewJob { id: mint.id(), kind, run_at })
    }

    /// Decides on what was said about a refund. `None`: it contradicts what was asked, is not
    /// believed, and nothing else was written, nor anything beside it.
    pub(crate) async fn conclude_refund(
        &self,
        loaded: Loaded,
        refund: RefundId,
        fact: &RefundFact,
        beside: &Beside<'_>,
    ) -> Result<Option<Loaded>, Error> {
        let charge = loaded.charge.id;
        let _turn = self.turns().of(charge).await;
        match self.observe_refund(loaded, refund, fact, beside).await? {
            Observed::Now(now) => Ok(Some(*now)),
            Observed::Mismatch(Mismatch { code, reason }) => {
                self.record_refusal(charge, (code, reason), None).await?;
                Ok(None)
            }
        }
    }

    /// Sends a refund; sent again, it moves no money a second time.
    pub(crate) async fn send_refund(
        &self,
        account: &Entry,
        loaded: &Loaded,
        refund: &Refund,
    ) -> Learnt<RefundFact> {
        let Some(order) = refund_order(loaded, refund) else { return no_payment() };
        let exchange = account.adapter.refund(&order, &self.stamp());
        match self.ask(account, refund.charge, ReplyKind::Refund, &exchange).await {
            Said::Done(fact) => Learnt::Fact(fact),
            Said::Refused(Refusal { code, message }) => {
                Learnt::Fact(RefundFact::Refused { code, message })
            }
            Said::Confirm => self.query_refund(account, loaded, refund).await,
            Said::AskNow(Refusal { code, message }) => {
                // What the provider refuses because of how things stand, and does not have, it
                // will not do.
                match self.query_refund(account, loaded, refund).await {
                    Learnt::Fact(RefundFact::Absent) => {
                        Learnt::Fact(RefundFact::Refused { code, message })
                    }
                    known => known,
                }
            }
            Said::Unknown(doubt) => Learnt::Nothing(doubt),
        }
    }

    /// Asks how a refund stands.
    pub(crate) async fn query_refund(
        &self,
        account: &Entry,
        loaded: &Loaded,
        refund: &Refund,
    ) -> Learnt<RefundFact> {
        let Some(order) = refund_order(loaded, refund) else { return no_payment() };
        let exchange = account.adapter.query_refund(&order, &self.stamp());
        self.ask(account, refund.charge, ReplyKind::RefundQuery, &exchange).await.into()
    }

    /// Reads a refund.
    pub async fn refund(&self, scope: &Scope, id: RefundId) -> Result<RefundView, Error> {
        let found = self.store().refund(id).await?.filter(|refund| refund.scope == *scope);
        found.as_ref().map(views::refund).ok_or_else(|| Error::not_found("refund"))
    }

    /// Lists refunds, newest first.
    pub async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<ListView<RefundView>, Error> {
        let found = self.store().refunds(scope, filter, page.one_more()).await?;
        Ok(page.list(found, |refund| views::refund(&refund)))
    }
}

fn is_on_its_way(fact: &RefundFact) -> bool {
    matches!(fact, RefundFact::Processing { .. } | RefundFact::Absent)
}

pub(crate) fn refund_order<'a>(loaded: &'a Loaded, refund: &'a Refund) -> Option<RefundOrder<'a>> {
    let attempt = loaded.attempt(refund.attempt)?;
    let AttemptState::Succeeded { amount, .. } = &attempt.state else { return None };
    Some(RefundOrder {
        order: order_of(attempt),
        paid: *amount,
        out_refund_no: &refund.out_refund_no,
        amount: refund.amount,
        reason: refund.reason.as_deref(),
    })
}

fn no_payment() -> Learnt<RefundFact> {
    nothing("the payment of this refund is not recorded".to_owned())
}

fn nothing(reason: String) -> Learnt<RefundFact> {
    Learnt::Nothing(Doubt { reason, keys_may_help: false })
}

fn not_refundable(error: Error, charge: ChargeId) -> Error {
    match error.code {
        Code::NotFound => error.param("charge"),
        _ => Error { charge: Some(charge), ..error },
    }
}

/// A refund that cannot be made, for the one who asked.
fn explain(problem: RefundProblem, charge: ChargeId) -> Error {
    let (code, param) = match problem {
        RefundProblem::NothingToRefund => (Code::NothingToRefund, "charge"),
        RefundProblem::TooLarge { .. } => (Code::RefundTooLarge, "amount"),
        RefundProblem::TooMany => (Code::RefundTooMany, "charge"),
        RefundProblem::TooLate => (Code::RefundTooLate, "charge"),
    };
    let phrase = problem.to_string();
    let (first, rest) = phrase.split_at(1);
    let text = format!("{}{rest}.", first.to_uppercase());
    let error = Error::new(code, text).param(param);
    Error { charge: Some(charge), ..error }
}
