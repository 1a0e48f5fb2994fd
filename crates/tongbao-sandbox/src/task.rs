//! What a merchant's request is about, whatever the protocol; and what its amount makes of the
//! answer (see `magic`), in the words of that protocol.

use crate::faults::{Breakage, Mishap};
use crate::magic::{self, Effect};
use crate::order::Key;
use crate::pretend::Pretend;
use tongbao_types::Provider;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Order,
    /// The payer's code was scanned.
    Scan,
    Query,
    Close,
    Refund,
}

/// A request's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) ask: Ask,
    /// The order.
    pub(crate) key: Key,
    /// What is the same when the request is repeated: the order's number, or the refund's.
    pub(crate) number: String,
    /// In fen, the order's or the refund's.
    pub(crate) amount: i64,
}

/// Whose words errors are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    WechatV2,
    WechatV3,
    Alipay,
}

/// An error that an amount asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    System,
    NoPermission,
    TooMany,
    PayerPoor,
    MerchantPoor,
    CodeExpired,
}

impl Trouble {
    fn code(self, dialect: Dialect) -> &'static str {
        let [v2, v3, alipay] = match self {
            Trouble::System => ["SYSTEMERROR", "SYSTEM_ERROR", "ACQ.SYSTEM_ERROR"],
            Trouble::NoPermission => ["NOAUTH", "NO_AUTH", "ACQ.ACCESS_FORBIDDEN"],
            Trouble::TooMany => ["FREQUENCY_LIMITED", "FREQUENCY_LIMITED", "isv.app-call-limited"],
            Trouble::PayerPoor => ["NOTENOUGH", "NOT_ENOUGH", "ACQ.BUYER_BALANCE_NOT_ENOUGH"],
            Trouble::MerchantPoor => ["NOTENOUGH", "NOT_ENOUGH", "ACQ.SELLER_BALANCE_NOT_ENOUGH"],
            Trouble::CodeExpired => {
                ["AUTHCODEEXPIRE", "AUTHCODEEXPIRE", "ACQ.PAYMENT_AUTH_CODE_INVALID"]
            }
        };
        match dialect {
            Dialect::WechatV2 => v2,
            Dialect::WechatV3 => v3,
            Dialect::Alipay => alipay,
        }
    }
}

/// What happens to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Without effect, always or the first time only.
    Refused(Trouble),
    RefusedOnce(Trouble),
    /// With effect, the first time.
    DoneButError,
    DoneButCut,
    /// Without effect, the first time.
    Page500,
    /// After the notification.
    AfterNotice,
}

impl Task {
    /// A task about an order that is there already; none if it is not, or for refunds.
    pub(crate) fn about(pretend: &Pretend, ask: Ask, key: &Key) -> Option<Task> {
        let amount = pretend.change(|world, now| world.find(key, now).map(|t| t.order.amount))?;
        Some(Task { ask, key: key.clone(), number: key.out_trade_no.clone(), amount })
    }

    /// The same, by the provider's number.
    pub(crate) fn about_paid(
        pretend: &Pretend,
        ask: Ask,
        provider: Provider,
        trade_no: &str,
    ) -> Option<Task> {
        let key = pretend.change(|world, now| {
            world.find_by_trade_no(provider, trade_no, now).map(|trade| trade.order.key.clone())
        })?;
        Task::about(pretend, ask, &key)
    }

