//! Notifications of Alipay's OpenAPI, which accounts of 2.0 and of v3 have alike, with a public key
//! and with certificates.

use super::forms::{Account, joined, pairs, remove, set};
use super::{Suite, Table, alipay_forms, sameness};
use crate::alipay_provider::{APP_ID, Alipay, BUYER_ID, Protocol, SELLER_ID, payer};
use crate::world::{NUMBER, TRADE_NO, number, refund_number, seen};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use std::sync::Arc;
use tongbao_channels::Notice;
use tongbao_core::{Fact, Seen};
use tongbao_crypt::{RsaPrivateKey, base64, digest};
use tongbao_types::Code;

pub(super) fn suites() -> Vec<Suite> {
    let suite = |protocol, alipay: Alipay| {
        let account = account(&alipay);
        let other = account.signed(|p| {
            set(p, "out_trade_no", "TB20261121000002");
            set(p, "total_amount", "0.01");
        });
        let escaped = super::forms::written_by(&account.whole(), super::forms::all_escaped);
        let mut table = Table::new(account.told.clone());
        alipay_forms::fill(&account, &mut table);
        keys(&account, &alipay, &mut table);
        others(&account, &mut table);
        meanings(&account, &mut table);
        Suite {
            protocol,
            adapter: Arc::clone(&account.adapter),
            genuine: vec![account.genuine(), other, super::forms::post(escaped)],
            table,
            is_same: sameness::of_form,
            is_hint: false,
        }
    };
    vec![
        suite("Alipay 2.0 public key", Alipay::plain(Protocol::Open)),
        suite("Alipay v3 certificates", Alipay::certified(Protocol::V3)),
    ]
}

fn account(alipay: &Alipay) -> Account {
    let key = alipay.alipay_key.clone();
    Account {
        adapter: Arc::clone(&alipay.adapter),
        sign_type: "RSA2",
        sign: Box::new(move |string| key.sign_sha256(string)),
        pairs: pairs(&[
            ("app_id", APP_ID),
            ("auth_app_id", APP_ID),
            ("buyer_id", BUYER_ID),
            ("charset", "utf-8"),
            ("gmt_create", "2026-11-21 14:29:01"),
            ("gmt_payment", "2026-11-21 14:29:11"),
            ("notify_id", "2026112100222143012000000000000001"),
            ("notify_time", "2026-11-21 14:30:00"),
            ("notify_type", "trade_status_sync"),
            ("out_trade_no", NUMBER),
            ("passback_params", "a=1&b=2"),
            ("seller_id", SELLER_ID),
            ("subject", "测试 a+b%26&c"),
            ("total_amount", "88.88"),
            ("trade_no", TRADE_NO),
            ("trade_status", "TRADE_SUCCESS"),
            ("version", "1.0"),
        ]),
        told: Notice::Order { number: number(), fact: Fact::Paid(seen(payer(), false)) },
        amount: "total_amount",
    }
}

fn keys(account: &Account, alipay: &Alipay, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let string = joined(&account.pairs);
    let by = |key: &RsaPrivateKey| account.under(&key.sign_sha256(string.as_bytes()));
    t.refused("another key", wrong, by(&RsaPrivateKey::generate()));
    t.refused("the app's own key", wrong, by(&alipay.app_key));
    let otherwise = |method: &'static dyn RsaEncoding| {
        let pair = RsaKeyPair::from_pkcs8(&alipay.alipay_key.to_pkcs8_der()).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(method, &SystemRandom::new(), string.as_bytes(), &mut signature).unwrap();
        account.under(&base64::encode(&signature))
    };
    t.refused("SHA-512", wrong, otherwise(&RSA_PKCS1_SHA512));
    t.refused("PSS", wrong, otherwise(&RSA_PSS_SHA256));
    t.refused(
        "the digest alone",
        wrong,
        account.under(&base64::encode(&digest::sha256(string.as_bytes()))),
    );
    t.refused(
        "the number one",
        wrong,
        account.under(&base64::encode(&[[0; 255].as_slice(), &[1]].concat())),
    );
    let own = (account.sign)(string.as_bytes());
    t.refused("without padding", wrong, account.under(own.trim_end_matches('=')));
    t.refused(
        "in the alphabet of addresses",
        wrong,
        account.under(&own.replace('+', "-").replace('/', "_").replace("==", "=A")),
    );
    t.refused("its plus became a blank", wrong, account.under(&own.replacen(['+', '/'], " ", 1)));
    t.refused("in lines", wrong, account.under(&format!("{}\n{}", &own[..76], &own[76..])));
    let reply = "{\"code\":\"10000\",\"msg\":\"Success\"}";
    t.refused("the signature of a reply", wrong, account.over(reply));
    let back = account.tampered(|p| {
        let came = pairs(&[
            ("app_id", APP_ID),
            ("auth_app_id", APP_ID),
            ("charset", "utf-8"),
            ("method", "alipay.trade.page.pay.return"),
            ("out_trade_no", NUMBER),
            ("seller_id", SELLER_ID),
            ("timestamp", "2026-11-21 14:29:20"),
            ("total_amount", "88.88"),
            ("trade_no", TRADE_NO),
            ("version", "1.0"),
        ]);
        let signature = (account.sign)(joined(&came).as_bytes());
        *p = came;
        set(p, "sign", &signature);
        set(p, "sign_type", "RSA2");
    });
    t.refused("what a browser brought back", Code::NoticeMalformed, back);
}

