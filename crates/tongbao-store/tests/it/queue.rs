//! What the queue means, on each engine.

use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use tongbao_core::{Job, JobChange, JobKind};
use tongbao_engine::{CommitError, Store};
use tongbao_types::{ChargeId, JobId, Span, Timestamp};

on_each_engine! {
    due_jobs_are_leased_oldest_first
    every_kind_of_job_reads_back
    a_lease_that_ended_is_lost_to_the_next
    a_job_put_off_waits_and_its_old_lease_is_void
    a_promise_is_made_once
    a_promise_is_hastened_while_nobody_works_on_it
    what_is_dropped_is_gone_whoever_holds_it
    leases_are_settled_before_promises
    workers_share_jobs_and_none_is_taken_twice
}

const MINUTE: Span = Span::from_seconds(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

async fn promise(store: &dyn Store, maker: &mut Maker, run_at: Timestamp) -> (JobId, JobKind) {
    let kind = JobKind::ExpireCharge(maker.id());
    let (id, change) = put(maker, kind, run_at);
    store.commit(jobs(vec![change])).await.unwrap();
    (id, kind)
}

async fn claim_one(store: &dyn Store, now: Timestamp, lease: Span) -> Job {
    let mut claimed = store.claim(now, lease, 1).await.unwrap();
    claimed.pop().expect("a job is due")
}

fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

async fn due_jobs_are_leased_oldest_first(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    assert_eq!(store.next_due().await.unwrap(), None);
    assert!(store.claim(at(1000), MINUTE, 9).await.unwrap().is_empty());
    let mut made = Vec::new();
    for seconds in [30, 10, 20, 99] {
        made.push(promise(store, maker, at(seconds)).await.0);
    }
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    assert!(store.claim(at(9), MINUTE, 9).await.unwrap().is_empty());
    assert_eq!(ids(&store.claim(at(50), MINUTE, 2).await.unwrap()), [made[1], made[2]]);
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    assert_eq!(ids(&store.claim(at(50), MINUTE, 9).await.unwrap()), [made[0]]);
    assert!(store.claim(at(50), MINUTE, 9).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), Some(at(99)));
    assert_eq!(ids(&store.claim(at(99), MINUTE, 9).await.unwrap()), [made[3]]);
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn every_kind_of_job_reads_back(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let kinds = [
        JobKind::PollAttempt(maker.id(), maker.id()),
        JobKind::CloseAttempt(maker.id(), maker.id()),
        JobKind::ExpireCharge(maker.id()),
        JobKind::PerformRefund(maker.id(), maker.id()),
        JobKind::Deliver(maker.id()),
    ];
    for (n, kind) in (1..).zip(kinds) {
        let (id, change) = put(maker, kind, at(n));
        store.commit(jobs(vec![change])).await.unwrap();
        let wanted = Job { id, kind, run_at: at(n), runs: 0, epoch: 1 };
        assert_eq!(store.claim(at(n), MINUTE, 9).await.unwrap(), [wanted]);
    }
}

async fn a_lease_that_ended_is_lost_to_the_next(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let (id, _) = promise(store, maker, at(1)).await;
    let slow = claim_one(store, at(1), Span::ZERO).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(1)));
    let quick = claim_one(store, at(1), MINUTE).await;
    assert_eq!((slow.id, quick.id), (id, id));
    assert_eq!((slow.runs, quick.runs), (0, 1));
    assert!(quick.epoch > slow.epoch);
    for change in [
        JobChange::Finish { id, epoch: slow.epoch },
        JobChange::Again { id, epoch: slow.epoch, run_at: at(2), error: None },
    ] {
        let result = store.commit(jobs(vec![change])).await;
        assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
    }
    store.commit(jobs(vec![JobChange::Finish { id, epoch: quick.epoch }])).await.unwrap();
    assert!(store.claim(at(9), MINUTE, 9).await.unwrap().is_empty());
    let result = store.commit(jobs(vec![JobChange::Finish { id, epoch: quick.epoch }])).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
}

