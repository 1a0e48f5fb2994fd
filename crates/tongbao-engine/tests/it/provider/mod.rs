//! The providers, pretended: trades in a map, answers by the provider's halves of the protocol
//! crates, and mischief where a test asks for it. Rules that the engine knows are not used here.

mod alipay;
mod kind;
mod pretended;
mod wechat_v2;
mod wechat_v3;

pub(crate) use alipay::returned;
pub(crate) use kind::{
    ALIPAY_APP_ID, ALIPAY_SELLER_ID, API_KEY, API_V3_KEY, Kind, MERCHANT_SERIAL, PUBLIC_KEY_ID,
    WECHAT_APP_ID, WECHAT_MCH_ID,
};
pub(crate) use pretended::refund_notice;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tongbao_engine::{Outgoing, WireError};
use tongbao_types::{HttpRequest, HttpResponse, Timestamp};

/// What a merchant's call wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Place,
    Query,
    Close,
    Keys,
    Refund,
    AskRefund,
}

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub(crate) enum Mischief {
    /// The request never arrives.
    LostBefore,
    /// The request is carried out, the answer never arrives.
    LostAfter,
    /// Carried out, but the answer's signature does not fit.
    BadSignature,
    /// `SYSTEMERROR`, and nothing was done.
    BusyBefore,
    /// `SYSTEMERROR`, and yet it was done.
    BusyAfter,
    /// A clear no.
    Refuse,
    /// A no to closing, because the order is too young; nothing was done.
    TooYoung,
    /// Neither answer nor end.
    Hang,
    /// Carried out; the answer waits until the test lets it go.
    Hold(Arc<Gate>),
    /// The same, but then the answer gets lost.
    HoldAndLose(Arc<Gate>),
}

/// Where a test and an answer meet.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    arrived: Notify,
    opened: Notify,
}

impl Gate {
    /// Waits until the answer is there; on the paused clock a test falls at once if it never is.
    pub(crate) async fn reached(&self) {
        let patience = std::time::Duration::from_secs(5);
        let arrived = tokio::time::timeout(patience, self.arrived.notified()).await;
        assert!(arrived.is_ok(), "nobody made the call that was to be held");
    }

    /// The answer is here and waits.
    pub(crate) async fn wait(&self) {
        self.arrived.notify_one();
        self.opened.notified().await;
    }

    /// Lets the answer go.
    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }
}

/// The two ways in which a provider says no here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    /// The merchant may not do this.
    Permission,
    /// The provider is broken; what happened is not known.
    Busy,
    /// WeChat closes no order that is younger than five minutes.
    TooYoung,
}

/// A call that arrived, for counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) number: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeStatus {
    Open,
    Paid,
    Closed,
}

/// A trade, whichever provider has it.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    pub(crate) number: String,
    pub(crate) amount: i64,
    /// All that must be alike when the order comes again.
    pub(crate) content: String,
    pub(crate) code: String,
    pub(crate) attach: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) status: TradeStatus,
    /// Alipay knows no trade before the payer has come.
    pub(crate) is_known: bool,
    pub(crate) trade_no: String,
    pub(crate) paid_at: Option<Timestamp>,
}

/// Why an order is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceRefusal {
    Paid,
    Closed,
    Differs,
    TooLate,
}

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum RefundStatus {
    Processing,
    #[default]
    Succeeded,
    Abnormal,
    Closed,
}

/// A refund, whichever provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refunded {
    pub(crate) order: String,
    pub(crate) amount: i64,
    pub(crate) status: RefundStatus,
}

/// All trades.
#[derive(Debug, Default)]
pub(crate) struct Trades {
    by_number: BTreeMap<String, Trade>,
    refunds: BTreeMap<String, Refunded>,
    /// What becomes of new refunds.
    refunds_become: RefundStatus,
    /// What is said to new refunds instead of taking them, the last one first.
    refund_answers: Vec<&'static str>,
}

impl Trades {
    /// Takes an order, or the same again.
    pub(crate) fn place(&mut self, new: Trade, now: Timestamp) -> Result<String, PlaceRefusal> {
        if new.until.is_some_and(|until| until <= now) {
            return Err(PlaceRefusal::TooLate);
        }
        let known = self.by_number.entry(new.number.clone()).or_insert_with(|| new.clone());
        match known.status {
            TradeStatus::Paid => Err(PlaceRefusal::Paid),
            TradeStatus::Closed => Err(PlaceRefusal::Closed),
            TradeStatus::Open if known.content != new.content => Err(PlaceRefusal::Differs),
            TradeStatus::Open => Ok(known.code.clone()),
        }
    }

