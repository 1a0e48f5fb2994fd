//! Saying no: why an operation is not carried out, and with which members.

use crate::world::OrderRefusal;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tongbao_alipay::Refusal;
use tongbao_alipay::open::{pay, refund};

/// A refusal with the members that the operation adds to it.
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) members: Vec<(&'static str, String)>,
}

impl Refused {
    /// With the members that replies of this method have even then, whatever was asked.
    pub(super) fn by(method: &str, refusal: Refusal) -> Refused {
        let zeros = match method {
            pay::METHOD => pay::refusal_members(),
            refund::METHOD => vec![("refund_fee", "0.00"), ("send_back_fee", "0.00")],
            _ => Vec::new(),
        };
        let members = zeros.into_iter().map(|(name, zero)| (name, zero.to_owned())).collect();
        Refused { refusal, members }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { refusal, members: Vec::new() }
    }
}

impl From<OrderRefusal> for Refusal {
    fn from(refusal: OrderRefusal) -> Refusal {
        match refusal {
            OrderRefusal::Paid => Refusal::TRADE_HAS_SUCCESS,
            OrderRefusal::Closed => Refusal::TRADE_HAS_CLOSE,
            OrderRefusal::Differs => Refusal::CONTEXT_INCONSISTENT,
        }
    }
}

/// A refusal of a method by its name: one of the known ones, or the name as it is, with the
/// gateway's code for its prefix. Of a payment whose outcome nobody knows, the code says so too.
pub(super) fn refusal_named(name: &str, method: &str) -> Refusal {
    if name == Refusal::SYSTEM_ERROR.sub_code && method == pay::METHOD {
        return Refusal { code: Refusal::UNAVAILABLE.code, ..Refusal::SYSTEM_ERROR };
    }
    if let Some(known) = Refusal::ALL.iter().find(|known| known.sub_code == name) {
        return known.clone();
    }
    let code = match name {
        _ if name.starts_with("isv.missing-") => "40001",
        _ if name.starts_with("isv.") => "40002",
        _ if name.starts_with("isp.") || name.starts_with("aop.") => "20000",
        _ => "40004",
    };
    Refusal { code, sub_code: kept(name), sub_msg: "业务处理失败".into() }
}

/// The protocol's refusals have names that live for ever; each name that a fault invents is kept
/// once.
pub(super) fn kept(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faults_code_is_said_as_the_gateway_would() {
        let named = |name| refusal_named(name, "alipay.trade.query");
        assert_eq!(named("ACQ.SYSTEM_ERROR"), Refusal::SYSTEM_ERROR);
        let invented = named("ACQ.INVENTED");
        assert_eq!((invented.code, invented.sub_code), ("40004", "ACQ.INVENTED"));
        assert_eq!(named("isv.missing-thing").code, "40001");
        assert_eq!(named("aop.unknow-error").code, "20000");
        assert!(std::ptr::eq(kept("ACQ.ONE"), kept("ACQ.ONE")));
    }

    #[test]
    fn a_payment_that_may_have_happened_is_unknown_by_its_code() {
        let refusal = refusal_named("ACQ.SYSTEM_ERROR", pay::METHOD);
        assert_eq!((refusal.code, refusal.sub_code), ("20000", "ACQ.SYSTEM_ERROR"));
    }
}
