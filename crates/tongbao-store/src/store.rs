//! The port over a database: each question goes to [`crate::reads`], each write becomes a unit of
//! work. Nothing is decided here.

use crate::plan::Plan;
use crate::queue::{self, Claim};
use crate::sqlite_loader::Loader;
use crate::sqlite_writer::Writer;
use crate::tables::api_keys;
use crate::work::{Done, Work};
use crate::{reads, servers};
use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tongbao_core::{Delivery, Endpoint, Job, Loaded, ProviderReply, Refund, Scope};
use tongbao_engine::{
    ApiKey, BillShelf, ChargeFilter, Commit, CommitError, DeliveryFilter, EventFilter,
    IdempotencyRow, LoadedDelivery, Page, RefundFilter, Store, StoreError, StoredEvent,
};
use tongbao_types::{
    AccountName, AppName, ChargeId, DeliveryId, EventId, OutTradeNo, RefundId, Span, Timestamp,
};
use uuid::Uuid;

/// A store in SQLite, PostgreSQL or MySQL.
pub struct SqlStore {
    pub(crate) reads: DatabaseConnection,
    pub(crate) doors: Doors,
    pub(crate) is_shared: bool,
}

/// Where writes and hot reads go.
pub(crate) enum Doors {
    /// SQLite's own tasks.
    Sqlite(Writer, Loader),
    /// The pool that reads come from too.
    Server,
}

impl SqlStore {
    /// Finishes what is waiting and closes the database; later calls fail. A store that is dropped
    /// instead does the same in its own time.
    pub async fn close(&self) {
        if let Doors::Sqlite(writer, _) = &self.doors {
            writer.stop().await;
        }
        if let Err(error) = self.reads.close_by_ref().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    pub(crate) async fn write(&self, work: Work) -> Result<Done, CommitError> {
        match &self.doors {
            Doors::Sqlite(writer, _) => writer.run(work).await,
            Doors::Server => servers::run(&self.reads, &work).await,
        }
    }
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlStore").field("is_shared", &self.is_shared).finish_non_exhaustive()
    }
}

/// Work that no rule of a commit can refuse fails only with the database.
pub(crate) fn unrefused(error: CommitError) -> StoreError {
    match error {
        CommitError::Store(error) => error,
        other => StoreError(other.to_string()),
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.write(Work::Commit(Box::new(Plan::of(commit)))).await.map(drop)
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), CommitError> {
        let plans = commits.into_iter().map(Plan::of).collect();
        self.write(Work::Commits(plans)).await.map(drop)
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Loaded>, StoreError> {
        reads::charge(&self.reads, id).await
    }

    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError> {
        match &self.doors {
            Doors::Sqlite(_, loader) => loader.load(account, number).await,
            Doors::Server => reads::charge_by_out_trade_no(&self.reads, account, number).await,
        }
    }

    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError> {
        reads::charges(&self.reads, scope, filter, page).await
    }

    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError> {
        reads::provider_replies(&self.reads, charge).await
    }

    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        reads::refund(&self.reads, id).await
    }

    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError> {
        reads::refunds(&self.reads, scope, filter, page).await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        reads::event(&self.reads, scope, id).await
    }

    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        reads::events(&self.reads, scope, filter, page).await
    }

    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError> {
        reads::endpoints(&self.reads, scope).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError> {
        reads::delivery(&self.reads, id).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        reads::deliveries(&self.reads, scope, filter, page).await
    }

    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError> {
        let owner = Uuid::from_u128(rand::random());
        let claim = Claim { now, lease, limit, owner };
        self.write(Work::Claim(claim)).await.map(|done| done.jobs).map_err(unrefused)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        queue::next_due(&self.reads).await
    }

    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        reads::idempotency(&self.reads, scope, key).await
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        reads::api_key(&self.reads, hash).await
    }

    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError> {
        reads::api_keys(&self.reads, app).await
    }

    async fn save_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.write(Work::SaveApiKey(api_keys::row(key))).await.map(drop).map_err(unrefused)
    }

    fn bills(&self) -> &dyn BillShelf {
        self
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(Work::Prune(before)).await.map(|done| done.pruned).map_err(unrefused)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        if matches!(&self.doors, Doors::Sqlite(writer, _) if writer.is_stopped()) {
            return Err(StoreError("the writer has stopped".to_owned()));
        }
        reads::ready(&self.reads).await
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }
}
