//! `alipay.trade.query`: where a trade stands. Alipay, 统一收单交易查询.
//!
//! Code 10000 says that the query worked; only `trade_status` says whether money came.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, TradeRef, Writer};
use crate::TradeStatus;
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_types::{Fen, HttpRequest, HttpResponse, OutTradeNo, Timestamp, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.query";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which trade.
    pub trade: TradeRef,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryReply {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: TradeNo,
    /// Where it stands.
    pub trade_status: TradeStatus,
    /// The order's amount, in fen: the one to compare.
    pub total_amount: Fen,
    /// When the money was sent; only trades that were paid once have it.
    pub send_pay_date: Option<Timestamp>,
    /// The buyer's user id (2088…).
    pub buyer_user_id: Option<String>,
    /// The buyer's id for this app, which newer apps get instead.
    pub buyer_open_id: Option<String>,
    /// The buyer's account, masked.
    pub buyer_logon_id: Option<String>,
    /// What the buyer paid; ordinary contracts of page.pay say 0.00 even for paid trades.
    pub buyer_pay_amount: Option<Fen>,
    /// What the merchant gets.
    pub receipt_amount: Option<Fen>,
    /// What may be invoiced.
    pub invoice_amount: Option<Fen>,
    /// The part paid in points (集分宝).
    pub point_amount: Option<Fen>,
}

impl Query {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        envelope::request(credentials, call, METHOD, &self.trade.write().to_biz_content())
    }

    /// Reads what came back.
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<QueryReply>, ReplyError> {
        envelope::reply(credentials, METHOD, response)?.then(|members| self.answer(&members))
    }

    /// What the members of a reply say of this call.
    pub(crate) fn answer(&self, members: &Reader) -> Result<QueryReply, ReplyError> {
        let reply = QueryReply::read(members)?;
        self.trade.check(&reply.out_trade_no, Some(&reply.trade_no))?;
        Ok(reply)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<Query, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        Ok(Query { trade: TradeRef::read(&biz)? })
    }
}

impl QueryReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new()
            .maybe("buyer_logon_id", self.buyer_logon_id.as_deref())
            .maybe("buyer_open_id", self.buyer_open_id.as_deref())
            .fen("buyer_pay_amount", self.buyer_pay_amount)
            .maybe("buyer_user_id", self.buyer_user_id.as_deref())
            .fen("invoice_amount", self.invoice_amount)
            .text("out_trade_no", self.out_trade_no.as_str())
            .fen("point_amount", self.point_amount)
            .fen("receipt_amount", self.receipt_amount)
            .time("send_pay_date", self.send_pay_date)
            .fen("total_amount", Some(self.total_amount))
            .text("trade_no", self.trade_no.as_str())
            .text("trade_status", self.trade_status.as_str())
    }

    fn read(members: &Reader) -> Result<QueryReply, ReplyError> {
        Ok(QueryReply {
            out_trade_no: members.out_trade_no()?,
            trade_no: members.trade_no()?.ok_or(ReplyError::Malformed("trade_no"))?,
            trade_status: TradeStatus::from_word(&members.required("trade_status")?),
            total_amount: members
                .fen("total_amount")?
                .ok_or(ReplyError::Malformed("total_amount"))?,
            send_pay_date: members.time("send_pay_date")?,
            buyer_user_id: members.text("buyer_user_id"),
            buyer_open_id: members.text("buyer_open_id"),
            buyer_logon_id: members.text("buyer_logon_id"),
            buyer_pay_amount: members.fen("buyer_pay_amount")?,
            receipt_amount: members.fen("receipt_amount")?,
            invoice_amount: members.fen("invoice_amount")?,
            point_amount: members.fen("point_amount")?,
        })
    }
}

