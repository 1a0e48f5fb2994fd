//! TLS for the listener: a server certificate for this machine from an authority of the sandbox's
//! own, and clients' certificates, which are asked for and not required, as WeChat Pay's servers
//! do: some paths want one, and what they answer without it is theirs to say.
//!
//! The authority is kept beside the credentials, so that a client has to be told to trust it only
//! once; the server's own certificate is new at each start. Whether the connection's certificate
//! belongs to the merchant of a request is not decided here.

use crate::SandboxError;
use crate::numbers::hex;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tongbao_crypt::{Certificate, CertificateError};

/// What the server's certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long a client may take until both sides speak TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The authority with its key, for the sandbox alone.
const KEPT_FILE: &str = "sandbox-tls-authority.json";
/// The authority's certificate, for clients to trust.
const ROOT_FILE: &str = "sandbox-tls-root.pem";

/// Everything that the listener needs to speak TLS. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    root: String,
}

/// The certificate that a client showed: one that the merchants' authority issued, valid now, with
/// a client that has its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// Its serial number in upper-case hexadecimal digits, as WeChat Pay prints it.
    pub(crate) serial: String,
}

/// The file of the authority.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// PEM.
    certificate: String,
    /// PKCS#8 PEM.
    private_key: String,
}

impl Tls {
    /// Reads the authority of a folder, or makes and keeps it there; without a folder makes it
    /// afresh. `year` is the present one, from which certificates are valid. `merchants` are the
    /// authorities, PEM, whose certificates are taken from clients; at least one.
    pub(crate) fn open(
        folder: Option<&Path>,
        year: i16,
        merchants: &str,
    ) -> Result<Tls, SandboxError> {
        let kept = match folder {
            Some(folder) => kept(folder, year)?,
            None => Kept::new(year)?,
        };
        let config = config(&kept, year, merchants)?;
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), root: kept.certificate })
    }

    /// The root that clients have to trust, PEM. With a folder it is also in its file
    /// `sandbox-tls-root.pem`.
    pub(crate) fn root_pem(&self) -> &str {
        &self.root
    }

    /// Makes a connection one over TLS. An error means that the client spoke something else, does
    /// not trust the root, showed a certificate that is not a merchant's, or was too slow.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<ClientCertificate>)> {
        self.accept_within(HANDSHAKE_TIMEOUT, stream).await
    }

    async fn accept_within(
        &self,
        limit: Duration,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<ClientCertificate>)> {
        let accepted = tokio::time::timeout(limit, self.acceptor.accept(stream)).await;
        let stream = accepted.map_err(|_| io::ErrorKind::TimedOut)??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let client = shown.map(|der| ClientCertificate::read(der)).transpose();
        let client = client.map_err(io::Error::other)?;
        Ok((stream, client))
    }
}

impl ClientCertificate {
    fn read(der: &[u8]) -> Result<ClientCertificate, CertificateError> {
        Ok(ClientCertificate { serial: Certificate::from_der(der)?.serial_hex() })
    }
}

fn config(kept: &Kept, year: i16, merchants: &str) -> Result<ServerConfig, SandboxError> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    for authority in Certificate::bundle_from_pem(merchants).map_err(failed)? {
        roots.add(CertificateDer::from(authority.as_der().to_vec())).map_err(failed)?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let clients = clients.allow_unauthenticated().build();
    let clients = clients.map_err(|error: VerifierBuilderError| failed(error))?;
    let (certificate, key) = kept.server_certificate(year).map_err(failed)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_client_cert_verifier(clients))
        .and_then(|builder| builder.with_single_cert(vec![certificate], key.into()));
    let mut config = config.map_err(|error: rustls::Error| failed(error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Kept {
    fn new(year: i16) -> Result<Kept, SandboxError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let certificate = root_params(year).self_signed(&key).map_err(failed)?;
        Ok(Kept {
            certificate: certificate.pem().replace('\r', ""),
            private_key: key.serialize_pem().replace('\r', ""),
        })
    }

    /// Good for the rest of the year and the next: some clients take no longer ones.
    fn server_certificate(
        &self,
        year: i16,
    ) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error> {
        let authority =
            KeyPair::from_pkcs8_pem_and_sign_algo(&self.private_key, &PKCS_ECDSA_P256_SHA256)?;
        let issuer = Issuer::new(root_params(year), authority);
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name = name("localhost");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(i32::from(year), 1, 1);
        params.not_after = date_time_ymd(i32::from(year) + 1, 12, 31);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok((certificate.der().clone(), key.serialize_der().into()))
    }
}

/// As issuer only the name counts, so the year may be another than when it was made.
fn root_params(year: i16) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Tongbao Sandbox TLS Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(i32::from(year), 1, 1);
    params.not_after = date_time_ymd(i32::from(year) + 30, 12, 31);
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn kept(folder: &Path, year: i16) -> Result<Kept, SandboxError> {
    let path = folder.join(KEPT_FILE);
    let at = |path: &PathBuf, source| SandboxError::Credentials { path: path.clone(), source };
    if !path.exists() {
        let text = serde_json::to_vec_pretty(&Kept::new(year)?).map_err(failed)?;
        place(folder, &path, &text).map_err(|error| at(&path, error))?;
    }
    // Two that start at once end up with the same authority: the file's.
    let text = std::fs::read(&path).map_err(|error| at(&path, error))?;
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| at(&path, error.into()))?;
    let root = folder.join(ROOT_FILE);
    place(folder, &root, kept.certificate.as_bytes()).map_err(|error| at(&root, error))?;
    Ok(kept)
}

