//! What refunds mean to a store, on each engine.

use crate::data::*;
use crate::engines::{Fresh, on_each_engine};
use futures_util::future::join_all;
use std::sync::Arc;
use tongbao_core::rules::request_refund;
use tongbao_core::{
    Attempt, ChargeState, EventKind, JobKind, Loaded, Payment, Refund, RefundCause, RefundDraft,
    RefundProblem, RefundState,
};
use tongbao_engine::{ChargeFilter, CommitError, Page, RefundFilter, Store};
use tongbao_types::{
    Amount, ChargeId, Fen, Mint, Mode, OutRefundNo, RefundId, RefundNo, Timestamp,
};

on_each_engine! {
    every_field_and_state_of_a_refund_reads_back
    refund_numbers_are_unique_in_their_place
    a_refused_commit_leaves_nothing_of_a_refund
    a_charge_comes_with_its_own_refunds_wherever_it_is_read
    refunds_are_listed_in_pages_and_by_filters
    many_refunds_at_once_are_all_written
    of_many_refunds_of_more_than_half_one_reserves
}

fn page<Id>(limit: u32) -> Page<Id> {
    Page { limit, starting_after: None, ending_before: None }
}

async fn load(store: &dyn Store, id: ChargeId) -> Loaded {
    store.charge(id).await.unwrap().unwrap()
}

/// Writes a charge of 1,990 fen that was paid through its one attempt.
async fn paid_charge(store: &dyn Store, maker: &mut Maker, app: &str, no: &str) -> Loaded {
    let mut charge = charge(maker, &scope(app), no);
    let mut attempt = attempt(maker, charge.id, "acc", &format!("{app}-{no}"));
    attempt.state = paid(1990);
    let payment = Payment { amount: Fen(1990), remark: None, ..payment(attempt.id) };
    charge.state = ChargeState::Succeeded(payment);
    let changes = insert(charge, vec![attempt]);
    store.commit(commit(changes.clone())).await.unwrap();
    changes.after()
}

fn attempt_of(loaded: &Loaded) -> &Attempt {
    &loaded.attempts[0]
}

/// Writes a refund of the charge as it stands now.
async fn add(store: &dyn Store, maker: &mut Maker, of: ChargeId, no: &str) -> Refund {
    let loaded = load(store, of).await;
    let new = refund(maker, (&loaded.charge, attempt_of(&loaded)), no, 10);
    let mut changes = update(&loaded);
    add_refund(&mut changes, new.clone());
    store.commit(commit(changes)).await.unwrap();
    new
}

async fn every_field_and_state_of_a_refund_reads_back(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let loaded = paid_charge(store, maker, "a", "one").await;
    let id = loaded.charge.id;
    let mut changes = update(&loaded);
    for (at, cause) in RefundCause::ALL.into_iter().enumerate() {
        let mut new = refund(maker, (&loaded.charge, attempt_of(&loaded)), &format!("R{at}"), 7);
        new.cause = cause;
        new.state = refund_states()[at + 1].clone();
        if at > 0 {
            new.reason = Some("不要了; 'x' \"y\"".to_owned());
            new.metadata = vec![("z".to_owned(), "1".to_owned()), ("".to_owned(), "二".to_owned())];
            new.provider_no = Some("5".repeat(200));
            new.refund_no = RefundNo::new(format!("{at}!#$%&*+-./:;<=>?@[]^_`{{|}}~")).unwrap();
            new.amount = Amount::MAX;
        }
        add_refund(&mut changes, new);
    }
    tell(&mut changes, EventKind::RefundCreated, maker);
    store.commit(commit(changes.clone())).await.unwrap();
    let mut wanted = changes.refunds;
    assert_eq!(load(store, id).await.refunds, wanted);

    for state in refund_states().into_iter().cycle().take(8) {
        let mut changes = update(&load(store, id).await);
        for at in [0, 2] {
            wanted[at].state = state.clone();
            wanted[at].provider_no = Some(format!("p{at}")).filter(|_| state.is_pending());
            changes.refunds[at] = wanted[at].clone();
            changes.refunds_changed.push(wanted[at].id);
        }
        store.commit(commit(changes)).await.unwrap();
        assert_eq!(load(store, id).await.refunds, wanted);
        for refund in &wanted {
            assert_eq!(store.refund(refund.id).await.unwrap().as_ref(), Some(refund));
        }
    }
    assert_eq!(store.refund(maker.id()).await.unwrap(), None);
}

