//! Switches for what sources disagree about, or what differs between merchants and contracts.
//!
//! Each has a default, is set through `Options` at the start and through `/_sandbox/rules` later,
//! and survives a restart over the same data folder.

use serde::{Deserialize, Serialize};

/// The switches of the pretend merchant. Members left out of JSON keep their default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Which keys WeChat Pay signs with for this merchant (微信支付公钥, switching over).
    pub wechat_keys: WechatKeys,
    /// Which key signs v3 notifications while both are in use.
    pub wechat_notice_key: NoticeKey,
    /// Refuse to close an order within five minutes of placing it (v2 page, 关闭订单).
    pub wechat_close_wait: bool,
    /// What v3's close says of an order that does not exist; sources have both.
    pub wechat_v3_close_unknown: CloseUnknown,
    /// How long a refund is under way at WeChat Pay, in seconds of sandbox time.
    pub wechat_refund_seconds: u32,
    /// Above this amount, in fen, a payer whose code was scanned must type a password.
    pub password_above: i64,
    /// A second precreate under one number is refused (订单码) instead of giving a new code.
    pub alipay_precreate_once: bool,
    /// In certificate mode Alipay signs with its next certificate, which merchants must download.
    pub alipay_next_certificate: bool,
    /// Notify when a trade starts to wait for its buyer (WAIT_BUYER_PAY).
    pub alipay_notify_wait: bool,
    /// Notify a payment (TRADE_SUCCESS).
    pub alipay_notify_success: bool,
    /// Notify a close, a timeout or a full refund (TRADE_CLOSED).
    pub alipay_notify_closed: bool,
    /// Notify a partial refund (TRADE_SUCCESS once more).
    pub alipay_notify_refund: bool,
    /// Notify the end of the time for refunds (TRADE_FINISHED).
    pub alipay_notify_finished: bool,
}

/// The merchant's stage of the move from platform certificates to the WeChat Pay public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WechatKeys {
    /// Before the move: certificates whatever the request names.
    Certificate,
    /// During the move: answers follow the request's `Wechatpay-Serial`.
    Both,
    /// A new merchant: no certificates at all, `/v3/certificates` answers 404.
    PublicKey,
}

/// The choice for notifications while both keys are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKey {
    /// The key that the merchant's last request named; certificates if it named none.
    Follow,
    /// Always the platform certificate.
    Certificate,
    /// Always the WeChat Pay public key.
    PublicKey,
}

/// An answer to closing an unknown order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseUnknown {
    /// 404 `ORDER_NOT_EXIST`.
    NotExist,
    /// 204, as v2 does.
    Done,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            wechat_keys: WechatKeys::Both,
            wechat_notice_key: NoticeKey::Follow,
            wechat_close_wait: false,
            wechat_v3_close_unknown: CloseUnknown::NotExist,
            wechat_refund_seconds: 2,
            password_above: 100_000,
            alipay_precreate_once: false,
            alipay_next_certificate: false,
            alipay_notify_wait: false,
            alipay_notify_success: true,
            alipay_notify_closed: true,
            alipay_notify_refund: true,
            alipay_notify_finished: false,
        }
    }
}

impl Rules {
    /// These rules with the members of `change` put over them. Unknown members are an error.
    pub(crate) fn changed(self, change: &serde_json::Value) -> Result<Rules, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        let given = change.as_object().cloned().unwrap_or_default();
        for (name, value) in given {
            all[name] = value;
        }
        serde_json::from_value(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_only_what_it_names() {
        let change = serde_json::json!({"wechat_keys": "public_key"});
        let rules = Rules::default().changed(&change).unwrap();
        assert_eq!(rules, Rules { wechat_keys: WechatKeys::PublicKey, ..Rules::default() });
        let wrong = serde_json::json!({"wechat_key": "public_key"});
        let error = Rules::default().changed(&wrong).unwrap_err();
        assert!(error.to_string().contains("unknown field `wechat_key`"));
    }
}