/// Puts a file in place in one step, for its owner alone, unless it is there.
fn place(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    std::fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{KEPT_FILE}.{}", hex(12)));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let placed = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match placed {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn failed(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Certificate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::{Authority, Name};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::ClientConfig;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tongbao_crypt::{ClientIdentity, RsaPrivateKey};

    const YEAR: i16 = 2026;

    fn name(common: &str) -> Name<'_> {
        Name { organization: "Tenpay.com", unit: "Tenpay.com CA Center", common }
    }

    fn merchants() -> Authority {
        Authority::new(name("Tenpay.com Root CA"), &RsaPrivateKey::generate(), YEAR).unwrap()
    }

    fn merchant(authority: &Authority) -> ClientIdentity {
        let key = RsaPrivateKey::generate();
        let certificate = authority.issue(name("1900000109"), &key).unwrap();
        ClientIdentity::from_pem(&certificate, &key.to_pkcs8_pem()).unwrap()
    }

    /// A client that trusts this root and may show a certificate.
    fn client(root: &str, identity: Option<&ClientIdentity>) -> TlsConnector {
        let der = |certificate: &Certificate| CertificateDer::from(certificate.as_der().to_vec());
        let mut roots = RootCertStore::empty();
        roots.add(der(&Certificate::from_pem(root).unwrap())).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = identity.chain().iter().map(der).collect();
                let key = PrivatePkcs8KeyDer::from(identity.key().to_pkcs8_der().to_vec());
                builder.with_client_auth_cert(chain, key.into()).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }

    /// Connects; each side says a word if it can. Returns what the server knows and whether the
    /// client heard it.
    async fn meet(
        tls: &Tls,
        client: &TlsConnector,
        host: &str,
    ) -> (io::Result<Option<ClientCertificate>>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, client) = tls.accept(stream).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await?;
            Ok(client)
        };
        let asking = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let host = ServerName::try_from(host.to_owned()).unwrap();
            let mut text = String::new();
            match client.connect(host, stream).await {
                Ok(mut stream) => stream.read_to_string(&mut text).await.is_ok_and(|n| n == 5),
                Err(_) => false,
            }
        };
        tokio::join!(serving, asking)
    }

    #[tokio::test]
    async fn a_merchants_certificate_is_told_and_none_is_none() {
        let authority = merchants();
        let tls = Tls::open(None, YEAR, &authority.pem()).unwrap();
        let merchant = merchant(&authority);
        let (known, heard) =
            meet(&tls, &client(tls.root_pem(), Some(&merchant)), "localhost").await;
        let serial = merchant.certificate().serial_hex();
        assert_eq!((known.unwrap(), heard), (Some(ClientCertificate { serial }), true));
        for host in NAMES {
            let (known, heard) = meet(&tls, &client(tls.root_pem(), None), host).await;
            assert_eq!((known.unwrap(), heard), (None, true), "{host}");
        }
    }

    #[tokio::test]
    async fn a_strangers_certificate_and_an_untrusting_client_are_refused() {
        let tls = Tls::open(None, YEAR, &merchants().pem()).unwrap();
        // Another authority of the same name.
        let stranger = merchant(&merchants());
        let (known, heard) =
            meet(&tls, &client(tls.root_pem(), Some(&stranger)), "localhost").await;
        assert!(known.is_err() && !heard);
        let (known, heard) = meet(&tls, &client(tls.root_pem(), None), "example.com").await;
        assert!(known.is_err() && !heard);
        let other = Tls::open(None, YEAR, &merchants().pem()).unwrap();
        let (known, heard) = meet(&tls, &client(other.root_pem(), None), "localhost").await;
        assert!(known.is_err() && !heard);
    }

    #[tokio::test]
    async fn what_is_not_tls_and_silence_end() {
        let tls = Tls::open(None, YEAR, &merchants().pem()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(tls.accept(stream).await.err().unwrap().kind(), io::ErrorKind::InvalidData);

        let _silent = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let outcome = tls.accept_within(Duration::from_millis(20), stream).await;
        assert_eq!(outcome.err().unwrap().kind(), io::ErrorKind::TimedOut);
    }

    /// A client that was told to trust the root once need not be told again, in later years too.
    #[tokio::test]
    async fn a_folder_keeps_the_authority() {
        let folder = std::env::temp_dir().join(format!("tongbao-tls-{}", std::process::id()));
        let authority = merchants().pem();
        let first = Tls::open(Some(&folder), YEAR, &authority).unwrap();
        let root = std::fs::read_to_string(folder.join(ROOT_FILE)).unwrap();
        assert_eq!(root, first.root_pem());
        let second = Tls::open(Some(&folder), YEAR, &authority).unwrap();
        let (known, heard) = meet(&second, &client(&root, None), "localhost").await;
        assert!(known.is_ok() && heard);
        assert_eq!(Tls::open(Some(&folder), YEAR + 2, &authority).unwrap().root_pem(), root);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::write(folder.join(KEPT_FILE), "{}").unwrap();
        assert!(Tls::open(Some(&folder), YEAR, &authority).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn without_an_authority_for_merchants_there_is_no_tls() {
        assert!(Tls::open(None, YEAR, "").is_err());
    }
}
