//! What Alipay's protocols have in common: how their words map to the core's.

use crate::account::{AccountError, AlipayKeys};
use crate::{Acknowledgement, Doubt, Notice, NoticeRefusal, Order, OrderError, OrderRef};
use crate::{RefundOrder, Refusal, Reply};
use tongbao_alipay::open::cancel::{Cancel, CancelAction, CancelReply};
use tongbao_alipay::open::close::Close;
use tongbao_alipay::open::create::{self, Buyer, Create, CreateReply};
use tongbao_alipay::open::pay::{self, AuthCode, Pay, PayProgress, PayReply, Scene};
use tongbao_alipay::open::precreate::{self, Precreate, PrecreateReply};
use tongbao_alipay::open::query::{Query, QueryReply};
use tongbao_alipay::open::refund::{Refund, RefundReply};
use tongbao_alipay::open::refund_query::{
    RefundFound, RefundQuery, RefundQueryReply, RefundStatus,
};
use tongbao_alipay::open::{self, Expiry, NoticeError, NoticeKind, Notification, TradeRef};
use tongbao_alipay::{
    Answer, CertificateFiles, ContentKey, Credentials, CredentialsError, GatewayError, PayRefusal,
    RefundRefusal, ReplyError, TradeStatus,
};
use tongbao_core::{Action, Fact, Payer, RefundFact, Seen};
use tongbao_types::{Channel, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo};

/// What an account with an app at Alipay can do.
pub(crate) const CHANNELS: &[Channel] = &[
    Channel::AlipayPage,
    Channel::AlipayWap,
    Channel::AlipayApp,
    Channel::AlipayQr,
    Channel::AlipayJsapi,
    Channel::AlipayBarcode,
];

