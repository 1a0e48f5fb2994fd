//! Charges: create, read, list, close, ask now.

use crate::accounts::Entry;
use crate::attempts::{Learnt, Placement};
use crate::idempotency::{failure, keep_open, reply};
use crate::writes::{Beside, Keeping};
use crate::{
    CashierView, ChargeFilter, ChargeView, Commit, CommitError, Engine, Error, IdempotentRequest,
    ListView, Page, ProviderError, Render, Reply, views,
};
use std::sync::Arc;
use tongbao_channels::{OrderError, Placing};
use tongbao_core::rules::{await_choice, begin_attempt, begin_close, open};
use tongbao_core::{
    Attempt, AttemptState, Changes, ChargeState, CloseReason, Draft, Fact, Loaded, Payer, Scope,
    Source,
};
use tongbao_types::{
    AccountName, Amount, AttemptId, Channel, ChargeId, Code, Mint, OrderNo, OutTradeNo, Secret,
    Span, Timestamp,
};

/// What a merchant asks for. The face has checked the form of each part.
#[derive(Debug, Clone)]
pub struct NewCharge {
    /// The merchant's number.
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
    /// Who will pay.
    pub payer: Option<Payer>,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
    /// How the payer will pay, if that is known already.
    pub channel: Option<Channel>,
    /// With which account.
    pub account: Option<AccountName>,
    /// Until when.
    pub expires: Option<Expires>,
}

/// Until when a charge can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expires {
    /// Until this moment.
    At(Timestamp),
    /// For so long.
    In(Span),
}

/// A charge without a channel waits so long for one.
const CHOICE_TIME: Span = Span::from_seconds(2 * 3600);
/// No provider keeps an order open for longer than this in all its channels.
const EXPIRY_MAX: Span = Span::from_seconds(7 * 86_400);

/// An order about to be placed.
struct Planned {
    account: Arc<Entry>,
    attempt: AttemptId,
    placing: Placing,
}

impl Engine {
    /// Creates a charge and, with a channel, places its order. The intent is durable before the
    /// provider is called and the outcome before the reply; a crash in between leaves a job that
    /// asks the provider.
    pub async fn create_charge(
        &self,
        scope: &Scope,
        new: NewCharge,
        idempotent: Option<IdempotentRequest>,
        render: Render,
    ) -> Reply {
        if let Some(request) = &idempotent {
            match self.kept_reply(scope, request, render).await {
                Ok(None) => {}
                Ok(Some(reply)) => return reply,
                Err(error) => return failure(render, &error),
            }
        }
        let mut mint = self.mint();
        let (changes, planned) = match self.plan(scope, new, &mut mint) {
            Ok(planned) => planned,
            Err(error) => return failure(render, &error),
        };
        let begun = self.write_intent(changes, scope, idempotent.as_ref(), &mut mint).await;
        let loaded = match (begun, &idempotent) {
            (Ok(loaded), _) => loaded,
            (Err(error), Some(request)) => {
                return match self.kept_reply(scope, request, render).await {
                    Ok(Some(reply)) => reply,
                    Ok(None) => failure(render, &error.into()),
                    Err(error) => failure(render, &error),
                };
            }
            (Err(error), None) => return failure(render, &error.into()),
        };
        let keep =
            idempotent.as_ref().map(|IdempotentRequest { key, .. }| Keeping { scope, key, render });
        self.carry_out(loaded, planned, render, keep).await
    }

    /// Checks everything that can be checked without writing, and decides what to write.
    fn plan(
        &self,
        scope: &Scope,
        new: NewCharge,
        mint: &mut Mint,
    ) -> Result<(Changes, Option<Planned>), Error> {
        let account = new
            .channel
            .map(|channel| self.accounts().choose(scope, channel, new.account.as_ref()))
            .transpose()?;
        let payer = new.payer.clone();
        let channel = new.channel;
        let draft = self.draft(scope, new, mint.now())?;
        let mut changes = open(draft, mint);
        let (Some(account), Some(channel)) = (account, channel) else {
            await_choice(&mut changes, mint);
            return Ok((changes, None));
        };
        let number = number(&changes.charge.order_no, &account);
        let route = (channel, account.adapter.name().clone());
        let attempt = begin_attempt(&mut changes, route, number, self.polling(), mint);
        let loaded = changes.after();
        let row = loaded.attempt(attempt).expect("it was begun a line above");
        let placing = self.prepare(&account, &loaded, row, payer.as_ref()).map_err(bad_order)?;
        Ok((changes, Some(Planned { account, attempt, placing })))
    }

