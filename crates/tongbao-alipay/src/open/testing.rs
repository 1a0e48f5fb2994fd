//! Two ends that know each other, for the tests of the operations: a merchant and a gateway.

use super::envelope::CallContext;
use super::gateway::{AppAtGateway, GatewayRequest, Sealing};
use super::order::{Expiry, Order};
use crate::account::{CertificateFiles, Credentials};
use crate::{Charset, ContentKey};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer};
use rcgen::{KeyPair, PKCS_RSA_SHA256, SerialNumber};
use tongbao_crypt::{Certificate, RsaPrivateKey, alipay_root_sn};
use tongbao_types::{Amount, Fen, HttpRequest, HttpResponse, Method, OutTradeNo};

/// Where the tests' browser goes.
pub(crate) const GATEWAY: &str = "http://127.0.0.1:9010/gateway.do";

pub(crate) const APP_ID: &str = "2021000000000001";
pub(crate) const SELLER_ID: &str = "2088000000000001";

/// A private key that is public, for tests only.
pub(crate) const K1: &str = "\
     MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCe/HXrwhRbSxD32GleOuYLFzeY4XmLV5YDQwGp+/BB\
     ewhEpAfszHF2c4KgtB1ZRIJ9Vc52CTQv06bt1Drn92Sg9WOELtZN1pHiQfna5U5LyXMaGWAMHb+g3haBtLDwgOH4w3gP\
     1ALvE5v3phdBHLdrheoxd8bJqF4zYfu7CuaqiOaI1vwPWbljxAF/ZCEDpVR67q0hAk+uF82OQa91ngo7xjGCH/Bd0M4p\
     HbM5ND7yH7cyK8SIUfQVDOYmv2bDHNC7ma+r4tNoMFH8YUaP4HUy3PJY4BZGdpvU6hvYQx4qtrIIMsTZkv4mVoYmKbeK\
     Rngb+URvUPV/gudNBo94aq8JAgMBAAECggEAA5ObCi5ii4SOdtTn10EsnavsX0RrRJGNhA3vgqXH9jZ7WCKh3wI2Zztw\
     ATIsGtmqCdcdVEB0Fm4E1QLaPw+stDDxB9nkjk8ObHBJhlLJm8uGCwdDxuIAcUZYa/CRrnISeKiFEe4WEXoidG7Ib87i\
     ksj/chTHZGVPloj/bb9wCFQPq5Es46YjMEkWPWEvF9jULFk7sVRK0DRkbO43HoInjtxCexQOgAWRNsYOXtLGiWav1SnS\
     nFmnSdNUryIrTc2n0119keb9hHE4HO41tdpR/VK+KaNhD5Heo3FTd91d5N9qH6QflbRrUoP0JIKR44EO94XAaT7DhDla\
     vA8xLnPtBQKBgQDWbEiQ32l0D032pALxDa+MjnvzcBG9KZWcW8FBohRTSrDq8ZZVACh2aFQhqz4vlfhnYvcMzzyILjZu\
     x6hJdMgUl9jrnWDLF6pdCf7geUXhW5hWNEjpXlV4GbDitW8Bl1/jNQNMyanEHRxXDYCOMDPanwPphGWFwp3I7AVIoIt/\
     7wKBgQC90Fssl6dQMhdCvsWGmcWfNCXawiHrKQYMKAevKX+/cohlada3p7s6dwCWNK+dxSplikYQExkSoGgs+U5fAPQV\
     RSb97PTZlrf73cf7O3e0JDxsJxncdqPpGnDrI7mz42PyeApjFPIiqgadcw9sP1d3tTVD8K1fl3gycvXVLBFIhwKBgQCj\
     mjMz9oKrfxHpYfKsodiT0hNZBuVCA3yXtJqbzWLculyKppIhgOFelvO6TMJB5JeHqsb9CxIQhdIabFRG18fhjoqAG7BC\
     xWfDXWEPPPjIne55t6L6DHQCEvgXwn9UI3+SCFzgNe5GKD/7W93+n2CxKir9/XrIuFlTeGH/rB9EGQKBgETEOnPSUXRV\
     YWX19VvJU/ZUjy5MzLsEdsNqsTX9Y+G5Hb8X9Ak/RC5vNJA2cDVJXA3DZZSnRpsf7/3zKDh1APi/v9uYwDAgUXF3LN9Q\
     8RIbWqSYGd9sP//Qa35UyA9q3yfV43V3/i0eyhy6taiy3f5pcO23QShzmME2MufS+kP7AoGAe1C5dqM6LbTvCBaZVNef\
     /Rae9QxNiXvzeqbHV6KQmuuceTM5wM0SY+NiQSq22QxpBqcitLWimf5p3eztYAAKgLzyPVmveU1ftjj+7OAsX3vD+H6m\
     FqnDfLSuCRehlVp+NNJLyWqhQkvOvhFB+32aHlP8MTn9sqq4BdMpReC2vsM=";

