//! Orders of an older service, taken over with its books: each becomes a charge, so that polling,
//! closing, refunds and notifications go on here.
//!
//! What the books say about payments is written down and not believed; the provider is asked about
//! each order, a few in a second, so that it does not refuse us.

use crate::accounts::Entry;
use crate::charges::{CHOICE_TIME, EXPIRY_MAX};
use crate::{ChargeFilter, Engine, Error, Page};
use std::sync::Arc;
use tongbao_core::rules::adopt;
use tongbao_core::{Adoption, Attempt, Draft, Loaded, Route, Scope};
use tongbao_types::{
    AccountName, Amount, Channel, ChargeId, Code, OrderNo, OutTradeNo, Profile, Secret, Span,
    Timestamp,
};

/// An order as an older service's books have it. The caller has checked the form of each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldOrder {
    /// The merchant's number.
    pub order_no: OrderNo,
    /// Its number at the provider.
    pub out_trade_no: OutTradeNo,
    /// What is to be paid.
    pub amount: Amount,
    /// What the payer reads.
    pub subject: String,
    /// Through which channel it was placed.
    pub channel: Channel,
    /// With which account; without it the first that serves the channel.
    pub account: Option<AccountName>,
    /// Whose routes go on to be asked about it.
    pub profile: Option<Profile>,
    /// The merchant's own notes.
    pub metadata: Vec<(String, String)>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Until when it can be paid; without it two hours from now. After this moment it is closed at
    /// the provider, unless it is paid.
    pub expires_at: Option<Timestamp>,
}

/// Whether an order is here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not, and can be taken over.
    New,
    /// It is, and nothing about it is another.
    Same(ChargeId),
}

/// So many looks do not wear a provider's patience out, whatever the number of orders.
const LOOK_EVERY: Span = Span::from_millis(50);
/// The clocks of two machines agree within this.
const CLOCKS_DIFFER: Span = Span::from_seconds(300);

impl Engine {
    /// Whether an order can be taken over, or is here already. An error with a `param` is about
    /// the order; one with [`Code::OrderNoInUse`] says what is another here.
    pub async fn examine_order(&self, scope: &Scope, order: &OldOrder) -> Result<Standing, Error> {
        let account = self.account_for(scope, order)?;
        self.check_times(order)?;
        let filter =
            ChargeFilter { order_no: Some(order.order_no.clone()), ..ChargeFilter::default() };
        let page = Page { limit: 1, starting_after: None, ending_before: None };
        let found = self.store().charges(scope, &filter, page).await?;
        if let Some(loaded) = found.first() {
            return compare(loaded, order).map(|()| Standing::Same(loaded.charge.id));
        }
        let (name, number) = (account.adapter.name(), &order.out_trade_no);
        match self.store().charge_by_out_trade_no(name, number).await? {
            None => Ok(Standing::New),
            Some(other) => {
                let message = format!(
                    "the account {name} has an order {number} already, of the charge {} with the \
                     order_no {}",
                    other.charge.id, other.charge.order_no
                );
                Err(Error::new(Code::OrderNoInUse, message).param("out_trade_no"))
            }
        }
    }

    /// Takes orders over, all or none. They must have been examined. The first is asked about at
    /// `look_at`, or now, and the others after it; returns when the next one should be.
    ///
    /// Fails with [`Code::OrderNoInUse`] if somebody else took a number in the meantime.
    pub async fn adopt_orders(
        &self,
        scope: &Scope,
        orders: &[OldOrder],
        look_at: Option<Timestamp>,
    ) -> Result<Timestamp, Error> {
        let mut mint = self.mint();
        let mut all = Vec::with_capacity(orders.len());
        let mut look_at = look_at.unwrap_or(mint.now());
        for order in orders {
            let account = self.account_for(scope, order)?;
            let adoption = Adoption {
                draft: self.draft_of(scope, order, mint.now()),
                route: Route {
                    channel: order.channel,
                    account: account.adapter.name().clone(),
                    payer: None,
                },
                number: order.out_trade_no.clone(),
                placed_at: order.created_at,
                look_at,
            };
            all.push(adopt(adoption, &mut mint));
            look_at = look_at + LOOK_EVERY;
        }
        self.write_all(all, &mut mint).await?;
        Ok(look_at)
    }

