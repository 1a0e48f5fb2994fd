//! `GET /v3/alipay/data/dataservice/bill/downloadurl/query`: where a day's or a month's bill can be
//! fetched. See [`crate::open::bill_download_url`].

use super::envelope::{self, CallContext};
use super::gateway::Sealing;
use crate::account::Credentials;
use crate::error::{Answer, ReplyError};
use crate::open::bill_download_url::{BillDownloadUrl, BillDownloadUrlReply};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The path.
pub const PATH: &str = "/v3/alipay/data/dataservice/bill/downloadurl/query";

impl BillDownloadUrl {
    /// The call in v3, signed. Its members stand in the address, so that they are never encrypted.
    pub fn encode_v3(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        let date = self.bill_date.to_text();
        let members = [("bill_type", self.bill_type.as_str()), ("bill_date", &date)];
        envelope::get(credentials, call, PATH, &members)
    }

    /// Reads what came back in v3. A bill that does not exist is a refusal
    /// ([`GatewayError::is_bill_absent`](crate::GatewayError::is_bill_absent)); a bill with nothing
    /// in it has an address (`bill_file_code` `EMPTY_DATA_WITH_BILL_FILE`).
    pub fn decode_v3(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<BillDownloadUrlReply>, ReplyError> {
        let answer = envelope::reply(credentials, response, now)?;
        answer.then(|members| BillDownloadUrlReply::read(&members))
    }
}

impl BillDownloadUrlReply {
    /// The gateway's side: the reply in v3.
    pub fn encode_v3(&self, sealing: Sealing<'_>) -> HttpResponse {
        sealing.answer(&self.write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Refusal;
    use crate::open::bill_download_url::{BillDate, BillType, METHOD};
    use crate::open::testing::Both;
    use crate::v3::gateway::refuse;
    use crate::v3::gateway::tests::{call, content, now, sealing};
    use jiff::civil::date;

    fn bill() -> BillDownloadUrl {
        let bill_date = BillDate::Day(date(2026, 11, 20));
        BillDownloadUrl { bill_type: BillType::Trade, bill_date }
    }

    #[test]
    fn request_and_reply_pass_between_both_ends() {
        let month = BillDate::Month(date(2026, 10, 1));
        let other = BillDownloadUrl { bill_type: BillType::SignCustomer, bill_date: month };
        for bill in [bill(), other] {
            for both in Both::all() {
                let sent = bill.encode_v3(&both.merchant, &call());
                assert_eq!(sent.path(), PATH);
                let (method, content) = content(&both, &sent);
                assert_eq!(method, METHOD);
                assert_eq!(BillDownloadUrl::read(&content), Ok(bill));
                let bill_download_url = "http://dwbillcenter.alipay.com/d?x=1&y=2".into();
                let reply = BillDownloadUrlReply { bill_download_url };
                let response = reply.encode_v3(sealing(&both));
                let read = bill.decode_v3(&both.merchant, &response, now());
                assert_eq!(read, Ok(Answer::Done(reply)));
            }
        }
        let sent = bill().encode_v3(&Both::plain().merchant, &call());
        assert_eq!(sent.query(), "bill_type=trade&bill_date=2026-11-20");
        assert!(sent.body.is_empty() && sent.header("content-type").is_none());
    }

    #[test]
    fn an_address_must_be_one_and_a_missing_bill_is_told() {
        let both = Both::plain();
        for body in ["{}", r#"{"bill_download_url":"file:///etc/passwd"}"#] {
            let response = sealing(&both).respond(200, body);
            let read = bill().decode_v3(&both.merchant, &response, now());
            assert_eq!(read, Err(ReplyError::Malformed("bill_download_url")), "{body}");
        }
        let response = refuse(&Refusal::BILL_NOT_EXIST, Some(sealing(&both)), "trace");
        match bill().decode_v3(&both.merchant, &response, now()) {
            Ok(Answer::Refused(error)) => assert!(error.is_bill_absent()),
            other => panic!("{other:?}"),
        }
    }
}
