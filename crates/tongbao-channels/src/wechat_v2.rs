//! WeChat Pay API v2: orders as XML, signed with the APIv2 key; refunds and reverses over mutual
//! TLS with the merchant's certificate.

use crate::account::{AccountError, MerchantP12, Site, WechatV2Keys};
use crate::wechat::{self, ClientParams};
use crate::wechat_bill;
use crate::words;
use crate::{Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{BillHindrance, BillPlan, BillWanted, OrderRef, Placing, RefundOrder, Refusal, Stamp};
use std::sync::Arc;
use tongbao_core::RefundFact;
use tongbao_crypt::{Certificate, ClientIdentity};
use tongbao_types::{
    AccountName, Channel, Code, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider,
    Secret, Span, Timestamp,
};
use tongbao_wechat::v2::{self, CloseOrder, Micropay, OrderQuery, Recall, UnifiedOrder};
use tongbao_wechat::{
    Answer, Merchant, RefundKey, SignType, TradeKey, V2Credentials, is_auth_code, v2_app, v2_jsapi,
};

pub(crate) struct WechatV2 {
    site: Site,
    credentials: Arc<V2Credentials>,
    identity: Option<Arc<ClientIdentity>>,
}

impl WechatV2 {
    pub(crate) fn new(site: Site, keys: WechatV2Keys) -> Result<WechatV2, AccountError> {
        let sign_type: Result<SignType, _> = keys.sign_type.parse();
        let sign_type =
            sign_type.map_err(|_| AccountError::new("sign_type", "it is MD5 or HMAC-SHA256"))?;
        let identity = keys.p12.as_ref().map(identity).transpose()?;
        let merchant = Merchant {
            app_id: keys.app_id,
            mch_id: keys.mch_id,
            sub_app_id: keys.sub_app_id,
            sub_mch_id: keys.sub_mch_id,
        };
        let credentials = V2Credentials::new(merchant, keys.api_key, sign_type)
            .map_err(|error| AccountError::new(error.field, error.problem))?;
        Ok(WechatV2 { site, credentials: Arc::new(credentials), identity })
    }

    fn micropay(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Exchange, OrderError> {
        let code = order.payer.and_then(|payer| payer.auth_code.clone()).unwrap_or_default();
        if !is_auth_code(&code) {
            return Err(wechat::no_auth_code());
        }
        let number = order.out_trade_no.as_str();
        let micropay = Micropay {
            body: wechat::description(order.subject),
            spbill_create_ip: order.client_ip.unwrap_or("127.0.0.1").to_owned(),
            attach: order.attach.map(str::to_owned),
            time_expire: Some(order.expires_at),
            ..Micropay::new(Secret::new(code), number, order.amount.fen())
        };
        let request = micropay.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Ok(Exchange::new(request, move |response, _| {
            wechat::paid_by_code(micropay.decode_reply(&credentials, response))
        }))
    }

    fn reverse(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let reverse = v2::ReverseOrder::by_out_trade_no(number.as_str());
        let request = reverse.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            let answer = reverse.decode_reply(&credentials, response);
            wechat::reversed(answer.map(|answer| answer.map(|recall| recall == Recall::Done)))
        })
    }
}

/// The merchant's certificate, read at start so that a bad file is known before the first refund.
fn identity(p12: &MerchantP12) -> Result<Arc<ClientIdentity>, AccountError> {
    let read = ClientIdentity::from_p12(p12.file.expose(), p12.passphrase.expose());
    read.map(Arc::new).map_err(|error| AccountError::new("p12", error.to_string()))
}

