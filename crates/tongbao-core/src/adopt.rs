//! Adopting: an order that an older service placed at a provider becomes a charge here.
//!
//! Nothing is sent, and what the older service's books say about a payment is not believed: the
//! order counts as one that waits for its payer, and a promised look asks the provider. Whatever
//! is true comes in by that look, or by a notification, through [`crate::rules::observe`].

use crate::charge::open;
use crate::{Attempt, AttemptState, Changes, Draft, JobKind, Route};
use tongbao_types::{AttemptId, Mint, OutTradeNo, Timestamp};

/// An order that stands at a provider already.
#[derive(Debug, Clone)]
pub struct Adoption {
    /// The charge that it becomes; with an `order_no`.
    pub draft: Draft,
    /// Through which channel and account it was placed.
    pub route: Route,
    /// Its number at the provider.
    pub number: OutTradeNo,
    /// When it was placed there.
    pub placed_at: Timestamp,
    /// When to ask the provider about it for the first time.
    pub look_at: Timestamp,
}

/// A charge whose order stands already. The attempt is not one to place again: its order call was
/// somebody else's, with parameters that are not known here.
pub fn adopt(adoption: Adoption, mint: &mut Mint) -> Changes {
    let Adoption { draft, route, number, placed_at, look_at } = adoption;
    let mut changes = open(draft, mint);
    changes.charge.created_at = placed_at;
    let (id, charge): (AttemptId, _) = (mint.id(), changes.charge.id);
    changes.attempts_new.push(id);
    changes.attempts.push(Attempt {
        id,
        charge,
        channel: route.channel,
        account: route.account,
        out_trade_no: number,
        state: AttemptState::Awaiting,
        payer: route.payer,
        action: None,
        created_at: placed_at,
    });
    changes.promise(JobKind::PollAttempt(id, charge), look_at, mint);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::observe;
    use crate::{
        ChargeState, EventKind, Fact, JobChange, Loaded, Observation, Policy, Scope, Seen, Source,
    };
    use tongbao_types::{
        AccountName, Amount, AppName, Channel, Fen, Mode, OrderNo, Secret, Span, TradeNo,
    };

    fn now() -> Timestamp {
        "2026-11-21T06:30:00Z".parse().unwrap()
    }

    fn mint(seed: u8) -> Mint {
        Mint::new(now(), [seed; 10])
    }

    fn adopted() -> Changes {
        let draft = Draft {
            scope: Scope { app: AppName::new("shop").unwrap(), mode: Mode::Live },
            order_no: Some(OrderNo::new("20181121774779").unwrap()),
            amount: Amount::new(Fen(1990)).unwrap(),
            subject: "Tea".to_owned(),
            body: None,
            attach: None,
            return_url: None,
            client_ip: None,
            metadata: Vec::new(),
            profile: None,
            secret: Secret::new("s".to_owned()),
            expires_at: now() + Span::from_seconds(7200),
        };
        let account = AccountName::new("shop_wechat_v2").unwrap();
        let route = Route { channel: Channel::WechatNative, account, payer: None };
        let adoption = Adoption {
            draft,
            route,
            number: OutTradeNo::new("20181121774779").unwrap(),
            placed_at: now() - Span::from_seconds(600),
            look_at: now() + Span::from_seconds(1),
        };
        adopt(adoption, &mut mint(1))
    }

    fn said(loaded: &Loaded, source: Source, fact: Fact) -> Option<Changes> {
        let attempt = &loaded.attempts[0];
        let (account, out_trade_no) = (attempt.account.clone(), attempt.out_trade_no.clone());
        let observation = Observation { account, out_trade_no, source, fact };
        observe(loaded, attempt.id, observation, &Policy::default(), &mut mint(2)).unwrap()
    }

    fn paid(fen: i64) -> Fact {
        Fact::Paid(Seen {
            amount: Fen(fen),
            currency: "CNY".to_owned(),
            trade_no: TradeNo::new("4200000178").unwrap(),
            paid_at: None,
            payer: None,
            returned: false,
        })
    }

    #[test]
    fn an_adopted_order_waits_for_its_payer_and_is_looked_at() {
        let changes = adopted();
        let (charge, attempt) = (&changes.charge, &changes.attempts[0]);
        assert_eq!(charge.state, ChargeState::Pending { closing: None });
        assert!(!charge.open_choice);
        assert_eq!(attempt.state, AttemptState::Awaiting, "it must not be placed again");
        assert_eq!(charge.created_at, now() - Span::from_seconds(600));
        assert_eq!(attempt.created_at, charge.created_at);
        let [JobChange::Put(job)] = &changes.jobs[..] else { panic!("{:?}", changes.jobs) };
        assert_eq!(job.kind, JobKind::PollAttempt(attempt.id, charge.id));
        assert_eq!(job.run_at, now() + Span::from_seconds(1));
        let told: Vec<EventKind> = changes.events.iter().map(|event| event.kind).collect();
        assert_eq!(told, [EventKind::ChargeCreated]);
        assert_eq!(changes.events[0].created_at, now(), "it is told now, whenever it was placed");
    }

    #[test]
    fn what_the_provider_says_about_it_counts() {
        let loaded = adopted().after();
        let found = said(&loaded, Source::Poll, paid(1990)).unwrap();
        assert!(matches!(found.charge.state, ChargeState::Succeeded(_)));
        let closed = said(&loaded, Source::Poll, Fact::Closed).unwrap();
        assert!(matches!(closed.charge.state, ChargeState::Closed { .. }));
        assert_eq!(
            said(&loaded, Source::Poll, Fact::Absent),
            None,
            "not known there proves nothing"
        );
        assert_eq!(said(&loaded, Source::Poll, Fact::Awaiting(None)), None);
        let wrong = said(&loaded, Source::Poll, paid(1)).unwrap();
        assert_eq!(wrong.refunds_new.len(), 1, "the usual policy holds for it");
    }
}
