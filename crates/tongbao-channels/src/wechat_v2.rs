//! WeChat Pay API v2: orders as XML, signed with the APIv2 key.

use crate::account::{AccountError, Site, WechatV2Keys};
use crate::wechat;
use crate::{Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{Placing, Stamp};
use std::sync::Arc;
use tongbao_types::{
    AccountName, Channel, HttpRequest, HttpResponse, OutTradeNo, Provider, Timestamp,
};
use tongbao_wechat::v2::{self, CloseOrder, OrderQuery, UnifiedOrder};
use tongbao_wechat::{Merchant, SignType, TradeType, V2Credentials};

pub(crate) struct WechatV2 {
    site: Site,
    credentials: Arc<V2Credentials>,
}

impl WechatV2 {
    pub(crate) fn new(site: Site, keys: WechatV2Keys) -> Result<WechatV2, AccountError> {
        let sign_type: Result<SignType, _> = keys.sign_type.parse();
        let sign_type =
            sign_type.map_err(|_| AccountError::new("sign_type", "it is MD5 or HMAC-SHA256"))?;
        let merchant = Merchant {
            app_id: keys.app_id,
            mch_id: keys.mch_id,
            sub_app_id: keys.sub_app_id,
            sub_mch_id: keys.sub_mch_id,
        };
        let credentials = V2Credentials::new(merchant, keys.api_key, sign_type)
            .map_err(|error| AccountError::new(error.field, error.problem))?;
        Ok(WechatV2 { site, credentials: Arc::new(credentials) })
    }
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

    fn channels(&self) -> &'static [Channel] {
        &[Channel::WechatNative]
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_wechat(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        let order = UnifiedOrder {
            body: wechat::description(order.subject),
            out_trade_no: order.out_trade_no.to_string(),
            total_fee: order.amount.fen(),
            spbill_create_ip: order.client_ip.unwrap_or("127.0.0.1").to_owned(),
            notify_url: self.site.notify_url("wechat"),
            trade_type: TradeType::Native,
            product_id: Some(order.charge.bare()),
            attach: order.attach.map(str::to_owned),
            time_expire: Some(order.expires_at),
            ..UnifiedOrder::default()
        };
        let request = order.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Ok(Placing::Call(Exchange::new(request, move |response, _| {
            wechat::placed(order.decode_reply(&credentials, response))
        })))
    }

    fn query(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let query = OrderQuery::by_out_trade_no(number.as_str());
        let request = query.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::queried(query.decode_reply(&credentials, response))
        })
    }

    fn close(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let close = CloseOrder { out_trade_no: number.to_string() };
        let request = close.encode(&self.credentials, &stamp.nonce);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| {
            wechat::closed(close.decode_reply(&credentials, response))
        })
    }

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        let verified = v2::receive(&self.credentials, request)
            .map_err(|error| wechat::notice_refusal(&error, v2::claimed_out_trade_no(request)))?;
        wechat::notice(verified)
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        match outcome {
            Acknowledgement::Accepted => v2::accept(),
            Acknowledgement::Refused(code, reason) => v2::refuse(&format!("{code}: {reason}")),
            Acknowledgement::Unavailable => v2::refuse("not stored, please repeat"),
        }
    }
}
