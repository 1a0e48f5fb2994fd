//! Providers, channels and modes, by the names that `/v1` and the database use.

use std::fmt;
use std::str::FromStr;

/// A word that is not in a closed list of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}: {word:?}")]
pub struct UnknownWord {
    /// What kind of word was wanted.
    pub what: &'static str,
    /// What was found.
    pub word: String,
}

macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident $what:literal {
            $($(#[$vdoc:meta])* $variant:ident $word:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every one of them, in the order of the documentation.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Its name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok($name::$variant),)*
                    _ => Err(UnknownWord { what: $what, word: word.chars().take(80).collect() }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Who moves the money.
    Provider "provider" {
        /// 微信支付.
        Wechat "wechat",
        /// 支付宝.
        Alipay "alipay",
    }
}

words! {
    /// A way of paying.
    Channel "channel" {
        /// A QR code that WeChat scans (NATIVE).
        WechatNative "wechat.native",
        /// A page inside WeChat (公众号, JSAPI).
        WechatJsapi "wechat.jsapi",
        /// A mini program (小程序).
        WechatMini "wechat.mini",
        /// The merchant's own app.
        WechatApp "wechat.app",
        /// A browser on a phone, outside WeChat (H5, MWEB).
        WechatH5 "wechat.h5",
        /// The payer shows a code, the merchant scans it (付款码).
        WechatMicropay "wechat.micropay",
        /// Alipay's page on a computer (`alipay.trade.page.pay`).
        AlipayPage "alipay.page",
        /// Alipay's page on a phone (`alipay.trade.wap.pay`).
        AlipayWap "alipay.wap",
        /// The merchant's own app (`alipay.trade.app.pay`).
        AlipayApp "alipay.app",
        /// A QR code that Alipay scans (`alipay.trade.precreate`).
        AlipayQr "alipay.qr",
        /// A page or mini program inside Alipay (`alipay.trade.create`).
        AlipayJsapi "alipay.jsapi",
        /// The payer shows a code, the merchant scans it (`alipay.trade.pay`).
        AlipayBarcode "alipay.barcode",
        /// The old gateway's `create_direct_pay_by_user`.
        AlipayLegacyPage "alipay.legacy_page",
    }
}

words! {
    /// Whether money is real.
    Mode "mode" {
        /// Test keys and the sandbox.
        Test "test",
        /// Live keys and the provider itself.
        Live "live",
    }
}

impl Channel {
    /// Whose channel it is.
    pub fn provider(self) -> Provider {
        if self.as_str().starts_with("wechat.") { Provider::Wechat } else { Provider::Alipay }
    }

    /// Whether the payer shows a code and the merchant scans it. Such an order is paid within
    /// moments or taken back: nobody can pay it later by themselves.
    pub fn is_scanned_by_merchant(self) -> bool {
        matches!(self, Channel::WechatMicropay | Channel::AlipayBarcode)
    }
}

impl Mode {
    /// `livemode` of the public objects.
    pub fn is_live(self) -> bool {
        self == Mode::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for channel in Channel::ALL {
            assert_eq!(channel.as_str().parse(), Ok(*channel));
            assert!(channel.as_str().starts_with(channel.provider().as_str()));
        }
        assert!("wechat.telepathy".parse::<Channel>().is_err());
    }
}
