//! The kinds of notifications of WeChat's API v3.

use super::Table;
use super::wechat_v3::{Account, NONCE, v3_key};
use crate::wechat_provider::{PLATFORM, SERIAL, ordinary, payer, service_provider};
use crate::world::{PART, now, number, paid_at, refund_number, seen};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use tongbao_channels::Notice;
use tongbao_core::{Fact, RefundFact};
use tongbao_crypt::{RsaPrivateKey, base64};
use tongbao_types::{Code, HttpRequest, Secret, Span};
use tongbao_wechat::Merchant;

const SIGNATURE: &str = "Wechatpay-Signature";

pub(super) fn table(account: &Account) -> Table {
    let fact = Fact::Paid(seen(payer(), false));
    let mut table = Table::new(Notice::Order { number: number(), fact });
    genuine(account, &mut table);
    signatures(account, &mut table);
    keys(account, &mut table);
    headers(account, &mut table);
    bodies(account, &mut table);
    texts(account, &mut table);
    resources(account, &mut table);
    others(account, &mut table);
    contents(account, &mut table);
    table
}

fn with(request: &HttpRequest, name: &str, value: &str) -> HttpRequest {
    let mut request = request.clone();
    let found = request.headers.iter_mut().find(|(known, _)| known == name);
    found.unwrap().1 = value.to_owned();
    request
}

fn without(request: &HttpRequest, name: &str) -> HttpRequest {
    let mut request = request.clone();
    request.headers.retain(|(known, _)| known != name);
    request
}

fn value<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.header(name).unwrap()
}

fn doubled(request: &HttpRequest, name: &str, value: &str, first: bool) -> HttpRequest {
    let mut request = request.clone();
    let at = if first { 0 } else { request.headers.len() };
    request.headers.insert(at, (name.to_owned(), value.to_owned()));
    request
}

fn genuine(account: &Account, t: &mut Table) {
    let own = account.genuine();
    t.told("as WeChat writes it", own.clone());
    let mut small = own.clone();
    small.headers.iter_mut().for_each(|(name, _)| *name = name.to_lowercase());
    t.told("headers in small letters", small);
    let serial = account.serial.to_lowercase();
    t.told("the key's id in small letters", with(&own, "Wechatpay-Serial", &serial));
    t.told("no kind of signature named", without(&own, "Wechatpay-Signature-Type"));
    t.told("the signature twice", doubled(&own, SIGNATURE, value(&own, SIGNATURE), false));
    t.told("another signature behind it", doubled(&own, SIGNATURE, "x", false));
    t.told("a header more", doubled(&own, "X-Forwarded-For", "10.0.0.1", true));
    t.told("four minutes old", own.clone());
    t.at(now() + Span::from_seconds(299));
    t.told("four minutes ahead", own.clone());
    t.at(now() - Span::from_seconds(299));
    t.told("a member more", account.sealed_by(|body| body["new"] = json!({"a": [1]})));
    t.told("a member more inside", account.inside(|plain| plain["new"] = json!([{}])));
    t.told(
        "no summary",
        account.sealed_by(|body| drop(body.as_object_mut().unwrap().remove("summary"))),
    );
    let pretty: Value = serde_json::from_slice(&own.body).unwrap();
    t.told("one member to a line", account.signed(serde_json::to_vec_pretty(&pretty).unwrap()));
    let text = String::from_utf8(own.body.to_vec()).unwrap();
    t.told("escaped letters", account.signed(text.replace("EV-1", "\\u0045V-1")));
    t.told(
        "unused data",
        account.sealed_by(|body| body["resource"]["original_type"] = Value::Null),
    );
    t.told("signed while refunded", account.inside(|p| p["trade_state"] = json!("REFUND")));
    t.tells(
        "genuine, of an order not paid",
        account.inside(|p| p["trade_state"] = json!("NOTPAY")),
        Notice::Other,
    );
    let at = Some(paid_at());
    let provider_no = Some("50000000382019052709732678859".to_owned());
    let fact = Some(RefundFact::Succeeded { provider_no, amount: Some(PART), at });
    let (number, out_refund_no) = (number(), refund_number());
    t.tells(
        "genuine, of a refund",
        account.refund(),
        Notice::Refund { number, out_refund_no, fact },
    );
}

