//! What the sandbox reads: requests to both providers, before and behind their signatures.

use crate::accounts::{choice, posted};
use tongbao_alipay::{legacy, open, v3 as alipay_v3};
use tongbao_types::{HttpRequest, Method};
use tongbao_wechat::{v2, v3};

/// Requests to WeChat's APIs.
pub fn wechat_requests(data: &[u8]) {
    let (first, body) = choice(data);
    if let Ok(opened) = v2::open(&posted("/pay/unifiedorder", body)) {
        let _ = v2::UnifiedOrder::decode(&opened).is_ok();
        let _ = v2::OrderQuery::decode(&opened).is_ok();
        let _ = v2::CloseOrder::decode(&opened).is_ok();
        let _ = v2::RefundOrder::decode(&opened).is_ok();
        let _ = v2::RefundQuery::decode(&opened).is_ok();
        let _ = v2::Micropay::decode(&opened).is_ok();
        let _ = v2::ReverseOrder::decode(&opened).is_ok();
        let _ = v2::DownloadBill::decode(&opened).is_ok();
        let _ = v2::DownloadFundFlow::decode(&opened).is_ok();
    }
    let _ = v2::SandboxKey::decode(&posted("/sandboxnew/pay/getsignkey", body)).is_ok();
    let text = String::from_utf8_lossy(body);
    let _ = text.parse::<v3::Authorization>().is_ok();
    let target = match first % 4 {
        0 => "/v3/pay/transactions/native".to_owned(),
        1 => "/v3/refund/domestic/refunds".to_owned(),
        2 => format!("/v3/pay/transactions/out-trade-no/{}", text.replace(['\n', ' '], "")),
        _ => format!("/v3/bill/tradebill?{}", text.replace(['\n', ' '], "")),
    };
    let authorization = "WECHATPAY2-SHA256-RSA2048 mchid=\"1900000001\",nonce_str=\"n\",\
                         timestamp=\"1795242600\",serial_no=\"1\",signature=\"AA==\"";
    let mut request = posted(&target, body);
    request.headers = vec![
        ("Authorization".to_owned(), authorization.to_owned()),
        ("Accept".to_owned(), "application/json".to_owned()),
        ("User-Agent".to_owned(), "x".to_owned()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    if first & 0x80 != 0 {
        request.method = Method::Get;
    }
    if let Ok(opened) = v3::open(request) {
        let _ = v3::Order::decode(&opened).is_ok();
        let _ = v3::OrderQuery::decode(&opened).is_ok();
        let _ = v3::CloseOrder::decode(&opened).is_ok();
        let _ = v3::RefundOrder::decode(&opened).is_ok();
        let _ = v3::RefundQuery::decode(&opened).is_ok();
        let _ = v3::CodePayment::decode(&opened).is_ok();
        let _ = v3::ReverseOrder::decode(&opened).is_ok();
        let _ = v3::TradeBill::decode(&opened).is_ok();
        let _ = v3::FundFlowBill::decode(&opened).is_ok();
        let _ = v3::BillDownload::decode(&opened).is_ok();
    }
}

/// Requests to Alipay's gateways: as forms, in the address, in parts.
pub fn alipay_requests(data: &[u8]) {
    let (first, body) = choice(data);
    let text = String::from_utf8_lossy(body).into_owned();
    let kinds = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"];
    for kind in kinds {
        let mut request = posted("/gateway.do?charset=utf-8", body);
        request.headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        gateway(&request);
    }
    let target = format!("/gateway.do?{text}");
    gateway(&HttpRequest { method: Method::Get, ..posted(&target, "") });
    let mut request = posted("/v3/alipay/trade/query", body);
    let header = match first & 1 {
        0 => text,
        _ => "ALIPAY-SHA256withRSA app_id=2021000000000001,nonce=n,timestamp=1795242600000,\
              sign=AA=="
            .to_owned(),
    };
    request.headers = vec![("authorization".to_owned(), header)];
    if let Ok(received) = alipay_v3::GatewayRequest::read(&request) {
        let _ = (received.method(), received.content(None).is_ok());
    }
}

fn gateway(request: &HttpRequest) {
    if let Ok(received) = open::GatewayRequest::read(request) {
        let content = received.biz_content(None).unwrap_or_default();
        let _ = received.method();
        let _ = open::precreate::Precreate::read(&content).is_ok();
        let _ = open::query::Query::read(&content).is_ok();
        let _ = open::refund::Refund::read(&content).is_ok();
        let _ = open::pay::Pay::read(&content).is_ok();
    }
    if let Ok(received) = legacy::LegacyRequest::read(request) {
        let _ = legacy::DirectPay::read(&received.params).is_ok();
        let _ = legacy::NotifyVerify::read(&received.params);
        let _ = (received.partner().is_ok(), received.service());
    }
}
