//! Charges and jobs: everything has come to its end, and no promise is left.

use super::{End, Found, wrong};
use tongbao_core::{Attempt, JobKind, Loaded};
use tongbao_types::Channel;

pub(super) fn check(end: &End<'_>, found: &mut Found) {
    for loaded in &end.charges {
        let charge = &loaded.charge;
        let open: Vec<&Attempt> =
            loaded.attempts.iter().filter(|attempt| is_open(attempt)).collect();
        for attempt in open.iter().filter(|attempt| !never_ends(end, attempt)) {
            let (number, state) = (&attempt.out_trade_no, attempt.state.status());
            wrong(found, "not ended", format!("{number} of {} is {state}", charge.id));
        }
        if charge.state.status() == "pending" && open.is_empty() {
            wrong(found, "not ended", format!("{} is pending", charge.id));
        }
    }
    jobs(end, found);
}

fn is_open(attempt: &Attempt) -> bool {
    ["placing", "pending", "closing"].contains(&attempt.state.status())
}

/// The address of Alipay's old gateway that nobody has opened can be opened for ever.
fn never_ends(end: &End<'_>, attempt: &Attempt) -> bool {
    let number = attempt.out_trade_no.as_str();
    attempt.channel == Channel::AlipayLegacyPage
        && end.trades.iter().all(|trade| trade.out_trade_no != number)
}

/// What is looked at for ever are such orders, and refunds that the provider cannot carry out.
fn jobs(end: &End<'_>, found: &mut Found) {
    for job in end.life.memory.jobs() {
        let of = |loaded: &&Loaded| match job.kind {
            JobKind::PollAttempt(_, id)
            | JobKind::CloseAttempt(_, id)
            | JobKind::ExpireCharge(id)
            | JobKind::PerformRefund(_, id) => loaded.charge.id == id,
            JobKind::Deliver(_) => false,
        };
        let Some(loaded) = end.charges.iter().find(of) else {
            // It may be the other merchant's; of deliveries there are none left.
            if matches!(job.kind, JobKind::Deliver(_)) {
                wrong(found, "job left", job.kind.key());
            }
            continue;
        };
        let has_cause = match job.kind {
            JobKind::PerformRefund(id, _) => {
                let refund = loaded.refunds.iter().find(|refund| refund.id == id);
                refund.is_some_and(|refund| refund.state.status() == "pending")
            }
            JobKind::CloseAttempt(id, _) => {
                let attempt = loaded.attempts.iter().find(|attempt| attempt.id == id);
                attempt.is_some_and(|attempt| is_open(attempt) && never_ends(end, attempt))
            }
            _ => false,
        };
        if !has_cause {
            wrong(found, "job left", job.kind.key());
        }
    }
}
