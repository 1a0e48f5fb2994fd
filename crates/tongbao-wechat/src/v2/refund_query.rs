//! Refund query (微信支付 API v2, 查询退款).
//!
//! An order's refunds come as indexed fields (`refund_id_0`, `refund_id_1`, …), ten to a page. By
//! the number of a refund one is found, by that of an order all.

use super::envelope::{Opened, Refusal, Replier, fen, field, need, read_reply, request, same};
use crate::account::V2Credentials;
use crate::china::{read_spaced_time, spaced_time};
use crate::error::{Answer, FieldError, Mismatch, ReplyError};
use crate::refund::{Refund, RefundKey, RefundState};
use crate::rules::{Kind, Rule, may, read_integer};
use crate::xml::Fields;
use tongbao_types::{Fen, HttpRequest, HttpResponse};

/// Where refund queries are sent.
pub const REFUND_QUERY_PATH: &str = "/pay/refundquery";

/// How many refunds there are to a page.
const PAGE: usize = 10;

/// How does this refund stand, or how do the refunds of this order?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundQuery {
    /// Which refund or order.
    pub key: RefundKey,
    /// How many refunds to pass over; the reply tells the whole count only where this is set.
    pub offset: Option<u32>,
}

/// Some refunds of one order; all of them where [`RefundPage::next_offset`] has no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPage {
    /// In the provider's order.
    pub refunds: Vec<Refund>,
    /// How many the order has in all (`total_refund_count`), where the reply tells.
    pub total_refund_count: Option<u32>,
}

impl RefundPage {
    /// The `offset` of the page after this one, which was had with `offset`.
    pub fn next_offset(&self, offset: Option<u32>) -> Option<u32> {
        let seen = u32::try_from(self.refunds.len()).ok()?.checked_add(offset.unwrap_or(0))?;
        let more = match self.total_refund_count {
            Some(all) => seen < all,
            None => self.refunds.len() >= PAGE,
        };
        (more && !self.refunds.is_empty()).then_some(seen)
    }
}

const RULES: &[Rule] = &[
    may("refund_id", "微信退款单号", Kind::Text(1, 32)),
    may("out_refund_no", "商户退款单号", Kind::OutRefundNo),
    may("transaction_id", "微信支付订单号", Kind::Text(1, 32)),
    may("out_trade_no", "商户订单号", Kind::OutTradeNo),
    may("offset", "偏移量", Kind::Integer(0)),
];

impl RefundQuery {
    /// By the merchant's number of the refund.
    pub fn by_out_refund_no(number: &str) -> RefundQuery {
        RefundQuery { key: RefundKey::OutRefundNo(number.to_owned()), offset: None }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        match &self.key {
            RefundKey::RefundId(number) => fields.set("refund_id", number),
            RefundKey::OutRefundNo(number) => fields.set("out_refund_no", number),
            RefundKey::TransactionId(number) => fields.set("transaction_id", number),
            RefundKey::OutTradeNo(number) => fields.set("out_trade_no", number),
        }
        fields.set_some("offset", self.offset.map(|n| n.to_string()));
        request(REFUND_QUERY_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well. Of several numbers the most
    /// exact one counts.
    pub fn decode(opened: &Opened) -> Result<RefundQuery, Refusal> {
        opened.check(RULES)?;
        let text = |name| opened.text(name);
        let key = (text("refund_id").map(RefundKey::RefundId))
            .or_else(|| text("out_refund_no").map(RefundKey::OutRefundNo))
            .or_else(|| text("transaction_id").map(RefundKey::TransactionId))
            .or_else(|| text("out_trade_no").map(RefundKey::OutTradeNo));
        let no = |message: &str| Refusal::Communication(message.to_owned());
        let key = key.ok_or_else(|| no("缺少参数out_refund_no或refund_id"))?;
        let offset = text("offset").map(|n| n.parse()).transpose();
        Ok(RefundQuery { key, offset: offset.map_err(|_| no("invalid offset"))? })
    }

    /// The provider's reply: a page of `found`, which are all refunds that the key names, of one
    /// order. REFUNDNOTEXIST if there are none at this place.
    pub fn encode_reply(
        &self,
        found: &[Refund],
        replier: &Replier<'_>,
    ) -> Result<HttpResponse, Refusal> {
        let skipped = usize::try_from(self.offset.unwrap_or(0)).unwrap_or(usize::MAX);
        let page = found.get(skipped..).unwrap_or_default();
        let page = &page[..page.len().min(PAGE)];
        let first = page.first().ok_or_else(|| Refusal::business("REFUNDNOTEXIST", "not exist"))?;
        let sum = found.iter().fold(0i64, |sum, refund| sum.saturating_add(refund.refund_fen.0));
        let mut own = Fields::new();
        own.set("transaction_id", &first.transaction_id);
        own.set("out_trade_no", &first.out_trade_no);
        own.set("total_fee", first.total_fen.0.to_string());
        own.set("cash_fee", first.total_fen.0.to_string());
        own.set("refund_fee", sum.to_string());
        own.set("refund_count", page.len().to_string());
        own.set_some("total_refund_count", self.offset.map(|_| found.len().to_string()));
        for (n, refund) in page.iter().enumerate() {
            set_one(&mut own, n, refund);
        }
        Ok(replier.done(own))
    }

    /// The merchant reads the reply. It must be about what was asked for; asked for one refund,
    /// there is exactly one.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<RefundPage>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| {
            let mut page = read_page(&fields)?;
            match &self.key {
                RefundKey::TransactionId(number) => same(&fields, "transaction_id", number)?,
                RefundKey::OutTradeNo(number) => same(&fields, "out_trade_no", number)?,
                RefundKey::OutRefundNo(number) => {
                    only(&mut page, "out_refund_no", number, |r| &r.out_refund_no)?;
                }
                RefundKey::RefundId(number) => {
                    only(&mut page, "refund_id", number, |r| &r.refund_id)?;
                }
            }
            Ok(page)
        })
    }
}

