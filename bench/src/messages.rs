//! What the load generator sends: signed notifications of both providers and requests for charges,
//! each rendered to the very bytes of an HTTP request, so that nothing is computed while measuring.
//! Every message is distinct. Signatures are made shortly before they are used, because a receiver
//! may refuse a WeChat Pay time stamp older than five minutes.

use std::thread;

use anyhow::Result;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{Keys, Signer};

/// Where a request goes and what authorises it.
#[derive(Clone)]
pub(crate) struct Target {
    /// Host and port.
    pub(crate) authority: String,
    /// Path of the request.
    pub(crate) path: String,
    /// The bearer key, where the receiver wants one.
    pub(crate) bearer: Option<String>,
}

/// One order that a notification speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The number given to the provider.
    pub(crate) out_trade_no: String,
    /// What was asked for, in fen.
    pub(crate) amount: i64,
}

impl Order {
    /// `count` orders whose numbers begin with `prefix`.
    pub(crate) fn batch(prefix: &str, count: usize) -> Vec<Self> {
        let order = |i| Self {
            out_trade_no: format!("{prefix}{i:08}"),
            amount: 1_000 + i64::try_from(i % 9_000).unwrap_or(0),
        };
        (0..count).map(order).collect()
    }
}

/// A request for a charge, with the channel given by its public name.
pub(crate) fn charge_requests(target: &Target, orders: &[Order], channel: &str) -> Vec<Vec<u8>> {
    let render = |order: &Order| {
        let body = serde_json::json!({
            "amount": order.amount,
            "subject": "bench",
            "channel": channel,
            "order_no": order.out_trade_no,
            "return_url": "https://shop.example/back",
        });
        let json = [("content-type", "application/json")];
        http_request(target, &json, body.to_string().as_bytes())
    };
    orders.iter().map(render).collect()
}

/// The notices of WeChat Pay API v3 that say these orders are paid.
pub(crate) fn wechat_notices(
    keys: &Keys,
    target: &Target,
    orders: &[Order],
) -> Result<Vec<Vec<u8>>> {
    let signer = Signer::new(&keys.wechat)?;
    let sealer = LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, keys.api_v3_key.as_bytes()).expect("the key has 32 bytes"),
    );
    let timestamp = unix_seconds();
    Ok(in_parallel(orders, |order| {
        let body = wechat_body(keys, &sealer, order);
        let nonce = trade_no("nonce", order);
        let signed = format!("{timestamp}\n{nonce}\n{body}\n");
        let timestamp = timestamp.to_string();
        let headers = [
            ("content-type", "application/json"),
            ("wechatpay-timestamp", timestamp.as_str()),
            ("wechatpay-nonce", nonce.as_str()),
            ("wechatpay-signature", &signer.sign(signed.as_bytes())),
            ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
            ("wechatpay-serial", keys.wechat_key_id.as_str()),
        ];
        http_request(target, &headers, body.as_bytes())
    }))
}

/// Alipay's asynchronous notices that say these orders are paid.
pub(crate) fn alipay_notices(
    keys: &Keys,
    target: &Target,
    orders: &[Order],
) -> Result<Vec<Vec<u8>>> {
    let signer = Signer::new(&keys.alipay)?;
    Ok(in_parallel(orders, |order| {
        let fields = alipay_fields(keys, order);
        let signed = crate::ideal::alipay_text(&fields);
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &fields {
            form.append_pair(name, value);
        }
        form.append_pair("sign_type", "RSA2").append_pair("sign", &signer.sign(signed.as_bytes()));
        let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        http_request(target, &kind, form.finish().as_bytes())
    }))
}

