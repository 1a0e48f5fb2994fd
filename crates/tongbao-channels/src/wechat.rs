//! What both of WeChat's APIs have in common: how their words map to the core's.

use crate::{Doubt, Notice, NoticeRefusal, Order, OrderError, Refusal, Reply};
use tongbao_core::{Action, Fact, Payer, RefundFact, Seen};
use tongbao_types::{Channel, Code, OutRefundNo, OutTradeNo, Secret, Span, TradeNo};
use tongbao_wechat::{
    Answer, AppParams, CodePaymentRefusal, JsapiParams, NoticeError, Notification, Paid, Prepaid,
    Refund, RefundRefusal, RefundState, ReplyError, SignatureError, Trade, TradeState, TradeType,
    Verified, WechatError, h5_redirect,
};

/// Provider's own address.
pub(crate) const ENDPOINT: &str = "https://api.mch.weixin.qq.com";

/// What an account can do.
pub(crate) const CHANNELS: &[Channel] = &[
    Channel::WechatNative,
    Channel::WechatJsapi,
    Channel::WechatMini,
    Channel::WechatApp,
    Channel::WechatH5,
    Channel::WechatMicropay,
];

/// The code that the payer shows is missing, or is none of WeChat's.
pub(crate) fn no_auth_code() -> OrderError {
    OrderError {
        param: "payer.auth_code",
        message: "The code that the payer shows is needed: payer.auth_code is 18 digits that \
                  begin with 10 to 15."
            .to_owned(),
    }
}

/// WeChat shows the payer at most 80 bytes of a reason.
pub(crate) fn refund_reason(reason: &str) -> String {
    cut(reason, 80)
}

/// The order type of a channel whose orders are placed first and paid later.
pub(crate) fn trade_type(channel: Channel) -> TradeType {
    match channel {
        Channel::WechatJsapi | Channel::WechatMini => TradeType::Jsapi,
        Channel::WechatApp => TradeType::App,
        Channel::WechatH5 => TradeType::Mweb,
        _ => TradeType::Native,
    }
}

/// Who shall pay; pages inside WeChat and mini programs must say it.
pub(crate) fn openid(order: &Order<'_>) -> Result<Option<String>, OrderError> {
    if trade_type(order.channel) != TradeType::Jsapi {
        return Ok(None);
    }
    let openid = order.payer.and_then(|payer| payer.openid.clone());
    let fits = |id: &String| (1..=128).contains(&id.len());
    openid.filter(fits).map(Some).ok_or_else(|| OrderError {
        param: "payer.openid",
        message: format!(
            "{} needs the payer: payer.openid is WeChat's id of the user towards the account's \
             app_id.",
            order.channel
        ),
    })
}

/// The payer's address, which WeChat compares with the browser's when an H5 page is opened.
pub(crate) fn payer_ip(order: &Order<'_>) -> Result<String, OrderError> {
    match order.client_ip {
        Some(address) => Ok(address.to_owned()),
        None if order.channel == Channel::WechatH5 => Err(OrderError {
            param: "client_ip",
            message: "wechat.h5 needs client_ip, the address of the payer's phone; WeChat refuses \
                      the page to any other."
                .to_owned(),
        }),
        None => Ok("127.0.0.1".to_owned()),
    }
}

/// What the payer's side is given, made of the provider's answer. `come_back` is where an H5 page
/// ends.
pub(crate) fn shown(
    prepaid: Prepaid,
    channel: Channel,
    come_back: &str,
    sign: impl Fn(&str) -> ClientParams,
) -> Action {
    match prepaid {
        Prepaid::CodeUrl { code_url, .. } => Action::QrCode { code_url },
        Prepaid::H5Url { h5_url, .. } => Action::Redirect { url: h5_redirect(&h5_url, come_back) },
        Prepaid::PrepayId(id) => match (channel, sign(&id)) {
            (Channel::WechatApp, ClientParams { app, .. }) => Action::App { params: pairs(&app) },
            (_, ClientParams { jsapi, .. }) => Action::Jsapi { params: pairs(&jsapi) },
        },
    }
}

/// What calls the payment up, signed both ways; the channel decides which one is used.
pub(crate) struct ClientParams {
    pub(crate) jsapi: JsapiParams,
    pub(crate) app: AppParams,
}