/// Keeps the one refund that was asked for.
fn only(
    page: &mut RefundPage,
    field: &'static str,
    wanted: &str,
    number: impl Fn(&Refund) -> &String,
) -> Result<(), Mismatch> {
    let found = page.refunds.first().map(|r| number(r).clone()).unwrap_or_default();
    page.refunds.retain(|refund| number(refund) == wanted);
    match page.refunds.len() {
        1 => Ok(()),
        _ => Err(Mismatch { field, wanted: wanted.to_owned(), found }),
    }
}

/// One refund's fields; the documentation and production misspell `accout`.
fn set_one(fields: &mut Fields, n: usize, refund: &Refund) {
    let mut set = |name: &str, text: &str| fields.set(&format!("{name}_{n}"), text);
    set("out_refund_no", &refund.out_refund_no);
    set("refund_id", &refund.refund_id);
    set("refund_channel", refund.channel.as_deref().unwrap_or(""));
    set("refund_fee", &refund.refund_fen.0.to_string());
    set("refund_status", refund.state.as_v2_str());
    set("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS");
    set("refund_recv_accout", refund.user_received_account.as_deref().unwrap_or(""));
    if let Some(moment) = refund.success_time {
        set("refund_success_time", &spaced_time(moment));
    }
}

fn read_page(fields: &Fields) -> Result<RefundPage, FieldError> {
    let count = |name: &'static str| {
        let number = fields.text(name).map(|text| text.parse::<u32>());
        number.transpose().map_err(|_| field(name, "is not a count"))
    };
    let n = count("refund_count")?.ok_or(field("refund_count", "is missing"))?;
    // The count alone never reserves memory: a missing refund ends the loop.
    let refunds = (0..n).map(|n| read_one(fields, n)).collect::<Result<Vec<_>, _>>()?;
    Ok(RefundPage { refunds, total_refund_count: count("total_refund_count")? })
}

