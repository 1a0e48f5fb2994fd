//! WeChat Pay's side of both APIs. What they share is here: how a trade of the sandbox looks to a
//! merchant, and what an order is given to pay with.

mod bills;
pub(crate) mod h5;
pub(crate) mod oauth;
pub(crate) mod v2;
pub(crate) mod v3;

pub(crate) use bills::BillFiles;

use crate::notice::{Notice, NoticeKind};
use crate::numbers;
use crate::order::{Api, Key, Order, Party, Product};
use crate::pretend::Pretend;
use crate::refund::{Refund, RefundState};
use crate::trade::Trade;
use crate::world::OrderRefusal;
use tongbao_types::{Fen, Provider, Timestamp};
use tongbao_wechat as protocol;
use tongbao_wechat::{Merchant, Paid, Prepaid, TradeKey, TradeState, TradeType};

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

/// The message of a notification about a trade or one of its refunds.
pub(crate) fn message(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    changes: &Changes,
) -> Option<Message> {
    let mut merchant = merchant_of(pretend, trade);
    if let Some(app_id) = &changes.app_id {
        merchant.app_id.clone_from(app_id);
    }
    let door = notice.door(trade);
    match &notice.kind {
        NoticeKind::Payment => {
            let told = told_paid(trade, changes.amount)?;
            match door {
                Api::WechatV2 { hmac, rehearsal } => {
                    Some(v2::message(pretend, &merchant, &told, (*hmac, *rehearsal)))
                }
                Api::WechatV3 => Some(v3::message(pretend, notice, &merchant, &told)),
                Api::AlipayOpen { .. } | Api::AlipayLegacy { .. } => None,
            }
        }
        NoticeKind::Refund { out_refund_no, .. } => {
            let mut told = told_refund(trade, trade.refund(out_refund_no)?, door);
            told.refund_fen = changes.amount.map_or(told.refund_fen, Fen);
            match door {
                Api::WechatV2 { rehearsal, .. } => {
                    Some(v2::refund_message(pretend, &merchant, &told, *rehearsal))
                }
                Api::WechatV3 => v3::refund_message(pretend, notice, &merchant, &told),
                Api::AlipayOpen { .. } | Api::AlipayLegacy { .. } => None,
            }
        }
        NoticeKind::TradeStatus(_) => None,
    }
}

/// The news of a payment: the trade as it was then, whatever was refunded since.
fn told_paid(trade: &Trade, amount: Option<i64>) -> Option<protocol::Trade> {
    let mut paid = paid(trade)?;
    if let Some(amount) = amount {
        paid.total = Fen(amount);
        paid.payer_total = Some(Fen(amount));
    }
    let state = TradeState::Success;
    let state_desc = state.description().to_owned();
    Some(protocol::Trade { state, state_desc, paid: Some(paid), ..told(trade) })
}

/// The trade in the protocol's words.
fn told(trade: &Trade) -> protocol::Trade {
    let state = TradeState::read(trade.wechat_state());
    protocol::Trade {
        out_trade_no: trade.order.key.out_trade_no.clone(),
        state_desc: state.description().to_owned(),
        attach: trade.order.attach.clone().unwrap_or_default(),
        paid: paid(trade).filter(|_| state.is_paid()),
        state,
    }
}

fn paid(trade: &Trade) -> Option<Paid> {
    Some(Paid {
        success_time: Some(trade.paid_at?),
        transaction_id: trade.trade_no.clone()?,
        total: Fen(trade.order.amount),
        payer_total: Some(Fen(trade.order.amount)),
        currency: "CNY".to_owned(),
        openid: trade.payer.clone(),
        trade_type: Some(trade.order.product.trade_type().to_owned()),
        // WeChat's own purse, as captured from production.
        bank_type: Some("CFT".to_owned()),
    })
}

/// A refund in the protocol's words; the two APIs name the payer's purse differently.
fn told_refund(trade: &Trade, refund: &Refund, door: &Api) -> protocol::Refund {
    let purse = match door {
        Api::WechatV3 => "支付用户零钱",
        _ => "支付用户的零钱",
    };
    let state = match refund.state {
        RefundState::Processing => protocol::RefundState::Processing,
        RefundState::Success => protocol::RefundState::Success,
        RefundState::Abnormal => protocol::RefundState::Abnormal,
        RefundState::Closed => protocol::RefundState::Closed,
    };
    protocol::Refund {
        out_trade_no: trade.order.key.out_trade_no.clone(),
        transaction_id: trade.trade_no.clone().unwrap_or_default(),
        out_refund_no: refund.out_refund_no.clone(),
        refund_id: refund.refund_id.clone().unwrap_or_default(),
        refund_fen: Fen(refund.amount),
        total_fen: Fen(trade.order.amount),
        state,
        success_time: refund.ended_at.filter(|_| refund.state == RefundState::Success),
        created_time: Some(refund.accepted_at),
        user_received_account: Some(purse.to_owned()),
        channel: Some("ORIGINAL".to_owned()),
    }
}

