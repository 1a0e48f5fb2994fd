//! Attempts: one more channel for a charge, chosen by the merchant or by the payer at the cashier.

use crate::accounts::Entry;
use crate::charges::{check_secret, not_pending, number};
use crate::idempotency::{failure, keep, keep_open};
use crate::orders::{Learnt, Placement};
use crate::replies::{Answering, Subject, refused};
use crate::writes::{Beside, DECISIONS_MAX};
use crate::{
    CashierView, Commit, CommitError, Engine, Error, IdempotentRequest, Render, Reply, views,
};
use std::sync::Arc;
use tongbao_channels::{OrderError, Placing};
use tongbao_core::rules::begin_another;
use tongbao_core::{
    Action, Attempt, AttemptState, Changes, Fact, JobChange, JobKind, Loaded, NewJob, Payer, Route,
    Scope, Source,
};
use tongbao_types::{AccountName, AttemptId, Channel, ChargeId, Code, Mint};

/// Which channel more. The face has checked the form of each part.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// For which charge.
    pub charge: ChargeId,
    /// How the payer will pay.
    pub channel: Channel,
    /// With which account; without it the first that serves the channel.
    pub account: Option<AccountName>,
    /// Who will pay.
    pub payer: Option<Payer>,
    /// The payer's address; without it the charge's.
    pub client_ip: Option<String>,
}

/// The channels that a payer can choose alone: nothing but a browser is needed.
pub(crate) const CHOOSABLE: [Channel; 5] = [
    Channel::WechatNative,
    Channel::AlipayQr,
    Channel::AlipayPage,
    Channel::AlipayWap,
    Channel::WechatH5,
];
/// Strangers at the cashier must not place orders without end.
const ATTEMPTS_MAX: usize = 20;

/// An order about to be placed.
pub(crate) struct Planned {
    account: Arc<Entry>,
    attempt: AttemptId,
    placing: Placing,
}

/// What asking for a channel began.
enum Begun {
    /// The payer has such an order already.
    Same(Loaded, AttemptId),
    /// A new order, to be placed now.
    New(Loaded, Planned),
}

impl Engine {
    /// Lets a charge be paid through another channel. The orders that it has stay open until one
    /// is paid. Who asks again for what waits already gets that, and no second order.
    pub async fn add_attempt(
        &self,
        scope: &Scope,
        new: NewAttempt,
        idempotent: Option<IdempotentRequest>,
        render: Render,
    ) -> Reply {
        let request = idempotent.as_ref();
        if let Some(reply) = self.earlier(scope, request, render).await {
            return reply;
        }
        let key = request.map(|request| (scope, request.key.as_str()));
        let about = |attempt| Answering { render, subject: Subject::Attempt(attempt), key };
        match self.begin_another(scope, &new, request).await {
            Ok(Begun::New(loaded, planned)) => {
                let answering = about(planned.attempt);
                self.carry_out(loaded, planned, answering).await
            }
            Ok(Begun::Same(loaded, attempt)) => {
                if let Some(request) = request
                    && let Some(kept) = self.begin(scope, request, render).await
                {
                    return kept;
                }
                let answering = about(attempt);
                let reply = answering.reply(&loaded, self.public_url());
                self.keep_reply(key.map(|(scope, key)| keep(scope, key, &reply)), Vec::new()).await;
                reply
            }
            Err(error) => self.not_begun(error, scope, request, render).await,
        }
    }