    fn account_for(&self, scope: &Scope, order: &OldOrder) -> Result<Arc<Entry>, Error> {
        let wrong = |param, message| Err(Error::new(Code::InvalidParameter, message).param(param));
        let account = self.accounts().choose(scope, order.channel, order.account.as_ref())?;
        if order.channel.is_scanned_by_merchant() {
            let message = format!(
                "an order of {} ends within a minute of its making, so there is nothing to take \
                 over; leave the line out",
                order.channel
            );
            return wrong("channel", message);
        }
        if !account.adapter.takes_number(order.out_trade_no.as_str()) {
            let message = format!(
                "{} takes no such number as {}; write the number under which the order stands \
                 there",
                order.channel.provider(),
                order.out_trade_no
            );
            return wrong("out_trade_no", message);
        }
        Ok(account)
    }

    fn check_times(&self, order: &OldOrder) -> Result<(), Error> {
        let now = self.clock().now();
        let wrong = |param, message| Err(Error::new(Code::InvalidParameter, message).param(param));
        if order.created_at > now + CLOCKS_DIFFER {
            return wrong("created_at", "this lies in the future");
        }
        if order.expires_at.is_some_and(|at| at > now + EXPIRY_MAX) {
            let message = "this is more than 7 days ahead; leave it empty for two hours from now";
            return wrong("expires_at", message);
        }
        Ok(())
    }

    fn draft_of(&self, scope: &Scope, order: &OldOrder, now: Timestamp) -> Draft {
        Draft {
            scope: scope.clone(),
            order_no: Some(order.order_no.clone()),
            amount: order.amount,
            subject: order.subject.clone(),
            body: None,
            attach: None,
            return_url: None,
            client_ip: None,
            metadata: order.metadata.clone(),
            profile: order.profile,
            secret: Secret::new(self.random_hex()),
            expires_at: order.expires_at.unwrap_or(now + CHOICE_TIME),
        }
    }
}

/// Whether a charge is what an order of its number would have become. What happened to it since,
/// and when it ends, does not matter.
fn compare(loaded: &Loaded, order: &OldOrder) -> Result<(), Error> {
    let charge = &loaded.charge;
    let other = |param, here: String, wanted: String| {
        let message = format!(
            "the charge {} with this order_no is here already, with {here} instead of {wanted}",
            charge.id
        );
        Err(Error::new(Code::OrderNoInUse, message).param(param))
    };
    if charge.amount != order.amount {
        let [here, wanted] = [charge.amount, order.amount].map(|it| format!("{:?}", it.fen()));
        return other("amount_fen", here, wanted);
    }
    if charge.subject != order.subject {
        let [here, wanted] = [&charge.subject, &order.subject].map(|text| format!("\"{text}\""));
        return other("subject", here, wanted);
    }
    if charge.created_at != order.created_at {
        let [here, wanted] = [charge.created_at, order.created_at].map(|at| at.to_string());
        return other("created_at", here, wanted);
    }
    if charge.profile != order.profile {
        let name = |it: Option<Profile>| it.map_or("no profile", Profile::as_str).to_owned();
        return other("profile", name(charge.profile), name(order.profile));
    }
    let is_it = |attempt: &&Attempt| {
        attempt.out_trade_no == order.out_trade_no && attempt.channel == order.channel
    };
    let Some(attempt) = loaded.attempts.iter().find(is_it) else {
        let orders = loaded.attempts.iter();
        let orders = orders.map(|one| format!("{} by {}", one.out_trade_no, one.channel));
        let here = orders.reduce(|all, one| format!("{all}, {one}"));
        let wanted = format!("{} by {}", order.out_trade_no, order.channel);
        return other("out_trade_no", here.unwrap_or_else(|| "no order".to_owned()), wanted);
    };
    match &order.account {
        Some(name) if *name != attempt.account => {
            other("account", attempt.account.to_string(), name.to_string())
        }
        _ => Ok(()),
    }
}
