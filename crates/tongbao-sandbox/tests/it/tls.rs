//! The listener over TLS: calls that move money back want the merchant's certificate there.

use crate::stand::Stand;
use crate::wechat_v2::merchant;
use reqwest::tls::{Certificate, Identity};
use tongbao_sandbox::Options;
use tongbao_types::{Fen, HttpRequest};
use tongbao_wechat::v2::{OrderQuery, RefundOrder};
use tongbao_wechat::{SignType, TradeKey};

const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";

async fn send(client: &reqwest::Client, base: &str, request: &HttpRequest) -> (u16, String) {
    let url = format!("{base}{}", request.target);
    let response = client.post(url).body(request.body.clone()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn only_a_merchant_who_shows_its_certificate_may_refund() {
    let stand = Stand::open(Options { tls: true, ..Options::default() }).await;
    let root = Certificate::from_pem(stand.tls_root.as_deref().unwrap().as_bytes()).unwrap();
    let client = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let wechat = &stand.keys.wechat;
    let pem = format!("{}{}", wechat.merchant_private_key, wechat.merchant_certificate);
    let identity = Identity::from_pem(pem.as_bytes()).unwrap();
    let (bare, certified) =
        (client().build().unwrap(), client().identity(identity).build().unwrap());
    let to = merchant(&stand, SignType::Md5);
    let refund = RefundOrder {
        key: TradeKey::OutTradeNo("T20261121001".to_owned()),
        out_refund_no: "R1".to_owned(),
        total_fee: Fen(1),
        refund_fee: Fen(1),
        refund_desc: None,
        notify_url: None,
        refund_account: None,
        refund_fee_type: None,
    };
    let refund = refund.encode(&to, NONCE);
    let query = OrderQuery::by_out_trade_no("T20261121001").encode(&to, NONCE);
    let (status, page) = send(&bare, &stand.base, &refund).await;
    assert_eq!(status, 400);
    assert!(page.contains("No required SSL certificate was sent"), "{page}");
    let (status, body) = send(&bare, &stand.base, &query).await;
    assert_eq!(status, 200);
    assert!(body.contains("ORDERNOTEXIST"), "{body}");
    let (status, body) = send(&certified, &stand.base, &refund).await;
    assert_eq!(status, 200);
    assert!(body.contains("ORDERNOTEXIST"), "{body}");

    let plain = format!("http{}/_sandbox/clock", stand.base.trim_start_matches("https"));
    assert!(bare.get(plain).send().await.is_err());
}
