//! The clock, the dice, and a store that fails or stops where a test says.

use crate::provider::Gate;
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tongbao_core::{Delivery, Endpoint, Job, Loaded, ProviderReply, Refund, Scope};
use tongbao_crypt::digest;
use tongbao_engine::{
    ApiKey, ChargeFilter, Clock, Commit, CommitError, DeliveryFilter, Dice, EventFilter,
    IdempotencyRow, KeptSecret, LoadedDelivery, Page, RefundFilter, Store, StoreError, StoredEvent,
};
use tongbao_store::MemoryStore;
use tongbao_types::{
    AccountName, AppName, ChargeId, DeliveryId, EventId, OutTradeNo, RefundId, Sealed, Span,
    Timestamp,
};

/// Business time and real time, each moved by hand.
pub(crate) struct HandClock {
    now: AtomicI64,
    wall: AtomicI64,
}

impl HandClock {
    pub(crate) fn at(start: Timestamp) -> HandClock {
        let micros = start.as_micros();
        HandClock { now: AtomicI64::new(micros), wall: AtomicI64::new(micros) }
    }

    /// Time passes.
    pub(crate) fn advance(&self, span: Span) {
        self.now.fetch_add(span.as_micros(), Ordering::SeqCst);
        self.wall.fetch_add(span.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }
}

/// The same bytes in every run, none twice in one.
#[derive(Default)]
pub(crate) struct SeededDice(AtomicU64);

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(32) {
            let throw = self.0.fetch_add(1, Ordering::SeqCst);
            part.copy_from_slice(&digest::sha256(&throw.to_be_bytes())[..part.len()]);
        }
    }
}

/// What happens at the point where a [`Trap`] is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Whoever comes there never goes on: the process died.
    Stop,
    /// The store or the network fails there, once.
    Fail,
}

/// Counts the points at which the engine waits for the world, before and after each effect, and
/// stops or fails the engine at one of them.
#[derive(Default)]
pub(crate) struct Trap {
    set: Mutex<Option<(usize, Fate)>>,
    passed: AtomicUsize,
    pub(crate) sprung: Notify,
}

/// The trap said no.
pub(crate) struct Fallen;

impl Trap {
    /// At the `nth` point from now, counted from 0.
    pub(crate) fn set(&self, nth: usize, fate: Fate) {
        self.passed.store(0, Ordering::SeqCst);
        *self.set.lock().unwrap() = Some((nth, fate));
    }

    /// Takes the trap away; tells whether anybody fell into it.
    pub(crate) fn take(&self) -> bool {
        let set = self.set.lock().unwrap().take();
        set.is_some_and(|(nth, _)| self.passed.load(Ordering::SeqCst) > nth)
    }

    pub(crate) async fn pass(&self) -> Result<(), Fallen> {
        let number = self.passed.fetch_add(1, Ordering::SeqCst);
        let set = *self.set.lock().unwrap();
        match set {
            Some((nth, Fate::Fail)) if nth == number => Err(Fallen),
            Some((nth, Fate::Stop)) if nth <= number => {
                self.sprung.notify_one();
                std::future::pending().await
            }
            _ => Ok(()),
        }
    }
}

/// Longer than a run in memory takes.
pub(crate) const LEASE_OF_THE_DEAD: Span = Span::from_millis(20);

/// A [`MemoryStore`] that stops or fails in a trap and can be switched off.
#[derive(Default)]
pub(crate) struct TrappedStore {
    memory: MemoryStore,
    trap: Arc<Trap>,
    /// Nothing works while this is set.
    pub(crate) is_down: AtomicBool,
    /// Leases are as short as [`LEASE_OF_THE_DEAD`], since their holder will not live.
    pub(crate) forgets_leases: AtomicBool,
    pub(crate) n_commits: AtomicUsize,
    /// The next commit is written and called stale.
    pub(crate) calls_stale: AtomicBool,
    /// Whoever has read endpoints waits for this, so that a test can make all of them wait.
    pub(crate) endpoints_turn: tokio::sync::Mutex<()>,
    /// The next one who has read endpoints waits here.
    pub(crate) endpoints_gate: Mutex<Option<Arc<Gate>>>,
}

