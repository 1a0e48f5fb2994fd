//! What goes wrong: a clear error each, and nothing is kept that is not a whole bill.

use super::answers::{Answer, TRADE_HEADER, alipay_file, alipay_refusal, gzip, link, plain};
use super::answers::{wechat_text, zip};
use super::shop::{Shop, day, request};
use super::{PAYMENT, trade_text};
use crate::provider::Kind;
use tongbao_alipay::Refusal;
use tongbao_engine::{BillFormat, BillKind, Error, Retry};
use tongbao_types::Code;
use tongbao_wechat::v3;

const NO_BILL: &str = "<xml><return_code><![CDATA[FAIL]]></return_code>\
    <return_msg><![CDATA[No Bill Exist]]></return_msg><error_code><![CDATA[20002]]></error_code></xml>";

/// Asks, and sees that nothing was kept: the next request asks the provider again.
async fn trouble(kind: Kind, answers: Vec<Answer>) -> Error {
    let shop = Shop::of(kind);
    let n_answers = answers.len();
    answers.into_iter().for_each(|answer| shop.answers(answer));
    let error = shop.ask(BillFormat::Original).await.expect_err("it is no bill");
    assert_eq!(shop.asked().len(), n_answers);
    match kind {
        Kind::V2Md5 => shop.answers(plain(200, trade_text())),
        Kind::V3PublicKey => {
            shop.answers(link(kind, "https://x.test", &trade_text()));
            shop.answers(plain(200, trade_text()));
        }
        _ => {
            shop.answers(link(kind, "https://x.test/f", ""));
            shop.answers(plain(200, zip(&alipay_file())));
        }
    }
    let lines = shop.ask(BillFormat::Lines).await.expect("the next one is whole").lines();
    assert_eq!(lines.len(), 2);
    error
}

async fn check(kind: Kind, answers: Vec<Answer>, code: Code, words: &str) {
    let error = trouble(kind, answers).await;
    assert_eq!(error.code, code, "{words}: {}", error.message);
    assert!(error.message.contains(words), "{} has not {words}", error.message);
}

#[tokio::test]
async fn words_of_version_2_instead_of_a_bill() {
    let xml = |message: &str| NO_BILL.replace("No Bill Exist", message).replace("20002", "20001");
    for (status, words, code, told) in [
        (200, NO_BILL.to_owned(), Code::BillMissing, "no bill of 2026-11-20"),
        (200, "No Bill Exist".to_owned(), Code::BillMissing, "no bill of 2026-11-20"),
        (200, xml("Bill Creating"), Code::BillNotReady, "has not made"),
        (200, xml("invalid bill_type"), Code::ProviderRefused, "invalid bill_type"),
        (200, xml("SIGN ERROR"), Code::ProviderRefused, "SIGN ERROR"),
        (200, "系统繁忙,请稍后".replace(',', "，"), Code::ProviderUnknown, "系统繁忙"),
        (200, String::new(), Code::ProviderUnknown, "status 200"),
        (502, "<html>bad gateway</html>".to_owned(), Code::ProviderUnknown, "status 502"),
        (200, "<html>maintenance</html>".to_owned(), Code::ProviderUnknown, "maintenance"),
    ] {
        check(Kind::V2Md5, vec![plain(status, words)], code, told).await;
    }
}

