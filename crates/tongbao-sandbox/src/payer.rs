//! The pretend payer: scans a code or takes an order by its number, and pays, waits or gives up.

use crate::alipay::page;
use crate::credentials::Credentials;
use crate::order::Key;
use crate::pretend::Pretend;
use crate::trade::{PayRefusal, Trade};
use crate::words;
use crate::world::{CodeRefusal, Payers};
use serde::{Deserialize, Serialize};
use tongbao_types::{HttpRequest, Method, Provider};

/// What the payer is asked to do; the body of `/_sandbox/pay`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayRequest {
    /// A code_url, a qr_code or the address of a page.
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(with = "words::provider_option", default)]
    pub(crate) provider: Option<Provider>,
    #[serde(default)]
    pub(crate) out_trade_no: Option<String>,
    /// `success`, `scanned`, `cancelled`, `user_paying`, or a provider's error code.
    #[serde(default)]
    pub(crate) outcome: Option<String>,
    #[serde(default)]
    pub(crate) openid: Option<String>,
    #[serde(default)]
    pub(crate) buyer_id: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Played {
    #[serde(with = "words::provider")]
    pub(crate) provider: Provider,
    pub(crate) out_trade_no: String,
    pub(crate) trade_no: Option<String>,
    /// In fen.
    pub(crate) amount: i64,
    pub(crate) state: &'static str,
    pub(crate) outcome: String,
    /// Where Alipay sends the browser of a buyer who paid on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) return_url: Option<String>,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayProblem {
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// There is no such order or code.
    #[error("there is no such order or code in this sandbox")]
    NotFound,
    /// The address of a page that the provider answers with an error.
    #[error("the page's address is refused: {0}")]
    PageRefused(String),
    /// The order was paid before.
    #[error("the order is paid already")]
    AlreadyPaid,
    /// The order is closed.
    #[error("the order is closed")]
    Closed,
    /// Its time, or its code's, is over.
    #[error("the order or its code has expired")]
    Expired,
    /// A newer code took its place.
    #[error("a newer code of this order made this one void")]
    Void,
}

impl PayProblem {
    /// The status and code of `/_sandbox/pay`.
    pub(crate) fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            PayProblem::Request(_) => (400, "invalid_request"),
            PayProblem::NotFound => (404, "not_found"),
            PayProblem::PageRefused(_) => (409, "page_refused"),
            PayProblem::AlreadyPaid => (409, "already_paid"),
            PayProblem::Closed => (409, "closed"),
            PayProblem::Expired => (409, "expired"),
            PayProblem::Void => (409, "void"),
        }
    }
}

impl From<PayRefusal> for PayProblem {
    fn from(refusal: PayRefusal) -> PayProblem {
        match refusal {
            PayRefusal::AlreadyPaid => PayProblem::AlreadyPaid,
            PayRefusal::Closed => PayProblem::Closed,
            PayRefusal::Expired => PayProblem::Expired,
        }
    }
}

impl From<CodeRefusal> for PayProblem {
    fn from(refusal: CodeRefusal) -> PayProblem {
        match refusal {
            CodeRefusal::Unknown => PayProblem::NotFound,
            CodeRefusal::Void => PayProblem::Void,
            CodeRefusal::Expired => PayProblem::Expired,
        }
    }
}

/// What the payer does with the order.
enum Outcome {
    Success,
    Scanned,
    /// Gave up, or the attempt failed: the order waits on.
    Nothing,
    UserPaying,
}

/// Plays the payer.
pub(crate) fn play(pretend: &Pretend, request: &PayRequest) -> Result<Played, PayProblem> {
    let word = request.outcome.clone().unwrap_or_else(|| "success".to_owned());
    let outcome = outcome(&word)?;
    let key = order(pretend, request)?;
    let named = match key.provider {
        Provider::Wechat => request.openid.clone(),
        Provider::Alipay => request.buyer_id.clone(),
    };
    let played = pretend.change(|world, now| {
        let known = world.find(&key, now).cloned()?;
        let payer = named.unwrap_or_else(|| world.payer_of(&known).to_owned());
        world.payer(&key, now, |trade| match outcome {
            Outcome::Success => trade.pay(&payer, now),
            Outcome::Scanned => trade.arrive(&payer, now).map(|_| ()),
            Outcome::Nothing => trade.give_up(&payer, now),
            Outcome::UserPaying => trade.start_paying(&payer, now),
        })
    });
    let trade = played.ok_or(PayProblem::NotFound)??;
    Ok(report(pretend, &trade, word))
}