async fn a_job_put_off_waits_and_its_old_lease_is_void(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let (id, kind) = promise(store, maker, at(1)).await;
    let first = claim_one(store, at(1), MINUTE).await;
    let error = Some("没有回音".to_owned());
    let again = JobChange::Again { id, epoch: first.epoch, run_at: at(50), error };
    store.commit(jobs(vec![again.clone()])).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(50)));
    assert!(store.claim(at(49), MINUTE, 9).await.unwrap().is_empty());
    let result = store.commit(jobs(vec![again])).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
    let second = claim_one(store, at(50), MINUTE).await;
    assert_eq!((second.kind, second.run_at, second.runs), (kind, at(50), 1));
    let twice = vec![
        JobChange::Finish { id, epoch: second.epoch },
        JobChange::Again { id, epoch: second.epoch, run_at: at(60), error: None },
    ];
    let result = store.commit(jobs(twice)).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
    store.commit(jobs(vec![JobChange::Finish { id, epoch: second.epoch }])).await.unwrap();
}

async fn a_promise_is_made_once(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let (first, kind) = promise(store, maker, at(10)).await;
    let (_, sooner) = put(maker, kind, at(5));
    let deliver = JobKind::Deliver(maker.id());
    let (other, beside) = put(maker, deliver, at(20));
    store.commit(jobs(vec![sooner.clone(), beside])).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    let held = claim_one(store, at(10), MINUTE).await;
    store.commit(jobs(vec![sooner.clone(), sooner])).await.unwrap();
    assert_eq!(ids(&store.claim(at(99), MINUTE, 9).await.unwrap()), [other]);
    assert_eq!(held.id, first);
    store.commit(jobs(vec![JobChange::Finish { id: first, epoch: held.epoch }])).await.unwrap();
}

async fn a_promise_is_hastened_while_nobody_works_on_it(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let step = async |changes: Vec<JobChange>| store.commit(jobs(changes)).await.unwrap();
    let due = async || store.next_due().await.unwrap();
    // What is not there is promised; what is there keeps its id and falls due at the earlier time.
    let kind = JobKind::PerformRefund(maker.id(), maker.id());
    let (first, change) = hasten(maker, kind, at(50));
    step(vec![change]).await;
    assert_eq!(due().await, Some(at(50)));
    step(vec![hasten(maker, kind, at(60)).1]).await;
    assert_eq!(due().await, Some(at(50)));
    step(vec![hasten(maker, kind, at(40)).1]).await;
    assert_eq!(due().await, Some(at(40)));
    // Several words about one key in a commit.
    step(vec![put(maker, kind, at(1)).1, hasten(maker, kind, at(35)).1]).await;
    assert_eq!(due().await, Some(at(35)));
    let words = vec![
        hasten(maker, kind, at(31)).1,
        hasten(maker, kind, at(30)).1,
        hasten(maker, kind, at(32)).1,
        put(maker, kind, at(2)).1,
    ];
    step(words).await;
    assert_eq!(due().await, Some(at(30)));

    // Whoever holds it is at work already, and puts it off as it sees fit.
    let held = claim_one(store, at(30), MINUTE).await;
    assert_eq!((held.id, held.kind, held.run_at), (first, kind, at(30)));
    step(vec![hasten(maker, kind, at(5)).1]).await;
    assert_eq!(due().await, None);
    let again = |epoch, run_at| JobChange::Again { id: first, epoch, run_at, error: None };
    step(vec![again(held.epoch, at(90))]).await;
    assert_eq!(due().await, Some(at(90)));
    let abandoned = claim_one(store, at(90), Span::ZERO).await;
    step(vec![hasten(maker, kind, at(7)).1]).await;
    assert_eq!(due().await, Some(at(90)));
    // Leases are settled first: what was put off in the same commit is hastened, what ended is
    // promised anew.
    step(vec![hasten(maker, kind, at(80)).1, again(abandoned.epoch, at(95))]).await;
    assert_eq!(due().await, Some(at(80)));
    let held = claim_one(store, at(80), MINUTE).await;
    let (new, change) = hasten(maker, kind, at(70));
    step(vec![change, JobChange::Finish { id: first, epoch: held.epoch }]).await;
    assert_eq!(ids(&store.claim(at(70), MINUTE, 9).await.unwrap()), [new]);

    // Dropped and hastened: the new one stays; hastened and dropped: none does.
    let (newer, change) = hasten(maker, kind, at(20));
    step(vec![JobChange::Drop(kind), put(maker, kind, at(25)).1, change]).await;
    assert_eq!(due().await, Some(at(20)));
    let left = claim_one(store, at(20), MINUTE).await;
    assert!(left.id != new && left.id != newer && left.kind == kind);
    step(vec![hasten(maker, kind, at(1)).1, JobChange::Drop(kind)]).await;
    let result = store.commit(jobs(vec![JobChange::Finish { id: left.id, epoch: left.epoch }]));
    assert!(matches!(result.await, Err(CommitError::LeaseLost)));
    assert_eq!(due().await, None);
}