#[tokio::test]
async fn words_of_version_3_instead_of_a_link_or_a_bill() {
    let kind = Kind::V3PublicKey;
    let refusal = |refusal: fn() -> v3::Refusal| Answer::new(move |_| refusal().encode("08-0"));
    check(kind, vec![refusal(v3::no_bill)], Code::BillMissing, "no bill").await;
    check(kind, vec![refusal(v3::bill_creating)], Code::BillNotReady, "has not made").await;
    let no = || v3::Refusal::new(403, "NO_AUTH", "商户无权限");
    check(kind, vec![refusal(no)], Code::ProviderRefused, "NO_AUTH").await;
    let unsigned = r#"{"download_url":"https://x.test/a","hash_type":"SHA1","hash_value":"00"}"#;
    check(kind, vec![plain(200, unsigned)], Code::ProviderUnknown, "signature").await;
    let linked = || link(kind, "https://x.test", &trade_text());
    let dead = r#"{"code":"PARAM_ERROR","message":"token expired"}"#;
    let file = vec![linked(), plain(400, dead)];
    check(kind, file, Code::ProviderRefused, "token expired").await;
    let file = vec![linked(), plain(200, r#"{"a":1,"b":2}"#)];
    check(kind, file, Code::ProviderUnknown, "no bill").await;
}

#[tokio::test]
async fn words_of_alipay_instead_of_an_address_or_a_zip() {
    let kind = Kind::AlipayKey;
    let refused = |refusal| vec![alipay_refusal(refusal)];
    check(kind, refused(Refusal::BILL_NOT_EXIST), Code::BillMissing, "no bill").await;
    check(kind, refused(Refusal::NO_BILL_DATA), Code::BillMissing, "no bill").await;
    check(kind, refused(Refusal::TYPE_NOT_SUPPORTED), Code::ProviderRefused, "TYPE_NOT").await;
    check(kind, refused(Refusal::SYSTEM_RATE_LIMIT), Code::ProviderUnknown, "RATE").await;
    let gbk = tongbao_alipay::Charset::Gbk.encode("下载链接已失效");
    let linked = || link(kind, "https://bills.test/f?x=1", "");
    check(kind, vec![linked(), plain(200, gbk)], Code::ProviderUnknown, "下载链接已失效").await;
    let page = vec![linked(), plain(404, "<html>gone</html>")];
    check(kind, page, Code::ProviderUnknown, "status 404").await;
    let strange = vec![link(kind, "https://a b.test/f", "")];
    check(kind, strange, Code::ProviderUnknown, "address").await;
}

#[tokio::test]
async fn a_text_that_is_cut_off_or_odd_is_not_kept() {
    let text = trade_text();
    let check_v2 = async |body: Vec<u8>, words: &str| {
        check(Kind::V2Md5, vec![plain(200, body)], Code::BillUnreadable, words).await;
    };
    // After the rows, within a row, and within the summary.
    let summary = text.find("总交易单数").unwrap();
    check_v2(text.as_bytes()[..summary].to_vec(), "line 4 of the bill").await;
    check_v2(text.as_bytes()[..summary - 40].to_vec(), "line 3 of the bill").await;
    check_v2(text.as_bytes()[..summary + 16].to_vec(), "cut off").await;
    let packed = gzip(&text);
    check_v2(packed[..packed.len() / 2].to_vec(), "of the bill").await;
    check_v2(packed[..packed.len() - 4].to_vec(), "of the bill").await;
    let gbk = tongbao_alipay::Charset::Gbk.encode(&text);
    check_v2(gbk, "line 1 of the bill: it is not UTF-8").await;
    let mut latin = text.clone().into_bytes();
    let at = text.find("茶").unwrap();
    latin[at] = 0xff;
    check_v2(latin, "line 2 of the bill: it is not UTF-8").await;
    let other = wechat_text("交易时间,商户订单号", &["`1,`2"]);
    check_v2(other.into_bytes(), "is missing").await;
}

#[tokio::test]
async fn a_text_that_hashes_otherwise_is_not_kept() {
    let kind = Kind::V3PublicKey;
    let less = wechat_text(TRADE_HEADER, &[PAYMENT]);
    for file in [gzip(&less), less.clone().into_bytes(), trade_text().as_bytes()[..300].to_vec()] {
        let answers = vec![link(kind, "https://x.test", &trade_text()), plain(200, file)];
        check(kind, answers, Code::BillUnreadable, "SHA-1").await;
    }
}

#[tokio::test]
async fn a_zip_that_is_cut_off_or_has_no_bill_is_not_kept() {
    let kind = Kind::AlipayKey;
    let whole = zip(&alipay_file());
    let mut damaged = whole.clone();
    damaged[120] ^= 0x55;
    let empty = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
    for (file, words) in [
        (whole[..whole.len() / 2].to_vec(), "not a readable zip"),
        (damaged, "bill file"),
        (empty, "no file that begins with"),
    ] {
        let answers = vec![link(kind, "https://x.test/f", ""), plain(200, file)];
        check(kind, answers, Code::BillUnreadable, words).await;
    }
}

/// What is whole but not understood is the provider's bill all the same.
#[tokio::test]
async fn a_whole_bill_with_an_odd_line_is_kept_and_shown_as_it_is() {
    let shop = Shop::of(Kind::V3PublicKey);
    let text = trade_text().replace("`12.00,`0.00,`\r\n", "`12.345,`0.00,`\r\n");
    shop.answers(link(Kind::V3PublicKey, "https://x.test", &text));
    shop.answers(plain(200, gzip(&text)));
    let error = shop.ask(BillFormat::Lines).await.unwrap_err();
    assert_eq!((error.code, error.retry), (Code::BillUnreadable, Retry::Never));
    assert!(error.message.contains("line 2 of the bill: 订单金额"), "{}", error.message);
    assert_eq!(shop.ask(BillFormat::Original).await.unwrap().bytes, text.as_bytes());
    assert_eq!(shop.asked().len(), 2);

    let shop = Shop::of(Kind::AlipayKey);
    let mut lines = alipay_file();
    lines[1].trade_no = String::new();
    let file = zip(&lines);
    shop.answers(link(Kind::AlipayKey, "https://x.test/f", ""));
    shop.answers(plain(200, file.clone()));
    assert_eq!(shop.ask(BillFormat::Original).await.unwrap().bytes, file);
    let error = shop.ask(BillFormat::Lines).await.unwrap_err();
    assert!(error.message.contains("line 7: the cell of 支付宝交易号"), "{}", error.message);
}

#[tokio::test]
async fn a_connection_that_breaks_keeps_nothing() {
    for piece in [100, usize::MAX] {
        let broken = plain(200, trade_text()).in_pieces(piece).and_breaks();
        let error = trouble(Kind::V2Md5, vec![broken]).await;
        assert_eq!((error.code, error.retry), (Code::ProviderUnknown, Retry::After));
        assert!(error.message.contains("connection reset"), "{}", error.message);
    }
}

/// In the morning a provider may say that there is none when there is none yet.
#[tokio::test]
async fn a_bill_that_is_missing_in_the_morning_may_still_come() {
    let shop = Shop::of(Kind::V2Md5);
    let ask = async |date: &str| {
        shop.answers(plain(200, NO_BILL));
        let mut wanted = request(BillKind::Trade, BillFormat::Original);
        wanted.date = day(date);
        shop.bill(&wanted).await.unwrap_err()
    };
    assert_eq!(ask("2026-11-20").await.code, Code::BillMissing);
    // Half past eight on the 22nd.
    shop.clock.advance(tongbao_types::Span::from_seconds(17 * 3600 + 1800));
    assert_eq!(ask("2026-11-20").await.code, Code::BillMissing);
    let early = ask("2026-11-21").await;
    assert_eq!((early.code, early.retry), (Code::BillNotReady, Retry::After));
    assert_eq!(early.retry_after.unwrap().as_seconds(), 1800);
}