/// Its public half.
pub(crate) const K1_PUBLIC: &str = "\
     MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnvx168IUW0sQ99hpXjrmCxc3mOF5i1eWA0MBqfvwQXsIRKQH\
     7MxxdnOCoLQdWUSCfVXOdgk0L9Om7dQ65/dkoPVjhC7WTdaR4kH52uVOS8lzGhlgDB2/oN4WgbSw8IDh+MN4D9QC7xOb\
     96YXQRy3a4XqMXfGyaheM2H7uwrmqojmiNb8D1m5Y8QBf2QhA6VUeu6tIQJPrhfNjkGvdZ4KO8Yxgh/wXdDOKR2zOTQ+\
     8h+3MivEiFH0FQzmJr9mwxzQu5mvq+LTaDBR/GFGj+B1MtzyWOAWRnab1Oob2EMeKrayCDLE2ZL+JlaGJim3ikZ4G/lE\
     b1D1f4LnTQaPeGqvCQIDAQAB";

pub(crate) struct Both {
    pub(crate) merchant: Credentials,
    pub(crate) alipay_key: RsaPrivateKey,
    pub(crate) certificates: Option<Sns>,
    pub(crate) content_key: Option<ContentKey>,
}

pub(crate) struct Sns {
    pub(crate) app: String,
    pub(crate) root: String,
    pub(crate) alipay: String,
}

impl Both {
    pub(crate) fn all() -> [Both; 3] {
        [Both::plain(), Both::with_certificates(), Both::encrypted()]
    }