/// The pretend payer at both providers, the same for each start with the same keys: an openid of 28
/// characters and an account number of 16 digits.
pub(crate) fn payers(credentials: &Credentials) -> Payers {
    let seed = format!("payer of {}", credentials.wechat.app_id);
    let openid = format!("o{}", &tongbao_crypt::digest::sha256_hex(seed.as_bytes())[..27]);
    let seller: u64 = credentials.alipay.seller_id[4..].parse().unwrap_or(1);
    let buyer_id = format!("2088{:012}", (seller + 500_000_000_001) % 1_000_000_000_000);
    Payers { openid, buyer_id }
}

fn outcome(word: &str) -> Result<Outcome, PayProblem> {
    let code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '.';
    match word {
        "success" => Ok(Outcome::Success),
        "scanned" => Ok(Outcome::Scanned),
        "cancelled" => Ok(Outcome::Nothing),
        "user_paying" => Ok(Outcome::UserPaying),
        error if !error.is_empty() && error.chars().all(code) => Ok(Outcome::Nothing),
        _ => Err(PayProblem::Request(
            "outcome is success, scanned, cancelled, user_paying or an error code in capitals"
                .to_owned(),
        )),
    }
}

/// The order meant, by code or by number.
fn order(pretend: &Pretend, request: &PayRequest) -> Result<Key, PayProblem> {
    match (&request.code, request.provider, &request.out_trade_no) {
        (Some(code), None, None) => by_code(pretend, code),
        (None, Some(provider), Some(number)) => Ok(Key::new(provider, number.as_str())),
        _ => Err(PayProblem::Request("give either code, or provider and out_trade_no".to_owned())),
    }
}

/// A code is what an order is given to be paid with, in any form that a merchant hands on: a QR
/// code's text, the address of a page, an app's order string, a prepay_id or its `package`, the
/// trade_no of a created trade.
fn by_code(pretend: &Pretend, code: &str) -> Result<Key, PayProblem> {
    let code = code.trim();
    if let Some(query) = signed_query(code) {
        let request = HttpRequest {
            method: Method::Get,
            target: format!("/gateway.do?{query}"),
            headers: Vec::new(),
            body: Vec::new().into(),
        };
        return page::visit(pretend, &request).map_err(PayProblem::PageRefused);
    }
    let code = code.strip_prefix("prepay_id=").unwrap_or(code);
    // The merchant's client adds where the browser goes afterwards.
    let code = code.split_once("&redirect_url=").map_or(code, |(page, _)| page);
    let now = pretend.now();
    let mut world = pretend.world();
    if let Some(trade) = world.find_by_trade_no(Provider::Alipay, code, now) {
        return Ok(trade.order.key.clone());
    }
    Ok(world.scan(code, now)?)
}

/// The parameters of a signed request that a browser or an app carries to Alipay.
fn signed_query(code: &str) -> Option<&str> {
    if let Some((_, query)) = code.split_once("/gateway.do?") {
        return Some(query);
    }
    let is_order_string = !code.contains("://") && code.contains("sign=") && code.contains("&");
    is_order_string.then_some(code)
}

fn report(pretend: &Pretend, trade: &Trade, outcome: String) -> Played {
    Played {
        provider: trade.order.key.provider,
        out_trade_no: trade.order.key.out_trade_no.clone(),
        trade_no: trade.trade_no.clone(),
        amount: trade.order.amount,
        state: trade.state_word(),
        outcome,
        return_url: page::return_address(pretend, trade),
    }
}
