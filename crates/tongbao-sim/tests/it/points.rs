//! Every flow with one fault at every single one of its calls.

use std::time::Instant;
use tongbao_evidence::{record, times};
use tongbao_sim::{FLOWS, Kind, point_at, tell};

/// How many calls the flows make, and how many lives it took to have a fault at each.
fn check(kind: Kind) -> ([u32; 5], u32) {
    let (mut all, mut lives) = ([0; 5], 0);
    for flow in FLOWS {
        let pointed = point_at(flow, kind);
        let [store, provider, notices, webhooks, bills] = pointed.calls;
        println!(
            "{kind:?} {flow}: {store} calls of the database, {provider} of the provider, \
                  {notices} notices, {webhooks} webhooks, {bills} for bills, {} lives",
            pointed.lives
        );
        if let Some((plan, outcome)) = pointed.failed.first() {
            panic!("{flow}: {}", tell(plan, outcome));
        }
        assert!(store >= 20 && provider >= 2, "{flow} hardly calls anybody");
        assert_eq!(bills > 0, flow == "bill");
        for (sum, calls) in all.iter_mut().zip(pointed.calls) {
            *sum += calls;
        }
        lives += pointed.lives;
    }
    (all, lives)
}

/// Calls before and after their effect, with an error and with a crash.
#[test]
fn fault_points() {
    let began = Instant::now();
    let some = [Kind::V2Md5, Kind::AlipayV3];
    let all: Vec<Kind> = Kind::WECHAT.into_iter().chain(Kind::ALIPAY).collect();
    let long = all.iter().copied().filter(|kind| *kind != Kind::Legacy).collect();
    let kinds: Vec<Kind> = if times(0, 1) == 1 { long } else { some.to_vec() };
    let count = kinds.len();
    let checked = kinds.into_iter().map(|kind| std::thread::spawn(move || check(kind)));
    let checked: Vec<_> = checked.collect();
    let (mut all, mut lives) = ([0; 5], 0);
    for one in checked {
        let (calls, lived) = one.join().unwrap();
        lives += lived;
        for (sum, calls) in all.iter_mut().zip(calls) {
            *sum += calls;
        }
    }
    let names = ["calls of the database", "of the provider", "notices", "webhooks", "for bills"];
    let mut counts = vec![("kinds of account", count.to_string())];
    counts.extend(names.into_iter().zip(all.map(|calls| calls.to_string())));
    counts.push(("lives", lives.to_string()));
    counts.push(("seconds", began.elapsed().as_secs().to_string()));
    record(
        "fault_points",
        "At each single call of seven flows, one life each with an error before it, an error \
         after it, a crash before it and a crash after it.",
        &counts,
    );
}
