//! Bills (微信支付 API v3, 申请交易账单, 申请资金账单, 下载账单).
//!
//! In two steps: a signed answer says where the file is and what its text hashes to, then the file
//! comes without a signature, so that the hash is all that vouches for it ([`BillLink::verify`]).
//! Between the two lie at most five minutes. What is in the file is read by
//! [`BillReader`](crate::BillReader).

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, get, read_json, read_refusal};
use super::target::{Parameters, path_segment};
use crate::account::V3Credentials;
use crate::bill::{BillDate, BillFile, BillPacking, BillType, FundAccount};
use crate::error::{Answer, FieldError, Mismatch, ReplyError};
use crate::notice::Verified;
use crate::rules::{Kind, Rule, may, must};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tongbao_crypt::digest;
use tongbao_types::{HttpRequest, HttpResponse};

/// Where trade bills are asked for.
pub const TRADE_BILL_PATH: &str = "/v3/bill/tradebill";

/// Where fund-flow bills are asked for.
pub const FUND_FLOW_PATH: &str = "/v3/bill/fundflowbill";

/// Where the provider keeps the files. Merchants take the address that they are told.
pub const BILL_FILE_PATH: &str = "/v3/billdownload/file";

/// A day's trades (交易账单): of a service provider's account, those of its sub-merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TradeBill {
    /// The day, one of the last three months.
    pub date: BillDate,
    /// Which rows.
    pub bill_type: BillType,
    /// How it shall travel.
    pub packing: BillPacking,
}

/// A day's movements of an account (资金账单).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FundFlowBill {
    /// The day, one of the last three months.
    pub date: BillDate,
    /// Which account.
    pub account: FundAccount,
    /// How it shall travel.
    pub packing: BillPacking,
}

const DATE: Rule = must("bill_date", "账单日期", Kind::Date);
const TAR_TYPE: Rule = may("tar_type", "压缩类型", Kind::Word(&["GZIP"]));
const TRADE_RULES: &[Rule] = &[
    DATE,
    may("sub_mchid", "子商户号", Kind::Text(1, 32)),
    may("bill_type", "账单类型", Kind::Word(&["ALL", "SUCCESS", "REFUND"])),
    TAR_TYPE,
];
const FUND_RULES: &[Rule] = &[
    DATE,
    may("account_type", "资金账户类型", Kind::Word(&["BASIC", "OPERATION", "FEES"])),
    TAR_TYPE,
];
const FILE_RULES: &[Rule] = &[
    must("token", "下载凭证", Kind::Text(1, 2048)),
    may("tartype", "压缩类型", Kind::Word(&["gzip"])),
];