/// The account's credentials, parsed once.
pub(crate) fn read_credentials(keys: &AlipayKeys) -> Result<Credentials, AccountError> {
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
    let credentials =
        credentials.map_err(|error| AccountError::new(field(&error), error.to_string()))?;
    let Some(key) = &keys.aes_key else { return Ok(credentials) };
    let key = ContentKey::read(key.expose()).map_err(|_| {
        let message = "it is 16 bytes as base64 (24 characters), as 接口内容加密方式 shows it";
        AccountError::new("aes_key", message)
    })?;
    Ok(credentials.with_content_key(key))
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

/// What all of an account's orders have in common.
pub(crate) fn order(order: &Order<'_>, product_code: &str) -> open::Order {
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

/// An order as a QR code.
pub(crate) fn precreate(charge: &Order<'_>) -> Precreate {
    Precreate { order: order(charge, precreate::QR_CODE_OFFLINE) }
}

/// An order for a known payer, who pays it inside this app.
pub(crate) fn create(charge: &Order<'_>, app_id: &str) -> Result<Create, OrderError> {
    Ok(Create {
        buyer: buyer(charge)?,
        order: order(charge, create::JSAPI_PAY),
        op_app_id: Some(app_id.to_owned()),
        op_buyer_open_id: None,
    })
}

/// A payment by the code that the payer shows.
pub(crate) fn pay(charge: &Order<'_>) -> Result<Pay, OrderError> {
    Ok(Pay {
        auth_code: auth_code(charge)?,
        order: order(charge, pay::FACE_TO_FACE_PAYMENT),
        scene: Scene::BarCode,
    })
}

pub(crate) fn query(order: OrderRef<'_>) -> Query {
    Query { trade: trade(order) }
}

pub(crate) fn close(order: OrderRef<'_>) -> Close {
    Close { trade: trade(order) }
}

pub(crate) fn cancel(order: OrderRef<'_>) -> Cancel {
    Cancel { trade: trade(order) }
}

/// The refund as the provider's crate wants it.
pub(crate) fn refund(refund: &RefundOrder<'_>) -> Refund {
    Refund {
        trade: trade(refund.order),
        refund_amount: refund.amount,
        out_request_no: Some(refund.out_refund_no.to_string()),
        refund_reason: refund.reason.map(|text| text.chars().take(256).collect()),
        with_detail: false,
    }
}

pub(crate) fn refund_query(refund: &RefundOrder<'_>) -> RefundQuery {
    RefundQuery {
        trade: trade(refund.order),
        out_request_no: refund.out_refund_no.to_string(),
        with_detail: true,
    }
}

/// By our number: Alipay's is not known before the payer came.
pub(crate) fn trade(order: OrderRef<'_>) -> TradeRef {
    TradeRef::Out(order.out_trade_no.clone())
}

/// Who shall pay inside Alipay: the older user id, or the newer id of one app.
fn buyer(order: &Order<'_>) -> Result<Buyer, OrderError> {
    let id = order.payer.and_then(|payer| payer.buyer_id.clone());
    let id = id.filter(|id| !id.is_empty() && id.len() <= 128).ok_or_else(|| OrderError {
        param: "payer.buyer_id",
        message: "A page inside Alipay needs the payer: payer.buyer_id is Alipay's user id \
                  (2088…) or its newer open_id."
            .to_owned(),
    })?;
    let old = id.len() == 16 && id.starts_with("2088") && id.bytes().all(|b| b.is_ascii_digit());
    Ok(if old { Buyer::UserId(id) } else { Buyer::OpenId(id) })
}

/// The code that the payer shows.
fn auth_code(order: &Order<'_>) -> Result<AuthCode, OrderError> {
    let code = order.payer.and_then(|payer| payer.auth_code.as_deref()).unwrap_or_default();
    AuthCode::new(code).map_err(|rule| OrderError {
        param: "payer.auth_code",
        message: format!("The code that the payer shows is needed: {rule}."),
    })
}

/// What the answer to an order as a QR code amounts to.
pub(crate) fn precreated(answer: Result<Answer<PrecreateReply>, ReplyError>) -> Reply {
    placed(answer, |reply| Fact::Awaiting(Some(Action::QrCode { code_url: reply.qr_code })))
}

/// What the answer to an order for a known payer amounts to.
pub(crate) fn created(answer: Result<Answer<CreateReply>, ReplyError>) -> Reply {
    placed(answer, |reply| {
        let params = vec![("tradeNO".to_owned(), reply.trade_no.to_string())];
        Fact::Awaiting(Some(Action::Jsapi { params }))
    })
}

/// Whether it refuses an order because its number has one already.
fn says_of_the_number(error: &GatewayError) -> bool {
    error.is_trade_paid() || error.is_trade_closed() || error.is_other_content()
}

/// What the answer to an order amounts to, once it is placed.
fn placed<T>(answer: Result<Answer<T>, ReplyError>, awaiting: impl FnOnce(T) -> Fact) -> Reply {
    match answer {
        Ok(Answer::Done(reply)) => Reply::Done(awaiting(reply)),
        Ok(Answer::Refused(error)) if says_of_the_number(&error) => Reply::AskNow(refusal(error)),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What the answer to a payment by code amounts to. Alipay keeps the right to take even a paid one
/// back, so that only a query is final.
pub(crate) fn paid_by_code(answer: Result<Answer<PayReply>, ReplyError>) -> Reply {
    let error = match answer {
        Ok(Answer::Done(reply)) if reply.progress == PayProgress::Deducted => {
            return Reply::Confirm;
        }
        Ok(Answer::Done(_)) => return Reply::Done(Fact::Awaiting(None)),
        Ok(Answer::Refused(error)) => error,
        Err(error) => return doubted(&error),
    };
    match error.of_pay() {
        _ if says_of_the_number(&error) => Reply::AskNow(refusal(error)),
        PayRefusal::Unknown | PayRefusal::Ask => unknown(error),
        PayRefusal::Buyer
        | PayRefusal::AuthCode
        | PayRefusal::Risk
        | PayRefusal::Later
        | PayRefusal::Setup => Reply::Refused(refusal(error)),
    }
}

/// What a query's answer amounts to.
pub(crate) fn query_answer(answer: Result<Answer<QueryReply>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(reply)) => queried(reply),
        Ok(Answer::Refused(error)) if error.is_trade_not_exist() => Reply::Done(Fact::Absent),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What a close's answer amounts to.
pub(crate) fn close_answer<T>(answer: Result<Answer<T>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(_)) => Reply::Done(Fact::Closed),
        Ok(Answer::Refused(error)) => close_refused(error),
        Err(error) => doubted(&error),
    }
}

/// What taking an order back amounts to.
pub(crate) fn cancel_answer(answer: Result<Answer<CancelReply>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(reply)) if reply.must_retry => Reply::Unknown(Doubt {
            reason: "Alipay wants the cancelling repeated".to_owned(),
            keys_may_help: false,
        }),
        Ok(Answer::Done(reply)) => Reply::Done(match reply.action {
            Some(CancelAction::Close | CancelAction::Refund) => Fact::Closed,
            None => Fact::Absent,
        }),
        Ok(Answer::Refused(error)) => close_refused(error),
        Err(error) => doubted(&error),
    }
}