fn fallen(_: Fallen) -> StoreError {
    StoreError("the test pulled the plug".to_owned())
}

impl TrappedStore {
    async fn gate(&self) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(StoreError("switched off by the test".to_owned()));
        }
        self.trap.pass().await.map_err(fallen)
    }

    pub(crate) fn behind(trap: Arc<Trap>) -> TrappedStore {
        TrappedStore { trap, ..TrappedStore::default() }
    }

    async fn pass_endpoints_gate(&self) {
        let gate = self.endpoints_gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.wait().await;
        }
    }

    /// What is in the store, past all traps.
    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.memory
    }
}

#[async_trait]
impl Store for TrappedStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.gate().await?;
        self.memory.commit(commit).await?;
        self.n_commits.fetch_add(1, Ordering::SeqCst);
        if self.calls_stale.swap(false, Ordering::SeqCst) {
            return Err(CommitError::Stale);
        }
        Ok(self.gate().await?)
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), CommitError> {
        self.gate().await?;
        let count = commits.len();
        self.memory.commit_all(commits).await?;
        self.n_commits.fetch_add(count, Ordering::SeqCst);
        Ok(self.gate().await?)
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Loaded>, StoreError> {
        self.gate().await?;
        self.memory.charge(id).await
    }

    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError> {
        self.gate().await?;
        self.memory.charge_by_out_trade_no(account, number).await
    }

    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError> {
        self.gate().await?;
        self.memory.charges(scope, filter, page).await
    }

    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError> {
        self.gate().await?;
        self.memory.provider_replies(charge).await
    }

    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.gate().await?;
        self.memory.refund(id).await
    }

    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError> {
        self.gate().await?;
        self.memory.refunds(scope, filter, page).await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        self.gate().await?;
        self.memory.event(scope, id).await
    }

    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.gate().await?;
        self.memory.events(scope, filter, page).await
    }

    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError> {
        self.gate().await?;
        let read = self.memory.endpoints(scope).await;
        self.pass_endpoints_gate().await;
        let _turn = self.endpoints_turn.lock().await;
        read
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError> {
        self.gate().await?;
        self.memory.delivery(id).await
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.gate().await?;
        self.memory.deliveries(scope, filter, page).await
    }

    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.gate().await?;
        let forgets = self.forgets_leases.load(Ordering::SeqCst);
        let lease = if forgets { LEASE_OF_THE_DEAD } else { lease };
        self.memory.claim(now, lease, limit).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.gate().await?;
        self.memory.next_due().await
    }

    async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.gate().await?;
        let read = self.memory.all_endpoints().await;
        self.pass_endpoints_gate().await;
        read
    }

    async fn secret_replies(&self) -> Result<Vec<KeptSecret>, StoreError> {
        self.gate().await?;
        self.memory.secret_replies().await
    }

    async fn reseal(&self, kept: &KeptSecret, anew: &Sealed) -> Result<bool, StoreError> {
        self.gate().await?;
        self.memory.reseal(kept, anew).await
    }

    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        self.gate().await?;
        self.memory.idempotency(scope, key).await
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        self.gate().await?;
        self.memory.api_key(hash).await
    }

    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError> {
        self.gate().await?;
        self.memory.api_keys(app).await
    }

    async fn save_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.gate().await?;
        self.memory.save_api_key(key).await
    }

    fn bills(&self) -> &dyn tongbao_engine::BillShelf {
        self.memory.bills()
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.gate().await?;
        self.memory.prune(before).await
    }

    async fn ready(&self) -> Result<(), CommitError> {
        self.gate().await?;
        self.memory.ready().await
    }

    fn is_shared(&self) -> bool {
        false
    }
}
