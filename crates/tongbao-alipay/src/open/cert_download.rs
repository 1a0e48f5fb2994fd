//! `alipay.open.app.alipaycert.download`: fetches a certificate of Alipay's that a reply named and
//! that is not known here. Alipay, 支付宝公钥证书下载.
//!
//! The reply cannot be checked by its signature, which may be by the very key that is missing. It
//! is believed only if the certificate is the one asked for and leads to a configured root.

use super::envelope::{self, CallContext};
use super::gateway::{GatewayRequest, Sealing};
use super::members::{Reader, Writer};
use crate::account::{Credentials, Trust};
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_crypt::{Certificate, base64};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// The method's name.
pub const METHOD: &str = "alipay.open.app.alipaycert.download";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertDownload {
    /// The serial that [`ReplyError::CertificateUnknown`] named.
    pub alipay_cert_sn: String,
}

impl CertDownload {
    /// The call, signed.
    pub fn encode(&self, credentials: &Credentials, call: &CallContext) -> HttpRequest {
        let biz = Writer::new().text("alipay_cert_sn", &self.alipay_cert_sn);
        envelope::request(credentials, call, METHOD, &biz.to_biz_content())
    }

    /// Reads what came back, and checks the chain at `now`. Give the certificate to
    /// [`Credentials::with_alipay_certificate`].
    pub fn decode(
        &self,
        credentials: &Credentials,
        response: &HttpResponse,
        now: Timestamp,
    ) -> Result<Answer<Certificate>, ReplyError> {
        let answer = envelope::reply_without_signature(METHOD, response)?;
        answer.then(|members| self.certificate(&members, credentials, now))
    }

    fn certificate(
        &self,
        members: &Reader,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Certificate, ReplyError> {
        let malformed = ReplyError::Malformed("alipay_cert_content");
        let pem = base64::decode(&members.required("alipay_cert_content")?);
        let pem = pem.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(malformed.clone())?;
        let all = Certificate::bundle_from_pem(&pem).map_err(|_| malformed)?;
        let leaf = all[0].clone();
        let Trust::Certificates(trust) = credentials.trust() else {
            return Err(ReplyError::CertificateUntrusted);
        };
        if leaf.alipay_sn() != self.alipay_cert_sn || !trust.leads_to_root(&leaf, &all, now) {
            return Err(ReplyError::CertificateUntrusted);
        }
        Ok(leaf)
    }

    /// The gateway's side: from the decrypted `biz_content`.
    pub fn read(biz_content: &str) -> Result<CertDownload, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let sn = biz.text("alipay_cert_sn");
        let alipay_cert_sn = sn.ok_or(Refusal::INVALID_PARAMETER)?;
        Ok(CertDownload { alipay_cert_sn })
    }
}

/// The gateway's side: the reply to `request`, with a certificate and those between it and a root.
pub fn encode_reply(pem: &str, request: &GatewayRequest, sealing: Sealing<'_>) -> HttpResponse {
    let content = base64::encode(pem.as_bytes());
    let members = Writer::new().text("alipay_cert_content", &content);
    request.answer(&members.to_reply(), sealing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::CertificateFiles;
    use crate::open::testing::{APP_ID, Authority, K1};
    use tongbao_crypt::RsaPrivateKey;

    struct World {
        root: Authority,
        between: Authority,
        merchant: Credentials,
    }

    fn world() -> World {
        world_under(Authority::root("root"))
    }

    fn world_under(root: Authority) -> World {
        let between = root.under("between");
        let app = root.certify("app", &RsaPrivateKey::read(K1).unwrap());
        let alipay = root.certify("alipay", &RsaPrivateKey::generate());
        let files = CertificateFiles { app: &app, alipay: &alipay, root: &root.pem };
        let merchant = Credentials::with_certificates(APP_ID, K1, files).unwrap();
        World { root, between, merchant }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn answer(merchant: &Credentials, pem: &str, now: &str) -> Result<Certificate, ReplyError> {
        let sn = Certificate::from_pem(pem).unwrap().alipay_sn();
        let call = CertDownload { alipay_cert_sn: sn };
        let request = call.encode(merchant, &CallContext::at(at("2026-11-21T06:30:00Z")));
        let received = GatewayRequest::read(&request).unwrap();
        assert_eq!(CertDownload::read(&received.biz_content(None).unwrap()), Ok(call.clone()));
        let response = encode_reply(pem, &received, Sealing::Unsigned);
        match call.decode(merchant, &response, at(now))? {
            Answer::Done(certificate) => Ok(certificate),
            Answer::Refused(error) => panic!("{error}"),
        }
    }

    const NOW: &str = "2026-11-21T06:30:00Z";

    #[test]
    fn a_certificate_that_leads_to_a_root_is_believed_from_then_on() {
        let world = world();
        let key = RsaPrivateKey::generate();
        let direct = world.root.certify("new", &key);
        let chained = world.between.certify("newer", &key) + &world.between.pem;
        for pem in [direct, chained] {
            let certificate = answer(&world.merchant, &pem, NOW).unwrap();
            let sn = certificate.alipay_sn();
            assert!(world.merchant.trust().keys_for(Some(&sn)).is_none());
            let more = world.merchant.clone().with_alipay_certificate(&certificate).unwrap();
            assert_eq!(more.trust().keys_for(Some(&sn)), Some(vec![&key.public()]));
        }
    }

    #[test]
    fn others_are_not() {
        let world = world();
        let key = RsaPrivateKey::generate();
        let check = |pem: &str, now: &str| {
            let read = answer(&world.merchant, pem, now);
            assert_eq!(read, Err(ReplyError::CertificateUntrusted));
        };
        let foreign = Authority::root("root").certify("new", &key);
        check(&foreign, NOW);
        let without_between = world.between.certify("newer", &key);
        check(&without_between, NOW);
        let direct = world.root.certify("new", &key);
        check(&direct, "2025-12-31T00:00:00Z");
        check(&direct, "2036-02-01T00:00:00Z");
    }

    #[test]
    fn leaf_and_root_must_each_be_valid_now() {
        let key = RsaPrivateKey::generate();
        let check = |world: &World, leaf_until: i32, now: &str, valid: bool| {
            let pem = world.root.certify_until("new", &key, leaf_until);
            assert_eq!(answer(&world.merchant, &pem, now).is_ok(), valid, "{leaf_until} {now}");
        };
        let world = world();
        check(&world, 2028, "2027-06-01T00:00:00Z", true);
        check(&world, 2028, "2029-06-01T00:00:00Z", false);
        let world = world_under(Authority::root_until("root", 2030));
        check(&world, 2036, "2029-06-01T00:00:00Z", true);
        check(&world, 2036, "2031-06-01T00:00:00Z", false);
    }

    #[test]
    fn another_certificate_than_the_one_asked_for_is_not_taken() {
        let world = world();
        let pem = world.root.certify("new", &RsaPrivateKey::generate());
        let call = CertDownload { alipay_cert_sn: "687b59193f3f462dd5336e5abf83c5d8".into() };
        let request = call.encode(&world.merchant, &CallContext::at(at(NOW)));
        let received = GatewayRequest::read(&request).unwrap();
        let response = encode_reply(&pem, &received, Sealing::Unsigned);
        let read = call.decode(&world.merchant, &response, at(NOW));
        assert_eq!(read, Err(ReplyError::CertificateUntrusted));
        let refused = received.refuse(&Refusal::INVALID_PARAMETER, &[], Sealing::Unsigned);
        let read = call.decode(&world.merchant, &refused, at(NOW));
        assert!(matches!(read, Ok(Answer::Refused(_))), "{read:?}");
    }
}