impl TradeBill {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let (date, bill_type) = (self.date, self.bill_type.as_str());
        let mut target = format!("{TRADE_BILL_PATH}?bill_date={date}&bill_type={bill_type}");
        if let Some(sub_mchid) = &credentials.merchant().sub_mch_id {
            target.push_str(&format!("&sub_mchid={sub_mchid}"));
        }
        get(target + &tar_type(self.packing), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well; `opened.merchant` says
    /// whether it is about a sub-merchant.
    pub fn decode(opened: &Opened) -> Result<TradeBill, Refusal> {
        let parameters = Parameters::checked(opened.request.query(), TRADE_RULES)?;
        let bill_type = parameters.text("bill_type").and_then(BillType::read);
        let (date, packing) = read_common(&parameters);
        Ok(TradeBill { date, bill_type: bill_type.unwrap_or_default(), packing })
    }

    /// The merchant reads the reply: where the bill is, or a refusal such as
    /// [`WechatError::is_no_bill`](crate::WechatError::is_no_bill).
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<BillLink>, ReplyError> {
        read_link(received)
    }
}

impl FundFlowBill {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let (date, account) = (self.date, self.account.as_v3_str());
        let target = format!("{FUND_FLOW_PATH}?bill_date={date}&account_type={account}");
        get(target + &tar_type(self.packing), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<FundFlowBill, Refusal> {
        let parameters = Parameters::checked(opened.request.query(), FUND_RULES)?;
        let account = parameters.text("account_type").and_then(FundAccount::read_v3);
        let (date, packing) = read_common(&parameters);
        Ok(FundFlowBill { date, account: account.unwrap_or_default(), packing })
    }

    /// The merchant reads the reply.
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<BillLink>, ReplyError> {
        read_link(received)
    }
}

fn tar_type(packing: BillPacking) -> String {
    packing.tar_type().map(|word| format!("&tar_type={word}")).unwrap_or_default()
}

fn read_common(parameters: &Parameters) -> (BillDate, BillPacking) {
    let date = parameters.text("bill_date").and_then(BillDate::read_dashed);
    let packing = BillPacking::asked(parameters.text("tar_type"));
    (date.expect("the rules have checked the date"), packing)
}

/// The provider's no to a day without movements.
pub fn no_bill() -> Refusal {
    Refusal::new(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
}

/// The provider's no as long as the bill is being made.
pub fn bill_creating() -> Refusal {
    Refusal::new(400, "STATEMENT_CREATING", "账单生成中")
}

/// Where a bill is, and what its text hashes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLink {
    download_url: String,
    hash_value: String,
}

#[derive(Serialize, Deserialize)]
struct LinkBody {
    download_url: String,
    hash_type: String,
    hash_value: String,
}

fn read_link(received: &Received<'_>) -> Result<Answer<BillLink>, ReplyError> {
    let wrong = |name, problem| Err(FieldError { name, problem }.into());
    received.verified()?.then(|body| {
        let LinkBody { download_url, hash_type, hash_value } = read_json(body)?;
        if hash_type != "SHA1" {
            return wrong("hash_type", "is not SHA1");
        }
        if hash_value.len() != 40 || !hash_value.bytes().all(|b| b.is_ascii_hexdigit()) {
            return wrong("hash_value", "is not 40 hexadecimal digits");
        }
        if target_of(&download_url).is_none() {
            return wrong("download_url", "is not an absolute address");
        }
        Ok(BillLink { download_url, hash_value })
    })
}

/// Path and query of an absolute http(s) address, as they stand there.
fn target_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = rest.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    let path = rest.find('/').filter(|at| *at > 0 && plain)?;
    rest.get(path..)
}

impl BillLink {
    /// The provider's: `base` is scheme and host as the merchant knows them, `text` the bill as it
    /// is before packing.
    pub fn new(base: &str, token: &str, packing: BillPacking, text: &[u8]) -> BillLink {
        let gzip = if packing == BillPacking::Gzip { "&tartype=gzip" } else { "" };
        let token = path_segment(token);
        BillLink {
            download_url: format!("{base}{BILL_FILE_PATH}?token={token}{gzip}"),
            hash_value: digest::sha1_hex(text),
        }
    }

    /// The provider's reply to a request for a bill.
    pub fn encode_reply(&self, replier: &Replier<'_>) -> HttpResponse {
        replier.json(&LinkBody {
            download_url: self.download_url.clone(),
            hash_type: "SHA1".to_owned(),
            hash_value: self.hash_value.clone(),
        })
    }

    /// The merchant's request for the file. Only path and query are taken from the address: it goes
    /// to the same host as all else.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let target = target_of(&self.download_url).unwrap_or(BILL_FILE_PATH);
        get(target.to_owned(), credentials, stamp)
    }

    /// The merchant reads the answer, which may be large and is not believed yet: unpack it, within
    /// bounds, and have the text verified.
    pub fn decode_reply(response: &HttpResponse) -> Result<Answer<BillFile>, ReplyError> {
        if response.status != 200 {
            return read_refusal(response).map(Answer::Refused);
        }
        let file = BillFile::of(&response.body);
        file.map(Answer::Done).ok_or_else(|| ReplyError::Malformed("markup".to_owned()))
    }

    /// SHA-1 of the unpacked text, byte order mark and all, as 40 hexadecimal digits; for callers
    /// who never hold all of it.
    pub fn hash_value(&self) -> &str {
        &self.hash_value
    }

    /// Checks the unpacked text, byte order mark and all, by the hash.
    pub fn verify(&self, text: Bytes) -> Result<Verified<Bytes>, Mismatch> {
        let found = digest::sha1_hex(&text);
        if found.eq_ignore_ascii_case(&self.hash_value) {
            return Ok(Verified::new(text));
        }
        Err(Mismatch { field: "hash_value", wanted: self.hash_value.clone(), found })
    }
}

/// A request for a file, at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillDownload {
    /// What the provider put into the address.
    pub token: String,
    /// How it shall travel.
    pub packing: BillPacking,
}

impl BillDownload {
    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<BillDownload, Refusal> {
        let parameters = Parameters::checked(opened.request.query(), FILE_RULES)?;
        let token = parameters.text("token").unwrap_or_default().to_owned();
        Ok(BillDownload { token, packing: BillPacking::asked(parameters.text("tartype")) })
    }

