//! What is in a notification about a refund (微信支付 API v3, 退款结果回调通知), and how the provider
//! sends it. `notify.rs` verifies and opens it, like one about a payment.

use super::envelope::Replier;
use super::notify::seal_notice;
use super::party::Party;
use super::refund::{checked_amounts, named, time};
use super::resource::Resource;
use crate::account::Merchant;
use crate::china::rfc3339_time;
use crate::error::{FieldError, NoticeError};
use crate::refund::{Refund, RefundState};
use serde::{Deserialize, Serialize};
use tongbao_types::{HttpRequest, Secret, Timestamp};

/// A notification about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundNews {
    /// The same each time it is sent.
    pub id: String,
    /// REFUND.SUCCESS, REFUND.ABNORMAL or REFUND.CLOSED.
    pub event_type: String,
    /// The refund; its channel and when it was accepted are not told.
    pub refund: Refund,
}

/// The events, the states that they tell and their summaries. No news is sent of refunds under way.
const EVENTS: [(&str, RefundState, &str); 3] = [
    ("REFUND.SUCCESS", RefundState::Success, "退款成功"),
    ("REFUND.ABNORMAL", RefundState::Abnormal, "退款异常"),
    ("REFUND.CLOSED", RefundState::Closed, "退款关闭"),
];

pub(super) fn is_refund_event(word: &str) -> bool {
    EVENTS.iter().any(|(event, ..)| *event == word)
}

/// The encrypted part. Its state is called `refund_status`, unlike in replies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RefundNoticeBody {
    #[serde(flatten)]
    party: Party,
    out_trade_no: String,
    transaction_id: String,
    out_refund_no: String,
    refund_id: String,
    refund_status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    success_time: Option<String>,
    amount: AmountBody,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_received_account: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AmountBody {
    total: i64,
    refund: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_total: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer_refund: Option<i64>,
}

impl RefundNoticeBody {
    fn of(refund: &Refund, merchant: &Merchant) -> RefundNoticeBody {
        let (back, total) = (refund.refund_fen.0, refund.total_fen.0);
        RefundNoticeBody {
            party: Party::numbers_of(merchant),
            out_trade_no: refund.out_trade_no.clone(),
            transaction_id: refund.transaction_id.clone(),
            out_refund_no: refund.out_refund_no.clone(),
            refund_id: refund.refund_id.clone(),
            refund_status: refund.state.as_v3_str().to_owned(),
            success_time: refund.success_time.map(rfc3339_time),
            // There are no coupons here, so cash is all there is.
            amount: AmountBody {
                total,
                refund: back,
                payer_total: Some(total),
                payer_refund: Some(back),
            },
            user_received_account: refund.user_received_account.clone(),
        }
    }

    /// Checks whose it is, and that inside and outside tell the same state.
    pub(super) fn read(self, merchant: &Merchant, event: &str) -> Result<Refund, NoticeError> {
        if let Err(mismatch) = self.party.check_numbers(merchant) {
            return Err(NoticeError::Account { mismatch, out_trade_no: self.out_trade_no });
        }
        let state = RefundState::read_v3(&self.refund_status);
        if !EVENTS.iter().any(|(word, told, _)| *word == event && *told == state) {
            let problem = "tells another state than event_type";
            return Err(FieldError { name: "refund_status", problem }.into());
        }
        let (refund_fen, total_fen) = checked_amounts(self.amount.refund, self.amount.total)?;
        Ok(Refund {
            out_trade_no: named("out_trade_no", self.out_trade_no)?,
            transaction_id: named("transaction_id", self.transaction_id)?,
            out_refund_no: named("out_refund_no", self.out_refund_no)?,
            refund_id: named("refund_id", self.refund_id)?,
            refund_fen,
            total_fen,
            state,
            success_time: time("success_time", self.success_time.as_deref())?,
            created_time: None,
            user_received_account: self.user_received_account,
            channel: None,
        })
    }
}