    /// Made once, for tests that need one many times.
    pub(crate) fn plain_shared() -> &'static Both {
        static SHARED: std::sync::OnceLock<Both> = std::sync::OnceLock::new();
        SHARED.get_or_init(Both::plain)
    }

    pub(crate) fn plain() -> Both {
        let alipay_key = RsaPrivateKey::generate();
        let public = alipay_key.public().to_spki_base64();
        let merchant = Credentials::with_public_key(APP_ID, K1, &public).unwrap();
        let merchant = merchant.with_seller_id(SELLER_ID).unwrap();
        Both { merchant, alipay_key, certificates: None, content_key: None }
    }

    pub(crate) fn with_other_key() -> Both {
        Both { alipay_key: RsaPrivateKey::generate(), ..Both::plain() }
    }

    pub(crate) fn encrypted() -> Both {
        let key = ContentKey::read("aYA0GP8JEW+D7/UFaskCWA==").unwrap();
        let plain = Both::plain();
        let merchant = plain.merchant.with_content_key(key.clone());
        Both { merchant, content_key: Some(key), ..plain }
    }

    pub(crate) fn with_certificates() -> Both {
        let root = Authority::root("root");
        let app = root.certify("app", &RsaPrivateKey::read(K1).unwrap());
        let alipay_key = RsaPrivateKey::generate();
        let alipay = root.certify("alipay", &alipay_key);
        let files = CertificateFiles { app: &app, alipay: &alipay, root: &root.pem };
        let merchant = Credentials::with_certificates(APP_ID, K1, files).unwrap();
        let sn = |pem: &str| Certificate::from_pem(pem).unwrap().alipay_sn();
        let roots = Certificate::bundle_from_pem(&root.pem).unwrap();
        let sns = Sns { app: sn(&app), root: alipay_root_sn(&roots), alipay: sn(&alipay) };
        Both { merchant, alipay_key, certificates: Some(sns), content_key: None }
    }

    pub(crate) fn context(&self) -> CallContext {
        CallContext {
            timestamp: "2026-11-21T06:30:00Z".parse().unwrap(),
            notify_url: Some("https://pay.example.com/notify/alipay/1?x=1".into()),
            return_url: None,
        }
    }

    /// What the gateway makes of a request that it has nothing against.
    pub(crate) fn receive(&self, request: &HttpRequest) -> GatewayRequest {
        let received = GatewayRequest::read(request).unwrap();
        assert_eq!(received.app_id().as_deref(), Ok(self.merchant.app_id()));
        assert_eq!(received.check(self.app(&self.merchant.app_key().public())), Ok(()));
        received
    }

    /// `biz_content` as the gateway reads it.
    pub(crate) fn biz_content(&self, received: &GatewayRequest) -> String {
        received.biz_content(self.content_key.as_ref()).unwrap()
    }

    pub(crate) fn app<'a>(&'a self, key: &'a tongbao_crypt::RsaPublicKey) -> AppAtGateway<'a> {
        let sns = self.certificates.as_ref();
        AppAtGateway {
            key,
            certificates: sns.map(|sns| (sns.app.as_str(), sns.root.as_str())),
            content_key: self.content_key.as_ref(),
        }
    }

    pub(crate) fn sealing(&self) -> Sealing<'_> {
        Sealing::Signed {
            key: &self.alipay_key,
            cert_sn: self.certificates.as_ref().map(|sns| sns.alipay.as_str()),
            content_key: self.content_key.as_ref(),
        }
    }

    /// A reply with this object, rightly signed.
    pub(crate) fn signed_reply(&self, method: &str, object: &str) -> HttpResponse {
        let sign = self.alipay_key.sign_sha256(object.as_bytes());
        let root = super::envelope::root(method);
        let body = format!("{{\"{root}\":{object},\"sign\":\"{sign}\"}}");
        HttpResponse::new(200, "text/html;charset=utf-8", body)
    }
}

/// What a browser sends that is given this address or posts to it.
pub(crate) fn browser(method: Method, address: &str, body: &str) -> HttpRequest {
    let target = address.strip_prefix("http://127.0.0.1:9010").unwrap().to_owned();
    let kind = "application/x-www-form-urlencoded".to_owned();
    let headers = vec![("content-type".to_owned(), kind)];
    HttpRequest { method, target, headers, body: body.to_owned().into() }
}

pub(crate) fn order(product_code: &str) -> Order {
    Order {
        out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
        total_amount: Amount::new(Fen(8888)).unwrap(),
        subject: "测试 a+b%26&c".into(),
        product_code: product_code.into(),
        body: None,
        expiry: Some(Expiry::At("2026-11-21T07:00:00Z".parse().unwrap())),
        passback_params: None,
        seller_id: None,
    }
}

/// A made certificate authority with names as Alipay's own.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        Authority::root_until(name, 2036)
    }

    pub(crate) fn root_until(name: &str, year: i32) -> Authority {
        let (mut params, key) = (params(name, true), key(&RsaPrivateKey::generate()));
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { params, key, pem }
    }

    pub(crate) fn under(&self, name: &str) -> Authority {
        let (params, key) = (params(name, true), key(&RsaPrivateKey::generate()));
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        Authority { params, key, pem }
    }

    pub(crate) fn certify(&self, name: &str, of: &RsaPrivateKey) -> String {
        self.certify_until(name, of, 2036)
    }

    pub(crate) fn certify_until(&self, name: &str, of: &RsaPrivateKey, year: i32) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        let mut params = params(name, false);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.signed_by(&key(of), &issuer).unwrap().pem()
    }
}

fn key(of: &RsaPrivateKey) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(&of.to_pkcs8_pem(), &PKCS_RSA_SHA256).unwrap()
}

/// Valid from 2026 to 2036, unless changed.
fn params(name: &str, is_ca: bool) -> CertificateParams {
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
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

/// The text of a body in UTF-8.
pub(crate) fn body_text(response: &HttpResponse) -> String {
    Charset::Utf8.decode(&response.body).unwrap().into_owned()
}
