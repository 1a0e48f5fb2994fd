//! The bytes on the wire: header names, targets, methods, sizes.

use crate::stand::Stand;
use crate::wechat_v3::{self, Shop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tongbao_types::HttpRequest;

async fn raw(stand: &Stand, target: &str, request: &HttpRequest) -> String {
    let host = stand.base.strip_prefix("http://").unwrap();
    let mut text = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n", request.method.as_str());
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", request.body.len()));
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.write_all(&request.body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn header_names_are_spelt_as_wechat_spells_them() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let request = wechat_v3::order("T20261121001", "http://127.0.0.1:9/n");
    let request = request.encode(&shop.merchant, shop.stamp());
    let answer = raw(&stand, &request.target, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for name in [
        "Wechatpay-Timestamp",
        "Wechatpay-Nonce",
        "Wechatpay-Signature",
        "Wechatpay-Serial",
        "Wechatpay-Signature-Type",
        "Request-ID",
        "Content-Type",
    ] {
        assert!(answer.contains(&format!("\r\n{name}: ")), "{name} in {answer}");
    }
    let close = tongbao_wechat::v3::CloseOrder { out_trade_no: "T20261121001".to_owned() };
    let request = close.encode(&shop.merchant, shop.stamp());
    let answer = raw(&stand, &request.target, &request).await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains("\r\nWechatpay-Signature: "), "{answer}");
    assert!(answer.contains("\r\nContent-Type: application/json"), "{answer}");
}

#[tokio::test]
async fn absolute_targets_are_taken_and_what_was_signed_is_checked() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let request = wechat_v3::order("T20261121001", "http://127.0.0.1:9/n");
    let request = request.encode(&shop.merchant, shop.stamp());
    let absolute = format!("http://example.com{}", request.target);
    let answer = raw(&stand, &absolute, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = raw(&stand, &format!("{}?a=1", request.target), &request).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn other_methods_paths_and_sizes_are_refused() {
    let stand = Stand::start().await;
    let put = stand.client.put(format!("{}/pay/unifiedorder", stand.base)).send().await.unwrap();
    assert_eq!(put.status(), 405);
    let lost = stand.client.get(format!("{}/nowhere", stand.base)).send().await.unwrap();
    assert_eq!(lost.status(), 404);
    let url = format!("{}/pay/unifiedorder", stand.base);
    let large = stand.client.post(url).body(vec![b'x'; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(large.status(), 413);
}

#[tokio::test]
async fn the_server_stops_when_told() {
    let stand = Stand::start().await;
    let base = stand.base.clone();
    let client = stand.client.clone();
    assert!(client.get(&base).send().await.is_ok());
    stand.stop().await;
    assert!(client.get(&base).send().await.is_err());
}
