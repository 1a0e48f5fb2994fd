//! Alipay OpenAPI 2.0: `gateway.do`, signed with RSA2, by public keys or by certificates.

use crate::account::{AccountError, AlipayKeys, Site};
use crate::{Acknowledgement, Adapter, Doubt, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{Placing, Refusal, Reply, Stamp};
use std::sync::Arc;
use tongbao_alipay::open::{self, CallContext, Expiry, Notification};
use tongbao_alipay::{
    Answer, CertificateFiles, Credentials, CredentialsError, GatewayError, ReplyError, TradeStatus,
};
use tongbao_core::{Action, Fact, Payer, Seen};
use tongbao_types::{
    AccountName, Channel, Fen, HttpRequest, HttpResponse, OutTradeNo, Provider, Timestamp, TradeNo,
};

pub(crate) struct AlipayOpen {
    site: Site,
    credentials: Arc<Credentials>,
}

const ENDPOINT: &str = "https://openapi.alipay.com";

impl AlipayOpen {
    pub(crate) fn new(site: Site, keys: AlipayKeys) -> Result<AlipayOpen, AccountError> {
        let credentials = read_credentials(&keys)?;
        Ok(AlipayOpen { site, credentials: Arc::new(credentials) })
    }

    fn order(&self, order: &Order<'_>, product_code: &str) -> open::Order {
        open::Order {
            out_trade_no: order.out_trade_no.clone(),
            total_amount: order.amount,
            subject: subject(order.subject),
            product_code: product_code.to_owned(),
            body: order.body.map(|body| body.chars().take(128).collect()),
            expiry: Some(Expiry::At(order.expires_at)),
            passback_params: order.attach.map(str::to_owned),
            seller_id: None,
        }
    }

    fn precreate(&self, order: &Order<'_>, call: &CallContext) -> Exchange {
        let product_code = open::precreate::QR_CODE_OFFLINE;
        let precreate = open::precreate::Precreate { order: self.order(order, product_code) };
        let request = precreate.encode(&self.credentials, call);
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| match precreate.decode(&credentials, response) {
            Ok(Answer::Done(reply)) => {
                let action = Action::QrCode { code_url: reply.qr_code };
                Reply::Done(Fact::Awaiting(Some(action)))
            }
            Ok(Answer::Refused(error)) if error.is("TRADE_HAS_SUCCESS") => {
                Reply::AskNow(refusal(error))
            }
            Ok(Answer::Refused(error)) => refused(error),
            Err(error) => doubted(&error),
        })
    }
}

impl Adapter for AlipayOpen {
    fn name(&self) -> &AccountName {
        &self.site.name
    }

    fn provider(&self) -> Provider {
        Provider::Alipay
    }

    fn endpoint(&self) -> &str {
        self.site.endpoint.as_deref().unwrap_or(ENDPOINT)
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::AlipayPage, Channel::AlipayQr]
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_alipay(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        let mut call = CallContext::at(stamp.wall);
        call.notify_url = Some(self.site.notify_url("alipay"));
        if order.channel != Channel::AlipayPage {
            return Ok(Placing::Call(self.precreate(order, &call)));
        }
        call.return_url = Some(self.site.return_url());
        let page = open::page::PagePay::new(self.order(order, open::page::PRODUCT_CODE));
        let gateway = format!("{}{}", self.endpoint(), open::envelope::PATH);
        let url = page.url(&self.credentials, &call, &gateway);
        Ok(Placing::Ready(Action::Redirect { url }))
    }

    fn query(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let trade = open::TradeRef::Out(number.clone());
        let query = open::query::Query { trade };
        let request = query.encode(&self.credentials, &CallContext::at(stamp.wall));
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| match query.decode(&credentials, response) {
            Ok(Answer::Done(reply)) => queried(reply),
            Ok(Answer::Refused(error)) if error.is("TRADE_NOT_EXIST") => Reply::Done(Fact::Absent),
            Ok(Answer::Refused(error)) => refused(error),
            Err(error) => doubted(&error),
        })
    }

    fn close(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange {
        let trade = open::TradeRef::Out(number.clone());
        let close = open::close::Close { trade };
        let request = close.encode(&self.credentials, &CallContext::at(stamp.wall));
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(request, move |response, _| match close.decode(&credentials, response) {
            Ok(Answer::Done(_)) => Reply::Done(Fact::Closed),
            Ok(Answer::Refused(error)) => close_refused(error),
            Err(error) => doubted(&error),
        })
    }

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        let verified = open::notify::verify(&self.credentials, request).map_err(|error| {
            let claims = open::notify::claimed_out_trade_no(request);
            NoticeRefusal {
                code: error.code(),
                reason: error.to_string(),
                claims: claims.and_then(|number| OutTradeNo::new(number).ok()),
                keys_may_help: false,
            }
        })?;
        Ok(notice(verified.into_inner()))
    }

    /// Alipay reads the body alone: exactly `success`, or it repeats.
    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        let plain = "text/plain; charset=utf-8";
        match outcome {
            Acknowledgement::Accepted => HttpResponse::new(200, plain, open::notify::SUCCESS),
            Acknowledgement::Refused(..) => HttpResponse::new(200, plain, open::notify::FAIL),
            Acknowledgement::Unavailable => HttpResponse::new(503, plain, open::notify::FAIL),
        }
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        let verified = open::return_url::verify(&self.credentials, request.query()).ok()?;
        Some(verified.into_inner())
    }
}