async fn refund_numbers_are_unique_in_their_place(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let loaded = paid_charge(store, maker, "a", "one").await;
    let id = loaded.charge.id;
    // MySQL repeats the number in its error; this one reads like the name of another rule.
    add(store, maker, id, "charges_order_no").await;

    let other = paid_charge(store, maker, "a", "two").await;
    let draft = |maker: &mut Maker, no: &str, out_no: &str| {
        let mut new = refund(maker, (&other.charge, attempt_of(&other)), no, 10);
        new.out_refund_no = OutRefundNo::new(out_no).unwrap();
        new
    };
    let attempt_at = async |new: Refund| {
        let mut changes = update(&load(store, new.charge).await);
        add_refund(&mut changes, new);
        store.commit(commit(changes)).await
    };
    let result = attempt_at(draft(maker, "charges_order_no", "x")).await;
    assert!(matches!(result, Err(CommitError::RefundNoTaken)), "{result:?}");
    let result = attempt_at(draft(maker, "R2", "out-charges_order_no")).await;
    assert!(matches!(result, Err(CommitError::OutRefundNoTaken)), "{result:?}");
    let mut live = draft(maker, "charges_order_no", "y");
    live.scope.mode = Mode::Live;
    let mut elsewhere = draft(maker, "R3", "out-charges_order_no");
    elsewhere.account = account("acc2");
    for new in [live, elsewhere, draft(maker, "Charges_order_no", "OUT-charges_order_no")] {
        attempt_at(new).await.unwrap();
    }
    // Two in one commit are no better than one after the other.
    let mut changes = update(&load(store, other.charge.id).await);
    add_refund(&mut changes, draft(maker, "R9", "r9"));
    add_refund(&mut changes, draft(maker, "R9", "r10"));
    let result = store.commit(commit(changes)).await;
    assert!(matches!(result, Err(CommitError::RefundNoTaken)), "{result:?}");
    assert_eq!(load(store, other.charge.id).await.refunds.len(), 3);
}

