"""What schemathesis cannot know of tongbao by itself: which objects there are, and which valid
requests are refused for what they mean.

`PREPARED` in the environment names a JSON file with them: {paid, code, refund, day, account}.
"""

import json
import os

import schemathesis

with open(os.environ["PREPARED"], encoding="utf-8") as file:
    PREPARED = json.load(file)

# A request may fit the schema and still be refused with 400 for these codes, at these parameters
# (None: at any). The reasons: an account or address that is not there or not allowed; what a
# channel needs and another does not; what depends on the time, on the provider, or on two fields;
# an amount written with a point, such as 12.0, which JSON Schema calls an integer: money is never
# read as a float here.
REASONS = {
    "createCharge": {
        "account_missing": {"account", "channel"},
        "channel_unavailable": None,
        "missing_parameter": {"payer", "payer.openid", "payer.buyer_id", "payer.auth_code"},
        "invalid_parameter": {
            "payer",
            "payer.openid",
            "payer.buyer_id",
            "payer.auth_code",
            "client_ip",
            "attach",
            "return_url",
            "expires_at",
            "expires_in",
            "channel",
            "subject",
            "amount",
        },
        "amount_too_large": {"amount"},
    },
    "createRefund": {
        "refund_too_large": None,
        "nothing_to_refund": None,
        "refund_too_many": None,
        "invalid_parameter": {"amount"},
    },
    "createWebhookEndpoint": {
        "url_forbidden": {"url"},
        "invalid_parameter": {"url", "events"},
    },
    "readBill": {
        "account_missing": {"account"},
        "channel_unavailable": None,
        "invalid_parameter": {"date"},
    },
}
# JSON Schema cannot say of two parameters that one excludes the other.
LISTS = ["listCharges", "listRefunds", "listEvents", "listWebhookEndpoints", "listDeliveries"]
REASONS |= {name: {"invalid_parameter": {"ending_before"}} for name in LISTS}
REASONS["createAttempt"] = REASONS["createCharge"]
REASONS["updateWebhookEndpoint"] = REASONS["createWebhookEndpoint"]

# Whatever is not the provider's own message is refused, in the provider's words.
SIGNED = {"wechatNotifies", "alipayNotifies"}


def name(operation):
    return operation.definition.raw.get("operationId")


@schemathesis.check
def refused_for_a_known_reason(_ctx, response, case):
    """In place of positive_data_acceptance: a valid request is never called malformed."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code != 400 or name(case.operation) in SIGNED:
        return
    problem = response.json()
    known = REASONS.get(name(case.operation), {})
    params = known.get(problem["code"], set())
    if params is None or problem.get("param") in params:
        return
    raise AssertionError(f"a valid request was refused: {problem}")


EXAMPLES = {
    "readRefund": ("id", "refund"),
    "readBill": ("date", "day"),
    "chargeQrSvg": ("id", "code"),
    "chargeQrPng": ("id", "code"),
    "cashierQrPng": ("id", "code"),
    "wechatNotifies": ("account", "account"),
}


@schemathesis.hook
def before_load_schema(_context, raw_schema):
    """The examples of the document become objects that are there."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            named, prepared = EXAMPLES.get(operation["operationId"], (None, None))
            for parameter in operation.get("parameters", []):
                if parameter["name"] == named:
                    parameter["example"] = PREPARED[prepared]
    refund = raw_schema["paths"]["/v1/refunds"]["post"]["requestBody"]["content"]
    refund["application/json"]["example"] = {"charge": PREPARED["paid"], "amount": 1}
