//! What is known of a request besides its bytes: how it came, and who is at the other end.

use crate::tls::ClientCertificate;
use tongbao_types::HttpRequest;

/// The connection that a request came by; put into its extensions by the listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) tls: bool,
    /// What the client showed, over TLS.
    pub(crate) certificate: Option<ClientCertificate>,
}

impl Connection {
    /// Scheme and host as the client knows them, for addresses that lead back here.
    pub(crate) fn base(&self, request: &HttpRequest) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", request.header("host").unwrap_or("127.0.0.1:9010"))
    }
}
