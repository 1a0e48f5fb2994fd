//! Which reply leads to which request: the links between operations, for the document. Programs
//! that explore the API go along them.

use super::each_operation;
use serde_json::json;
use utoipa::openapi::link::Link;
use utoipa::openapi::{OpenApi, RefOr};

/// The id in the reply to the first becomes the parameter of each of the others.
type Way = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// From which operation and status, with which parameter, to which operations.
const BY_PARAMETER: [Way; 11] = [
    ("createCharge", "201", "id", OF_CHARGE),
    ("readCharge", "200", "id", OF_CHARGE),
    ("createAttempt", "201", "id", OF_CHARGE),
    ("createCharge", "201", "charge", &["listEvents", "listRefunds"]),
    ("createRefund", "201", "id", &["readRefund"]),
    ("createWebhookEndpoint", "201", "id", OF_ENDPOINT),
    ("updateWebhookEndpoint", "200", "id", OF_ENDPOINT),
    ("createWebhookEndpoint", "201", "endpoint", &["listDeliveries"]),
    ("readEvent", "200", "event", &["listDeliveries"]),
    ("readDelivery", "200", "id", &["resendDelivery"]),
    ("resendDelivery", "200", "id", &["readDelivery"]),
];

const OF_CHARGE: &[&str] = &[
    "readCharge",
    "closeCharge",
    "syncCharge",
    "createAttempt",
    "chargeQrSvg",
    "chargeQrPng",
    "watchCharge",
    "cashier",
    "cashierEvents",
    "cashierStatus",
    "cashierGo",
    "cashierChoose",
    "cashierQrPng",
];

const OF_ENDPOINT: &[&str] = &[
    "readWebhookEndpoint",
    "updateWebhookEndpoint",
    "deleteWebhookEndpoint",
    "rotateWebhookSecret",
];

/// The first object of a list becomes the `id` of the others.
const BY_LIST: [(&str, &[&str]); 5] = [
    ("listCharges", &["readCharge"]),
    ("listRefunds", &["readRefund"]),
    ("listEvents", &["readEvent"]),
    ("listWebhookEndpoints", &["readWebhookEndpoint"]),
    ("listDeliveries", &["readDelivery", "resendDelivery"]),
];

/// Adds them to the responses that they start from.
pub(super) fn describe(document: &mut OpenApi) {
    each_operation(document, |id, operation| {
        for (status, link) in starting_at(id) {
            let response = operation.responses.responses.get_mut(status);
            if let Some(RefOr::T(response)) = response {
                response.links.insert(link.operation_id.clone(), RefOr::T(link));
            }
        }
    });
}

fn starting_at(id: &str) -> Vec<(&'static str, Link)> {
    let by_parameter = BY_PARAMETER.iter().filter(|way| way.0 == id);
    let by_parameter = by_parameter.flat_map(|(_, status, parameter, targets)| {
        targets.iter().map(|target| (*status, link(target, parameter, "$response.body#/id")))
    });
    let by_list = BY_LIST.iter().filter(|(from, _)| *from == id).flat_map(|(_, targets)| {
        targets.iter().map(|target| ("200", link(target, "id", "$response.body#/data/0/id")))
    });
    let refund = (id == "createCharge").then(|| {
        let body = json!({"charge": "$response.body#/id"});
        ("201", Link::builder().operation_id("createRefund").request_body(Some(body)).build())
    });
    by_parameter.chain(by_list).chain(refund).collect()
}

fn link(target: &str, parameter: &str, expression: &str) -> Link {
    Link::builder().operation_id(target).parameter(parameter, expression).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_link_starts_and_ends_at_an_operation_that_is_there() {
        let (_, mut document) = crate::openapi::routes().split_for_parts();
        let mut ids = BTreeSet::new();
        each_operation(&mut document, |id, _| {
            ids.insert(id.to_owned());
        });
        let ends = BY_PARAMETER.iter().flat_map(|way| [&[way.0][..], way.3].concat());
        let lists = BY_LIST.iter().flat_map(|(from, targets)| [&[*from][..], targets].concat());
        for id in ends.chain(lists) {
            assert!(ids.contains(id), "{id}");
        }
        describe(&mut document);
        let mut n_links = 0;
        each_operation(&mut document, |_, operation| {
            for response in operation.responses.responses.values() {
                if let RefOr::T(response) = response {
                    n_links += response.links.len();
                }
            }
        });
        let by_parameter: usize = BY_PARAMETER.iter().map(|way| way.3.len()).sum();
        let by_list: usize = BY_LIST.iter().map(|(_, targets)| targets.len()).sum();
        assert_eq!(n_links, by_parameter + by_list + 1, "two links have one name");
    }
}