fn read_credentials(keys: &AlipayKeys) -> Result<Credentials, AccountError> {
    let app_key = keys.app_private_key.expose();
    let certificates = (&keys.app_cert, &keys.alipay_cert, &keys.alipay_root_cert);
    let credentials = match (certificates, &keys.alipay_public_key) {
        ((Some(app), Some(alipay), Some(root)), _) => {
            let files = CertificateFiles { app, alipay, root };
            Credentials::with_certificates(&keys.app_id, app_key, files)
        }
        ((None, None, None), Some(public_key)) => {
            Credentials::with_public_key(&keys.app_id, app_key, public_key)
        }
        ((None, None, None), None) => {
            let message = "give alipay_public_key (支付宝公钥), or app_cert, alipay_cert and \
                           alipay_root_cert for certificate mode";
            return Err(AccountError::new("alipay_public_key", message));
        }
        _ => {
            let message =
                "certificate mode needs all three: app_cert, alipay_cert and alipay_root_cert";
            return Err(AccountError::new("app_cert", message));
        }
    };
    let credentials = match &keys.seller_id {
        None => credentials,
        Some(seller_id) => credentials.and_then(|own| own.with_seller_id(seller_id)),
    };
    credentials.map_err(|error| AccountError::new(field(&error), error.to_string()))
}

fn field(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::AppId => "app_id",
        CredentialsError::SellerId => "seller_id",
        CredentialsError::AppKey(_) => "app_private_key",
        CredentialsError::AlipayKey(_) | CredentialsError::SameKeyTwice => "alipay_public_key",
        _ => "app_cert",
    }
}

/// Alipay takes no `/`, `=` and `&` in a subject; their full-width twins read the same.
fn subject(text: &str) -> String {
    let twin = |c| match c {
        '/' => '／',
        '=' => '＝',
        '&' => '＆',
        other => other,
    };
    text.chars().take(256).map(twin).collect()
}

fn queried(reply: open::query::QueryReply) -> Reply {
    let payer = payer(reply.buyer_user_id.or(reply.buyer_open_id));
    let seen = || Seen {
        amount: reply.total_amount,
        currency: "CNY".to_owned(),
        trade_no: reply.trade_no.clone(),
        paid_at: reply.send_pay_date,
        payer: payer.clone(),
    };
    match reply.trade_status {
        TradeStatus::WaitBuyerPay => Reply::Done(Fact::Awaiting(None)),
        TradeStatus::TradeSuccess | TradeStatus::TradeFinished => Reply::Done(Fact::Paid(seen())),
        // Closed after a full refund: it was paid, which only this date tells.
        TradeStatus::TradeClosed if reply.send_pay_date.is_some() => {
            Reply::Done(Fact::Paid(seen()))
        }
        TradeStatus::TradeClosed => Reply::Done(Fact::Closed),
        status => Reply::Unknown(Doubt {
            reason: format!("Alipay says the trade is in the state {}", status.as_str()),
            keys_may_help: false,
        }),
    }
}

fn notice(notification: Notification) -> Notice {
    let number = notification.out_trade_no.clone();
    let fact = match &notification.trade_status {
        status if status.is_paid() => Fact::Paid(paid(notification)),
        TradeStatus::TradeClosed if notification.is_about_refund() => {
            Fact::Paid(paid(notification))
        }
        TradeStatus::TradeClosed => Fact::Closed,
        _ => return Notice::Other,
    };
    Notice::Order { number, fact }
}

fn paid(notification: Notification) -> Seen {
    let amount: Fen = notification.total_amount;
    let trade_no: TradeNo = notification.trade_no;
    Seen {
        amount,
        currency: "CNY".to_owned(),
        trade_no,
        paid_at: notification.gmt_payment,
        payer: payer(notification.buyer_id.or(notification.buyer_open_id)),
    }
}

fn payer(buyer_id: Option<String>) -> Option<Payer> {
    buyer_id.map(|id| Payer { buyer_id: Some(id), ..Payer::default() })
}

/// Closing tells a paid from a closed trade only by a query; a trade that Alipay does not know yet
/// cannot be closed.
fn close_refused(error: GatewayError) -> Reply {
    let ask = ["TRADE_STATUS_ERROR", "REASON_TRADE_STATUS_INVALID", "REASON_ILLEGAL_STATUS"];
    if error.is("TRADE_NOT_EXIST") {
        return Reply::Done(Fact::Absent);
    }
    if ask.iter().any(|name| error.is(name)) {
        return Reply::AskNow(refusal(error));
    }
    refused(error)
}

fn refused(error: GatewayError) -> Reply {
    if error.is_unknown() || error.is_limited() {
        return Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help: false });
    }
    Reply::Refused(refusal(error))
}

fn refusal(error: GatewayError) -> Refusal {
    let GatewayError { code, msg, sub_code, sub_msg, .. } = error;
    let (code, message) = if sub_code.is_empty() { (code, msg) } else { (sub_code, sub_msg) };
    Refusal { code, message }
}

fn doubted(error: &ReplyError) -> Reply {
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_keeps_its_look_without_forbidden_characters() {
        assert_eq!(subject("a/b=c&d 测试"), "a／b＝c＆d 测试");
    }
}
