//! Notifications of Alipay's old gateway, signed with MD5 and a key that the shop has too.

use super::forms::{Account, joined, pairs, post, remove, set, written};
use super::{Suite, Table, alipay_forms, sameness};
use crate::alipay_provider::{BUYER_ID, SELLER_ID, payer};
use crate::world::{NUMBER, TRADE_NO, made, number, order, ready, seen};
use std::sync::Arc;
use tongbao_channels::{AlipayLegacyKeys, Keys, Notice, Order};
use tongbao_core::{Action, Fact, Seen};
use tongbao_crypt::digest;
use tongbao_types::{Channel, Code, HttpRequest, Secret};

const MD5_KEY: &str = "notarealkeyofthelegacygateway123";

pub(super) fn suites() -> Vec<Suite> {
    let account = account();
    let other = account.signed(|p| {
        set(p, "out_trade_no", "TB20261121000002");
        set(p, "total_fee", "0.01");
    });
    let escaped = super::forms::written_by(&account.whole(), super::forms::all_escaped);
    let mut table = Table::new(account.told.clone());
    alipay_forms::fill(&account, &mut table);
    keys(&account, &mut table);
    orders(&account, &mut table);
    meanings(&account, &mut table);
    vec![Suite {
        protocol: "Alipay legacy",
        adapter: Arc::clone(&account.adapter),
        genuine: vec![account.genuine(), other, post(escaped)],
        table,
        is_same: sameness::of_form,
        is_hint: false,
    }]
}

fn md5(string: &[u8]) -> String {
    digest::md5_hex(&[string, MD5_KEY.as_bytes()].concat())
}

fn account() -> Account {
    let adapter = made(Keys::AlipayLegacy(AlipayLegacyKeys {
        partner: SELLER_ID.to_owned(),
        md5_key: Secret::new(MD5_KEY.to_owned()),
        seller_email: None,
    }));
    Account {
        adapter,
        sign_type: "MD5",
        sign: Box::new(md5),
        pairs: pairs(&[
            ("buyer_email", "buyer@example.com"),
            ("buyer_id", BUYER_ID),
            ("discount", "0.00"),
            ("gmt_create", "2026-11-21 14:29:01"),
            ("gmt_payment", "2026-11-21 14:29:11"),
            ("is_total_fee_adjust", "N"),
            ("notify_id", "70fec0c2730b27528665af4517c27b95"),
            ("notify_time", "2026-11-21 14:30:00"),
            ("notify_type", "trade_status_sync"),
            ("out_trade_no", NUMBER),
            ("payment_type", "1"),
            ("price", "88.88"),
            ("quantity", "1"),
            ("seller_id", SELLER_ID),
            ("subject", "测试 a+b%26&c"),
            ("total_fee", "88.88"),
            ("trade_no", TRADE_NO),
            ("trade_status", "TRADE_SUCCESS"),
            ("use_coupon", "N"),
        ]),
        told: Notice::Order { number: number(), fact: Fact::Paid(seen(payer(), false)) },
        amount: "total_fee",
    }
}

fn keys(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let string = joined(&account.pairs);
    let under = |text: String| account.under(&digest::md5_hex(text.as_bytes()));
    t.refused(
        "another merchant's key",
        wrong,
        under(format!("{string}notthekeyofthisone00000000000000")),
    );
    t.refused("no key", wrong, under(string.clone()));
    t.refused("the key before", wrong, under(format!("{MD5_KEY}{string}")));
    t.refused("the key as WeChat has it", wrong, under(format!("{string}&key={MD5_KEY}")));
    t.refused("the key in capitals", wrong, under(format!("{string}{}", MD5_KEY.to_uppercase())));
    let sha = digest::sha256(format!("{string}{MD5_KEY}").as_bytes());
    let hex: String = sha.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    t.refused("another digest", wrong, account.under(&hex));
    t.refused(
        "genuine, of no seller",
        Code::AccountMismatch,
        account.signed(|p| remove(p, "seller_id")),
    );
    t.refused(
        "genuine, of a seller with a blank",
        Code::AccountMismatch,
        account.signed(|p| set(p, "seller_id", &format!("{SELLER_ID} "))),
    );
}

/// The address that a payer's browser carries for an order whose text somebody else wrote: the
/// members, with their signature.
fn carried(account: &Account, body: &str) -> Vec<(String, String)> {
    let order = Order { body: Some(body), ..order(Channel::AlipayLegacyPage, None) };
    let Action::Redirect { url } = ready(&*account.adapter, &order) else { panic!() };
    let (_, query) = url.split_once('?').unwrap();
    let plain = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap();
        (plain(name), plain(value))
    };
    query.split('&').map(pair).collect()
}

/// The shop's own signatures: orders have the same key and the same rule.
fn orders(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let sent = carried(account, "tea");
    t.refused("an order's own members", Code::SignatureMismatch, post(written(&sent)));
    t.refused("an order cut into a notification", bad, cut_order(account));
    let hidden = cut_order(account);
    let text = String::from_utf8(hidden.body.to_vec()).unwrap();
    assert!(text.contains("_input_charset=utf-8&"));
    // The first member in the next one's name, so that none is called as an order's.
    let named = text.replace("_input_charset=utf-8&body=", "%5Finput_charset%3Dutf-8%26body=");
    t.refused("an order cut, its first member hidden", bad, post(named));
    let back = account.signed(|p| {
        set(p, "is_success", "T");
        set(p, "exterface", "create_direct_pay_by_user");
    });
    t.told("what a browser brought back, which says the same", back);
}

/// The members of an order, cut so that they are a notification with the order's own signature.
fn cut_order(account: &Account) -> HttpRequest {
    let wanted = format!(
        "x&notify_id=70fec0c2730b27528665af4517c27b95&out_trade_no={NUMBER}&seller_id={SELLER_ID}\
         &total_fee=88.88&trade_no={TRADE_NO}&trade_status=TRADE_SUCCESS&z="
    );
    let sent = carried(account, &wanted);
    let string = joined(&sent);
    let (before, after) = string.split_once("&z=").unwrap();
    let mut cut: Vec<(String, String)> = before
        .split('&')
        .map(|part| part.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    set(&mut cut, "z", after);
    assert_eq!(joined(&cut), string, "the shop itself signed it");
    let of = |name: &str| sent.iter().find(|(known, _)| known == name).unwrap().1.clone();
    set(&mut cut, "sign", &of("sign"));
    set(&mut cut, "sign_type", &of("sign_type"));
    post(written(&cut))
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
        "genuine, refunded",
        account.signed(|p| {
            set(p, "trade_status", "TRADE_CLOSED");
            set(p, "refund_status", "REFUND_SUCCESS");
        }),
        order(Fact::Paid(Seen { returned: true, ..seen(payer(), false) })),
    );
}