    fn draft(&self, scope: &Scope, new: NewCharge, now: Timestamp) -> Result<Draft, Error> {
        let patience = if new.channel.is_some() { self.polling().patience() } else { CHOICE_TIME };
        let (expires_at, param) = match new.expires {
            None => (now + patience, "expires_in"),
            Some(Expires::In(span)) => (now + span, "expires_in"),
            Some(Expires::At(moment)) => (moment, "expires_at"),
        };
        if expires_at <= now || expires_at > now + EXPIRY_MAX {
            let message = "A charge ends in the future, at most 7 days from now.";
            return Err(Error::new(Code::InvalidParameter, message).param(param));
        }
        Ok(Draft {
            scope: scope.clone(),
            order_no: new.order_no,
            amount: new.amount,
            subject: new.subject,
            body: new.body,
            attach: new.attach,
            return_url: new.return_url,
            client_ip: new.client_ip,
            metadata: new.metadata,
            secret: Secret::new(self.random_hex()),
            expires_at,
        })
    }

    async fn write_intent(
        &self,
        changes: Changes,
        scope: &Scope,
        idempotent: Option<&IdempotentRequest>,
        mint: &mut Mint,
    ) -> Result<Loaded, CommitError> {
        let charge = changes.charge.id;
        let begin = idempotent.map(|request| {
            let mut row = self.idempotency_row(scope, request);
            row.charge = Some(charge);
            row
        });
        self.write(changes, &Beside { begin, ..Beside::default() }, mint).await
    }

    /// Places the order of a charge that is written, and answers.
    async fn carry_out(
        &self,
        loaded: Loaded,
        planned: Option<Planned>,
        render: Render,
        keep: Option<Keeping<'_>>,
    ) -> Reply {
        let charge = loaded.charge.id;
        let Some(Planned { account, attempt, placing }) = planned else {
            return self.answer_as_it_stands(charge, render, keep).await;
        };
        let row = loaded.attempt(attempt).expect("it was written with the charge").clone();
        let learnt = self.place(&account, &row, placing, Placement::First).await;
        if let Some(reason) = learnt.why_nothing() {
            tracing::warn!(charge.id = %charge, reason, "the order's outcome is unknown");
        }
        let Learnt::Fact(fact) = learnt else {
            return self.answer_as_it_stands(charge, render, keep).await;
        };
        let observation = Self::observation(&row, Source::Reply, fact);
        let beside = Beside { keep, ..Beside::default() };
        match self.conclude(loaded, row.id, &observation, &beside).await {
            Ok(Some(loaded)) => charge_reply(&loaded, self.public_url(), render),
            Ok(None) => self.answer_as_it_stands(charge, render, keep).await,
            Err(error) => failure(render, &Error { charge: Some(charge), ..error }),
        }
    }

    /// Answers with the charge as it stands, when nothing was learnt.
    async fn answer_as_it_stands(
        &self,
        charge: ChargeId,
        render: Render,
        keep: Option<Keeping<'_>>,
    ) -> Reply {
        let loaded = match self.load(charge).await {
            Ok(loaded) => loaded,
            Err(error) => return failure(render, &Error { charge: Some(charge), ..error }),
        };
        let reply = charge_reply(&loaded, self.public_url(), render);
        if let Some(Keeping { scope, key, .. }) = keep {
            let step = keep_open(scope, key);
            let commit = Commit { idempotency: Some(step), ..Commit::default() };
            if let Err(error) = self.store().commit(commit).await {
                tracing::warn!(%error, "a reply could not be kept for its Idempotency-Key");
            }
        }
        reply
    }

    /// Reads a charge.
    pub async fn charge(&self, scope: &Scope, id: ChargeId) -> Result<ChargeView, Error> {
        Ok(views::charge(&self.own_charge(scope, id).await?, self.public_url()))
    }

    /// Reads a charge for a browser that shows the charge's own secret.
    pub async fn charge_for_client(&self, id: ChargeId, secret: &str) -> Result<ChargeView, Error> {
        let loaded = self.load(id).await?;
        let known = loaded.charge.client_secret.expose();
        if !tongbao_crypt::digest::same(known.as_bytes(), secret.as_bytes()) {
            return Err(Error::not_found("charge"));
        }
        Ok(views::charge(&loaded, self.public_url()))
    }

    /// What a payer may see of a charge.
    pub async fn cashier(&self, id: ChargeId) -> Result<CashierView, Error> {
        Ok(views::cashier(&self.load(id).await?, self.clock().now()))
    }

    /// Lists charges, newest first.
    pub async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<ListView<ChargeView>, Error> {
        let found = self.store().charges(scope, filter, page.one_more()).await?;
        Ok(page.list(found, |loaded| views::charge(&loaded, self.public_url())))
    }

    /// Closes a charge: at the provider first, then here. A charge that is closed already stays
    /// so; one that turns out to be paid is paid.
    pub async fn close_charge(&self, scope: &Scope, id: ChargeId) -> Result<ChargeView, Error> {
        self.own_charge(scope, id).await?;
        let later = self.call_timeout().times(2);
        let loaded = match self.begin_close(id, CloseReason::Requested, later).await? {
            Some(loaded) => loaded,
            None => {
                let loaded = self.load(id).await?;
                if matches!(loaded.charge.state, ChargeState::Closed { .. }) {
                    return Ok(views::charge(&loaded, self.public_url()));
                }
                return Err(not_pending(&loaded));
            }
        };
        let closing = |a: &&Attempt| a.state == AttemptState::Closing;
        let attempts: Vec<Attempt> = loaded.attempts.iter().filter(closing).cloned().collect();
        for attempt in attempts {
            self.close_now(id, &attempt).await?;
        }
        let loaded = self.load(id).await?;
        match loaded.charge.state {
            ChargeState::Succeeded(_) => Err(not_pending(&loaded)),
            _ => Ok(views::charge(&loaded, self.public_url())),
        }
    }

