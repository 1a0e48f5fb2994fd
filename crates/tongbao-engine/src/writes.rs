//! Writing a decision: its events rendered, its deliveries added, then one commit; afterwards the
//! watchers and the job runner are told.

use crate::idempotency::keep;
use crate::replies::Answering;
use crate::{
    Commit, CommitError, Engine, Error, IdempotencyRow, IdempotencyStep, StoreError, planted, views,
};
use tongbao_core::rules::{deliveries_for, observe, observe_refund};
use tongbao_core::{Changes, Delivery, Job, JobChange, Loaded, Mismatch, Observation, RefundFact};
use tongbao_types::{AttemptId, Bug, ChargeId, Mint, RefundId, Timestamp, is_planted};

/// What else goes into the same commit.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    /// The job that led here; it is finished, unless the decision drops it.
    pub(crate) finish: Option<&'a Job>,
    /// Other jobs beside those of the decision.
    pub(crate) jobs: Vec<JobChange>,
    /// An idempotent request that begins.
    pub(crate) begin: Option<IdempotencyRow>,
    /// An idempotent request whose reply is the state after the decision.
    pub(crate) keep: Option<Answering<'a>>,
}

/// A decision with all that is written together with it.
struct Prepared {
    commit: Commit,
    after: Loaded,
    /// When the first of its jobs falls due.
    soonest: Option<Timestamp>,
}

/// How an observation went.
#[derive(Debug)]
pub(crate) enum Observed {
    /// Something new was written, or nothing was new; this is the state now.
    Now(Box<Loaded>),
    /// It contradicts the order and is not believed.
    Mismatch(Mismatch),
}

/// Whoever comes second decides again; so often, then the caller shall.
pub(crate) const DECISIONS_MAX: usize = 16;

impl Engine {
    /// Loads a charge of any scope.
    pub(crate) async fn load(&self, id: ChargeId) -> Result<Loaded, Error> {
        self.store().charge(id).await?.ok_or_else(|| Error::not_found("charge"))
    }

    /// Writes a decision and returns the state after it.
    pub(crate) async fn write(
        &self,
        changes: Changes,
        beside: &Beside<'_>,
        mint: &mut Mint,
    ) -> Result<Loaded, CommitError> {
        let Prepared { mut commit, after, soonest } =
            self.prepare_commit(changes, beside, mint).await?;
        let later = planted::apart(&mut commit);
        self.store().commit(commit).await?;
        if let Some(later) = later {
            self.store().commit(later).await?;
        }
        if !self.store().is_shared() {
            self.recent().written(&after);
        }
        self.watchers().tell(after.charge.id);
        if let Some(run_at) = soonest {
            self.runner().promised(run_at);
        }
        Ok(after)
    }

    /// Writes decisions about new charges, all or none.
    pub(crate) async fn write_all(
        &self,
        all: Vec<Changes>,
        mint: &mut Mint,
    ) -> Result<(), CommitError> {
        let mut commits = Vec::with_capacity(all.len());
        let mut first = None;
        for changes in all {
            let prepared = self.prepare_commit(changes, &Beside::default(), mint).await?;
            first = first.into_iter().chain(prepared.soonest).min();
            commits.push(prepared.commit);
        }
        self.store().commit_all(commits).await?;
        if let Some(run_at) = first {
            self.runner().promised(run_at);
        }
        Ok(())
    }

    async fn prepare_commit(
        &self,
        changes: Changes,
        beside: &Beside<'_>,
        mint: &mut Mint,
    ) -> Result<Prepared, StoreError> {
        let after = changes.after();
        let event_bodies = views::event_bodies(&changes.events, &after, self.public_url());
        let (deliveries, mut jobs) = self.new_deliveries(&changes, mint).await?;
        jobs.extend(beside.jobs_with(Some(&changes)));
        let soonest = soonest(&changes.jobs, &jobs);
        let idempotency = beside.step(&after, self.public_url());
        let changes = Some(changes);
        let commit =
            Commit { changes, event_bodies, deliveries, jobs, idempotency, ..Commit::default() };
        Ok(Prepared { commit, after, soonest })
    }

    async fn new_deliveries(
        &self,
        changes: &Changes,
        mint: &mut Mint,
    ) -> Result<(Vec<Delivery>, Vec<JobChange>), StoreError> {
        if changes.events.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let endpoints = self.endpoints_of(&changes.charge.scope).await?;
        let charge = &changes.charge;
        let callbacks = |kind| match charge.profile {
            Some(_) if !is_planted(Bug::CallbackForgotten) => {
                self.callbacks().caused_by(kind, charge)
            }
            _ => Vec::new(),
        };
        Ok(deliveries_for(&changes.events, &endpoints, callbacks, mint))
    }

