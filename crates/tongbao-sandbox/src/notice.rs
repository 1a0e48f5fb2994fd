//! A notification: what is owed to a `notify_url`, the tries made, and when the next one is due.
//!
//! The timetables are the providers' own, counted in sandbox time (WeChat Pay, 支付结果通知;
//! Alipay, 异步通知). The message itself is made anew for each try, by the protocol's module.

use crate::order::{Api, Key};
use crate::trade::Trade;
use crate::words;
use serde::{Deserialize, Serialize};
use tongbao_alipay::open::notify;
use tongbao_types::{HttpResponse, Provider, Span, Timestamp};
use tongbao_wechat::{v2, v3};

/// What a notification tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoticeKind {
    /// WeChat: the order was paid.
    Payment,
    /// Alipay: the trade has this `trade_status` now.
    TradeStatus(String),
    /// A refund ended, with this word for its state (WeChat) or for the trade's (Alipay).
    Refund { out_refund_no: String, status: String },
}

/// One sending and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Try {
    #[serde(with = "words::micros")]
    pub(crate) at: Timestamp,
    /// None if no answer came.
    pub(crate) status: Option<u16>,
    /// The answer's body, or why there is none.
    pub(crate) body: String,
}

/// A notification and its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// Its place among all notifications of this sandbox.
    pub(crate) seq: u64,
    /// The provider's id of it, the same over all tries.
    pub(crate) id: String,
    pub(crate) key: Key,
    pub(crate) kind: NoticeKind,
    pub(crate) url: String,
    #[serde(with = "words::micros")]
    pub(crate) created_at: Timestamp,
    /// When the next try is due; none when it is over.
    #[serde(with = "words::micros_option", default)]
    pub(crate) next_at: Option<Timestamp>,
    /// Tries made by the timetable; duplicates do not count.
    pub(crate) n_turns: usize,
    pub(crate) tries: Vec<Try>,
    /// The headers as sent last.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as sent last.
    pub(crate) body: String,
    pub(crate) delivered: bool,
}

/// The pauses between tries, in seconds.
const WECHAT_PAUSES: [i64; 15] = [
    15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600, 21_600,
];
const ALIPAY_PAUSES: [i64; 7] = [240, 600, 600, 3_600, 7_200, 21_600, 54_000];

impl Notice {
    /// The control paths' word for what it tells.
    pub(crate) fn kind_word(&self) -> &str {
        match &self.kind {
            NoticeKind::Payment => "payment",
            NoticeKind::TradeStatus(status) => status,
            NoticeKind::Refund { status, .. } => match self.key.provider {
                Provider::Wechat => "refund",
                Provider::Alipay => status,
            },
        }
    }

    /// Through which door it leaves: the one that its order or its refund came by.
    pub(crate) fn door<'a>(&self, trade: &'a Trade) -> &'a Api {
        let refund = match &self.kind {
            NoticeKind::Refund { out_refund_no, .. } => trade.refund(out_refund_no),
            NoticeKind::Payment | NoticeKind::TradeStatus(_) => None,
        };
        refund.map_or(&trade.order.api, |refund| &refund.api)
    }

    /// Records a turn of the timetable and sets the next one. A turn that was due long ago (the
    /// clock was moved) is followed by the ones due since, each after the one before.
    pub(crate) fn record_turn(&mut self, tried: Try, delivered: bool) {
        let due = self.next_at.unwrap_or(tried.at);
        self.tries.push(tried);
        self.delivered |= delivered;
        let pauses: &[i64] = match self.key.provider {
            Provider::Wechat => &WECHAT_PAUSES,
            Provider::Alipay => &ALIPAY_PAUSES,
        };
        let pause = pauses.get(self.n_turns).filter(|_| !self.delivered);
        self.n_turns += 1;
        self.next_at = pause.map(|seconds| due + Span::from_seconds(*seconds));
    }

    /// Records a sending beside the timetable (a duplicate).
    pub(crate) fn record_extra(&mut self, tried: Try, delivered: bool) {
        self.tries.push(tried);
        self.delivered |= delivered;
        if self.delivered {
            self.next_at = None;
        }
    }
}

/// Whether an answer counts as receipt: v2 wants HTTP 200 and a return_code of SUCCESS, v3 200 or
/// 204, Alipay 200 and exactly the seven bytes `success`.
pub(crate) fn is_receipt(api: &Api, status: u16, body: &[u8]) -> bool {
    let answer = HttpResponse { status, headers: Vec::new(), body: body.to_vec().into() };
    match api {
        Api::WechatV2 { .. } => v2::is_accepted(&answer),
        Api::WechatV3 => v3::is_accepted(&answer),
        Api::AlipayOpen { .. } | Api::AlipayLegacy { .. } => {
            status == 200 && body == notify::SUCCESS.as_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(provider: Provider) -> Notice {
        Notice {
            seq: 1,
            id: "EV-1".to_owned(),
            key: Key::new(provider, "T1"),
            kind: NoticeKind::Payment,
            url: "http://127.0.0.1:1/n".to_owned(),
            created_at: Timestamp::from_seconds(0),
            next_at: Some(Timestamp::from_seconds(0)),
            n_turns: 0,
            tries: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
            delivered: false,
        }
    }

    fn failed(seconds: i64) -> Try {
        Try { at: Timestamp::from_seconds(seconds), status: Some(500), body: String::new() }
    }

    fn check(provider: Provider, tries: usize, last_at: i64) {
        let mut notice = notice(provider);
        let mut count = 0;
        let mut last = Timestamp::from_seconds(-1);
        while let Some(due) = notice.next_at {
            assert!(due > last);
            last = due;
            count += 1;
            notice.record_turn(failed(due.as_seconds()), false);
        }
        assert_eq!((count, last.as_seconds()), (tries, last_at), "{provider}");
        assert!(!notice.delivered);
    }

    #[test]
    fn a_notice_that_nobody_takes_is_tried_by_the_providers_timetable() {
        check(Provider::Wechat, 16, 24 * 3_600 + 4 * 60);
        check(Provider::Alipay, 8, 24 * 3_600 + 24 * 60);
    }

    #[test]
    fn a_receipt_ends_the_tries() {
        let mut notice = notice(Provider::Wechat);
        notice.record_turn(failed(0), false);
        assert_eq!(notice.next_at, Some(Timestamp::from_seconds(15)));
        notice.record_turn(failed(15), true);
        assert_eq!(notice.next_at, None);
    }

    #[test]
    fn only_the_documented_answers_are_receipts() {
        let v2 = Api::WechatV2 { hmac: false, rehearsal: false };
        let alipay = Api::AlipayLegacy { charset: "utf-8".to_owned() };
        let good = "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>";
        let plain = "<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>";
        let fail = "<xml><return_code><![CDATA[FAIL]]></return_code></xml>";
        let cases: [(&Api, u16, &str, bool); 13] = [
            (&v2, 200, good, true),
            (&v2, 200, plain, true),
            (&v2, 200, fail, false),
            (&v2, 201, good, false),
            (&v2, 200, "SUCCESS", false),
            (&v2, 200, "", false),
            (&Api::WechatV3, 200, "", true),
            (&Api::WechatV3, 204, "", true),
            (&Api::WechatV3, 201, "", false),
            (&Api::WechatV3, 500, "{\"code\":\"SUCCESS\"}", false),
            (&alipay, 200, "success", true),
            (&alipay, 200, "success\n", false),
            (&alipay, 204, "success", false),
        ];
        for (api, status, body, wanted) in cases {
            assert_eq!(is_receipt(api, status, body.as_bytes()), wanted, "{api:?} {status} {body}");
        }
    }
}
