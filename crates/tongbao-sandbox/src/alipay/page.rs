//! Orders that a browser or an app brings: `page.pay`, `wap.pay` and `app.pay`. The buyer acts on
//! our cashier page or in the pretend app, and the browser goes back. Nothing exists for queries
//! until the buyer acts (Alipay, 电脑网站支付, 手机网站支付, App支付).

use super::{Asked, legacy, open, out_no, signer, trade_no};
use crate::order::{Api, Key, Product};
use crate::pretend::Pretend;
use crate::trade::Trade;
use crate::wallet;
use tongbao_alipay::open::app::{self, AppPay};
use tongbao_alipay::open::order::Order;
use tongbao_alipay::open::page::{self, PagePay, error_page};
use tongbao_alipay::open::return_url::Return;
use tongbao_alipay::open::wap::{self, WapPay};
use tongbao_alipay::{Charset, Refusal};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Provider};

const NO_PAGE: &str = "this is not the address of a page";

/// Whether the gateway answers a method with a page.
pub(super) fn is_one(method: &str) -> bool {
    [page::METHOD, wap::METHOD].contains(&method)
}

/// The cashier for the order that a verified request brings, or the error page.
pub(super) fn answer(
    pretend: &Pretend,
    asked: &open::Asked,
    accept_language: &str,
) -> HttpResponse {
    match place(pretend, asked) {
        Ok(key) => cashier(pretend, &key, accept_language),
        Err(refusal) => error_page(&refusal),
    }
}

/// The cashier for an order, for the browser of its buyer.
pub(super) fn cashier(pretend: &Pretend, key: &Key, accept_language: &str) -> HttpResponse {
    let page = wallet::cashier_html(pretend, key, accept_language);
    HttpResponse::new(200, "text/html;charset=utf-8", page)
}

/// A buyer opens the address of a page or an app's order string: the order is known from then on.
/// The error is the code and the words of the page that the buyer gets instead.
pub(crate) fn visit(pretend: &Pretend, request: &HttpRequest) -> Result<Key, String> {
    match Asked::read(pretend, request, String::new()) {
        Asked::Open(asked) => visit_open(pretend, &asked),
        Asked::Legacy(asked) => asked.visit(pretend),
        Asked::V3(_) => Err(NO_PAGE.to_owned()),
    }
}

fn visit_open(pretend: &Pretend, asked: &open::Asked) -> Result<Key, String> {
    let words = |refusal: &Refusal| format!("{} {}", refusal.sub_code, refusal.sub_msg);
    if let Some(refusal) = &asked.refusal {
        return Err(words(refusal));
    }
    let placed = place(pretend, asked);
    // Whoever comes back to an order that is over learns it from trying to pay.
    let is_over = |refusal: &Refusal| {
        [Refusal::TRADE_HAS_SUCCESS, Refusal::TRADE_HAS_CLOSE].contains(refusal)
    };
    match (placed, number_of(pretend, asked)) {
        (Ok(key), _) => Ok(key),
        (Err(refusal), Some(key)) if is_over(&refusal) => Ok(key),
        (Err(refusal), _) if refusal == Refusal::INVALID_METHOD => Err(NO_PAGE.to_owned()),
        (Err(refusal), _) => Err(words(&refusal)),
    }
}

/// Where the browser of a buyer who paid is sent; none without a `return_url` or before paying.
pub(crate) fn return_address(pretend: &Pretend, trade: &Trade) -> Option<String> {
    let url = trade.order.return_url.as_deref()?;
    trade.paid_at?;
    let (charset, by_certificate) = match &trade.order.api {
        Api::AlipayOpen { charset, by_certificate } => (charset, *by_certificate),
        Api::AlipayLegacy { charset } => return legacy::return_address(pretend, trade, charset),
        Api::WechatV2 { .. } | Api::WechatV3 => return None,
    };
    let method = match trade.order.product {
        Product::AlipayPage => page::METHOD,
        Product::AlipayWap => wap::METHOD,
        _ => return None,
    };
    let members = Return {
        app_id: trade.order.app_id.clone(),
        seller_id: pretend.credentials.alipay.seller_id.clone(),
        method: method.to_owned(),
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade)?,
        total_amount: Fen(trade.order.amount),
        timestamp: pretend.now(),
    };
    let charset = Charset::from_name(charset).unwrap_or(Charset::Utf8);
    Some(members.encode(url, charset, signer(pretend, by_certificate).0))
}

fn place(pretend: &Pretend, asked: &open::Asked) -> Result<Key, Refusal> {
    let (order, product) = read(pretend, asked)?;
    let order = asked.caller(pretend).order(&order, product)?;
    let key = order.key.clone();
    pretend.change(|world, now| world.place(order, now))?;
    Ok(key)
}

fn read(pretend: &Pretend, asked: &open::Asked) -> Result<(Order, Product), Refusal> {
    let biz = asked.biz(pretend)?;
    match asked.request.method().as_deref() {
        Some(page::METHOD) => Ok((PagePay::read(&biz)?.order, Product::AlipayPage)),
        Some(wap::METHOD) => Ok((WapPay::read(&biz)?.order, Product::AlipayWap)),
        Some(app::METHOD) => Ok((AppPay::read(&biz)?.order, Product::AlipayApp)),
        _ => Err(Refusal::INVALID_METHOD),
    }
}

fn number_of(pretend: &Pretend, asked: &open::Asked) -> Option<Key> {
    let (order, _) = read(pretend, asked).ok()?;
    Some(Key::new(Provider::Alipay, order.out_trade_no.as_str()))
}