/// What the provider sends: a refund's news to its merchant.
#[derive(Debug, Clone, Copy)]
pub struct RefundNotice<'a> {
    /// The same each time it is sent.
    pub id: &'a str,
    /// When it was first made.
    pub created_at: Timestamp,
    /// Whose refund it is.
    pub merchant: &'a Merchant,
    /// The refund, which has ended.
    pub refund: &'a Refund,
    /// The merchant's APIv3 key.
    pub api_v3_key: &'a Secret<[u8; 32]>,
    /// Fresh randomness for the encryption.
    pub nonce: [u8; 6],
}

/// The provider's request to `target`, the path and query of the refund's `notify_url`. `None` of a
/// refund that is under way, since there is no such news.
pub fn encode_refund_notice(
    notice: &RefundNotice<'_>,
    target: &str,
    replier: &Replier<'_>,
) -> Option<HttpRequest> {
    let (event, _, summary) = EVENTS.iter().find(|(_, told, _)| *told == notice.refund.state)?;
    let plain = serde_json::to_vec(&RefundNoticeBody::of(notice.refund, notice.merchant))
        .expect("a refund has text keys and plain values");
    let resource = Resource::seal(notice.api_v3_key, notice.nonce, "refund", &plain);
    let outside = (notice.id, notice.created_at);
    Some(seal_notice(outside, (event, summary), resource, (target, replier)))
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, now, replier};
    use super::super::notify::{News, receive};
    use super::super::refund::tests::refund;
    use super::*;
    use crate::account::V3Credentials;
    use serde_json::{Value, json};
    use tongbao_types::{Code, Fen};

    /// As a notification tells it.
    fn told(state: RefundState) -> Refund {
        Refund { channel: None, created_time: None, ..refund(state) }
    }

    fn notice(merchant: &Merchant, refund: &Refund) -> Option<HttpRequest> {
        let notice = RefundNotice {
            id: "EV-2018022511223320873",
            created_at: now(),
            merchant,
            refund,
            api_v3_key: PAIR.credentials.api_v3_key(),
            nonce: [7; 6],
        };
        encode_refund_notice(&notice, "/notify", &replier())
    }

    fn read(credentials: &V3Credentials, request: &HttpRequest) -> Result<RefundNews, NoticeError> {
        match receive(credentials, credentials.trust(), request, now())? {
            News::Refund(verified) => Ok(verified.into_value()),
            News::Payment(verified) => panic!("{verified:?} is no refund"),
        }
    }

    /// The notification of a success with this event and inside, signed as WeChat would.
    fn altered(event: &str, change: fn(&mut Value)) -> Result<RefundNews, NoticeError> {
        let refund = refund(RefundState::Success);
        let merchant = PAIR.credentials.merchant();
        let mut inside = serde_json::to_value(RefundNoticeBody::of(&refund, merchant)).unwrap();
        change(&mut inside);
        let key = PAIR.credentials.api_v3_key();
        let resource = Resource::seal(key, [8; 6], "refund", inside.to_string().as_bytes());
        let outside = (("EV-1", now()), (event, ""), resource, ("/", &replier()));
        let request = seal_notice(outside.0, outside.1, outside.2, outside.3);
        read(&PAIR.credentials, &request)
    }

    #[test]
    fn each_end_of_a_refund_is_told_to_both_kinds_of_merchants() {
        for credentials in [&PAIR.credentials, &*PARTNER] {
            for (word, event) in [
                ("SUCCESS", "REFUND.SUCCESS"),
                ("ABNORMAL", "REFUND.ABNORMAL"),
                ("CLOSED", "REFUND.CLOSED"),
            ] {
                let refund = refund(RefundState::read_v3(word));
                let request = notice(credentials.merchant(), &refund).unwrap();
                let news = read(credentials, &request).unwrap();
                assert_eq!(news.refund, told(refund.state));
                assert_eq!(
                    (news.id.as_str(), news.event_type.as_str()),
                    ("EV-2018022511223320873", event)
                );
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(body["resource"]["original_type"], "refund");
                assert_eq!(body["resource"]["associated_data"], "refund");
            }
        }
        let merchant = PAIR.credentials.merchant();
        assert_eq!(notice(merchant, &refund(RefundState::Processing)), None);
    }

    #[test]
    fn the_inside_is_written_exactly_so() {
        let write = |merchant: &Merchant| {
            let body = RefundNoticeBody::of(&refund(RefundState::Success), merchant);
            serde_json::to_string(&body).unwrap()
        };
        let wanted = r#"{"mchid":"1900000109","out_trade_no":"20180821665587","transaction_id":"4200000165201808217781847728","out_refund_no":"20180821665587-1@a|*","refund_id":"50000007632018082105880317434","refund_status":"SUCCESS","success_time":"2026-11-21T14:30:05+08:00","amount":{"total":100,"refund":40,"payer_total":100,"payer_refund":40},"user_received_account":"支付用户零钱"}"#;
        assert_eq!(write(PAIR.credentials.merchant()), wanted);
        let partners = r#"{"sp_mchid":"1900000109","sub_mchid":"1900000209","out_trade_no""#;
        assert!(write(PARTNER.merchant()).starts_with(partners));
    }

    #[test]
    fn news_for_somebody_else_is_refused_with_its_order() {
        let refund = refund(RefundState::Success);
        let other = Merchant::direct("wxd930ea5d5a258f4f", "1900000110");
        for merchant in [&other, PARTNER.merchant()] {
            let error = read(&PAIR.credentials, &notice(merchant, &refund).unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::AccountMismatch);
            assert_eq!(error.out_trade_no(), Some("20180821665587"));
        }
        let of_merchant = notice(PAIR.credentials.merchant(), &refund).unwrap();
        assert_eq!(read(&PARTNER, &of_merchant).unwrap_err().code(), Code::AccountMismatch);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let check = |event: &str, change: fn(&mut Value), wanted: &str| {
            let error = altered(event, change).unwrap_err();
            let NoticeError::Field(field) = error else { panic!("{wanted}: {error:?}") };
            assert_eq!(field.name, wanted);
        };
        assert!(altered("REFUND.SUCCESS", |_| ()).is_ok());
        check("REFUND.CLOSED", |_| (), "refund_status");
        check("REFUND.SUCCESS", |b| b["refund_status"] = json!("PROCESSING"), "refund_status");
        check("REFUND.SUCCESS", |b| b["amount"]["refund"] = json!(0), "amount.refund");
        check("REFUND.SUCCESS", |b| b["amount"]["refund"] = json!(101), "amount.refund");
        check("REFUND.SUCCESS", |b| b["success_time"] = json!("soon"), "success_time");
        check("REFUND.SUCCESS", |b| b["out_refund_no"] = json!(""), "out_refund_no");
        check("REFUND.SUCCESS", |b| b["refund_id"] = json!(""), "refund_id");
        check("REFUND.SUCCESS", |b| b["out_trade_no"] = json!(""), "out_trade_no");
        check("REFUND.SUCCESS", |b| b["transaction_id"] = json!(""), "transaction_id");
        let status_of_replies = |b: &mut Value| {
            let state = b["refund_status"].take();
            b.as_object_mut().unwrap().remove("refund_status");
            b["status"] = state;
        };
        let error = altered("REFUND.SUCCESS", status_of_replies).unwrap_err();
        assert!(matches!(error, NoticeError::Malformed(_)));
        // An event that is new is no refund, whatever is inside.
        let error = altered("REFUND.PROCESSING", |_| ()).unwrap_err();
        assert_eq!(error, NoticeError::EventUnknown("REFUND.PROCESSING".to_owned()));
        let other = altered("REFUND.SUCCESS", |b| b["amount"]["refund"] = json!(100)).unwrap();
        assert_eq!(other.refund.refund_fen, Fen(100));
    }
}