    /// The provider's answer: the file, packed by the caller, without a signature.
    pub fn encode_reply(file: &BillFile, request_id: &str) -> HttpResponse {
        let mut response = file.response();
        response.headers.insert(0, ("Request-ID".to_owned(), request_id.to_owned()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::*;
    use serde_json::{Value, json};

    const TEXT: &[u8] = "\u{feff}交易时间,公众账号ID\r\n`2019-02-19 01:51:59,`wx\r\n".as_bytes();
    const BASE: &str = "http://127.0.0.1:8080";

    fn date() -> BillDate {
        BillDate::read_dashed("2019-06-11").unwrap()
    }

    #[test]
    fn trade_bills_are_asked_for_in_both_modes() {
        let check = |credentials, bill: TradeBill, wanted: &str| {
            let request = bill.encode(credentials, stamp());
            assert_eq!(request.target, wanted);
            assert_eq!(TradeBill::decode(&opened(request)), Ok(bill));
        };
        let (bill_type, packing) = (BillType::All, BillPacking::Plain);
        let plain = TradeBill { date: date(), bill_type, packing };
        let wanted = "/v3/bill/tradebill?bill_date=2019-06-11&bill_type=ALL";
        check(&PAIR.credentials, plain, wanted);
        let packed = TradeBill { bill_type: BillType::Refund, packing: BillPacking::Gzip, ..plain };
        let wanted = "/v3/bill/tradebill?bill_date=2019-06-11&bill_type=REFUND&sub_mchid=1900000209&tar_type=GZIP";
        check(&PARTNER, packed, wanted);
    }

    #[test]
    fn fund_flow_bills_are_asked_for() {
        let (account, packing) = (FundAccount::Operation, BillPacking::Gzip);
        let bill = FundFlowBill { date: date(), account, packing };
        let request = bill.encode(&PAIR.credentials, stamp());
        let wanted =
            "/v3/bill/fundflowbill?bill_date=2019-06-11&account_type=OPERATION&tar_type=GZIP";
        assert_eq!(request.target, wanted);
        assert_eq!(FundFlowBill::decode(&opened(request)), Ok(bill));
        let bare = format!("{FUND_FLOW_PATH}?bill_date=2019-06-11");
        let read = FundFlowBill::decode(&opened(get(bare, &PAIR.credentials, stamp()))).unwrap();
        assert_eq!((read.account, read.packing), (FundAccount::Basic, BillPacking::Plain));
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let opened = |target: &str| opened(get(target.to_owned(), &PAIR.credentials, stamp()));
        let check = |refusal: Option<Refusal>, words: &str| {
            let refusal = refusal.unwrap();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, "PARAM_ERROR"));
            assert!(refusal.message.contains(words), "{} has not {words}", refusal.message);
        };
        let trade =
            |query: &str| TradeBill::decode(&opened(&format!("{TRADE_BILL_PATH}?{query}"))).err();
        check(trade(""), "“/query/bill_date”");
        check(trade("bill_date=20190611"), "yyyy-MM-dd");
        check(trade("bill_date=2019-02-30"), "yyyy-MM-dd");
        check(trade("bill_date=2019-06-11&bill_type=REVOKED"), "账单类型");
        check(trade("bill_date=2019-06-11&tar_type=ZIP"), "压缩类型");
        let fund =
            |query: &str| FundFlowBill::decode(&opened(&format!("{FUND_FLOW_PATH}?{query}"))).err();
        check(fund("bill_date=2019-06-11&account_type=Basic"), "资金账户类型");
        let file =
            |query: &str| BillDownload::decode(&opened(&format!("{BILL_FILE_PATH}?{query}"))).err();
        check(file("tartype=gzip"), "“/query/token”");
        check(file("token=a&tartype=zip"), "压缩类型");
    }

    #[test]
    fn a_bill_is_told_of_fetched_and_verified() {
        for (packing, file, content_type) in [
            (BillPacking::Plain, TEXT, "text/plain"),
            (BillPacking::Gzip, b"\x1f\x8b\x08".as_slice(), "application/x-gzip"),
        ] {
            let told = BillLink::new(BASE, "a/b+c=", packing, TEXT).encode_reply(&replier());
            let bill = TradeBill { date: date(), bill_type: BillType::All, packing };
            let Ok(Answer::Done(link)) = bill.decode_reply(&received(&told)) else { panic!() };
            let request = link.encode(&PAIR.credentials, stamp());
            let gzip = if packing == BillPacking::Gzip { "&tartype=gzip" } else { "" };
            let wanted = format!("/v3/billdownload/file?token=a%2Fb%2Bc%3D{gzip}");
            assert_eq!(request.target, wanted);
            let asked = BillDownload { token: "a/b+c=".to_owned(), packing };
            assert_eq!(BillDownload::decode(&opened(request)), Ok(asked));
            let sent = BillFile { packing, body: Bytes::from_static(file) };
            let response = BillDownload::encode_reply(&sent, "id");
            assert_eq!(response.header("Content-Type"), Some(content_type));
            assert_eq!(response.header("Wechatpay-Signature"), None);
            assert_eq!(BillLink::decode_reply(&response), Ok(Answer::Done(sent)));
            let text = Bytes::from_static(TEXT);
            assert_eq!(link.verify(text.clone()).unwrap().into_value(), text);
        }
    }

    #[test]
    fn the_reply_is_written_exactly_so() {
        let link = BillLink::new("https://api.mch.weixin.qq.com", "xx", BillPacking::Gzip, b"abc");
        let response = link.encode_reply(&replier());
        let wanted = r#"{"download_url":"https://api.mch.weixin.qq.com/v3/billdownload/file?token=xx&tartype=gzip","hash_type":"SHA1","hash_value":"a9993e364706816aba3e25717850c26c9cd0d89d"}"#;
        assert_eq!(response.body, wanted);
    }

    #[test]
    fn a_text_that_is_another_is_not_believed() {
        let link = BillLink::new(BASE, "t", BillPacking::Plain, TEXT);
        for text in [&TEXT[3..], &TEXT[..TEXT.len() - 2], b""] {
            let mismatch = link.verify(Bytes::from_static(text)).unwrap_err();
            assert_eq!(mismatch.field, "hash_value");
        }
        let hash_value = link.hash_value.to_ascii_uppercase();
        let shouted = BillLink { hash_value, ..link };
        assert!(shouted.verify(Bytes::from_static(TEXT)).is_ok());
    }

    #[test]
    fn a_link_that_cannot_be_used_is_refused() {
        let check = |change: fn(&mut Value), wanted: &str| {
            let link = BillLink::new(BASE, "t", BillPacking::Plain, TEXT);
            let sent = link.encode_reply(&replier());
            let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
            change(&mut body);
            let response = replier().json(&body);
            let (account, packing) = (FundAccount::Basic, BillPacking::Plain);
            let bill = FundFlowBill { date: date(), account, packing };
            match bill.decode_reply(&received(&response)) {
                Err(ReplyError::Field(error)) => assert_eq!(error.name, wanted),
                other => panic!("{wanted}: {other:?}"),
            }
        };
        check(|b| b["hash_type"] = json!("MD5"), "hash_type");
        check(|b| b["hash_value"] = json!("a9"), "hash_value");
        check(|b| b["hash_value"] = json!("x".repeat(40)), "hash_value");
        check(|b| b["download_url"] = json!("/v3/billdownload/file"), "download_url");
        check(|b| b["download_url"] = json!("https:///v3"), "download_url");
        check(|b| b["download_url"] = json!("https://a.example"), "download_url");
        check(|b| b["download_url"] = json!("ftp://a.example/v3"), "download_url");
        check(|b| b["download_url"] = json!("https://a.example/v3\r\nX: y"), "download_url");
        check(|b| b["download_url"] = json!("https://a.example/v3 HTTP/1.1"), "download_url");
    }

    #[test]
    fn days_without_a_bill_are_told_apart() {
        let read = |refusal: Refusal| {
            let response = refusal.encode("id");
            let bill =
                TradeBill { date: date(), bill_type: BillType::All, packing: BillPacking::Plain };
            match bill.decode_reply(&received(&response)) {
                Ok(Answer::Refused(error)) => error,
                other => panic!("{other:?}"),
            }
        };
        assert!(read(no_bill()).is_no_bill() && !read(no_bill()).is_bill_creating());
        assert!(read(bill_creating()).is_bill_creating() && !read(bill_creating()).is_no_bill());
    }

    #[test]
    fn a_download_that_is_refused_or_markup_is_no_bill() {
        let read = |status, body: &str| {
            BillLink::decode_reply(&HttpResponse::new(status, "x", body.to_owned()))
        };
        let answer = read(400, r#"{"code":"PARAM_ERROR","message":"token"}"#);
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is("PARAM_ERROR")));
        assert!(matches!(read(200, "<html>"), Err(ReplyError::Malformed(_))));
        assert_eq!(read(502, "<html>"), Err(ReplyError::Status(502)));
        assert_eq!(read(404, &" ".repeat(70_000)), Err(ReplyError::Status(404)));
    }
}
