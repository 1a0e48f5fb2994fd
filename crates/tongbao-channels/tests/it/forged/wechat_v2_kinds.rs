//! The kinds of payment notifications of WeChat's API v2.

use super::Table;
use super::wechat_v2::{Account, Pairs, cdata, digested, escaped, joined, remove, rename, set};
use crate::wechat_provider::{V2_KEY, V3_KEY};
use crate::world::{NUMBER, TRADE_NO};
use tongbao_channels::Notice;
use tongbao_crypt::{base64, digest};
use tongbao_types::Code;

const OTHER: &str = "TB20261121000009";

pub(super) fn table(account: &Account) -> Table {
    let mut table = Table::new(account.told());
    genuine(account, &mut table);
    signatures(account, &mut table);
    fields(account, &mut table);
    shapes(account, &mut table);
    encodings(account, &mut table);
    others(account, &mut table);
    contents(account, &mut table);
    table
}

fn genuine(account: &Account, t: &mut Table) {
    let whole = account.whole();
    let write = |f: &dyn Fn(&str, &str) -> String| account.post(account.written(&whole, f));
    t.told("as WeChat writes it", account.genuine());
    t.told("without CDATA", write(&|n, v| format!("<{n}>{}</{n}>", escaped(v))));
    t.told("one field to a line", write(&|n, v| format!("\n\t{}\r\n", cdata(n, v))));
    t.told(
        "blanks in the tags",
        write(&|n, v| cdata(n, v).replace('>', " >").replace("]] >", "]]>").replace("杯 >", "杯>")),
    );
    let each = |v: &str| v.chars().map(|c| format!("&#{};", u32::from(c))).collect::<String>();
    t.told("each letter by its number", write(&|n, v| format!("<{n}>{}</{n}>", each(v))));
    let split = |v: &str| v.replace("00", "0]]><![CDATA[0");
    t.told("CDATA in two parts", write(&|n, v| cdata(n, &split(v))));
    let mut turned = whole.clone();
    turned.reverse();
    t.told("the other way round", account.post(account.written(&turned, cdata)));
    let declared =
        |e: &str| account.text(|x| format!("<?xml version=\"1.0\" encoding=\"{e}\"?>{x}"));
    t.told("a declaration", declared("UTF-8"));
    t.told("a byte order mark", account.text(|x| format!("\u{feff}{x}")));
    t.told("a comment", account.text(|x| x.replace("<appid>", "<!-- a > b --><appid>")));
    t.told("a line end at the end", account.text(|x| format!("{x}\r\n")));
    t.told("a new field that is signed", account.signed(|p| set(p, "promotion", "1")));
    t.told("an empty field more", account.tampered(|p| set(p, "device_info", "")));
    t.told("a field closed at once", account.text(|x| x.replace("</xml>", "<device_info/></xml>")));
    t.told(
        "twenty coupons",
        account.signed(|p| {
            (0..20).for_each(|i| set(p, &format!("coupon_fee_{i}"), "1"));
        }),
    );
    t.told("an attachment like a query", account.signed(|p| set(p, "attach", "a=1&b=2&openid=3")));
    let mut other = account.genuine();
    other.headers = vec![("content-type".to_owned(), "text/plain; charset=GBK".to_owned())];
    t.told("another content type", other);
}

