//! Looks at one order until it is paid or its time is over; then gives it up.
//!
//! Safe to run twice because a look only asks, and what it finds goes through `observe`, which
//! finds nothing new the second time.

use super::{CONTRADICTION, finish};
use crate::attempts::offered;
use crate::charges::is_still_open;
use crate::orders::Learnt;
use crate::writes::Beside;
use crate::{CommitError, Engine, Error};
use tongbao_channels::Doubt;
use tongbao_core::rules::{look_begins, look_found_nothing};
use tongbao_core::{Attempt, AttemptState, Fact, Job, JobChange, Loaded, NextLook, Source};
use tongbao_types::{AttemptId, Bug, ChargeId, is_planted};

impl Engine {
    pub(super) async fn poll_attempt(
        &self,
        job: &Job,
        charge: ChargeId,
        attempt: AttemptId,
    ) -> Result<(), Error> {
        let loaded = self.load(charge).await?;
        let Some(attempt) = loaded.attempt(attempt).cloned() else {
            return self.settle(finish(job)).await;
        };
        match attempt.state {
            AttemptState::Placing | AttemptState::Awaiting => {
                self.look_once(job, loaded, &attempt).await
            }
            AttemptState::Closed { .. } | AttemptState::Failed { .. } => {
                self.look_late(job, loaded, &attempt).await
            }
            _ => self.settle(finish(job)).await,
        }
    }

    async fn look_once(&self, job: &Job, loaded: Loaded, attempt: &Attempt) -> Result<(), Error> {
        let mut mint = self.mint();
        let loaded = match look_begins(loaded.clone(), attempt, &mut mint) {
            None => loaded,
            Some(changes) => self.write(changes, &Beside::default(), &mut mint).await?,
        };
        let learnt = self.look_within_ttl(&loaded, attempt).await;
        let mut why = learnt.why_nothing();
        let mut loaded = loaded;
        if let Learnt::Fact(fact) = learnt {
            let ends = !is_still_open(&fact);
            let offered = (attempt.id, offered(&fact));
            let observation = Self::observation(attempt, Source::Poll, fact);
            let beside = Beside { finish: ends.then_some(job), ..Beside::default() };
            let now = self.conclude(loaded, attempt.id, &observation, &beside).await?;
            loaded = match self.place_anew_if_overtaken(now, offered, &Beside::default()).await? {
                Some(_) if ends => return Ok(()),
                Some(now) => now,
                None => {
                    why = Some(CONTRADICTION.to_owned());
                    self.load(attempt.charge).await?
                }
            };
        }
        self.look_again_or_close(job, loaded, attempt, why).await
    }

    async fn look_within_ttl(&self, loaded: &Loaded, attempt: &Attempt) -> Learnt {
        let nothing = |reason: String| Learnt::Nothing(Doubt { reason, keys_may_help: false });
        let account = match self.account_of(attempt) {
            Ok(account) => account,
            Err(error) => return nothing(error.to_string()),
        };
        let ttl = self.polling().ttl.std();
        let look = tokio::time::timeout(ttl, self.look(&account, loaded, attempt)).await;
        look.unwrap_or_else(|_| nothing(format!("the look took longer than {ttl:?}")))
    }

    /// The look found nothing paid. `why` is set if it got no answer at all.
    async fn look_again_or_close(
        &self,
        job: &Job,
        mut loaded: Loaded,
        attempt: &Attempt,
        why: Option<String>,
    ) -> Result<(), Error> {
        let id = loaded.charge.id;
        let next = loop {
            let is_open = loaded.attempt(attempt.id).is_some_and(|now| now.state.is_open());
            if is_planted(Bug::PollEndsAtFirstError) && why.is_some() {
                return self.settle(finish(job)).await;
            }
            if !loaded.charge.state.is_pending() || !is_open {
                if attempt.state == AttemptState::Placing && why.is_some() {
                    self.look_if_closed(id, attempt.id).await?;
                }
                return self.settle(finish(job)).await;
            }
            let now = self.clock().now();
            let next = self.polling().after(job.runs + 1, &loaded.charge, attempt, now);
            let again = |run_at| JobChange::Again {
                id: job.id,
                epoch: job.epoch,
                run_at,
                error: why.clone(),
            };
            let jobs = match next {
                NextLook::At(run_at) => vec![again(run_at)],
                NextLook::Close => Vec::new(),
            };
            let mut mint = self.mint();
            let changes = look_found_nothing(loaded, next, &mut mint);
            let beside = Beside { jobs, ..Beside::default() };
            match self.write(changes, &beside, &mut mint).await {
                Ok(_) => break next,
                Err(CommitError::Stale) => loaded = self.load(id).await?,
                Err(error) => return Err(error.into()),
            }
        };
        if next == NextLook::Close {
            self.give_up(id, attempt.id).await?;
        }
        Ok(())
    }

    /// One look at an order that was closed here while the provider did not know it yet, or about
    /// which something was said after its end. News would be a payment, or that it is open.
    async fn look_late(&self, job: &Job, loaded: Loaded, attempt: &Attempt) -> Result<(), Error> {
        let account = self.account_of(attempt)?;
        match self.query(&account, attempt).await {
            Learnt::Fact(fact @ (Fact::Paid(_) | Fact::Awaiting(_))) => {
                let observation = Self::observation(attempt, Source::Poll, fact);
                let beside = Beside { finish: Some(job), ..Beside::default() };
                match self.conclude(loaded, attempt.id, &observation, &beside).await? {
                    Some(_) => Ok(()),
                    None => self.settle(finish(job)).await,
                }
            }
            Learnt::Fact(_) => self.settle(finish(job)).await,
            nothing => {
                nothing.into_fact(account.adapter.provider())?;
                Ok(())
            }
        }
    }
}
