//! Endpoints that several gateways over one store, or one and `tongbao db reseal`, change at the
//! same time: nothing that was answered is lost.

use crate::provider::Gate;
use crate::world::{World, master_keys, shop};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tongbao_core::Endpoint;
use tongbao_engine::{
    EndpointPatch, EndpointView, Engine, Error, MasterKeys, SecretPlace, Store, give_up, reseal,
};
use tongbao_types::{Code, EndpointId, Sealed, Secret};

/// Runs `other` when `work` has read endpoints so many times, of which the last is the one that it
/// decides by.
async fn meanwhile<T>(
    (world, n_reads): (&World, usize),
    work: impl Future<Output = T>,
    other: impl Future<Output = ()>,
) -> T {
    let gates: Vec<Arc<Gate>> = (0..n_reads).map(|_| Arc::default()).collect();
    let set = |gate: &Arc<Gate>| {
        *world.store.endpoints_gate.lock().unwrap() = Some(Arc::clone(gate));
    };
    set(&gates[0]);
    let between = async {
        gates[0].reached().await;
        for pair in gates.windows(2) {
            set(&pair[1]);
            pair[0].open();
            pair[1].reached().await;
        }
        other.await;
        gates[n_reads - 1].open();
    };
    tokio::join!(work, between).0
}

/// Read once to see whose it is, before the address is looked up, and once more to be changed.
const READS_OF_A_MOVE: usize = 2;

fn moved() -> EndpointPatch {
    let url = Some("https://shop.test/moved".to_owned());
    EndpointPatch { url, ..EndpointPatch::default() }
}

fn id(endpoint: &EndpointView) -> EndpointId {
    endpoint.id.parse().unwrap()
}

fn shown(view: &EndpointView) -> String {
    view.secret.as_ref().unwrap().expose().clone()
}

async fn change(engine: &Engine, endpoint: EndpointId) -> Result<EndpointView, Error> {
    engine.update_endpoint(&shop(), endpoint, moved()).await
}

async fn rotate(engine: &Engine, endpoint: EndpointId) -> String {
    shown(&engine.rotate_secret(&shop(), endpoint).await.unwrap())
}

async fn kept(world: &World) -> Endpoint {
    world.store.memory().all_endpoints().await.unwrap().remove(0)
}

/// The secrets that sign, the newest first.
async fn secrets(world: &World) -> Vec<String> {
    let endpoint = kept(world).await;
    let open = |place, text: &Sealed| master_keys().open(&place, text).unwrap().expose().clone();
    let mut all = vec![open(SecretPlace::Endpoint(endpoint.id), &endpoint.secret)];
    let old = endpoint.secret_old.iter();
    all.extend(old.map(|(old, _)| open(SecretPlace::EndpointOld(endpoint.id), old)));
    all
}

