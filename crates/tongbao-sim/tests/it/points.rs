//! Every flow with one fault at every single one of its calls.

use tongbao_sim::{FLOWS, Kind, point_at, tell};

fn check(kind: Kind) {
    for flow in FLOWS {
        let pointed = point_at(flow, kind);
        let [store, provider, notices, webhooks] = pointed.calls;
        println!(
            "{kind:?} {flow}: {store} calls of the database, {provider} of the provider, \
                  {notices} notices, {webhooks} webhooks, {} lives",
            pointed.lives
        );
        if let Some((plan, outcome)) = pointed.failed.first() {
            panic!("{flow}: {}", tell(plan, outcome));
        }
        assert!(store >= 20 && provider >= 2, "{flow} hardly calls anybody");
    }
}

#[test]
fn a_fault_at_each_call_of_each_flow_at_wechat() {
    check(Kind::V2Md5);
}

#[test]
fn a_fault_at_each_call_of_each_flow_at_alipay() {
    check(Kind::AlipayV3);
}