    fn fate(&self) -> Option<Fate> {
        let effect = match self.ask {
            Ask::Refund => magic::of_refund(self.amount)?,
            _ => magic::of_order(self.amount)?,
        };
        let fate = match (self.ask, effect) {
            (Ask::Order | Ask::Scan, Effect::OrderErrorDone)
            | (Ask::Refund, Effect::RefundErrorDone) => Fate::DoneButError,
            (Ask::Order | Ask::Scan, Effect::OrderErrorUndone)
            | (Ask::Query, Effect::QueryError)
            | (Ask::Close, Effect::CloseError)
            | (Ask::Refund, Effect::RefundErrorUndone) => Fate::RefusedOnce(Trouble::System),
            (Ask::Order | Ask::Scan, Effect::OrderRefused) => Fate::Refused(Trouble::NoPermission),
            (Ask::Order | Ask::Scan, Effect::OrderCut) => Fate::DoneButCut,
            (Ask::Order | Ask::Scan, Effect::OrderStatus500) => Fate::Page500,
            (Ask::Order | Ask::Scan, Effect::OrderLimited) => Fate::RefusedOnce(Trouble::TooMany),
            (Ask::Order, Effect::NoticeFirst) => Fate::AfterNotice,
            (Ask::Scan, Effect::ScanNotEnough) => Fate::Refused(Trouble::PayerPoor),
            (Ask::Scan, Effect::ScanCodeExpired) => Fate::Refused(Trouble::CodeExpired),
            (Ask::Refund, Effect::RefundNotEnough) => Fate::Refused(Trouble::MerchantPoor),
            _ => return None,
        };
        Some(fate)
    }

    /// Adds what the amount does to what faults do.
    pub(crate) fn befall(&self, pretend: &Pretend, dialect: Dialect, mishap: &mut Mishap) {
        let Some(fate) = self.fate() else { return };
        let once = !matches!(fate, Fate::Refused(_) | Fate::AfterNotice);
        let what = format!("{:?} {} {}", self.ask, self.key.provider, self.number);
        if once && !pretend.is_first(what) {
            return;
        }
        let error = |trouble: Trouble| Breakage {
            error_code: Some(trouble.code(dialect).to_owned()),
            ..Breakage::default()
        };
        match fate {
            Fate::Refused(trouble) | Fate::RefusedOnce(trouble) => {
                mishap.before.get_or_insert(error(trouble));
            }
            Fate::Page500 => {
                let page = Breakage { status: Some(500), ..Breakage::default() };
                mishap.before.get_or_insert(page);
            }
            Fate::DoneButError => {
                mishap.after.get_or_insert(error(Trouble::System));
            }
            Fate::DoneButCut => {
                mishap.after.get_or_insert(Breakage { drop: true, ..Breakage::default() });
            }
            Fate::AfterNotice => mishap.after_notice = Some(self.key.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn task(ask: Ask, effect: Effect) -> Task {
        let key = Key::new(Provider::Wechat, "T1");
        Task { ask, key, number: "T1".to_owned(), amount: magic::amount_of(effect) }
    }

    #[test]
    fn what_happens_once_happens_once_and_in_the_dialects_words() {
        let pretend = Pretend::open(Options::default()).unwrap();
        let code = |task: &Task, dialect| {
            let mut mishap = Mishap::default();
            task.befall(&pretend, dialect, &mut mishap);
            mishap.before.and_then(|breakage| breakage.error_code)
        };
        let query = task(Ask::Query, Effect::QueryError);
        assert_eq!(code(&query, Dialect::WechatV3).as_deref(), Some("SYSTEM_ERROR"));
        assert_eq!(code(&query, Dialect::WechatV3), None);
        let order = task(Ask::Order, Effect::OrderRefused);
        for _call in 0..2 {
            let refused = code(&order, Dialect::Alipay);
            assert_eq!(refused.as_deref(), Some("ACQ.ACCESS_FORBIDDEN"));
        }
    }

    #[test]
    fn an_amount_touches_only_the_call_that_it_is_about() {
        assert_eq!(task(Ask::Close, Effect::QueryError).fate(), None);
        assert_eq!(task(Ask::Order, Effect::ScanNotEnough).fate(), None);
        let scanned = task(Ask::Scan, Effect::ScanNotEnough).fate();
        assert_eq!(scanned, Some(Fate::Refused(Trouble::PayerPoor)));
        assert_eq!(task(Ask::Refund, Effect::OrderRefused).fate(), None);
        assert_eq!(task(Ask::Order, Effect::RefundNotEnough).fate(), None);
    }
}
