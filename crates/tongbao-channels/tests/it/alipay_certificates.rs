//! Certificates that the tests issue themselves, and what an account does when Alipay signs with
//! one that it does not know.

use crate::alipay_provider::{Alipay, Protocol, Say, queried};
use crate::world::{now, order_ref, stamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256, SerialNumber,
};
use tongbao_alipay::open::cert_download::{self, CertDownload};
use tongbao_alipay::open::{self, Sealing};
use tongbao_alipay::{Refusal, TradeStatus};
use tongbao_channels::{Doubt, Reply};
use tongbao_core::Fact;
use tongbao_crypt::{Certificate, RsaPrivateKey};
use tongbao_types::Channel;

/// A certificate authority with names as Alipay's own.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        let (mut params, key) = (params(name), pair(&RsaPrivateKey::generate()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    pub(crate) fn certify(&self, name: &str, of: &RsaPrivateKey) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params(name).signed_by(&pair(of), &issuer).unwrap().pem()
    }
}

fn pair(of: &RsaPrivateKey) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(&of.to_pkcs8_pem(), &PKCS_RSA_SHA256).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "CN"),
        (DnType::OrganizationName, "Tongbao Tests"),
        (DnType::OrganizationalUnitName, "Certification Authority"),
        (DnType::CommonName, name),
    ] {
        params.distinguished_name.push(kind, value);
    }
    let serial = tongbao_crypt::digest::sha256(name.as_bytes());
    params.serial_number = Some(SerialNumber::from_slice(&serial[..15]));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    params
}

/// An account, and the answer to its query under a certificate of Alipay's that it does not know.
fn under_a_new_certificate(protocol: Protocol, by: Option<&Authority>) -> (Alipay, String, Reply) {
    let alipay = Alipay::certified(protocol);
    let new_key = RsaPrivateKey::generate();
    let issuer = by.unwrap_or(&alipay.sns.as_ref().unwrap().authority);
    let pem = issuer.certify("alipay-new", &new_key);
    let sn = Certificate::from_pem(&pem).unwrap().alipay_sn();
    let query = alipay.adapter.query(order_ref(Channel::AlipayQr), &stamp());
    let reply = queried(TradeStatus::WaitBuyerPay, false);
    let said = Say::Queried(&reply);
    let response = alipay.answer_by(&query.request, &said, &new_key, Some(&sn));
    let first = query.finish(&response, now());
    assert!(matches!(first, Reply::Unknown(Doubt { keys_may_help: true, .. })), "{first:?}");
    let request = alipay.adapter.keys_request(&stamp()).unwrap();
    let sent = alipay.read(&request);
    assert_eq!(sent.method, cert_download::METHOD);
    assert_eq!(CertDownload::read(&sent.content), Ok(CertDownload { alipay_cert_sn: sn }));
    let received = open::GatewayRequest::read(&request).unwrap();
    let download = cert_download::encode_reply(&pem, &received, Sealing::Unsigned);
    let learnt = alipay.adapter.learn_keys(&download, now());
    let error = learnt.err().unwrap_or_default();
    let again = query.finish(&response, now());
    (alipay, error, again)
}

#[test]
fn a_certificate_that_is_not_known_is_fetched_and_believed_then() {
    for protocol in [Protocol::Open, Protocol::V3] {
        let (alipay, error, again) = under_a_new_certificate(protocol, None);
        assert_eq!(error, "");
        assert_eq!(again, Reply::Done(Fact::Awaiting(None)));
        // What the old one signed stays believed.
        let query = alipay.adapter.query(order_ref(Channel::AlipayQr), &stamp());
        let reply = queried(TradeStatus::TradeClosed, false);
        let response = alipay.answer(&query.request, &Say::Queried(&reply));
        assert_eq!(query.finish(&response, now()), Reply::Done(Fact::Closed));
    }
}

#[test]
fn a_certificate_of_another_authority_is_not_believed() {
    let foreign = Authority::root("root");
    for protocol in [Protocol::Open, Protocol::V3] {
        let (_, error, again) = under_a_new_certificate(protocol, Some(&foreign));
        assert!(error.contains("alipayRootCert"), "{error}");
        assert!(matches!(again, Reply::Unknown(Doubt { keys_may_help: true, .. })), "{again:?}");
    }
}

#[test]
fn nothing_is_fetched_while_all_is_known() {
    for protocol in [Protocol::Open, Protocol::V3] {
        let alipay = Alipay::certified(protocol);
        assert!(!alipay.adapter.needs_keys());
        assert_eq!(alipay.adapter.keys_request(&stamp()), None);
        let query = alipay.adapter.query(order_ref(Channel::AlipayQr), &stamp());
        let response = alipay.answer(&query.request, &Say::No(Refusal::TRADE_NOT_EXIST));
        assert_eq!(query.finish(&response, now()), Reply::Done(Fact::Absent));
        assert_eq!(alipay.adapter.keys_request(&stamp()), None);
    }
}
