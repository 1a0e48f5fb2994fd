//! Bills of API v2 (微信支付 API v2, 下载交易账单, 下载资金账单).
//!
//! Success is a file without a signature: text, or a gzip stream if that was asked for. Failure is
//! XML of its own shape for each of the two, unsigned. What is in the file is read by
//! [`BillReader`](crate::BillReader).

use super::envelope::{CONTENT_TYPE, Opened, Refusal, communication_failure, field};
use super::envelope::{request, request_signed};
use crate::account::{SignType, V2Credentials};
use crate::bill::{BillDate, BillFile, BillPacking, BillType, FundAccount};
use crate::error::{Answer, Level, ReplyError, WechatError};
use crate::rules::{Kind, Rule, check_text, may, must};
use crate::xml::Fields;
use tongbao_crypt::digest;
use tongbao_types::{HttpRequest, HttpResponse};

/// Where trade bills are asked for.
pub const TRADE_BILL_PATH: &str = "/pay/downloadbill";

/// Where fund-flow bills are asked for, with the client certificate.
pub const FUND_FLOW_PATH: &str = "/pay/downloadfundflow";

/// A day's trades (交易账单).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadBill {
    /// The day, one of the last three months.
    pub date: BillDate,
    /// Which rows.
    pub bill_type: BillType,
    /// How it shall travel.
    pub packing: BillPacking,
}

/// A day's movements of an account (资金账单). The call needs the client certificate and is signed
/// with HMAC-SHA256 whatever the account uses elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadFundFlow {
    /// The day, from 2017-06-01 on.
    pub date: BillDate,
    /// Which account.
    pub account: FundAccount,
    /// How it shall travel.
    pub packing: BillPacking,
}

const RULES: &[Rule] = &[must("bill_date", "对账单日期", Kind::CompactDate)];

const TAR_TYPE: &[Rule] = &[may("tar_type", "压缩账单", Kind::Word(&["GZIP"]))];

