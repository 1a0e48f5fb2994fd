//! The store as plain maps: the specification that every database is compared with.
//!
//! A commit is checked first, in the order in which the databases check, and written after; so
//! nothing of a refused one remains. Nothing is durable. Leases run by the machine's clock, or by
//! one that a simulation brings.

use crate::memory_bills::MemoryBills;
use crate::secrets::may_hold_secret;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tongbao_core::{
    Attempt, Changes, Charge, ChargeWrite, Delivery, DeliveryState, Endpoint, Job, JobChange,
    JobKind, Loaded, NewJob, ProviderReply, Refund, RefusedNotice, ReplyKind, Scope, Target,
};
use tongbao_engine::{
    ApiKey, BillShelf, ChargeFilter, Commit, CommitError, DeliveryFilter, EventFilter,
    IdempotencyRow, IdempotencyStep, KeptSecret, LoadedDelivery, Page, RefundFilter, SecretPlace,
    Store, StoreError, StoredEvent,
};
use tongbao_types::{
    AccountName, ApiKeyId, AppName, AttemptId, Bug, ChargeId, DeliveryId, EndpointId, EventId,
    JobId, OutTradeNo, RefundId, Sealed, Span, Timestamp, is_planted,
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>, MemoryBills, LeaseClock);

/// What leases run by.
struct LeaseClock(Box<dyn Fn() -> Timestamp + Send + Sync>);

impl Default for LeaseClock {
    fn default() -> LeaseClock {
        LeaseClock(Box::new(machine_clock))
    }
}

impl fmt::Debug for LeaseClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseClock")
    }
}

#[derive(Debug, Default, Clone)]
struct State {
    charges: BTreeMap<ChargeId, Charge>,
    attempts: BTreeMap<(ChargeId, AttemptId), Attempt>,
    refunds: BTreeMap<RefundId, Refund>,
    refused: BTreeMap<(ChargeId, &'static str), RefusedNotice>,
    replies: BTreeMap<(ChargeId, ReplyKind), ProviderReply>,
    events: BTreeMap<EventId, StoredEvent>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    jobs: BTreeMap<JobId, KeptJob>,
    idempotency: BTreeMap<(Scope, String), IdempotencyRow>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
}

/// A job as it is kept, for whoever looks at the whole queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptJob {
    /// What is to be done.
    pub kind: JobKind,
    /// Not before this moment.
    pub run_at: Timestamp,
    /// How many runs have begun.
    pub runs: u32,
    /// The fencing token of the last lease.
    pub epoch: i64,
    /// By the clock of leases; nothing while nobody holds it.
    pub lease_until: Option<Timestamp>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store whose leases run by this clock.
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> MemoryStore {
        MemoryStore(Mutex::default(), MemoryBills::default(), LeaseClock(Box::new(clock)))
    }

    /// Every job, leased or not.
    pub fn jobs(&self) -> Vec<KeptJob> {
        self.state().jobs.values().cloned().collect()
    }

