//! Numbers for people: the rounds of each workload on each side, their medians, and the ratios that
//! the bars are about. It prints and judges, and measures nothing.

use std::time::Duration;

use crate::load::Outcome;

/// The least share of the ideal's rate that verified notifications must reach.
pub(crate) const NOTICES_BAR: f64 = 0.5;
/// The least share of the ideal's rate that charges must reach.
pub(crate) const CHARGES_BAR: f64 = 0.8;
/// How many times faster than one commit per request a slow disk must be served.
pub(crate) const SLOW_DISK_BAR: f64 = 20.0;

/// One round on one side.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    rate: f64,
    p50: Duration,
    p99: Duration,
    cpu_per_request: Duration,
}

impl Round {
    /// Takes what matters from a round of load and the server's CPU time in it.
    pub(crate) fn new(outcome: &Outcome, cpu: Duration) -> Self {
        let answered = u32::try_from(outcome.latencies.len().max(1)).unwrap_or(u32::MAX);
        Self {
            rate: outcome.rate(),
            p50: outcome.percentile(0.5),
            p99: outcome.percentile(0.99),
            cpu_per_request: cpu / answered,
        }
    }
}

/// The rounds of one workload.
pub(crate) struct Workload {
    /// What is measured.
    pub(crate) name: &'static str,
    /// The least ratio allowed.
    pub(crate) bar: f64,
    /// Rounds of the ideal.
    pub(crate) ideal: Vec<Round>,
    /// Rounds of tongbao.
    pub(crate) product: Vec<Round>,
}

impl Workload {
    /// A workload without rounds yet.
    pub(crate) fn new(name: &'static str, bar: f64) -> Self {
        Self { name, bar, ideal: Vec::new(), product: Vec::new() }
    }

    /// The median over the rounds of tongbao's rate over the ideal's. The two halves of a round
    /// follow each other at once, so that what else the machine does falls on both.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let pairs = self.product.iter().zip(&self.ideal);
        let ratios: Vec<f64> = pairs.map(|(product, ideal)| product.rate / ideal.rate).collect();
        median(&ratios, |ratio| *ratio)
    }

    /// Whether the bar is reached; a workload that did not run reaches nothing.
    pub(crate) fn reaches_bar(&self) -> bool {
        self.ratio().is_some_and(|ratio| ratio >= self.bar)
    }

    /// Prints one line for each side and one for the ratio.
    pub(crate) fn print(&self) {
        for (side, rounds) in [("ideal", &self.ideal), ("tongbao", &self.product)] {
            let Some(rate) = median(rounds, |r| r.rate) else { continue };
            let of = |pick: fn(&Round) -> Duration| {
                median(rounds, |r| pick(r).as_secs_f64()).unwrap_or(0.0)
            };
            println!(
                "{:<22} {side:<8} {rate:>8.0}/s   p50 {:>6.2} ms   p99 {:>6.2} ms   \
                 CPU {:>6.0} µs each   rounds {}",
                self.name,
                of(|r| r.p50) * 1e3,
                of(|r| r.p99) * 1e3,
                of(|r| r.cpu_per_request) * 1e6,
                rounds.iter().map(|r| format!("{:.0}", r.rate)).collect::<Vec<_>>().join(" "),
            );
        }
        if let Some(ratio) = self.ratio() {
            let verdict = if self.reaches_bar() { "reached" } else { "MISSED" };
            println!("{:<22} ratio    {ratio:>8.2}     bar {:.2} {verdict}", self.name, self.bar);
        }
    }
}

/// The middle of what `pick` gives; of an even count the lower middle.
pub(crate) fn median<T>(items: &[T], pick: impl Fn(&T) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = items.iter().map(pick).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(rate: f64) -> Round {
        let zero = Duration::ZERO;
        Round { rate, p50: zero, p99: zero, cpu_per_request: zero }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_and_the_bar_is_inclusive() {
        let mut workload = Workload::new("x", 0.5);
        assert!(!workload.reaches_bar());
        workload.ideal = vec![round(90.0), round(100.0), round(1_000.0)];
        workload.product = vec![round(9.0), round(50.0), round(600.0)];
        assert_eq!(workload.ratio(), Some(0.5));
        assert!(workload.reaches_bar());
        workload.product = vec![round(49.0)];
        workload.ideal = vec![round(100.0)];
        assert!(!workload.reaches_bar());
    }
}