impl DownloadBill {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("bill_date", self.date.compact());
        fields.set("bill_type", self.bill_type.as_str());
        fields.set_some("tar_type", self.packing.tar_type());
        request(TRADE_BILL_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well. Bills have their own words
    /// for what is wrong.
    pub fn decode(opened: &Opened) -> Result<DownloadBill, Refusal> {
        let no = |message: &str| Refusal::business("20001", message);
        let (date, packing) = read_common(opened, |rule| {
            let missing = opened.fields.text(rule.name).is_none();
            no(if missing { "missing parameter" } else { "data format error" })
        })?;
        let bill_type = match opened.fields.text("bill_type") {
            None => BillType::All,
            Some(word) => BillType::read(word).ok_or_else(|| no("invalid bill_type"))?,
        };
        Ok(DownloadBill { date, bill_type, packing })
    }

    /// The provider's reply: a file of this packing, packed by the caller.
    pub fn encode_reply(file: &BillFile) -> HttpResponse {
        file.response()
    }

    /// The provider's no: `error_code`, unlike everywhere else, and no signature.
    pub fn encode_refusal(refusal: &Refusal) -> HttpResponse {
        match refusal {
            Refusal::Communication(message) => communication_failure(message),
            Refusal::Business { code, message } => {
                let mut fields = Fields::new();
                fields.set("return_code", "FAIL");
                fields.set("return_msg", message);
                fields.set("error_code", code);
                HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
            }
        }
    }

    /// The merchant reads the reply: the file, or a refusal such as
    /// [`WechatError::is_no_bill`].
    pub fn decode_reply(response: &HttpResponse) -> Result<Answer<BillFile>, ReplyError> {
        read_file(response)
    }
}

impl DownloadFundFlow {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("bill_date", self.date.compact());
        fields.set("account_type", self.account.as_v2_str());
        fields.set_some("tar_type", self.packing.tar_type());
        request_signed(FUND_FLOW_PATH, fields, credentials, SignType::HmacSha256, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<DownloadFundFlow, Refusal> {
        let no = |name: &str| Refusal::business("PARAM_ERROR", &format!("{name}参数错误"));
        if opened.sign_type != SignType::HmacSha256 {
            return Err(no("sign_type"));
        }
        let (date, packing) = read_common(opened, |rule| no(rule.name))?;
        let account = opened.fields.text("account_type").and_then(FundAccount::read_v2);
        let account = account.ok_or_else(|| no("account_type"))?;
        Ok(DownloadFundFlow { date, account, packing })
    }

    /// The provider's reply: a file of this packing, packed by the caller, with the SHA-1 of its
    /// text in a header.
    pub fn encode_reply(file: &BillFile, text: &[u8]) -> HttpResponse {
        let mut response = file.response();
        let digest = format!("SHA={}", digest::sha1_hex(text));
        response.headers.push(("Digest".to_owned(), digest));
        response
    }

    /// The provider's no: `err_code` this time, and no signature.
    pub fn encode_refusal(refusal: &Refusal) -> HttpResponse {
        match refusal {
            Refusal::Communication(message) => communication_failure(message),
            Refusal::Business { code, message } => {
                let mut fields = Fields::new();
                fields.set("return_code", "SUCCESS");
                fields.set("return_msg", "OK");
                fields.set("result_code", "FAIL");
                fields.set("err_code", code);
                fields.set("err_code_des", message);
                HttpResponse::new(200, CONTENT_TYPE, fields.to_xml())
            }
        }
    }

    /// The merchant reads the reply.
    pub fn decode_reply(response: &HttpResponse) -> Result<Answer<BillFile>, ReplyError> {
        read_file(response)
    }
}

fn read_common(
    opened: &Opened,
    no: impl Fn(&Rule) -> Refusal,
) -> Result<(BillDate, BillPacking), Refusal> {
    for rule in RULES.iter().chain(TAR_TYPE) {
        let text = opened.fields.text(rule.name);
        check_text(text, rule, "/body/xml").map_err(|_| no(rule))?;
    }
    let date = opened.fields.text("bill_date").and_then(BillDate::read_compact);
    let packing = BillPacking::asked(opened.fields.text("tar_type"));
    Ok((date.ok_or_else(|| no(&RULES[0]))?, packing))
}

/// Nothing here is signed, so nothing is verified but the form. A bill is no proof of a payment.
fn read_file(response: &HttpResponse) -> Result<Answer<BillFile>, ReplyError> {
    if response.status != 200 {
        return Err(ReplyError::Status(response.status));
    }
    if response.body.is_empty() {
        return Err(ReplyError::Malformed("an empty body is no bill".to_owned()));
    }
    match BillFile::of(&response.body) {
        Some(file) => Ok(Answer::Done(file)),
        None => read_failure(&Fields::parse(&response.body)?).map(Answer::Refused),
    }
}

fn read_failure(fields: &Fields) -> Result<WechatError, ReplyError> {
    let text = |name: &str| fields.text(name).map(str::to_owned);
    let (level, code, message) = match fields.text("return_code") {
        Some("FAIL") => {
            let code = text("error_code").unwrap_or_else(|| "FAIL".to_owned());
            (Level::Communication, code, text("return_msg").or(text("retmsg")))
        }
        Some("SUCCESS") if fields.text("result_code") == Some("FAIL") => {
            let code = text("err_code").ok_or(field("err_code", "is missing"))?;
            (Level::Business, code, text("err_code_des"))
        }
        _ => return Err(field("return_code", "does not say FAIL, and there is no bill").into()),
    };
    Ok(WechatError { level, code, message: message.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use bytes::Bytes;

    fn trades() -> DownloadBill {
        let date = BillDate::read_compact("20261120").unwrap();
        DownloadBill { date, bill_type: BillType::Refund, packing: BillPacking::Gzip }
    }

    fn funds() -> DownloadFundFlow {
        let date = BillDate::read_compact("20261120").unwrap();
        DownloadFundFlow { date, account: FundAccount::Fees, packing: BillPacking::Plain }
    }

    fn plain(body: &'static str) -> BillFile {
        BillFile { packing: BillPacking::Plain, body: Bytes::from_static(body.as_bytes()) }
    }

    fn refused(response: &HttpResponse) -> WechatError {
        match read_file(response) {
            Ok(Answer::Refused(error)) => error,
            other => panic!("{other:?} is no refusal"),
        }
    }

    #[test]
    fn requests_for_trades_go_there() {
        let credentials = credentials(SignType::Md5);
        let plain = DownloadBill { packing: BillPacking::Plain, ..trades() };
        for bill in [trades(), plain] {
            let request = bill.encode(&credentials, "n1");
            assert_eq!(request.path(), TRADE_BILL_PATH);
            assert_eq!(DownloadBill::decode(&opened(&request, &credentials)), Ok(bill));
        }
        let mut fields = Fields::new();
        fields.set("bill_date", "20261120");
        let bare = request(TRADE_BILL_PATH, fields, &credentials, "n1");
        let read = DownloadBill::decode(&opened(&bare, &credentials)).unwrap();
        assert_eq!((read.bill_type, read.packing), (BillType::All, BillPacking::Plain));
    }

    #[test]
    fn fund_flows_are_signed_with_hmac_by_everybody() {
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let credentials = credentials(sign_type);
            let request = funds().encode(&credentials, "n1");
            assert_eq!(request.path(), FUND_FLOW_PATH);
            let opened = opened(&request, &credentials);
            assert_eq!(opened.sign_type, SignType::HmacSha256);
            assert_eq!(DownloadFundFlow::decode(&opened), Ok(funds()));
        }
        let credentials = credentials(SignType::Md5);
        let mut fields = Fields::new();
        fields.set("bill_date", "20261120");
        fields.set("account_type", "Basic");
        let md5 = request(FUND_FLOW_PATH, fields, &credentials, "n1");
        let refusal = DownloadFundFlow::decode(&opened(&md5, &credentials)).unwrap_err();
        assert_eq!(refusal, Refusal::business("PARAM_ERROR", "sign_type参数错误"));
    }

    #[test]
    fn files_are_told_from_failures_by_their_first_bytes() {
        let file = plain("\u{feff}交易时间,公众账号ID\r\n");
        let answer = DownloadBill::decode_reply(&DownloadBill::encode_reply(&file));
        assert_eq!(answer, Ok(Answer::Done(file)));
        let body = Bytes::from_static(b"\x1f\x8b\x08rest");
        let packed = BillFile { packing: BillPacking::Gzip, body };
        let response = DownloadBill::encode_reply(&packed);
        assert_eq!(response.header("content-type"), Some("application/x-gzip"));
        assert_eq!(DownloadBill::decode_reply(&response), Ok(Answer::Done(packed)));
    }

    #[test]
    fn a_fund_flow_bears_the_digest_of_its_text() {
        let file = BillFile { packing: BillPacking::Gzip, body: Bytes::from_static(b"\x1f\x8b") };
        let response = DownloadFundFlow::encode_reply(&file, b"abc");
        let digest = response.header("Digest");
        assert_eq!(digest, Some("SHA=a9993e364706816aba3e25717850c26c9cd0d89d"));
        assert_eq!(DownloadFundFlow::decode_reply(&response), Ok(Answer::Done(file)));
    }

    #[test]
    fn failures_of_trade_bills_have_a_shape_of_their_own() {
        let none = Refusal::business("20002", "No Bill Exist");
        let response = DownloadBill::encode_refusal(&none);
        let wanted = "<xml><return_code><![CDATA[FAIL]]></return_code>\
                      <return_msg><![CDATA[No Bill Exist]]></return_msg>\
                      <error_code><![CDATA[20002]]></error_code></xml>";
        assert_eq!(response.body, wanted);
        let error = refused(&response);
        assert!(error.is_no_bill() && !error.is_unknown(), "{error:?}");
        assert_eq!((error.code.as_str(), error.level), ("20002", Level::Communication));
        let bare =
            "<xml><return_code>FAIL</return_code><return_msg>Bill Creating</return_msg></xml>";
        assert!(refused(&HttpResponse::new(200, "", bare)).is_bill_creating());
        let busy = Refusal::business("20003", "SYSTEMERROR");
        assert!(refused(&DownloadBill::encode_refusal(&busy)).is_unknown());
        let sign = Refusal::Communication("SIGN ERROR".to_owned());
        assert!(refused(&DownloadBill::encode_refusal(&sign)).is_signature());
    }

    #[test]
    fn failures_of_fund_flows_have_another() {
        let none = Refusal::business("NO_BILL_EXIST", "账单不存在");
        let error = refused(&DownloadFundFlow::encode_refusal(&none));
        assert!(error.is_no_bill() && error.level == Level::Business, "{error:?}");
        let creating = Refusal::business("BILL_CREATING", "账单生成中");
        assert!(refused(&DownloadFundFlow::encode_refusal(&creating)).is_bill_creating());
        let busy = Refusal::business("SYSTEMERROR", "");
        assert!(refused(&DownloadFundFlow::encode_refusal(&busy)).is_unknown());
    }

    #[test]
    fn what_is_neither_file_nor_failure_is_an_error() {
        let read = |status, body: &'static str| read_file(&HttpResponse::new(status, "", body));
        assert_eq!(read(502, "x"), Err(ReplyError::Status(502)));
        assert!(matches!(read(200, ""), Err(ReplyError::Malformed(_))));
        assert!(matches!(read(200, "<html><hr></html>"), Err(ReplyError::Malformed(_))));
        assert!(matches!(read(200, "<xml></xml>"), Err(ReplyError::Field(_))));
        let odd = "<xml><return_code>SUCCESS</return_code></xml>";
        assert!(matches!(read(200, odd), Err(ReplyError::Field(_))));
        let coded = "<xml><return_code>SUCCESS</return_code><result_code>FAIL</result_code></xml>";
        assert!(matches!(read(200, coded), Err(ReplyError::Field(f)) if f.name == "err_code"));
    }

    #[test]
    fn the_provider_says_what_is_wrong_in_the_words_of_bills() {
        let credentials = credentials(SignType::HmacSha256);
        let open = |pairs: &[(&str, &str)]| {
            let fields = pairs.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
            opened(&request(TRADE_BILL_PATH, fields, &credentials, "n1"), &credentials)
        };
        let check = |pairs: &[(&str, &str)], words: &str| {
            let refusal = DownloadBill::decode(&open(pairs)).unwrap_err();
            assert_eq!(refusal, Refusal::business("20001", words));
        };
        check(&[], "missing parameter");
        check(&[("bill_date", "2026-11-20")], "data format error");
        check(&[("bill_date", "20261120"), ("tar_type", "ZIP")], "data format error");
        check(&[("bill_date", "20261120"), ("bill_type", "all")], "invalid bill_type");
        let funds = |pairs: &[(&str, &str)], name: &str| {
            let refusal = DownloadFundFlow::decode(&open(pairs)).unwrap_err();
            assert_eq!(refusal, Refusal::business("PARAM_ERROR", &format!("{name}参数错误")));
        };
        funds(&[("account_type", "Basic")], "bill_date");
        funds(&[("bill_date", "20261120")], "account_type");
        funds(&[("bill_date", "20261120"), ("account_type", "BASIC")], "account_type");
    }
}
