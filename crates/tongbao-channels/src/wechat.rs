//! What both of WeChat's APIs have in common: how their words map to the core's.

use crate::{Doubt, Notice, NoticeRefusal, Refusal, Reply};
use tongbao_core::{Action, Fact, Payer, Seen};
use tongbao_types::{Code, OutTradeNo, TradeNo};
use tongbao_wechat::{
    Answer, NoticeError, Notification, Paid, Prepaid, ReplyError, SignatureError, Trade,
    TradeState, Verified, WechatError,
};

/// Provider's own address.
pub(crate) const ENDPOINT: &str = "https://api.mch.weixin.qq.com";

/// What an order's answer amounts to.
pub(crate) fn placed(answer: Result<Answer<Prepaid>, ReplyError>) -> Reply {
    match answer {
        Ok(Answer::Done(prepaid)) => Reply::Done(Fact::Awaiting(Some(shown(prepaid)))),
        Ok(Answer::Refused(error)) if error.is_paid() => Reply::AskNow(refusal(error)),
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => doubted(&error),
    }
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

/// The refusal of a notice. `claims` is what an unverified message says of itself.
pub(crate) fn notice_refusal(error: &NoticeError, claims: Option<String>) -> NoticeRefusal {
    let claims = error.out_trade_no().map(str::to_owned).or(claims);
    NoticeRefusal {
        code: error.code(),
        reason: error.to_string(),
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
        Err(rule) => Err(NoticeRefusal {
            code: Code::NoticeMalformed,
            reason: format!("its out_trade_no is none of ours: {rule}"),
            claims: None,
            keys_may_help: false,
        }),
    }
}

/// WeChat reads at most so many bytes of what the payer sees; the rest is cut off, since a long
/// subject is no reason not to be paid.
pub(crate) fn description(subject: &str) -> String {
    const BYTES_MAX: usize = 127;
    let mut end = subject.len().min(BYTES_MAX);
    while !subject.is_char_boundary(end) {
        end -= 1;
    }
    subject[..end].to_owned()
}

fn shown(prepaid: Prepaid) -> Action {
    match prepaid {
        Prepaid::CodeUrl { code_url, .. } => Action::QrCode { code_url },
        Prepaid::H5Url { h5_url, .. } => Action::Redirect { url: h5_url },
        Prepaid::PrepayId(prepay_id) => {
            Action::Jsapi { params: vec![("prepay_id".to_owned(), prepay_id)] }
        }
    }
}

fn seen(paid: &Paid) -> Option<Seen> {
    let openid = paid.openid.clone();
    Some(Seen {
        amount: paid.total,
        currency: paid.currency.clone(),
        trade_no: TradeNo::new(paid.transaction_id.clone()).ok()?,
        paid_at: paid.success_time,
        payer: openid.map(|openid| Payer { openid: Some(openid), ..Payer::default() }),
    })
}

fn refused(error: WechatError) -> Reply {
    if error.is_unknown() {
        return Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help: false });
    }
    Reply::Refused(refusal(error))
}

fn refusal(error: WechatError) -> Refusal {
    Refusal { code: error.code, message: error.message }
}

fn doubted(error: &ReplyError) -> Reply {
    let keys_may_help = matches!(error, ReplyError::Signature(SignatureError::KeyUnknown(_)));
    Reply::Unknown(Doubt { reason: error.to_string(), keys_may_help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        assert_eq!(description("短"), "短");
        let cut = description(&"长".repeat(100));
        assert_eq!(cut, "长".repeat(42));
    }
}
