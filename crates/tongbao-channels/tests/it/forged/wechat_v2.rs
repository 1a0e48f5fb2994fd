//! Payment notifications of WeChat's API v2, with both kinds of signature.

use super::wechat_v2_kinds::table;
use super::{Suite, sameness};
use crate::wechat_provider::{OPENID, V2_KEY, ordinary, payer, v2_keys};
use crate::world::{NUMBER, TRADE_NO, made, number, seen};
use std::sync::Arc;
use tongbao_channels::{Adapter, Keys, Notice, WechatV2Keys};
use tongbao_core::Fact;
use tongbao_crypt::digest;
use tongbao_types::{HttpRequest, Method};

pub(crate) type Pairs = Vec<(String, String)>;

/// An account, and what WeChat tells it.
pub(crate) struct Account {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) sign_type: &'static str,
    pub(crate) pairs: Pairs,
}

pub(super) fn suites() -> Vec<Suite> {
    let suite = |protocol, sign_type| {
        let account = Account::new(sign_type);
        let other = account.signed(|pairs| {
            set(pairs, "out_trade_no", "TB20261121000002");
            set(pairs, "total_fee", "1");
        });
        let spaced = account.post(
            account.written(&account.whole(), |n, v| format!("\n  <{n}>{}</{n}>", escaped(v))),
        );
        Suite {
            protocol,
            adapter: Arc::clone(&account.adapter),
            genuine: vec![account.genuine(), other, spaced],
            table: table(&account),
            is_same: sameness::of_xml,
            is_hint: false,
        }
    };
    vec![suite("WeChat v2 MD5", "MD5"), suite("WeChat v2 HMAC-SHA256", "HMAC-SHA256")]
}

impl Account {
    fn new(sign_type: &'static str) -> Account {
        let keys = WechatV2Keys { sign_type: sign_type.to_owned(), ..v2_keys(&ordinary()) };
        let mut pairs: Pairs = [
            ("appid", "wx0000000000000001"),
            ("attach", "茶 & <杯>"),
            ("bank_type", "OTHERS"),
            ("cash_fee", "8888"),
            ("fee_type", "CNY"),
            ("is_subscribe", "N"),
            ("mch_id", "1900000001"),
            ("nonce_str", "fedcba9876543210"),
            ("openid", OPENID),
            ("out_trade_no", NUMBER),
            ("result_code", "SUCCESS"),
            ("return_code", "SUCCESS"),
            ("time_end", "20261121142911"),
            ("total_fee", "8888"),
            ("trade_type", "NATIVE"),
            ("transaction_id", TRADE_NO),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        if sign_type != "MD5" {
            pairs.push(("sign_type".to_owned(), sign_type.to_owned()));
        }
        Account { adapter: made(Keys::WechatV2(keys)), sign_type, pairs }
    }

    /// What its adapter makes of the genuine one.
    pub(crate) fn told(&self) -> Notice {
        Notice::Order { number: number(), fact: Fact::Paid(seen(payer(), false)) }
    }

    /// The genuine fields with their signature.
    pub(crate) fn whole(&self) -> Pairs {
        let mut pairs = self.pairs.clone();
        let signature = self.sign(&pairs);
        set(&mut pairs, "sign", &signature);
        pairs
    }

    pub(crate) fn genuine(&self) -> HttpRequest {
        self.signed(|_| ())
    }

    /// Changed, and signed as WeChat alone can.
    pub(crate) fn signed(&self, change: impl FnOnce(&mut Pairs)) -> HttpRequest {
        let mut pairs = self.pairs.clone();
        change(&mut pairs);
        let signature = self.sign(&pairs);
        set(&mut pairs, "sign", &signature);
        self.post(self.written(&pairs, cdata))
    }

    /// Changed after it was signed.
    pub(crate) fn tampered(&self, change: impl FnOnce(&mut Pairs)) -> HttpRequest {
        let mut pairs = self.whole();
        change(&mut pairs);
        self.post(self.written(&pairs, cdata))
    }

    /// With this in place of the signature.
    pub(crate) fn under(&self, signature: &str) -> HttpRequest {
        self.tampered(|pairs| set(pairs, "sign", signature))
    }

    /// The genuine text, changed.
    pub(crate) fn text(&self, change: impl FnOnce(&str) -> String) -> HttpRequest {
        self.post(change(&self.written(&self.whole(), cdata)))
    }

    pub(crate) fn written(&self, pairs: &Pairs, write: impl Fn(&str, &str) -> String) -> String {
        let inner: String = pairs.iter().map(|(name, value)| write(name, value)).collect();
        format!("<xml>{inner}</xml>")
    }

    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> HttpRequest {
        HttpRequest {
            method: Method::Post,
            target: "/notify/wechat/shop".to_owned(),
            headers: vec![("Content-Type".to_owned(), "text/xml".to_owned())],
            body: body.as_ref().to_vec().into(),
        }
    }

    fn sign(&self, pairs: &Pairs) -> String {
        digested(self.sign_type, &format!("{}&key={V2_KEY}", joined(pairs)), V2_KEY)
    }
}

pub(crate) fn set(pairs: &mut Pairs, name: &str, value: &str) {
    match pairs.iter_mut().find(|(known, _)| known == name) {
        Some(pair) => pair.1 = value.to_owned(),
        None => pairs.push((name.to_owned(), value.to_owned())),
    }
}

pub(crate) fn remove(pairs: &mut Pairs, name: &str) {
    let before = pairs.len();
    pairs.retain(|(known, _)| known != name);
    assert!(pairs.len() < before, "{name} is not there");
}

pub(crate) fn rename(pairs: &mut Pairs, name: &str, new: &str) {
    let pair = pairs.iter_mut().find(|(known, _)| known == name);
    pair.unwrap().0 = new.to_owned();
}

/// The string that is signed, without the key.
pub(crate) fn joined(pairs: &Pairs) -> String {
    let signed = |(name, value): &&(String, String)| name != "sign" && !value.is_empty();
    let mut parts: Vec<&(String, String)> = pairs.iter().filter(signed).collect();
    parts.sort();
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

pub(crate) fn digested(sign_type: &str, text: &str, key: &str) -> String {
    match sign_type {
        "MD5" => digest::md5_hex(text.as_bytes()).to_uppercase(),
        _ => {
            let bytes = digest::hmac_sha256(key.as_bytes(), text.as_bytes());
            bytes.iter().map(|byte| format!("{byte:02X}")).collect()
        }
    }
}

pub(crate) fn cdata(name: &str, value: &str) -> String {
    format!("<{name}><![CDATA[{value}]]></{name}>")
}

pub(crate) fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