fn signatures(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let string = joined(&account.pairs);
    let keyed = format!("{string}&key={V2_KEY}");
    let of = |text: &str| digested(account.sign_type, text, V2_KEY);
    let own = of(&keyed);
    let hmac = account.sign_type != "MD5";
    t.refused("no signature", Code::SignatureMissing, account.tampered(|p| remove(p, "sign")));
    t.refused("an empty signature", Code::SignatureMissing, account.under(""));
    t.refused("a signature cut off", wrong, account.under(&own[..own.len() - 1]));
    t.refused("a signature with a digit more", wrong, account.under(&format!("{own}0")));
    t.refused("the signature twice over", wrong, account.under(&own.repeat(2)));
    t.refused("lower-case digits", wrong, account.under(&own.to_lowercase()));
    t.refused("a blank before it", wrong, account.under(&format!(" {own}")));
    t.refused("a line end after it", wrong, account.under(&format!("{own}\n")));
    t.refused("zeros", wrong, account.under(&"0".repeat(own.len())));
    t.refused("one digit is another", wrong, account.under(&flipped(&own)));
    let reply = of(&format!("{}&key=", string));
    t.refused("an empty key", wrong, account.under(&reply));
    t.refused("no key at all", wrong, account.under(&of(&string)));
    t.refused("the key without its name", wrong, account.under(&of(&format!("{string}{V2_KEY}"))));
    t.refused("the key before", wrong, account.under(&of(&format!("key={V2_KEY}&{string}"))));
    let by = |key: &str| digested(account.sign_type, &format!("{string}&key={key}"), key);
    t.refused(
        "another merchant's key",
        wrong,
        account.under(&by("not-the-key-of-this-one-12345678")),
    );
    t.refused("the key of API v3", wrong, account.under(&by(V3_KEY)));
    t.refused("the key in other letters", wrong, account.under(&by(&V2_KEY.to_uppercase())));
    let (other, code) = match hmac {
        true => (digested("MD5", &keyed, V2_KEY), Code::SignatureDowngraded),
        false => (digested("HMAC-SHA256", &keyed, V2_KEY), wrong),
    };
    t.refused("the other kind of signature", code, account.under(&other));
    let sha = digest::sha256(keyed.as_bytes());
    let hex: String = sha.iter().map(|byte| format!("{byte:02X}")).collect();
    t.refused("SHA-256 without a key", wrong, account.under(&hex));
    t.refused("SHA-256 in Base64", wrong, account.under(&base64::encode(&sha)));
    let unsorted: Vec<_> = account.pairs.iter().rev().map(|(n, v)| format!("{n}={v}")).collect();
    let unsorted = of(&format!("{}&key={V2_KEY}", unsorted.join("&")));
    t.refused("over the fields unsorted", wrong, account.under(&unsorted));
    let escaped = keyed.replace(' ', "%20").replace('<', "%3C");
    t.refused("over escaped values", wrong, account.under(&of(&escaped)));
    t.refused("over XML's own text", wrong, account.under(&of(&keyed.replace('<', "&lt;"))));
    let few = keyed.replace("&total_fee=8888", "");
    t.refused("over all but the amount", wrong, account.under(&of(&few)));
    let empty = format!("{}&key={V2_KEY}", string.replace("&fee_type", "&empty=&fee_type"));
    t.refused("over an empty field too", wrong, account.under(&of(&empty)));
    let page = format!(
        "appId=wx0000000000000001&nonceStr=1&package=prepay_id=wx1&signType=MD5\
                        &timeStamp=1&key={V2_KEY}"
    );
    t.refused("the signature for a page", wrong, account.under(&of(&page)));
    let (md5, sha, rsa) = ("MD5", "HMAC-SHA256", "RSA");
    let code = if hmac { Code::SignatureDowngraded } else { wrong };
    t.refused("it is called MD5 afterwards", code, account.tampered(|p| set(p, "sign_type", md5)));
    let code = if hmac { Code::SignatureDowngraded } else { wrong };
    let named = account.tampered(|p| {
        set(p, "sign_type", if hmac { md5 } else { sha });
        set(p, "sign", &digested(if hmac { md5 } else { sha }, &keyed, V2_KEY));
    });
    t.refused("another kind is named and made", code, named);
    t.refused("it is called RSA afterwards", wrong, account.tampered(|p| set(p, "sign_type", rsa)));
}

fn flipped(signature: &str) -> String {
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{other}{}", &signature[1..])
}

fn fields(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let set_to = |name: &'static str, value: &'static str| {
        account.tampered(move |p: &mut Pairs| set(p, name, value))
    };
    t.refused("a smaller amount", wrong, set_to("total_fee", "1"));
    t.refused("a larger amount", wrong, set_to("total_fee", "88880"));
    t.refused("the amount with a zero before", wrong, set_to("total_fee", "08888"));
    t.refused("another order", wrong, set_to("out_trade_no", OTHER));
    t.refused("another number of WeChat's", wrong, set_to("transaction_id", "4200000000000000"));
    t.refused("another payer", wrong, set_to("openid", "oAnother"));
    t.refused("another time", wrong, set_to("time_end", "20261121142912"));
    t.refused("another currency", wrong, set_to("fee_type", "JPY"));
    t.refused("another result", wrong, set_to("result_code", "FAIL"));
    t.refused("another nonce", wrong, set_to("nonce_str", "1"));
    t.refused("a field more", wrong, set_to("coupon_fee", "1"));
    t.refused("a field less", wrong, account.tampered(|p| remove(p, "bank_type")));
    t.refused("a field without its text", wrong, set_to("bank_type", ""));
    t.refused(
        "two texts swapped",
        wrong,
        account.tampered(|p| {
            set(p, "out_trade_no", TRADE_NO);
            set(p, "transaction_id", NUMBER);
        }),
    );
    t.refused(
        "a name in other letters",
        wrong,
        account.tampered(|p| rename(p, "total_fee", "Total_Fee")),
    );
    t.refused("a blank after a text", wrong, set_to("total_fee", "8888 "));
    t.refused("full-width digits", wrong, set_to("total_fee", "８８８８"));
    t.refused("a sign inside the attachment", wrong, set_to("attach", "&sign=0"));
}