fn read_one(fields: &Fields, n: u32) -> Result<Refund, FieldError> {
    let text = |name: &str| fields.text(&format!("{name}_{n}")).map(str::to_owned);
    let missing = |name| field(name, "is missing for one of the refunds");
    let amount = text("refund_fee").ok_or(missing("refund_fee_n"))?;
    let amount = read_integer(&amount).filter(|n| *n >= 0);
    let status = text("refund_status").ok_or(missing("refund_status_n"))?;
    let time = |text: String| {
        let wrong = field("refund_success_time_n", "is not yyyy-MM-dd HH:mm:ss");
        read_spaced_time(&text).ok_or(wrong)
    };
    Ok(Refund {
        out_trade_no: need(fields, "out_trade_no")?.to_owned(),
        transaction_id: need(fields, "transaction_id")?.to_owned(),
        out_refund_no: text("out_refund_no").ok_or(missing("out_refund_no_n"))?,
        refund_id: text("refund_id").ok_or(missing("refund_id_n"))?,
        refund_fen: amount.map(Fen).ok_or(field("refund_fee_n", "is not a count of fen"))?,
        total_fen: fen(fields, "total_fee")?.ok_or(field("total_fee", "is missing"))?,
        state: RefundState::read_v2(&status),
        success_time: text("refund_success_time").map(time).transpose()?,
        created_time: None,
        user_received_account: text("refund_recv_accout"),
        channel: text("refund_channel"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::super::refund::tests::refund;
    use super::super::sign::sign;
    use super::*;
    use crate::account::SignType;

    fn arrived(number: &str) -> Refund {
        Refund {
            success_time: read_spaced_time("2018-08-21 17:07:33"),
            user_received_account: Some("支付用户的零钱".to_owned()),
            channel: Some("ORIGINAL".to_owned()),
            ..refund(number, RefundState::Success)
        }
    }

    fn ask(query: &RefundQuery, found: &[Refund]) -> Result<Answer<RefundPage>, ReplyError> {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&query.encode(&credentials, "n1"), &credentials);
        assert_eq!(RefundQuery::decode(&opened).as_ref(), Ok(query));
        let replier = opened.replier(credentials.key(), "n2");
        let reply = query.encode_reply(found, &replier);
        let response = reply.unwrap_or_else(|refusal| replier.refuse(&refusal));
        query.decode_reply(&credentials, &response)
    }

    fn page(query: &RefundQuery, found: &[Refund]) -> RefundPage {
        match ask(query, found) {
            Ok(Answer::Done(page)) => page,
            other => panic!("{other:?} is no page"),
        }
    }

    #[test]
    fn every_state_and_key_goes_there_and_back() {
        let keys = [
            RefundKey::OutRefundNo("678".to_owned()),
            RefundKey::RefundId(arrived("678").refund_id),
            RefundKey::OutTradeNo("20180821665587".to_owned()),
            RefundKey::TransactionId("4200000165201808217781847728".to_owned()),
        ];
        for key in keys {
            let query = RefundQuery { key, offset: None };
            for word in ["SUCCESS", "PROCESSING", "CHANGE", "REFUNDCLOSE", "NEWWORD"] {
                let refund = Refund { state: RefundState::read_v2(word), ..arrived("678") };
                let page = page(&query, std::slice::from_ref(&refund));
                assert_eq!(page.refunds, [refund]);
                assert_eq!(page.total_refund_count, None, "told only where an offset is sent");
            }
        }
    }

    /// The reply captured from production, with its own texts.
    #[test]
    fn the_reply_of_production_is_read() {
        let credentials = credentials(SignType::Md5);
        let text = "appid=wxd930ea5d5a258f4f|cash_fee=1|mch_id=10000100|nonce_str=T5ljRwYYSHePS1gr|\
                    out_refund_no_0=20180821665587|out_trade_no=20180821665587|\
                    refund_account_0=REFUND_SOURCE_UNSETTLED_FUNDS|refund_channel_0=ORIGINAL|\
                    refund_count=1|refund_fee=1|refund_fee_0=1|\
                    refund_id_0=50000007722018082106052170678|\
                    refund_recv_accout_0=支付用户的零钱|refund_status_0=SUCCESS|\
                    refund_success_time_0=2018-08-21 17:07:33|result_code=SUCCESS|\
                    return_code=SUCCESS|return_msg=OK|total_fee=1|\
                    transaction_id=4200000165201808217781847728";
        let pairs = text.split('|').filter_map(|pair| pair.split_once('='));
        let mut fields: Fields = pairs.map(|(n, t)| (n.to_owned(), t.to_owned())).collect();
        fields.set("sign", sign(&fields, credentials.key(), SignType::Md5));
        let response = HttpResponse::new(200, "text/xml", fields.to_xml());
        let query = RefundQuery::by_out_refund_no("20180821665587");
        let Ok(Answer::Done(page)) = query.decode_reply(&credentials, &response) else { panic!() };
        let wanted = Refund {
            refund_id: "50000007722018082106052170678".to_owned(),
            total_fen: Fen(1),
            ..arrived("20180821665587")
        };
        assert_eq!(page.refunds, std::slice::from_ref(&wanted));
        // What we write has the same fields and texts, the nonce and the signature aside.
        let opened = opened(&query.encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "T5ljRwYYSHePS1gr");
        let ours = query.encode_reply(&[wanted], &replier).unwrap();
        let sorted = |fields: &Fields| {
            let mut pairs: Vec<String> = fields.iter().map(|(n, t)| format!("{n}={t}")).collect();
            pairs.sort_unstable();
            pairs
        };
        assert_eq!(sorted(&Fields::parse(&ours.body).unwrap()), sorted(&fields));
    }

    #[test]
    fn no_refund_is_told_in_the_words_of_production() {
        let query = RefundQuery::by_out_refund_no("678");
        let Ok(Answer::Refused(error)) = ask(&query, &[]) else { panic!("there is none") };
        assert_eq!((error.code.as_str(), error.message.as_str()), ("REFUNDNOTEXIST", "not exist"));
        assert!(error.is_refund_not_found());
    }

    #[test]
    fn many_refunds_come_in_pages() {
        let all: Vec<Refund> = (100..123).map(|n| arrived(&n.to_string())).collect();
        let key = RefundKey::OutTradeNo("20180821665587".to_owned());
        let (mut offset, mut seen) = (Some(0), Vec::new());
        while offset.is_some() {
            let page = page(&RefundQuery { key: key.clone(), offset }, &all);
            assert!(page.refunds.len() <= PAGE);
            assert_eq!(page.total_refund_count, Some(23));
            offset = page.next_offset(offset);
            seen.extend(page.refunds);
        }
        assert_eq!(seen, all);
        let first = page(&RefundQuery { key: key.clone(), offset: None }, &all);
        assert_eq!(first.next_offset(None), Some(10), "a full page may have another after it");
        let few = page(&RefundQuery { key: key.clone(), offset: None }, &all[..3]);
        assert_eq!(few.next_offset(None), None);
        let beyond = ask(&RefundQuery { key, offset: Some(23) }, &all);
        assert!(matches!(beyond, Ok(Answer::Refused(e)) if e.is_refund_not_found()));
        let lying = RefundPage { refunds: Vec::new(), total_refund_count: Some(9) };
        assert_eq!(lying.next_offset(Some(3)), None, "an empty page is the last one");
    }

    #[test]
    fn a_reply_about_another_refund_is_not_believed() {
        let mismatch = |key, name: &str, found: &[Refund]| {
            let error = ask(&RefundQuery { key, offset: None }, found).unwrap_err();
            assert!(matches!(&error, ReplyError::Mismatch(m) if m.field == name), "{error:?}");
        };
        let one = [arrived("678")];
        mismatch(RefundKey::OutRefundNo("679".to_owned()), "out_refund_no", &one);
        mismatch(RefundKey::RefundId("1".to_owned()), "refund_id", &one);
        mismatch(RefundKey::OutTradeNo("20180821665588".to_owned()), "out_trade_no", &one);
        mismatch(RefundKey::TransactionId("1".to_owned()), "transaction_id", &one);
        let twice = [arrived("678"), arrived("678")];
        mismatch(RefundKey::OutRefundNo("678".to_owned()), "out_refund_no", &twice);
        let both = [arrived("677"), arrived("678")];
        let page = page(&RefundQuery::by_out_refund_no("678"), &both);
        assert_eq!(page.refunds, [arrived("678")], "the others are left out");
    }

    #[test]
    fn fields_that_are_missing_or_wrong_are_named() {
        let check = |name: &str, text: &str, wanted: &str| {
            let mut fields = Fields::new();
            set_one(&mut fields, 0, &arrived("678"));
            for (name, text) in [
                ("transaction_id", "1"),
                ("out_trade_no", "123456"),
                ("total_fee", "3"),
                ("refund_count", "1"),
            ] {
                fields.set(name, text);
            }
            assert!(read_page(&fields).is_ok());
            fields.set(name, text);
            assert_eq!(read_page(&fields).unwrap_err().name, wanted);
        };
        check("refund_count", "", "refund_count");
        check("refund_count", "4294967296", "refund_count");
        check("refund_count", "4000000000", "refund_fee_n");
        check("refund_fee_0", "0.01", "refund_fee_n");
        check("refund_fee_0", "-1", "refund_fee_n");
        check("refund_status_0", "", "refund_status_n");
        check("out_refund_no_0", "", "out_refund_no_n");
        check("refund_id_0", "", "refund_id_n");
        check("refund_success_time_0", "20180821170733", "refund_success_time_n");
        check("total_fee", "", "total_fee");
        check("total_refund_count", "many", "total_refund_count");
    }

    #[test]
    fn the_most_exact_number_counts_and_one_is_needed() {
        let credentials = credentials(SignType::Md5);
        let decode = |pairs: &[(&str, &str)]| {
            let fields = pairs.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
            let request = request(REFUND_QUERY_PATH, fields, &credentials, "n1");
            RefundQuery::decode(&opened(&request, &credentials)).map(|query| query.key)
        };
        let all = [
            ("out_trade_no", "123456"),
            ("transaction_id", "4200"),
            ("out_refund_no", "r1"),
            ("refund_id", "5000"),
        ];
        assert_eq!(decode(&all), Ok(RefundKey::RefundId("5000".to_owned())));
        assert_eq!(decode(&all[..3]), Ok(RefundKey::OutRefundNo("r1".to_owned())));
        assert_eq!(decode(&all[..2]), Ok(RefundKey::TransactionId("4200".to_owned())));
        assert_eq!(decode(&all[..1]), Ok(RefundKey::OutTradeNo("123456".to_owned())));
        assert!(matches!(decode(&[]), Err(Refusal::Communication(_))));
        let wrong = decode(&[("refund_id", "1"), ("offset", "-1")]);
        assert!(matches!(wrong, Err(Refusal::Communication(m)) if m.contains("offset")));
        let huge = decode(&[("refund_id", "1"), ("offset", "4294967296")]);
        assert_eq!(huge, Err(Refusal::Communication("invalid offset".to_owned())));
    }
}