async fn a_refused_commit_leaves_nothing_of_a_refund(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let old = paid_charge(store, maker, "a", "one").await;
    let id = old.charge.id;
    let kept = add(store, maker, id, "R1").await;

    // Decided on what is no longer so.
    let mut late = update(&old);
    let new = refund(maker, (&old.charge, attempt_of(&old)), "R2", 10);
    add_refund(&mut late, new.clone());
    late.jobs.push(put(maker, JobKind::PerformRefund(new.id, id), maker.now()).1);
    let result = store.commit(commit(late)).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");

    // Refused for another reason, after the refund's turn.
    let mut lost = update(&load(store, id).await);
    add_refund(&mut lost, new.clone());
    lost.refunds[0].state = RefundState::Closed { at: maker.now() };
    lost.refunds_changed.push(kept.id);
    let finish = tongbao_core::JobChange::Finish { id: maker.id(), epoch: 1 };
    lost.jobs.push(finish);
    let result = store.commit(commit(lost)).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");

    // A refund that was never written cannot be changed.
    let mut nobody = update(&load(store, id).await);
    nobody.refunds.push(new.clone());
    nobody.refunds_changed.push(new.id);
    let result = store.commit(commit(nobody)).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");

    assert_eq!(store.refund(new.id).await.unwrap(), None);
    assert_eq!(load(store, id).await.refunds, [kept]);
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn a_charge_comes_with_its_own_refunds_wherever_it_is_read(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let mut wanted: Vec<Vec<Refund>> = Vec::new();
    let mut charges = Vec::new();
    for at in 0..4 {
        charges.push(paid_charge(store, maker, "a", &format!("N{at}")).await);
    }
    for (at, loaded) in charges.iter().enumerate() {
        let mut refunds = Vec::new();
        for n in 0..at {
            refunds.push(add(store, maker, loaded.charge.id, &format!("R{at}-{n}")).await);
        }
        wanted.push(refunds);
    }
    let listed = store.charges(&scope("a"), &ChargeFilter::default(), page(9)).await.unwrap();
    let listed: Vec<Vec<Refund>> = listed.into_iter().rev().map(|one| one.refunds).collect();
    assert_eq!(listed, wanted);
    // At once, so that whoever answers several callers together mixes nothing up.
    let found = join_all((0..40).map(|at| {
        let number = &attempt_of(&charges[at % 4]).out_trade_no;
        async move { store.charge_by_out_trade_no(&account("acc"), number).await }
    }));
    for (at, found) in found.await.into_iter().enumerate() {
        assert_eq!(found.unwrap().unwrap().refunds, wanted[at % 4]);
    }
    for (loaded, wanted) in charges.iter().zip(&wanted) {
        let found = load(store, loaded.charge.id).await;
        assert_eq!(&found.refunds, wanted);
        assert_eq!(usize::try_from(found.charge.refunds).unwrap(), wanted.len());
    }
}

async fn refunds_are_listed_in_pages_and_by_filters(fresh: &Fresh) {
    let (store, maker) = (&*fresh.store, &mut Maker::new());
    let one = paid_charge(store, maker, "a", "one").await.charge.id;
    let two = paid_charge(store, maker, "a", "two").await.charge.id;
    let foreign = paid_charge(store, maker, "b", "one").await.charge.id;
    let mut all = Vec::new();
    for at in 0..6 {
        let of = if at % 3 == 2 { two } else { one };
        all.push(add(store, maker, of, &format!("R{at}")).await);
    }
    add(store, maker, foreign, "R9").await;
    let mut changes = update(&load(store, one).await);
    changes.refunds[1].state = RefundState::Succeeded { at: maker.now() };
    changes.refunds_changed.push(all[1].id);
    store.commit(commit(changes)).await.unwrap();

    let check = async |filter: RefundFilter, page: Page<RefundId>, wanted: &[usize]| {
        let found = store.refunds(&scope("a"), &filter, page).await.unwrap();
        let found: Vec<RefundId> = found.iter().map(|refund| refund.id).collect();
        let wanted: Vec<RefundId> = wanted.iter().map(|at| all[*at].id).collect();
        assert_eq!(found, wanted, "{filter:?} {page:?}");
    };
    let any = RefundFilter::default;
    check(any(), page(9), &[5, 4, 3, 2, 1, 0]).await;
    check(any(), Page { starting_after: Some(all[4].id), ..page(2) }, &[3, 2]).await;
    check(any(), Page { ending_before: Some(all[1].id), ..page(2) }, &[3, 2]).await;
    check(RefundFilter { charge: Some(two), ..any() }, page(9), &[5, 2]).await;
    let older = Page { starting_after: Some(all[5].id), ..page(9) };
    check(RefundFilter { charge: Some(two), ..any() }, older, &[2]).await;
    check(RefundFilter { charge: Some(foreign), ..any() }, page(9), &[]).await;
    let refund_no = Some(RefundNo::new("R3").unwrap());
    check(RefundFilter { refund_no, ..any() }, page(9), &[3]).await;
    let status = Some("succeeded".to_owned());
    check(RefundFilter { status, ..any() }, page(9), &[1]).await;
    let status = Some("pending".to_owned());
    check(RefundFilter { status, charge: Some(one), ..any() }, page(9), &[4, 3, 0]).await;
    let (created_after, created_before) = (Some(all[1].created_at), Some(all[4].created_at));
    check(RefundFilter { created_after, created_before, ..any() }, page(9), &[3, 2, 1]).await;
}

async fn many_refunds_at_once_are_all_written(fresh: &Fresh) {
    let maker = &mut Maker::new();
    let mut race = Vec::new();
    for at in 0..60 {
        let loaded = paid_charge(&*fresh.store, maker, "a", &format!("N{at}")).await;
        let mut changes = update(&loaded);
        // The last ones want a number that another wants too.
        let no = format!("R{}", at % 50);
        let mut new = refund(maker, (&loaded.charge, attempt_of(&loaded)), &no, 10);
        new.out_refund_no = OutRefundNo::new(format!("out{at}")).unwrap();
        add_refund(&mut changes, new.clone());
        let store = Arc::clone(&fresh.store);
        race.push(tokio::spawn(async move { (new, store.commit(commit(changes)).await) }));
    }
    let mut written = 0;
    for done in join_all(race).await {
        let (refund, result) = done.unwrap();
        let found = load(&*fresh.store, refund.charge).await.refunds;
        match result {
            Ok(()) => {
                written += 1;
                assert_eq!(found, [refund]);
            }
            Err(CommitError::RefundNoTaken) => assert_eq!(found, []),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(written, 50);
}

/// Decides on what is there until it is written or there is too little left.
async fn take_sixty_percent(
    store: &dyn Store,
    mut loaded: Loaded,
    salt: [u8; 10],
) -> Result<RefundId, RefundProblem> {
    let id = loaded.charge.id;
    loop {
        let now = Timestamp::from_micros(1_795_242_700_000_000);
        let amount = Some(Amount::new(Fen(1990 * 6 / 10)).unwrap());
        let draft = RefundDraft { amount, ..RefundDraft::default() };
        let number = |_: &Attempt, _: &RefundNo, id: RefundId| OutRefundNo::new(id.bare()).unwrap();
        let mut mint = Mint::new(now, salt);
        let (changes, refund) = request_refund(loaded, draft, number, now, &mut mint)?;
        match store.commit(commit(changes)).await {
            Ok(()) => return Ok(refund),
            Err(CommitError::Stale) => loaded = load(store, id).await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn of_many_refunds_of_more_than_half_one_reserves(fresh: &Fresh) {
    let maker = &mut Maker::new();
    let loaded = paid_charge(&*fresh.store, maker, "a", "one").await;
    let race = (0..64).map(|_| {
        let (store, loaded) = (Arc::clone(&fresh.store), loaded.clone());
        tokio::spawn(async move { take_sixty_percent(&*store, loaded, rand::random()).await })
    });
    let results = join_all(race.collect::<Vec<_>>()).await;
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    let won: Vec<RefundId> = results.iter().filter_map(|result| result.ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let left = Fen(1990 - 1990 * 6 / 10);
    let refused = |result: &&_| **result == Err(RefundProblem::TooLarge { left });
    assert_eq!(results.iter().filter(refused).count(), 63, "{results:?}");

    let after = load(&*fresh.store, loaded.charge.id).await;
    assert_eq!(after.refunds.iter().map(|refund| refund.id).collect::<Vec<_>>(), won);
    assert_eq!((after.charge.refunds, after.left(attempt_of(&after))), (1, left));
    let all = fresh.store.refunds(&scope("a"), &RefundFilter::default(), page(99)).await.unwrap();
    assert_eq!(all.len(), 1);
    let jobs = fresh.store.claim(after.refunds[0].created_at, tongbao_types::Span::ZERO, 9).await;
    let kinds: Vec<JobKind> = jobs.unwrap().iter().map(|job| job.kind).collect();
    assert_eq!(kinds, [JobKind::PerformRefund(won[0], loaded.charge.id)]);
}
