//! The profiles' own ways of telling a merchant of a payment; the engine's queue carries them, with
//! the waits and the end of webhooks.

use crate::{CompatSettings, capi, wepay};
use std::sync::Arc;
use tongbao_core::{Callback, Charge, EventKind, Loaded, ProviderReply};
use tongbao_engine::{CallbackRequest, Callbacks};
use tongbao_types::{HttpResponse, Profile};

/// The callbacks of the profiles that are configured.
pub fn forwards(settings: CompatSettings) -> Arc<dyn Callbacks> {
    Arc::new(Forwards(settings))
}

struct Forwards(CompatSettings);

impl Callbacks for Forwards {
    fn caused_by(&self, kind: EventKind, charge: &Charge) -> Vec<Callback> {
        let setup = self.0.profiles.iter().find(|setup| Some(setup.profile) == charge.profile);
        let is_told = kind == EventKind::ChargeSucceeded && !was_told_before(charge);
        let Some(setup) = setup.filter(|_| is_told) else {
            return Vec::new();
        };
        match setup.profile {
            Profile::Wepay => wepay::callbacks(setup, charge),
            Profile::Capi => capi::callbacks(setup, charge),
            Profile::AuthPay | Profile::Wxpay | Profile::Payorder => Vec::new(),
        }
    }

    fn request(
        &self,
        callback: Callback,
        loaded: &Loaded,
        replies: &[ProviderReply],
    ) -> Result<CallbackRequest, String> {
        let profile = match callback {
            Callback::WepayNotify => Profile::Wepay,
            Callback::CapiNotify | Callback::CapiFunction => Profile::Capi,
        };
        let setup = self.0.profiles.iter().find(|setup| setup.profile == profile);
        let setup = setup.ok_or_else(|| format!("the profile {profile} is not configured"))?;
        match callback {
            Callback::WepayNotify => wepay::notification(setup, loaded, replies),
            Callback::CapiNotify => capi::notification(loaded, replies),
            Callback::CapiFunction => capi::function_call(setup, loaded, replies),
        }
    }

    fn accepts(&self, callback: Callback, answer: &HttpResponse) -> bool {
        match callback {
            Callback::WepayNotify => (200..300).contains(&answer.status),
            Callback::CapiNotify | Callback::CapiFunction => capi::is_success(answer),
        }
    }
}

/// The older service itself told of what its books call paid (`tongbao import orders`).
fn was_told_before(charge: &Charge) -> bool {
    charge.metadata.iter().any(|(name, value)| name == "imported" && value == "paid")
}
