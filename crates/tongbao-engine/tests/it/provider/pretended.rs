//! What the real adapters leave to be pretended here: refunds, codes that the merchant scans, and
//! channels that name their payer, in plain JSON. Everything else goes to the real adapter.

use super::{
    Moment, No, Op, PlaceRefusal, Protocol, RefundStatus, Refunded, Said, Trade, TradeStatus,
    Trades,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tongbao_channels::{
    Acknowledgement, Adapter, Doubt, Exchange, Notice, NoticeRefusal, Order, OrderError, OrderRef,
    Placing, RefundOrder, Refusal, Reply, Stamp,
};
use tongbao_core::{Action, Fact, RefundFact, Seen};
use tongbao_types::{
    AccountName, Channel, Fen, HttpRequest, HttpResponse, Method, OutRefundNo, OutTradeNo,
    Provider, Span, Timestamp, TradeNo,
};

pub(crate) const PATH: &str = "/pretended";
const NOTICE: &str = "/pretended/notice";

/// A real adapter, which places and asks about orders that need no payer.
pub(super) struct Pretended {
    pub(super) real: Arc<dyn Adapter>,
    /// While this is set it cannot refund.
    pub(super) is_hindered: Arc<AtomicBool>,
}

const WECHAT: &[Channel] =
    &[Channel::WechatNative, Channel::WechatJsapi, Channel::WechatH5, Channel::WechatMicropay];
const ALIPAY: &[Channel] =
    &[Channel::AlipayPage, Channel::AlipayWap, Channel::AlipayQr, Channel::AlipayBarcode];

impl Pretended {
    fn is_real(&self, channel: Channel) -> bool {
        [Channel::WechatNative, Channel::AlipayPage, Channel::AlipayQr].contains(&channel)
    }
}

impl Adapter for Pretended {
    fn name(&self) -> &AccountName {
        self.real.name()
    }

    fn provider(&self) -> Provider {
        self.real.provider()
    }

    fn endpoint(&self) -> &str {
        self.real.endpoint()
    }

    fn channels(&self) -> &'static [Channel] {
        if self.provider() == Provider::Wechat { WECHAT } else { ALIPAY }
    }

    fn takes_number(&self, text: &str) -> bool {
        self.real.takes_number(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        if self.is_real(order.channel) {
            return self.real.place(order, stamp);
        }
        let payer = order.payer.cloned().unwrap_or_default();
        if order.channel == Channel::WechatJsapi && payer.openid.is_none() {
            let message = "wechat.jsapi needs an openid".to_owned();
            return Err(OrderError { param: "payer", message });
        }
        // Without a code it is sent all the same: nobody shall come here a second time.
        let code = payer.auth_code.unwrap_or_default();
        let auth_code = order.channel.is_scanned_by_merchant().then_some(code);
        let asked = json!({
            "out_trade_no": order.out_trade_no.as_str(), "amount": order.amount.fen().0,
            "channel": order.channel.as_str(), "openid": payer.openid,
            "auth_code": auth_code, "client_ip": order.client_ip,
        });
        Ok(Placing::Call(Exchange::new(post("place", &asked), |response, _| order_said(response))))
    }

    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        self.real.query(order, stamp)
    }

    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        if !order.channel.is_scanned_by_merchant() {
            return self.real.close(order, stamp);
        }
        let asked = json!({"out_trade_no": order.out_trade_no.as_str()});
        Exchange::new(post("take_back", &asked), |response, _| order_said(response))
    }

    fn close_wait(&self, refusal: &Refusal) -> Option<Span> {
        self.real.close_wait(refusal)
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_alipay(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        self.is_hindered.load(Ordering::SeqCst).then_some("it has no certificate")
    }

    fn refund(&self, refund: &RefundOrder<'_>, _stamp: &Stamp) -> Exchange<RefundFact> {
        let asked = refund_order(refund);
        Exchange::new(post("refund", &asked), |response, _| refund_said(response))
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, _stamp: &Stamp) -> Exchange<RefundFact> {
        let asked = refund_order(refund);
        Exchange::new(post("ask_refund", &asked), |response, _| refund_said(response))
    }

    fn needs_keys(&self) -> bool {
        self.real.needs_keys()
    }

    fn keys_request(&self, stamp: &Stamp) -> Option<HttpRequest> {
        self.real.keys_request(stamp)
    }

    fn learn_keys(&self, response: &HttpResponse, wall: Timestamp) -> Result<(), String> {
        self.real.learn_keys(response, wall)
    }

    fn read_notice(&self, request: &HttpRequest, wall: Timestamp) -> Result<Notice, NoticeRefusal> {
        if request.path() != NOTICE {
            return self.real.read_notice(request, wall);
        }
        let told: Value = serde_json::from_slice(&request.body).unwrap();
        let fact = (!told["said"].is_null()).then(|| refund_fact(&told).unwrap());
        Ok(Notice::Refund {
            number: OutTradeNo::new(text(&told, "out_trade_no")).unwrap(),
            out_refund_no: OutRefundNo::new(text(&told, "out_refund_no")).unwrap(),
            fact,
        })
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        self.real.acknowledge(outcome)
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        self.real.returned(request)
    }
}

