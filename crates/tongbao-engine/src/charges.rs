//! Charges: create, read, list, close, ask now.

use crate::accounts::Entry;
use crate::attempts::Planned;
use crate::idempotency::failure;
use crate::orders::Learnt;
use crate::replies::{Answering, Subject};
use crate::writes::Beside;
use crate::{
    CashierView, ChargeFilter, ChargeView, CommitError, Engine, Error, IdempotentRequest, ListView,
    MoneyMoved, Page, Render, Reply, views,
};
use tongbao_core::rules::{await_choice, begin_attempt, begin_close, give_up, open};
use tongbao_core::{
    Attempt, AttemptState, Changes, ChargeState, CloseReason, Draft, Fact, Loaded, NotPending,
    Payer, Route, Scope, Source,
};
use tongbao_types::{
    AccountName, Amount, AttemptId, Channel, ChargeId, Code, Mint, OrderNo, OutTradeNo, Profile,
    Secret, Span, Timestamp,
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
    /// The older service through whose routes it is made.
    pub profile: Option<Profile>,
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
pub(crate) const CHOICE_TIME: Span = Span::from_seconds(2 * 3600);
/// No provider keeps an order open for longer than this in all its channels.
pub(crate) const EXPIRY_MAX: Span = Span::from_seconds(7 * 86_400);

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
        if let Some(reply) = self.earlier(scope, idempotent.as_ref(), render).await {
            return reply;
        }
        let mut mint = self.mint();
        let (changes, planned) = match self.plan(scope, new, &mut mint) {
            Ok(planned) => planned,
            Err(error) => return failure(render, &error),
        };
        let begun = self.write_intent(changes, scope, idempotent.as_ref(), &mut mint).await;
        let loaded = match begun {
            Ok(loaded) => loaded,
            Err(error) => {
                return self.not_begun(error.into(), scope, idempotent.as_ref(), render).await;
            }
        };
        let key = idempotent.as_ref().map(|request| (scope, request.key.as_str()));
        let answering = Answering { render, subject: Subject::Charge, key };
        match planned {
            Some(planned) => self.carry_out(loaded, planned, answering).await,
            None => self.answer_as_it_stands(loaded.charge.id, answering, Vec::new()).await,
        }
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
        let (payer, client_ip) = (new.payer.clone(), new.client_ip.clone());
        let channel = new.channel;
        let draft = self.draft(scope, new, mint.now())?;
        let mut changes = open(draft, mint);
        let (Some(account), Some(channel)) = (account, channel) else {
            await_choice(&mut changes, mint);
            return Ok((changes, None));
        };
        let number = number(Some(&changes.charge.order_no), &account);
        let name = account.adapter.name().clone();
        let route = Route { channel, account: name, payer: payer.clone() };
        let attempt = begin_attempt(&mut changes, route, number, self.polling(), mint);
        let payer = (payer.as_ref(), client_ip.as_deref());
        let planned = self.plan_order(account, &changes, attempt, payer)?;
        Ok((changes, Some(planned)))
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
            profile: new.profile,
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

    /// Reads a charge.
    pub async fn charge(&self, scope: &Scope, id: ChargeId) -> Result<ChargeView, Error> {
        Ok(views::charge(&self.own_charge(scope, id).await?, self.public_url()))
    }

    /// Reads a charge for a browser that shows the charge's own secret.
    pub async fn charge_for_client(&self, id: ChargeId, secret: &str) -> Result<ChargeView, Error> {
        let loaded = self.load(id).await?;
        check_secret(&loaded, secret)?;
        Ok(views::charge(&loaded, self.public_url()))
    }

    /// What a payer may see of a charge; with a channel, of its order there if one waits.
    pub async fn cashier(
        &self,
        id: ChargeId,
        channel: Option<Channel>,
    ) -> Result<CashierView, Error> {
        Ok(self.cashier_view(&self.load(id).await?, channel))
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
        let decide = |loaded, mint: &mut Mint| {
            let jobs_at = mint.now() + wait;
            begin_close(loaded, reason, jobs_at, mint)
        };
        self.end(id, decide).await
    }

    /// Writes that an order has had its time, and perhaps its charge with it.
    pub(crate) async fn give_up(&self, id: ChargeId, attempt: AttemptId) -> Result<(), Error> {
        let decide = |loaded, mint: &mut Mint| {
            let jobs_at = mint.now();
            give_up(loaded, attempt, jobs_at, mint)
        };
        self.end(id, decide).await.map(drop)
    }

    async fn end(
        &self,
        id: ChargeId,
        decide: impl Fn(Loaded, &mut Mint) -> Result<Changes, NotPending> + Send,
    ) -> Result<Option<Loaded>, Error> {
        loop {
            let mut mint = self.mint();
            let Ok(changes) = decide(self.load(id).await?, &mut mint) else {
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
            let fact = learnt.into_fact(account.adapter.provider());
            let fact = fact.map_err(|error| Error { charge: Some(id), ..error })?;
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

/// The order_no itself for the first order where the provider takes it, so that bills stay
/// readable.
pub(crate) fn number(
    order_no: Option<&OrderNo>,
    account: &Entry,
) -> impl FnOnce(AttemptId) -> OutTradeNo + use<> {
    let taken = order_no.filter(|order_no| account.adapter.takes_number(order_no.as_str()));
    let taken = taken.cloned();
    move |attempt| {
        let text = taken.map_or_else(|| attempt.bare(), |order_no| order_no.as_str().to_owned());
        OutTradeNo::new(text).expect("both are printable and short")
    }
}

/// The secret lets a browser see and pay this one charge.
pub(crate) fn check_secret(loaded: &Loaded, secret: &str) -> Result<(), Error> {
    let known = loaded.charge.client_secret.expose();
    let same = tongbao_crypt::digest::same(known.as_bytes(), secret.as_bytes());
    if same { Ok(()) } else { Err(Error::not_found("charge")) }
}

pub(crate) fn not_pending(loaded: &Loaded) -> Error {
    let status = loaded.charge.state.status();
    let (message, money_moved) = match &loaded.charge.state {
        ChargeState::Pending { .. } => ("The charge is ending.".to_owned(), MoneyMoved::No),
        ChargeState::Succeeded(_) => {
            (format!("The charge has ended: it is {status}."), MoneyMoved::Yes)
        }
        _ => (format!("The charge has ended: it is {status}."), MoneyMoved::No),
    };
    let charge = Some(loaded.charge.id);
    Error { charge, money_moved, ..Error::new(Code::ChargeNotPending, message) }
}

/// Whether a fact says that nobody has paid yet.
pub(crate) fn is_still_open(fact: &Fact) -> bool {
    matches!(fact, Fact::Awaiting(_) | Fact::Absent)
}