fn pairs(params: &impl serde::Serialize) -> Vec<(String, String)> {
    let value = serde_json::to_value(params).expect("names and texts are JSON");
    let members = value.as_object().into_iter().flatten();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Whether it refuses an order because its number has one already.
fn says_of_the_number(error: &WechatError) -> bool {
    error.is_paid() || error.is_number_used() || error.is_closed()
}

/// What an order's answer amounts to. A number in use is news only where the order may have been
/// placed before.
pub(crate) fn placed(
    answer: Result<Answer<Prepaid>, ReplyError>,
    show: impl FnOnce(Prepaid) -> Action,
) -> Reply {
    match answer {
        Ok(Answer::Done(prepaid)) => Reply::Done(Fact::Awaiting(Some(show(prepaid)))),
        Ok(Answer::Refused(error)) if says_of_the_number(&error) => Reply::AskNow(refusal(error)),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What the answer to a payment by code amounts to.
pub(crate) fn paid_by_code(answer: Result<Answer<Trade>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Refused(error)) if error.is_user_paying() => Reply::Done(Fact::Awaiting(None)),
        Ok(Answer::Refused(error)) => match error.as_code_payment() {
            CodePaymentRefusal::Unknown => unknown(&error),
            CodePaymentRefusal::NumberUsed => Reply::AskNow(refusal(error)),
            CodePaymentRefusal::Failed => Reply::Refused(refusal(error)),
        },
        done => queried(done),
    }
}

/// What taking an order back amounts to: it is closed, and what was paid goes back.
pub(crate) fn reversed(answer: Result<Answer<bool>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(true)) => Reply::Done(Fact::Closed),
        Ok(Answer::Done(false)) => Reply::Unknown(Doubt {
            reason: "WeChat wants the reversal repeated".to_owned(),
            keys_may_help: false,
        }),
        // API v2 takes back what it does not know with success; v3 says that it does not know it.
        Ok(Answer::Refused(error)) if error.is_not_found() => Reply::Done(Fact::Absent),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What the answer to a refund amounts to. Accepted is not refunded.
pub(crate) fn refunded(answer: Result<Answer<Refund>, ReplyError>) -> Reply<RefundFact> {
    let error = match answer {
        Ok(Answer::Done(refund)) => return refund_stands(&refund),
        Ok(Answer::Refused(error)) => error,
        Err(error) => return doubted(&error),
    };
    let meaning = error.as_refund();
    let Refusal { code, message } = match meaning {
        RefundRefusal::Unknown => return unknown(&error),
        RefundRefusal::Again | RefundRefusal::Final => refusal(error),
    };
    Reply::Done(match meaning {
        RefundRefusal::Again => RefundFact::NotNow { code, message },
        _ => RefundFact::Refused { code, message },
    })
}

/// What the answer to a question about a refund amounts to.
pub(crate) fn refund_queried(answer: Result<Answer<Refund>, ReplyError>) -> Reply<RefundFact> {
    match answer {
        Ok(Answer::Done(refund)) => refund_stands(&refund),
        Ok(Answer::Refused(error)) if error.is_refund_not_found() => {
            Reply::Done(RefundFact::Absent)
        }
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

fn refund_stands(refund: &Refund) -> Reply<RefundFact> {
    match refund_fact(refund) {
        Some(fact) => Reply::Done(fact),
        None => Reply::Unknown(Doubt {
            reason: format!("WeChat says the refund is in the state {}", refund.state.as_v3_str()),
            keys_may_help: false,
        }),
    }
}

fn refund_fact(refund: &Refund) -> Option<RefundFact> {
    let provider_no = Some(refund.refund_id.clone());
    Some(match refund.state {
        RefundState::Processing => RefundFact::Processing { provider_no },
        RefundState::Success => RefundFact::Succeeded {
            provider_no,
            amount: Some(refund.refund_fen),
            at: refund.success_time,
        },
        RefundState::Abnormal => RefundFact::Abnormal { provider_no },
        RefundState::Closed => RefundFact::Closed,
        RefundState::Other(_) => return None,
    })
}

/// What a verified notice about a refund tells.
pub(crate) fn refund_notice(refund: &Refund) -> Result<Notice, NoticeRefusal> {
    let (Ok(number), Ok(out_refund_no)) =
        (OutTradeNo::new(&*refund.out_trade_no), OutRefundNo::new(&*refund.out_refund_no))
    else {
        return Err(malformed("its numbers are none of ours"));
    };
    Ok(Notice::Refund { number, out_refund_no, fact: refund_fact(refund) })
}

fn malformed(reason: &str) -> NoticeRefusal {
    let (code, reason) = (Code::NoticeMalformed, reason.to_owned());
    NoticeRefusal { code, reason, claims: None, keys_may_help: false }
}

/// What a query's answer amounts to.
pub(crate) fn queried(answer: Result<Answer<Trade>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(trade)) => match fact(&trade) {
            Some(fact) => Reply::Done(fact),
            None => Reply::Unknown(Doubt {
                reason: format!("WeChat says the order is in the state {}", trade.state.as_str()),
                keys_may_help: false,
            }),
        },
        Ok(Answer::Refused(error)) if error.is_not_found() => Reply::Done(Fact::Absent),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// What a close's answer amounts to. Production closes closed and unknown orders with success;
/// the documents have codes for both. API v3 does not sign its refusals, so one that speaks of the
/// order's state is a reason to ask, not a proof.
pub(crate) fn closed(answer: Result<Answer<()>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(())) => Reply::Done(Fact::Closed),
        Ok(Answer::Refused(error)) if error.is_not_found() => Reply::Done(Fact::Absent),
        Ok(Answer::Refused(error)) if error.is_paid() || error.is_closed() => {
            Reply::AskNow(refusal(error))
        }
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

/// WeChat refuses to close an order in its first five minutes (微信支付 API v2, 关闭订单: 最短调用时间
/// 间隔为5分钟); not every merchant meets that rule.
pub(crate) fn close_wait(refusal: &Refusal) -> Option<Span> {
    (refusal.code == "TRADE_STATE_ERROR").then_some(Span::from_seconds(300))
}

/// What a trade means; nothing, if its state is a word that is not known here.
pub(crate) fn fact(trade: &Trade) -> Option<Fact> {
    match (&trade.state, &trade.paid) {
        (TradeState::Success | TradeState::Refund, Some(paid)) => seen(paid).map(Fact::Paid),
        (TradeState::Closed | TradeState::Revoked, _) => Some(Fact::Closed),
        // A failed try leaves the order open; only closing it makes sure that nobody pays.
        (
            TradeState::NotPay | TradeState::UserPaying | TradeState::PayError | TradeState::Accept,
            _,
        ) => Some(Fact::Awaiting(None)),
        _ => None,
    }
}

/// A reason goes back to whoever sent the message, into the log and to the charge; what a stranger
/// wrote takes part in it, but not all 64 KiB.
pub(crate) fn short_reason(reason: &str) -> String {
    reason.chars().take(300).collect()
}

/// The refusal of a notice. `claims` is what an unverified message says of itself.
pub(crate) fn notice_refusal(error: &NoticeError, claims: Option<String>) -> NoticeRefusal {
    let claims = error.out_trade_no().map(str::to_owned).or(claims);
    NoticeRefusal {
        code: error.code(),
        reason: short_reason(&error.to_string()),
        claims: claims.and_then(|number| OutTradeNo::new(number).ok()),
        keys_may_help: error.unknown_key().is_some(),
    }
}

/// What a verified notice tells.
pub(crate) fn notice(verified: Verified<Notification>) -> Result<Notice, NoticeRefusal> {
    let trade = verified.into_value().trade;
    let Some(fact @ (Fact::Paid(_) | Fact::Closed)) = fact(&trade) else {
        return Ok(Notice::Other);
    };
    match OutTradeNo::new(trade.out_trade_no) {
        Ok(number) => Ok(Notice::Order { number, fact }),
        Err(rule) => Err(malformed(&format!("its out_trade_no is none of ours: {rule}"))),
    }
}

/// WeChat reads at most so many bytes of what the payer sees; the rest is cut off, since a long
/// subject is no reason not to be paid.
pub(crate) fn description(subject: &str) -> String {
    cut(subject, 127)
}

fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn seen(paid: &Paid) -> Option<Seen> {
    let openid = paid.openid.clone();
    Some(Seen {
        amount: paid.total,
        currency: paid.currency.clone(),
        trade_no: TradeNo::new(paid.transaction_id.clone()).ok()?,
        paid_at: paid.success_time,
        payer: openid.map(|openid| Payer { openid: Some(openid), ..Payer::default() }),
        returned: false,
    })
}

/// What the answer to a question for the test system's key amounts to.
pub(crate) fn sandbox_key(
    answer: Result<Answer<Secret<String>>, ReplyError>,
) -> Reply<Secret<String>> {
    match answer {
        Ok(Answer::Done(key)) => Reply::Done(key),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
}

pub(crate) fn refused<T>(error: WechatError) -> Reply<T> {
    if error.is_unknown() {
        return unknown(&error);
    }
    Reply::Refused(refusal(error))
}

fn unknown<T>(error: &WechatError) -> Reply<T> {
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help: false })
}

fn refusal(error: WechatError) -> Refusal {
    Refusal { code: error.code, message: error.message }
}

pub(crate) fn doubted<T>(error: &ReplyError) -> Reply<T> {
    let keys_may_help = matches!(error, ReplyError::Signature(SignatureError::KeyUnknown(_)));
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// API v3 says so; whoever takes back what never arrived would go on for ever otherwise.
    #[test]
    fn an_order_that_wechat_does_not_know_is_taken_back() {
        let level = tongbao_wechat::Level::Http(404);
        let (code, message) = ("ORDER_NOT_EXIST".to_owned(), String::new());
        let answer = Ok(Answer::Refused(WechatError { level, code, message }));
        assert_eq!(reversed(answer), Reply::Done(Fact::Absent));
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        assert_eq!(description("短"), "短");
        let cut = description(&"长".repeat(100));
        assert_eq!(cut, "长".repeat(42));
    }
}
