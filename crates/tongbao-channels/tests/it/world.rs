//! What the tests of all adapters share: one order, one refund, one moment.

use std::sync::{Arc, LazyLock};
use tongbao_channels::{
    AccountSetup, Adapter, Exchange, Keys, Order, OrderRef, Placing, RefundOrder, Stamp, adapter,
};
use tongbao_core::{Action, Payer, Seen};
use tongbao_types::{
    AccountName, Amount, Channel, ChargeId, Fen, OutRefundNo, OutTradeNo, Timestamp, TradeNo,
};

pub(crate) const NUMBER: &str = "TB20261121000001";
pub(crate) const REFUND_NUMBER: &str = "TB20261121000001R1";
pub(crate) const TRADE_NO: &str = "2026112122001400000500000001";
pub(crate) const CHARGE: &str = "ch_00000000000000000000000000";
pub(crate) const TOTAL: Fen = Fen(8888);
pub(crate) const PART: Fen = Fen(100);

static NUMBERS: LazyLock<(OutTradeNo, OutRefundNo, TradeNo)> = LazyLock::new(|| {
    (
        OutTradeNo::new(NUMBER).unwrap(),
        OutRefundNo::new(REFUND_NUMBER).unwrap(),
        TradeNo::new(TRADE_NO).unwrap(),
    )
});

pub(crate) fn number() -> OutTradeNo {
    NUMBERS.0.clone()
}

pub(crate) fn refund_number() -> OutRefundNo {
    NUMBERS.1.clone()
}

pub(crate) fn trade_no() -> TradeNo {
    NUMBERS.2.clone()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T06:30:00Z".parse().unwrap()
}

pub(crate) fn paid_at() -> Timestamp {
    "2026-11-21T06:29:11Z".parse().unwrap()
}

pub(crate) fn stamp() -> Stamp {
    Stamp { wall: now(), nonce: "0123456789abcdef0123456789abcdef".to_owned() }
}

pub(crate) fn account(keys: Keys) -> AccountSetup {
    AccountSetup {
        endpoint_ca: None,
        name: AccountName::new("shop").unwrap(),
        keys,
        endpoint: None,
        public_url: "https://pay.example.com".to_owned(),
        notify_url: None,
    }
}

pub(crate) fn made(keys: Keys) -> Arc<dyn Adapter> {
    adapter(account(keys)).unwrap()
}

/// An order of 88.88 yuan that nobody can pay after half an hour.
pub(crate) fn order(channel: Channel, payer: Option<&Payer>) -> Order<'_> {
    Order {
        charge: CHARGE.parse::<ChargeId>().unwrap(),
        channel,
        out_trade_no: &NUMBERS.0,
        amount: Amount::new(TOTAL).unwrap(),
        subject: "测试 a/b",
        body: Some("一杯茶"),
        attach: Some("x-1"),
        client_ip: Some("203.0.113.7"),
        payer,
        expires_at: "2026-11-21T07:00:00Z".parse().unwrap(),
    }
}

pub(crate) fn order_ref(channel: Channel) -> OrderRef<'static> {
    OrderRef { channel, out_trade_no: &NUMBERS.0 }
}

/// A refund of one yuan.
pub(crate) fn refund_order(channel: Channel) -> RefundOrder<'static> {
    RefundOrder {
        order: order_ref(channel),
        paid: TOTAL,
        out_refund_no: &NUMBERS.1,
        amount: Amount::new(PART).unwrap(),
        reason: Some("茶凉了"),
    }
}

/// Places an order that needs a call.
pub(crate) fn call(adapter: &dyn Adapter, order: &Order<'_>) -> Exchange {
    match adapter.place(order, &stamp()).unwrap() {
        Placing::Call(exchange) => exchange,
        Placing::Ready(action) => panic!("{} needs no call: {action:?}", order.channel),
    }
}

/// Places an order that the payer's side carries.
pub(crate) fn ready(adapter: &dyn Adapter, order: &Order<'_>) -> Action {
    match adapter.place(order, &stamp()).unwrap() {
        Placing::Ready(action) => action,
        Placing::Call(exchange) => panic!("{} needs a call: {exchange:?}", order.channel),
    }
}

pub(crate) fn seen(payer: Payer, returned: bool) -> Seen {
    Seen {
        amount: TOTAL,
        currency: "CNY".to_owned(),
        trade_no: trade_no(),
        paid_at: Some(paid_at()),
        payer: Some(payer),
        returned,
    }
}
