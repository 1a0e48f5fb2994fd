//! Messages made to cost time or memory: small ones that would grow, deep ones, long ones, and ones
//! in encodings that a parser might follow. Each is refused at once, by every account.

use crate::alipay_provider::{Alipay, Protocol, SELLER_ID};
use crate::bill_bombs;
use crate::wechat_provider::{Api, Wechat, ordinary};
use crate::world::{made, now};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_channels::{Adapter, AlipayLegacyKeys, Keys};
use tongbao_types::{HttpRequest, Method, Secret};

/// The bar of an optimised build; another build is as much slower as it is.
const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 5 });

/// The fastest of so many: what else the machine does is not measured.
const TRIES: usize = 3;

const KIB_64: usize = 64 * 1024;

fn accounts() -> Vec<(&'static str, Arc<dyn Adapter>)> {
    let legacy = Keys::AlipayLegacy(AlipayLegacyKeys {
        partner: SELLER_ID.to_owned(),
        md5_key: Secret::new("notarealkeyofthelegacygateway123".to_owned()),
        seller_email: None,
    });
    vec![
        ("WeChat v2", Wechat::new(Api::V2, ordinary()).adapter),
        ("WeChat v3", Wechat::new(Api::V3, ordinary()).adapter),
        ("Alipay open", Alipay::plain(Protocol::Open).adapter),
        ("Alipay legacy", made(legacy)),
    ]
}

fn laughs(levels: usize) -> String {
    let mut entities = "<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..levels {
        let before = format!("&a{};", level - 1).repeat(10);
        write!(entities, "<!ENTITY a{level} \"{before}\">").unwrap();
    }
    format!("<!DOCTYPE xml [{entities}]><xml><a>&a{};</a></xml>", levels - 1)
}

fn quadratic() -> String {
    let (text, uses) = ("x".repeat(30_000), "&a;".repeat(10_000));
    format!("<!DOCTYPE xml [<!ENTITY a \"{text}\">]><xml><a>{uses}</a></xml>")
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

/// In at most 64 KiB, so that the size alone refuses none of them.
fn filled(begin: &str, unit: &str, end: &str) -> Vec<u8> {
    let room = KIB_64 - begin.len() - end.len();
    format!("{begin}{}{end}", unit.repeat(room / unit.len())).into_bytes()
}

fn of_xml() -> Vec<(&'static str, Vec<u8>)> {
    let declared = |e: &str| format!("<?xml version='1.0' encoding='{e}'?><xml><a>1</a></xml>");
    let many: String = (0..4_000).map(|i| format!("<f{i}>1</f{i}>")).collect();
    vec![
        ("a billion laughs", laughs(10).into_bytes()),
        ("laughs without end", laughs(400).into_bytes()),
        ("one long entity many times", quadratic().into_bytes()),
        ("an entity of itself", b"<!DOCTYPE x [<!ENTITY a '&a;'>]><xml><a>&a;</a></xml>".to_vec()),
        (
            "an external entity",
            b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///dev/zero'>]><xml/>".into(),
        ),
        ("a parameter entity", b"<!DOCTYPE x [<!ENTITY % a 'b'>%a;%a;]><xml/>".to_vec()),
        ("elements 100,000 deep", "<a>".repeat(100_000).into_bytes()),
        ("elements as deep as fit", filled("<xml>", "<a>", "")),
        ("closed elements as deep as fit", {
            let n = 9_000;
            format!("<xml>{}{}</xml>", "<a>".repeat(n), "</a>".repeat(n)).into_bytes()
        }),
        ("ends without a beginning", filled("<xml>", "</a>", "")),
        ("second roots", filled("", "<xml></xml>", "")),
        ("64 KiB of attributes", filled("<xml><a", " b='1'", "/></xml>")),
        ("one attribute of 64 KiB", filled("<xml a='", "b", "'/>")),
        ("one name of 64 KiB", filled("<", "a", "/>")),
        ("one name of a field of 64 KiB", filled("<xml><", "a", "/></xml>")),
        ("a name that never ends", filled("<xml><", "a", "")),
        ("comments", filled("<xml>", "<!---->", "<")),
        ("a comment that never ends", filled("<xml><!--", "-", "")),
        ("CDATA that never ends", filled("<xml><a><![CDATA[", "]", "")),
        ("CDATA in pieces", filled("<xml><a>", "<![CDATA[]]>", "</b>")),
        ("references", filled("<xml><a>", "&#x41;", "</b>")),
        ("one number of 64 KiB", filled("<xml><a>&#", "1", ";</a></xml>")),
        ("thousands of fields", format!("<xml>{many}</xml>").into_bytes()),
        ("one field thousands of times", filled("<xml>", "<a/>", "</xml>")),
        ("UTF-7 by its name", declared("UTF-7").into_bytes()),
        ("UTF-16 by its name", declared("UTF-16").into_bytes()),
        ("UTF-32 by its name", declared("UCS-4").into_bytes()),
        ("EBCDIC by its name", declared("cp037").into_bytes()),
        ("GBK by its name", declared("GBK").into_bytes()),
        ("UTF-16", utf16("<xml><a>1</a></xml>")),
        ("UTF-7", b"+ADw-xml+AD4-".to_vec()),
    ]
}

fn of_json() -> Vec<(&'static str, Vec<u8>)> {
    let members: String = (0..6_000).map(|i| format!("\"k{i}\":1,")).collect();
    vec![
        ("lists 100,000 deep", "[".repeat(100_000).into_bytes()),
        ("lists as deep as fit", filled("", "[", "")),
        ("objects as deep as fit", filled("", "{\"a\":", "")),
        ("a deep member", filled("{\"id\":", "[", "")),
        ("a deep member that is not known", filled("{\"x\":", "[", "")),
        ("a deep inside", filled("{\"resource\":{\"nonce\":", "{\"a\":", "")),
        ("one number of 64 KiB", filled("{\"id\":", "9", "}")),
        ("a huge exponent", b"{\"id\":1e999999999999}".to_vec()),
        ("one text of 64 KiB", filled("\"", "\\u0041", "\"")),
        ("a text that never ends", filled("{\"id\":\"", "\\\\", "")),
        ("thousands of members", format!("{{{members}\"id\":1}}").into_bytes()),
        ("one member thousands of times", filled("{", "\"x\":1,", "\"id\":1}")),
        ("blanks", filled("", " ", "")),
        ("objects in a row", filled("", "{}", "")),
        ("a long cipher text", {
            let begin = "{\"id\":\"1\",\"event_type\":\"TRANSACTION.SUCCESS\",\"resource\":\
                         {\"algorithm\":\"AEAD_AES_256_GCM\",\"nonce\":\"123456789012\",\
                         \"ciphertext\":\"";
            filled(begin, "AAAA", "\"}}")
        }),
        ("UTF-16", utf16("{\"id\":1}")),
    ]
}

fn of_form() -> Vec<(&'static str, Vec<u8>)> {
    let many: String = (0..8_000).map(|i| format!("k{i}=1&")).collect();
    vec![
        ("ampersands", filled("", "&", "")),
        ("thousands of members", many.into_bytes()),
        ("one member thousands of times", filled("", "a=1&", "")),
        ("names alone", filled("", "a&", "")),
        ("escapes", filled("sign=", "%41", "&sign_type=RSA2")),
        ("broken escapes", filled("sign=", "%", "&sign_type=MD5")),
        ("a signature of 64 KiB", filled("sign=", "AAAA", "&sign_type=RSA2")),
        ("a signature of 64 KiB for MD5", filled("sign=", "0", "&sign_type=MD5")),
        ("one name of 64 KiB", filled("", "a", "=1")),
        ("members within members", filled("sign=1&sign_type=MD5&a=", "%26trade_no%3D", "")),
        ("UTF-7", filled("charset=utf-7&a=", "+ADw-", "")),
        ("UTF-16 by its name", b"charset=utf-16&sign=1&sign_type=RSA2".to_vec()),
        ("GBK, cut in letters", filled("charset=gbk&sign=1&sign_type=RSA2&a=", "%B2", "")),
        ("GBK letters", filled("charset=gbk&sign=1&sign_type=MD5&a=", "%B2%E2", "")),
    ]
}

fn of_size() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("64 KiB and a byte", vec![b' '; KIB_64 + 1]),
        ("a MiB of zeros", vec![0; 1 << 20]),
        ("8 MiB of tags", b"<a>".repeat(8 << 20)),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
    ]
}

