//! The runner: leases due jobs, runs each in a task, sleeps until the next one is due.
//!
//! It asks the database only when something can be due: it remembers until when it sleeps, and
//! whoever promises something sooner wakes it. A million waiting jobs cost nothing.

use crate::{Engine, Error};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tongbao_core::{Job, JobChange, JobKind};
use tongbao_types::{Code, JobId, Span, Timestamp};

pub(crate) struct Runner {
    deliveries: Semaphore,
    sleeps_until: AtomicI64,
    pruned_at: AtomicI64,
    wake: Notify,
    under_way: Mutex<HashMap<JobId, Job>>,
}

impl Default for Runner {
    fn default() -> Runner {
        let (sleeps_until, pruned_at) = (AtomicI64::new(i64::MAX), AtomicI64::new(i64::MIN));
        let deliveries = Semaphore::new(DELIVERIES_AT_ONCE);
        let (wake, under_way) = (Notify::new(), Mutex::default());
        Runner { deliveries, sleeps_until, pruned_at, wake, under_way }
    }
}

impl Runner {
    /// A job was promised for this moment; wakes the runner if it would sleep longer.
    pub(crate) fn promised(&self, run_at: Timestamp) {
        let before = self.sleeps_until.fetch_min(run_at.as_micros(), Ordering::AcqRel);
        if run_at.as_micros() < before {
            self.wake.notify_one();
        }
    }

    fn wake(&self) {
        self.wake.notify_one();
    }

    fn begins(&self, job: &Job) {
        self.lock().insert(job.id, job.clone());
    }

    /// A lease may have been lost and won again meanwhile.
    fn ends(&self, job: &Job) {
        let mut under_way = self.lock();
        if under_way.get(&job.id).is_some_and(|other| other.epoch == job.epoch) {
            under_way.remove(&job.id);
        }
    }

