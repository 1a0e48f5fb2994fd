//! Alipay's side of OpenAPI 2.0 and v3: it checks what was sent and answers in its own bytes.

use crate::alipay_certificates::Authority;
use crate::world::{TOTAL, made, now, number, paid_at, trade_no};
use std::sync::Arc;
use tongbao_alipay::open::bill_download_url::BillDownloadUrlReply;
use tongbao_alipay::open::cancel::CancelReply;
use tongbao_alipay::open::close::CloseReply;
use tongbao_alipay::open::create::CreateReply;
use tongbao_alipay::open::pay::{PayProgress, PayReply};
use tongbao_alipay::open::precreate::PrecreateReply;
use tongbao_alipay::open::query::QueryReply;
use tongbao_alipay::open::refund::RefundReply;
use tongbao_alipay::open::refund_query::{RefundFound, RefundQueryReply, RefundStatus};
use tongbao_alipay::open::{self, AppAtGateway};
use tongbao_alipay::{ContentKey, Refusal, TradeStatus, v3};
use tongbao_channels::{Adapter, AlipayKeys, Keys};
use tongbao_core::Payer;
use tongbao_crypt::{Certificate, RsaPrivateKey, alipay_root_sn};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret};

pub(crate) const APP_ID: &str = "2021000000000001";
pub(crate) const SELLER_ID: &str = "2088000000000001";
pub(crate) const BUYER_ID: &str = "2088000000000002";
pub(crate) const AES_KEY: &str = "bm90IGEgcmVhbCBrZXkhIQ==";
pub(crate) const NOTIFY_URL: &str = "https://pay.example.com/notify/alipay/shop";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Open,
    V3,
}

pub(crate) struct Alipay {
    pub(crate) protocol: Protocol,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) app_key: RsaPrivateKey,
    pub(crate) alipay_key: RsaPrivateKey,
    pub(crate) sns: Option<Sns>,
    content_key: Option<ContentKey>,
}

/// The serials of the certificate mode, and who issues its certificates.
pub(crate) struct Sns {
    app: String,
    root: String,
    pub(crate) alipay: String,
    pub(crate) authority: Authority,
}