fn shapes(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let swap = |from: &'static str, to: &'static str| {
        account.text(|x| {
            assert!(x.contains(from), "{from}");
            x.replacen(from, to, 1)
        })
    };
    let fee = "<total_fee><![CDATA[8888]]></total_fee>";
    t.refused(
        "a field twice",
        bad,
        swap(fee, "<total_fee>8888</total_fee><total_fee>1</total_fee>"),
    );
    t.refused("the same field twice", bad, account.text(|x| x.replace(fee, &fee.repeat(2))));
    t.refused("the signature twice", bad, swap("<xml>", "<xml><sign>0</sign>"));
    t.refused("a field inside a field", bad, swap(fee, "<a><total_fee>8888</total_fee></a>"));
    t.refused("an attribute", bad, swap("<total_fee>", "<total_fee type='int'>"));
    t.refused("a namespace", bad, swap("<xml>", "<xml xmlns='urn:x'>"));
    t.refused("a prefix", bad, swap(fee, "<x:total_fee>8888</x:total_fee>"));
    t.refused("a document type", bad, swap("<xml>", "<!DOCTYPE xml><xml>"));
    t.refused(
        "an entity of its own",
        bad,
        swap("<xml>", "<!DOCTYPE xml [<!ENTITY f '8888'>]><xml>"),
    );
    t.refused("an unknown entity", bad, swap("<![CDATA[8888]]></total", "&fee;</total"));
    t.refused(
        "an external entity",
        bad,
        swap("<xml>", "<!DOCTYPE xml SYSTEM 'http://example.com/a.dtd'><xml>"),
    );
    t.refused("a processing instruction", bad, swap("<appid>", "<?php x ?><appid>"));
    t.refused("a style sheet", bad, swap("<xml>", "<?xml-stylesheet href='a'?><xml>"));
    t.refused("a declaration inside", bad, swap("<appid>", "<?xml version='1.0'?><appid>"));
    t.refused("a second root", bad, account.text(|x| x.repeat(2)));
    t.refused("text after the end", bad, account.text(|x| format!("{x}x")));
    t.refused("a null byte after the end", bad, account.text(|x| format!("{x}\0")));
    t.refused("text before the beginning", bad, account.text(|x| format!("x{x}")));
    t.refused("text between the fields", bad, swap("<appid>", "x<appid>"));
    t.refused("CDATA between the fields", bad, swap("<appid>", "<![CDATA[x]]><appid>"));
    t.refused("another root", bad, account.text(|x| x.replace("xml>", "root>")));
    t.refused("a root in capitals", bad, account.text(|x| x.replace("xml>", "XML>")));
    t.refused("a tag that is not closed", bad, swap("</total_fee>", ""));
    t.refused("a tag closed by another", bad, swap("</total_fee>", "</fee>"));
    t.refused("half of it", bad, account.text(|x| x[..x.len() / 2].trim_end().to_owned()));
    t.refused("nothing", bad, account.post(""));
    t.refused("blanks", bad, account.post(" \r\n"));
    t.refused(
        "the name holds another field",
        bad,
        account.text(|x| {
            let cut = x.replace("<cash_fee><![CDATA[8888]]></cash_fee>", "");
            let cut = cut.replace("fee_type>", "cash_fee=8888&fee_type>");
            assert!(cut.contains("<cash_fee=8888&fee_type>"));
            cut
        }),
    );
    let mut large = account.text(|x| x.replace("</xml>", &format!("{}</xml>", " ".repeat(65_536))));
    t.refused("larger than 64 KiB", Code::BodyTooLarge, large.clone());
    large.body = vec![b'<'; 65_537].into();
    t.refused("larger than 64 KiB of nothing", Code::BodyTooLarge, large);
}

