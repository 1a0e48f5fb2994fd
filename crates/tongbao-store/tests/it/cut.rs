//! Connections that break in the middle of a commit, on the servers: what was written is not
//! written twice, what was not is written, and nobody is told of a refusal that was none.

use crate::conformance::assert_same_endpoint;
use crate::data::*;
use crate::engines::{Engine, Fresh};
use std::net::SocketAddr;
use tongbao_core::{Endpoint, EventKind, JobChange, JobKind};
use tongbao_engine::{Commit, CommitError, IdempotencyRow, IdempotencyStep, Store};
use tongbao_servers::CommitCutter;
use tongbao_store::{Options, SqlStore, open};
use tongbao_types::{Sealed, Span, Timestamp};

const SERVERS: [Engine; 2] = [Engine::Postgres, Engine::Mysql];

/// The same database through a proxy that cuts.
async fn through_cutter(fresh: &Fresh) -> (CommitCutter, SqlStore) {
    let mut url: url::Url = fresh.url.parse().unwrap();
    let place = (url.host_str().unwrap(), url.port().unwrap());
    let target: SocketAddr = format!("{}:{}", place.0, place.1).parse().unwrap();
    let cutter = CommitCutter::start(target).unwrap();
    url.set_port(Some(cutter.address.port())).unwrap();
    let store = open(url.as_str(), Options::default()).await.unwrap();
    (cutter, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_written_once() {
    for engine in SERVERS {
        let Some(fresh) = Fresh::on(engine).await else { continue };
        let (cutter, store) = through_cutter(&fresh).await;
        cutter.cut_every(2);
        let (maker, scope) = (&mut Maker::new(), scope("a"));
        for n in 0..20 {
            let key = format!("k{n}");
            let charge = charge(maker, &scope, &format!("o{n}"));
            let id = charge.id;
            let mut changes = insert(charge, Vec::new());
            tell(&mut changes, EventKind::ALL[0], maker);
            let row = idempotency(&scope, &key, maker.now());
            let idempotency = Some(IdempotencyStep::Begin(row.clone()));
            let made = Commit { idempotency, ..commit(changes) };
            store.commit(made).await.unwrap();
            let loaded = fresh.store.charge(id).await.unwrap().unwrap();
            let mut changes = update(&loaded);
            tell(&mut changes, EventKind::ALL[1], maker);
            store.commit(commit(changes.clone())).await.unwrap();
            // Another's decision on the same state stays refused, whatever is cut.
            changes.events.clear();
            changes.charge.events -= 1;
            tell(&mut changes, EventKind::ALL[2], maker);
            let stale = store.commit(commit(changes)).await;
            assert!(matches!(stale, Err(CommitError::Stale)), "{stale:?}");
            maker.mint();
            let other = IdempotencyRow { created_at: maker.now(), ..row };
            let idempotency = Some(IdempotencyStep::Begin(other));
            let taken = store.commit(Commit { idempotency, ..Commit::default() }).await;
            assert!(matches!(taken, Err(CommitError::IdempotencyKeyTaken)), "{taken:?}");
            let loaded = fresh.store.charge(id).await.unwrap().unwrap();
            assert_eq!((loaded.charge.version, loaded.charge.events), (2, 2));
        }
        let (after, before) = cutter.cut();
        assert!(after >= 10 && before >= 5, "{after} after, {before} before");
        store.close().await;
        fresh.end().await;
    }
}

/// A change that was written must not be called stale: a rotated secret would be shown to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_answer_is_lost_is_written_once() {
    for engine in SERVERS {
        let Some(fresh) = Fresh::on(engine).await else { continue };
        let (cutter, store) = through_cutter(&fresh).await;
        cutter.cut_every(2);
        let maker = &mut Maker::new();
        let writes = |endpoint: &Endpoint| {
            let endpoint = Some(endpoint.clone());
            store.commit(Commit { endpoint, ..Commit::default() })
        };
        for n in 0..20 {
            let scope = scope(&format!("a{n}"));
            let mut one = endpoint(maker, &scope);
            writes(&one).await.unwrap();
            one.version += 1;
            // With and without an empty column.
            one.description = (n % 3 > 0).then(|| "ours".to_owned());
            one.secret = Sealed::from_text(format!("v1.00000000.{n}"));
            writes(&one).await.unwrap();
            // Another's change of the same version stays refused, whatever is cut.
            let mut other = one.clone();
            other.secret_old = Some((one.secret.clone(), maker.now()));
            let stale = writes(&other).await;
            assert!(matches!(stale, Err(CommitError::Stale)), "{stale:?}");
            let found = fresh.store.endpoints(&scope).await.unwrap();
            assert_eq!(found.len(), 1);
            assert_same_endpoint(&found[0], &one);
        }
        let (after, before) = cutter.cut();
        assert!(after >= 5 && before >= 5, "{after} after, {before} before");
        store.close().await;
        fresh.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_a_claim_whose_answer_was_lost_come_with_the_next() {
    for engine in SERVERS {
        let Some(fresh) = Fresh::on(engine).await else { continue };
        let (cutter, store) = through_cutter(&fresh).await;
        let maker = &mut Maker::new();
        let now = Timestamp::from_seconds(9);
        let mut wanted = Vec::new();
        for _ in 0..3 {
            let kind = JobKind::ExpireCharge(maker.id());
            let (id, change) = put(maker, kind, now);
            store.commit(jobs(vec![change])).await.unwrap();
            wanted.push(id);
        }
        cutter.cut_every(1);
        let hour = Span::from_seconds(3600);
        let lost = store.claim(now, hour, 2).await.unwrap_err().to_string();
        assert!(lost.contains(" at 127.0.0.1:") && lost.contains("answer for 0 s"), "{lost}");
        assert_eq!(cutter.cut(), (1, 0));
        cutter.cut_every(0);
        // What it took is held in our name, and nobody else gets it.
        assert_eq!(fresh.store.claim(now, hour, 9).await.unwrap().len(), 1);
        let found = store.claim(now, hour, 9).await.unwrap();
        assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), wanted[..2]);
        assert!(store.claim(now, hour, 9).await.unwrap().is_empty());
        // They are ours indeed: the epoch is the right one.
        for job in found {
            let finish = JobChange::Finish { id: job.id, epoch: job.epoch };
            store.commit(jobs(vec![finish])).await.unwrap();
        }
        store.close().await;
        fresh.end().await;
    }
}
