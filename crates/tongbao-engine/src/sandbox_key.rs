//! The key of a provider's own test system (WeChat Pay API v2: 获取验签密钥), for those who test
//! there with other programs. tongbao itself uses no such system: it has a sandbox of its own.

use crate::orders::Learnt;
use crate::{Engine, Error};
use tongbao_core::Scope;
use tongbao_types::{AccountName, Code, Secret};

impl Engine {
    /// Asks for it with an account's own key. Returns the provider's answer as a JSON object with
    /// its own names (`sandbox_signkey`).
    ///
    /// Fails with [`Code::AccountMissing`] if the scope has no such account, with
    /// [`Code::ChannelUnavailable`] if its protocol has no such key, and as any call to a provider.
    pub async fn sandbox_key(
        &self,
        scope: &Scope,
        account: &AccountName,
    ) -> Result<Secret<String>, Error> {
        let found = self.accounts().of(scope).find(|entry| entry.adapter.name() == account);
        let entry = found.ok_or_else(|| {
            let text = format!("The app {} has no account named {account}.", scope.app);
            Error::new(Code::AccountMissing, text).param("account")
        })?;
        let exchange = entry.adapter.sandbox_key(&self.stamp()).ok_or_else(|| {
            let text = format!(
                "The account {account} does not speak WeChat Pay's API v2, which alone has a key \
                 for its test system."
            );
            Error::new(Code::ChannelUnavailable, text).param("account")
        })?;
        let (reply, answer) = self.talk(entry, &exchange).await;
        Learnt::from(reply).into_fact(entry.adapter.provider())?;
        let words = answer.and_then(|answer| entry.adapter.words(&answer));
        Ok(Secret::new(words.unwrap_or_default()))
    }
}