    /// Writes that a charge shall be closed, with jobs that see to it after `wait`; `None` if it
    /// is no longer pending.
    pub(crate) async fn begin_close(
        &self,
        id: ChargeId,
        reason: CloseReason,
        wait: Span,
    ) -> Result<Option<Loaded>, Error> {
        loop {
            let mut mint = self.mint();
            let loaded = self.load(id).await?;
            let jobs_at = mint.now() + wait;
            let Ok(changes) = begin_close(loaded, reason, jobs_at, &mut mint) else {
                return Ok(None);
            };
            match self.write(changes, &Beside::default(), &mut mint).await {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Closes one order whose closing is written already. Not learning anything is no error: the
    /// job goes on trying.
    async fn close_now(&self, charge: ChargeId, attempt: &Attempt) -> Result<(), Error> {
        let account = self.account_of(attempt)?;
        let learnt = self.close_order(&account, attempt).await;
        if let Some(reason) = learnt.why_nothing() {
            tracing::warn!(charge.id = %charge, reason, "the close's outcome is unknown");
        }
        let Learnt::Fact(fact) = learnt else { return Ok(()) };
        let observation = Self::observation(attempt, Source::Close, fact);
        let loaded = self.load(charge).await?;
        self.conclude(loaded, attempt.id, &observation, &Beside::default()).await?;
        Ok(())
    }

    /// Asks the provider now about every order of a charge that may have been paid.
    pub async fn sync_charge(&self, scope: &Scope, id: ChargeId) -> Result<ChargeView, Error> {
        let loaded = self.own_charge(scope, id).await?;
        let open = |a: &&Attempt| !matches!(a.state, AttemptState::Failed { .. });
        let attempts: Vec<Attempt> = loaded.attempts.iter().filter(open).cloned().collect();
        for attempt in attempts {
            let account = self.account_of(&attempt)?;
            let loaded = self.load(id).await?;
            let learnt = self.look(&account, &loaded, &attempt).await;
            let fact = learnt.into_fact(account.adapter.provider()).map_err(|mut error| {
                error.charge = Some(id);
                error
            })?;
            let observation = Self::observation(&attempt, Source::Sync, fact);
            self.conclude(loaded, attempt.id, &observation, &Beside::default()).await?;
        }
        Ok(views::charge(&self.load(id).await?, self.public_url()))
    }

    pub(crate) async fn own_charge(&self, scope: &Scope, id: ChargeId) -> Result<Loaded, Error> {
        let loaded = self.load(id).await?;
        if loaded.charge.scope == *scope { Ok(loaded) } else { Err(Error::not_found("charge")) }
    }
}

/// The order_no itself where the provider takes it, so that bills stay readable.
fn number(order_no: &OrderNo, account: &Entry) -> impl FnOnce(AttemptId) -> OutTradeNo + use<> {
    let taken = account.adapter.takes_number(order_no.as_str());
    let order_no = order_no.clone();
    move |attempt| {
        let text = if taken { order_no.as_str().to_owned() } else { attempt.bare() };
        OutTradeNo::new(text).expect("both are printable and short")
    }
}

fn bad_order(OrderError { param, message }: OrderError) -> Error {
    Error::new(Code::InvalidParameter, message).param(param)
}

fn not_pending(loaded: &Loaded) -> Error {
    let status = loaded.charge.state.status();
    let mut error =
        Error::new(Code::ChargeNotPending, format!("The charge has ended: it is {status}."));
    error.charge = Some(loaded.charge.id);
    error
}

/// The reply to a create: the charge, or the provider's no.
pub(crate) fn charge_reply(loaded: &Loaded, public_url: &str, render: Render) -> Reply {
    reply(render, &outcome(loaded, public_url))
}

fn outcome(loaded: &Loaded, public_url: &str) -> Result<String, Error> {
    let ChargeState::Failed { failure, .. } = &loaded.charge.state else {
        return Ok(views::to_json(&views::charge(loaded, public_url)));
    };
    let provider = loaded.attempts.last().map(|attempt| attempt.channel.provider());
    let code = failure.provider_code.clone().unwrap_or_default();
    let message = failure.message.clone();
    let said = |name| Box::new(ProviderError { name, code: code.clone(), message });
    let text = format!("The provider refused the order: {code} {}", failure.message);
    let mut error = Error::new(failure.code, text);
    error.provider = provider.map(said);
    error.charge = Some(loaded.charge.id);
    Err(error)
}

/// Whether a fact says that nobody has paid yet.
pub(crate) fn is_still_open(fact: &Fact) -> bool {
    matches!(fact, Fact::Awaiting(_) | Fact::Absent)
}