/// What Alipay says.
pub(crate) enum Say<'a> {
    Precreated(&'a PrecreateReply),
    Created(&'a CreateReply),
    Paid(&'a PayReply),
    Queried(&'a QueryReply),
    Closed(&'a CloseReply),
    Cancelled(&'a CancelReply),
    Refunded(&'a RefundReply),
    RefundQueried(&'a RefundQueryReply),
    BillAt(&'a BillDownloadUrlReply),
    No(Refusal),
}

/// What the gateway reads of a request.
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) content: String,
    pub(crate) notify_url: Option<String>,
}

/// Both protocols, with public keys, with certificates, and with encrypted content.
pub(crate) fn all() -> impl Iterator<Item = Alipay> {
    [Protocol::Open, Protocol::V3].into_iter().flat_map(|protocol| {
        [Alipay::plain, Alipay::certified, Alipay::encrypted].into_iter().map(move |f| f(protocol))
    })
}

/// Both protocols with public keys.
pub(crate) fn both() -> [Alipay; 2] {
    [Protocol::Open, Protocol::V3].map(Alipay::plain)
}

/// Keys of an app in 公钥模式.
pub(crate) fn keys(app_key: &RsaPrivateKey, alipay_key: &RsaPrivateKey) -> AlipayKeys {
    AlipayKeys {
        app_id: APP_ID.to_owned(),
        seller_id: Some(SELLER_ID.to_owned()),
        app_private_key: Secret::new(app_key.to_pkcs8_pem().to_string()),
        alipay_public_key: Some(alipay_key.public().to_spki_base64()),
        app_cert: None,
        alipay_cert: None,
        alipay_root_cert: None,
        aes_key: None,
    }
}

fn adapter(protocol: Protocol, keys: AlipayKeys) -> Arc<dyn Adapter> {
    made(match protocol {
        Protocol::Open => Keys::AlipayOpen(keys),
        Protocol::V3 => Keys::AlipayV3(keys),
    })
}

impl Alipay {
    pub(crate) fn plain(protocol: Protocol) -> Alipay {
        let [app_key, alipay_key] = [(); 2].map(|()| RsaPrivateKey::generate());
        let adapter = adapter(protocol, keys(&app_key, &alipay_key));
        Alipay { protocol, adapter, app_key, alipay_key, sns: None, content_key: None }
    }

    pub(crate) fn encrypted(protocol: Protocol) -> Alipay {
        let [app_key, alipay_key] = [(); 2].map(|()| RsaPrivateKey::generate());
        let aes_key = Some(Secret::new(AES_KEY.to_owned()));
        let adapter = adapter(protocol, AlipayKeys { aes_key, ..keys(&app_key, &alipay_key) });
        let content_key = Some(ContentKey::read(AES_KEY).unwrap());
        Alipay { protocol, adapter, app_key, alipay_key, sns: None, content_key }
    }

    pub(crate) fn certified(protocol: Protocol) -> Alipay {
        let [app_key, alipay_key] = [(); 2].map(|()| RsaPrivateKey::generate());
        let authority = Authority::root("root");
        let app = authority.certify("app", &app_key);
        let alipay = authority.certify("alipay", &alipay_key);
        let sn = |pem: &str| Certificate::from_pem(pem).unwrap().alipay_sn();
        let roots = Certificate::bundle_from_pem(&authority.pem).unwrap();
        let (root, alipay_sn) = (alipay_root_sn(&roots), sn(&alipay));
        let sns = Sns { app: sn(&app), root, alipay: alipay_sn, authority };
        let adapter = adapter(
            protocol,
            AlipayKeys {
                alipay_public_key: None,
                app_cert: Some(app),
                alipay_cert: Some(alipay),
                alipay_root_cert: Some(sns.authority.pem.clone()),
                ..keys(&app_key, &alipay_key)
            },
        );
        Alipay { protocol, adapter, app_key, alipay_key, sns: Some(sns), content_key: None }
    }

    /// What the gateway makes of a request, once it has found nothing against it.
    pub(crate) fn read(&self, request: &HttpRequest) -> Sent {
        let key = &self.app_key.public();
        let certificates = self.sns.as_ref().map(|sns| (sns.app.as_str(), sns.root.as_str()));
        let content_key = self.content_key.as_ref();
        let app = AppAtGateway { key, certificates, content_key };
        if request.path() == open::envelope::PATH {
            let received = open::GatewayRequest::read(request).unwrap();
            assert_eq!(received.check(app), Ok(()));
            return Sent {
                method: received.method().unwrap(),
                content: received.biz_content(content_key).unwrap(),
                notify_url: received.params.text("notify_url").map(|text| text.into_owned()),
            };
        }
        let received = v3::GatewayRequest::read(request).unwrap();
        assert_eq!(received.check(app, now()), Ok(()));
        let content = received.content(content_key).unwrap();
        let members: serde_json::Value = serde_json::from_str(&content).unwrap();
        let notify_url = members["notify_url"].as_str().map(str::to_owned);
        Sent { method: received.method().unwrap(), content, notify_url }
    }

    /// The answer to a request that is found to be right.
    pub(crate) fn answer(&self, request: &HttpRequest, say: &Say<'_>) -> HttpResponse {
        let sn = self.sns.as_ref().map(|sns| sns.alipay.as_str());
        self.answer_by(request, say, &self.alipay_key, sn)
    }

    /// The same, signed with another key under another certificate.
    pub(crate) fn answer_by(
        &self,
        request: &HttpRequest,
        say: &Say<'_>,
        key: &RsaPrivateKey,
        cert_sn: Option<&str>,
    ) -> HttpResponse {
        self.read(request);
        let content_key = self.content_key.as_ref();
        match self.protocol {
            Protocol::Open => {
                let received = open::GatewayRequest::read(request).unwrap();
                open_answer(&received, say, open::Sealing::Signed { key, cert_sn, content_key })
            }
            Protocol::V3 => {
                let (timestamp, nonce) = (now(), "fedcba9876543210");
                v3_answer(say, v3::Sealing { key, cert_sn, content_key, timestamp, nonce })
            }
        }
    }
}

fn open_answer(
    request: &open::GatewayRequest,
    say: &Say<'_>,
    sealing: open::Sealing<'_>,
) -> HttpResponse {
    match say {
        Say::Precreated(reply) => reply.encode(request, sealing),
        Say::Created(reply) => reply.encode(request, sealing),
        Say::Paid(reply) => reply.encode(request, sealing),
        Say::Queried(reply) => reply.encode(request, sealing),
        Say::Closed(reply) => reply.encode(request, sealing),
        Say::Cancelled(reply) => reply.encode(request, sealing),
        Say::Refunded(reply) => reply.encode(request, sealing),
        Say::RefundQueried(reply) => reply.encode(request, sealing),
        Say::BillAt(reply) => reply.encode(request, sealing),
        Say::No(refusal) => request.refuse(refusal, &[], sealing),
    }
}

fn v3_answer(say: &Say<'_>, sealing: v3::Sealing<'_>) -> HttpResponse {
    match say {
        Say::Precreated(reply) => reply.encode_v3(sealing),
        Say::Created(reply) => reply.encode_v3(sealing),
        Say::Paid(reply) => reply.encode_v3(sealing),
        Say::Queried(reply) => reply.encode_v3(sealing),
        Say::Closed(reply) => reply.encode_v3(sealing),
        Say::Cancelled(reply) => reply.encode_v3(sealing),
        Say::Refunded(reply) => reply.encode_v3(sealing),
        Say::RefundQueried(reply) => reply.encode_v3(sealing),
        Say::BillAt(reply) => reply.encode_v3(sealing),
        Say::No(refusal) => v3::gateway::refuse(refusal, Some(sealing), "trace"),
    }
}

pub(crate) fn payer() -> Payer {
    Payer { buyer_id: Some(BUYER_ID.to_owned()), ..Payer::default() }
}

pub(crate) fn queried(status: TradeStatus, was_paid: bool) -> QueryReply {
    QueryReply {
        out_trade_no: number(),
        trade_no: trade_no(),
        trade_status: status,
        total_amount: TOTAL,
        send_pay_date: was_paid.then(paid_at),
        buyer_user_id: Some(BUYER_ID.to_owned()),
        buyer_open_id: None,
        buyer_logon_id: None,
        buyer_pay_amount: Some(Fen(0)),
        receipt_amount: Some(Fen(0)),
        invoice_amount: Some(Fen(0)),
        point_amount: Some(Fen(0)),
    }
}

pub(crate) fn paid_by_code(progress: PayProgress) -> PayReply {
    PayReply {
        progress,
        out_trade_no: number(),
        trade_no: Some(trade_no()),
        total_amount: Some(TOTAL),
        gmt_payment: (progress == PayProgress::Deducted).then(paid_at),
        buyer_user_id: Some(BUYER_ID.to_owned()),
        buyer_open_id: None,
        buyer_logon_id: None,
        buyer_pay_amount: None,
        receipt_amount: None,
        invoice_amount: None,
        point_amount: None,
        fund_bill_list: Vec::new(),
    }
}

pub(crate) fn refunded(has_fund_change: bool) -> RefundReply {
    RefundReply {
        out_trade_no: number(),
        trade_no: Some(trade_no()),
        has_fund_change,
        refund_fee: Fen(300),
        send_back_fee: None,
        refund_detail_item_list: Vec::new(),
        gmt_refund_pay: Some(paid_at()),
        buyer_user_id: None,
        buyer_open_id: None,
        buyer_logon_id: None,
    }
}

pub(crate) fn refund_found(status: Option<RefundStatus>, amount: Option<Fen>) -> RefundQueryReply {
    RefundQueryReply::Found(RefundFound {
        out_trade_no: number(),
        trade_no: Some(trade_no()),
        out_request_no: crate::world::REFUND_NUMBER.to_owned(),
        total_amount: Some(TOTAL),
        refund_amount: amount,
        refund_status: status,
        gmt_refund_pay: Some(paid_at()),
        send_back_fee: None,
        refund_detail_item_list: Vec::new(),
    })
}
