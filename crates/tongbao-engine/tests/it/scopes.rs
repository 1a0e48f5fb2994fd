//! Test and live, and one app and another, never see each other.

use crate::provider::Op;
use crate::world::{World, id, page, render, scope, shop};
use serde_json::Value;
use tongbao_engine::{ChargeFilter, DeliveryFilter, EndpointPatch, EventFilter};
use tongbao_types::{AppName, Channel, Code, Mode, Secret};

#[tokio::test(start_paused = true)]
async fn nothing_of_another_scope_is_found() {
    let world = World::v2();
    let endpoint = world.endpoint(&[]).await;
    let charge = world.order().await;
    world.run_due().await;
    let engine = &world.engine;
    let event = engine.events(&shop(), &EventFilter::default(), page(1)).await.unwrap();
    let event: serde_json::Value = serde_json::from_str(event.data[0].0.get()).unwrap();
    let event = event["id"].as_str().unwrap().parse().unwrap();
    let delivery = engine.deliveries(&shop(), &DeliveryFilter::default(), page(1)).await.unwrap();
    let delivery = delivery.data[0].id.parse().unwrap();
    let (charge, endpoint) = (id(&charge), endpoint.id.parse().unwrap());
    world.provider().forget_calls();
    for scope in [scope("shop", Mode::Live), scope("other", Mode::Test)] {
        let scope = &scope;
        let refusals = [
            engine.charge(scope, charge).await.err(),
            engine.close_charge(scope, charge).await.err(),
            engine.sync_charge(scope, charge).await.err(),
            engine.event(scope, event).await.err(),
            engine.endpoint(scope, endpoint).await.err(),
            engine.update_endpoint(scope, endpoint, EndpointPatch::default()).await.err(),
            engine.rotate_secret(scope, endpoint).await.err(),
            engine.delete_endpoint(scope, endpoint).await.err(),
            engine.delivery(scope, delivery).await.err(),
            engine.resend(scope, delivery).await.err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.unwrap().code, Code::NotFound);
        }
        let charges = engine.charges(scope, &ChargeFilter::default(), page(10)).await.unwrap();
        let events = engine.events(scope, &EventFilter::default(), page(10)).await.unwrap();
        let endpoints = engine.endpoints(scope, page(10)).await.unwrap();
        let sent = engine.deliveries(scope, &DeliveryFilter::default(), page(10)).await.unwrap();
        assert!(charges.data.is_empty() && events.data.is_empty());
        assert!(endpoints.data.is_empty() && sent.data.is_empty());
    }
    assert_eq!(world.n_calls(Op::Query) + world.n_calls(Op::Close), 0);
    assert!(engine.charge(&shop(), charge).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_told_of_its_own_scope_alone() {
    let world = World::v2();
    world.endpoint(&[]).await;
    let mut new = world.new_charge();
    new.order_no = None;
    for foreign in [scope("shop", Mode::Live), scope("other", Mode::Test)] {
        let render = crate::world::render;
        let reply = world.engine.create_charge(&foreign, new.clone(), None, render).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        assert_eq!(reply.body.contains("\"livemode\":true"), foreign.mode == Mode::Live);
    }
    world.run_due().await;
    assert!(world.net.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_opens_its_scope_until_it_is_revoked() {
    let world = World::v2();
    let app = AppName::new("shop").unwrap();
    for (mode, prefix) in [(Mode::Test, "sk_test_"), (Mode::Live, "sk_live_")] {
        let key = world.engine.create_key(&app, mode, Some("till 3".to_owned())).await.unwrap();
        let text = key.text.expose();
        assert!(text.starts_with(prefix) && text.len() > 50);
        assert!(text.ends_with(&key.kept.tail));
        assert_eq!(world.engine.authenticate(text).await.unwrap(), scope("shop", mode));
        let almost = format!("{}x", &text[..text.len() - 1]);
        assert_eq!(world.engine.authenticate(&almost).await.unwrap_err().code, Code::InvalidKey);
        let other = AppName::new("other").unwrap();
        assert!(world.engine.revoke_key(&other, key.kept.id).await.is_err());
        world.engine.revoke_key(&app, key.kept.id).await.unwrap();
        assert_eq!(world.engine.authenticate(text).await.unwrap_err().code, Code::InvalidKey);
        let kept = world.engine.keys(&app).await.unwrap();
        assert!(kept.iter().all(|one| one.revoked_at.is_some() && !one.hash.contains(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_needs_an_app_and_is_kept_once() {
    let world = World::v2();
    let nobody = AppName::new("nobody").unwrap();
    let error = world.engine.create_key(&nobody, Mode::Test, None).await.unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (Code::NotFound, Some("app")));
    let app = AppName::new("shop").unwrap();
    let text = Secret::new("sk_test_from_a_file".to_owned());
    for _ in 0..2 {
        world.engine.keep_key(&app, Mode::Test, &text).await.unwrap();
    }
    assert_eq!(world.engine.keys(&app).await.unwrap().len(), 1);
    assert_eq!(world.engine.authenticate(text.expose()).await.unwrap(), shop());
}

#[tokio::test(start_paused = true)]
async fn the_sandboxs_payer_never_pays_a_live_charge() {
    let world = World::v2();
    let live = scope("shop", Mode::Live);
    let made = world.engine.create_charge(&live, world.new_charge(), None, render).await;
    let charge: Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!((made.status, &charge["status"]), (201, &"pending".into()), "{charge}");
    for (scope, code) in [(live, Code::ChannelUnavailable), (shop(), Code::NotFound)] {
        let paid = world.engine.pay_in_sandbox(&scope, id(&charge), Channel::WechatNative).await;
        assert_eq!(paid.unwrap_err().code, code, "{scope:?}");
    }
    let test = world.order_numbered("ORDER0002").await;
    let other = world.engine.pay_in_sandbox(&shop(), id(&test), Channel::AlipayPage).await;
    assert_eq!(other.unwrap_err().code, Code::ChannelUnavailable, "it has no such order");
}
