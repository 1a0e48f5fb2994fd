//! Pages for people: a wallet on a phone that pays codes and open orders and shows what happened,
//! and Alipay's cashier where page.pay leads. They work with scripts off; the script only keeps the
//! lists fresh.

mod words;

use crate::order::Key;
use crate::payer::{self, PayProblem, PayRequest};
use crate::pretend::Pretend;
use crate::trade::{State as TradeState, Trade};
use crate::traffic::Exchange;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, http::HeaderMap};
use http::{StatusCode, header};
use rust_embed::RustEmbed;
use serde::Deserialize;
use std::sync::Arc;
use tongbao_types::{Fen, Provider};
use words::Words;

/// How many finished trades and exchanges a page shows.
const SHOWN: usize = 30;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// The routes.
pub(crate) fn router() -> Router<Arc<Pretend>> {
    Router::new()
        .route("/", get(wallet))
        .route("/_sandbox/wallet", post(wallet_act))
        .route("/_sandbox/cashier", get(alipay_cashier).post(cashier_act))
        .route("/_sandbox/assets/{file}", get(asset))
}

/// Alipay's page for an order, as the browser of a buyer gets it.
pub(crate) fn cashier_html(pretend: &Pretend, key: &Key, accept_language: &str) -> String {
    let asked = Asked { out_trade_no: key.out_trade_no.clone(), ..Asked::default() };
    Cashier::alipay(&asked).render(pretend, words::choose("", accept_language))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    lang: String,
    /// A code to pay, in the wallet.
    code: String,
    /// An order, at the cashier.
    out_trade_no: String,
    /// What the last act came to.
    said: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Act {
    lang: String,
    code: String,
    provider: String,
    out_trade_no: String,
    outcome: String,
}

struct OrderView {
    provider: &'static str,
    wallet: &'static str,
    out_trade_no: String,
    subject: String,
    amount: String,
    state: &'static str,
    waits: bool,
}

struct ExchangeView {
    at: String,
    operation: String,
    method: &'static str,
    verdict: &'static str,
    verdict_word: &'static str,
    status: String,
    string: String,
}

#[derive(Template)]
#[template(path = "wallet.html")]
struct WalletPage<'a> {
    words: &'a Words,
    code: &'a str,
    order: Option<OrderView>,
    said: &'a str,
    said_well: bool,
    /// What each wallet shows for a merchant to scan.
    auth_codes: [(&'static str, String); 2],
    open: Vec<OrderView>,
    done: Vec<OrderView>,
    traffic: Vec<ExchangeView>,
}

#[derive(Template)]
#[template(path = "cashier.html")]
struct CashierPage<'a> {
    words: &'a Words,
    /// Whose page it is.
    title: &'a str,
    action: &'a str,
    fields: &'a [(&'static str, String)],
    /// What can be done besides paying, and what the button says.
    other: (&'static str, &'static str),
    order: Option<OrderView>,
    said: &'a str,
    said_well: bool,
}

async fn wallet(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let words = words::choose(&asked.lang, accept_language(&headers));
    let now = pretend.now();
    let scanned = pretend.world().scan(asked.code.trim(), now).ok();
    let (mut open, mut done) = (Vec::new(), Vec::new());
    let mut order = None;
    for trade in pretend.world().trades(now).rev() {
        if scanned.as_ref() == Some(&trade.order.key) {
            order = Some(view(trade, words));
        }
        let list = if trade.is_waiting() { &mut open } else { &mut done };
        if list.len() < SHOWN {
            list.push(view(trade, words));
        }
    }
    let traffic =
        pretend.traffic().entries().rev().take(SHOWN).map(|one| exchange(one, words)).collect();
    let (said, said_well) = words.said(&asked.said);
    let auth_codes = [Provider::Wechat, Provider::Alipay]
        .map(|provider| (words.wallet_of(provider), pretend.world().auth_code(provider, now).text));
    let code = asked.code.as_str();
    page_of(&WalletPage { words, code, order, said, said_well, auth_codes, open, done, traffic })
}

async fn wallet_act(State(pretend): State<Arc<Pretend>>, Form(act): Form<Act>) -> Response {
    let said = match payer::play(&pretend, &request(&act)) {
        Ok(played) => played.outcome,
        Err(problem) => said_of(&problem).to_owned(),
    };
    back("/", &[("lang", &act.lang), ("said", &said)])
}

/// What a page with one order to pay is made of.
pub(crate) struct Cashier {
    /// The order; none if there is none.
    pub(crate) key: Option<Key>,
    pub(crate) lang: String,
    /// What the last act came to.
    pub(crate) said: String,
    /// Where the form goes, and what goes with it.
    pub(crate) action: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The outcome that can be had besides paying.
    pub(crate) other: &'static str,
}

/// A page with one order to pay, for the browser that sent these headers.
pub(crate) fn cashier(pretend: &Pretend, headers: &HeaderMap, cashier: &Cashier) -> Response {
    let words = words::choose(&cashier.lang, accept_language(headers));
    Html(cashier.render(pretend, words)).into_response()
}

