//! HTTPS clients, one for each way of showing and trusting that calls ask for. Each keeps its own
//! connections and its own sessions to resume, so that a connection which was made under one
//! merchant's certificate never carries another's call.

use super::resolver::Resolver;
use super::{builder, connector};
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tongbao_crypt::{Certificate, ClientIdentity};
use tongbao_engine::{Tls, WireError};

pub(super) type HttpsClient = Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>;

/// Above it the oldest client is forgotten, and made again if it is wanted again: identities that
/// a new configuration replaced must not stay for ever.
const CLIENTS_MAX: usize = 64;

/// The clients made so far. The first one is made when it is first needed, since reading the
/// machine's root certificates takes time and memory that a gateway in a test never needs.
pub(super) struct HttpsClients {
    resolver: Resolver,
    machine: Arc<MachineRoots>,
    /// Oldest first.
    made: Mutex<Vec<(Tls, HttpsClient)>>,
}

impl HttpsClients {
    pub(super) fn new(resolver: Resolver, machine: Arc<MachineRoots>) -> HttpsClients {
        HttpsClients { resolver, machine, made: Mutex::new(Vec::new()) }
    }

    pub(super) fn client(&self, tls: &Tls) -> Result<HttpsClient, WireError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = made.iter().find(|(known, _)| known == tls) {
            return Ok(client.clone());
        }
        let config = config(tls, &self.machine);
        let config =
            config.map_err(|why| WireError::Broken(format!("TLS cannot be set up: {why}")))?;
        let mut connector = connector(self.resolver.clone());
        connector.enforce_http(false);
        let client: HttpsClient = builder().build(HttpsConnector::from((connector, config)));
        if made.len() >= CLIENTS_MAX {
            made.remove(0);
        }
        made.push((tls.clone(), client.clone()));
        Ok(client)
    }

    #[cfg(test)]
    pub(super) fn n_made(&self) -> usize {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The machine's root certificates, read once and shared by all clients that trust them.
#[derive(Default)]
pub(super) struct MachineRoots(OnceLock<Result<Arc<Verifier>, rustls::Error>>);

impl MachineRoots {
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<Verifier>, rustls::Error> {
        let read = || Verifier::new(Arc::clone(provider)).map(Arc::new);
        self.0.get_or_init(read).clone()
    }
}

fn config(tls: &Tls, machine: &MachineRoots) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.root {
        // The verifier's own builder method would read the machine's roots again each time.
        None => builder.dangerous().with_custom_certificate_verifier(machine.verifier(&provider)?),
        Some(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(root))?;
            builder.with_root_certificates(roots)
        }
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let chain = identity.chain().iter().map(der).collect();
            builder.with_client_auth_cert(chain, key(identity))
        }
    }
}

fn der(certificate: &Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.as_der().to_vec())
}

fn key(identity: &ClientIdentity) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key().to_pkcs8_der().to_vec()).into()
}
