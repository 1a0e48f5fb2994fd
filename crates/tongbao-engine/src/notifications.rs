//! Notifications: verified, believed, committed, and only then answered.
//!
//! There is no outgoing call on this path, but for the one case that the message names a key that
//! is not known yet. What is not believed changes nothing and leaves its reason at the charge.

use crate::accounts::Entry;
use crate::writes::{Beside, Observed};
use crate::{Engine, Error};
use std::sync::Arc;
use std::time::Duration;
use tongbao_channels::{Acknowledgement, Notice, NoticeRefusal, Reply};
use tongbao_core::{
    Attempt, AttemptState, Fact, JobChange, JobKind, Loaded, Mismatch, NewJob, Observation, Refund,
    RefundFact, RefundState, Source,
};
use tongbao_types::{
    AccountName, Bug, ChargeId, Code, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider,
    is_planted,
};

/// A browser waits so long for a look; the page that it goes to shows the result by itself.
const BROWSER_PATIENCE: Duration = Duration::from_secs(3);

/// Why a notice has no effect.
enum Rejected {
    Refused { code: Code, reason: String },
    Unavailable,
}

impl Engine {
    /// Takes a provider's notification in and gives the bytes that answer it. Whatever is not
    /// committed is answered so that the provider repeats it.
    pub async fn receive_notice(
        &self,
        provider: Provider,
        account: &str,
        request: HttpRequest,
    ) -> HttpResponse {
        let name = AccountName::new(account).ok();
        let entry = name.as_ref().and_then(|name| self.accounts().named(name));
        let Some(entry) = entry.filter(|entry| entry.adapter.provider() == provider) else {
            tracing::warn!(account, %provider, "a notice came for an account that is not here");
            let body = r#"{"code":"FAIL","message":"there is no such account here"}"#;
            return HttpResponse::new(404, "application/json; charset=utf-8", body);
        };
        let entry = Arc::clone(entry);
        match self.take_in(&entry, &request).await {
            Ok(()) => entry.adapter.acknowledge(Acknowledgement::Accepted),
            Err(Rejected::Refused { code, reason }) => {
                entry.adapter.acknowledge(Acknowledgement::Refused(code, &reason))
            }
            Err(Rejected::Unavailable) if is_planted(Bug::ReceiptBeforeCommit) => {
                entry.adapter.acknowledge(Acknowledgement::Accepted)
            }
            Err(Rejected::Unavailable) => entry.adapter.acknowledge(Acknowledgement::Unavailable),
        }
    }

    /// The same at an address that names no account, as the older services had: it is for the one
    /// of these accounts that believes it and has the order; accounts of one merchant number all
    /// believe it. Else for the first that believes it, else for the first of them.
    pub async fn receive_notice_of(
        &self,
        provider: Provider,
        accounts: &[AccountName],
        request: HttpRequest,
    ) -> HttpResponse {
        let about = |name: &AccountName| {
            let entry = self.accounts().named(name);
            let entry = entry.filter(|entry| entry.adapter.provider() == provider)?;
            let notice = entry.adapter.read_notice(&request, self.clock().wall()).ok()?;
            Some((name.clone(), order_in(notice)))
        };
        let believing: Vec<_> = accounts.iter().filter_map(about).collect();
        let account = match &believing[..] {
            [] => accounts.first().cloned(),
            [(only, _)] => Some(only.clone()),
            several => self.owner_of_order(several).await,
        };
        let account = account.as_ref().map_or("", AccountName::as_str);
        self.receive_notice(provider, account, request).await
    }

    /// The first of the accounts that has its order, else the first of them. A database that does
    /// not answer now will say so again when the notice is taken in.
    async fn owner_of_order(
        &self,
        believing: &[(AccountName, Option<OutTradeNo>)],
    ) -> Option<AccountName> {
        for (name, number) in believing {
            let Some(number) = number else { continue };
            let found = self.store().charge_by_out_trade_no(name, number).await;
            if found.is_ok_and(|charge| charge.is_some()) {
                return Some(name.clone());
            }
        }
        believing.first().map(|(name, _)| name.clone())
    }

