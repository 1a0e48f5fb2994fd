//! Bills: parts, keeping, and what is thrown away.

use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use bytes::Bytes;
use futures_util::future::join_all;
use std::sync::Arc;
use tongbao_engine::{BillDate, BillKey, BillKind, BillPacking, KeptBill, Store};
use tongbao_types::BillId;

on_each_engine! {
    a_bill_reads_back_with_its_parts
    a_bill_is_kept_once
    a_bill_without_all_its_parts_is_not_kept
    loose_parts_are_thrown_away_and_others_stay
    of_many_at_once_one_is_kept
}

fn key(name: &str, kind: BillKind, day: &str) -> BillKey {
    BillKey { account: account(name), kind, date: BillDate::read_dashed(day).unwrap() }
}

fn bill(id: BillId, key: BillKey, parts: u32, maker: &Maker) -> KeptBill {
    KeptBill {
        id,
        key,
        packing: BillPacking::Gzip,
        bytes: 1 << 40,
        parts,
        lines: Some(1_000_000),
        fetched_at: maker.now(),
    }
}

/// Every byte, and more of them than MySQL's smallest blob holds.
fn body(seed: u8) -> Bytes {
    (0..256 * 1024_u32).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<u8>>().into()
}

async fn put(store: &dyn Store, id: BillId, parts: u32) {
    for part in 0..parts {
        store.bills().add_bill_part(id, part, body(part as u8)).await.unwrap();
    }
}

async fn a_bill_reads_back_with_its_parts(fresh: &Fresh) {
    let (bills, maker) = (fresh.store.bills(), &mut Maker::new());
    let mut all = Vec::new();
    for (at, packing) in BillPacking::ALL.iter().enumerate() {
        for kind in BillKind::ALL {
            let key = key("acc", *kind, &format!("2026-11-2{at}"));
            let lines = if at == 0 { None } else { Some(at as u64) };
            let kept = KeptBill { packing: *packing, lines, ..bill(maker.id(), key, 2, maker) };
            assert_eq!(bills.kept_bill(&kept.key).await.unwrap(), None);
            put(&*fresh.store, kept.id, 2).await;
            assert!(bills.keep_bill(&kept).await.unwrap());
            all.push(kept);
        }
    }
    for kept in &all {
        assert_eq!(bills.kept_bill(&kept.key).await.unwrap().as_ref(), Some(kept));
        for part in 0..2 {
            let found = bills.bill_part(kept.id, part).await.unwrap();
            assert!(found == Some(body(part as u8)), "part {part} differs");
        }
        assert_eq!(bills.bill_part(kept.id, 2).await.unwrap(), None);
    }
    let other = key("acc2", BillKind::Trade, "2026-11-20");
    assert_eq!(bills.kept_bill(&other).await.unwrap(), None);
}

async fn a_bill_is_kept_once(fresh: &Fresh) {
    let (bills, maker) = (fresh.store.bills(), &mut Maker::new());
    let key = key("acc", BillKind::Trade, "2026-11-20");
    let first = bill(maker.id(), key.clone(), 1, maker);
    let second = bill(maker.id(), key.clone(), 1, maker);
    put(&*fresh.store, first.id, 1).await;
    put(&*fresh.store, second.id, 1).await;
    assert!(bills.keep_bill(&first).await.unwrap());
    assert!(!bills.keep_bill(&second).await.unwrap());
    assert_eq!(bills.kept_bill(&key).await.unwrap(), Some(first));
    assert!(bills.add_bill_part(second.id, 0, body(9)).await.is_err(), "a part is put away once");
}

async fn a_bill_without_all_its_parts_is_not_kept(fresh: &Fresh) {
    let (bills, maker) = (fresh.store.bills(), &mut Maker::new());
    let key = key("acc", BillKind::Trade, "2026-11-20");
    let lacking = bill(maker.id(), key.clone(), 2, maker);
    put(&*fresh.store, lacking.id, 1).await;
    assert!(!bills.keep_bill(&lacking).await.unwrap());
    assert_eq!(bills.kept_bill(&key).await.unwrap(), None);
    bills.add_bill_part(lacking.id, 1, body(1)).await.unwrap();
    assert!(bills.keep_bill(&lacking).await.unwrap());
}

async fn loose_parts_are_thrown_away_and_others_stay(fresh: &Fresh) {
    let (bills, maker) = (fresh.store.bills(), &mut Maker::new());
    let kept = bill(maker.id(), key("acc", BillKind::Trade, "2026-11-20"), 1, maker);
    let [loose, later, coming]: [BillId; 3] = [maker.id(), maker.id(), maker.id()];
    for id in [kept.id, loose, later, coming] {
        put(&*fresh.store, id, 1).await;
    }
    assert!(bills.keep_bill(&kept).await.unwrap());
    let there = async || {
        let mut there = Vec::new();
        for id in [kept.id, loose, later, coming] {
            there.push(bills.bill_part(id, 0).await.unwrap().is_some());
        }
        there
    };
    bills.drop_bill_parts(kept.id).await.unwrap();
    assert_eq!(there().await, [true, true, true, true]);
    bills.drop_bill_parts(loose).await.unwrap();
    assert_eq!(there().await, [true, false, true, true]);
    bills.sweep_bill_parts(coming).await.unwrap();
    assert_eq!(there().await, [true, false, false, true]);
}

async fn of_many_at_once_one_is_kept(fresh: &Fresh) {
    let maker = &mut Maker::new();
    let key = key("acc", BillKind::FundFlow, "2026-11-20");
    let race = (0..24).map(|_| {
        let kept = bill(maker.id(), key.clone(), 1, maker);
        let store = Arc::clone(&fresh.store);
        tokio::spawn(async move {
            put(&*store, kept.id, 1).await;
            (store.bills().keep_bill(&kept).await.unwrap(), kept)
        })
    });
    let done = join_all(race.collect::<Vec<_>>()).await;
    let won: Vec<KeptBill> = done
        .into_iter()
        .map(Result::unwrap)
        .filter(|(won, _)| *won)
        .map(|(_, kept)| kept)
        .collect();
    assert_eq!(won.len(), 1);
    assert_eq!(fresh.store.bills().kept_bill(&key).await.unwrap(), won.into_iter().next());
}