    /// Lets the payer choose a channel at the cashier. Only where the merchant has left the choice
    /// open, and only channels that need nothing but a browser.
    pub async fn choose_channel(
        &self,
        charge: ChargeId,
        client_secret: Option<&str>,
        channel: Channel,
        client_ip: Option<String>,
    ) -> Result<CashierView, Error> {
        let loaded = self.load(charge).await?;
        if let Some(secret) = client_secret {
            check_secret(&loaded, secret)?;
        }
        if !loaded.charge.open_choice || !CHOOSABLE.contains(&channel) {
            let message = format!("This charge cannot be paid through {channel} here.");
            let error = Error::new(Code::ChannelUnavailable, message).param("channel");
            return Err(Error { charge: Some(charge), ..error });
        }
        let scope = loaded.charge.scope;
        let new = NewAttempt { charge, channel, account: None, payer: None, client_ip };
        let (planned, loaded) = match self.begin_another(&scope, &new, None).await? {
            Begun::Same(loaded, attempt) => {
                return Ok(self.cashier_view_through(&loaded, attempt));
            }
            Begun::New(loaded, planned) => (planned, loaded),
        };
        let attempt = planned.attempt;
        let known = self.place_planned(loaded, planned, None).await?;
        let loaded = match known {
            Some(loaded) => loaded,
            None => self.load(charge).await?,
        };
        let row = loaded.attempt(attempt);
        match row.and_then(Attempt::failure) {
            Some(failure) => Err(Error { charge: Some(charge), ..refused("order", row, failure) }),
            None => Ok(self.cashier_view_through(&loaded, attempt)),
        }
    }

    /// What a payer may see of a charge: the order that waits in this channel, else the one that
    /// speaks for it.
    pub(crate) fn cashier_view(&self, loaded: &Loaded, channel: Option<Channel>) -> CashierView {
        let waits =
            |attempt: &&Attempt| attempt.state.is_open() && Some(attempt.channel) == channel;
        let wanted = loaded.attempts.iter().rev().find(waits);
        let wanted = wanted.filter(|_| loaded.charge.state.is_pending());
        let shown = wanted.or_else(|| views::shown_attempt(&loaded.charge, &loaded.attempts));
        views::cashier(loaded, shown, self.choices(loaded), self.clock().now())
    }

    fn cashier_view_through(&self, loaded: &Loaded, attempt: AttemptId) -> CashierView {
        let shown = loaded.attempt(attempt);
        views::cashier(loaded, shown, self.choices(loaded), self.clock().now())
    }

    /// The channels that the payer can choose now.
    fn choices(&self, loaded: &Loaded) -> Vec<Channel> {
        if !loaded.charge.state.is_pending() || !loaded.charge.open_choice {
            return Vec::new();
        }
        let scope = &loaded.charge.scope;
        let usable = |channel: &Channel| self.accounts().choose(scope, *channel, None).is_ok();
        CHOOSABLE.into_iter().filter(usable).collect()
    }

