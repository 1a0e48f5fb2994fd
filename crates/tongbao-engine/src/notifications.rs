//! Notifications: verified, believed, committed, and only then answered.
//!
//! There is no outgoing call on this path, but for the one case that the message names a key that
//! is not known yet. What is not believed changes nothing and leaves its reason at the charge.

use crate::accounts::Entry;
use crate::writes::{Beside, Observed};
use crate::{Commit, Engine, Error};
use std::sync::Arc;
use std::time::Duration;
use tongbao_channels::{Acknowledgement, Notice, NoticeRefusal};
use tongbao_core::{Fact, Loaded, Observation, RefusedNotice, Source};
use tongbao_types::{AccountName, ChargeId, Code, HttpRequest, HttpResponse, OutTradeNo, Provider};

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
            Err(Rejected::Unavailable) => entry.adapter.acknowledge(Acknowledgement::Unavailable),
        }
    }

    async fn take_in(&self, entry: &Entry, request: &HttpRequest) -> Result<(), Rejected> {
        let (number, fact) = match self.read_notice(entry, request).await {
            Ok(Notice::Order { number, fact }) => (number, fact),
            Ok(Notice::Other) => return Ok(()),
            Err(refusal) => return Err(self.refuse(entry, refusal).await),
        };
        let name = entry.adapter.name();
        let loaded = match self.recent().take(name, &number) {
            Some(loaded) => Ok(Some(loaded)),
            None => self.store().charge_by_out_trade_no(name, &number).await,
        };
        let Some(loaded) = loaded.map_err(|error| unavailable(&error.into()))? else {
            let reason = format!("the account {name} has no order {number}");
            let claims = None;
            let code = Code::NotFound;
            let refusal = NoticeRefusal { code, reason, claims, keys_may_help: false };
            return Err(self.refuse(entry, refusal).await);
        };
        self.believe(entry, loaded, number, fact).await
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
        let attempt = loaded.attempts.iter().find(|attempt| {
            attempt.account == *entry.adapter.name() && attempt.out_trade_no == number
        });
        let attempt = attempt.expect("the charge was found by this order").id;
        let account = entry.adapter.name().clone();
        let observation =
            Observation { account, out_trade_no: number, source: Source::Notice, fact };
        match self.observe(loaded, attempt, &observation, &Beside::default()).await {
            Ok(Observed::Now(_)) => Ok(()),
            Ok(Observed::Mismatch(mismatch)) => {
                let (code, reason) = (mismatch.code, mismatch.reason);
                tracing::warn!(charge.id = %charge, %code, reason, "a notice is not believed");
                let recorded = self.record_refusal(charge, code, reason.clone()).await;
                recorded.map_err(|error| unavailable(&error))?;
                Err(Rejected::Refused { code, reason })
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Leaves the reason at the charge that the notice claims to be about, if it has one.
    async fn refuse(&self, entry: &Entry, refusal: NoticeRefusal) -> Rejected {
        let NoticeRefusal { code, reason, claims, .. } = refusal;
        let name = entry.adapter.name();
        tracing::warn!(account.id = %name, %code, reason, "a notice is not believed");
        if let Some(number) = claims {
            match self.store().charge_by_out_trade_no(name, &number).await {
                Ok(Some(loaded)) => {
                    let id = loaded.charge.id;
                    if let Err(error) = self.record_refusal(id, code, reason.clone()).await {
                        return unavailable(&error);
                    }
                }
                Ok(None) => {}
                Err(error) => return unavailable(&error.into()),
            }
        }
        Rejected::Refused { code, reason }
    }

    pub(crate) async fn record_refusal(
        &self,
        charge: ChargeId,
        code: Code,
        reason: String,
    ) -> Result<(), Error> {
        let last_at = self.clock().now();
        let refused = Some(RefusedNotice { charge, code, reason, count: 1, last_at });
        self.store().commit(Commit { refused, ..Commit::default() }).await?;
        self.watchers().tell(charge);
        Ok(())
    }

    /// A browser came back from the provider. That proves nothing; it only starts a look. Returns
    /// the charge that it names.
    pub async fn returned(&self, account: &str, request: HttpRequest) -> Option<ChargeId> {
        let name = AccountName::new(account).ok()?;
        let entry = Arc::clone(self.accounts().named(&name)?);
        let number = entry.adapter.returned(&request)?;
        let loaded = self.store().charge_by_out_trade_no(&name, &number).await.ok()??;
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

fn unavailable(error: &Error) -> Rejected {
    tracing::error!(%error, "a notice could not be stored; the provider will repeat it");
    Rejected::Unavailable
}
