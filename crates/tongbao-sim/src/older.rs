//! The callers of older services: auth-pay's and wepay's by their own routes, capi's through the
//! engine as its routes would; and where those services tell their merchants of payments.

use crate::hooks::scope;
use crate::kind::Kind;
use crate::life::Life;
use crate::plan::{Plan, first};
use crate::process::Process;
use crate::providers::{Merchant, code, credentials};
use crate::trace::say;
use axum::body::{Body, to_bytes};
use http::Request;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_compat::{CompatSettings, ModeAccounts, ProfileSetup, WepayMerchant};
use tongbao_core::Loaded;
use tongbao_engine::{ChargeFilter, Engine, Error, NewCharge, Page, Store};
use tongbao_types::{Amount, AppName, Channel, Fen, Mode, OrderNo, Profile};
use tower::ServiceExt;

/// Where payments of wepay and capi are told.
pub(crate) const URLS: [&str; 3] =
    ["https://hooks.test/wepay", "https://hooks.test/capi", "https://hooks.test/function"];
/// The protocols that the older services speak.
pub(crate) const WECHAT: [Kind; 2] = [Kind::V2Md5, Kind::V2Hmac];
/// The same at Alipay.
pub(crate) const ALIPAY: [Kind; 2] = [Kind::OpenKey, Kind::OpenCertificate];

/// What a caller was told.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) profile: Profile,
    pub(crate) fen: i64,
    pub(crate) body: Value,
}

/// All that callers were told.
#[derive(Default)]
pub(crate) struct Sayings(Mutex<Vec<Said>>);

impl Sayings {
    pub(crate) fn all(&self) -> Vec<Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, said: Said) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(said);
    }
}

/// The profiles that a merchant with these accounts can have.
pub(crate) fn profiles(accounts: &[Kind]) -> Vec<Profile> {
    let mut all = Vec::new();
    if first(accounts, &WECHAT).is_some() {
        all.extend([Profile::AuthPay, Profile::Wepay]);
    }
    if first(accounts, &ALIPAY).is_some() {
        all.push(Profile::Capi);
    }
    all
}

/// The configuration of the profiles.
pub(crate) fn settings(plan: &Plan) -> CompatSettings {
    let shop = &plan.shops[0];
    let merchant = shop.merchant;
    let all = if plan.has_older { profiles(&shop.accounts) } else { Vec::new() };
    let account = |wanted: &[Kind]| first(&shop.accounts, wanted).map(|kind| kind.name(merchant));
    let profile = |profile: Profile| {
        let wechat = account(&WECHAT);
        let serving = wechat.clone().map(|account| WepayMerchant {
            env: None,
            mode: Mode::Test,
            app_id: credentials(merchant).wechat.app_id.clone(),
            mch_id: credentials(merchant).wechat.mch_id.clone(),
            account,
            cb_notify_url: None,
        });
        Arc::new(ProfileSetup {
            profile,
            app: AppName::new(merchant.as_str()).expect("a merchant's name is a word"),
            livemode: false,
            allow_from: vec!["0.0.0.0/0".parse().expect("it is a network")],
            test: ModeAccounts { wechat, alipay: account(&ALIPAY), alipay_legacy: None },
            live: ModeAccounts::default(),
            alipay_account: None,
            merchants: serving.into_iter().collect(),
            cb_notify_url: (profile == Profile::Wepay).then(|| URLS[0].to_owned()),
            payment_function_url: (profile == Profile::Capi).then(|| URLS[2].to_owned()),
        })
    };
    let profiles = all.into_iter().map(profile).collect();
    CompatSettings { profiles, ..CompatSettings::default() }
}

/// A caller makes an order.
pub(crate) async fn order(
    life: &Arc<Life>,
    process: &Process,
    (merchant, profile): (Merchant, Profile),
    (order, fen): (u32, i64),
) {
    let form = |text: String| ("application/x-www-form-urlencoded", text);
    let asked = async {
        match profile {
            Profile::AuthPay => {
                let form = form(format!("totalFee={fen}&body=Tea"));
                call(life, &process.engine, "/auth/pay/wx2.0/", form).await
            }
            Profile::Wepay => {
                let wanted = json!({"id": wepay_number(order), "fee": fen, "body": "Tea",
                    "env": (["H5", "WXAPP", "APP"][order as usize % 3]),
                    "openid": "oPayerOfTheSimulation0000001"});
                let wanted = ("application/json", wanted.to_string());
                let path = "/apis/v1/wepay/get_pay_request_params";
                call(life, &process.engine, path, wanted).await
            }
            _ => capi(life, &process.engine, merchant, (order, fen)).await,
        }
    };
    match process.survive(asked).await.flatten() {
        None => say!(life.trace, "older  {profile} {order}: none"),
        Some(body) => {
            let short: String = body.to_string().chars().take(100).collect();
            say!(life.trace, "older  {profile} {order}: {short}");
            life.sayings.add(Said { profile, fen, body });
        }
    }
}

fn wepay_number(order: u32) -> String {
    format!("WEPAY{order:04}")
}

async fn call(
    life: &Life,
    engine: &Engine,
    path: &str,
    (kind, body): (&str, String),
) -> Option<Value> {
    let router = tongbao_compat::router(engine, &settings(&life.plan));
    let request = Request::post(path).header("content-type", kind).body(Body::from(body)).ok()?;
    let Ok(response) = router.oneshot(request).await;
    let bytes = to_bytes(response.into_body(), 1 << 20).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

async fn capi(
    life: &Life,
    engine: &Engine,
    merchant: Merchant,
    (order, fen): (u32, i64),
) -> Option<Value> {
    let account = first(&life.plan.shops[0].accounts, &ALIPAY)?;
    let new = NewCharge {
        order_no: OrderNo::new(format!("15065849558500{order:02}")).ok(),
        amount: Amount::new(Fen(fen)).ok()?,
        subject: "Tea".to_owned(),
        body: None,
        attach: None,
        return_url: None,
        client_ip: None,
        payer: None,
        metadata: vec![("notify_url".to_owned(), URLS[1].to_owned())],
        profile: Some(Profile::Capi),
        channel: Some(Channel::AlipayQr),
        account: Some(account.name(merchant)),
        expires: None,
    };
    let reply = engine.create_charge(&scope(merchant), new, None, render).await;
    serde_json::from_str(&reply.body).ok()
}

fn render(outcome: Result<&str, &Error>) -> (u16, String) {
    match outcome {
        Ok(json) => (201, json.to_owned()),
        Err(error) => (400, json!({"error": error.code.as_str()}).to_string()),
    }
}

/// A payer uses what is shown for the n-th charge of a profile.
pub(crate) async fn pay(life: &Life, merchant: Merchant, profile: Profile, nth: usize) {
    let whole = Page { limit: u32::MAX, starting_after: None, ending_before: None };
    let all = life.memory.charges(&scope(merchant), &ChargeFilter::default(), whole).await;
    let mut own: Vec<Loaded> = all.unwrap_or_default();
    own.retain(|loaded| loaded.charge.profile == Some(profile));
    own.sort_by_key(|loaded| loaded.charge.id);
    let Some(loaded) = own.get(nth % own.len().max(1)) else { return };
    let mut actions = loaded.attempts.iter().filter_map(|one| one.action.as_ref());
    let Some(action) = actions.next() else { return };
    let what = json!({"code": code(action), "outcome": "success"});
    let (status, said) = life.desks[&merchant].pay(&what).await;
    say!(life.trace, "payer  {status} {} {}", said["out_trade_no"], said["code"]);
}
