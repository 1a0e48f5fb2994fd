//! WeChat Pay API v3: orders as JSON, signed with the merchant's RSA key; answers verified with
//! WeChat's, which are platform certificates, the WeChat Pay public key, or both while an account
//! moves from one to the other.

use crate::account::{AccountError, Site, WechatV3Keys};
use crate::wechat::{self, ClientParams};
use crate::wechat_bill::{self, LinkQuestion};
use crate::words;
use crate::{
    Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError, OrderRef,
};
use crate::{BillHindrance, BillPlan, BillWanted, Placing, RefundOrder, Refusal, Reply, Stamp};
use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use std::sync::Arc;
use tongbao_core::RefundFact;
use tongbao_crypt::Certificate;
use tongbao_types::{
    AccountName, Channel, Code, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider,
    Secret, Span, Timestamp,
};
use tongbao_wechat::v3::{
    self, CertificatesQuery, CloseOrder, CodePayment, CodeScene, CodeStore, News, OrderQuery,
    Received, Resource, SceneInfo,
};
use tongbao_wechat::{
    Answer, Merchant, PlatformKeys, TradeKey, V3Credentials, is_auth_code, v3_app, v3_jsapi,
};

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
        let merchant = Merchant {
            app_id: keys.app_id,
            mch_id: keys.mch_id,
            sub_app_id: keys.sub_app_id,
            sub_mch_id: keys.sub_mch_id,
        };
        let serial = &keys.merchant_serial;
        let credentials =
            V3Credentials::new(merchant, serial, &keys.merchant_private_key, &keys.api_v3_key)
                .map_err(|error| AccountError::new(error.field, error.problem))?
                .trusting(trust.clone());
        refuse_own_key(&credentials)?;
        let keys = ArcSwap::from_pointee(trust);
        Ok(WechatV3 { site, trusted: Arc::new(Trusted { credentials, keys }) })
    }

    fn credentials(&self) -> &V3Credentials {
        &self.trusted.credentials
    }

    /// An exchange whose answer is read with the keys that are known by then.
    fn exchange<T: 'static>(
        &self,
        request: HttpRequest,
        read: impl Fn(&V3Credentials, &Received<'_>) -> Reply<T> + Send + Sync + 'static,
    ) -> Exchange<T> {
        let trusted = Arc::clone(&self.trusted);
        Exchange::new(request, move |response, now| trusted.read(response, now, &read))
    }

    fn pay_by_code(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Exchange, OrderError> {
        let code = order.payer.and_then(|payer| payer.auth_code.clone()).unwrap_or_default();
        if !is_auth_code(&code) {
            return Err(wechat::no_auth_code());
        }
        let number = order.out_trade_no.as_str();
        let out_id = Some(self.site.name.to_string());
        let payment = CodePayment {
            description: wechat::description(order.subject),
            attach: order.attach.map(str::to_owned),
            scene_info: CodeScene {
                device_ip: order.client_ip.map(str::to_owned),
                store_info: CodeStore { out_id, ..CodeStore::default() },
                ..CodeScene::default()
            },
            ..CodePayment::new(Secret::new(code), number, order.amount.fen())
        };
        let request = payment.encode(self.credentials(), stamp_of(stamp));
        Ok(self.exchange(request, move |credentials, received| {
            wechat::paid_by_code(payment.decode_reply(credentials, received))
        }))
    }

    fn reverse(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let reverse = v3::ReverseOrder { out_trade_no: number.to_string() };
        let request = reverse.encode(self.credentials(), stamp_of(stamp));
        self.exchange(request, move |credentials, received| {
            let answer = reverse.decode_reply(credentials, received);
            wechat::reversed(answer.map(|answer| answer.map(|()| true)))
        })
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

/// The merchant's certificate lies beside WeChat's and is taken for it. Then whatever this
/// merchant's own key signs would be news from WeChat.
fn refuse_own_key(credentials: &V3Credentials) -> Result<(), AccountError> {
    let own = credentials.merchant_key().public();
    let Some(key) = credentials.trust().iter().find(|key| *key.key() == own) else {
        return Ok(());
    };
    let field = if key.is_public_key() { "public_key" } else { "platform_certificates" };
    let message = "this is the merchant's own (apiclient_cert.pem, or its key), which proves \
                   nothing about WeChat Pay; give the platform certificate, or pub_key.pem of the \
                   merchant platform";
    Err(AccountError::new(field, message))
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

    fn root(&self) -> Option<&Arc<Certificate>> {
        self.site.root.as_ref()
    }

    fn channels(&self) -> &'static [Channel] {
        wechat::CHANNELS
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_wechat(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        if order.channel == Channel::WechatMicropay {
            return self.pay_by_code(order, stamp).map(Placing::Call);
        }
        let come_back = self.site.cashier_url(order.charge);
        let openid = wechat::openid(order)?;
        let of_sub_app = self.credentials().merchant().sub_app_id.is_some();
        let (openid, sub_openid) = if of_sub_app { (None, openid) } else { (openid, None) };
        let channel = order.channel;
        let order = v3::Order {
            trade_type: wechat::trade_type(channel),
            description: wechat::description(order.subject),
            out_trade_no: order.out_trade_no.to_string(),
            time_expire: Some(order.expires_at),
            attach: order.attach.map(str::to_owned),
            notify_url: self.site.notify_url("wechat"),
            total: order.amount.fen(),
            currency: Some("CNY".to_owned()),
            openid,
            sub_openid,
            scene_info: scene(order)?,
            ..v3::Order::default()
        };
        let request = order.encode(self.credentials(), stamp_of(stamp));
        let nonce = stamp.nonce.clone();
        let trusted = Arc::clone(&self.trusted);
        Ok(Placing::Call(Exchange::new(request, move |response, now| {
            trusted.read(response, now, |credentials, received| {
                let sign = |id: &str| ClientParams {
                    jsapi: v3_jsapi(credentials, id, &nonce, now),
                    app: v3_app(credentials, id, &nonce, now),
                };
                wechat::placed(order.decode_reply(received), |prepaid| {
                    wechat::shown(prepaid, channel, &come_back, sign)
                })
            })
        })))
    }

    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        let query = OrderQuery::by_out_trade_no(order.out_trade_no.as_str());
        let request = query.encode(self.credentials(), stamp_of(stamp));
        self.exchange(request, move |credentials, received| {
            wechat::queried(query.decode_reply(credentials, received))
        })
    }

    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        if order.channel.is_scanned_by_merchant() {
            return self.reverse(order.out_trade_no, stamp);
        }
        let close = CloseOrder { out_trade_no: order.out_trade_no.to_string() };
        let request = close.encode(self.credentials(), stamp_of(stamp));
        self.exchange(request, move |_, received| wechat::closed(close.decode_reply(received)))
    }

    fn close_wait(&self, refusal: &Refusal) -> Option<Span> {
        wechat::close_wait(refusal)
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_wechat(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        None
    }

    fn refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let refund = v3::RefundOrder {
            key: TradeKey::OutTradeNo(refund.order.out_trade_no.to_string()),
            out_refund_no: refund.out_refund_no.to_string(),
            reason: refund.reason.map(wechat::refund_reason),
            notify_url: Some(self.site.notify_url("wechat")),
            funds_account: None,
            refund: refund.amount.fen(),
            total: refund.paid,
            from: None,
            goods_detail: None,
        };
        let request = refund.encode(self.credentials(), stamp_of(stamp));
        self.exchange(request, move |_, received| wechat::refunded(refund.decode_reply(received)))
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let query = v3::RefundQuery { out_refund_no: refund.out_refund_no.to_string() };
        let request = query.encode(self.credentials(), stamp_of(stamp));
        self.exchange(request, move |_, received| {
            wechat::refund_queried(query.decode_reply(received))
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

    fn bill(&self, wanted: BillWanted, stamp: &Stamp) -> Result<BillPlan, BillHindrance> {
        let question = LinkQuestion::of(wanted);
        let request = question.encode(self.credentials(), stamp_of(stamp));
        let trusted = Arc::clone(&self.trusted);
        Ok(BillPlan::Ask(self.exchange(request, move |_, received| {
            let trusted = Arc::clone(&trusted);
            wechat_bill::linked(question.decode_reply(received), move |link, stamp| {
                link.encode(&trusted.credentials, stamp_of(stamp))
            })
        })))
    }

    fn read_notice(&self, request: &HttpRequest, wall: Timestamp) -> Result<Notice, NoticeRefusal> {
        let keys = self.trusted.keys.load();
        let verified = v3::receive(self.credentials(), &keys, request, wall)
            .map_err(|error| wechat::notice_refusal(&error, self.claimed(request)))?;
        match verified {
            News::Payment(verified) => wechat::notice(verified),
            News::Refund(verified) => wechat::refund_notice(&verified.into_value().refund),
        }
    }

    fn words(&self, answer: &HttpResponse) -> Option<String> {
        words::of_json(&answer.body)
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

/// WeChat wants to know of an H5 payer's browser; of others it does not matter.
fn scene(order: &Order<'_>) -> Result<Option<SceneInfo>, OrderError> {
    if order.channel != Channel::WechatH5 {
        return Ok(None);
    }
    let h5_info: Map<String, Value> =
        [("type".to_owned(), Value::from("Wap"))].into_iter().collect();
    let payer_client_ip = wechat::payer_ip(order)?;
    Ok(Some(SceneInfo { payer_client_ip, h5_info: Some(h5_info), ..SceneInfo::default() }))
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
