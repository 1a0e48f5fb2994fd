//! Breaks the signature of a finished message, in its bytes, as a tampered or mistaken one would
//! look. For WeChat v3 it becomes the provider's own probe (签名探测).

use tongbao_types::HttpResponse;

/// Breaks whatever signature the answer bears; one without a signature stays as it is.
pub(crate) fn response(response: &mut HttpResponse) {
    headers(&mut response.headers);
    if let Some(body) = body(&response.body) {
        response.body = body.into();
    }
}

/// Breaks a v3 message: its signature header becomes WeChat's probe.
pub(crate) fn headers(headers: &mut [(String, String)]) {
    const PROBE: &str = "WECHATPAY/SIGNTEST/";
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("Wechatpay-Signature") {
            let rest = value.get(PROBE.len()..).unwrap_or("").to_owned();
            *value = format!("{PROBE}{rest}");
        }
        if name.eq_ignore_ascii_case("alipay-signature") {
            let first = if value.starts_with('A') { "B" } else { "A" };
            *value = format!("{first}{}", value.get(1..).unwrap_or(""));
        }
    }
}

/// Breaks a v2 XML message, an Alipay reply or an Alipay form: the first character of the value of
/// its last `sign` changes. None if there is no such member.
pub(crate) fn body(bytes: &[u8]) -> Option<Vec<u8>> {
    let starts: [&[u8]; 5] = [b"<sign><![CDATA[", b"<sign>", b"\"sign\":\"", b"&sign=", b"sign="];
    let found = starts.into_iter().find_map(|start| {
        let at = bytes.windows(start.len()).rposition(|some| some == start)?;
        Some(at + start.len())
    })?;
    let mut broken = bytes.to_vec();
    let first = broken.get_mut(found)?;
    *first = if *first == b'A' { b'B' } else { b'A' };
    Some(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, wanted: Option<&str>) {
        let broken = body(message.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(broken.as_deref(), wanted, "{message}");
    }

    #[test]
    fn exactly_the_signature_changes() {
        check(
            "<xml><sign><![CDATA[9A]]></sign></xml>",
            Some("<xml><sign><![CDATA[AA]]></sign></xml>"),
        );
        check("<xml><sign>AB</sign></xml>", Some("<xml><sign>BB</sign></xml>"));
        check("{\"x_response\":{},\"sign\":\"Qf\"}", Some("{\"x_response\":{},\"sign\":\"Af\"}"));
        check("a=1&sign=Xy&sign_type=RSA2", Some("a=1&sign=Ay&sign_type=RSA2"));
        check("sign=Xy&b=1", Some("sign=Ay&b=1"));
        check("<xml></xml>", None);
        let mut all =
            vec![("wechatpay-signature".to_owned(), "0123456789012345678901=".to_owned())];
        headers(&mut all);
        assert_eq!(all[0].1, "WECHATPAY/SIGNTEST/901=");
        let mut all = vec![("alipay-signature".to_owned(), "Ab=".to_owned())];
        headers(&mut all);
        assert_eq!(all[0].1, "Bb=");
    }
}
