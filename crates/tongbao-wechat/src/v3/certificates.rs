//! Platform certificates (微信支付 API v3, 下载平台证书).
//!
//! The answer is signed by one of the certificates inside it, so it is decrypted first and verified
//! with what came out; the APIv3 key, which only WeChat and the merchant know, vouches for those.

use super::envelope::{Opened, Received, Refusal, Replier, Stamp, get, read_json};
use super::resource::Resource;
use super::sign::verify_message;
use crate::account::{PlatformKeys, V3Credentials};
use crate::china::rfc3339_time;
use crate::error::{Answer, Mismatch, ReplyError};
use serde::{Deserialize, Serialize};
use tongbao_crypt::Certificate;
use tongbao_types::{HttpRequest, HttpResponse, Secret, Timestamp};

/// Where certificates are fetched.
pub const CERTIFICATES_PATH: &str = "/v3/certificates";

/// Which certificates does WeChat sign with? Merchants of the public key alone are refused with
/// RESOURCE_NOT_EXISTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificatesQuery;

#[derive(Serialize, Deserialize)]
struct Body {
    data: Vec<SealedCertificate>,
}

/// A certificate in the answer. Fields are in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedCertificate {
    effective_time: String,
    encrypt_certificate: Resource,
    expire_time: String,
    serial_no: String,
}

impl SealedCertificate {
    /// The provider encrypts a certificate for a merchant; the nonce must be fresh.
    pub fn seal(
        certificate: &Certificate,
        api_v3_key: &Secret<[u8; 32]>,
        nonce: [u8; 6],
    ) -> SealedCertificate {
        let time = |seconds| rfc3339_time(Timestamp::from_seconds(seconds));
        let pem = certificate.to_pem();
        SealedCertificate {
            effective_time: time(certificate.not_before_seconds()),
            encrypt_certificate: Resource::seal(api_v3_key, nonce, "certificate", pem.as_bytes()),
            expire_time: time(certificate.not_after_seconds()),
            serial_no: certificate.serial_hex(),
        }
    }

    fn open(&self, key: &Secret<[u8; 32]>) -> Result<PlatformKeys, ReplyError> {
        let plain = self.encrypt_certificate.open(key).ok_or(ReplyError::Undecryptable)?;
        let pem = String::from_utf8(plain).map_err(|_| ReplyError::Undecryptable)?;
        let read = PlatformKeys::none().with_certificate(&pem);
        let keys = read.map_err(|error| ReplyError::Malformed(error.to_string()))?;
        if keys.find(&self.serial_no).is_some() {
            return Ok(keys);
        }
        let found = keys.iter().map(|key| key.id().to_owned()).collect();
        Err(Mismatch { field: "serial_no", wanted: self.serial_no.clone(), found }.into())
    }
}

