//! Notifications. What nobody signed must never tell anything; what the target signs itself reaches
//! the readers behind the signature.

use crate::accounts::{
    ALIPAY_LEGACY, ALIPAY_OPEN, ALIPAY_V3, MD5_KEY, PLATFORM, THEIRS, V2_KEY, V3_KEY, WECHAT_V2,
    WECHAT_V3, choice, now, posted,
};
use tongbao_alipay::{Params, legacy, open};
use tongbao_channels::{Adapter, Notice};
use tongbao_types::{HttpRequest, Method, Secret};
use tongbao_wechat::{Fields, SignType, v2, v3};

/// The XML of WeChat's API v2: what is read is written and read again the same.
pub fn wechat_v2_xml(data: &[u8]) {
    let _ = Fields::parse_rooted(data, "root");
    if let Ok(fields) = Fields::parse(data)
        && let Ok(again) = Fields::parse(fields.to_xml().as_bytes())
    {
        assert_eq!(fields, again);
    }
}

/// Notifications of WeChat's API v2.
pub fn wechat_v2_notice(data: &[u8]) {
    unsigned(&**WECHAT_V2, &posted("/notify/wechat/a", data));
    let key = Secret::new(V2_KEY.to_owned());
    let sealed = v2::encrypt_refund_notice(data, &key);
    let _ = v2::decrypt_refund_notice(&sealed, &key);
    if let Ok(mut fields) = Fields::parse(data) {
        fields.set("sign", v2::sign(&fields, &key, SignType::Md5));
        let _ = WECHAT_V2.read_notice(&posted("/notify/wechat/a", fields.to_xml()), now());
    }
}

/// Notifications of WeChat's API v3: headers and body as they come, a body that is signed, an
/// inside that is sealed and signed.
pub fn wechat_v3_notice(data: &[u8]) {
    let (first, rest) = choice(data);
    if first % 3 == 0 {
        return unsigned(&**WECHAT_V3, &with_headers(rest));
    }
    let body = if first % 3 == 1 { rest.to_vec() } else { sealed(first, rest) };
    let headers = v3::signature_headers(&THEIRS, PLATFORM, (now(), "n"), &body);
    let request = HttpRequest { headers, ..posted("/notify/wechat/a", body) };
    let _ = WECHAT_V3.read_notice(&request, now());
}

fn sealed(first: u8, plain: &[u8]) -> Vec<u8> {
    let resource = v3::Resource::seal(&Secret::new(*V3_KEY), [7; 6], "transaction", plain);
    let event = if first & 0x80 == 0 { "TRANSACTION.SUCCESS" } else { "REFUND.SUCCESS" };
    let body = serde_json::json!({"id": "EV-1", "event_type": event, "resource": resource});
    body.to_string().into_bytes()
}

/// Lines of «name: value», an empty line, the body.
fn with_headers(data: &[u8]) -> HttpRequest {
    let at = data.windows(2).position(|two| two == b"\n\n").unwrap_or(0);
    let head = String::from_utf8_lossy(&data[..at]).into_owned();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    let headers = head.lines().filter_map(pair).collect();
    HttpRequest { headers, ..posted("/notify/wechat/a", &data[at..]) }
}

/// Notifications of both of Alipay's gateways, and what a browser brings back.
pub fn alipay_notice(data: &[u8]) {
    let request = posted("/notify/alipay/a", data);
    let query = String::from_utf8_lossy(data).into_owned();
    let target = format!("/return/alipay/a?{query}");
    let back = HttpRequest { method: Method::Get, ..posted(&target, "") };
    for adapter in [&*ALIPAY_OPEN, &*ALIPAY_V3, &*ALIPAY_LEGACY] {
        unsigned(&**adapter, &request);
        let _ = (adapter.notice_words(&request), adapter.notice_check(&request));
        assert_eq!(adapter.returned(&back), None);
    }
    let Ok(mut params) = Params::read(data) else { return };
    params.remove("sign");
    params.remove("sign_type");
    let mut old = params.clone();
    let string = open::sign::message_string(&params, open::sign::Empty::Dropped);
    params.set("sign", &open::sign::sign(&THEIRS, &string));
    params.set("sign_type", open::sign::SIGN_TYPE);
    let _ = ALIPAY_OPEN.read_notice(&posted("/notify/alipay/a", params.to_form()), now());
    let string = legacy::sign::string(&old);
    old.set("sign", &legacy::sign::sign(&Secret::new(MD5_KEY.to_owned()), &string));
    old.set("sign_type", legacy::sign::SIGN_TYPE);
    let _ = ALIPAY_LEGACY.read_notice(&posted("/notify/alipay/a", old.to_form()), now());
}

/// Whoever does not have the key tells nothing, and gets a short reason.
fn unsigned(adapter: &dyn Adapter, request: &HttpRequest) {
    match adapter.read_notice(request, now()) {
        Err(refusal) => assert!(refusal.reason.chars().count() <= 300, "{}", refusal.reason),
        Ok(Notice::Refund { fact: None, .. }) => {}
        Ok(notice) => panic!("nobody signed it: {notice:?}"),
    }
}
