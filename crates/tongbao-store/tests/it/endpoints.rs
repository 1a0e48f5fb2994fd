//! Endpoints are written under their version, on each engine.

use crate::conformance::assert_same_endpoint;
use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use futures_util::future::join_all;
use std::sync::Arc;
use tongbao_core::{Endpoint, JobKind};
use tongbao_engine::{Commit, CommitError, KeptSecret, SecretPlace, Store};
use tongbao_types::Sealed;

on_each_engine! {
    an_endpoint_is_written_under_its_version
    a_deleted_endpoint_does_not_come_back
    a_sealed_secret_raises_the_version
    of_many_changes_at_once_one_wins_each_version
}

fn writes(endpoint: &Endpoint) -> Commit {
    Commit { endpoint: Some(endpoint.clone()), ..Commit::default() }
}

/// The same one version later, with another address.
fn moved(endpoint: &Endpoint, to: &str) -> Endpoint {
    let url = format!("https://{to}.example/");
    Endpoint { url, version: endpoint.version + 1, ..endpoint.clone() }
}

#[track_caller]
fn assert_stale(result: Result<(), CommitError>) {
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}

async fn only(store: &dyn Store) -> Endpoint {
    let mut all = store.endpoints(&scope("a")).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

async fn an_endpoint_is_written_under_its_version(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let first = endpoint(maker, &scope("a"));
    assert_stale(store.commit(writes(&moved(&first, "nowhere"))).await);
    assert!(store.endpoints(&scope("a")).await.unwrap().is_empty());
    store.commit(writes(&first)).await.unwrap();
    assert_same_endpoint(&only(store).await, &first);

    let second = moved(&first, "second");
    store.commit(writes(&second)).await.unwrap();
    let late = moved(&first, "late");
    let again = Endpoint { version: 1, ..moved(&first, "again") };
    let ahead = Endpoint { version: 4, ..moved(&first, "ahead") };
    for stale in [&late, &again, &ahead] {
        let kind = JobKind::ExpireCharge(maker.id());
        let job = put(maker, kind, maker.now()).1;
        assert_stale(store.commit(Commit { jobs: vec![job], ..writes(stale) }).await);
        assert_same_endpoint(&only(store).await, &second);
        assert_eq!(store.next_due().await.unwrap(), None, "nothing of it remains");
    }
    let third = Endpoint {
        events: vec!["charge.*".to_owned()],
        enabled: false,
        description: None,
        secret: Sealed::from_text("v1.00000000.bmV3".to_owned()),
        secret_old: Some((second.secret.clone(), maker.now())),
        ..moved(&second, "third")
    };
    store.commit(writes(&third)).await.unwrap();
    assert_same_endpoint(&only(store).await, &third);
}

async fn a_deleted_endpoint_does_not_come_back(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let first = endpoint(maker, &scope("a"));
    store.commit(writes(&first)).await.unwrap();
    let gone = Commit { endpoint_gone: Some(first.id), ..Commit::default() };
    store.commit(gone).await.unwrap();
    assert_stale(store.commit(writes(&moved(&first, "late"))).await);
    assert!(store.endpoints(&scope("a")).await.unwrap().is_empty());
}

async fn a_sealed_secret_raises_the_version(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let mut now = endpoint(maker, &scope("a"));
    now.secret_old = Some((Sealed::from_text("v1.00000000.b2xk".to_owned()), maker.now()));
    store.commit(writes(&now)).await.unwrap();
    let anew = Sealed::from_text("v1.11111111.YW5ldw==".to_owned());
    let (old, until) = now.secret_old.clone().unwrap();
    let current = now.secret.clone();
    for (place, text) in
        [(SecretPlace::Endpoint(now.id), current), (SecretPlace::EndpointOld(now.id), old)]
    {
        let before = now.clone();
        let kept = KeptSecret { place, text };
        assert!(store.reseal(&kept, &anew).await.unwrap());
        now.version += 1;
        match kept.place {
            SecretPlace::Endpoint(_) => now.secret = anew.clone(),
            _ => now.secret_old = Some((anew.clone(), until)),
        }
        assert_stale(store.commit(writes(&moved(&before, "late"))).await);
        assert!(!store.reseal(&kept, &anew).await.unwrap());
        assert_same_endpoint(&only(store).await, &now);
    }
    store.commit(writes(&moved(&now, "next"))).await.unwrap();
}

async fn of_many_changes_at_once_one_wins_each_version(fresh: &Fresh) {
    let maker = &mut Maker::new();
    fresh.store.commit(writes(&endpoint(maker, &scope("a")))).await.unwrap();
    for round in 1..=4 {
        let before = only(&*fresh.store).await;
        assert_eq!(before.version, round);
        let race = (0..32).map(|n| {
            let (store, commit) =
                (Arc::clone(&fresh.store), writes(&moved(&before, &n.to_string())));
            tokio::spawn(async move { store.commit(commit).await })
        });
        let results = join_all(race.collect::<Vec<_>>()).await;
        let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        let won = results.iter().position(Result::is_ok).unwrap();
        let stale = |result: &&_| matches!(result, Err(CommitError::Stale));
        assert_eq!(results.iter().filter(stale).count(), 31, "{results:?}");
        assert_same_endpoint(&only(&*fresh.store).await, &moved(&before, &won.to_string()));
    }
}