/// Signed with this key by another method.
fn otherwise(account: &Account, method: &'static dyn RsaEncoding) -> HttpRequest {
    let own = account.genuine();
    let pair = RsaKeyPair::from_pkcs8(&account.key.to_pkcs8_der()).unwrap();
    let string = string(&own, &own.body);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(method, &SystemRandom::new(), &string, &mut signature).unwrap();
    with(&own, SIGNATURE, &base64::encode(&signature))
}

fn string(request: &HttpRequest, body: &[u8]) -> Vec<u8> {
    let (time, nonce) = (value(request, "Wechatpay-Timestamp"), value(request, "Wechatpay-Nonce"));
    [format!("{time}\n{nonce}\n").as_bytes(), body, b"\n"].concat()
}

fn signatures(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let own = account.genuine();
    let signature = value(&own, SIGNATURE).to_owned();
    let set = |text: &str| with(&own, SIGNATURE, text);
    let over = |string: Vec<u8>| set(&account.key.sign_sha256(&string));
    t.refused("no signature", Code::SignatureMissing, without(&own, SIGNATURE));
    t.refused("an empty signature", Code::SignatureMissing, set(""));
    t.refused("a blank for a signature", wrong, set(" "));
    t.refused("a signature cut off", wrong, set(&signature[..signature.len() - 4]));
    t.refused("a signature longer", wrong, set(&format!("AAAA{signature}")));
    t.refused("the signature twice over", wrong, set(&signature.repeat(2)));
    t.refused("without padding", wrong, set(signature.trim_end_matches('=')));
    t.refused(
        "in the alphabet of addresses",
        wrong,
        set(&signature.replace('+', "-").replace('/', "_").replace("==", "=A")),
    );
    t.refused(
        "a line end in it",
        wrong,
        set(&format!("{}\n{}", &signature[..64], &signature[64..])),
    );
    t.refused("a blank before it", wrong, set(&format!(" {signature}")));
    t.refused(
        "in hex",
        wrong,
        set(&base64::decode(&signature)
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()),
    );
    t.refused("zeros", wrong, set(&base64::encode(&[0; 256])));
    t.refused("the number one", wrong, set(&base64::encode(&[[0; 255].as_slice(), &[1]].concat())));
    t.refused("escaped", wrong, set(&signature.replace('=', "%3D").replace('+', "%2B")));
    t.refused("WeChat's probe", wrong, set(&format!("WECHATPAY/SIGNTEST/{signature}")));
    t.refused("WeChat's probe alone", wrong, set("WECHATPAY/SIGNTEST/"));
    t.refused("SHA-384", wrong, otherwise(account, &RSA_PKCS1_SHA384));
    t.refused("SHA-512", wrong, otherwise(account, &RSA_PKCS1_SHA512));
    t.refused("PSS", wrong, otherwise(account, &RSA_PSS_SHA256));
    t.refused("over the body alone", wrong, over(own.body.to_vec()));
    t.refused("over nothing", wrong, over(Vec::new()));
    t.refused("over an empty body", wrong, over(string(&own, b"")));
    let mut short = string(&own, &own.body);
    short.pop();
    t.refused("without the last line end", wrong, over(short));
    let windows = String::from_utf8(string(&own, &own.body)).unwrap().replace('\n', "\r\n");
    t.refused("with other line ends", wrong, over(windows.into_bytes()));
    let body: Value = serde_json::from_slice(&own.body).unwrap();
    let pretty = serde_json::to_vec_pretty(&body).unwrap();
    t.refused("over the body written anew", wrong, over(string(&own, &pretty)));
    let posted = [b"POST\n/notify/wechat/shop\n".as_slice(), &string(&own, &own.body)].concat();
    t.refused("over what a request is signed over", wrong, over(posted));
    t.refused("of the notice of a refund", wrong, set(value(&account.refund(), SIGNATURE)));
}

fn keys(account: &Account, t: &mut Table) {
    let (wrong, unknown) = (Code::SignatureMismatch, Code::SignatureKeyUnknown);
    let own = account.genuine();
    let serial = |text: &str| with(&own, "Wechatpay-Serial", text);
    let other = RsaPrivateKey::generate();
    let by = |key, serial: &str| account.signed_by(key, serial, &own.body);
    t.refused("another key", wrong, by(&other, &account.serial));
    t.refused("our own key", wrong, by(&account.merchant_key, &account.serial));
    t.refused("our own key under our own certificate", unknown, by(&account.merchant_key, SERIAL));
    t.refused("another key under its own id", unknown, by(&other, "PUB_KEY_ID_1"));
    t.refused("our own certificate's serial number", unknown, serial(SERIAL));
    t.refused("no key named", Code::SignatureMissing, without(&own, "Wechatpay-Serial"));
    t.refused("an empty id", Code::SignatureMissing, serial(""));
    t.refused("an id cut off", unknown, serial(&account.serial[..account.serial.len() - 1]));
    t.refused("an id with zeros before", unknown, serial(&format!("00{}", account.serial)));
    t.refused("an id with blanks", unknown, serial(&format!(" {}", account.serial)));
    t.refused("a very long id", unknown, serial(&"5".repeat(60_000)));
    let mode = if account.serial == PLATFORM {
        "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
    } else {
        PLATFORM
    };
    t.refused("an id of the other mode", unknown, serial(mode));
}

