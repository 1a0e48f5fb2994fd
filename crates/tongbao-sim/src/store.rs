//! The model store behind faults: calls that fail, calls whose outcome stays unknown, calls that a
//! gateway does not survive. What is written is shown to the [`Ledger`](crate::ledger::Ledger).

use crate::fault::{Point, What};
use crate::life::Life;
use crate::process::Death;
use crate::trace::say;
use async_trait::async_trait;
use std::sync::Arc;
use tongbao_core::{Delivery, Endpoint, Job, Loaded, ProviderReply, Refund, Scope};
use tongbao_engine::{
    ApiKey, BillShelf, ChargeFilter, Commit, CommitError, DeliveryFilter, EventFilter,
    IdempotencyRow, KeptSecret, LoadedDelivery, Page, RefundFilter, Store, StoreError, StoredEvent,
};
use tongbao_store::MemoryStore;
use tongbao_types::{
    AccountName, AppName, ChargeId, DeliveryId, EventId, OutTradeNo, RefundId, Sealed, Span,
    Timestamp,
};

/// One gateway's way to the database.
pub(crate) struct FaultyStore {
    pub(crate) life: Arc<Life>,
    pub(crate) death: Arc<Death>,
}

fn failed(nth: u32) -> StoreError {
    StoreError(format!("fault at call {nth}"))
}

impl FaultyStore {
    fn memory(&self) -> &MemoryStore {
        &self.life.memory
    }

    /// What happens before a call takes place.
    async fn before(&self, call: &str) -> Result<(u32, Option<What>), StoreError> {
        self.death.hold().await;
        let busy = self.life.busy();
        let (nth, what) = self.life.faults.at(Point::Store);
        if let Some(what) = what {
            say!(self.life.trace, "fault  store {nth} {call}: {what:?}");
        }
        self.life.jitter("store", nth).await;
        match what {
            Some(What::Fails) => return Err(failed(nth)),
            Some(What::Crash) => self.death.die(),
            Some(What::Slow(millis)) => self.life.nap(millis).await,
            _ => {}
        }
        // The dead are not busy.
        drop(busy);
        self.death.hold().await;
        Ok((nth, what))
    }

    /// What happens after it has taken place.
    async fn after(&self, (nth, what): (u32, Option<What>)) -> Result<(), StoreError> {
        match what {
            Some(What::FailsAfter) => return Err(failed(nth)),
            Some(What::CrashAfter) => self.death.die(),
            Some(What::SlowAfter(millis)) => {
                let _busy = self.life.busy();
                self.life.nap(millis).await;
            }
            Some(What::Freeze(seconds)) => self.life.freeze(seconds).await,
            _ => {}
        }
        self.death.hold().await;
        Ok(())
    }

    async fn read<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fault = self.before(call).await?;
        let done = work.await?;
        self.after(fault).await?;
        Ok(done)
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let fault = self.before("commit").await?;
        let shown = commit.clone();
        let done = self.memory().commit(commit).await;
        self.life.ledger().committed(&shown, done.as_ref().err(), &self.life.trace);
        done?;
        Ok(self.after(fault).await?)
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), CommitError> {
        let fault = self.before("commit_all").await?;
        let shown = commits.clone();
        let done = self.memory().commit_all(commits).await;
        for commit in &shown {
            self.life.ledger().committed(commit, done.as_ref().err(), &self.life.trace);
        }
        done?;
        Ok(self.after(fault).await?)
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Loaded>, StoreError> {
        self.read("charge", self.memory().charge(id)).await
    }

    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError> {
        let work = self.memory().charge_by_out_trade_no(account, number);
        self.read("charge_by_out_trade_no", work).await
    }

    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError> {
        self.read("charges", self.memory().charges(scope, filter, page)).await
    }

    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError> {
        self.read("provider_replies", self.memory().provider_replies(charge)).await
    }

    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.read("refund", self.memory().refund(id)).await
    }

    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError> {
        self.read("refunds", self.memory().refunds(scope, filter, page)).await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        self.read("event", self.memory().event(scope, id)).await
    }

    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.read("events", self.memory().events(scope, filter, page)).await
    }

    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError> {
        self.read("endpoints", self.memory().endpoints(scope)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError> {
        self.read("delivery", self.memory().delivery(id)).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.read("deliveries", self.memory().deliveries(scope, filter, page)).await
    }

    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError> {
        let fault = self.before("claim").await?;
        let claimed = self.memory().claim(now, lease, limit).await?;
        let until = self.life.clock.now() + lease;
        self.life.ledger().claimed(&claimed, until, &self.life.trace);
        self.after(fault).await?;
        Ok(claimed)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read("next_due", self.memory().next_due()).await
    }

    async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.read("all_endpoints", self.memory().all_endpoints()).await
    }

    async fn secret_replies(&self) -> Result<Vec<KeptSecret>, StoreError> {
        self.read("secret_replies", self.memory().secret_replies()).await
    }

    async fn reseal(&self, kept: &KeptSecret, anew: &Sealed) -> Result<bool, StoreError> {
        self.read("reseal", self.memory().reseal(kept, anew)).await
    }

    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        self.read("idempotency", self.memory().idempotency(scope, key)).await
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.read("api_key", self.memory().api_key(hash)).await
    }

    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError> {
        self.read("api_keys", self.memory().api_keys(app)).await
    }

    async fn save_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.read("save_api_key", self.memory().save_api_key(key)).await
    }

    fn bills(&self) -> &dyn BillShelf {
        self.memory().bills()
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.read("prune", self.memory().prune(before)).await
    }

    async fn ready(&self) -> Result<(), CommitError> {
        self.memory().ready().await
    }

    fn is_shared(&self) -> bool {
        self.life.plan.processes > 1
    }
}
