//! What the configuration says about the profiles.

use crate::wepay::WepayMerchant;
use std::sync::Arc;
use tongbao_core::Scope;
use tongbao_types::{AccountName, AppName, Mode, Profile, Provider};
use tongbao_web::{Gate, IpNet};

/// Every profile that is on.
#[derive(Debug, Clone, Default)]
pub struct CompatSettings {
    /// From which networks `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many may come; shared with the other faces.
    pub gate: Gate,
    /// The profiles, each at most once.
    pub profiles: Vec<Arc<ProfileSetup>>,
}

/// One profile, bound to one app.
#[derive(Debug, Clone)]
pub struct ProfileSetup {
    /// Which.
    pub profile: Profile,
    /// The app that its charges belong to.
    pub app: AppName,
    /// Callers without a key make live charges, or test charges.
    pub livemode: bool,
    /// The networks whose callers need no key.
    pub allow_from: Vec<IpNet>,
    /// The accounts for test charges.
    pub test: ModeAccounts,
    /// The accounts for live charges.
    pub live: ModeAccounts,
    /// The account at Alipay that capi's charges go through, of either kind, if one is chosen. In
    /// the other mode the usual one does.
    pub alipay_account: Option<AccountName>,
    /// wepay's merchants, the preferred ones first.
    pub merchants: Vec<WepayMerchant>,
    /// Where wepay's payments are told, unless the merchant has an address of its own.
    pub cb_notify_url: Option<String>,
    /// The app's `payment` function, which capi tells of payments.
    pub payment_function_url: Option<String>,
}

/// The accounts that a profile's charges go through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModeAccounts {
    /// WeChat Pay, API v2: the one whose words the older services speak.
    pub wechat: Option<AccountName>,
    /// Alipay's OpenAPI 2.0.
    pub alipay: Option<AccountName>,
    /// Alipay's old gateway.
    pub alipay_legacy: Option<AccountName>,
}

impl ProfileSetup {
    /// Whose charges callers without a key make.
    pub(crate) fn scope(&self) -> Scope {
        let mode = if self.livemode { Mode::Live } else { Mode::Test };
        Scope { app: self.app.clone(), mode }
    }

    /// The accounts of a mode.
    pub(crate) fn accounts(&self, mode: Mode) -> &ModeAccounts {
        if mode.is_live() { &self.live } else { &self.test }
    }

    /// The account that speaks the provider's older protocol, which this profile shows.
    pub(crate) fn account(&self, mode: Mode, provider: Provider) -> Option<&AccountName> {
        let accounts = self.accounts(mode);
        match provider {
            Provider::Wechat => accounts.wechat.as_ref(),
            Provider::Alipay => accounts.alipay.as_ref(),
        }
    }
}
