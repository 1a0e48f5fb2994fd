//! Brings one refund to its end: asks the provider how it stands, and sends it, under the number
//! that it has, if the provider does not know it.
//!
//! Safe to run twice because a refund sent again under its number moves no money a second time,
//! and what is learnt goes through `observe_refund`.

use super::{CONTRADICTION, finish};
use crate::accounts::Entry;
use crate::orders::Learnt;
use crate::writes::Beside;
use crate::{Engine, Error};
use tongbao_core::{Job, JobChange, Loaded, Refund, RefundCause, RefundFact, RefundState};
use tongbao_types::{Bug, ChargeId, OutRefundNo, RefundId, is_planted};

impl Engine {
    pub(super) async fn perform_refund(
        &self,
        job: &Job,
        charge: ChargeId,
        id: RefundId,
    ) -> Result<(), Error> {
        let loaded = self.load(charge).await?;
        let Some(refund) = loaded.refund(id).cloned() else {
            return self.settle(finish(job)).await;
        };
        if matches!(refund.state, RefundState::Succeeded { .. }) {
            return self.settle(finish(job)).await;
        }
        let account = self.account_named(&refund.account)?;
        let learnt = self.find_out(&account, &loaded, &refund).await;
        if !refund.state.is_pending() {
            return self.look_at_an_end(job, loaded, id, learnt).await;
        }
        let mut why = learnt.why_nothing();
        let mut now = refund;
        if let Learnt::Fact(fact) = learnt {
            match self.conclude_refund(loaded, id, &fact, &Beside::default()).await? {
                Some(loaded) => now = loaded.refund(id).cloned().unwrap_or(now),
                None => why = Some(CONTRADICTION.to_owned()),
            }
        }
        if !now.state.is_pending() {
            // Whatever ends it drops this job in the same commit.
            return Ok(());
        }
        let run_at = self.clock().now() + now.wait(job.runs);
        let (id, epoch) = (job.id, job.epoch);
        self.settle(JobChange::Again { id, epoch, run_at, error: why }).await
    }

    /// Asks; and sends what the provider does not know, while it is not at its end.
    async fn find_out(
        &self,
        account: &Entry,
        loaded: &Loaded,
        refund: &Refund,
    ) -> Learnt<RefundFact> {
        let asked = self.query_refund(account, loaded, refund).await;
        let hindrance = account.adapter.refund_hindrance();
        let may_go_on = match &asked {
            Learnt::Fact(RefundFact::Absent) => true,
            // Where nothing can be sent, there may be nothing that can be asked either.
            Learnt::Nothing(_) => hindrance.is_some(),
            _ => false,
        };
        if !may_go_on || !refund.state.is_pending() {
            return asked;
        }
        if let Some(why) = hindrance {
            return hindered(refund, why);
        }
        let mut sent_as = refund.clone();
        if is_planted(Bug::NewRefundNumber) {
            sent_as.out_refund_no = OutRefundNo::new(self.random_hex()).expect("it is hex");
        }
        let sent = self.send_refund(account, loaded, &sent_as).await;
        let Learnt::Fact(RefundFact::Refused { .. } | RefundFact::NotNow { .. }) = sent else {
            return sent;
        };
        // A no to a repetition may only mean that the first one was carried out meanwhile.
        match self.query_refund(account, loaded, refund).await {
            Learnt::Fact(RefundFact::Absent) | Learnt::Refused(_) => sent,
            known => known,
        }
    }

    /// One look at a refund that was thought to be at its end. Only that it succeeded is news.
    async fn look_at_an_end(
        &self,
        job: &Job,
        loaded: Loaded,
        id: RefundId,
        learnt: Learnt<RefundFact>,
    ) -> Result<(), Error> {
        if let Learnt::Nothing(doubt) = &learnt {
            let run_at = self.clock().now() + tongbao_types::Span::from_seconds(3600);
            let (id, epoch, error) = (job.id, job.epoch, Some(doubt.reason.clone()));
            return self.settle(JobChange::Again { id, epoch, run_at, error }).await;
        }
        if let Learnt::Fact(fact @ RefundFact::Succeeded { .. }) = learnt {
            let beside = Beside { finish: Some(job), ..Beside::default() };
            if self.conclude_refund(loaded, id, &fact, &beside).await?.is_some() {
                return Ok(());
            }
        }
        self.settle(finish(job)).await
    }
}

/// The account cannot refund. A refund that nobody asked for says so to the merchant and waits
/// until it can; one that was asked for may have been sent, so nothing is concluded.
fn hindered(refund: &Refund, why: &str) -> Learnt<RefundFact> {
    let why = format!("the account cannot refund: {why}");
    if refund.cause == RefundCause::Requested {
        let doubt = tongbao_channels::Doubt { reason: why, keys_may_help: false };
        return Learnt::Nothing(doubt);
    }
    Learnt::Fact(RefundFact::NotNow { code: "not_configured".to_owned(), message: why })
}