fn encodings(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let text = account.written(&account.whole(), cdata);
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    t.refused("UTF-16", bad, account.post([b"\xff\xfe".as_slice(), &little].concat()));
    t.refused("UTF-16 without a mark", bad, account.post(big));
    let gbk = encoding_rs::GBK.encode(&text).0.into_owned();
    t.refused("GBK", bad, account.post(gbk));
    let declared =
        |e: &str| account.text(|x| format!("<?xml version=\"1.0\" encoding=\"{e}\"?>{x}"));
    t.refused("GBK by its declaration", bad, declared("GBK"));
    t.refused("UTF-7 by its declaration", bad, declared("UTF-7"));
    t.refused("UTF-16 by its declaration", bad, declared("UTF-16"));
    let put = |bytes: &[u8]| {
        let at = text.find("8888").unwrap();
        account.post([&text.as_bytes()[..at], bytes, &text.as_bytes()[at..]].concat())
    };
    t.refused("a byte that is no letter", bad, put(b"\xff"));
    t.refused("an overlong letter", bad, put(b"\xc0\xaf"));
    t.refused("half a pair of UTF-16", bad, put(b"\xed\xa0\x80"));
    t.refused("a null byte", bad, put(b"\0"));
    t.refused("a control character", bad, put(b"\x08"));
    t.refused(
        "a null character by number",
        bad,
        account.text(|x| x.replace("<![CDATA[8888]]></total", "&#0;8888</total")),
    );
    t.refused("a zero-width letter", Code::SignatureMismatch, put("\u{200b}".as_bytes()));
    t.refused("JSON", bad, account.post("{\"total_fee\":8888}"));
    t.refused("a form", bad, account.post(format!("{}&sign=0", joined(&account.pairs))));
}

fn others(account: &Account, t: &mut Table) {
    let other = Code::AccountMismatch;
    let signed = |name: &'static str, value: &'static str| {
        account.signed(move |p: &mut Pairs| set(p, name, value))
    };
    t.refused("genuine, of another app", other, signed("appid", "wx0000000000000009"));
    t.refused("genuine, of another merchant", other, signed("mch_id", "1900000009"));
    t.refused("genuine, of a sub-merchant", other, signed("sub_mch_id", "1900000002"));
    t.refused("genuine, of a sub-merchant's app", other, signed("sub_appid", "wx0000000000000002"));
    t.refused("genuine, of no app", other, account.signed(|p| remove(p, "appid")));
    t.refused("genuine, of no merchant", other, account.signed(|p| remove(p, "mch_id")));
    let blurred = Code::NoticeMalformed;
    t.refused(
        "a text holds the next field",
        blurred,
        account.text(|x| {
            let cut = x.replace("<fee_type><![CDATA[CNY]]></fee_type>", "");
            cut.replace("<cash_fee><![CDATA[8888]]>", "<cash_fee><![CDATA[8888&fee_type=CNY]]>")
        }),
    );
    t.refused(
        "genuine, and a text could be two fields",
        blurred,
        signed("attach", "x&total_fee=1"),
    );
}

fn contents(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let signed = |name: &'static str, value: &'static str| {
        account.signed(move |p: &mut Pairs| set(p, name, value))
    };
    for (name, amount) in [
        ("signed without an amount", ""),
        ("signed with a negative amount", "-8888"),
        ("signed with a decimal amount", "88.88"),
        ("signed with an exponent", "8e3"),
        ("signed with a huge amount", "99999999999999999999"),
        ("signed with a hexadecimal amount", "0x22b8"),
        ("signed with words for an amount", "eight"),
    ] {
        t.refused(name, bad, account.signed(|p| set(p, "total_fee", amount)));
    }
    t.refused("signed without an order", bad, signed("out_trade_no", ""));
    t.refused("signed with an order of blanks", bad, signed("out_trade_no", "a b"));
    t.refused("signed without WeChat's number", bad, signed("transaction_id", ""));
    t.refused("signed with a time that is none", bad, signed("time_end", "noon"));
    t.tells("genuine, of a failed try", signed("result_code", "FAIL"), Notice::Other);
}
