//! A request as it came, for whoever verifies a signature over it.

use crate::limits::{BODY_MAX, read_body};
use axum::extract::Request;
use http::HeaderValue;
use tongbao_engine::Error;
use tongbao_types::{HttpRequest, Method};

/// The request as it came, with at most [`BODY_MAX`] bytes of body. Nothing is parsed.
///
/// Fails as [`read_body`] does.
pub async fn request(request: Request, method: Method) -> Result<HttpRequest, Error> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, BODY_MAX).await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Ok(HttpRequest { method, target, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[tokio::test]
    async fn target_headers_and_body_stay_as_they_came() {
        let came = http::Request::post("/notify/alipay/a?x=%e4%BD&y")
            .header("Wechatpay-Signature", "abc==")
            .body(Body::from("a=1&b=%20"))
            .unwrap();
        let raw = request(came, Method::Post).await.unwrap();
        assert_eq!(raw.target, "/notify/alipay/a?x=%e4%BD&y");
        assert_eq!(raw.header("wechatpay-signature"), Some("abc=="));
        assert_eq!(&raw.body[..], b"a=1&b=%20");
    }
}