impl Cashier {
    /// Alipay's.
    fn alipay(asked: &Asked) -> Cashier {
        Cashier {
            key: Some(Key::new(Provider::Alipay, asked.out_trade_no.as_str())),
            lang: asked.lang.clone(),
            said: asked.said.clone(),
            action: "/_sandbox/cashier",
            fields: vec![("out_trade_no", asked.out_trade_no.clone())],
            other: "scanned",
        }
    }

    fn render(&self, pretend: &Pretend, words: &Words) -> String {
        let now = pretend.now();
        let mut world = pretend.world();
        let trade = self.key.as_ref().and_then(|key| world.find(key, now));
        let order = trade.map(|trade| view(trade, words));
        let (said, said_well) = words.said(&self.said);
        let label = if self.other == "scanned" { words.log_in } else { words.give_up };
        render(&CashierPage {
            words,
            title: words.cashier,
            action: self.action,
            fields: &self.fields,
            other: (self.other, label),
            order,
            said,
            said_well,
        })
    }
}

async fn alipay_cashier(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let words = words::choose(&asked.lang, accept_language(&headers));
    Html(Cashier::alipay(&asked).render(&pretend, words)).into_response()
}

/// A buyer who paid goes on to the merchant's page, as with Alipay.
async fn cashier_act(State(pretend): State<Arc<Pretend>>, Form(act): Form<Act>) -> Response {
    let act = Act { provider: Provider::Alipay.as_str().to_owned(), ..act };
    let said = match payer::play(&pretend, &request(&act)) {
        Ok(played) => match played.return_url.filter(|_| played.outcome == "success") {
            Some(url) => return Redirect::to(&url).into_response(),
            None => played.outcome,
        },
        Err(problem) => said_of(&problem).to_owned(),
    };
    let number = act.out_trade_no.as_str();
    back("/_sandbox/cashier", &[("lang", &act.lang), ("out_trade_no", number), ("said", &said)])
}

async fn asset(Path(file): Path<String>) -> Response {
    let Some(found) = Assets::get(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match file.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    };
    ([(header::CONTENT_TYPE, kind)], found.data).into_response()
}

fn request(act: &Act) -> PayRequest {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let by_code = some(&act.code);
    PayRequest {
        provider: act.provider.parse().ok().filter(|_| by_code.is_none()),
        out_trade_no: some(&act.out_trade_no).filter(|_| by_code.is_none()),
        outcome: some(&act.outcome),
        code: by_code,
        ..PayRequest::default()
    }
}

fn said_of(problem: &PayProblem) -> &'static str {
    problem.status_and_code().1
}

fn back(to: &str, query: &[(&str, &str)]) -> Response {
    let filled = query.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(filled).finish();
    Redirect::to(&format!("{to}?{query}")).into_response()
}

fn page_of(page: &impl Template) -> Response {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(render(page))).into_response()
}

fn render(page: &impl Template) -> String {
    page.render().expect("the templates only print values that are there")
}

fn accept_language(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn view(trade: &Trade, words: &Words) -> OrderView {
    let provider = trade.order.key.provider;
    OrderView {
        provider: provider.as_str(),
        wallet: words.wallet_of(provider),
        out_trade_no: trade.order.key.out_trade_no.clone(),
        subject: trade.order.subject.clone(),
        amount: Fen(trade.order.amount).to_yuan(),
        state: match trade.state {
            TradeState::Fresh | TradeState::Open => words.waits,
            TradeState::Paying => words.paying,
            TradeState::Closed | TradeState::Reversed if trade.paid_at.is_some() => words.refunded,
            TradeState::Paid if !trade.refunds.is_empty() => words.refunded,
            TradeState::Paid | TradeState::Finished => words.paid,
            TradeState::Closed | TradeState::Failed | TradeState::Reversed => words.closed,
        },
        waits: trade.is_waiting(),
    }
}

fn exchange(one: &Exchange, words: &Words) -> ExchangeView {
    let verdict = one.signature.word();
    ExchangeView {
        at: one.at.clone(),
        operation: one.operation.clone(),
        method: one.method,
        verdict,
        verdict_word: words.verdict(verdict),
        status: one.answer.as_ref().map_or("–".to_owned(), |answer| answer.status.to_string()),
        string: one.signature.string().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_request_by_code_or_by_number() {
        let act =
            Act { code: "weixin://x".to_owned(), provider: "wechat".to_owned(), ..Act::default() };
        let asked = request(&act);
        assert_eq!(asked.code.as_deref(), Some("weixin://x"));
        assert_eq!(asked.provider, None);
        let act = Act {
            provider: "alipay".to_owned(),
            out_trade_no: "T1".to_owned(),
            outcome: "cancelled".to_owned(),
            ..Act::default()
        };
        let asked = request(&act);
        assert_eq!(asked.provider, Some(Provider::Alipay));
        assert_eq!(asked.outcome.as_deref(), Some("cancelled"));
    }
}