async fn what_is_dropped_is_gone_whoever_holds_it(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let (id, kind) = promise(store, maker, at(10)).await;
    let held = claim_one(store, at(10), MINUTE).await;
    let nothing = JobKind::ExpireCharge(maker.id());
    store.commit(jobs(vec![JobChange::Drop(kind), JobChange::Drop(nothing)])).await.unwrap();
    let result = store.commit(jobs(vec![JobChange::Finish { id, epoch: held.epoch }])).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");

    // The order within a commit counts: the last word about a key holds.
    let (new, change) = put(maker, kind, at(30));
    store.commit(jobs(vec![change, JobChange::Drop(kind)])).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    promise(store, maker, at(20)).await;
    let (_, old) = put(maker, kind, at(25));
    store.commit(jobs(vec![old])).await.unwrap();
    let (newer, change) = put(maker, kind, at(40));
    let (_, late) = put(maker, kind, at(1));
    store.commit(jobs(vec![JobChange::Drop(kind), change, late])).await.unwrap();
    let left = store.claim(at(99), MINUTE, 9).await.unwrap();
    assert_eq!(left.iter().map(|job| job.run_at).collect::<Vec<_>>(), [at(20), at(40)]);
    assert_eq!(left[1].id, newer);
    assert_ne!(left[1].id, new);
}

async fn leases_are_settled_before_promises(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    // A job that drops its own promise and then finishes has done its work.
    let (id, kind) = promise(store, maker, at(1)).await;
    let held = claim_one(store, at(1), MINUTE).await;
    let finish = JobChange::Finish { id, epoch: held.epoch };
    store.commit(jobs(vec![JobChange::Drop(kind), finish])).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    // One that promises itself anew and then finishes leaves the new promise.
    let (id, kind) = promise(store, maker, at(1)).await;
    let held = claim_one(store, at(1), MINUTE).await;
    let (new, change) = put(maker, kind, at(7));
    let finish = JobChange::Finish { id, epoch: held.epoch };
    store.commit(jobs(vec![change, finish])).await.unwrap();
    assert_eq!(ids(&store.claim(at(7), MINUTE, 9).await.unwrap()), [new]);
}

async fn workers_share_jobs_and_none_is_taken_twice(fresh: &Fresh) {
    let maker = &mut Maker::new();
    let charges: Vec<ChargeId> = (0..500).map(|_| maker.id()).collect();
    let promises = charges.iter().map(|id| put(maker, JobKind::ExpireCharge(*id), at(1)).1);
    fresh.store.commit(jobs(promises.collect())).await.unwrap();
    let workers = (0..8).map(|_| {
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            let mut empty = 0;
            while empty < 3 {
                let claimed = store.claim(at(1), MINUTE, 16).await.unwrap();
                empty = if claimed.is_empty() { empty + 1 } else { 0 };
                let finish = claimed.iter().map(|j| JobChange::Finish { id: j.id, epoch: j.epoch });
                store.commit(jobs(finish.collect())).await.unwrap();
                mine.extend(ids(&claimed));
            }
            mine
        })
    });
    let taken = join_all(workers.collect::<Vec<_>>()).await;
    let taken: Vec<JobId> = taken.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 500);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 500);
    assert_eq!(fresh.store.next_due().await.unwrap(), None);
}