    /// Decides on an observation and writes it, again as often as somebody else was quicker.
    pub(crate) async fn observe(
        &self,
        loaded: Loaded,
        attempt: AttemptId,
        observation: &Observation,
        beside: &Beside<'_>,
    ) -> Result<Observed, Error> {
        let policy = self.policy(&loaded.charge.scope.app);
        let decide = |loaded: &Loaded, mint: &mut Mint| {
            observe(loaded, attempt, observation.clone(), &policy, mint)
        };
        self.decide(loaded, decide, beside).await
    }

    /// The same for what was said about a refund.
    pub(crate) async fn observe_refund(
        &self,
        loaded: Loaded,
        refund: RefundId,
        fact: &RefundFact,
        beside: &Beside<'_>,
    ) -> Result<Observed, Error> {
        let decide =
            |loaded: &Loaded, mint: &mut Mint| observe_refund(loaded, refund, fact.clone(), mint);
        self.decide(loaded, decide, beside).await
    }

    async fn decide(
        &self,
        mut loaded: Loaded,
        decide: impl Fn(&Loaded, &mut Mint) -> Result<Option<Changes>, Mismatch> + Send,
        beside: &Beside<'_>,
    ) -> Result<Observed, Error> {
        for _ in 0..DECISIONS_MAX {
            let mut mint = self.mint();
            let id = loaded.charge.id;
            let decided = decide(&loaded, &mut mint);
            let written = match decided {
                Err(mismatch) => return Ok(Observed::Mismatch(mismatch)),
                Ok(None) => return self.write_beside(loaded, beside).await.map(Observed::now),
                Ok(Some(changes)) => self.write(changes, beside, &mut mint).await,
            };
            match written {
                Ok(after) => return Ok(Observed::now(after)),
                Err(CommitError::Stale) => loaded = self.load(id).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Stale.into())
    }

    /// As [`Engine::observe`]; a contradiction leaves its reason at the charge. `None`: so it was,
    /// and nothing else was written, nor anything beside it.
    pub(crate) async fn conclude(
        &self,
        loaded: Loaded,
        attempt: AttemptId,
        observation: &Observation,
        beside: &Beside<'_>,
    ) -> Result<Option<Loaded>, Error> {
        let charge = loaded.charge.id;
        match self.observe(loaded, attempt, observation, beside).await? {
            Observed::Now(now) => Ok(Some(*now)),
            Observed::Mismatch(Mismatch { code, reason }) => {
                self.record_refusal(charge, (code, reason), None).await?;
                Ok(None)
            }
        }
    }

    /// Writes what goes beside a decision that had nothing to write itself.
    async fn write_beside(&self, loaded: Loaded, beside: &Beside<'_>) -> Result<Loaded, Error> {
        let idempotency = beside.step(&loaded, self.public_url());
        let jobs = beside.jobs_with(None);
        if idempotency.is_some() || !jobs.is_empty() {
            let soonest = soonest(&jobs, &[]);
            let commit = Commit { jobs, idempotency, ..Commit::default() };
            self.store().commit(commit).await?;
            if let Some(run_at) = soonest {
                self.runner().promised(run_at);
            }
        }
        Ok(loaded)
    }
}

impl Beside<'_> {
    fn jobs_with(&self, changes: Option<&Changes>) -> Vec<JobChange> {
        let finish = self.finish.filter(|job| {
            let dropped = |changes: &Changes| changes.jobs.contains(&JobChange::Drop(job.kind));
            !changes.is_some_and(dropped)
        });
        let finish = finish.map(|job| JobChange::Finish { id: job.id, epoch: job.epoch });
        finish.into_iter().chain(self.jobs.iter().cloned()).collect()
    }

    fn step(&self, after: &Loaded, public_url: &str) -> Option<IdempotencyStep> {
        if let Some(row) = &self.begin {
            return Some(IdempotencyStep::Begin(row.clone()));
        }
        let answering = self.keep?;
        let (scope, key) = answering.key?;
        Some(keep(scope, key, &answering.reply(after, public_url)))
    }
}

impl Observed {
    fn now(loaded: Loaded) -> Observed {
        Observed::Now(Box::new(loaded))
    }
}

pub(crate) fn soonest(these: &[JobChange], those: &[JobChange]) -> Option<Timestamp> {
    let run_at = |change: &JobChange| match change {
        JobChange::Put(job) | JobChange::Hasten(job) => Some(job.run_at),
        JobChange::Again { run_at, .. } => Some(*run_at),
        JobChange::Drop(_) | JobChange::Finish { .. } => None,
    };
    these.iter().chain(those).filter_map(run_at).min()
}