    fn under_way(&self) -> Vec<Job> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Job>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many jobs run at once.
const AT_ONCE: usize = 256;
/// So many of them are deliveries: receivers that hang must not keep orders from being looked at.
const DELIVERIES_AT_ONCE: usize = 192;
/// A delivery that finds no place comes again after this.
const DELIVERY_WAITS: Span = Span::from_seconds(2);
/// Others may promise jobs in a shared database, so the longest sleep is short there.
const SLEEP_SHARED: Duration = Duration::from_secs(1);
const SLEEP_ALONE: Duration = Duration::from_secs(60);
const PRUNE_EVERY: Span = Span::from_seconds(3600);
/// Nobody repeats a request after so long.
const IDEMPOTENCY_KEYS_LIVE: Span = Span::from_seconds(7 * 86_400);
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Runs that are under way at the end have so long; a delivery may take as much.
const LAST_RUNS: Duration = Duration::from_secs(16);
/// And then so long to give back what is still under way.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Engine {
    /// Runs due jobs until `stop`; returns when those in flight are done or were given back.
    pub async fn run_jobs(&self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while !stop.is_cancelled() {
            let pause = self.run_due(&tasks, &places).await;
            if pause == Duration::ZERO {
                continue;
            }
            tokio::select! {
                // In this order, so that a run can be repeated exactly.
                biased;
                () = stop.cancelled() => {}
                () = self.runner().wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        tasks.close();
        if tokio::time::timeout(LAST_RUNS, tasks.wait()).await.is_err() {
            let _database_away = tokio::time::timeout(LAST_WORDS, self.give_all_back()).await;
        }
        self.write_all_refusals().await;
    }

    /// Time was moved: look for due jobs now.
    pub fn wake(&self) {
        self.runner().wake();
    }

    /// Starts what is due and says how long nothing will be.
    async fn run_due(&self, tasks: &TaskTracker, places: &Arc<Semaphore>) -> Duration {
        let free = u32::try_from(places.available_permits()).unwrap_or(0);
        if free == 0 {
            let _one_is_free = places.acquire().await;
            return Duration::ZERO;
        }
        self.runner().sleeps_until.store(i64::MAX, Ordering::Release);
        let now = self.clock().now();
        self.write_due_refusals(now).await;
        let claimed = match self.store().claim(now, self.lease(), free).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "due jobs cannot be asked for");
                return AFTER_AN_ERROR;
            }
        };
        if claimed.is_empty() {
            self.prune(now).await;
            return self.pause(now).await;
        }
        for job in claimed {
            let place = Arc::clone(places).acquire_owned().await;
            let engine = self.clone();
            tasks.spawn(async move {
                engine.runner().begins(&job);
                engine.run_leased(&job).await;
                engine.runner().ends(&job);
                drop(place);
                engine.runner().wake();
            });
        }
        Duration::ZERO
    }

    /// Once an hour, in a quiet moment: forgets what nobody will ask for any more.
    async fn prune(&self, now: Timestamp) {
        let pruned_at = &self.runner().pruned_at;
        let due = pruned_at.load(Ordering::Relaxed).saturating_add(PRUNE_EVERY.as_micros());
        if now.as_micros() < due {
            return;
        }
        pruned_at.store(now.as_micros(), Ordering::Relaxed);
        match self.store().prune(now - IDEMPOTENCY_KEYS_LIVE).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot old Idempotency-Keys"),
            Err(error) => tracing::warn!(%error, "old Idempotency-Keys cannot be forgotten"),
        }
    }

    async fn pause(&self, now: Timestamp) -> Duration {
        let most = if self.store().is_shared() { SLEEP_SHARED } else { SLEEP_ALONE };
        let next = self.store().next_due().await;
        match next.map(|job| job.into_iter().chain(self.refusals().next()).min()) {
            Ok(None) => most,
            Ok(Some(due)) => {
                let before =
                    self.runner().sleeps_until.fetch_min(due.as_micros(), Ordering::AcqRel);
                let due = due.as_micros().min(before);
                let rest = Timestamp::from_micros(due).since(now).std();
                rest.clamp(Duration::from_millis(1), most)
            }
            Err(error) => {
                tracing::error!(%error, "the next due job cannot be asked for");
                AFTER_AN_ERROR
            }
        }
    }

    /// One run. A job that fails is put off; a job that dies is leased again when its lease ends.
    async fn run_leased(&self, job: &Job) {
        let is_delivery = matches!(job.kind, JobKind::Deliver(_));
        let place = is_delivery.then(|| self.runner().deliveries.try_acquire());
        let done = match place {
            Some(Err(_)) => self.put_off_delivery(job).await,
            _ => self.run_job(job).await,
        };
        let Err(error) = done else { return };
        let name = job.kind.name();
        if error.code == Code::Conflict {
            // Somebody else was quicker, which is how it should be.
            tracing::debug!(job.kind = name, job.id = %job.id, %error, "put off");
        } else {
            let runs = job.runs;
            tracing::warn!(job.kind = name, job.id = %job.id, job.runs = runs, %error, "put off");
        }
        // The job is not to blame for a database that was away.
        let runs = if error.code == Code::Unavailable { 0 } else { job.runs.min(8) };
        let wait = Span::from_seconds(2).times(1_i64 << runs);
        let again = JobChange::Again {
            id: job.id,
            epoch: job.epoch,
            run_at: self.clock().now() + wait,
            error: Some(error.to_string()),
        };
        let given_back = tokio::time::timeout(self.lease().std(), self.give_back(again)).await;
        if !matches!(given_back, Ok(Ok(()))) {
            tracing::debug!(job.id = %job.id, "the job is not ours any more");
        }
    }

    /// The database may be what is away: then the job shall not wait for the end of its lease once
    /// it is there again.
    async fn give_back(&self, job: JobChange) -> Result<(), Error> {
        loop {
            match self.settle(job.clone()).await {
                Err(error) if error.code == Code::Unavailable => {
                    tokio::time::sleep(AFTER_AN_ERROR).await;
                }
                given_back => return given_back,
            }
        }
    }

    /// At the end: runs that nobody waits for any longer are given back, to be run again at once
    /// by another instance or by the next process. Each may run twice.
    async fn give_all_back(&self) {
        let jobs = self.runner().under_way();
        if jobs.is_empty() {
            return;
        }
        tracing::warn!(count = jobs.len(), "jobs were still under way and are given back");
        let run_at = self.clock().now();
        for job in jobs {
            let again = JobChange::Again { id: job.id, epoch: job.epoch, run_at, error: None };
            if let Err(error) = self.settle(again).await {
                tracing::debug!(job.id = %job.id, %error, "the job is not ours any more");
            }
        }
    }

    async fn put_off_delivery(&self, job: &Job) -> Result<(), Error> {
        let run_at = self.clock().now() + DELIVERY_WAITS;
        let error = Some("too many deliveries were under way".to_owned());
        self.settle(JobChange::Again { id: job.id, epoch: job.epoch, run_at, error }).await
    }
}
