//! The checkers: what must be true when a life has come to rest. They read the sandboxes' trades,
//! the store and the received webhooks, and share no function with the rules that they check.

mod bills;
mod callbacks;
mod charges;
mod events;
mod money;
mod replies;

use crate::coverage::Coverage;
use crate::hooks;
use crate::ledger::Violation;
use crate::life::Life;
use crate::providers::SeenTrade;
use crate::providers::{Merchant, credentials};
use tongbao_core::{Delivery, Endpoint, EventKind, Loaded};
use tongbao_engine::{
    ChargeFilter, DeliveryFilter, EventFilter, Page, Store, StoreError, StoredEvent,
};

/// One merchant's whole state in the end, here and at the providers.
pub(crate) struct End<'a> {
    pub(crate) life: &'a Life,
    pub(crate) merchant: Merchant,
    pub(crate) charges: Vec<Loaded>,
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) trades: Vec<SeenTrade>,
}

/// What a checker finds.
pub(crate) type Found = Vec<Violation>;

pub(crate) fn wrong(found: &mut Found, rule: &'static str, what: String) {
    found.push(Violation { rule, what });
}

/// Everything that is wrong.
pub(crate) async fn all(life: &Life) -> Found {
    let mut found = Found::new();
    for &merchant in life.desks.keys() {
        match read(life, merchant).await {
            Ok(end) => {
                money::check(&end, &mut found);
                charges::check(&end, &mut found);
                events::check(&end, &mut found);
                replies::check(&end, &mut found);
                callbacks::check(&end, &mut found);
                bills::check(&end, &mut found);
            }
            Err(error) => wrong(&mut found, "store", error.to_string()),
        }
    }
    found
}

/// Counts how charges have ended.
pub(crate) async fn cover(life: &Life, merchant: Merchant, coverage: &Coverage) {
    let Ok(end) = read(life, merchant).await else { return };
    let shop = life.plan.shops.iter().find(|shop| shop.merchant == merchant);
    let kinds = shop.into_iter().flat_map(|shop| &shop.accounts);
    for attempt in end.charges.iter().flat_map(|loaded| &loaded.attempts) {
        if let Some(kind) = kinds.clone().find(|kind| kind.name(merchant) == attempt.account) {
            let (channel, state) = (attempt.channel, attempt.state.status());
            coverage.count(format_args!("{kind:?} {channel}: {state}"));
        }
    }
    for charge in end.charges.iter().map(|loaded| &loaded.charge) {
        if let Some(profile) = charge.profile {
            coverage.count(format_args!("{profile}: {}", charge.state.status()));
        }
    }
    for stored in &end.events {
        match stored.event.kind {
            EventKind::ChargePaidLate => coverage.count(format_args!("a charge is paid late")),
            EventKind::ChargePaidTwice => coverage.count(format_args!("a charge is paid twice")),
            _ => {}
        }
    }
}

async fn read(life: &Life, merchant: Merchant) -> Result<End<'_>, StoreError> {
    fn whole<Id>() -> Page<Id> {
        Page { limit: u32::MAX, starting_after: None, ending_before: None }
    }
    let scope = hooks::scope(merchant);
    let store = &life.memory;
    Ok(End {
        life,
        merchant,
        charges: store.charges(&scope, &ChargeFilter::default(), whole()).await?,
        events: store.events(&scope, &EventFilter::default(), whole()).await?,
        endpoints: store.endpoints(&scope).await?,
        deliveries: store.deliveries(&scope, &DeliveryFilter::default(), whole()).await?,
        trades: life.desks[&merchant].trades().await,
    })
}

/// Words that no line of a log may hold.
pub(crate) fn secrets(trace: &[String]) -> Found {
    let mut words = vec!["_secret_".to_owned(), hooks::secret(0), hooks::secret(1)];
    for merchant in Merchant::ALL {
        let all = credentials(merchant);
        words.extend([all.wechat.api_key.clone(), all.wechat.api_v3_key.clone()]);
        words.push(all.alipay.legacy_md5_key.clone());
        for key in [&all.wechat.merchant_private_key, &all.alipay.app_private_key] {
            words.extend(key.lines().nth(3).map(str::to_owned));
        }
    }
    let leaks = |line: &&String| words.iter().any(|word| line.contains(word.as_str()));
    let leaking = trace.iter().filter(leaks);
    let violation = |line: &String| Violation { rule: "secret in a log", what: line.clone() };
    leaking.map(violation).collect()
}