/// Whose a trade is, as it was ordered.
fn merchant_of(pretend: &Pretend, trade: &Trade) -> Merchant {
    let order = &trade.order;
    Merchant {
        sub_app_id: order.party.sub_app_id.clone(),
        sub_mch_id: order.party.sub_mch_id.clone(),
        ..Merchant::direct(&order.app_id, &pretend.credentials.wechat.mch_id)
    }
}

/// For whom a request is; an error if the sub-merchant is not one of this service provider's.
fn party(pretend: &Pretend, merchant: &Merchant) -> Result<Party, ()> {
    let ours = &pretend.credentials.wechat;
    let known =
        |named: &Option<String>, known: &str| named.as_deref().is_none_or(|named| named == known);
    if !known(&merchant.sub_mch_id, &ours.sub_mch_id)
        || !known(&merchant.sub_app_id, &ours.sub_app_id)
    {
        return Err(());
    }
    let (sub_app_id, sub_mch_id) = (merchant.sub_app_id.clone(), merchant.sub_mch_id.clone());
    Ok(Party { sub_app_id, sub_mch_id })
}

/// The trade that a request names. Those of a sub-merchant and a merchant's own do not mix.
fn find(pretend: &Pretend, key: &TradeKey, merchant: &Merchant) -> Option<Trade> {
    pretend.change(|world, now| {
        let trade = match key {
            TradeKey::OutTradeNo(number) => {
                world.find(&Key::new(Provider::Wechat, number.as_str()), now)
            }
            TradeKey::TransactionId(id) => world.find_by_trade_no(Provider::Wechat, id, now),
        };
        trade.filter(|trade| is_of(trade, merchant)).cloned()
    })
}

/// The trade that a refund with this number belongs to: the merchant's or WeChat's.
fn find_refunded(pretend: &Pretend, number: &str, merchant: &Merchant) -> Option<Trade> {
    pretend.change(|world, now| {
        world.find_refunded(number, now).filter(|trade| is_of(trade, merchant)).cloned()
    })
}

fn is_of(trade: &Trade, merchant: &Merchant) -> bool {
    trade.order.party.sub_mch_id == merchant.sub_mch_id
}

fn product(trade_type: TradeType) -> Product {
    match trade_type {
        TradeType::Native => Product::WechatNative,
        TradeType::Jsapi => Product::WechatJsapi,
        TradeType::App => Product::WechatApp,
        TradeType::Mweb => Product::WechatH5,
    }
}

/// Places the order and issues what it is paid with; the older code, if any, becomes void. `base`
/// is where pages of the sandbox are, as the merchant knows it.
fn place(pretend: &Pretend, order: Order, base: &str) -> Result<Prepaid, OrderRefusal> {
    let (key, product) = (order.key.clone(), order.product);
    pretend.change(|world, now| {
        world.place(order, now)?;
        let (prepaid, codes) = prepaid(product, base, now);
        world.issue_codes(&key, &codes.each_ref().map(String::as_str), now);
        Ok(prepaid)
    })
}

fn prepaid(product: Product, base: &str, now: Timestamp) -> (Prepaid, [String; 2]) {
    let prepay_id = numbers::prepay_id(now);
    match product {
        Product::WechatJsapi | Product::WechatApp => {
            (Prepaid::PrepayId(prepay_id.clone()), [prepay_id.clone(), prepay_id])
        }
        Product::WechatH5 => {
            let package = numbers::digits(10);
            let h5_url = format!("{base}{}?prepay_id={prepay_id}&package={package}", h5::PATH);
            let codes = [h5_url.clone(), prepay_id.clone()];
            (Prepaid::H5Url { h5_url, prepay_id: Some(prepay_id) }, codes)
        }
        _ => {
            let code_url = numbers::code_url();
            let codes = [code_url.clone(), prepay_id.clone()];
            (Prepaid::CodeUrl { code_url, prepay_id: Some(prepay_id) }, codes)
        }
    }
}

/// Whether the merchant's rule of five minutes forbids to close this order yet.
fn is_too_early_to_close(pretend: &Pretend, trade: &Trade) -> bool {
    const WAIT_SECONDS: i64 = 300;
    let wanted = pretend.world().rules().wechat_close_wait && trade.is_waiting();
    wanted && pretend.now().since(trade.placed_at).as_seconds() < WAIT_SECONDS
}
