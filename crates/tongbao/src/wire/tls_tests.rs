//! Mutual TLS over real sockets: a server that refuses whoever shows no certificate of its
//! authority, and clients of several merchants.

use super::HttpWire;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tongbao_crypt::{Certificate, ClientIdentity, P12Style, RsaPrivateKey};
use tongbao_engine::{Egress, Outgoing, Reach, Tls, Wire, WireError};
use tongbao_types::{HttpRequest, HttpResponse, Method, Span};

struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority { params, key: KeyPair::generate().unwrap() }
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem(&self.params.self_signed(&self.key).unwrap().pem()).unwrap()
    }

    fn issue(&self, names: &[&str], key: &KeyPair) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        Certificate::from_pem(&params.signed_by(key, &issuer).unwrap().pem()).unwrap()
    }

    /// Through a file of the old kind, as a merchant has it.
    fn merchant(&self) -> ClientIdentity {
        let key = RsaPrivateKey::generate();
        let pem = key.to_pkcs8_pem();
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).unwrap();
        let certificate = self.issue(&[], &pair).to_pem();
        let identity = ClientIdentity::from_pem(&certificate, &pem).unwrap();
        let file = identity.to_p12("Tenpay Certificate", "1900000109", P12Style::Legacy);
        ClientIdentity::from_p12(&file, "1900000109").unwrap()
    }
}

/// A server that answers with the serial number of the client's certificate, and counts its
/// connections.
struct Server {
    base: String,
    root: Arc<Certificate>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `names` are those in its certificate; `clients` issues those of its clients.
    async fn start(names: &[&str], clients: &Authority) -> Server {
        let authority = Authority::new("server authority");
        let acceptor = TlsAcceptor::from(Arc::new(server_config(names, &authority, clients)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(acceptor.clone(), stream));
            }
        });
        Server { base, root: Arc::new(authority.certificate()), connections }
    }

    fn tls(&self, identity: Option<&Arc<ClientIdentity>>) -> Tls {
        Tls { identity: identity.cloned(), root: Some(Arc::clone(&self.root)) }
    }

    async fn ask(&self, wire: &HttpWire, tls: Tls) -> Result<HttpResponse, WireError> {
        wire.send(outgoing(&self.base, tls)).await
    }
}

fn server_config(names: &[&str], authority: &Authority, clients: &Authority) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let der = |certificate: &Certificate| CertificateDer::from(certificate.as_der().to_vec());
    let mut roots = RootCertStore::empty();
    roots.add(der(&clients.certificate())).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let key = KeyPair::generate().unwrap();
    let chain = vec![der(&authority.issue(names, &key))];
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap()
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    let serial = Certificate::from_der(&shown[0]).unwrap().serial_hex();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{serial}", serial.len());
    let mut buffer = vec![0; 65_536];
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }
}

fn outgoing(base: &str, tls: Tls) -> Outgoing {
    let (method, target) = (Method::Get, "/secapi/pay/refund".to_owned());
    Outgoing {
        base: base.to_owned(),
        request: HttpRequest { method, target, headers: Vec::new(), body: "".into() },
        timeout: Span::from_seconds(10),
        answer_max: 1024,
        reach: Reach::Provider,
        tls,
    }
}

fn wire() -> HttpWire {
    HttpWire::new(Egress::default())
}

#[track_caller]
fn broken(outcome: Result<HttpResponse, WireError>, words: &str) {
    match outcome {
        Err(WireError::Broken(text)) => assert!(text.contains(words), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_the_accounts_own() {
    let clients = Authority::new("merchants");
    let server = Server::start(&["localhost"], &clients).await;
    let merchant = Arc::new(clients.merchant());
    let answer = server.ask(&wire(), server.tls(Some(&merchant))).await.unwrap();
    assert_eq!(answer.body, merchant.certificate().serial_hex());

    broken(server.ask(&wire(), server.tls(None)).await, "CertificateRequired");
    let stranger = Arc::new(Authority::new("others").merchant());
    broken(server.ask(&wire(), server.tls(Some(&stranger))).await, "received fatal alert");
}

/// Otherwise a merchant's refund could travel under another merchant's certificate.
#[tokio::test]
async fn connections_are_kept_for_each_identity_apart() {
    let clients = Authority::new("merchants");
    let server = Server::start(&["localhost"], &clients).await;
    let merchants = [Arc::new(clients.merchant()), Arc::new(clients.merchant())];
    let wire = wire();
    for _ in 0..3 {
        for merchant in &merchants {
            let answer = server.ask(&wire, server.tls(Some(merchant))).await.unwrap();
            assert_eq!(answer.body, merchant.certificate().serial_hex());
        }
    }
    // The same identity, read once more, is the same.
    let again = Arc::new(ClientIdentity::clone(&merchants[0]));
    assert!(server.ask(&wire, server.tls(Some(&again))).await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    broken(server.ask(&wire, server.tls(None)).await, "CertificateRequired");
}

#[tokio::test]
async fn the_server_must_have_the_name_and_come_from_the_root() {
    let clients = Authority::new("merchants");
    let merchant = Arc::new(clients.merchant());
    let renamed = Server::start(&["api.mch.weixin.qq.com"], &clients).await;
    let outcome = renamed.ask(&wire(), renamed.tls(Some(&merchant))).await;
    broken(outcome, "certificate not valid for name");

    let server = Server::start(&["localhost"], &clients).await;
    // Another root of the same name.
    let root = Some(Arc::new(Authority::new("server authority").certificate()));
    let tls = Tls { identity: Some(Arc::clone(&merchant)), root };
    broken(server.ask(&wire(), tls).await, "invalid peer certificate");
    let tls = Tls { identity: Some(merchant), root: None };
    assert!(server.ask(&wire(), tls).await.is_err());
}

#[test]
fn clients_are_bounded_and_made_once() {
    let clients = &wire().providers.https;
    let tls = |n: usize| {
        let root = Some(Arc::new(Authority::new(&n.to_string()).certificate()));
        Tls { identity: None, root }
    };
    let first = tls(0);
    clients.client(&first).unwrap();
    clients.client(&first).unwrap();
    assert_eq!(clients.n_made(), 1);
    for n in 1..70 {
        clients.client(&tls(n)).unwrap();
    }
    assert_eq!(clients.n_made(), 64);
}
