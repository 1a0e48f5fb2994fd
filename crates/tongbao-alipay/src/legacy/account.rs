//! The merchant's side of a contract of the old gateway: its number and the shared key.

use tongbao_types::Secret;

/// Why credentials cannot be used. Each is the merchant's configuration to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The partner is not a PID.
    #[error("partner must be the merchant's PID: 16 digits that begin with 2088")]
    Partner,
    /// The key is not one.
    #[error("the MD5 key (安全校验码) is 32 letters and digits")]
    Key,
    /// The seller's account is not one.
    #[error("seller_email is the Alipay account of the contract: 1 to 100 characters")]
    SellerEmail,
}

/// One contract.
#[derive(Debug, Clone)]
pub struct Credentials {
    partner: String,
    key: Secret<String>,
    seller_email: Option<String>,
}

impl Credentials {
    /// Checks partner (PID), MD5 key and, if given, the seller's account.
    pub fn new(
        partner: &str,
        key: &str,
        seller_email: Option<&str>,
    ) -> Result<Credentials, CredentialsError> {
        let digits = partner.bytes().all(|b| b.is_ascii_digit());
        if !digits || partner.len() != 16 || !partner.starts_with("2088") {
            return Err(CredentialsError::Partner);
        }
        if key.len() != 32 || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(CredentialsError::Key);
        }
        if seller_email.is_some_and(|email| !(1..=100).contains(&email.chars().count())) {
            return Err(CredentialsError::SellerEmail);
        }
        Ok(Credentials {
            partner: partner.to_owned(),
            key: Secret::new(key.to_owned()),
            seller_email: seller_email.map(str::to_owned),
        })
    }

    /// The PID, which is also the `seller_id` of notifications.
    pub fn partner(&self) -> &str {
        &self.partner
    }

    /// The shared key.
    pub const fn key(&self) -> &Secret<String> {
        &self.key
    }

    /// The account that gets the money; without one, `seller_id` names it by the PID.
    pub fn seller_email(&self) -> Option<&str> {
        self.seller_email.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_keeps_its_form_and_the_key_stays_secret() {
        let key = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6";
        let made = Credentials::new("2088000000000001", key, Some("seller@example.com")).unwrap();
        assert!(!format!("{made:?}").contains(key));
        let error = |partner, key, email| Credentials::new(partner, key, email).err();
        assert_eq!(error("2021000000000001", key, None), Some(CredentialsError::Partner));
        assert_eq!(error("208800000000000", key, None), Some(CredentialsError::Partner));
        assert_eq!(error("2088000000000001", "short", None), Some(CredentialsError::Key));
        let email = error("2088000000000001", key, Some(""));
        assert_eq!(email, Some(CredentialsError::SellerEmail));
    }
}