#[tokio::test(start_paused = true)]
async fn a_change_stands_beside_a_rotation_at_another_gateway() {
    let world = World::v2();
    let made = world.endpoint(&["*"]).await;
    let (other, endpoint, old) = (world.another(), id(&made), shown(&made));
    let mut new = String::new();
    let change = change(&world.engine, endpoint);
    let rotation = async { new = rotate(&other, endpoint).await };
    let changed = meanwhile((&world, READS_OF_A_MOVE), change, rotation).await.unwrap();
    assert_eq!(changed.url, "https://shop.test/moved");
    assert_eq!(kept(&world).await.url, changed.url);
    assert_eq!(secrets(&world).await, [new, old]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_stands_beside_a_change_at_another_gateway() {
    let world = World::v2();
    let made = world.endpoint(&["*"]).await;
    let (other, endpoint, old) = (world.another(), id(&made), shown(&made));
    let change = async {
        let patch = EndpointPatch { enabled: Some(false), ..moved() };
        other.update_endpoint(&shop(), endpoint, patch).await.unwrap();
    };
    let new = meanwhile((&world, 1), rotate(&world.engine, endpoint), change).await;
    let now = kept(&world).await;
    assert_eq!((now.url.as_str(), now.enabled), ("https://shop.test/moved", false));
    assert_eq!(secrets(&world).await, [new, old]);
}

/// Both secrets were shown to somebody, so both sign.
#[tokio::test(start_paused = true)]
async fn of_two_rotations_at_once_both_secrets_sign() {
    let world = World::v2();
    let endpoint = id(&world.endpoint(&["*"]).await);
    let other = world.another();
    let mut theirs = String::new();
    let rotation = async { theirs = rotate(&other, endpoint).await };
    let ours = meanwhile((&world, 1), rotate(&world.engine, endpoint), rotation).await;
    assert_eq!(secrets(&world).await, [ours, theirs]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_deleted_at_another_gateway_does_not_come_back() {
    let world = World::v2();
    let endpoint = id(&world.endpoint(&["*"]).await);
    let other = world.another();
    let change = change(&world.engine, endpoint);
    let deletion = async {
        other.delete_endpoint(&shop(), endpoint).await.unwrap();
    };
    let refused = meanwhile((&world, READS_OF_A_MOVE), change, deletion).await;
    assert_eq!(refused.unwrap_err().code, Code::NotFound);
    assert!(world.store.memory().all_endpoints().await.unwrap().is_empty());
}

fn new_keys() -> MasterKeys {
    MasterKeys::new([&Secret::new([1; 32]), &Secret::new([7; 32])])
}

#[tokio::test(start_paused = true)]
async fn a_change_does_not_bring_back_what_was_sealed_under_the_former_key() {
    let world = World::v2();
    let endpoint = id(&world.endpoint(&["*"]).await);
    let sealing = async {
        let done = reseal(world.store.memory(), &new_keys(), world.dice()).await.unwrap();
        assert_eq!(done.anew, 1);
    };
    let change = change(&world.engine, endpoint);
    meanwhile((&world, READS_OF_A_MOVE), change, sealing).await.unwrap();
    let again = reseal(world.store.memory(), &new_keys(), world.dice()).await.unwrap();
    assert_eq!((again.anew, again.already), (0, 1));
    assert_eq!(kept(&world).await.url, "https://shop.test/moved");
}

/// Who gives a key up has read all endpoints; what a gateway wrote since stays.
#[tokio::test(start_paused = true)]
async fn giving_up_a_key_leaves_what_a_gateway_changed_meanwhile() {
    let world = World::v2();
    let endpoint = id(&world.endpoint(&["*"]).await);
    let lost = MasterKeys::new([&Secret::new([1; 32])]).first_id().unwrap().to_owned();
    reseal(world.store.memory(), &new_keys(), world.dice()).await.unwrap();
    let (store, keys) = (&*world.store, master_keys());
    let change = async {
        change(&world.engine, endpoint).await.unwrap();
    };
    assert_eq!(meanwhile((&world, 1), give_up(store, &keys, &lost), change).await.unwrap(), 1);
    let now = kept(&world).await;
    assert_eq!((now.url.as_str(), now.enabled), ("https://shop.test/moved", false));

    // What was rotated meanwhile is lost no more, and what was deleted is gone.
    let mut on = kept(&world).await;
    (on.enabled, on.version) = (true, on.version + 1);
    let put = tongbao_engine::Commit { endpoint: Some(on), ..Default::default() };
    world.store.memory().commit(put).await.unwrap();
    let rotation = async {
        rotate(&world.engine, endpoint).await;
    };
    assert_eq!(meanwhile((&world, 1), give_up(store, &keys, &lost), rotation).await.unwrap(), 0);
    assert!(kept(&world).await.enabled);
    reseal(store, &new_keys(), world.dice()).await.unwrap();
    let deletion = async {
        world.engine.delete_endpoint(&shop(), endpoint).await.unwrap();
    };
    assert_eq!(meanwhile((&world, 1), give_up(store, &keys, &lost), deletion).await.unwrap(), 0);
    assert!(world.store.memory().all_endpoints().await.unwrap().is_empty());
}

/// A database that lost the answer to a commit may find no sign of it either, once another change
/// came after it.
#[tokio::test(start_paused = true)]
async fn a_rotation_that_was_written_and_called_stale_is_not_made_twice() {
    let world = World::v2();
    let made = world.endpoint(&["*"]).await;
    world.store.calls_stale.store(true, Ordering::SeqCst);
    let new = rotate(&world.engine, id(&made)).await;
    assert!(!world.store.calls_stale.load(Ordering::SeqCst));
    assert_eq!(secrets(&world).await, [new, shown(&made)]);
}