impl CertificatesQuery {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        get(CERTIFICATES_PATH.to_owned(), credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<CertificatesQuery, Refusal> {
        match opened.request.query() {
            "" | "algorithm_type=RSA" | "algorithm_type=ALL" => Ok(CertificatesQuery),
            _ => Err(Refusal::new(400, "PARAM_ERROR", "algorithm_type的取值为RSA或ALL")),
        }
    }

    /// The provider's reply.
    pub fn encode_reply(data: Vec<SealedCertificate>, replier: &Replier<'_>) -> HttpResponse {
        replier.json(&Body { data })
    }

    /// The provider's reply to a merchant that has the public key alone.
    pub fn none() -> Refusal {
        let message = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥。";
        Refusal::new(404, "RESOURCE_NOT_EXISTS", message)
    }

    /// The merchant reads the reply. The keys in it come on top of those known
    /// (`received.keys`), any of which may have signed.
    pub fn decode_reply(
        &self,
        credentials: &V3Credentials,
        received: &Received<'_>,
    ) -> Result<Answer<PlatformKeys>, ReplyError> {
        received.unverified()?.then(|bytes| {
            let body: Body = read_json(bytes)?;
            let mut new = PlatformKeys::none();
            for sealed in &body.data {
                new = new.merged(&sealed.open(credentials.api_v3_key())?);
            }
            let all = received.keys.merged(&new);
            verify_message(&all, &received.response.headers, bytes, received.now)?;
            Ok(new)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::envelope::tests::{API_V3_KEY, PAIR, now, opened, received, replier, stamp};
    use super::*;
    use crate::error::SignatureError;
    use rcgen::{CertificateParams, KeyPair, SerialNumber, date_time_ymd};
    use tongbao_crypt::RsaPrivateKey;

    pub(in crate::v3) fn certificate(key: &RsaPrivateKey, serial: u8) -> Certificate {
        let pair = KeyPair::from_pem(&key.to_pkcs8_pem()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(&[0x5a, serial]));
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        Certificate::from_pem(&params.self_signed(&pair).unwrap().pem()).unwrap()
    }

    fn seal(certificate: &Certificate, nonce: u8) -> SealedCertificate {
        let key = Secret::new(API_V3_KEY.as_bytes().try_into().unwrap());
        SealedCertificate::seal(certificate, &key, [nonce; 6])
    }

    /// The answer with these certificates, signed with this key under this serial number.
    fn answer(data: Vec<SealedCertificate>, key: &RsaPrivateKey, serial: &str) -> HttpResponse {
        let replier = Replier { key, serial, ..replier() };
        CertificatesQuery::encode_reply(data, &replier)
    }

    fn read(response: &HttpResponse) -> Result<Answer<PlatformKeys>, ReplyError> {
        CertificatesQuery.decode_reply(&PAIR.credentials, &received(response))
    }

    #[test]
    fn certificates_are_learnt_and_then_verify() {
        let request = CertificatesQuery.encode(&PAIR.credentials, stamp());
        assert_eq!(request.target, CERTIFICATES_PATH);
        assert_eq!(CertificatesQuery::decode(&opened(request)), Ok(CertificatesQuery));
        let keys = [RsaPrivateKey::generate(), RsaPrivateKey::generate()];
        let both = [certificate(&keys[0], 1), certificate(&keys[1], 2)];
        let data = vec![seal(&both[0], 1), seal(&both[1], 2)];
        assert_eq!(data[0].expire_time, "2030-01-01T08:00:00+08:00");
        let response = answer(data, &keys[1], &both[1].serial_hex());
        let Ok(Answer::Done(learnt)) = read(&response) else { panic!("{:?}", read(&response)) };
        assert_eq!(learnt.iter().count(), 2);
        let key = learnt.find(&both[0].serial_hex().to_lowercase()).unwrap();
        assert!(!key.is_public_key() && key.not_after().is_some());
        assert_eq!(learnt.public_key_id(), None);
        let more = PAIR.credentials.trust().merged(&learnt);
        assert_eq!(verify_message(&more, &response.headers, &response.body, now()), Ok(()));
    }

    #[test]
    fn an_answer_that_another_key_signed_is_not_believed() {
        let (own, other) = (RsaPrivateKey::generate(), RsaPrivateKey::generate());
        let certificate = certificate(&own, 1);
        let forged = answer(vec![seal(&certificate, 1)], &other, &certificate.serial_hex());
        assert_eq!(read(&forged).unwrap_err(), SignatureError::Mismatch.into());
        let unknown = answer(vec![seal(&certificate, 1)], &own, "0123");
        let error = SignatureError::KeyUnknown("0123".to_owned());
        assert_eq!(read(&unknown).unwrap_err(), error.into());
    }

    #[test]
    fn what_does_not_decrypt_or_bears_another_serial_is_not_believed() {
        let key = RsaPrivateKey::generate();
        let certificate = certificate(&key, 1);
        let check = |change: fn(&mut SealedCertificate)| {
            let mut sealed = seal(&certificate, 1);
            change(&mut sealed);
            read(&answer(vec![sealed], &key, &certificate.serial_hex())).unwrap_err()
        };
        let error = check(|c| c.encrypt_certificate.associated_data.clear());
        assert_eq!(error, ReplyError::Undecryptable);
        let error = check(|c| c.serial_no = "0123".to_owned());
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "serial_no"));
    }

    #[test]
    fn a_merchant_of_the_public_key_alone_is_refused() {
        let response = CertificatesQuery::none().encode("id");
        let answer = read(&response);
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is_not_found()));
        let target = format!("{CERTIFICATES_PATH}?algorithm_type=SM2");
        let national = get(target, &PAIR.credentials, stamp());
        assert_eq!(CertificatesQuery::decode(&opened(national)).unwrap_err().status, 400);
    }
}
