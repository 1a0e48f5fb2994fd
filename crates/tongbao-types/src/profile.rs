//! The older services whose calls tongbao answers.

use crate::UnknownWord;
use std::fmt;
use std::str::FromStr;

/// A compatibility profile: the older service whose routes, fields and reply shapes it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// WeChat v2 and Alipay behind `/auth/…`, with a polling queue.
    AuthPay,
    /// WeChat for several merchants, `/apis/v1/wepay/…`.
    Wepay,
    /// WeChat native payments for a ThinkJS front end, `/wxPay/…`.
    Wxpay,
    /// WeChat native payments with a QR image, `/order`, `/queryOrder`.
    Payorder,
    /// Charges for hosted apps, `/capi/api/v1/charge…`.
    Capi,
}

impl Profile {
    /// Every profile, in the order of the documentation.
    pub const ALL: &'static [Profile] =
        &[Profile::AuthPay, Profile::Wepay, Profile::Wxpay, Profile::Payorder, Profile::Capi];

    /// Its name in the configuration, in the database and in `profile` of a charge.
    pub const fn as_str(self) -> &'static str {
        match self {
            Profile::AuthPay => "auth-pay",
            Profile::Wepay => "wepay",
            Profile::Wxpay => "wxpay",
            Profile::Payorder => "payorder",
            Profile::Capi => "capi",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Profile::ALL.iter().find(|profile| profile.as_str() == word);
        found.copied().ok_or_else(|| UnknownWord {
            what: "compat profile",
            word: word.chars().take(80).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_reads_back() {
        for profile in Profile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(*profile));
        }
        assert!("wechat".parse::<Profile>().is_err());
    }
}
