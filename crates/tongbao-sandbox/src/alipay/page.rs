//! `alipay.trade.page.pay`: the browser brings the order, the buyer acts on our cashier page, the
//! browser goes back. Nothing exists for queries until the buyer acts (Alipay, 电脑网站支付).

use super::{Asked, order};
use crate::pretend::Pretend;
use crate::trade::{Api, Key, Product, Trade};
use crate::wallet;
use tongbao_alipay::open::gateway::GatewayRequest;
use tongbao_alipay::open::page::{METHOD, PagePay, error_page};
use tongbao_alipay::open::return_url::Return;
use tongbao_alipay::{Charset, Refusal};
use tongbao_types::{Fen, HttpRequest, HttpResponse, OutTradeNo, TradeNo};

/// The cashier for the order that a verified request brings, or the error page.
pub(super) fn answer(
    pretend: &Pretend,
    request: &GatewayRequest,
    accept_language: &str,
) -> HttpResponse {
    match place(pretend, request) {
        Ok(key) => {
            let page = wallet::cashier_html(pretend, &key, accept_language);
            HttpResponse::new(200, "text/html;charset=utf-8", page)
        }
        Err(refusal) => error_page(&refusal),
    }
}

/// A buyer opens the address of a page: the order is known from then on. The error is the code and
/// the words of the page that the buyer gets instead.
pub(crate) fn visit(pretend: &Pretend, request: &HttpRequest) -> Result<Key, String> {
    let asked = Asked::read(pretend, request);
    let words = |refusal: Refusal| format!("{} {}", refusal.sub_code, refusal.sub_msg);
    if let Some(refusal) = asked.refusal {
        return Err(words(refusal));
    }
    if asked.request.method().as_deref() != Some(METHOD) {
        return Err("this is not the address of a page".to_owned());
    }
    let placed = place(pretend, &asked.request);
    // Whoever comes back to an order that is over learns it from trying to pay.
    let key = number_of(&asked.request);
    match (placed, key) {
        (Ok(key), _) => Ok(key),
        (Err(refusal), Some(key)) if is_over(&refusal) => Ok(key),
        (Err(refusal), _) => Err(words(refusal)),
    }
}

/// Where the browser of a buyer who paid is sent; none without a `return_url` or before paying.
pub(crate) fn return_address(pretend: &Pretend, trade: &Trade) -> Option<String> {
    let url = trade.order.return_url.as_deref()?;
    let Api::AlipayOpen { charset } = &trade.order.api else { return None };
    trade.paid_at?;
    let members = Return {
        app_id: trade.order.app_id.clone(),
        seller_id: pretend.credentials.alipay.seller_id.clone(),
        method: METHOD.to_owned(),
        out_trade_no: OutTradeNo::new(trade.order.key.out_trade_no.as_str()).ok()?,
        trade_no: TradeNo::new(trade.trade_no.clone()?).ok()?,
        total_amount: Fen(trade.order.amount),
        timestamp: pretend.now(),
    };
    let charset = Charset::from_name(charset).unwrap_or(Charset::Utf8);
    Some(members.encode(url, charset, &pretend.keys.alipay))
}

fn place(pretend: &Pretend, request: &GatewayRequest) -> Result<Key, Refusal> {
    let asked = read(request)?;
    let order = order(pretend, request, &asked.order, Product::AlipayPage)?;
    let key = order.key.clone();
    pretend.change(|world, now| world.place(order, now))?;
    Ok(key)
}

fn is_over(refusal: &Refusal) -> bool {
    [Refusal::TRADE_HAS_SUCCESS, Refusal::TRADE_HAS_CLOSE].contains(refusal)
}

fn read(request: &GatewayRequest) -> Result<PagePay, Refusal> {
    PagePay::read(&request.biz_content(None)?)
}

fn number_of(request: &GatewayRequest) -> Option<Key> {
    let number = read(request).ok()?.order.out_trade_no;
    Some(Key::new(tongbao_types::Provider::Alipay, number.as_str()))
}