fn headers(account: &Account, t: &mut Table) {
    let (wrong, missing) = (Code::SignatureMismatch, Code::SignatureMissing);
    let own = account.genuine();
    let time = |text: &str| with(&own, "Wechatpay-Timestamp", text);
    let seconds = now().as_seconds();
    t.refused("no time", missing, without(&own, "Wechatpay-Timestamp"));
    t.refused("an empty time", missing, time(""));
    t.refused("another time", wrong, time(&(seconds + 1).to_string()));
    t.refused("a time with a zero before", wrong, time(&format!("0{seconds}")));
    t.refused("a time with a plus", missing, time(&format!("+{seconds}")));
    t.refused("a time in milliseconds", missing, time(&format!("{seconds}000")));
    t.refused("a time in words", missing, time("2026-11-21T06:30:00Z"));
    t.refused("a negative time", missing, time("-1"));
    t.refused("a huge time", missing, time("99999999999999999999"));
    t.refused("five minutes old", Code::NoticeStale, own.clone());
    t.at(now() + Span::from_seconds(300));
    t.refused("five minutes ahead", Code::NoticeStale, own.clone());
    t.at(now() - Span::from_seconds(300));
    t.refused("of last year", Code::NoticeStale, own.clone());
    t.at(now() + Span::from_seconds(365 * 86_400));
    t.refused("no nonce", missing, without(&own, "Wechatpay-Nonce"));
    t.refused("an empty nonce", missing, with(&own, "Wechatpay-Nonce", ""));
    t.refused("another nonce", wrong, with(&own, "Wechatpay-Nonce", "1"));
    let joint = with(&own, "Wechatpay-Nonce", &format!("{NONCE}\n{{"));
    t.refused("a line end in the nonce", wrong, joint);
    let lower = with(&own, "Wechatpay-Nonce", &NONCE.to_lowercase());
    t.refused("the nonce in small letters", wrong, lower);
    t.refused("another signature before it", wrong, doubled(&own, SIGNATURE, "x", true));
    let before = |name, text| doubled(&own, name, text, true);
    t.refused("another time before it", wrong, before("Wechatpay-Timestamp", "1"));
    t.refused("another nonce before it", wrong, before("wechatpay-nonce", "1"));
    t.refused("another id before it", Code::SignatureKeyUnknown, before("WECHATPAY-SERIAL", "1"));
    let kind = |text| with(&own, "Wechatpay-Signature-Type", text);
    t.refused(
        "another kind of signature",
        Code::SignatureDowngraded,
        kind("WECHATPAY2-SM2-WITH-SM3"),
    );
    t.refused(
        "an older kind of signature",
        Code::SignatureDowngraded,
        kind("WECHATPAY2-SHA1-RSA2048"),
    );
    let mut bare = own.clone();
    bare.headers.clear();
    t.refused("no headers at all", missing, bare);
}

