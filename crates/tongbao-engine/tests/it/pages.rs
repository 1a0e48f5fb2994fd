//! Lists come in pages, newest first.

use crate::world::{World, page, shop};
use tongbao_engine::{ChargeFilter, EventFilter, Page};
use tongbao_types::{ChargeId, EventId, OrderNo, Span};

async fn world_with_charges(count: usize) -> (World, Vec<ChargeId>) {
    let world = World::v2();
    let mut ids = Vec::new();
    for n in 0..count {
        world.clock.advance(Span::from_millis(1));
        ids.push(crate::world::id(&world.order_numbered(&format!("ORDER{n:04}")).await));
    }
    ids.reverse();
    (world, ids)
}

#[tokio::test(start_paused = true)]
async fn charges_are_read_forwards_and_backwards_without_gap_or_repeat() {
    let (world, ids) = world_with_charges(7).await;
    let read = async |page| {
        let list = world.engine.charges(&shop(), &ChargeFilter::default(), page).await.unwrap();
        let found: Vec<ChargeId> = list.data.iter().map(|view| view.id.parse().unwrap()).collect();
        (found, list.has_more)
    };
    let after = |limit, id| Page { limit, starting_after: Some(id), ending_before: None };
    let before = |limit, id| Page { limit, starting_after: None, ending_before: Some(id) };
    assert_eq!(read(page(3)).await, (ids[..3].to_vec(), true));
    assert_eq!(read(page(7)).await, (ids.clone(), false));
    assert_eq!(read(after(3, ids[2])).await, (ids[3..6].to_vec(), true));
    assert_eq!(read(after(3, ids[5])).await, (ids[6..].to_vec(), false));
    assert_eq!(read(after(3, ids[6])).await, (Vec::new(), false));
    assert_eq!(read(before(3, ids[6])).await, (ids[3..6].to_vec(), true));
    assert_eq!(read(before(3, ids[3])).await, (ids[..3].to_vec(), false));
    assert_eq!(read(before(3, ids[0])).await, (Vec::new(), false));
}

#[tokio::test(start_paused = true)]
async fn events_are_read_in_pages_too() {
    let (world, _) = world_with_charges(3).await;
    let mut seen = Vec::new();
    let mut next = page::<EventId>(4);
    loop {
        let list = world.engine.events(&shop(), &EventFilter::default(), next).await.unwrap();
        let ids = list.data.iter().map(|event| {
            let event: serde_json::Value = serde_json::from_str(event.0.get()).unwrap();
            event["id"].as_str().unwrap().parse::<EventId>().unwrap()
        });
        seen.extend(ids);
        if !list.has_more {
            break;
        }
        next.starting_after = seen.last().copied();
    }
    assert_eq!(seen.len(), 9);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
}

#[tokio::test(start_paused = true)]
async fn endpoints_are_read_in_pages_too() {
    let world = World::v2();
    let mut ids = Vec::new();
    for _ in 0..5 {
        world.clock.advance(Span::from_millis(1));
        ids.push(world.endpoint(&[]).await.id);
    }
    ids.reverse();
    let read = async |page| {
        let list = world.engine.endpoints(&shop(), page).await.unwrap();
        let found: Vec<String> = list.data.into_iter().map(|view| view.id).collect();
        (found, list.has_more)
    };
    let at = |n: usize| Some(ids[n].parse().unwrap());
    assert_eq!(read(page(2)).await, (ids[..2].to_vec(), true));
    let after = Page { limit: 2, starting_after: at(2), ending_before: None };
    assert_eq!(read(after).await, (ids[3..].to_vec(), false));
    let before = Page { limit: 2, starting_after: None, ending_before: at(4) };
    assert_eq!(read(before).await, (ids[2..4].to_vec(), true));
    let before = Page { limit: 2, starting_after: None, ending_before: at(2) };
    assert_eq!(read(before).await, (ids[..2].to_vec(), false));
}

#[tokio::test(start_paused = true)]
async fn charges_are_found_by_number_status_channel_and_time() {
    let (world, ids) = world_with_charges(3).await;
    world.engine.close_charge(&shop(), ids[1]).await.unwrap();
    let created = |n: usize| {
        let (world, ids) = (&world, &ids);
        async move {
            let view = world.engine.charge(&shop(), ids[n]).await.unwrap();
            view.created_at.parse().ok()
        }
    };
    let none = ChargeFilter::default;
    let number = OrderNo::new("ORDER0002").ok();
    let (alipay, wechat) = ("alipay.qr".parse().ok(), "wechat.native".parse().ok());
    let cases = [
        (ChargeFilter { order_no: number, ..none() }, &ids[..1]),
        (ChargeFilter { status: Some("closed".to_owned()), ..none() }, &ids[1..2]),
        (ChargeFilter { channel: alipay, ..none() }, &[]),
        (ChargeFilter { channel: wechat, ..none() }, &ids[..]),
        (ChargeFilter { created_after: created(1).await, ..none() }, &ids[..2]),
        (ChargeFilter { created_before: created(1).await, ..none() }, &ids[2..]),
    ];
    for (filter, wanted) in cases {
        let list = world.engine.charges(&shop(), &filter, page(10)).await.unwrap();
        let found: Vec<ChargeId> = list.data.iter().map(|view| view.id.parse().unwrap()).collect();
        assert_eq!(found, wanted, "{filter:?}");
    }
}
