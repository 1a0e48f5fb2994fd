//! The port over a database: each question goes to [`crate::reads`], each write becomes a unit of
//! work. Nothing is decided here.

use crate::plan::Plan;
use crate::queue::{self, Claim};
use crate::server::Server;
use crate::sqlite_loader::Loader;
use crate::sqlite_room::Room;
use crate::sqlite_writer::Writer;
use crate::tables::api_keys;
use crate::work::{Done, Work};
use crate::{reads, secrets, servers};
use async_trait::async_trait;
use sea_orm::DatabaseConnection;
use tongbao_core::{Delivery, Endpoint, Job, Loaded, ProviderReply, Refund, Scope};
use tongbao_engine::{
    ApiKey, BillShelf, ChargeFilter, Commit, CommitError, DeliveryFilter, EventFilter,
    IdempotencyRow, KeptSecret, LoadedDelivery, Page, RefundFilter, Store, StoreError, StoredEvent,
};
use tongbao_types::{
    AccountName, AppName, ChargeId, DeliveryId, EventId, OutTradeNo, RefundId, Sealed, Span,
    Timestamp,
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
    Sqlite(Writer, Loader, Room),
    /// The pool that reads come from too.
    Server(Server),
}

impl SqlStore {
    /// Finishes what is waiting and closes the database; later calls fail. A store that is dropped
    /// instead does the same in its own time.
    pub async fn close(&self) {
        if let Doors::Sqlite(writer, ..) = &self.doors {
            writer.stop().await;
        }
        if let Err(error) = self.reads.close_by_ref().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    pub(crate) async fn write(&self, work: Work) -> Result<Done, CommitError> {
        match &self.doors {
            Doors::Sqlite(writer, ..) => writer.run(work).await,
            Doors::Server(server) => match servers::run(&self.reads, server, &work).await {
                Err(CommitError::Store(error)) => Err(server.silent(error).into()),
                done => {
                    server.answers();
                    done
                }
            },
        }
    }

    /// Passes an answer on; of a server's error it says where that is and how long it is silent.
    fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.doors {
            Doors::Sqlite(..) => answer,
            Doors::Server(server) => server.heard(answer),
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
        CommitError::Store(error) | CommitError::Full(error) => error,
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
        self.heard(reads::charge(&self.reads, id).await)
    }

    async fn charge_version(&self, id: ChargeId) -> Result<Option<i64>, StoreError> {
        self.heard(reads::charge_version(&self.reads, id).await)
    }

    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError> {
        match &self.doors {
            Doors::Sqlite(_, loader, _) => loader.load(account, number).await,
            Doors::Server(server) => {
                server.heard(reads::charge_by_out_trade_no(&self.reads, account, number).await)
            }
        }
    }

    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError> {
        self.heard(reads::charges(&self.reads, scope, filter, page).await)
    }

    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError> {
        self.heard(reads::provider_replies(&self.reads, charge).await)
    }

    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.heard(reads::refund(&self.reads, id).await)
    }

    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError> {
        self.heard(reads::refunds(&self.reads, scope, filter, page).await)
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        self.heard(reads::event(&self.reads, scope, id).await)
    }

    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.heard(reads::events(&self.reads, scope, filter, page).await)
    }

    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError> {
        self.heard(reads::endpoints(&self.reads, scope).await)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError> {
        self.heard(reads::delivery(&self.reads, id).await)
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.heard(reads::deliveries(&self.reads, scope, filter, page).await)
    }

    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError> {
        let owner = Uuid::from_u128(rand::random());
        let Doors::Server(server) = &self.doors else {
            let claim = Claim { now, lease, limit, owner, lost: Vec::new() };
            return self.write(Work::Claim(claim)).await.map(|done| done.jobs).map_err(unrefused);
        };
        let lost = server.lost_claims();
        let claim = Claim { now, lease, limit, owner, lost: lost.clone() };
        match self.write(Work::Claim(claim)).await {
            Ok(done) => {
                server.claims_found(&lost);
                Ok(done.jobs)
            }
            Err(error) => {
                server.claim_lost(owner);
                Err(unrefused(error))
            }
        }
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.heard(queue::next_due(&self.reads).await)
    }

    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        self.heard(reads::idempotency(&self.reads, scope, key).await)
    }

    async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        secrets::all_endpoints(&self.reads).await
    }

    async fn secret_replies(&self) -> Result<Vec<KeptSecret>, StoreError> {
        secrets::replies(&self.reads).await
    }

    async fn reseal(&self, kept: &KeptSecret, anew: &Sealed) -> Result<bool, StoreError> {
        let work = Work::Reseal(Box::new(secrets::replacing(kept, anew)));
        self.write(work).await.map(|done| done.resealed).map_err(unrefused)
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.heard(reads::api_key(&self.reads, hash).await)
    }

    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError> {
        self.heard(reads::api_keys(&self.reads, app).await)
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

    async fn ready(&self) -> Result<(), CommitError> {
        if let Doors::Sqlite(writer, _, room) = &self.doors {
            if writer.is_stopped() {
                return Err(StoreError("the writer has stopped".to_owned()).into());
            }
            room.look().await?;
            writer.recovered().await?;
        }
        Ok(self.heard(reads::ready(&self.reads).await)?)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }
}