/// The provider tells of a refund: how it stands, or only that there is something to ask.
pub(crate) fn refund_notice(order: &str, number: &str, told: Option<Value>) -> HttpRequest {
    let mut notice = told.unwrap_or(json!({"said": null}));
    notice["out_trade_no"] = order.into();
    notice["out_refund_no"] = number.into();
    post("notice", &notice)
}

fn post(op: &str, body: &Value) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        target: format!("{PATH}/{op}"),
        headers: Vec::new(),
        body: body.to_string().into_bytes().into(),
    }
}

fn refund_order(refund: &RefundOrder<'_>) -> Value {
    json!({
        "out_trade_no": refund.order.out_trade_no.as_str(), "paid": refund.paid.0,
        "out_refund_no": refund.out_refund_no.as_str(), "amount": refund.amount.fen().0,
        "reason": refund.reason,
    })
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

fn unknown<T>() -> Reply<T> {
    Reply::Unknown(Doubt { reason: "who knows".to_owned(), keys_may_help: false })
}

fn no() -> Refusal {
    Refusal { code: "NO_AUTH".to_owned(), message: "no".to_owned() }
}

fn refund_said(response: &HttpResponse) -> Reply<RefundFact> {
    let told: Value = serde_json::from_slice(&response.body).unwrap();
    match told["said"].as_str().unwrap() {
        "refused" => Reply::Refused(no()),
        "ask" => Reply::AskNow(no()),
        _ => refund_fact(&told).map_or_else(unknown, Reply::Done),
    }
}

fn refund_fact(told: &Value) -> Option<RefundFact> {
    let provider_no = told["provider_no"].as_str().map(str::to_owned);
    Some(match told["said"].as_str().unwrap() {
        "processing" => RefundFact::Processing { provider_no },
        "succeeded" => {
            let amount = told["amount"].as_i64().map(Fen);
            RefundFact::Succeeded { provider_no, amount, at: None }
        }
        "abnormal" => RefundFact::Abnormal { provider_no },
        "closed" => RefundFact::Closed,
        "absent" => RefundFact::Absent,
        "not_now" => {
            RefundFact::NotNow { code: "NOTENOUGH".to_owned(), message: "no money".to_owned() }
        }
        _ => return None,
    })
}

fn order_said(response: &HttpResponse) -> Reply {
    let told: Value = serde_json::from_slice(&response.body).unwrap();
    match told["said"].as_str().unwrap() {
        "awaiting" => {
            let params = vec![("prepay_id".to_owned(), text(&told, "code"))];
            Reply::Done(Fact::Awaiting(Some(Action::Jsapi { params })))
        }
        "user_paying" => Reply::Done(Fact::Awaiting(None)),
        "paid" => Reply::Done(Fact::Paid(Seen {
            amount: Fen(told["amount"].as_i64().unwrap()),
            currency: "CNY".to_owned(),
            trade_no: TradeNo::new(text(&told, "trade_no")).unwrap(),
            paid_at: None,
            payer: None,
            returned: false,
        })),
        "closed" => Reply::Done(Fact::Closed),
        "ask" => Reply::AskNow(no()),
        "refused" => Reply::Refused(no()),
        _ => unknown(),
    }
}

/// The provider's half.
pub(super) struct Plain;

fn op_of(request: &HttpRequest) -> Op {
    match request.path().rsplit('/').next().unwrap() {
        "place" => Op::Place,
        "take_back" => Op::Close,
        "refund" => Op::Refund,
        "ask_refund" => Op::AskRefund,
        other => panic!("nobody pretends {other}"),
    }
}

fn asked(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn say(what: Value) -> HttpResponse {
    HttpResponse::new(200, "application/json", what.to_string())
}

impl Protocol for Plain {
    fn read(&self, request: &HttpRequest, _at: Moment) -> (Op, String) {
        let (op, asked) = (op_of(request), asked(request));
        let name =
            if matches!(op, Op::Refund | Op::AskRefund) { "out_refund_no" } else { "out_trade_no" };
        (op, text(&asked, name))
    }

    fn perform(&self, trades: &mut Trades, request: &HttpRequest, at: Moment) -> HttpResponse {
        let asked = asked(request);
        say(match op_of(request) {
            Op::Place => place(trades, &asked, at),
            Op::Close => take_back(trades, &text(&asked, "out_trade_no")),
            Op::Refund => refund(trades, &asked),
            _ => told(trades.refunds.get(&text(&asked, "out_refund_no"))),
        })
    }

    fn refuse(&self, _request: &HttpRequest, no: No) -> HttpResponse {
        match no {
            No::Permission | No::TooYoung => say(json!({"said": "refused"})),
            No::Busy => say(json!({"said": "unknown"})),
        }
    }

    fn corrupt(&self, _response: HttpResponse) -> HttpResponse {
        say(json!({"said": "unknown"}))
    }

    fn notice(&self, _trade: &Trade, _said: &Said, _at: Moment) -> HttpRequest {
        panic!("orders are told of by the real protocols")
    }

    fn is_accepted(&self, _response: &HttpResponse) -> bool {
        panic!("notices are answered by the real adapters")
    }

    fn is_refused(&self, _response: &HttpResponse) -> bool {
        panic!("notices are answered by the real adapters")
    }
}

/// A code that begins with 1 pays at once; with any other the payer types a password.
fn place(trades: &mut Trades, asked: &Value, at: Moment) -> Value {
    let number = text(asked, "out_trade_no");
    let amount = asked["amount"].as_i64().unwrap();
    let trade = Trade {
        number: number.clone(),
        amount,
        content: asked.to_string(),
        code: format!("wx{number}"),
        attach: None,
        until: None,
        status: TradeStatus::Open,
        is_known: true,
        trade_no: format!("42{number}"),
        paid_at: None,
    };
    if let Some(code) = asked["auth_code"].as_str() {
        let known = trades.by_number.get(&number).map(|known| known.status);
        if known == Some(TradeStatus::Paid) {
            return json!({"said": "ask"});
        }
        assert!(known.is_none(), "a scanned code is placed once");
        let pays = code.starts_with('1');
        let (status, paid_at) =
            if pays { (TradeStatus::Paid, Some(at.now)) } else { (TradeStatus::Open, None) };
        let trade = Trade { status, paid_at, ..trade };
        let trade_no = trade.trade_no.clone();
        trades.by_number.insert(number, trade);
        return if pays {
            json!({"said": "paid", "amount": amount, "trade_no": trade_no})
        } else {
            json!({"said": "user_paying"})
        };
    }
    match trades.place(trade, at.now) {
        Ok(code) => json!({"said": "awaiting", "code": code}),
        Err(PlaceRefusal::Paid | PlaceRefusal::Differs) => json!({"said": "ask"}),
        Err(PlaceRefusal::Closed | PlaceRefusal::TooLate) => json!({"said": "refused"}),
    }
}

fn take_back(trades: &mut Trades, number: &str) -> Value {
    if let Some(trade) = trades.by_number.get_mut(number) {
        trade.status = TradeStatus::Closed;
    }
    json!({"said": "closed"})
}

fn refund(trades: &mut Trades, asked: &Value) -> Value {
    let (order, number) = (text(asked, "out_trade_no"), text(asked, "out_refund_no"));
    let amount = asked["amount"].as_i64().unwrap();
    let trade = &trades.by_number[&order];
    assert_eq!(trade.status, TradeStatus::Paid, "only a payment is refunded");
    assert_eq!(Some(trade.amount), asked["paid"].as_i64());
    if let Some(known) = trades.refunds.get(&number) {
        assert_eq!((&known.order, known.amount), (&order, amount), "the same number, another one");
        return told(Some(known));
    }
    let gone = trades.refunds.values().filter(|refund| refund.order == order);
    let gone: i64 = gone.map(|refund| refund.amount).sum();
    assert!(gone + amount <= trade.amount, "more than was paid goes back");
    if let Some(said) = trades.refund_answers.pop() {
        return json!({"said": said});
    }
    let status = trades.refunds_become;
    trades.refunds.insert(number.clone(), Refunded { order, amount, status });
    told(trades.refunds.get(&number))
}

fn told(refund: Option<&Refunded>) -> Value {
    let Some(refund) = refund else { return json!({"said": "absent"}) };
    match refund.status {
        RefundStatus::Processing => json!({"said": "processing", "provider_no": "50"}),
        RefundStatus::Succeeded => {
            json!({"said": "succeeded", "provider_no": "50", "amount": refund.amount})
        }
        RefundStatus::Abnormal => json!({"said": "abnormal", "provider_no": "50"}),
        RefundStatus::Closed => json!({"said": "closed"}),
    }
}
