//! Notifications on their way from a provider to the gateway, and what may happen to them there.

use crate::fault::{Point, What};
use crate::life::Life;
use crate::providers::{Merchant, SeenTrade};
use crate::trace::say;
use std::sync::Arc;
use tongbao_core::AttemptState;
use tongbao_engine::Store;
use tongbao_sandbox::DueNotice;
use tongbao_types::{AccountName, HttpRequest, HttpResponse, OutTradeNo, Provider, Span};

/// Both providers wait so long for an answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Sends what is due; whether there was anything.
pub(crate) fn send_due(life: &Arc<Life>) -> bool {
    let mut is_any = false;
    for (merchant, desk) in &life.desks {
        while let Some(due) = desk.sandbox.take_due() {
            tokio::spawn(send(Arc::clone(life), *merchant, due));
            is_any = true;
        }
    }
    is_any
}

async fn send(life: Arc<Life>, merchant: Merchant, due: DueNotice) {
    let busy = life.busy();
    let (nth, what) = life.faults.at(Point::Notice);
    if let Some(what) = what {
        say!(life.trace, "fault  notice {nth} {}: {what:?}", due.out_trade_no());
    }
    life.jitter("notice", nth).await;
    let copies = due.copies.max(if what == Some(What::Twice) { 2 } else { 1 });
    let mut answer = None;
    for copy in 0..copies {
        let carried = carry(&life, (merchant, nth, copy), &due, what);
        answer = tokio::time::timeout(PATIENCE, carried).await.unwrap_or(None);
    }
    drop(busy);
    life.desks[&merchant].sandbox.answered(due, answer.as_ref());
}

/// The answer that the provider sees, if it sees one.
async fn carry(
    life: &Arc<Life>,
    place: (Merchant, u32, u32),
    due: &DueNotice,
    what: Option<What>,
) -> Option<HttpResponse> {
    let mut request = due.request.clone();
    match what {
        Some(What::Fails | What::Crash) => return None,
        Some(What::Stray(seconds)) => {
            stray(life, place, due.clone(), seconds);
            return None;
        }
        Some(What::Slow(millis)) => life.nap(millis).await,
        Some(What::Forged) => spoil(&mut request),
        Some(What::Astray) => request.target = another_address(life, place.0, &request.target),
        _ => {}
    }
    let answer = hand_in(life, place, due, request).await;
    match what {
        Some(What::FailsAfter | What::CrashAfter) => None,
        Some(What::SlowAfter(millis)) => {
            life.nap(millis).await;
            answer
        }
        _ => answer,
    }
}

/// It comes long after the provider has given up waiting.
fn stray(life: &Arc<Life>, place: (Merchant, u32, u32), due: DueNotice, seconds: u32) {
    let life = Arc::clone(life);
    let moment = life.clock.now() + Span::from_seconds(seconds.into());
    tokio::spawn(async move {
        life.clock.far(moment).await;
        let _busy = life.busy();
        hand_in(&life, place, &due, due.request.clone()).await;
    });
}

/// The gateway takes it in, if one is there.
pub(crate) async fn hand_in(
    life: &Arc<Life>,
    (merchant, nth, copy): (Merchant, u32, u32),
    due: &DueNotice,
    request: HttpRequest,
) -> Option<HttpResponse> {
    let process = life.process("notice", u64::from(nth) * 8 + u64::from(copy))?;
    let (provider, account) = address(&request.target)?;
    let taken = process.engine.receive_notice(provider, &account, request.clone());
    let answer = process.survive(taken).await;
    let number = due.out_trade_no();
    match &answer {
        None => say!(life.trace, "notice {nth} {number} to {account}: nobody answers"),
        Some(answer) => {
            say!(life.trace, "notice {nth} {number} to {account} <- {}", answer.status);
            if is_receipt(provider, answer) && tells_a_payment(provider, &request) {
                check_receipt(life, merchant, (provider, number)).await;
            }
        }
    }
    answer
}

fn address(target: &str) -> Option<(Provider, String)> {
    let mut parts = target.strip_prefix("/notify/")?.split('/');
    let provider = parts.next()?.parse().ok()?;
    Some((provider, parts.next()?.to_owned()))
}

/// Whether the provider will not come again, by its documents.
fn is_receipt(provider: Provider, answer: &HttpResponse) -> bool {
    let body = String::from_utf8_lossy(&answer.body);
    match provider {
        Provider::Alipay => body == "success",
        Provider::Wechat if body.contains("return_code") => body.contains("SUCCESS"),
        Provider::Wechat => matches!(answer.status, 200 | 204),
    }
}

/// WeChat tells nothing but payments and refunds of them; Alipay tells more.
fn tells_a_payment(provider: Provider, request: &HttpRequest) -> bool {
    let body = String::from_utf8_lossy(&request.body);
    provider == Provider::Wechat || body.contains("TRADE_SUCCESS")
}

/// What is receipted is written: a payment that is known to nobody but the provider would be lost
/// with the process.
async fn check_receipt(life: &Life, merchant: Merchant, (provider, number): (Provider, &str)) {
    let trades = life.desks[&merchant].trades().await;
    let is_it = |trade: &&SeenTrade| trade.provider == provider && trade.out_trade_no == number;
    let Some(trade) = trades.iter().find(is_it).filter(|trade| trade.is_paid) else { return };
    let gone: i64 = trade.refunds.iter().map(|refund| refund.amount).sum();
    let Ok(number) = OutTradeNo::new(number) else { return };
    for account in accounts(life, merchant, provider) {
        let found = life.memory.charge_by_out_trade_no(&account, &number).await;
        let Ok(Some(loaded)) = found else { continue };
        let attempt = loaded.attempts.iter().find(|one| one.out_trade_no == number);
        let is_known = attempt.is_none_or(|attempt| {
            matches!(attempt.state, AttemptState::Succeeded { .. })
                || attempt.channel.is_scanned_by_merchant()
        });
        if !is_known && gone < trade.amount {
            let what = format!("the notice of {number} is receipted, and nothing is written");
            life.ledger().accuse("receipt before commit", what);
        }
    }
}

fn accounts(life: &Life, merchant: Merchant, provider: Provider) -> Vec<AccountName> {
    let shop = life.plan.shops.iter().find(|shop| shop.merchant == merchant);
    let kinds = shop.into_iter().flat_map(|shop| &shop.accounts);
    kinds.filter(|kind| kind.provider() == provider).map(|kind| kind.name(merchant)).collect()
}

/// The address of another account at the same provider, if there is one.
fn another_address(life: &Life, merchant: Merchant, target: &str) -> String {
    let Some((provider, account)) = address(target) else { return target.to_owned() };
    let others = Merchant::ALL.into_iter().filter(|other| *other != merchant).chain([merchant]);
    let mut all = others.flat_map(|merchant| accounts(life, merchant, provider));
    let other = all.find(|name| name.as_str() != account);
    other.map_or(target.to_owned(), |name| format!("/notify/{provider}/{name}"))
}

/// Breaks the message where it is signed: in its body, or in the header that signs it.
fn spoil(request: &mut HttpRequest) {
    let is_signature = |name: &str| name.eq_ignore_ascii_case("wechatpay-signature");
    if let Some((_, value)) = request.headers.iter_mut().find(|(name, _)| is_signature(name)) {
        *value = value.chars().rev().collect();
        return;
    }
    let body = String::from_utf8_lossy(&request.body).into_owned();
    request.body = body.replacen("sign", "sing", 1).into();
}
