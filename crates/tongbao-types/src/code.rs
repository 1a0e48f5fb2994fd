//! The stable codes of errors and failures, as `/v1` shows them. Adding one is free; removing or
//! renaming one breaks merchants and fails the snapshot below.

macro_rules! codes {
    ($(#[doc = $doc:literal] $variant:ident $word:literal,)*) => {
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
        }
    };
}

codes! {
    /// No account of this app serves the channel in this mode.
    AccountMissing "account_missing",
    /// The notification names another merchant number or app id than the account's.
    AccountMismatch "account_mismatch",
    /// The amount in the provider's message differs from the order's.
    AmountMismatch "amount_mismatch",
    /// The amount is above the limit.
    AmountTooLarge "amount_too_large",
    /// The amount is below 1 fen.
    AmountTooSmall "amount_too_small",
    /// No key came with the request, or not in the form of a bearer token.
    AuthenticationRequired "authentication_required",
    /// The body is larger than this address takes.
    BodyTooLarge "body_too_large",
    /// The channel needs a field that the request lacks, or this build does not serve it yet.
    ChannelUnavailable "channel_unavailable",
    /// The charge is closed, paid or failed, and what was asked does not fit that.
    ChargeNotPending "charge_not_pending",
    /// The order was closed while the request about it was under way.
    Conflict "conflict",
    /// The currency in the provider's message is not CNY.
    CurrencyMismatch "currency_mismatch",
    /// The same Idempotency-Key came with another request.
    IdempotencyKeyReused "idempotency_key_reused",
    /// The first request with this Idempotency-Key is still running.
    IdempotencyKeyBusy "idempotency_key_busy",
    /// Something broke here; the log has it under the request id.
    Internal "internal",
    /// The key is not known, or was revoked.
    InvalidKey "invalid_key",
    /// The body is not JSON, or not an object.
    InvalidJson "invalid_json",
    /// A parameter has a wrong type, length or form; `param` names it.
    InvalidParameter "invalid_parameter",
    /// The method does not fit this address.
    MethodNotAllowed "method_not_allowed",
    /// A required parameter is missing; `param` names it.
    MissingParameter "missing_parameter",
    /// There is no such object, or this key may not see it.
    NotFound "not_found",
    /// The notification cannot be decrypted with the account's key.
    NoticeUndecryptable "notice_undecryptable",
    /// The notification is not in the provider's form.
    NoticeMalformed "notice_malformed",
    /// The notification's time is too far from now.
    NoticeStale "notice_stale",
    /// The order_no is in use by another charge of this app and mode.
    OrderNoInUse "order_no_in_use",
    /// A payment arrived after the charge had ended here.
    PaidLate "paid_late",
    /// A second payment of one charge arrived.
    PaidTwice "paid_twice",
    /// The provider refused the request for good.
    ProviderRefused "provider_refused",
    /// The provider gave no clear answer; what happened is not known yet.
    ProviderUnknown "provider_unknown",
    /// Too many requests.
    RateLimited "rate_limited",
    /// The signature does not fit the message and the account's key.
    SignatureMismatch "signature_mismatch",
    /// The message is signed by another method than the account uses.
    SignatureDowngraded "signature_downgraded",
    /// The message bears no signature.
    SignatureMissing "signature_missing",
    /// The message names a key or certificate that the account does not know.
    SignatureKeyUnknown "signature_key_unknown",
    /// The provider's trade number differs from the one already recorded.
    TradeNoMismatch "trade_no_mismatch",
    /// The database or the service cannot answer now; try again.
    Unavailable "unavailable",
    /// A field that this request does not have; `param` names it.
    UnknownParameter "unknown_parameter",
    /// The address points into a network that webhooks may not reach.
    UrlForbidden "url_forbidden",
    /// The body is not of the content type that this address takes.
    UnsupportedMediaType "unsupported_media_type",
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
        }
    }
}