    /// Whoever fell while holding it had not begun to write: checks come first.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn machine_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl State {
    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        if let Some(IdempotencyStep::Begin(row)) = &commit.idempotency
            && self.idempotency.contains_key(&(row.scope.clone(), row.key.clone()))
        {
            return Err(CommitError::IdempotencyKeyTaken);
        }
        if let Some(changes) = &commit.changes {
            self.check_changes(changes)?;
        }
        if let Some(tried) = &commit.delivery_tried
            && !self.deliveries.contains_key(&tried.id)
            && commit.deliveries.iter().all(|new| new.id != tried.id)
        {
            return Err(CommitError::Stale);
        }
        self.check_leases(commit)?;
        if let Some(endpoint) = &commit.endpoint {
            let now = self.endpoints.get(&endpoint.id).map(|known| known.version);
            if now != endpoint.replaces() {
                return Err(CommitError::Stale);
            }
        }
        Ok(())
    }

    fn check_changes(&self, changes: &Changes) -> Result<(), CommitError> {
        let charge = &changes.charge;
        match changes.write {
            ChargeWrite::Insert => {
                let same = |other: &Charge| {
                    other.scope == charge.scope && other.order_no == charge.order_no
                };
                if self.charges.values().any(same) {
                    return Err(CommitError::OrderNoTaken);
                }
            }
            ChargeWrite::Update { from } => {
                let now = self.charges.get(&charge.id).map(|charge| charge.version);
                if now != Some(from) && !is_planted(Bug::StaleWriteAccepted) {
                    return Err(CommitError::Stale);
                }
            }
        }
        let mut numbers: BTreeSet<(&AccountName, &OutTradeNo)> = BTreeSet::new();
        for attempt in &changes.attempts {
            let place = (&attempt.account, &attempt.out_trade_no);
            let same = |other: &Attempt| (&other.account, &other.out_trade_no) == place;
            let is_new = changes.attempts_new.contains(&attempt.id);
            if is_new && (self.attempts.values().any(same) || !numbers.insert(place)) {
                return Err(CommitError::OutTradeNoTaken);
            }
        }
        for attempt in &changes.attempts {
            let is_changed = changes.attempts_changed.contains(&attempt.id);
            if is_changed && !self.attempts.contains_key(&(attempt.charge, attempt.id)) {
                return Err(CommitError::Stale);
            }
        }
        self.check_refunds(changes)?;
        let told = |sequence| {
            let mut all = self.events.values();
            all.any(|e| e.event.charge == charge.id && e.event.sequence == sequence)
        };
        let may_repeat = is_planted(Bug::StaleWriteAccepted);
        if changes.events.iter().any(|event| told(event.sequence)) && !may_repeat {
            return Err(CommitError::Stale);
        }
        Ok(())
    }

    fn check_refunds(&self, changes: &Changes) -> Result<(), CommitError> {
        let is_new = |refund: &&Refund| changes.refunds_new.contains(&refund.id);
        let new: Vec<&Refund> = changes.refunds.iter().filter(is_new).collect();
        for (at, refund) in new.iter().enumerate() {
            let mut others = self.refunds.values().chain(new[..at].iter().copied());
            let same_no =
                |other: &Refund| other.scope == refund.scope && other.refund_no == refund.refund_no;
            if others.clone().any(same_no) {
                return Err(CommitError::RefundNoTaken);
            }
            let same_out_no = |other: &Refund| {
                other.account == refund.account && other.out_refund_no == refund.out_refund_no
            };
            if others.any(same_out_no) {
                return Err(CommitError::OutRefundNoTaken);
            }
        }
        for refund in &changes.refunds {
            let is_changed = changes.refunds_changed.contains(&refund.id);
            if is_changed && !self.refunds.contains_key(&refund.id) {
                return Err(CommitError::Stale);
            }
        }
        Ok(())
    }

    /// A lease that a commit settles must hold when the commit begins, and is settled once.
    fn check_leases(&self, commit: &Commit) -> Result<(), CommitError> {
        let mut settled = BTreeSet::new();
        for change in jobs(commit) {
            let (id, epoch) = match change {
                JobChange::Finish { id, epoch } | JobChange::Again { id, epoch, .. } => (id, epoch),
                JobChange::Put(_) | JobChange::Hasten(_) | JobChange::Drop(_) => continue,
            };
            let is_held = |job: &KeptJob| job.epoch == *epoch || is_planted(Bug::LeaseWithoutEpoch);
            let holds = self.jobs.get(id).is_some_and(is_held);
            if !holds || !settled.insert(*id) {
                return Err(CommitError::LeaseLost);
            }
        }
        Ok(())
    }

    fn write(&mut self, commit: Commit) {
        self.settle_leases(&commit);
        for change in jobs(&commit) {
            match change {
                JobChange::Put(job) => self.put(job),
                JobChange::Hasten(job) => self.hasten(job),
                JobChange::Drop(kind) => self.jobs.retain(|_, job| job.kind.key() != kind.key()),
                JobChange::Finish { .. } | JobChange::Again { .. } => {}
            }
        }
        if let Some(step) = commit.idempotency {
            self.step(step);
        }
        if let Some(changes) = commit.changes {
            self.write_changes(changes, commit.event_bodies);
        }
        for delivery in commit.deliveries.into_iter().chain(commit.delivery_tried) {
            self.deliveries.insert(delivery.id, delivery);
        }
        if let Some(notice) = commit.refused {
            let key = (notice.charge, notice.code.as_str());
            let before = self.refused.get(&key).map_or(0, |known| known.count);
            let count = before + notice.count;
            self.refused.insert(key, RefusedNotice { count, ..notice });
        }
        if let Some(reply) = commit.provider_reply {
            self.replies.insert((reply.charge, reply.kind), reply);
        }
        if let Some(endpoint) = commit.endpoint {
            self.endpoints.insert(endpoint.id, endpoint);
        }
        if let Some(gone) = commit.endpoint_gone {
            self.remove_endpoint(gone);
        }
    }

    /// Leases are settled before promises are made or dropped, whatever the order in the commit: a
    /// job may finish and be promised anew at once, or finish by finding that it has no object.
    fn settle_leases(&mut self, commit: &Commit) {
        for change in jobs(commit) {
            match change {
                JobChange::Finish { id, .. } => {
                    self.jobs.remove(id);
                }
                JobChange::Again { id, run_at, .. } => {
                    if let Some(job) = self.jobs.get_mut(id) {
                        job.run_at = *run_at;
                        job.epoch += 1;
                        job.lease_until = None;
                    }
                }
                JobChange::Put(_) | JobChange::Hasten(_) | JobChange::Drop(_) => {}
            }
        }
    }

    fn put(&mut self, job: &NewJob) {
        if self.jobs.values().all(|known| known.kind.key() != job.kind.key()) {
            let NewJob { id, kind, run_at } = *job;
            let kept = KeptJob { kind, run_at, runs: 0, epoch: 0, lease_until: None };
            self.jobs.insert(id, kept);
        }
    }

    /// A job that somebody leased, even if the lease has ended since, was due already.
    fn hasten(&mut self, job: &NewJob) {
        let is_it = |known: &&mut KeptJob| known.kind.key() == job.kind.key();
        match self.jobs.values_mut().find(is_it) {
            None => self.put(job),
            Some(known) if known.lease_until.is_none() => {
                known.run_at = known.run_at.min(job.run_at);
            }
            Some(_) => {}
        }
    }

    fn step(&mut self, step: IdempotencyStep) {
        match step {
            IdempotencyStep::Begin(row) => {
                self.idempotency.insert((row.scope.clone(), row.key.clone()), row);
            }
            IdempotencyStep::Done { scope, key, status, body } => {
                if let Some(row) = self.idempotency.get_mut(&(scope, key)) {
                    row.reply = Some((status, body));
                }
            }
            IdempotencyStep::Forget { scope, key } => {
                self.idempotency.remove(&(scope, key));
            }
        }
    }

    fn write_changes(&mut self, changes: Changes, bodies: Vec<String>) {
        for attempt in changes.attempts {
            let is_new = changes.attempts_new.contains(&attempt.id);
            if is_new || changes.attempts_changed.contains(&attempt.id) {
                self.attempts.insert((attempt.charge, attempt.id), attempt);
            }
        }
        for refund in changes.refunds {
            let is_new = changes.refunds_new.contains(&refund.id);
            if is_new || changes.refunds_changed.contains(&refund.id) {
                self.refunds.insert(refund.id, refund);
            }
        }
        let bodies = bodies.into_iter().chain(std::iter::repeat(String::new()));
        for (event, body) in changes.events.into_iter().zip(bodies) {
            self.events.insert(event.id, StoredEvent { event, body });
        }
        self.charges.insert(changes.charge.id, changes.charge);
    }

    fn remove_endpoint(&mut self, gone: EndpointId) {
        self.endpoints.remove(&gone);
        let is_open = |delivery: &Delivery| {
            delivery.target == Target::Endpoint(gone)
                && matches!(delivery.state, DeliveryState::Pending { .. })
        };
        let open: Vec<DeliveryId> =
            self.deliveries.values().filter(|d| is_open(d)).map(|d| d.id).collect();
        for id in open {
            self.deliveries.remove(&id);
            self.jobs.retain(|_, job| job.kind != JobKind::Deliver(id));
        }
    }

    fn loaded(&self, charge: &Charge) -> Loaded {
        let (first, last) = (AttemptId::from_uuid(uuid::Uuid::nil()), uuid::Uuid::max());
        let all = (charge.id, first)..=(charge.id, AttemptId::from_uuid(last));
        Loaded {
            charge: charge.clone(),
            attempts: self.attempts.range(all).map(|(_, attempt)| attempt.clone()).collect(),
            refunds: self.refunds_of(charge),
            refused: Vec::new(),
        }
    }

    /// A charge that counts none has none.
    fn refunds_of(&self, charge: &Charge) -> Vec<Refund> {
        if charge.refunds == 0 {
            return Vec::new();
        }
        self.refunds.values().filter(|refund| refund.charge == charge.id).cloned().collect()
    }

    fn loaded_with_refused(&self, charge: &Charge) -> Loaded {
        let about = |notice: &&RefusedNotice| notice.charge == charge.id;
        let refused = self.refused.values().filter(about).cloned().collect();
        Loaded { refused, ..self.loaded(charge) }
    }
}

