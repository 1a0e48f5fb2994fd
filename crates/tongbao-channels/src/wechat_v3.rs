//! WeChat Pay API v3: orders as JSON, signed with the merchant's RSA key; answers verified with
//! WeChat's, which are platform certificates, the WeChat Pay public key, or both while an account
//! moves from one to the other.

use crate::account::{AccountError, Site, WechatV3Keys};
use crate::wechat;
use crate::{Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{Placing, Stamp};
use arc_swap::ArcSwap;
use serde_json::Value;
use std::sync::Arc;
use tongbao_types::{
    AccountName, Channel, Code, HttpRequest, HttpResponse, OutTradeNo, Provider, Timestamp,
};
use tongbao_wechat::v3::{self, CertificatesQuery, CloseOrder, OrderQuery, Received, Resource};
use tongbao_wechat::{Answer, Merchant, PlatformKeys, TradeType, V3Credentials};

pub(crate) struct WechatV3 {
    site: Site,
    trusted: Arc<Trusted>,
}

/// The credentials, and the keys of WeChat's side, which grow when certificates are fetched.
struct Trusted {
    credentials: V3Credentials,
    keys: ArcSwap<PlatformKeys>,
}

impl WechatV3 {
    pub(crate) fn new(site: Site, keys: WechatV3Keys) -> Result<WechatV3, AccountError> {
        let trust = configured(&keys)?;
        let merchant = Merchant::direct(keys.app_id, keys.mch_id);
        let serial = &keys.merchant_serial;
        let credentials =
            V3Credentials::new(merchant, serial, &keys.merchant_private_key, &keys.api_v3_key)
                .map_err(|error| AccountError::new(error.field, error.problem))?
                .trusting(trust.clone());
        let keys = ArcSwap::from_pointee(trust);
        Ok(WechatV3 { site, trusted: Arc::new(Trusted { credentials, keys }) })
    }

    fn credentials(&self) -> &V3Credentials {
        &self.trusted.credentials
    }
}

impl Trusted {
    fn read<T>(
        &self,
        response: &HttpResponse,
        now: Timestamp,
        read: impl FnOnce(&V3Credentials, &Received<'_>) -> T,
    ) -> T {
        let keys = self.keys.load();
        read(&self.credentials, &Received { response, keys: &keys, now })
    }
}

fn configured(keys: &WechatV3Keys) -> Result<PlatformKeys, AccountError> {
    let mut trust = PlatformKeys::none();
    for pem in &keys.platform_certificates {
        trust = trust
            .with_certificate(pem)
            .map_err(|error| AccountError::new("platform_certificates", error.problem))?;
    }
    match (&keys.public_key_id, &keys.public_key) {
        (None, None) => Ok(trust),
        (Some(id), Some(pem)) => trust.with_public_key(id, pem).map_err(|error| {
            let of_id = error.field == "platform_public_key_id";
            AccountError::new(if of_id { "public_key_id" } else { "public_key" }, error.problem)
        }),
        _ => {
            let message = "the WeChat Pay public key needs both public_key_id (PUB_KEY_ID_…) and \
                           public_key, which stand side by side on the merchant platform";
            Err(AccountError::new("public_key_id", message))
        }
    }
}

impl Adapter for WechatV3 {
    fn name(&self) -> &AccountName {
        &self.site.name
    }

    fn provider(&self) -> Provider {
        Provider::Wechat
    }

    fn endpoint(&self) -> &str {
        self.site.endpoint.as_deref().unwrap_or(wechat::ENDPOINT)
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::WechatNative]
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_wechat(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        let order = v3::Order {
            trade_type: TradeType::Native,
            description: wechat::description(order.subject),
            out_trade_no: order.out_trade_no.to_string(),
            time_expire: Some(order.expires_at),
            attach: order.attach.map(str::to_owned),
            notify_url: self.site.notify_url("wechat"),
            total: order.amount.fen(),
            currency: Some("CNY".to_owned()),
            ..v3::Order::default()
        };
        let request = order.encode(self.credentials(), stamp_of(stamp));
        let trusted = Arc::clone(&self.trusted);
        Ok(Placing::Call(Exchange::new(request, move |response, now| {
            trusted.read(response, now, |_, received| wechat::placed(order.decode_reply(received)))
        })))
    }

    fn query(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let query = OrderQuery::by_out_trade_no(number.as_str());
        let request = query.encode(self.credentials(), stamp_of(stamp));
        let trusted = Arc::clone(&self.trusted);
        Exchange::new(request, move |response, now| {
            trusted.read(response, now, |credentials, received| {
                wechat::queried(query.decode_reply(credentials, received))
            })
        })
    }

    fn close(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let close = CloseOrder { out_trade_no: number.to_string() };
        let request = close.encode(self.credentials(), stamp_of(stamp));
        let trusted = Arc::clone(&self.trusted);
        Exchange::new(request, move |response, now| {
            trusted.read(response, now, |_, received| wechat::closed(close.decode_reply(received)))
        })
    }

    fn needs_keys(&self) -> bool {
        self.trusted.keys.load().is_empty()
    }

    fn keys_request(&self, stamp: &Stamp) -> Option<HttpRequest> {
        Some(CertificatesQuery.encode(self.credentials(), stamp_of(stamp)))
    }

    fn learn_keys(&self, response: &HttpResponse, wall: Timestamp) -> Result<(), String> {
        let answer = self.trusted.read(response, wall, |credentials, received| {
            CertificatesQuery.decode_reply(credentials, received)
        });
        match answer {
            Ok(Answer::Done(new)) => {
                let keys = &self.trusted.keys;
                keys.rcu(|known| known.merged(&new));
                Ok(())
            }
            Ok(Answer::Refused(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read_notice(&self, request: &HttpRequest, wall: Timestamp) -> Result<Notice, NoticeRefusal> {
        let keys = self.trusted.keys.load();
        let news = v3::receive(self.credentials(), &keys, request, wall)
            .map_err(|error| wechat::notice_refusal(&error, self.claimed(request)))?;
        match news {
            v3::News::Payment(verified) => wechat::notice(verified),
            v3::News::Refund(_) => Ok(Notice::Other),
        }
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        match outcome {
            Acknowledgement::Accepted => v3::accept(),
            Acknowledgement::Refused(code, reason) => {
                v3::refuse(status(code), &format!("{code}: {reason}"))
            }
            Acknowledgement::Unavailable => v3::refuse(503, "not stored, please repeat"),
        }
    }
}

impl WechatV3 {
    /// Which order a message says it is about, before its signature is believed: only good for
    /// filing the reason of a refusal. It still needed our APIv3 key to be written.
    fn claimed(&self, request: &HttpRequest) -> Option<String> {
        if request.body.len() > tongbao_wechat::BODY_BYTES_MAX {
            return None;
        }
        let mut body: Value = serde_json::from_slice(&request.body).ok()?;
        let resource: Resource = serde_json::from_value(body.get_mut("resource")?.take()).ok()?;
        let plain = resource.open(self.credentials().api_v3_key())?;
        let plain: Value = serde_json::from_slice(&plain).ok()?;
        plain.get("out_trade_no")?.as_str().map(str::to_owned)
    }
}

fn stamp_of(stamp: &Stamp) -> v3::Stamp<'_> {
    v3::Stamp { now: stamp.wall, nonce: &stamp.nonce }
}

fn status(code: Code) -> u16 {
    match code {
        Code::SignatureMissing
        | Code::SignatureMismatch
        | Code::SignatureDowngraded
        | Code::SignatureKeyUnknown
        | Code::NoticeStale => 401,
        Code::BodyTooLarge => 413,
        Code::NotFound => 404,
        _ => 400,
    }
}