/// The gateway's side: what production adds to a refused query, four amounts of nothing and the
/// number that was asked about.
pub fn refusal_members(trade: &TradeRef) -> Vec<(&'static str, &str)> {
    let mut members = vec![
        ("buyer_pay_amount", "0.00"),
        ("invoice_amount", "0.00"),
        ("point_amount", "0.00"),
        ("receipt_amount", "0.00"),
    ];
    if let TradeRef::Out(no) = trade {
        members.push(("out_trade_no", no.as_str()));
    }
    members
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::open::testing::Both;

    pub(crate) fn call() -> Query {
        Query { trade: TradeRef::Out(OutTradeNo::new("TB20261121000001").unwrap()) }
    }

    pub(crate) fn answer(status: TradeStatus) -> QueryReply {
        let paid = status.is_paid();
        QueryReply {
            out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
            trade_no: TradeNo::new("2026112122001400000500000001").unwrap(),
            trade_status: status,
            total_amount: Fen(8888),
            send_pay_date: paid.then(|| "2026-11-21T06:30:11Z".parse().unwrap()),
            buyer_user_id: Some("2088000000000002".into()),
            buyer_open_id: None,
            buyer_logon_id: Some("buy***@example.com".into()),
            buyer_pay_amount: Some(Fen(0)),
            receipt_amount: Some(Fen(0)),
            invoice_amount: Some(Fen(0)),
            point_amount: Some(Fen(0)),
        }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        let trade = TradeRef::Trade(TradeNo::new("2026112122001400000500000001").unwrap());
        for call in [call(), Query { trade }] {
            for both in Both::all() {
                let received = both.receive(&call.encode(&both.merchant, &both.context()));
                let biz = received.biz_content(both.content_key.as_ref()).unwrap();
                assert_eq!(Query::read(&biz), Ok(call.clone()));
                let reply = answer(TradeStatus::TradeSuccess);
                let response = reply.encode(&received, both.sealing());
                assert_eq!(call.decode(&both.merchant, &response), Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn the_members_are_those_of_production() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let names = |status| {
            let response = answer(status).encode(&received, Sealing::Unsigned);
            let value: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
            let object = value["alipay_trade_query_response"].as_object().unwrap();
            object.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(TradeStatus::TradeSuccess),
            "buyer_logon_id buyer_pay_amount buyer_user_id code invoice_amount msg out_trade_no \
             point_amount receipt_amount send_pay_date total_amount trade_no trade_status"
        );
        assert!(!names(TradeStatus::WaitBuyerPay).contains("send_pay_date"));
    }

    #[test]
    fn a_trade_that_is_not_there_is_refused_with_four_amounts_of_nothing() {
        let both = Both::plain();
        let received = both.receive(&call().encode(&both.merchant, &both.context()));
        let trade = TradeRef::Out(OutTradeNo::new("T1").unwrap());
        let members = refusal_members(&trade);
        let response = received.refuse(&Refusal::TRADE_NOT_EXIST, &members, both.sealing());
        let object = concat!(
            r#"{"code":"40004","msg":"Business Failed","sub_code":"ACQ.TRADE_NOT_EXIST","#,
            r#""sub_msg":"交易不存在","buyer_pay_amount":"0.00","invoice_amount":"0.00","#,
            r#""out_trade_no":"T1","point_amount":"0.00","receipt_amount":"0.00"}"#,
        );
        let body = String::from_utf8(response.body.to_vec()).unwrap();
        assert!(body.contains(object), "{body}");
        match call().decode(&both.merchant, &response) {
            Ok(Answer::Refused(error)) => assert!(error.is("TRADE_NOT_EXIST") && error.signed),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn amounts_are_read_leniently_and_wrong_ones_refused() {
        let both = Both::plain();
        let object = |amount: &str| {
            let rest = r#""out_trade_no":"TB20261121000001","trade_status":"TRADE_SUCCESS""#;
            format!(r#"{{"code":"10000","total_amount":{amount},"trade_no":"1",{rest}}}"#)
        };
        let check = |amount: &str, wanted: Option<i64>| {
            let response = both.signed_reply(METHOD, &object(amount));
            let read = match call().decode(&both.merchant, &response) {
                Ok(Answer::Done(reply)) => Some(reply.total_amount.0),
                Err(ReplyError::Malformed("total_amount")) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(read, wanted, "{amount}");
        };
        check("\"88.88\"", Some(8888));
        check("\"88.8\"", Some(8880));
        check("\"10\"", Some(1000));
        check("88.88", Some(8888));
        check("\"88.888\"", None);
        check("\"-1.00\"", None);
        check("\"\"", None);
        check("true", None);
    }

    #[test]
    fn a_reply_about_another_trade_is_not_taken() {
        let both = Both::plain();
        let object = concat!(
            r#"{"code":"10000","out_trade_no":"OTHER","total_amount":"1.00","#,
            r#""trade_no":"1","trade_status":"TRADE_SUCCESS"}"#,
        );
        let response = both.signed_reply(METHOD, object);
        assert_eq!(call().decode(&both.merchant, &response), Err(ReplyError::OtherOrder));
        let by_number = Query { trade: TradeRef::Trade(TradeNo::new("2").unwrap()) };
        assert_eq!(by_number.decode(&both.merchant, &response), Err(ReplyError::OtherOrder));
    }
}
