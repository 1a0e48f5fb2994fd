//! WeChat Pay API v2, the provider's half.

use super::{
    API_KEY, Moment, No, Op, PlaceRefusal, Protocol, Said, Trade, TradeStatus, Trades,
    WECHAT_APP_ID, WECHAT_MCH_ID,
};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret};
use tongbao_wechat::v2::{
    CLOSE_PATH, CloseOrder, Notice, ORDER_PATH, Opened, OrderQuery, QUERY_PATH, Refusal,
    UnifiedOrder, encode_notice, is_accepted, open,
};
use tongbao_wechat::{Fields, Merchant, Paid, Prepaid, SignType, TradeState};

pub(super) struct V2 {
    pub(super) hmac: bool,
}

const NONCE: &str = "5d2b6c1d8db53831f7eda20af46e531c";

fn key() -> Secret<String> {
    Secret::new(API_KEY.to_owned())
}

impl V2 {
    fn sign_type(&self) -> SignType {
        if self.hmac { SignType::HmacSha256 } else { SignType::Md5 }
    }

    fn opened(&self, request: &HttpRequest) -> Opened {
        let opened = open(request).unwrap();
        assert!(opened.verify(&key()).holds, "the order is not signed well");
        assert_eq!(opened.sign_type, self.sign_type());
        opened
    }
}

impl Protocol for V2 {
    fn read(&self, request: &HttpRequest, _at: Moment) -> (Op, String) {
        let op = match request.path() {
            ORDER_PATH => Op::Place,
            QUERY_PATH => Op::Query,
            CLOSE_PATH => Op::Close,
            other => panic!("API v2 has no {other}"),
        };
        (op, self.opened(request).fields.text("out_trade_no").unwrap().to_owned())
    }

    fn perform(&self, trades: &mut Trades, request: &HttpRequest, at: Moment) -> HttpResponse {
        let opened = self.opened(request);
        let key = key();
        let replier = opened.replier(&key, NONCE);
        let no = |code: &str| replier.refuse(&Refusal::business(code, "no"));
        match request.path() {
            ORDER_PATH => {
                let order = UnifiedOrder::decode(&opened).unwrap();
                match trades.place(asked(&order, &opened.fields), at.now) {
                    Ok(code_url) => {
                        let prepay_id = Some("wx201611212015".to_owned());
                        order.encode_reply(&Prepaid::CodeUrl { code_url, prepay_id }, &replier)
                    }
                    Err(PlaceRefusal::Paid) => no("ORDERPAID"),
                    Err(PlaceRefusal::Closed) => no("ORDERCLOSED"),
                    Err(PlaceRefusal::Differs) => no("OUT_TRADE_NO_USED"),
                    Err(PlaceRefusal::TooLate) => no("PARAM_ERROR"),
                }
            }
            QUERY_PATH => {
                let asked = opened.fields.text("out_trade_no").unwrap();
                match trades.find(asked) {
                    Some(trade) => OrderQuery::encode_reply(&told(trade), &replier),
                    None => no("ORDERNOTEXIST"),
                }
            }
            _ => match trades.close(&CloseOrder::decode(&opened).unwrap().out_trade_no) {
                Some(TradeStatus::Paid) => no("ORDERPAID"),
                _ => CloseOrder::encode_reply(&opened, &replier),
            },
        }
    }

    fn refuse(&self, request: &HttpRequest, no: No) -> HttpResponse {
        let opened = self.opened(request);
        let key = key();
        let (code, message) = match no {
            No::Permission => ("NOAUTH", "商户无此接口权限"),
            No::Busy => ("SYSTEMERROR", "系统错误"),
            No::TooYoung => ("TRADE_STATE_ERROR", "订单创建后5分钟内不能关单"),
        };
        opened.replier(&key, NONCE).refuse(&Refusal::business(code, message))
    }

    fn corrupt(&self, response: HttpResponse) -> HttpResponse {
        let mut fields = Fields::parse(&response.body).unwrap();
        fields.set("sign", "0".repeat(fields.text("sign").unwrap().len()));
        HttpResponse { body: fields.to_xml().into(), ..response }
    }

    fn notice(&self, trade: &Trade, said: &Said, _at: Moment) -> HttpRequest {
        let app_id = said.app_id.unwrap_or(WECHAT_APP_ID);
        let merchant = Merchant::direct(app_id, said.merchant.unwrap_or(WECHAT_MCH_ID));
        let mut trade = told(trade);
        say(&mut trade, said);
        let sign_type = match self.sign_type() {
            SignType::HmacSha256 if said.downgraded => SignType::Md5,
            SignType::Md5 if said.downgraded => SignType::HmacSha256,
            own => own,
        };
        let notice = Notice { merchant: &merchant, trade: &trade, sign_type, nonce: NONCE };
        let key = if said.forged { Secret::new("f".repeat(32)) } else { key() };
        encode_notice(&notice, "/notify/wechat/any", &key)
    }

    fn is_accepted(&self, response: &HttpResponse) -> bool {
        is_accepted(response)
    }

    fn is_refused(&self, response: &HttpResponse) -> bool {
        let fields = Fields::parse(&response.body).unwrap_or_default();
        fields.text("return_code") == Some("FAIL")
    }
}

fn asked(order: &UnifiedOrder, fields: &Fields) -> Trade {
    let kept = |(name, _): &(&str, &str)| !["nonce_str", "sign"].contains(name);
    let mut content: Vec<(&str, &str)> = fields.iter().filter(kept).collect();
    content.sort_unstable();
    Trade {
        number: order.out_trade_no.clone(),
        amount: order.total_fee.0,
        content: format!("{content:?}"),
        code: format!("weixin://wxpay/bizpayurl?pr={}", order.out_trade_no),
        attach: order.attach.clone(),
        until: order.time_expire,
        status: TradeStatus::Open,
        is_known: true,
        trade_no: format!("42{}", order.out_trade_no),
        paid_at: None,
    }
}

/// A trade in WeChat's words.
pub(super) fn told(trade: &Trade) -> tongbao_wechat::Trade {
    let state = match trade.status {
        TradeStatus::Open => TradeState::NotPay,
        TradeStatus::Paid => TradeState::Success,
        TradeStatus::Closed => TradeState::Closed,
    };
    let paid = trade.paid_at.map(|paid_at| Paid {
        transaction_id: trade.trade_no.clone(),
        total: Fen(trade.amount),
        payer_total: Some(Fen(trade.amount)),
        currency: "CNY".to_owned(),
        openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
        trade_type: Some("NATIVE".to_owned()),
        bank_type: Some("OTHERS".to_owned()),
        success_time: Some(paid_at),
    });
    tongbao_wechat::Trade {
        out_trade_no: trade.number.clone(),
        state_desc: state.description().to_owned(),
        state,
        attach: trade.attach.clone().unwrap_or_default(),
        paid,
    }
}

/// Puts in what a notification shall say otherwise.
pub(super) fn say(trade: &mut tongbao_wechat::Trade, said: &Said) {
    if let Some(number) = said.number {
        trade.out_trade_no = number.to_owned();
    }
    let Some(paid) = &mut trade.paid else { return };
    paid.total = said.amount.map_or(paid.total, Fen);
    if let Some(currency) = said.currency {
        paid.currency = currency.to_owned();
    }
    if let Some(trade_no) = said.trade_no {
        paid.transaction_id = trade_no.to_owned();
    }
}