    async fn begin_another(
        &self,
        scope: &Scope,
        new: &NewAttempt,
        idempotent: Option<&IdempotentRequest>,
    ) -> Result<Begun, Error> {
        for _ in 0..DECISIONS_MAX {
            // The charge first: to a stranger it is not there, whatever else is wrong.
            let loaded = self.own_charge(scope, new.charge).await?;
            let account = self.accounts().choose(scope, new.channel, new.account.as_ref())?;
            if let Some(same) = same_order(&loaded, &account, new) {
                return Ok(Begun::Same(loaded, same));
            }
            let mut mint = self.mint();
            let (changes, planned) = self.plan_another(loaded, &account, new, &mut mint)?;
            let begin = idempotent.map(|request| {
                let mut row = self.idempotency_row(scope, request);
                row.charge = Some(new.charge);
                row
            });
            let beside = Beside { begin, ..Beside::default() };
            match self.write(changes, &beside, &mut mint).await {
                Ok(loaded) => return Ok(Begun::New(loaded, planned)),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Stale.into())
    }

    /// Checks everything that can be checked without writing, and decides what to write.
    fn plan_another(
        &self,
        loaded: Loaded,
        account: &Arc<Entry>,
        new: &NewAttempt,
        mint: &mut Mint,
    ) -> Result<(Changes, Planned), Error> {
        let ended = not_pending(&loaded);
        if loaded.attempts.len() >= ATTEMPTS_MAX {
            let message = format!("This charge has had {ATTEMPTS_MAX} orders; make another one.");
            let error = Error::new(Code::RateLimited, message);
            return Err(Error { charge: Some(loaded.charge.id), ..error });
        }
        let order_no = loaded.attempts.is_empty().then_some(&loaded.charge.order_no);
        let number = number(order_no, account);
        let client_ip = new.client_ip.clone().or_else(|| loaded.charge.client_ip.clone());
        let route = Route {
            channel: new.channel,
            account: account.adapter.name().clone(),
            payer: new.payer.clone(),
        };
        let begun = begin_another(loaded, route, number, self.polling(), mint);
        let (changes, attempt) = begun.map_err(|_| ended)?;
        let payer = (new.payer.as_ref(), client_ip.as_deref());
        let planned = self.plan_order(Arc::clone(account), &changes, attempt, payer)?;
        Ok((changes, planned))
    }

    /// Makes the message of an order that is about to be written.
    pub(crate) fn plan_order(
        &self,
        account: Arc<Entry>,
        changes: &Changes,
        attempt: AttemptId,
        payer: (Option<&Payer>, Option<&str>),
    ) -> Result<Planned, Error> {
        let loaded = changes.after();
        let row = loaded.attempt(attempt).expect("the caller has begun it");
        let placing = self.prepare(&account, &loaded, row, payer).map_err(bad_order)?;
        Ok(Planned { account, attempt, placing })
    }

    /// Places an order that is written, and answers.
    pub(crate) async fn carry_out(
        &self,
        loaded: Loaded,
        planned: Planned,
        answering: Answering<'_>,
    ) -> Reply {
        let charge = loaded.charge.id;
        match self.place_planned(loaded, planned, Some(answering)).await {
            Ok(Some(loaded)) => answering.reply(&loaded, self.public_url()),
            Ok(None) => self.answer_as_it_stands(charge, answering, Vec::new()).await,
            Err(error) => failure(answering.render, &error.after_a_call(charge)),
        }
    }

    /// Places an order that is written. `None`: nothing was learnt that can be believed, and no
    /// reply is kept.
    async fn place_planned(
        &self,
        loaded: Loaded,
        planned: Planned,
        keep: Option<Answering<'_>>,
    ) -> Result<Option<Loaded>, Error> {
        let Planned { account, attempt, placing } = planned;
        let charge = loaded.charge.id;
        let row = loaded.attempt(attempt).expect("it was written with the charge").clone();
        let learnt = self.place(&account, &row, placing, Placement::First).await;
        if let Some(reason) = learnt.why_nothing() {
            tracing::warn!(charge.id = %charge, reason, "the order's outcome is unknown");
        }
        let Learnt::Fact(fact) = learnt else {
            self.look_if_closed(charge, row.id).await?;
            return Ok(None);
        };
        let offered = offered(&fact);
        let observation = Self::observation(&row, Source::Reply, fact);
        let beside = Beside { keep, ..Beside::default() };
        let now = self.conclude(loaded, row.id, &observation, &beside).await?;
        self.place_anew_if_overtaken(now, (row.id, offered), &beside).await
    }

    /// While our order was under way somebody else placed it too, since it had been silent for so
    /// long. Each placing may make the code of the one before void, and which came first at the
    /// provider is not known; so it is placed once more, and that code is shown.
    pub(crate) async fn place_anew_if_overtaken(
        &self,
        now: Option<Loaded>,
        (id, offered): (AttemptId, Option<Action>),
        beside: &Beside<'_>,
    ) -> Result<Option<Loaded>, Error> {
        let (Some(loaded), Some(offered)) = (&now, offered) else { return Ok(now) };
        let Some(row) = loaded.attempt(id) else { return Ok(now) };
        let is_shown = row.action.as_ref() == Some(&offered);
        if is_shown || row.state != AttemptState::Awaiting {
            return Ok(now);
        }
        let account = self.account_of(row)?;
        let client_ip = loaded.charge.client_ip.as_deref();
        let Ok(placing) = self.prepare(&account, loaded, row, (row.payer.as_ref(), client_ip))
        else {
            return Ok(now);
        };
        let learnt = self.place(&account, row, placing, Placement::Again).await;
        let Learnt::Fact(fact @ Fact::Awaiting(Some(_))) = learnt else { return Ok(now) };
        let observation = Self::observation(row, Source::Sync, fact);
        let again = self.conclude(loaded.clone(), id, &observation, beside).await?;
        Ok(again.or(now))
    }

    /// An order whose placing had no clear answer may stand although it was closed meanwhile.
    pub(crate) async fn look_if_closed(
        &self,
        charge: ChargeId,
        attempt: AttemptId,
    ) -> Result<(), Error> {
        let loaded = self.load(charge).await?;
        let state = loaded.attempt(attempt).map(|attempt| &attempt.state);
        if !matches!(state, Some(AttemptState::Closed { .. })) {
            return Ok(());
        }
        let (id, run_at) = (self.mint().id(), self.clock().now());
        let look = NewJob { id, kind: JobKind::PollAttempt(attempt, charge), run_at };
        self.write_jobs(vec![JobChange::Hasten(look)], None).await
    }

    /// Answers with what was made as it stands, when nothing was learnt; whoever repeats the
    /// request gets it as it stands then.
    pub(crate) async fn answer_as_it_stands(
        &self,
        charge: ChargeId,
        answering: Answering<'_>,
        jobs: Vec<JobChange>,
    ) -> Reply {
        let loaded = match self.load(charge).await {
            Ok(loaded) => loaded,
            Err(error) => return failure(answering.render, &error.after_a_call(charge)),
        };
        let step = answering.key.map(|(scope, key)| keep_open(scope, key));
        self.keep_reply(step, jobs).await;
        answering.reply(&loaded, self.public_url())
    }

    /// Keeps a reply for its key. That it cannot be kept is no reason not to give it.
    async fn keep_reply(&self, step: Option<crate::IdempotencyStep>, jobs: Vec<JobChange>) {
        if step.is_none() && jobs.is_empty() {
            return;
        }
        if let Err(error) = self.write_jobs(jobs, step).await {
            tracing::warn!(%error, "a reply could not be kept for its Idempotency-Key");
        }
    }

    /// Writes jobs and a step of an idempotent request, and nothing else.
    pub(crate) async fn write_jobs(
        &self,
        jobs: Vec<JobChange>,
        idempotency: Option<crate::IdempotencyStep>,
    ) -> Result<(), Error> {
        let soonest = crate::writes::soonest(&jobs, &[]);
        self.store().commit(Commit { jobs, idempotency, ..Commit::default() }).await?;
        if let Some(run_at) = soonest {
            self.runner().promised(run_at);
        }
        Ok(())
    }
}

/// An order that is what is asked for: same channel and account, same payer, and the payer can be
/// shown something. A code that the merchant scanned is for one order.
fn same_order(loaded: &Loaded, account: &Entry, new: &NewAttempt) -> Option<AttemptId> {
    let payer = new.payer.clone().map(|payer| Payer { auth_code: None, ..payer });
    let payer = payer.filter(|payer| *payer != Payer::default());
    let is_same = |attempt: &&Attempt| {
        attempt.channel == new.channel
            && attempt.account == *account.adapter.name()
            && attempt.state.is_open()
            && attempt.action.is_some()
            && attempt.payer == payer
    };
    let is_scanned = new.channel.is_scanned_by_merchant();
    let waits = loaded.charge.state.is_pending() && !is_scanned;
    loaded.attempts.iter().rev().find(is_same).filter(|_| waits).map(|attempt| attempt.id)
}

/// What an answer says that the payer shall be shown.
pub(crate) fn offered(fact: &Fact) -> Option<Action> {
    match fact {
        Fact::Awaiting(action) => action.clone(),
        _ => None,
    }
}

fn bad_order(OrderError { param, message }: OrderError) -> Error {
    Error::new(Code::InvalidParameter, message).param(param)
}
