//! News of refunds in WeChat's API v2. They bear no signature, so that none proves anything: the
//! best that one can be is a reason to ask.

use super::wechat_v2::{Account, cdata, set};
use super::{Suite, Table, sameness};
use crate::wechat_provider::{V2_KEY, ordinary, v2_keys};
use crate::world::{NUMBER, REFUND_NUMBER, made, number, refund_number};
use std::sync::Arc;
use tongbao_channels::{Keys, Notice};
use tongbao_crypt::{aes, base64, digest};
use tongbao_types::{Code, HttpRequest};

pub(super) fn suites() -> Vec<Suite> {
    let pairs = [
        ("return_code", "SUCCESS"),
        ("appid", "wx0000000000000001"),
        ("mch_id", "1900000001"),
        ("nonce_str", "n"),
    ];
    let account = Account {
        adapter: made(Keys::WechatV2(v2_keys(&ordinary()))),
        sign_type: "HMAC-SHA256",
        pairs: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    };
    let other = inner(&NUMBER.replace('1', "2"), "CHANGE");
    vec![Suite {
        protocol: "WeChat v2 refunds",
        adapter: Arc::clone(&account.adapter),
        genuine: vec![genuine(&account), sealed(&account, &other)],
        table: table(&account),
        is_same: sameness::of_xml,
        is_hint: true,
    }]
}

fn inner(order: &str, status: &str) -> String {
    format!(
        "<root><out_trade_no>{order}</out_trade_no><out_refund_no>{REFUND_NUMBER}</out_refund_no>\
         <refund_id>50000000382019052709732678859</refund_id><refund_fee>100</refund_fee>\
         <refund_status>{status}</refund_status></root>"
    )
}

fn seal(key: &str, plain: &[u8]) -> String {
    let key: [u8; 32] = digest::md5_hex(key.as_bytes()).as_bytes().try_into().unwrap();
    base64::encode(&aes::ecb256_encrypt(&key, plain))
}

fn with(account: &Account, req_info: &str) -> HttpRequest {
    let mut pairs = account.pairs.clone();
    set(&mut pairs, "req_info", req_info);
    account.post(account.written(&pairs, cdata))
}

fn sealed(account: &Account, plain: &str) -> HttpRequest {
    with(account, &seal(V2_KEY, plain.as_bytes()))
}

fn genuine(account: &Account) -> HttpRequest {
    sealed(account, &inner(NUMBER, "SUCCESS"))
}

fn table(account: &Account) -> Table {
    let (number, out_refund_no) = (number(), refund_number());
    let mut t = Table::new(Notice::Refund { number, out_refund_no, fact: None });
    let (closed, odd) = (inner(NUMBER, "REFUNDCLOSE"), inner(NUMBER, "ODD"));
    t.told("as WeChat writes it", genuine(account));
    t.told("a refund that was closed", sealed(account, &closed));
    t.told("a state that is not known", sealed(account, &odd));
    let spaced = inner(NUMBER, "SUCCESS").replace("><", ">\n<");
    t.told("one field to a line inside", sealed(account, &spaced));
    sealings(account, &mut t);
    insides(account, &mut t);
    outsides(account, &mut t);
    t
}

fn sealings(account: &Account, t: &mut Table) {
    let shut = Code::NoticeUndecryptable;
    let plain = inner(NUMBER, "SUCCESS");
    let own = seal(V2_KEY, plain.as_bytes());
    let under = |key: &str| with(account, &seal(key, plain.as_bytes()));
    t.refused("another merchant's key", shut, under("not-the-key-of-this-one-12345678"));
    t.refused("an empty key", shut, under(""));
    t.refused("no cipher at all", shut, with(account, &base64::encode(plain.as_bytes())));
    t.refused("not Base64", shut, with(account, "%%%"));
    t.refused("Base64 without its end", shut, with(account, &own[..own.len() - 1]));
    t.refused("Base64 for addresses", shut, with(account, &own.replace(['+', '/'], "_")));
    t.refused("Base64 in lines", shut, with(account, &format!("{}\n{}", &own[..64], &own[64..])));
    t.refused("half a block", shut, with(account, &base64::encode(&[7; 24])));
    t.refused("a block of noise", shut, with(account, &base64::encode(&[7; 16])));
    let bytes = base64::decode(&own).unwrap();
    let cut = base64::encode(&bytes[..bytes.len() - 16]);
    t.refused("the last block is missing", shut, with(account, &cut));
}

fn insides(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let plain = inner(NUMBER, "SUCCESS");
    let swap = |from: &str, to: &str| {
        assert!(plain.contains(from));
        sealed(account, &plain.replace(from, to))
    };
    t.refused("another root inside", bad, swap("root>", "xml>"));
    t.refused("a second root inside", bad, sealed(account, &plain.repeat(2)));
    t.refused("a document type inside", bad, swap("<root>", "<!DOCTYPE root><root>"));
    t.refused("a field twice inside", bad, swap("<root>", "<root><refund_fee>1</refund_fee>"));
    t.refused("no order inside", bad, swap(NUMBER, ""));
    t.refused("an order of blanks inside", bad, swap(NUMBER, "a b"));
    t.refused("no refund inside", bad, swap(REFUND_NUMBER, ""));
    t.refused("no state inside", bad, swap("SUCCESS", ""));
    t.refused("nothing inside", bad, sealed(account, ""));
    t.refused("JSON inside", bad, sealed(account, "{}"));
    let latin = with(account, &seal(V2_KEY, b"<root><a>\xff</a></root>"));
    t.refused("a byte that is no letter inside", bad, latin);
}

fn outsides(account: &Account, t: &mut Table) {
    let text = String::from_utf8(genuine(account).body.to_vec()).unwrap();
    let swap = |from: &str, to: &str| {
        assert!(text.contains(from));
        account.post(text.replacen(from, to, 1))
    };
    let (bad, other) = (Code::NoticeMalformed, Code::AccountMismatch);
    t.refused("another app", other, swap("wx0000000000000001", "wx0000000000000009"));
    t.refused("another merchant", other, swap("1900000001", "1900000009"));
    t.refused("a very long app", other, swap("wx0000000000000001", &"w".repeat(40_000)));
    t.refused("a sub-merchant", other, swap("<xml>", "<xml><sub_mch_id>1</sub_mch_id>"));
    t.refused("a second root", bad, account.post(text.repeat(2)));
    // Without its inside it is taken for news of a payment, which must be signed.
    let empty = swap("req_info>", "request_info>").body;
    let empty = String::from_utf8(empty.to_vec()).unwrap().replace("/req_info", "/request_info");
    t.refused("the inside under another name", Code::SignatureMissing, account.post(empty));
}