    pub(crate) fn find(&self, number: &str) -> Option<&Trade> {
        self.by_number.get(number).filter(|trade| trade.is_known)
    }

    /// The state that closing found; it is closed now unless it was paid.
    pub(crate) fn close(&mut self, number: &str) -> Option<TradeStatus> {
        let trade = self.by_number.get_mut(number).filter(|trade| trade.is_known)?;
        let before = trade.status;
        if before == TradeStatus::Open {
            trade.status = TradeStatus::Closed;
        }
        Some(before)
    }
}

/// What a provider's notification says otherwise than the trade.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<&'static str>,
    pub(crate) app_id: Option<&'static str>,
    pub(crate) merchant: Option<&'static str>,
    pub(crate) trade_no: Option<&'static str>,
    pub(crate) number: Option<&'static str>,
    /// Signed with a key that is not the provider's.
    pub(crate) forged: bool,
    /// Signed so many seconds ago.
    pub(crate) age: i64,
    /// Signed in an older or another way than the account's.
    pub(crate) downgraded: bool,
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) wall: Timestamp,
}

/// The provider's half of one protocol.
pub(crate) trait Protocol: Sync {
    /// What a call wants, and about which order. Falls if the call is not signed well.
    fn read(&self, request: &HttpRequest, at: Moment) -> (Op, String);
    fn perform(&self, trades: &mut Trades, request: &HttpRequest, at: Moment) -> HttpResponse;
    fn refuse(&self, request: &HttpRequest, no: No) -> HttpResponse;
    /// The same answer with a signature that does not fit.
    fn corrupt(&self, response: HttpResponse) -> HttpResponse;
    fn notice(&self, trade: &Trade, said: &Said, at: Moment) -> HttpRequest;
    fn is_accepted(&self, response: &HttpResponse) -> bool;
    /// Whether it is a failure in the provider's own form, which makes it repeat.
    fn is_refused(&self, response: &HttpResponse) -> bool;
}

/// All providers together.
#[derive(Default)]
pub(crate) struct Provider {
    trades: Mutex<Trades>,
    mischief: Mutex<Vec<(Op, Mischief)>>,
    calls: Mutex<Vec<Call>>,
}

impl Provider {
    /// The next call of this kind goes wrong; several are used up in their order.
    pub(crate) fn next(&self, op: Op, mischief: Mischief) {
        self.mischief.lock().unwrap().push((op, mischief));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn behave(&self) {
        self.mischief.lock().unwrap().clear();
    }

    /// The next answer of this kind waits.
    pub(crate) fn hold(&self, op: Op) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.next(op, Mischief::Hold(Arc::clone(&gate)));
        gate
    }