/// What the answer to a refund amounts to. Without a change of funds it was done before or is not
/// done yet.
pub(crate) fn refund_answer(answer: Result<Answer<RefundReply>, ReplyError>) -> Reply<RefundFact> {
    let error = match answer {
        Ok(Answer::Done(reply)) if reply.has_fund_change => {
            return Reply::Done(RefundFact::Succeeded {
                provider_no: None,
                amount: None,
                at: reply.gmt_refund_pay,
            });
        }
        Ok(Answer::Done(_)) => return Reply::Confirm,
        Ok(Answer::Refused(error)) => error,
        Err(error) => return doubted(&error),
    };
    let of_the_trade = error.is_trade_closed()
        || error.is_wrong_state()
        || error.is_trade_not_exist()
        || REFUND_CONTRADICTS.iter().any(|name| error.is(name));
    let meaning = error.of_refund();
    match meaning {
        _ if of_the_trade => Reply::AskNow(refusal(error)),
        RefundRefusal::Unknown | RefundRefusal::Ask => unknown(error),
        RefundRefusal::Later | RefundRefusal::Setup => {
            let Refusal { code, message } = refusal(error);
            Reply::Done(RefundFact::NotNow { code, message })
        }
        RefundRefusal::Final => {
            let Refusal { code, message } = refusal(error);
            Reply::Done(RefundFact::Refused { code, message })
        }
    }
}

/// Alipay says so both of a refund above what is left and of one that it has done already.
const REFUND_CONTRADICTS: [&str; 4] = [
    "DISCORDANT_REPEAT_REQUEST",
    "REFUND_AMT_NOT_EQUAL_TOTAL",
    "REASON_TRADE_REFUND_FEE_ERR",
    "REFUND_FEE_ERROR",
];

