//! Secrets at rest: what the store holds, what signs and what does not, and a change of the master
//! key.

use crate::world::{World, master_keys, page, shop};
use serde_json::Value;
use std::sync::atomic::{AtomicU8, Ordering};
use tongbao_core::Endpoint;
use tongbao_engine::{
    Commit, DeliveryFilter, Dice, EndpointPatch, EndpointView, Error, IdempotencyStep,
    IdempotentRequest, MasterKeys, NewEndpoint, Reply, SealError, Store, closed_secrets, give_up,
    reseal, seal_clear,
};
use tongbao_types::{Code, EndpointId, Sealed, Secret, Span};

const CLEAR: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// Never the same twice.
#[derive(Default)]
struct Counting(AtomicU8);

impl Dice for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::SeqCst));
    }
}

fn keys(numbers: &[u8]) -> MasterKeys {
    let keys: Vec<Secret<[u8; 32]>> = numbers.iter().map(|n| Secret::new([*n; 32])).collect();
    MasterKeys::new(&keys)
}

/// The number of the key of every world.
const OURS: u8 = 7;

fn render(done: Result<&str, &Error>) -> (u16, String) {
    match done {
        Ok(json) => (201, json.to_owned()),
        Err(error) => (500, error.message.clone()),
    }
}

async fn make(world: &World, key: &str) -> Reply {
    let request = IdempotentRequest { key: key.into(), fingerprint: "print".into() };
    let url = "https://shop.test/hook".to_owned();
    let new = NewEndpoint { url, events: Vec::new(), description: None, enabled: true };
    let scope = shop();
    let work = world.engine.create_endpoint(&scope, new);
    world.engine.idempotently(&scope, Some(request), render, work).await
}

fn secret_of(reply: &Reply) -> String {
    let json: Value = serde_json::from_str(&reply.body).unwrap();
    json["secret"].as_str().unwrap().to_owned()
}

async fn kept(world: &World) -> Vec<Endpoint> {
    world.store.memory().all_endpoints().await.unwrap()
}

/// Past the engine, in the place of what is there.
async fn put(world: &World, mut endpoint: Endpoint) {
    let now = kept(world).await.into_iter().find(|one| one.id == endpoint.id).unwrap();
    endpoint.version = now.version + 1;
    let commit = Commit { endpoint: Some(endpoint), ..Commit::default() };
    world.store.memory().commit(commit).await.unwrap();
}

/// The error of the last try of the newest delivery.
async fn last_error(world: &World) -> String {
    let filter = DeliveryFilter::default();
    let list = world.engine.deliveries(&shop(), &filter, page(1)).await.unwrap();
    list.data[0].tries.last().unwrap().error.clone().unwrap_or_default()
}

