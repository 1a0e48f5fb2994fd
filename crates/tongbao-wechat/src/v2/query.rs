//! Order query (微信支付 API v2, 查询订单).

use super::envelope::{Opened, Refusal, Replier, fen, field, need, read_reply, request, same};
use crate::account::V2Credentials;
use crate::china::{compact_time, read_compact_time};
use crate::error::{Answer, FieldError, ReplyError};
use crate::rules::{Kind, Rule, may};
use crate::trade::{Paid, Trade, TradeKey, TradeState};
use crate::xml::Fields;
use tongbao_types::{HttpRequest, HttpResponse};

/// Where queries are sent.
pub const QUERY_PATH: &str = "/pay/orderquery";

/// How does this trade stand?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderQuery {
    /// Which trade.
    pub key: TradeKey,
}

const RULES: &[Rule] = &[
    may("transaction_id", "微信支付订单号", Kind::Text(1, 32)),
    may("out_trade_no", "商户订单号", Kind::OutTradeNo),
];

impl OrderQuery {
    /// By the merchant's number, the only one that finds unpaid orders.
    pub fn by_out_trade_no(number: &str) -> OrderQuery {
        OrderQuery { key: TradeKey::OutTradeNo(number.to_owned()) }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        set_key(&mut fields, &self.key);
        request(QUERY_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well; where both numbers come,
    /// `transaction_id` counts.
    pub fn decode(opened: &Opened) -> Result<OrderQuery, Refusal> {
        opened.check(RULES)?;
        Ok(OrderQuery { key: read_key(opened)? })
    }

    /// The provider's reply; which fields there are depends on the state, as in production.
    pub fn encode_reply(trade: &Trade, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        if let Some(paid) = &trade.paid {
            set_paid(&mut own, trade, paid);
        } else {
            own.set("out_trade_no", &trade.out_trade_no);
            if trade.state != TradeState::NotPay {
                own.set("attach", &trade.attach);
            }
        }
        own.set("trade_state", trade.state.as_str());
        own.set("trade_state_desc", &trade.state_desc);
        replier.done(own)
    }

    /// The merchant reads the reply, and checks that it is about the trade asked for.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Trade>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| {
            check_key(&fields, &self.key)?;
            let state = TradeState::read(need(&fields, "trade_state")?);
            Ok(read_trade(&fields, state)?)
        })
    }
}

/// Names the trade in a request.
pub(super) fn set_key(fields: &mut Fields, key: &TradeKey) {
    match key {
        TradeKey::OutTradeNo(number) => fields.set("out_trade_no", number),
        TradeKey::TransactionId(number) => fields.set("transaction_id", number),
    }
}

/// Which trade a request names; where both numbers come, `transaction_id` counts.
pub(super) fn read_key(opened: &Opened) -> Result<TradeKey, Refusal> {
    let by_theirs = opened.text("transaction_id").map(TradeKey::TransactionId);
    let key = by_theirs.or_else(|| opened.text("out_trade_no").map(TradeKey::OutTradeNo));
    let missing = || Refusal::Communication("缺少参数out_trade_no或transaction_id".to_owned());
    key.ok_or_else(missing)
}

/// A reply must be about the trade asked for.
pub(super) fn check_key(fields: &Fields, key: &TradeKey) -> Result<(), ReplyError> {
    match key {
        TradeKey::OutTradeNo(number) => same(fields, "out_trade_no", number),
        TradeKey::TransactionId(number) => same(fields, "transaction_id", number),
    }
}

/// The fields of a paid trade, in the order of production's reply; notifications have them, too.
pub(super) fn set_paid(fields: &mut Fields, trade: &Trade, paid: &Paid) {
    fields.set_some("openid", paid.openid.as_deref());
    // The documentation of 2026 says that it is always N.
    fields.set("is_subscribe", "N");
    fields.set_some("trade_type", paid.trade_type.as_deref());
    fields.set_some("bank_type", paid.bank_type.as_deref());
    fields.set("total_fee", paid.total.0.to_string());
    fields.set("fee_type", &paid.currency);
    fields.set("transaction_id", &paid.transaction_id);
    fields.set("out_trade_no", &trade.out_trade_no);
    fields.set("attach", &trade.attach);
    fields.set_some("time_end", paid.success_time.map(compact_time));
    fields.set_some("cash_fee", paid.payer_total.map(|fen| fen.0.to_string()));
}