    pub(crate) fn calls(&self, op: Op) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|call| call.op == op).cloned().collect()
    }

    pub(crate) fn forget_calls(&self) {
        self.calls.lock().unwrap().clear();
    }

    /// Every order number that ever had an effect.
    pub(crate) fn numbers(&self) -> Vec<String> {
        self.trades.lock().unwrap().by_number.keys().cloned().collect()
    }

    pub(crate) fn trade(&self, number: &str) -> Trade {
        self.trades.lock().unwrap().by_number[number].clone()
    }

    /// The payer pays an order that is there and open.
    pub(crate) fn pay(&self, number: &str, at: Timestamp) {
        let mut trades = self.trades.lock().unwrap();
        let trade = trades.by_number.get_mut(number).unwrap();
        assert_eq!(trade.status, TradeStatus::Open, "{number} cannot be paid");
        trade.is_known = true;
        trade.status = TradeStatus::Paid;
        trade.paid_at = Some(at);
    }

    /// The payer opens a page of Alipay's and pays: the order arrives with the payer.
    pub(crate) fn pay_page(&self, number: &str, amount: i64, at: Timestamp) {
        let trade = Trade {
            number: number.to_owned(),
            amount,
            content: String::new(),
            code: String::new(),
            attach: None,
            until: None,
            status: TradeStatus::Open,
            is_known: true,
            trade_no: format!("42{number}"),
            paid_at: None,
        };
        self.trades.lock().unwrap().by_number.insert(number.to_owned(), trade);
        self.pay(number, at);
    }

    /// The provider ends an order by itself.
    pub(crate) fn close_by_itself(&self, number: &str) {
        let mut trades = self.trades.lock().unwrap();
        trades.by_number.get_mut(number).unwrap().is_known = true;
        trades.close(number).unwrap();
    }

    /// A paid order turns out to be of another amount.
    pub(crate) fn change_amount(&self, number: &str, amount: i64) {
        self.trades.lock().unwrap().by_number.get_mut(number).unwrap().amount = amount;
    }

    /// What becomes of new refunds from here on.
    pub(crate) fn refunds_become(&self, status: RefundStatus) {
        self.trades.lock().unwrap().refunds_become = status;
    }

    /// New refunds are answered so next, and not taken.
    pub(crate) fn answer_refunds_with(&self, said: &'static str) {
        self.trades.lock().unwrap().refund_answers.push(said);
    }

    /// A refund that is on its way comes to its end.
    pub(crate) fn end_refund(&self, number: &str, status: RefundStatus) {
        self.trades.lock().unwrap().refunds.get_mut(number).unwrap().status = status;
    }

    /// All refunds that were taken, by their numbers.
    pub(crate) fn refunds(&self) -> BTreeMap<String, Refunded> {
        self.trades.lock().unwrap().refunds.clone()
    }

    /// A refund is there although nobody sees why.
    pub(crate) fn take_refund(&self, number: &str, order: &str, amount: i64) {
        let (order, status) = (order.to_owned(), RefundStatus::Succeeded);
        let refund = Refunded { order, amount, status };
        self.trades.lock().unwrap().refunds.insert(number.to_owned(), refund);
    }

    /// An order that was closed can be paid all the same.
    pub(crate) fn reopen(&self, number: &str) {
        let mut trades = self.trades.lock().unwrap();
        trades.by_number.get_mut(number).unwrap().status = TradeStatus::Open;
    }

    /// The order was not the same as it will be when it comes again.
    pub(crate) fn change_content(&self, number: &str) {
        let mut trades = self.trades.lock().unwrap();
        trades.by_number.get_mut(number).unwrap().content.push('?');
    }

    pub(crate) async fn answer(
        &self,
        outgoing: &Outgoing,
        at: Moment,
    ) -> Result<HttpResponse, WireError> {
        let kind = Kind::by_endpoint(&outgoing.base);
        let request = &outgoing.request;
        let is_plain = request.path().starts_with(pretended::PATH);
        let protocol = if is_plain { &pretended::Plain } else { kind.protocol() };
        let (op, number) = protocol.read(request, at);
        let lost = || Err(WireError::Broken("connection reset".to_owned()));
        let mischief = self.take_mischief(op);
        if let Some(Mischief::LostBefore) = mischief {
            return lost();
        }
        self.calls.lock().unwrap().push(Call { op, number, at: at.now });
        match mischief {
            Some(Mischief::Refuse) => return Ok(protocol.refuse(request, No::Permission)),
            Some(Mischief::TooYoung) => return Ok(protocol.refuse(request, No::TooYoung)),
            Some(Mischief::BusyBefore) => return Ok(protocol.refuse(request, No::Busy)),
            Some(Mischief::Hang) => std::future::pending().await,
            _ => {}
        }
        let response = protocol.perform(&mut self.trades.lock().unwrap(), request, at);
        match mischief {
            Some(Mischief::LostAfter) => lost(),
            Some(Mischief::BusyAfter) => Ok(protocol.refuse(request, No::Busy)),
            Some(Mischief::BadSignature) => Ok(protocol.corrupt(response)),
            Some(Mischief::Hold(gate)) => {
                gate.wait().await;
                Ok(response)
            }
            Some(Mischief::HoldAndLose(gate)) => {
                gate.wait().await;
                lost()
            }
            _ => Ok(response),
        }
    }

    fn take_mischief(&self, op: Op) -> Option<Mischief> {
        let mut all = self.mischief.lock().unwrap();
        let place = all.iter().position(|(wanted, _)| *wanted == op)?;
        Some(all.remove(place).1)
    }
}