fn is_free(job: &KeptJob, clock: Timestamp) -> bool {
    let is_over = |until| until <= clock && !is_planted(Bug::JobDroppedAfterCrash);
    job.lease_until.is_none_or(is_over)
}

fn jobs(commit: &Commit) -> impl Iterator<Item = &JobChange> {
    let first = commit.changes.iter().flat_map(|changes| &changes.jobs);
    first.chain(&commit.jobs)
}

/// A page of what is in the order of ids.
fn paged<Id: Copy + Ord, T>(all: impl Iterator<Item = (Id, T)>, page: Page<Id>) -> Vec<T> {
    let between = |id: Id| {
        page.starting_after.is_none_or(|after| id < after)
            && page.ending_before.is_none_or(|before| id > before)
    };
    let all: Vec<T> = all.filter(|(id, _)| between(*id)).map(|(_, value)| value).collect();
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let skipped = all.len().saturating_sub(limit);
    let mut part: Vec<T> = match page.ending_before {
        Some(_) => all.into_iter().take(limit).collect(),
        None => all.into_iter().skip(skipped).collect(),
    };
    part.reverse();
    part
}

/// Puts a new text where the kept one still stands.
fn replace<T>(
    found: Option<&mut T>,
    kept: &KeptSecret,
    anew: impl FnOnce() -> T,
    text: impl FnOnce(&T) -> &str,
) -> bool {
    let Some(found) = found else { return false };
    let still = text(found) == kept.text.as_text();
    if still {
        *found = anew();
    }
    still
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let mut state = self.state();
        state.check(&commit)?;
        state.write(commit);
        Ok(())
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), CommitError> {
        let mut state = self.state();
        let mut draft = state.clone();
        for commit in commits {
            draft.check(&commit)?;
            draft.write(commit);
        }
        *state = draft;
        Ok(())
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Loaded>, StoreError> {
        let state = self.state();
        Ok(state.charges.get(&id).map(|charge| state.loaded_with_refused(charge)))
    }

    async fn charge_by_out_trade_no(
        &self,
        account: &AccountName,
        number: &OutTradeNo,
    ) -> Result<Option<Loaded>, StoreError> {
        let state = self.state();
        let is_ours = |a: &Attempt| a.account == *account || is_planted(Bug::AccountUnchecked);
        let is_it = |a: &&Attempt| is_ours(a) && a.out_trade_no == *number;
        let found = state.attempts.values().find(is_it);
        let charge = found.and_then(|attempt| state.charges.get(&attempt.charge));
        Ok(charge.map(|charge| state.loaded(charge)))
    }

    async fn charges(
        &self,
        scope: &Scope,
        filter: &ChargeFilter,
        page: Page<ChargeId>,
    ) -> Result<Vec<Loaded>, StoreError> {
        let state = self.state();
        let fits = |loaded: &Loaded| {
            let Loaded { charge, attempts, .. } = loaded;
            let through = |channel| attempts.iter().any(|attempt| attempt.channel == channel);
            charge.scope == *scope
                && filter.order_no.as_ref().is_none_or(|order_no| *order_no == charge.order_no)
                && filter.status.as_deref().is_none_or(|status| status == charge.state.status())
                && filter.channel.is_none_or(through)
                && filter.created_after.is_none_or(|after| charge.created_at >= after)
                && filter.created_before.is_none_or(|before| charge.created_at < before)
        };
        let all = state.charges.values().map(|charge| state.loaded_with_refused(charge));
        let fitting = all.filter(fits).map(|loaded| (loaded.charge.id, loaded));
        Ok(paged(fitting, page))
    }

    async fn provider_replies(&self, charge: ChargeId) -> Result<Vec<ProviderReply>, StoreError> {
        let state = self.state();
        let all = (charge, ReplyKind::Order)..=(charge, ReplyKind::RefundQuery);
        Ok(state.replies.range(all).map(|(_, reply)| reply.clone()).collect())
    }

    async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(self.state().refunds.get(&id).cloned())
    }

    async fn refunds(
        &self,
        scope: &Scope,
        filter: &RefundFilter,
        page: Page<RefundId>,
    ) -> Result<Vec<Refund>, StoreError> {
        let state = self.state();
        let fits = |refund: &&Refund| {
            refund.scope == *scope
                && filter.charge.is_none_or(|charge| charge == refund.charge)
                && filter.refund_no.as_ref().is_none_or(|number| *number == refund.refund_no)
                && filter.status.as_deref().is_none_or(|status| status == refund.state.status())
                && filter.created_after.is_none_or(|after| refund.created_at >= after)
                && filter.created_before.is_none_or(|before| refund.created_at < before)
        };
        let fitting = state.refunds.values().filter(fits);
        Ok(paged(fitting.map(|refund| (refund.id, refund.clone())), page))
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        let state = self.state();
        Ok(state.events.get(&id).filter(|stored| stored.event.scope == *scope).cloned())
    }

    async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let state = self.state();
        let fits = |stored: &&StoredEvent| {
            stored.event.scope == *scope
                && filter.charge.is_none_or(|charge| charge == stored.event.charge)
                && filter.kind.is_none_or(|kind| kind == stored.event.kind)
        };
        let fitting = state.events.values().filter(fits);
        Ok(paged(fitting.map(|stored| (stored.event.id, stored.clone())), page))
    }

    async fn endpoints(&self, scope: &Scope) -> Result<Vec<Endpoint>, StoreError> {
        let state = self.state();
        let newest_first = state.endpoints.values().rev();
        Ok(newest_first.filter(|endpoint| endpoint.scope == *scope).cloned().collect())
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<LoadedDelivery>, StoreError> {
        let state = self.state();
        let Some(delivery) = state.deliveries.get(&id) else { return Ok(None) };
        let event = state.events.get(&delivery.event);
        Ok(event.map(|event| LoadedDelivery {
            delivery: delivery.clone(),
            event: event.clone(),
            endpoint: match delivery.target {
                Target::Endpoint(id) => state.endpoints.get(&id).cloned(),
                Target::Callback(_) => None,
            },
        }))
    }

    async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<Delivery>, StoreError> {
        let state = self.state();
        let fits = |delivery: &&Delivery| {
            delivery.scope == *scope
                && filter.endpoint.is_none_or(|id| delivery.target == Target::Endpoint(id))
                && filter.event.is_none_or(|event| event == delivery.event)
                && filter.status.as_deref().is_none_or(|word| word == delivery.state.status())
        };
        let fitting = state.deliveries.values().filter(fits);
        Ok(paged(fitting.map(|delivery| (delivery.id, delivery.clone())), page))
    }

    async fn claim(&self, now: Timestamp, lease: Span, limit: u32) -> Result<Vec<Job>, StoreError> {
        let clock = self.2.0();
        let mut state = self.state();
        let is_due = |job: &KeptJob| job.run_at <= now && is_free(job, clock);
        let due = state.jobs.iter().filter(|(_, job)| is_due(job));
        let mut due: Vec<(Timestamp, JobId)> = due.map(|(id, job)| (job.run_at, *id)).collect();
        due.sort();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let until = clock + lease;
        let mut claimed = Vec::new();
        for (run_at, id) in due {
            let Some(job) = state.jobs.get_mut(&id) else { continue };
            job.epoch += 1;
            job.lease_until = Some(until);
            claimed.push(Job { id, kind: job.kind, run_at, runs: job.runs, epoch: job.epoch });
            job.runs += 1;
        }
        Ok(claimed)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let clock = self.2.0();
        let state = self.state();
        Ok(state.jobs.values().filter(|job| is_free(job, clock)).map(|job| job.run_at).min())
    }

    async fn idempotency(
        &self,
        scope: &Scope,
        key: &str,
    ) -> Result<Option<IdempotencyRow>, StoreError> {
        Ok(self.state().idempotency.get(&(scope.clone(), key.to_owned())).cloned())
    }

    async fn all_endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Ok(self.state().endpoints.values().cloned().collect())
    }

    async fn secret_replies(&self) -> Result<Vec<KeptSecret>, StoreError> {
        let state = self.state();
        let replies = state.idempotency.values().filter_map(|row| {
            let (_, body) = row.reply.as_ref().filter(|(_, body)| may_hold_secret(body))?;
            let (scope, key) = (row.scope.clone(), row.key.clone());
            let place = SecretPlace::Reply { scope, key };
            Some(KeptSecret { place, text: Sealed::from_text(body.clone()) })
        });
        Ok(replies.collect())
    }

    async fn reseal(&self, kept: &KeptSecret, anew: &Sealed) -> Result<bool, StoreError> {
        let mut state = self.state();
        let anew = anew.as_text().to_owned();
        match &kept.place {
            SecretPlace::Endpoint(id) | SecretPlace::EndpointOld(id) => {
                let Some(endpoint) = state.endpoints.get_mut(id) else { return Ok(false) };
                let found = match kept.place {
                    SecretPlace::Endpoint(_) => Some(&mut endpoint.secret),
                    _ => endpoint.secret_old.as_mut().map(|(secret, _)| secret),
                };
                let done = replace(found, kept, || Sealed::from_text(anew), Sealed::as_text);
                endpoint.version += i64::from(done);
                Ok(done)
            }
            SecretPlace::Reply { scope, key } => {
                let found = state.idempotency.get_mut(&(scope.clone(), key.clone()));
                let found = found.and_then(|row| row.reply.as_mut()).map(|(_, body)| body);
                Ok(replace(found, kept, || anew, String::as_str))
            }
        }
    }

    async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.state().api_keys.values().find(|key| key.hash == hash).cloned())
    }

    async fn api_keys(&self, app: &AppName) -> Result<Vec<ApiKey>, StoreError> {
        let state = self.state();
        let newest_first = state.api_keys.values().rev();
        Ok(newest_first.filter(|key| key.scope.app == *app).cloned().collect())
    }

    async fn save_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.state().api_keys.insert(key.id, key.clone());
        Ok(())
    }

    fn bills(&self) -> &dyn BillShelf {
        &self.1
    }

    async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut state = self.state();
        let all = state.idempotency.len();
        state.idempotency.retain(|_, row| row.created_at >= before);
        Ok((all - state.idempotency.len()) as u64)
    }

    async fn ready(&self) -> Result<(), CommitError> {
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}