/// Reads a trade from a verified message whose state is known.
pub(super) fn read_trade(fields: &Fields, state: TradeState) -> Result<Trade, FieldError> {
    let text = |name: &str| fields.text(name).map(str::to_owned);
    let paid = if state.is_paid() { Some(read_paid(fields)?) } else { None };
    let told = text("trade_state_desc");
    Ok(Trade {
        out_trade_no: need(fields, "out_trade_no")?.to_owned(),
        state_desc: told.unwrap_or_else(|| state.description().to_owned()),
        state,
        attach: text("attach").unwrap_or_default(),
        paid,
    })
}

fn read_paid(fields: &Fields) -> Result<Paid, FieldError> {
    let text = |name: &str| fields.text(name).map(str::to_owned);
    let wrong = field("time_end", "is not yyyyMMddHHmmss");
    let time = |text: &str| read_compact_time(text).ok_or(wrong);
    Ok(Paid {
        transaction_id: need(fields, "transaction_id")?.to_owned(),
        total: fen(fields, "total_fee")?.ok_or(field("total_fee", "is missing"))?,
        payer_total: fen(fields, "cash_fee")?,
        currency: text("fee_type").unwrap_or_else(|| "CNY".to_owned()),
        openid: text("openid"),
        trade_type: text("trade_type"),
        bank_type: text("bank_type"),
        success_time: fields.text("time_end").map(time).transpose()?,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use crate::account::SignType;

    pub(in crate::v2) fn trade(state: TradeState) -> Trade {
        crate::trade::tests::trade("20180821665587", state)
    }

    fn ask(query: &OrderQuery, trade: &Trade) -> Result<Answer<Trade>, ReplyError> {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&query.encode(&credentials, "n1"), &credentials);
        assert_eq!(OrderQuery::decode(&opened).as_ref(), Ok(query));
        let response = OrderQuery::encode_reply(trade, &opened.replier(credentials.key(), "n2"));
        query.decode_reply(&credentials, &response)
    }

    #[test]
    fn every_state_goes_there_and_back() {
        let by_ours = OrderQuery::by_out_trade_no("20180821665587");
        for word in ["SUCCESS", "REFUND", "NOTPAY", "CLOSED", "USERPAYING", "NEWWORD"] {
            let trade = trade(TradeState::read(word));
            assert_eq!(ask(&by_ours, &trade), Ok(Answer::Done(trade)));
        }
        let number = "4200000263201902167700136502".to_owned();
        let by_theirs = OrderQuery { key: TradeKey::TransactionId(number) };
        let paid = trade(TradeState::Success);
        assert_eq!(ask(&by_theirs, &paid), Ok(Answer::Done(paid)));
    }

    #[test]
    fn a_reply_about_another_trade_is_not_believed() {
        let query = OrderQuery::by_out_trade_no("20180821665588");
        let error = ask(&query, &trade(TradeState::Success)).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "out_trade_no"));
    }

    #[test]
    fn a_paid_trade_needs_its_amount_and_number() {
        let check = |name: &str, text: &str| {
            let trade = trade(TradeState::Success);
            let mut fields = Fields::new();
            set_paid(&mut fields, &trade, trade.paid.as_ref().unwrap());
            assert!(read_trade(&fields, TradeState::Success).is_ok());
            fields.set(name, text);
            let error = read_trade(&fields, TradeState::Success).unwrap_err();
            assert_eq!(error.name, name);
        };
        check("total_fee", "");
        check("total_fee", "1.00");
        check("total_fee", "-1");
        check("cash_fee", "x");
        check("transaction_id", "");
        check("out_trade_no", "");
        check("time_end", "2026-11-21");
    }

    #[test]
    fn a_query_without_a_number_is_refused() {
        let credentials = credentials(SignType::Md5);
        let bare = request(QUERY_PATH, Fields::new(), &credentials, "n1");
        let refusal = OrderQuery::decode(&opened(&bare, &credentials)).unwrap_err();
        assert!(matches!(refusal, Refusal::Communication(m) if m.contains("out_trade_no")));
    }
}
