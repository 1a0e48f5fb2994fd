//! Small texts of callers: ids, numbers, amounts, times, and the addresses of webhooks.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use tongbao_engine::Egress;
use tongbao_types::{
    AccountName, ApiKeyId, AppName, AttemptId, ChargeId, DeliveryId, EndpointId, EventId, Fen,
    OutRefundNo, OutTradeNo, RefundId, Timestamp, TradeNo,
};
use url::Url;

/// What is read as an id is written the same.
pub fn public_ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    same::<ApiKeyId>(text);
    same::<AttemptId>(text);
    same::<ChargeId>(text);
    same::<DeliveryId>(text);
    same::<EndpointId>(text);
    same::<EventId>(text);
    same::<RefundId>(text);
    let _ = (AccountName::new(text).is_ok(), AppName::new(text).is_ok());
    let _ = (OutTradeNo::new(text).is_ok(), OutRefundNo::new(text).is_ok());
    let _ = TradeNo::new(text).is_ok();
    if let Ok(fen) = Fen::from_yuan(text) {
        assert_eq!(Fen::from_yuan(&fen.to_yuan()), Ok(fen));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        let _ = time.to_string();
    }
}

fn same<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    if let Ok(id) = text.parse::<T>() {
        assert_eq!(id.to_string(), text);
    }
}

/// No address that is let through names a network of one's own.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(url) = Url::parse(text) else { return };
    let closed = Egress::default();
    if closed.check_url(&url).is_err() {
        return;
    }
    match url.host() {
        Some(url::Host::Ipv4(address)) => {
            let is_own = address.is_loopback() || address.is_private() || address.is_link_local();
            assert!(!is_own && !address.is_unspecified(), "{url}");
        }
        Some(url::Host::Ipv6(address)) => {
            let inside = address.to_ipv4_mapped();
            let is_own = inside.is_some_and(|v4| v4.is_loopback() || v4.is_private());
            assert!(!is_own && !address.is_loopback() && !address.is_unspecified(), "{url}");
        }
        Some(url::Host::Domain(name)) => assert_ne!(name, "localhost", "{url}"),
        None => panic!("{url} names no host"),
    }
}