fn others(account: &Account, t: &mut Table) {
    let other = Code::AccountMismatch;
    let signed = |name: &str, value: &str| account.signed(|p| set(p, name, value));
    t.refused("genuine, of another app", other, signed("app_id", "2021000000000009"));
    t.refused("genuine, of an app for another", other, signed("auth_app_id", "2021000000000009"));
    t.refused("genuine, of no app", other, account.signed(|p| remove(p, "app_id")));
    t.refused("genuine, of a blank app", other, signed("app_id", " "));
    t.refused("genuine, of an app with a blank", other, signed("app_id", &format!("{APP_ID} ")));
    t.told("genuine, without a seller", account.signed(|p| remove(p, "seller_id")));
    t.told("genuine, without the app it was for", account.signed(|p| remove(p, "auth_app_id")));
    t.told("empty values are signed", {
        let mut string = joined(&account.pairs);
        string.insert_str(0, "a_=&");
        let signature = (account.sign)(string.as_bytes());
        account.tampered(|p| {
            set(p, "a_", "");
            set(p, "sign", &signature);
        })
    });
}

fn meanings(account: &Account, t: &mut Table) {
    let order = |fact| Notice::Order { number: number(), fact };
    t.told("genuine, final", account.signed(|p| set(p, "trade_status", "TRADE_FINISHED")));
    t.tells(
        "genuine, closed unpaid",
        account.signed(|p| {
            remove(p, "gmt_payment");
            set(p, "trade_status", "TRADE_CLOSED");
        }),
        order(Fact::Closed),
    );
    t.tells(
        "genuine, closed and paid once",
        account.signed(|p| set(p, "trade_status", "TRADE_CLOSED")),
        order(Fact::Paid(Seen { returned: true, ..seen(payer(), false) })),
    );
    let refund = account.signed(|p| {
        set(p, "refund_fee", "1.00");
        set(p, "gmt_refund", "2026-11-21 14:40:00.123");
        set(p, "out_biz_no", refund_number().as_str());
    });
    let (number, out_refund_no) = (number(), refund_number());
    t.tells("genuine, of a refund", refund, Notice::Refund { number, out_refund_no, fact: None });
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let mut named = account.pairs.clone();
    set(&mut named, "charset", "GBK");
    // The string is signed in the bytes of the message's charset, whose own bytes need a key.
    let string = joined(&named);
    t.refused("signed in UTF-8 and called GBK", Code::SignatureMismatch, {
        let signature = (account.sign)(string.as_bytes());
        let body: Vec<String> = named
            .iter()
            .map(|(name, value)| format!("{name}={}", super::forms::escaped(&gbk(value))))
            .collect();
        super::forms::post(format!(
            "{}&sign={}&sign_type=RSA2",
            body.join("&"),
            super::forms::escaped(signature.as_bytes())
        ))
    });
    t.told("signed in GBK", {
        let signature = (account.sign)(&gbk(&string));
        let body: Vec<String> = named
            .iter()
            .map(|(name, value)| format!("{name}={}", super::forms::escaped(&gbk(value))))
            .collect();
        super::forms::post(format!(
            "{}&sign={}&sign_type=RSA2",
            body.join("&"),
            super::forms::escaped(signature.as_bytes())
        ))
    });
}
