//! Providers' answers as JSON objects, with their own names and values: what older services pass
//! through to their callers. Only what was verified before comes here, and nothing is decided on
//! it.

use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tongbao_alipay::Params;
use tongbao_wechat::Fields;

/// WeChat's XML.
pub(crate) fn of_xml(body: &[u8]) -> Option<String> {
    let fields = Fields::parse(body).ok()?;
    object(fields.iter())
}

/// The one `…_response` of an answer of Alipay's gateway. An encrypted one is text and no object.
pub(crate) fn of_gateway(body: &[u8]) -> Option<String> {
    let nodes: BTreeMap<&str, &RawValue> = serde_json::from_slice(body).ok()?;
    let mut nodes = nodes.into_iter().filter(|(name, _)| name.ends_with("_response"));
    let (_, node) = nodes.next()?;
    node.get().starts_with('{').then(|| node.get().to_owned())
}

/// A body that is a JSON object already.
pub(crate) fn of_json(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_object = serde_json::from_str::<BTreeMap<&str, &RawValue>>(text).is_ok();
    is_object.then(|| text.to_owned())
}

/// A form, such as a notification of Alipay's.
pub(crate) fn of_form(body: &[u8]) -> Option<String> {
    let params = Params::read(body).ok()?;
    let texts = params.iter().filter_map(|(name, _)| Some((name, params.text(name)?)));
    let texts: Vec<_> = texts.collect();
    object(texts.iter().map(|(name, text)| (*name, text.as_ref())))
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let fields: BTreeMap<&str, &str> = fields.collect();
    if fields.is_empty() {
        return None;
    }
    serde_json::to_string(&fields).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_becomes_an_object_of_the_same_names() {
        let xml = "<xml><appid><![CDATA[wx1]]></appid><attach></attach></xml>";
        assert_eq!(of_xml(xml.as_bytes()).as_deref(), Some(r#"{"appid":"wx1","attach":""}"#));
        let gateway =
            r#"{"alipay_trade_query_response":{"code":"10000","l":[{"a":"1"}]},"sign":"x"}"#;
        let node = r#"{"code":"10000","l":[{"a":"1"}]}"#;
        assert_eq!(of_gateway(gateway.as_bytes()).as_deref(), Some(node));
        assert_eq!(of_json(b" {\"code\":\"1\"} ").as_deref(), Some(r#"{"code":"1"}"#));
        assert_eq!(of_form(b"a=1&b=%E8%8C%B6").as_deref(), Some(r#"{"a":"1","b":"茶"}"#));
    }

    #[test]
    fn what_is_no_object_has_no_words() {
        assert_eq!(of_xml(b"<html>"), None);
        assert_eq!(of_gateway(br#"{"alipay_trade_query_response":"c2VhbGVk","sign":"x"}"#), None);
        assert_eq!(of_gateway(b"[]"), None);
        assert_eq!(of_json(b"[1]"), None);
        assert_eq!(of_form(b""), None);
    }
}