fn posted(body: &[u8]) -> HttpRequest {
    let headers = ["Timestamp", "Nonce", "Signature", "Serial"]
        .map(|name| (format!("Wechatpay-{name}"), now().as_seconds().to_string()));
    HttpRequest {
        method: Method::Post,
        target: "/notify/x/shop".to_owned(),
        headers: headers.to_vec(),
        body: body.to_vec().into(),
    }
}

fn fastest(mut act: impl FnMut()) -> Duration {
    let once = || {
        let begun = Instant::now();
        act();
        begun.elapsed()
    };
    std::iter::repeat_with(once).take(TRIES).min().unwrap()
}

/// Bodies, headers and packed bills that are made to hurt.
#[test]
fn bombs() {
    let accounts = accounts();
    let all = [of_xml(), of_json(), of_form(), of_size()];
    let mut slowest = (Duration::ZERO, String::new());
    let mut refused = 0;
    let mut hold = |took: Duration, what: String| {
        assert!(took < LIMIT, "{what} took {took:?}");
        refused += 1;
        if took > slowest.0 {
            slowest = (took, what);
        }
    };
    for (name, body) in all.iter().flatten() {
        let request = posted(body);
        for (protocol, adapter) in &accounts {
            let took = fastest(|| {
                let refusal = adapter.read_notice(&request, now()).unwrap_err();
                assert!(refusal.reason.chars().count() <= 300, "{protocol}: {name}");
            });
            hold(took, format!("{protocol}: {name}"));
        }
    }
    for name in ["Timestamp", "Nonce", "Signature", "Serial", "Signature-Type"] {
        let mut request = posted(
            b"{\"id\":\"1\",\"event_type\":\"x\",\"resource\":{\"algorithm\":\"\",\
            \"nonce\":\"\",\"ciphertext\":\"\"}}",
        );
        let long = (format!("Wechatpay-{name}"), "A".repeat(1 << 20));
        request.headers.insert(0, long);
        let took = fastest(|| drop(accounts[1].1.read_notice(&request, now()).unwrap_err()));
        hold(took, format!("WeChat v3: a MiB of {name}"));
    }
    // A file is read as far as it is a bill, and that is in proportion to its size.
    let bills = bill_bombs::all();
    bills.iter().for_each(|(name, bill)| bill.check_refused(name));
    tongbao_evidence::record(
        "bombs",
        "Entity bombs, deep nesting, long names, odd encodings and packed bombs were sent.",
        &[
            ("messages refused", refused.to_string()),
            ("packed bills refused", bills.len().to_string()),
            ("slowest refusal of a message, µs", slowest.0.as_micros().to_string()),
            ("it was", slowest.1),
            ("built with optimisation", (!cfg!(debug_assertions)).to_string()),
        ],
    );
}