/// What the answer to a question about a refund amounts to.
pub(crate) fn refund_query_answer(
    answer: Result<Answer<RefundQueryReply>, ReplyError>,
) -> Reply<RefundFact> {
    match answer {
        Ok(Answer::Done(RefundQueryReply::NothingKnown)) => Reply::Done(RefundFact::Absent),
        Ok(Answer::Done(RefundQueryReply::Found(found))) => refund_found(found),
        Ok(Answer::Refused(error)) if error.is_trade_not_exist() => Reply::Done(RefundFact::Absent),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What an answer amounts to of which only the words are wanted.
pub(crate) fn shown_only<T>(answer: Result<Answer<T>, ReplyError>) -> Reply<()> {
    match answer {
        Ok(Answer::Done(_)) => Reply::Done(()),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

fn refund_found(found: RefundFound) -> Reply<RefundFact> {
    match found.refund_status {
        // Before 2020 replies had no status; the amount alone said that it was done.
        Some(RefundStatus::Success) | None if found.refund_amount.is_some() => {
            Reply::Done(RefundFact::Succeeded {
                provider_no: None,
                amount: found.refund_amount,
                at: found.gmt_refund_pay,
            })
        }
        Some(RefundStatus::Processing) => Reply::Done(RefundFact::Processing { provider_no: None }),
        // Whether the money will move after all is not said, so it stays reserved; but a person
        // has to know.
        Some(RefundStatus::Fail) => Reply::Done(RefundFact::Abnormal { provider_no: None }),
        status => Reply::Unknown(Doubt {
            reason: format!(
                "Alipay says the refund is in the state {}",
                status.as_ref().map_or("(none)", RefundStatus::as_str)
            ),
            keys_may_help: false,
        }),
    }
}

/// Alipay takes no `/`, `=` and `&` in a subject; their full-width twins read the same.
pub(crate) fn subject(text: &str) -> String {
    let twin = |c| match c {
        '/' => '／',
        '=' => '＝',
        '&' => '＆',
        other => other,
    };
    text.chars().take(256).map(twin).collect()
}

fn queried(reply: QueryReply) -> Reply {
    let seen = Seen {
        amount: reply.total_amount,
        currency: "CNY".to_owned(),
        trade_no: reply.trade_no,
        paid_at: reply.send_pay_date,
        payer: payer(reply.buyer_user_id.or(reply.buyer_open_id)),
        returned: false,
    };
    stands(&reply.trade_status, seen)
}

/// What a trade amounts to that Alipay was asked about.
pub(crate) fn stands(status: &TradeStatus, seen: Seen) -> Reply {
    match status {
        TradeStatus::WaitBuyerPay => Reply::Done(Fact::Awaiting(None)),
        TradeStatus::TradeSuccess | TradeStatus::TradeFinished => Reply::Done(Fact::Paid(seen)),
        // Closed after a full refund: it was paid, which only the date of payment tells.
        TradeStatus::TradeClosed if seen.paid_at.is_some() => {
            Reply::Done(Fact::Paid(Seen { returned: true, ..seen }))
        }
        TradeStatus::TradeClosed => Reply::Done(Fact::Closed),
        TradeStatus::Unknown(status) => Reply::Unknown(Doubt {
            reason: format!("Alipay says the trade is in the state {status}"),
            keys_may_help: false,
        }),
    }
}

/// The refusal of a notification; what it claims to be about proves nothing.
pub(crate) fn notice_refusal(error: &NoticeError, request: &HttpRequest) -> NoticeRefusal {
    let claims = open::notify::claimed_out_trade_no(request);
    NoticeRefusal {
        code: error.code(),
        reason: error.to_string(),
        claims: claims.and_then(|number| OutTradeNo::new(number).ok()),
        keys_may_help: false,
    }
}

/// Alipay reads the body alone: exactly `success`, or it repeats.
pub(crate) fn acknowledge(outcome: Acknowledgement<'_>) -> HttpResponse {
    let plain = "text/plain; charset=utf-8";
    match outcome {
        Acknowledgement::Accepted => HttpResponse::new(200, plain, open::notify::SUCCESS),
        Acknowledgement::Refused(..) => HttpResponse::new(200, plain, open::notify::FAIL),
        Acknowledgement::Unavailable => HttpResponse::new(503, plain, open::notify::FAIL),
    }
}

/// What a verified notification tells. One about a refund names how much went back in all, so that
/// the refund itself is asked for.
pub(crate) fn notice(notification: Notification) -> Notice {
    let number = notification.out_trade_no.clone();
    let refund = notification.out_biz_no.as_ref().filter(|_| notification.is_about_refund());
    if let Some(Ok(out_refund_no)) = refund.map(|number| OutRefundNo::new(number.as_str())) {
        return Notice::Refund { number, out_refund_no, fact: None };
    }
    let fact = match notification.kind() {
        NoticeKind::Paid | NoticeKind::RefundedInPart => Fact::Paid(paid(notification)),
        NoticeKind::RefundedInFull => Fact::Paid(Seen { returned: true, ..paid(notification) }),
        NoticeKind::Closed => Fact::Closed,
        NoticeKind::Created | NoticeKind::Unknown => return Notice::Other,
    };
    Notice::Order { number, fact }
}

fn paid(notification: Notification) -> Seen {
    Seen {
        amount: notification.total_amount,
        currency: "CNY".to_owned(),
        trade_no: notification.trade_no,
        paid_at: notification.gmt_payment,
        payer: payer(notification.buyer_id.or(notification.buyer_open_id)),
        returned: false,
    }
}

pub(crate) fn payer(buyer_id: Option<String>) -> Option<Payer> {
    buyer_id.map(|id| Payer { buyer_id: Some(id), ..Payer::default() })
}

/// Closing tells a paid from a closed trade only by a query; a trade that Alipay does not know yet
/// cannot be closed.
fn close_refused(error: GatewayError) -> Reply {
    if error.is_trade_not_exist() {
        return Reply::Done(Fact::Absent);
    }
    if error.is_wrong_state() {
        return Reply::AskNow(refusal(error));
    }
    refused(error)
}

pub(crate) fn refused<T>(error: GatewayError) -> Reply<T> {
    if error.is_unknown() || error.is_limited() {
        return unknown(error);
    }
    Reply::Refused(refusal(error))
}

fn unknown<T>(error: GatewayError) -> Reply<T> {
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help: false })
}

fn refusal(error: GatewayError) -> Refusal {
    let GatewayError { code, msg, sub_code, sub_msg, .. } = error;
    let (code, message) = if sub_code.is_empty() { (code, msg) } else { (sub_code, sub_msg) };
    Refusal { code, message }
}

pub(crate) fn doubted<T>(error: &ReplyError) -> Reply<T> {
    let keys_may_help = matches!(error, ReplyError::CertificateUnknown { .. });
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_keeps_its_look_without_forbidden_characters() {
        assert_eq!(subject("a/b=c&d 测试"), "a／b＝c＆d 测试");
    }
}