    async fn take_in(&self, entry: &Entry, request: &HttpRequest) -> Result<(), Rejected> {
        let notice = match self.read_notice(entry, request).await {
            Ok(notice) => self.ask_sender(entry, request).await.map(|()| notice)?,
            Err(refusal) => return Err(self.refuse(entry, refusal).await),
        };
        match notice {
            Notice::Order { number, fact } => {
                let loaded = self.charge_of(entry, &number).await?;
                self.keep_notice(entry, loaded.charge.id, request).await;
                self.believe(entry, loaded, number, fact).await
            }
            Notice::Refund { number, out_refund_no, fact } => {
                let loaded = self.charge_of(entry, &number).await?;
                self.believe_refund(entry, loaded, out_refund_no, fact).await
            }
            Notice::Other => Ok(()),
        }
    }

    /// Where the signature alone is an old one, the provider itself says whether it sent this. It
    /// is asked only about what is signed rightly; without an answer the notice shall come again.
    async fn ask_sender(&self, entry: &Entry, request: &HttpRequest) -> Result<(), Rejected> {
        let Some(exchange) = entry.adapter.notice_check(request) else { return Ok(()) };
        match self.call(entry, &exchange).await {
            Reply::Done(true) => Ok(()),
            Reply::Unknown(doubt) => {
                tracing::warn!(reason = doubt.reason, "whether a notice was sent is not known");
                Err(Rejected::Unavailable)
            }
            _ => {
                let reason = "the provider says that it did not send this notice".to_owned();
                let (code, claims) = (Code::SignatureMismatch, None);
                let refusal = NoticeRefusal { code, reason, claims, keys_may_help: false };
                Err(self.refuse(entry, refusal).await)
            }
        }
    }

    async fn charge_of(&self, entry: &Entry, number: &OutTradeNo) -> Result<Loaded, Rejected> {
        let name = entry.adapter.name();
        let loaded = match self.recent().take(name, number) {
            Some(loaded) => Ok(Some(loaded)),
            None => self.store().charge_by_out_trade_no(name, number).await,
        };
        if let Some(loaded) = loaded.map_err(|error| unavailable(&error.into()))? {
            return Ok(loaded);
        }
        let reason = format!("the account {name} has no order {number}");
        let code = Code::NotFound;
        let refusal = NoticeRefusal { code, reason, claims: None, keys_may_help: false };
        Err(self.refuse(entry, refusal).await)
    }

    async fn read_notice(
        &self,
        entry: &Entry,
        request: &HttpRequest,
    ) -> Result<Notice, NoticeRefusal> {
        match entry.adapter.read_notice(request, self.clock().wall()) {
            Err(refusal) if refusal.keys_may_help && self.refresh_keys(entry).await => {
                entry.adapter.read_notice(request, self.clock().wall())
            }
            read => read,
        }
    }