fn id(endpoint: &EndpointView) -> EndpointId {
    endpoint.id.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_store_sees_no_secret_and_the_reply_is_the_same_again() {
    let world = World::v2();
    let first = make(&world, "key").await;
    let secret = secret_of(&first);
    let endpoint = kept(&world).await.remove(0);
    let row = world.store.memory().idempotency(&shop(), "key").await.unwrap().unwrap();
    let (_, body) = row.reply.unwrap();
    for text in [endpoint.secret.as_text(), &body] {
        assert!(text.starts_with("v1."), "{text}");
        assert!(!text.contains(&secret[6..]), "{text}");
    }
    let again = make(&world, "key").await;
    assert_eq!((again.replayed, again.body), (true, first.body));

    let rotated = world.engine.rotate_secret(&shop(), endpoint.id).await.unwrap();
    let debug = format!("{rotated:?}");
    let rotated = rotated.secret.unwrap().expose().clone();
    assert!(!debug.contains(&rotated[6..]), "{debug}");
    let endpoint = kept(&world).await.remove(0);
    let (old, _) = endpoint.secret_old.unwrap();
    for text in [endpoint.secret.as_text(), old.as_text()] {
        assert!(text.starts_with("v1."), "{text}");
        assert!(!text.contains(&secret[6..]) && !text.contains(&rotated[6..]), "{text}");
    }
}

/// Whoever can write the database must not choose which secret signs.
#[tokio::test(start_paused = true)]
async fn a_sealed_secret_signs_at_its_own_endpoint_only() {
    let world = World::v2();
    world.endpoint(&["charge.created"]).await;
    let other = world.endpoint_at("https://shop.test/other", &["charge.closed"]).await;
    let theirs = kept(&world).await.into_iter().find(|one| one.id == id(&other)).unwrap();
    let mut ours = kept(&world).await.into_iter().find(|one| one.id != theirs.id).unwrap();
    let right = std::mem::replace(&mut ours.secret, theirs.secret);
    put(&world, ours.clone()).await;
    world.order().await;
    world.run_due().await;
    assert!(world.net.told().is_empty());
    let error = last_error(&world).await;
    assert!(error.contains("was changed, or moved"), "{error}");

    ours.secret_old = Some((right.clone(), world.clock_wall() + Span::from_seconds(60)));
    ours.secret = right;
    put(&world, ours).await;
    world.advance(Span::from_seconds(3600)).await;
    let told = world.net.told();
    let created = told.iter().filter(|one| one.kind() == "charge.created");
    assert_eq!(created.count(), 1, "an old secret that has ended is not looked at");
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_named_and_nothing_goes_out_until_it_is_back() {
    let world = World::v2();
    let secret = secret_of(&make(&world, "key").await);
    let (store, dice) = (world.store.memory(), Counting::default());
    let done = reseal(store, &keys(&[1, OURS]), &dice).await.unwrap();
    assert_eq!((done.anew, done.already, done.closed.len()), (2, 0, 0));
    world.order().await;
    world.run_due().await;
    assert!(world.net.told().is_empty());
    let theirs = keys(&[1]);
    let theirs = theirs.first_id().unwrap();
    let error = last_error(&world).await;
    assert!(error.contains(theirs) && error.contains("security.old_master_keys"), "{error}");
    let again = make(&world, "key").await;
    assert!((again.status, again.replayed) == (500, false) && !again.body.contains("whsec_"));
    let closed = closed_secrets(store, &master_keys(), None).await.unwrap();
    assert_eq!(closed.len(), 2);
    assert!(matches!(&closed[0], SealError::OtherKey { id, .. } if id == theirs));

    let back = reseal(store, &keys(&[OURS, 1]), &dice).await.unwrap();
    assert_eq!((back.anew, back.closed.len()), (2, 0));
    let none = reseal(store, &keys(&[OURS, 1]), &dice).await.unwrap();
    assert_eq!((none.anew, none.already), (0, 2));
    world.advance(Span::from_seconds(3600)).await;
    let told = world.net.told().pop().unwrap();
    assert!(told.is_signed_with(&secret));
    assert_eq!(secret_of(&make(&world, "key").await), secret);
}

/// An earlier version kept all of this in clear.
#[tokio::test(start_paused = true)]
async fn what_stood_in_clear_signs_and_is_sealed() {
    let world = World::v2();
    let (store, dice) = (world.store.memory(), Counting::default());
    let first = make(&world, "key").await;
    make(&world, "other").await;
    let until = world.clock_wall() + Span::from_seconds(3600);
    for mut endpoint in kept(&world).await {
        endpoint.secret = Sealed::from_text(CLEAR.to_owned());
        endpoint.secret_old = Some((endpoint.secret.clone(), until));
        put(&world, endpoint).await;
    }
    let (scope, key) = (shop(), "key".to_owned());
    let step = IdempotencyStep::Done { scope, key, status: 201, body: first.body.clone() };
    let commit = Commit { idempotency: Some(step), ..Commit::default() };
    store.commit(commit).await.unwrap();
    world.order().await;
    world.run_due().await;
    assert!(world.net.told().pop().unwrap().is_signed_with(CLEAR));

    assert_eq!(seal_clear(store, &master_keys(), &dice).await.unwrap(), 5);
    assert_eq!(seal_clear(store, &master_keys(), &dice).await.unwrap(), 0);
    assert!(kept(&world).await.iter().all(|one| one.secret.as_text().starts_with("v1.")));
    assert!(
        kept(&world)
            .await
            .iter()
            .all(|one| { one.secret_old.as_ref().unwrap().0.as_text().starts_with("v1.") })
    );
    let row = store.idempotency(&shop(), "key").await.unwrap().unwrap();
    assert!(row.reply.unwrap().1.starts_with("v1."));
    assert_eq!(make(&world, "key").await.body, first.body);
    world.order_numbered("ORDER2001").await;
    world.run_due().await;
    assert!(world.net.told().pop().unwrap().is_signed_with(CLEAR));
}

#[tokio::test(start_paused = true)]
async fn rotating_is_the_way_out_of_a_lost_key() {
    let world = World::v2();
    let endpoint = world.endpoint(&["charge.created"]).await;
    let (store, dice) = (world.store.memory(), Counting::default());
    reseal(store, &keys(&[1, OURS]), &dice).await.unwrap();
    let lost = keys(&[1]).first_id().unwrap().to_owned();
    assert_eq!(give_up(store, &master_keys(), "00000000").await.unwrap(), 0);
    assert_eq!(give_up(store, &master_keys(), &lost).await.unwrap(), 1);
    let wall = Some(world.clock_wall());
    assert!(closed_secrets(store, &master_keys(), wall).await.unwrap().is_empty());
    assert_eq!(closed_secrets(store, &master_keys(), None).await.unwrap().len(), 1);

    let enable = || EndpointPatch { enabled: Some(true), ..EndpointPatch::default() };
    let refused = world.engine.update_endpoint(&shop(), id(&endpoint), enable()).await;
    assert_eq!(refused.unwrap_err().code, Code::Conflict);
    let new = world.engine.rotate_secret(&shop(), id(&endpoint)).await.unwrap().secret.unwrap();
    assert!(kept(&world).await[0].secret_old.is_none(), "what does not open does not sign");
    world.engine.update_endpoint(&shop(), id(&endpoint), enable()).await.unwrap();
    world.order().await;
    world.run_due().await;
    assert!(world.net.told().pop().unwrap().is_signed_with(new.expose()));
}
