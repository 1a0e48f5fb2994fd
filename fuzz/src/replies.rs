//! Providers' replies to every call of an account, as they come and rightly signed.

use crate::accounts::{
    ALIPAY_LEGACY, ALIPAY_OPEN, ALIPAY_V3, PLATFORM, THEIRS, V2_KEY, WECHAT_V2, WECHAT_V3, choice,
    now, order, refund, stamp,
};
use tongbao_alipay::v3::sign as alipay_v3_sign;
use tongbao_channels::{Adapter, BillDate, BillKind, BillPlan, BillWanted};
use tongbao_types::{Channel, HttpResponse, Secret};
use tongbao_wechat::{Fields, SignType, v2, v3};

const STATUSES: [u16; 8] = [200, 200, 204, 400, 404, 429, 500, 502];

/// WeChat's API v2.
pub fn wechat_v2_replies(data: &[u8]) {
    let (first, body) = choice(data);
    let status = STATUSES[usize::from(first % 8)];
    every(
        &**WECHAT_V2,
        Channel::WechatNative,
        &HttpResponse::new(status, "text/xml", body.to_vec()),
    );
    if let Ok(mut fields) = Fields::parse(body) {
        let key = Secret::new(V2_KEY.to_owned());
        for (name, text) in
            [("return_code", "SUCCESS"), ("appid", "wx0000000000000001"), ("mch_id", "1900000001")]
        {
            fields.set(name, text);
        }
        fields.set("sign", v2::sign(&fields, &key, SignType::Md5));
        let response = HttpResponse::new(200, "text/xml", fields.to_xml());
        every(&**WECHAT_V2, Channel::WechatNative, &response);
    }
}

/// WeChat's API v3, certificates among them.
pub fn wechat_v3_replies(data: &[u8]) {
    let (first, body) = choice(data);
    let status = STATUSES[usize::from(first % 8)];
    let mut response = HttpResponse::new(status, "application/json", body.to_vec());
    if first & 0x80 != 0 {
        response.headers = v3::signature_headers(&THEIRS, PLATFORM, (now(), "n"), body);
    }
    every(&**WECHAT_V3, Channel::WechatNative, &response);
}

/// Alipay's OpenAPI 2.0, whose signed part is found in the text, and the old gateway's XML.
pub fn alipay_replies(data: &[u8]) {
    let (_, body) = choice(data);
    let response = HttpResponse::new(200, "text/html;charset=utf-8", body.to_vec());
    every(&**ALIPAY_OPEN, Channel::AlipayQr, &response);
    every(&**ALIPAY_LEGACY, Channel::AlipayLegacyPage, &response);
    let Ok(text) = std::str::from_utf8(body) else { return };
    let signature = THEIRS.sign_sha256(body);
    for root in ["trade_query", "trade_precreate", "trade_refund", "trade_close"] {
        let signed = format!("{{\"alipay_{root}_response\":{text},\"sign\":\"{signature}\"}}");
        let response = HttpResponse::new(200, "text/html;charset=utf-8", signed);
        every(&**ALIPAY_OPEN, Channel::AlipayQr, &response);
    }
}

/// Alipay's v3.
pub fn alipay_v3_replies(data: &[u8]) {
    let (first, body) = choice(data);
    let status = STATUSES[usize::from(first % 8)];
    let mut response = HttpResponse::new(status, "application/json", body.to_vec());
    if first & 0x80 != 0 {
        let time = (now().as_micros() / 1000).to_string();
        let string = alipay_v3_sign::reply_string(&time, "n", body);
        response.headers = [
            ("alipay-timestamp", time.as_str()),
            ("alipay-nonce", "n"),
            ("alipay-signature", &THEIRS.sign_sha256(&string)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    }
    every(&**ALIPAY_V3, Channel::AlipayQr, &response);
}

fn every(adapter: &dyn Adapter, channel: Channel, response: &HttpResponse) {
    let stamp = &stamp();
    let _ = adapter.query(order(channel), stamp).finish(response, now());
    let _ = adapter.close(order(channel), stamp).finish(response, now());
    let _ = adapter.refund(&refund(channel), stamp).finish(response, now());
    let _ = adapter.query_refund(&refund(channel), stamp).finish(response, now());
    if let Some(exchange) = adapter.refunds_of(order(channel), stamp) {
        let _ = exchange.finish(response, now());
    }
    if let Some(exchange) = adapter.sandbox_key(stamp) {
        let _ = exchange.finish(response, now());
    }
    let _ = adapter.learn_keys(response, now());
    let _ = adapter.words(response);
    let Some(date) = BillDate::read_dashed("2026-11-20") else { return };
    match adapter.bill(BillWanted { date, kind: BillKind::Trade }, stamp) {
        Ok(BillPlan::Ask(exchange)) => drop(exchange.finish(response, now())),
        Ok(BillPlan::Fetch(fetch)) => drop((fetch.begin(response), fetch.read_words(response))),
        Err(_) => {}
    }
}