impl Adapter for WechatV2 {
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
            return self.micropay(order, stamp).map(Placing::Call);
        }
        let come_back = self.site.cashier_url(order.charge);
        let openid = wechat::openid(order)?;
        let of_sub_app = self.credentials.merchant().sub_app_id.is_some();
        let (openid, sub_openid) = if of_sub_app { (None, openid) } else { (openid, None) };
        let channel = order.channel;
        let h5 = channel == Channel::WechatH5;
        let order = UnifiedOrder {
            body: wechat::description(order.subject),
            out_trade_no: order.out_trade_no.to_string(),
            total_fee: order.amount.fen(),
            spbill_create_ip: wechat::payer_ip(order)?,
            notify_url: self.site.notify_url("wechat"),
            trade_type: wechat::trade_type(channel),
            product_id: (channel == Channel::WechatNative).then(|| order.charge.bare()),
            openid,
            sub_openid,
            scene_info: h5.then(|| H5_SCENE.to_owned()),
            attach: order.attach.map(str::to_owned),
            time_expire: Some(order.expires_at),
            ..UnifiedOrder::default()
        };
        let request = order.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        let nonce = stamp.nonce.clone();
        Ok(Placing::Call(Exchange::new(request, move |response, now| {
            let sign = |id: &str| ClientParams {
                jsapi: v2_jsapi(&credentials, id, &nonce, now),
                app: v2_app(&credentials, id, &nonce, now),
            };
            wechat::placed(order.decode_reply(&credentials, response), |prepaid| {
                wechat::shown(prepaid, channel, &come_back, sign)
            })
        })))
    }

    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        let query = OrderQuery::by_out_trade_no(order.out_trade_no.as_str());
        let request = query.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::queried(query.decode_reply(&credentials, response))
        })
    }

    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        if order.channel.is_scanned_by_merchant() {
            return self.reverse(order.out_trade_no, stamp);
        }
        let close = CloseOrder { out_trade_no: order.out_trade_no.to_string() };
        let request = close.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::closed(close.decode_reply(&credentials, response))
        })
    }

    fn close_wait(&self, refusal: &Refusal) -> Option<Span> {
        wechat::close_wait(refusal)
    }

    fn identity(&self) -> Option<&Arc<ClientIdentity>> {
        self.identity.as_ref()
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_wechat(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        let plain = self.endpoint().starts_with("http://");
        let hindrance = "WeChat's API v2 takes refunds only with the merchant's certificate: give \
                         the account p12_file, the apiclient_cert.p12 of the merchant platform.";
        (self.identity.is_none() && !plain).then_some(hindrance)
    }

    fn refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let refund = v2::RefundOrder {
            key: TradeKey::OutTradeNo(refund.order.out_trade_no.to_string()),
            out_refund_no: refund.out_refund_no.to_string(),
            total_fee: refund.paid,
            refund_fee: refund.amount.fen(),
            refund_desc: refund.reason.map(wechat::refund_reason),
            notify_url: Some(self.site.notify_url("wechat")),
            refund_account: None,
            refund_fee_type: None,
        };
        let request = refund.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::refunded(refund.decode_reply(&credentials, response))
        })
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let query = v2::RefundQuery::by_out_refund_no(refund.out_refund_no.as_str());
        let request = query.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::refund_queried(one_refund(query.decode_reply(&credentials, response)))
        })
    }

    /// By the order's number, so that the answer has all of them.
    fn refunds_of(&self, order: OrderRef<'_>, stamp: &Stamp) -> Option<Exchange<()>> {
        let key = RefundKey::OutTradeNo(order.out_trade_no.to_string());
        let query = v2::RefundQuery { key, offset: None };
        let request = query.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Some(Exchange::new(request, move |response, _| {
            wechat::shown_only(query.decode_reply(&credentials, response))
        }))
    }

    fn bill(&self, wanted: BillWanted, _stamp: &Stamp) -> Result<BillPlan, BillHindrance> {
        let plain = self.endpoint().starts_with("http://");
        wechat_bill::of_v2(&self.credentials, self.identity.is_some() || plain, wanted)
    }

    fn sandbox_key(&self, stamp: &Stamp) -> Option<Exchange<Secret<String>>> {
        let request = v2::SandboxKey::encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Some(Exchange::new(request, move |response, _| {
            wechat::sandbox_key(v2::SandboxKey::decode_reply(&credentials, response))
        }))
    }

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        if v2::is_refund_notice(request) {
            return self.read_refund_notice(request);
        }
        let verified = v2::receive(&self.credentials, request)
            .map_err(|error| wechat::notice_refusal(&error, v2::claimed_out_trade_no(request)))?;
        wechat::notice(verified)
    }

    fn words(&self, answer: &HttpResponse) -> Option<String> {
        words::of_xml(&answer.body)
    }

    fn notice_words(&self, notice: &HttpRequest) -> Option<String> {
        words::of_xml(&notice.body)
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        match outcome {
            Acknowledgement::Accepted => v2::accept(),
            Acknowledgement::Refused(code, reason) => v2::refuse(&format!("{code}: {reason}")),
            Acknowledgement::Unavailable => v2::refuse("not stored, please repeat"),
        }
    }
}

impl WechatV2 {
    /// What it says is not signed, so that it is only a reason to ask.
    fn read_refund_notice(&self, request: &HttpRequest) -> Result<Notice, NoticeRefusal> {
        let refusal = |code, reason: String| NoticeRefusal {
            code,
            reason: wechat::short_reason(&reason),
            claims: None,
            keys_may_help: false,
        };
        let news = v2::read_refund_notice(&self.credentials, request)
            .map_err(|error| refusal(error.code(), error.to_string()))?;
        let number = OutTradeNo::new(news.out_trade_no).ok();
        let refund = news.out_refund_no.and_then(|number| OutRefundNo::new(number).ok());
        match (number, refund) {
            (Some(number), Some(out_refund_no)) => {
                Ok(Notice::Refund { number, out_refund_no, fact: None })
            }
            _ => {
                let reason = "it names no order and refund of ours".to_owned();
                Err(refusal(Code::NoticeMalformed, reason))
            }
        }
    }
}

/// WeChat wants to know where the page stands; for a browser this is all that it checks.
const H5_SCENE: &str = r#"{"h5_info":{"type":"Wap","wap_url":"","wap_name":""}}"#;

/// Asked for one refund, the answer has that one.
fn one_refund(
    answer: Result<Answer<v2::RefundPage>, tongbao_wechat::ReplyError>,
) -> Result<Answer<tongbao_wechat::Refund>, tongbao_wechat::ReplyError> {
    let first = |mut page: v2::RefundPage| page.refunds.swap_remove(0);
    answer.map(|answer| answer.map(first))
}
