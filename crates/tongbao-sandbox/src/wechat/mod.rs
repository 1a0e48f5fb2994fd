//! WeChat Pay's side of both APIs. What they share is here: how a trade of the sandbox looks to a
//! merchant, and what an order is given to pay with.

pub(crate) mod v2;
pub(crate) mod v3;

use crate::notice::{Notice, NoticeKind};
use crate::numbers;
use crate::pretend::Pretend;
use crate::trade::{Api, Key, Order, Product, Trade};
use crate::world::OrderRefusal;
use tongbao_types::{Fen, Timestamp};
use tongbao_wechat::{Merchant, Paid, Prepaid, TradeState, TradeType};

/// A message ready to be posted to a notify_url.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What a fault changes in a notification, which is then signed as usual.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// In fen.
    pub(crate) amount: Option<i64>,
    pub(crate) app_id: Option<String>,
}

/// The message of a notification about a trade.
pub(crate) fn message(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    changes: &Changes,
) -> Option<Message> {
    if notice.kind != NoticeKind::Payment {
        return None;
    }
    let mut told = told(trade);
    if let (Some(paid), Some(amount)) = (&mut told.paid, changes.amount) {
        paid.total = Fen(amount);
        paid.payer_total = Some(Fen(amount));
    }
    let app_id = changes.app_id.clone().unwrap_or_else(|| trade.order.app_id.clone());
    let merchant = Merchant::direct(app_id, &pretend.credentials.wechat.mch_id);
    match &trade.order.api {
        Api::WechatV2 { hmac } => Some(v2::message(pretend, &merchant, &told, *hmac)),
        Api::WechatV3 => Some(v3::message(pretend, notice, &merchant, &told)),
        Api::AlipayOpen { .. } => None,
    }
}

/// The trade in the protocol's words.
fn told(trade: &Trade) -> tongbao_wechat::Trade {
    let state = TradeState::read(trade.wechat_state());
    let paid = trade.paid_at.map(|paid_at| Paid {
        transaction_id: trade.trade_no.clone().unwrap_or_default(),
        total: Fen(trade.order.amount),
        payer_total: Some(Fen(trade.order.amount)),
        currency: "CNY".to_owned(),
        openid: trade.payer.clone(),
        trade_type: Some(trade.order.product.trade_type().to_owned()),
        bank_type: Some("OTHERS".to_owned()),
        success_time: Some(paid_at),
    });
    tongbao_wechat::Trade {
        out_trade_no: trade.order.key.out_trade_no.clone(),
        state_desc: state.description().to_owned(),
        state,
        attach: trade.order.attach.clone().unwrap_or_default(),
        paid,
    }
}

fn product(trade_type: TradeType) -> Product {
    match trade_type {
        TradeType::Native => Product::WechatNative,
        TradeType::Jsapi => Product::WechatJsapi,
        TradeType::App => Product::WechatApp,
        TradeType::Mweb => Product::WechatH5,
    }
}

/// Places the order and issues what it is paid with; the older code, if any, becomes void.
fn place(pretend: &Pretend, order: Order) -> Result<Prepaid, OrderRefusal> {
    let (key, product) = (order.key.clone(), order.product);
    pretend.change(|world, now| {
        world.place(order, now)?;
        let (prepaid, code) = prepaid(product, now);
        world.issue_code(&key, &code, now);
        Ok(prepaid)
    })
}

fn prepaid(product: Product, now: Timestamp) -> (Prepaid, String) {
    let prepay_id = numbers::prepay_id(now);
    match product {
        Product::WechatJsapi | Product::WechatApp => {
            (Prepaid::PrepayId(prepay_id.clone()), prepay_id)
        }
        Product::WechatH5 => {
            let page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb";
            let package = numbers::digits(10);
            let h5_url = format!("{page}?prepay_id={prepay_id}&package={package}");
            (Prepaid::H5Url { h5_url: h5_url.clone(), prepay_id: Some(prepay_id) }, h5_url)
        }
        _ => {
            let code_url = numbers::code_url();
            let prepaid =
                Prepaid::CodeUrl { code_url: code_url.clone(), prepay_id: Some(prepay_id) };
            (prepaid, code_url)
        }
    }
}

/// Whether the merchant's rule of five minutes forbids to close this order yet.
fn is_too_early_to_close(pretend: &Pretend, key: &Key) -> bool {
    const WAIT_SECONDS: i64 = 300;
    pretend.change(|world, now| {
        let wanted = world.rules().wechat_close_wait;
        let trade = world.find(key, now).filter(|trade| wanted && trade.is_waiting());
        trade.is_some_and(|trade| now.since(trade.placed_at).as_seconds() < WAIT_SECONDS)
    })
}