fn bodies(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let own = account.genuine();
    let body: Value = serde_json::from_slice(&own.body).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body = body.clone();
        change(&mut body);
        HttpRequest { body: body.to_string().into(), ..own.clone() }
    };
    t.refused("another id of the news", wrong, changed(&|b| b["id"] = json!("EV-2")));
    t.refused("another event", wrong, changed(&|b| b["event_type"] = json!("REFUND.SUCCESS")));
    t.refused("another summary", wrong, changed(&|b| b["summary"] = json!("")));
    t.refused("a member more, not signed", wrong, changed(&|b| b["new"] = json!(1)));
    t.refused(
        "a member less",
        wrong,
        changed(&|b| {
            b.as_object_mut().unwrap().remove("create_time");
        }),
    );
    let refund: Value = serde_json::from_slice(&account.refund().body).unwrap();
    t.refused(
        "the inside of other news",
        wrong,
        changed(&|b| b["resource"] = refund["resource"].clone()),
    );
    t.refused(
        "another nonce inside",
        wrong,
        changed(&|b| b["resource"]["nonce"] = json!("000000000000")),
    );
    let raw = |bytes: Vec<u8>| HttpRequest { body: bytes.into(), ..own.clone() };
    let and = |more: &[u8]| raw([&own.body, more].concat());
    t.refused("a line end after it", wrong, and(b"\n"));
    t.refused("a blank after it", wrong, and(b" "));
    t.refused("written anew", wrong, raw(serde_json::to_vec_pretty(&body).unwrap()));
    t.refused("half of it", Code::NoticeMalformed, raw(own.body[..own.body.len() / 2].to_vec()));
    t.refused("a null byte after it", Code::NoticeMalformed, and(b"\0"));
    let large = [own.body.to_vec(), vec![b' '; 65_537]].concat();
    t.refused("larger than 64 KiB", Code::BodyTooLarge, raw(large));
}

/// Signed rightly, so that nothing but the form refuses them.
fn texts(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let own = String::from_utf8(account.genuine().body.to_vec()).unwrap();
    let signed = |text: &str| account.signed(text);
    let swap = |from: &str, to: &str| {
        assert!(own.contains(from), "{from}");
        account.signed(own.replacen(from, to, 1))
    };
    t.refused("nothing", bad, signed(""));
    t.refused("null", bad, signed("null"));
    t.refused("a text", bad, signed("\"EV-1\""));
    t.refused("an empty object", bad, signed("{}"));
    t.refused("a list of the object", bad, signed(&format!("[{own}]")));
    t.refused("two objects", bad, signed(&own.repeat(2)));
    t.refused("XML", bad, signed("<xml><id>1</id></xml>"));
    t.refused("a byte order mark", bad, signed(&format!("\u{feff}{own}")));
    let units: Vec<u8> = own.encode_utf16().flat_map(|unit| unit.to_le_bytes()).collect();
    t.refused("UTF-16", bad, account.signed([b"\xff\xfe".as_slice(), &units].concat()));
    t.refused("a byte that is no letter", bad, account.signed([b"\xff", own.as_bytes()].concat()));
    t.refused("a member twice", bad, swap("{", "{\"id\":\"EV-0\","));
    t.refused("the inside twice", bad, swap("{", "{\"resource\":{},"));
    t.refused("half a pair of UTF-16", bad, swap("EV-1", "\\ud800"));
    t.refused("a control character", bad, swap("EV-1", "\u{1}"));
    t.refused("a comment", bad, swap("{", "{/* */"));
    t.refused("a comma too many", bad, account.signed(own.replace("}}", "},}")));
    t.refused("single quotes", bad, account.signed(own.replace('"', "'")));
    t.refused("a number for a text", bad, swap("\"EV-1\"", "1e9999"));
    let deep = format!("{{\"id\":{}{}", "[".repeat(20_000), &own[1..]);
    t.refused("a deep list", bad, signed(&deep));
    let long = swap("\"EV-1\"", &format!("[\"{}\"]", "x".repeat(50_000)));
    t.refused("a long text where none belongs", bad, long);
}