    async fn believe(
        &self,
        entry: &Entry,
        loaded: Loaded,
        number: OutTradeNo,
        fact: Fact,
    ) -> Result<(), Rejected> {
        let charge = loaded.charge.id;
        let is_ours = |attempt: &Attempt| {
            attempt.account == *entry.adapter.name() || is_planted(Bug::AccountUnchecked)
        };
        let is_it = |attempt: &&Attempt| is_ours(attempt) && attempt.out_trade_no == number;
        let attempt = loaded.attempts.iter().find(is_it);
        let attempt = attempt.expect("the charge was found by this order");
        let (id, look) = (attempt.id, look_at(attempt));
        let account = entry.adapter.name().clone();
        let observation =
            Observation { account, out_trade_no: number, source: Source::Notice, fact };
        match self.observe(loaded, id, &observation, &Beside::default()).await {
            Ok(Observed::Now(_)) => Ok(()),
            Ok(Observed::Mismatch(mismatch)) => Err(self.doubt(charge, mismatch, look).await),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// What is told of a refund is a fact, or at least a reason to ask now. Refunds that were made
    /// by hand at the provider are none of ours.
    async fn believe_refund(
        &self,
        entry: &Entry,
        loaded: Loaded,
        number: OutRefundNo,
        fact: Option<RefundFact>,
    ) -> Result<(), Rejected> {
        let charge = loaded.charge.id;
        let known = |refund: &&Refund| {
            refund.account == *entry.adapter.name() && refund.out_refund_no == number
        };
        let Some(refund) = loaded.refunds.iter().find(known) else {
            tracing::warn!(charge.id = %charge, %number, "a refund is not known here");
            return Ok(());
        };
        let (id, look) = (refund.id, JobKind::PerformRefund(refund.id, charge));
        let is_back = matches!(refund.state, RefundState::Succeeded { .. });
        let Some(fact) = fact else {
            let asked = if is_back { Ok(()) } else { self.ask_now(look).await };
            return asked.map_err(|error| unavailable(&error));
        };
        match self.observe_refund(loaded, id, &fact, &Beside::default()).await {
            Ok(Observed::Now(_)) => Ok(()),
            Ok(Observed::Mismatch(mismatch)) => {
                let look = Some(look).filter(|_| !is_back);
                Err(self.doubt(charge, mismatch, look).await)
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn ask_now(&self, kind: JobKind) -> Result<(), Error> {
        let mut mint = self.mint();
        let run_at = mint.now();
        let look = JobChange::Hasten(NewJob { id: mint.id(), kind, run_at });
        self.write_jobs(vec![look], None).await
    }

    /// What contradicts is not believed, but it is a reason to ask.
    async fn doubt(&self, charge: ChargeId, mismatch: Mismatch, look: Option<JobKind>) -> Rejected {
        let Mismatch { code, reason } = mismatch;
        match self.record_refusal(charge, (code, reason.clone()), look).await {
            Ok(()) => Rejected::Refused { code, reason },
            Err(error) => unavailable(&error),
        }
    }

    /// Leaves the reason at the charge that the notice claims to be about, if it has one.
    async fn refuse(&self, entry: &Entry, refusal: NoticeRefusal) -> Rejected {
        let NoticeRefusal { code, reason, claims, .. } = refusal;
        let name = entry.adapter.name();
        let known = match claims {
            Some(number) => self.store().charge_by_out_trade_no(name, &number).await,
            None => Ok(None),
        };
        match known {
            Ok(Some(loaded)) => {
                let mismatch = Mismatch { code, reason };
                self.doubt(loaded.charge.id, mismatch, None).await
            }
            Ok(None) => {
                tracing::warn!(account.id = %name, %code, reason, "a notice is not believed");
                Rejected::Refused { code, reason }
            }
            Err(error) => unavailable(&error.into()),
        }
    }

    /// A browser came back from the provider. That proves nothing; it only starts a look. Returns
    /// the charge that it names.
    pub async fn returned(&self, account: &str, request: HttpRequest) -> Option<ChargeId> {
        let name = AccountName::new(account).ok()?;
        let entry = Arc::clone(self.accounts().named(&name)?);
        let number = entry.adapter.returned(&request)?;
        self.returned_from(&name, &number).await
    }

    /// The same where only the order's number is known, as at the older services' address. Anybody
    /// may write such an address, and gets no more than a look.
    pub async fn returned_from(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Option<ChargeId> {
        let loaded = self.store().charge_by_out_trade_no(account, number).await.ok()??;
        let id = loaded.charge.id;
        if loaded.charge.state.is_pending() {
            let scope = loaded.charge.scope.clone();
            let look = self.sync_charge(&scope, id);
            match tokio::time::timeout(BROWSER_PATIENCE, look).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(charge.id = %id, %error, "the look after a return failed");
                }
                Err(_) => tracing::warn!(charge.id = %id, "the look after a return took too long"),
            }
        }
        Some(id)
    }
}

/// Which order a notice is about.
fn order_in(notice: Notice) -> Option<OutTradeNo> {
    match notice {
        Notice::Order { number, .. } | Notice::Refund { number, .. } => Some(number),
        Notice::Other => None,
    }
}

/// The look that clears up what an order's notice left in doubt.
pub(crate) fn look_at(attempt: &Attempt) -> Option<JobKind> {
    match attempt.state {
        AttemptState::Succeeded { .. } => None,
        AttemptState::Closing => Some(JobKind::CloseAttempt(attempt.id, attempt.charge)),
        _ => Some(JobKind::PollAttempt(attempt.id, attempt.charge)),
    }
}

fn unavailable(error: &Error) -> Rejected {
    tracing::error!(%error, "a notice could not be stored; the provider will repeat it");
    Rejected::Unavailable
}
