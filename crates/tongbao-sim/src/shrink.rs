//! Making a failure short: leaves out whatever is not needed for it to fail in the same way.

use crate::life::{Outcome, live};
use crate::plan::Plan;

/// At most so many lives are tried.
const TRIES_MAX: usize = 400;

/// The shortest plan found that still breaks the same rule, and what becomes of it.
pub fn shrink(plan: &Plan, outcome: Outcome) -> (Plan, Outcome) {
    let Some(rule) = outcome.violations.first().map(|violation| violation.rule) else {
        return (plan.clone(), outcome);
    };
    let mut best = (plan.clone(), outcome);
    let mut tries = 0;
    let mut attempt = |candidate: Plan, best: &mut (Plan, Outcome)| {
        tries += 1;
        let lived = live(&candidate);
        let fails = lived.violations.iter().any(|violation| violation.rule == rule);
        if fails {
            *best = (candidate, lived);
        }
        (fails, tries < TRIES_MAX)
    };
    loop {
        let before = size(&best.0);
        for part in [Part::Faults, Part::Steps, Part::Downs] {
            let mut chunk = part.len(&best.0).div_ceil(2);
            while chunk > 0 {
                let mut at = 0;
                while at < part.len(&best.0) {
                    let (fails, goes_on) = attempt(part.without(&best.0, at, chunk), &mut best);
                    if !goes_on {
                        return best;
                    }
                    at += if fails { 0 } else { chunk };
                }
                chunk /= 2;
            }
        }
        if size(&best.0) == before {
            return best;
        }
    }
}

fn size(plan: &Plan) -> usize {
    plan.steps.len() + plan.faults.len() + plan.downs.len()
}

/// What can be left out.
#[derive(Clone, Copy)]
enum Part {
    Faults,
    Steps,
    Downs,
}

impl Part {
    fn len(self, plan: &Plan) -> usize {
        match self {
            Part::Faults => plan.faults.len(),
            Part::Steps => plan.steps.len(),
            Part::Downs => plan.downs.len(),
        }
    }

    fn without(self, plan: &Plan, at: usize, chunk: usize) -> Plan {
        let mut plan = plan.clone();
        let end = (at + chunk).min(self.len(&plan));
        match self {
            Part::Faults => drop(plan.faults.drain(at..end)),
            Part::Steps => drop(plan.steps.drain(at..end)),
            Part::Downs => drop(plan.downs.drain(at..end)),
        }
        plan
    }
}
