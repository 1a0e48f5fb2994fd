//! Closes one order at its provider, as often as it takes to be certain.
//!
//! Safe to run twice because closing a closed order changes nothing at either provider, and what
//! is learnt goes through `observe`. An order that the provider finds too young to be closed is
//! closed when it is old enough.

use super::{CONTRADICTION, finish};
use crate::accounts::Entry;
use crate::charges::is_still_open;
use crate::orders::Learnt;
use crate::writes::Beside;
use crate::{Engine, Error};
use tongbao_core::{Attempt, AttemptState, Fact, Job, JobChange, Source};
use tongbao_types::{AttemptId, ChargeId, Span, Timestamp};

impl Engine {
    pub(super) async fn close_attempt(
        &self,
        job: &Job,
        charge: ChargeId,
        attempt: AttemptId,
    ) -> Result<(), Error> {
        let loaded = self.load(charge).await?;
        let attempt = loaded.attempt(attempt).cloned();
        // One that is closed has this job only if it was seen open since.
        let is_to_close = |attempt: &Attempt| {
            matches!(attempt.state, AttemptState::Closing | AttemptState::Closed { .. })
        };
        let Some(attempt) = attempt.filter(is_to_close) else {
            return self.settle(finish(job)).await;
        };
        let account = self.account_of(&attempt)?;
        let learnt = self.close_order(&account, &attempt).await;
        let allowed_at = allowed_at(&account, &attempt, &learnt);
        let mut why = learnt.why_nothing().unwrap_or("the order is still open".to_owned());
        if let Learnt::Fact(fact) = learnt
            && (fact == Fact::Absent || !is_still_open(&fact))
        {
            let observation = Self::observation(&attempt, Source::Close, fact);
            let beside = Beside { finish: Some(job), ..Beside::default() };
            if self.conclude(loaded, attempt.id, &observation, &beside).await?.is_some() {
                return Ok(());
            }
            why = CONTRADICTION.to_owned();
        }
        let wait = Span::from_seconds(2).times(1_i64 << job.runs.min(11));
        let run_at = self.clock().now() + wait.min(Span::from_seconds(3600));
        let run_at = allowed_at.map_or(run_at, |moment| run_at.max(moment));
        let (id, epoch, error) = (job.id, job.epoch, Some(why));
        self.settle(JobChange::Again { id, epoch, run_at, error }).await
    }
}

/// When the provider will close an order that it finds too young for that. Its clock began when the
/// order arrived, a moment after ours.
fn allowed_at(account: &Entry, attempt: &Attempt, learnt: &Learnt) -> Option<Timestamp> {
    let Learnt::Refused(refusal) = learnt else { return None };
    if attempt.channel.is_scanned_by_merchant() {
        return None;
    }
    let wait = account.adapter.close_wait(refusal)?;
    Some(attempt.created_at + wait + Span::from_seconds(1))
}