fn resources(account: &Account, t: &mut Table) {
    let (shut, bad) = (Code::NoticeUndecryptable, Code::NoticeMalformed);
    let set = |name: &str, value: Value| account.sealed_by(|body| body["resource"][name] = value);
    let own = account.genuine();
    let body: Value = serde_json::from_slice(&own.body).unwrap();
    let cipher = body["resource"]["ciphertext"].as_str().unwrap();
    let bytes = base64::decode(cipher).unwrap();
    let sealed = |bytes: &[u8]| set("ciphertext", base64::encode(bytes).into());
    t.refused("another merchant's APIv3 key", shut, account.of(&ordinary(), &Secret::new([7; 32])));
    t.refused("another nonce, signed", shut, set("nonce", "000000000000".into()));
    t.refused("a nonce too short", shut, set("nonce", "1".into()));
    t.refused("a nonce of other letters", shut, set("nonce", "茶茶茶茶".into()));
    t.refused("other data beside it", shut, set("associated_data", "refund".into()));
    t.refused("no data beside it", shut, set("associated_data", "".into()));
    t.refused("another algorithm", shut, set("algorithm", "AEAD_SM4_GCM".into()));
    t.refused("no algorithm", shut, set("algorithm", "".into()));
    t.refused("an algorithm in small letters", shut, set("algorithm", "aead_aes_256_gcm".into()));
    t.refused("an empty cipher text", shut, set("ciphertext", "".into()));
    t.refused("a cipher text that is not Base64", shut, set("ciphertext", "%".into()));
    t.refused("the tag cut off", shut, sealed(&bytes[..bytes.len() - 16]));
    t.refused("the tag cut short", shut, sealed(&bytes[..bytes.len() - 4]));
    t.refused("the tag alone", shut, sealed(&bytes[bytes.len() - 16..]));
    t.refused("a tag of zeros", shut, sealed(&[&bytes[..bytes.len() - 16], &[0; 16]].concat()));
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    t.refused("one bit of the cipher text", shut, sealed(&flipped));
    t.refused(
        "no cipher text",
        bad,
        account.sealed_by(|b| {
            b["resource"].as_object_mut().unwrap().remove("ciphertext");
        }),
    );
    t.refused("a null cipher text", bad, set("ciphertext", Value::Null));
    t.refused("a number for data", bad, set("associated_data", json!(1)));
    t.refused(
        "the inside not sealed",
        bad,
        account.sealed_by(|b| b["resource"] = json!({"mchid": "1"})),
    );
}

fn others(account: &Account, t: &mut Table) {
    let other = Code::AccountMismatch;
    let of = |merchant: &Merchant| account.of(merchant, &v3_key());
    t.refused(
        "genuine, of another app",
        other,
        of(&Merchant::direct("wx0000000000000009", "1900000001")),
    );
    t.refused(
        "genuine, of another merchant",
        other,
        of(&Merchant::direct("wx0000000000000001", "1900000009")),
    );
    t.refused("genuine, of a service provider", other, of(&service_provider()));
    t.refused("genuine, of no merchant", other, account.inside(|p| p["mchid"] = Value::Null));
    t.refused("genuine, of no app", other, account.inside(|p| p["appid"] = json!("")));
    t.refused("genuine, of a sub-merchant", other, account.inside(|p| p["sub_mchid"] = json!("1")));
    let refund = account.inside_of(&account.refund(), |p| p["mchid"] = json!("1900000009"));
    t.refused("genuine, another's refund", other, refund);
}

fn contents(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let inside = |name: &'static str, value: Value| account.inside(move |p| p[name] = value);
    for (name, amount) in [
        ("signed without an amount", Value::Null),
        ("signed with an amount of text", json!("8888")),
        ("signed with a decimal amount", json!(88.88)),
        ("signed with a negative amount", json!(-8888)),
        ("signed with a huge amount", json!(u64::MAX)),
        ("signed with an exponent", json!(8.888e3)),
        ("signed with a list of amounts", json!([8888])),
    ] {
        t.refused(name, bad, account.inside(|p| p["amount"]["total"] = amount));
    }
    t.refused("signed without amounts", bad, inside("amount", Value::Null));
    t.refused("signed without an order", bad, inside("out_trade_no", Value::Null));
    t.refused("signed with an order of blanks", bad, inside("out_trade_no", json!("a b")));
    t.refused("signed without WeChat's number", bad, inside("transaction_id", Value::Null));
    t.refused("signed with a time that is none", bad, inside("success_time", json!("noon")));
    t.refused("signed without a state", bad, inside("trade_state", Value::Null));
    let event = |word: &str| account.sealed_by(|body| body["event_type"] = word.into());
    t.refused("signed as a refund's", bad, event("REFUND.SUCCESS"));
    t.refused("signed, of an unknown event", bad, event("COUPON.USE"));
    t.refused("signed, of a very long event", bad, event(&"E".repeat(50_000)));
    let sealed = |plain: &str| {
        account.sealed_by(|body| body["resource"] = account.resource(plain.as_bytes()))
    };
    t.refused("signed with nothing inside", bad, sealed(""));
    t.refused("signed with two objects inside", bad, sealed("{}{}"));
    t.refused("signed with XML inside", bad, sealed("<xml/>"));
    let twice = "{\"out_trade_no\":\"a\",\"out_trade_no\":\"b\",\"trade_state\":\"SUCCESS\"}";
    t.refused("signed with an order twice inside", bad, sealed(twice));
    let state = account.inside_of(&account.refund(), |p| p["refund_status"] = json!("CLOSED"));
    t.refused("signed, of a refund that says two states", bad, state);
}