fn wechat_body(keys: &Keys, sealer: &LessSafeKey, order: &Order) -> String {
    let trade = serde_json::json!({
        "amount": {"currency": "CNY", "payer_currency": "CNY",
            "payer_total": order.amount, "total": order.amount},
        "appid": keys.wechat_app_id, "attach": "", "bank_type": "OTHERS", "mchid": keys.mch_id,
        "out_trade_no": order.out_trade_no, "payer": {"openid": "oBenchBenchBenchBenchBenchBe"},
        "promotion_detail": [], "success_time": china_time("T", "+08:00"),
        "trade_state": "SUCCESS", "trade_state_desc": "支付成功", "trade_type": "NATIVE",
        "transaction_id": trade_no("42000", order),
    });
    let nonce = trade_no("", order)[16..].to_owned();
    let mut sealed = trade.to_string().into_bytes();
    let bytes = nonce.as_bytes().try_into().expect("twelve characters");
    sealer
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(bytes),
            Aad::from(b"transaction"),
            &mut sealed,
        )
        .expect("short messages can be sealed");
    serde_json::json!({
        "id": format!("EV-{}", trade_no("2026", order)), "create_time": china_time("T", "+08:00"),
        "resource_type": "encrypt-resource", "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": STANDARD.encode(sealed), "associated_data": "transaction",
            "nonce": nonce},
    })
    .to_string()
}

fn alipay_fields(keys: &Keys, order: &Order) -> Vec<(String, String)> {
    let yuan = format!("{}.{:02}", order.amount / 100, order.amount % 100);
    let now = china_time(" ", "");
    [
        ("app_id", keys.alipay_app_id.as_str()),
        ("auth_app_id", keys.alipay_app_id.as_str()),
        ("buyer_id", "2088000000000001"),
        ("buyer_logon_id", "ben***@example.com"),
        ("buyer_pay_amount", yuan.as_str()),
        ("charset", "utf-8"),
        ("fund_bill_list", &format!(r#"[{{"amount":"{yuan}","fundChannel":"ALIPAYACCOUNT"}}]"#)),
        ("gmt_create", &now),
        ("gmt_payment", &now),
        ("invoice_amount", &yuan),
        ("notify_id", &trade_no("2222", order)),
        ("notify_time", &now),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", &order.out_trade_no),
        ("point_amount", "0.00"),
        ("receipt_amount", &yuan),
        ("seller_email", "bench@example.com"),
        ("seller_id", &keys.seller_id),
        ("subject", "bench"),
        ("total_amount", &yuan),
        ("trade_no", &trade_no("20261", order)),
        ("trade_status", "TRADE_SUCCESS"),
        ("version", "1.0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A provider's number of 28 digits, different for each order.
fn trade_no(prefix: &str, order: &Order) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in order.out_trade_no.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let width = 28 - prefix.len();
    format!("{prefix}{hash:0width$}")
}

/// The present time in China, as the providers print it.
fn china_time(between: &str, zone: &str) -> String {
    let seconds = unix_seconds() + 8 * 3_600;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{zone}")
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian, days of 400 years).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

fn http_request(target: &Target, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", target.path, target.authority);
    if let Some(key) = &target.bearer {
        head.push_str(&format!("authorization: Bearer {key}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Renders all orders on two threads, in order; signing is the slow part of the preparation.
fn in_parallel<F>(orders: &[Order], render: F) -> Vec<Vec<u8>>
where
    F: Fn(&Order) -> Vec<u8> + Sync,
{
    let half = orders.len().div_ceil(2).max(1);
    thread::scope(|scope| {
        let render = &render;
        let running: Vec<_> = orders
            .chunks(half)
            .map(|part| scope.spawn(move || part.iter().map(render).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|t| t.join().expect("rendering does not panic")).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(19_782), (2024, 2, 29));
        assert_eq!(civil_from_days(20_778), (2026, 11, 21));
    }

    #[test]
    fn orders_and_trade_numbers_are_distinct() {
        let orders = Order::batch("b", 500);
        let numbers: std::collections::BTreeSet<_> =
            orders.iter().map(|o| trade_no("42000", o)).collect();
        assert_eq!(numbers.len(), 500);
        assert!(numbers.iter().all(|n| n.len() == 28));
    }
}
