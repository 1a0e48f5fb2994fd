//! `alipay.data.dataservice.bill.downloadurl.query`: where a day's or a month's bill can be
//! fetched. Alipay, 查询对账单下载地址. What is fetched is read by [`crate::bill`].
//!
//! The address needs no authentication and works for 30 seconds. A day's bill is there from about
//! nine the next morning.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, Writer};
use crate::account::Credentials;
use crate::error::{Answer, Refusal, ReplyError};
use jiff::civil::Date;
use tongbao_types::{HttpRequest, HttpResponse};

/// The method's name.
pub const METHOD: &str = "alipay.data.dataservice.bill.downloadurl.query";

/// `bill_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillType {
    /// `trade`: one line per payment and refund.
    Trade,
    /// `signcustomer`: one line per movement of the merchant's balance.
    SignCustomer,
}

/// `bill_date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillDate {
    /// One day, Beijing time.
    Day(Date),
    /// The month that this day is in.
    Month(Date),
}

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillDownloadUrl {
    /// Which bill.
    pub bill_type: BillType,
    /// Of when.
    pub bill_date: BillDate,
}

/// What a successful reply says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillDownloadUrlReply {
    /// Where the zip is, for 30 seconds; it may be plain http.
    pub bill_download_url: String,
}

impl BillType {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillType::Trade => "trade",
            BillType::SignCustomer => "signcustomer",
        }
    }

    /// From the word on the wire; `None` for those that are not read here.
    pub fn from_word(word: &str) -> Option<BillType> {
        [BillType::Trade, BillType::SignCustomer].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl BillDate {
    /// `yyyy-MM-dd` or `yyyy-MM`.
    pub fn to_text(self) -> String {
        match self {
            BillDate::Day(date) => date.strftime("%Y-%m-%d").to_string(),
            BillDate::Month(date) => date.strftime("%Y-%m").to_string(),
        }
    }

    /// Reads either form.
    pub fn from_text(text: &str) -> Option<BillDate> {
        let date = |text: &str| Date::strptime("%Y-%m-%d", text).ok();
        match text.len() {
            10 => date(text).map(BillDate::Day),
            7 => date(&format!("{text}-01")).map(BillDate::Month),
            _ => None,
        }
    }
}

impl BillDownloadUrl {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        let biz_content = Writer::new()
            .text("bill_type", self.bill_type.as_str())
            .text("bill_date", &self.bill_date.to_text())
            .to_biz_content();
        envelope::request(credentials, call, METHOD, &biz_content)
    }

    /// Reads what came back. A bill that does not exist is a refusal
    /// ([`GatewayError::is_bill_absent`](crate::GatewayError::is_bill_absent)).
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<BillDownloadUrlReply>, ReplyError> {
        let answer = envelope::reply(credentials, METHOD, response)?;
        answer.then(|members| BillDownloadUrlReply::read(&members))
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<BillDownloadUrl, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let bill_type = biz.text("bill_type").ok_or(Refusal::INVAILID_ARGUMENTS)?;
        let bill_type = BillType::from_word(&bill_type).ok_or(Refusal::TYPE_NOT_SUPPORTED)?;
        let date = biz.text("bill_date").and_then(|text| BillDate::from_text(&text));
        let bill_date = date.ok_or(Refusal::INVAILID_ARGUMENTS)?;
        Ok(BillDownloadUrl { bill_type, bill_date })
    }
}

impl BillDownloadUrlReply {
    /// The gateway's side: the reply to `request`.
    pub fn encode(&self, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
        request.answer(&self.write().to_reply(), sealing)
    }

    pub(crate) fn write(&self) -> Writer {
        Writer::new().text("bill_download_url", &self.bill_download_url)
    }

    pub(crate) fn read(members: &Reader) -> Result<BillDownloadUrlReply, ReplyError> {
        let bill_download_url = members.required("bill_download_url")?;
        let schemes = ["https://", "http://"];
        if !schemes.iter().any(|scheme| bill_download_url.starts_with(scheme)) {
            return Err(ReplyError::Malformed("bill_download_url"));
        }
        Ok(BillDownloadUrlReply { bill_download_url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::Both;
    use jiff::civil::date;

    fn calls() -> [BillDownloadUrl; 2] {
        let bill_date = BillDate::Day(date(2026, 11, 20));
        let month = BillDate::Month(date(2026, 10, 1));
        [
            BillDownloadUrl { bill_type: BillType::Trade, bill_date },
            BillDownloadUrl { bill_type: BillType::SignCustomer, bill_date: month },
        ]
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        for call in calls() {
            for both in Both::all() {
                let received = both.receive(&call.encode(&both.merchant, &both.context()));
                assert_eq!(received.method().as_deref(), Some(METHOD));
                assert_eq!(BillDownloadUrl::read(&both.biz_content(&received)), Ok(call));
                let bill_download_url = "http://dwbillcenter.alipay.com/d?x=1&y=2".into();
                let reply = BillDownloadUrlReply { bill_download_url };
                let response = reply.encode(&received, both.sealing());
                let read = call.decode(&both.merchant, &response);
                assert_eq!(read, Ok(Answer::Done(reply)));
            }
        }
    }

    #[test]
    fn a_bill_that_does_not_exist_is_told_from_one_to_ask_for_later() {
        let both = Both::plain();
        let [call, _] = calls();
        let received = both.receive(&call.encode(&both.merchant, &both.context()));
        for (refusal, absent, limited) in [
            (Refusal::BILL_NOT_EXIST, true, false),
            (Refusal::NO_BILL_DATA, true, false),
            (Refusal::SYSTEM_RATE_LIMIT, false, true),
            (Refusal::USER_RATE_LIMIT, false, true),
            (Refusal::BILL_DATE_BEFORE_REGISTRATION, false, false),
        ] {
            let response = received.refuse(&refusal, &[], both.sealing());
            match call.decode(&both.merchant, &response) {
                Ok(Answer::Refused(error)) => {
                    assert_eq!(error.is_bill_absent(), absent, "{error}");
                    assert_eq!(error.is_limited(), limited, "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn dates_and_types_that_do_not_exist_are_refused() {
        let read = |kind: &str, date: &str| {
            BillDownloadUrl::read(&format!(r#"{{"bill_type":"{kind}","bill_date":"{date}"}}"#))
                .err()
        };
        assert_eq!(read("trade", "2026-11-20"), None);
        assert_eq!(read("merchant_act", "2026-11-20"), Some(Refusal::TYPE_NOT_SUPPORTED));
        assert_eq!(read("", "2026-11-20"), Some(Refusal::INVAILID_ARGUMENTS));
        for date in ["2026-11-31", "2026-13", "20261120", "2026-1-200", "二〇年", ""] {
            assert_eq!(read("trade", date), Some(Refusal::INVAILID_ARGUMENTS), "{date}");
        }
    }

    #[test]
    fn an_address_must_be_one() {
        let both = Both::plain();
        let [call, _] = calls();
        let malformed = Err(ReplyError::Malformed("bill_download_url"));
        for object in
            [r#"{"code":"10000"}"#, r#"{"code":"10000","bill_download_url":"file:///etc/passwd"}"#]
        {
            let response = both.signed_reply(METHOD, object);
            assert_eq!(call.decode(&both.merchant, &response), malformed, "{object}");
        }
    }
}
