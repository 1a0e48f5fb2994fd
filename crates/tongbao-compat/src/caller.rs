//! Who calls a profile: somebody from a network that the configuration names, or with the app's
//! key. The older services asked for nothing, which is not copied.

use crate::Service;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tongbao_core::Scope;
use tongbao_engine::Error;
use tongbao_types::Code;
use tongbao_web::ClientAddress;
use tongbao_web::auth::bearer;

impl Service {
    /// Whose charges the caller may make and see.
    ///
    /// Fails with [`Code::AuthenticationRequired`] or [`Code::InvalidKey`]; the profile says so in
    /// its own shape.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        ClientAddress(client): ClientAddress,
    ) -> Result<Scope, Error> {
        if headers.contains_key(AUTHORIZATION) {
            let scope = self.engine.authenticate(bearer(headers)?).await?;
            return if scope.app == self.setup.app { Ok(scope) } else { Err(other_app()) };
        }
        if self.setup.allow_from.iter().any(|network| network.contains(&client)) {
            return Ok(self.setup.scope());
        }
        let message = format!(
            "The address {client} is not in allow_from of the compat profile {}, and the request \
             bears no key of the app {}.",
            self.setup.profile, self.setup.app
        );
        Err(Error::new(Code::AuthenticationRequired, message))
    }
}

fn other_app() -> Error {
    Error::new(Code::InvalidKey, "This key belongs to another app than this profile.")
}
