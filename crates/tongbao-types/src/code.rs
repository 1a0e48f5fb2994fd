//! The stable codes of errors and failures, as `/v1` shows them. Adding one is free; removing or
//! renaming one breaks merchants and fails the snapshot below.

macro_rules! codes {
    ($(#[doc = $doc:literal] $variant:ident $word:literal $zh:literal,)*) => {
        /// What went wrong, for a program to branch on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $doc] $variant,)* }

        impl Code {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it stands in JSON, in the database and in the documentation.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $word,)* }
            }

            /// What it means, in one sentence for the reference page.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$variant => $doc.trim_ascii(),)* }
            }

            /// The same in Chinese.
            pub const fn meaning_zh(self) -> &'static str {
                match self { $(Code::$variant => $zh,)* }
            }
        }
    };
}

codes! {
    /// No account of this app serves the channel in this mode.
    AccountMissing "account_missing" "该应用在此模式下没有可用于该渠道的账户。",
    /// The notification names another merchant number or app id than the account's.
    AccountMismatch "account_mismatch" "通知中的商户号或应用与账户不符。",
    /// The amount in the provider's message differs from the order's.
    AmountMismatch "amount_mismatch" "支付机构消息中的金额与订单不符。",
    /// The amount is above the limit.
    AmountTooLarge "amount_too_large" "金额超过上限。",
    /// The amount is below 1 fen.
    AmountTooSmall "amount_too_small" "金额小于 1 分。",
    /// No key came with the request, or not in the form of a bearer token.
    AuthenticationRequired "authentication_required" "请求没有带密钥，或不是 Bearer 形式。",
    /// The provider has no bill for this day.
    BillMissing "bill_missing" "支付机构没有这一天的账单。",
    /// The bill is not made yet; ask again later.
    BillNotReady "bill_not_ready" "账单尚未生成，请稍后再试。",
    /// What the provider sent as a bill is cut off or not in the form of one.
    BillUnreadable "bill_unreadable" "支付机构给出的账单不完整或格式有误。",
    /// The body is larger than this address takes.
    BodyTooLarge "body_too_large" "请求体超过该地址的上限。",
    /// The channel cannot be chosen here, or its account's protocol cannot do this.
    ChannelUnavailable "channel_unavailable" "该渠道不能在此选择，或其账户的协议不支持。",
    /// The charge is closed, paid or failed, and what was asked does not fit that.
    ChargeNotPending "charge_not_pending" "该笔收款已关闭、已支付或已失败。",
    /// The order was closed while the request about it was under way.
    Conflict "conflict" "同一对象同时被其他请求修改。",
    /// The currency in the provider's message is not CNY.
    CurrencyMismatch "currency_mismatch" "支付机构消息中的币种不是人民币。",
    /// The same Idempotency-Key came with another request.
    IdempotencyKeyReused "idempotency_key_reused" "相同的 Idempotency-Key 用于了另一个请求。",
    /// The first request with this Idempotency-Key is still running.
    IdempotencyKeyBusy "idempotency_key_busy" "带此 Idempotency-Key 的首个请求仍在处理。",
    /// Something broke here; the log has it under the request id.
    Internal "internal" "内部错误，日志中可按 request_id 查询。",
    /// The key is not known, or was revoked.
    InvalidKey "invalid_key" "密钥不存在或已吊销。",
    /// The body is not JSON, or not an object.
    InvalidJson "invalid_json" "请求体不是 JSON 对象。",
    /// A parameter has a wrong type, length or form; `param` names it.
    InvalidParameter "invalid_parameter" "参数的类型、长度或格式有误，见 param。",
    /// The method does not fit this address.
    MethodNotAllowed "method_not_allowed" "该地址不支持此方法。",
    /// A required parameter is missing; `param` names it.
    MissingParameter "missing_parameter" "缺少必填参数，见 param。",
    /// There is no such object, or this key may not see it.
    NotFound "not_found" "对象不存在，或此密钥无权查看。",
    /// There is no payment to refund.
    NothingToRefund "nothing_to_refund" "没有可退款的付款。",
    /// The notification cannot be decrypted with the account's key.
    NoticeUndecryptable "notice_undecryptable" "通知无法用账户的密钥解密。",
    /// The notification is not in the provider's form.
    NoticeMalformed "notice_malformed" "通知不符合支付机构的格式。",
    /// The notification's time is too far from now.
    NoticeStale "notice_stale" "通知的时间与当前相差过大。",
    /// The order_no is in use by another charge of this app and mode.
    OrderNoInUse "order_no_in_use" "order_no 已被同一应用和模式下的另一笔收款使用。",
    /// A payment arrived after the charge had ended here.
    PaidLate "paid_late" "收款结束之后才到账的付款。",
    /// A second payment of one charge arrived.
    PaidTwice "paid_twice" "同一笔收款的第二次付款。",
    /// The payer paid another amount than the charge's.
    PaidWrongAmount "paid_wrong_amount" "付款金额与收款金额不同。",
    /// The provider refused the request for good.
    ProviderRefused "provider_refused" "支付机构明确拒绝了请求。",
    /// The provider gave no clear answer; what happened is not known yet.
    ProviderUnknown "provider_unknown" "支付机构没有明确答复，结果暂时未知。",
    /// Too many requests.
    RateLimited "rate_limited" "请求过于频繁。",
    /// The provider could not bring the money to the payer's account; it must be settled by hand.
    RefundAbnormal "refund_abnormal" "退款异常：款项无法退回付款方账户，须人工处理。",
    /// The provider closed the refund; the money stays with the merchant.
    RefundClosed "refund_closed" "退款被支付机构关闭，款项仍在商户。",
    /// The refund_no is in use by another refund of this app and mode.
    RefundNoInUse "refund_no_in_use" "refund_no 已被同一应用和模式下的另一笔退款使用。",
    /// The refund is above what is left of the payment.
    RefundTooLarge "refund_too_large" "退款金额超过剩余可退金额。",
    /// The payment is older than the providers refund.
    RefundTooLate "refund_too_late" "付款已超过支付机构的退款期限。",
    /// The payment has as many refunds as the providers allow.
    RefundTooMany "refund_too_many" "该笔付款的退款次数已达支付机构上限。",
    /// The signature does not fit the message and the account's key.
    SignatureMismatch "signature_mismatch" "签名与消息及账户密钥不符。",
    /// The message is signed by another method than the account uses.
    SignatureDowngraded "signature_downgraded" "消息的签名方式与账户设置不同。",
    /// The message bears no signature.
    SignatureMissing "signature_missing" "消息没有签名。",
    /// The message names a key or certificate that the account does not know.
    SignatureKeyUnknown "signature_key_unknown" "消息所用的密钥或证书不在账户中。",
    /// The provider's trade number differs from the one already recorded.
    TradeNoMismatch "trade_no_mismatch" "支付机构的交易号与已记录的不同。",
    /// The database or the service cannot answer now; try again.
    Unavailable "unavailable" "数据库或服务暂时不可用，请重试。",
    /// A field that this request does not have; `param` names it.
    UnknownParameter "unknown_parameter" "请求没有这个字段，见 param。",
    /// The address points into a network that webhooks may not reach.
    UrlForbidden "url_forbidden" "该地址所在的网络不允许 webhook 访问。",
    /// The body is not of the content type that this address takes.
    UnsupportedMediaType "unsupported_media_type" "请求体的内容类型不被接受。",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Code {
    type Err = crate::UnknownWord;

    fn from_str(word: &str) -> Result<Code, crate::UnknownWord> {
        let found = Code::ALL.iter().find(|code| code.as_str() == word).copied();
        found.ok_or(crate::UnknownWord { what: "code", word: word.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_and_says_what_it_means() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.meaning().ends_with('.'), "{code}");
            assert!(code.meaning_zh().ends_with('。'), "{code}");
        }
    }
}
