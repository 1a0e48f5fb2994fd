"""tongbao's webhooks against PyPI standardwebhooks: create an endpoint and a charge at the gateway,
pay the charge in the sandbox, verify what arrives.

Usage: webhooks.py SANDBOX DEV_JSON
"""

import json

from sandbox import Disagreement, Receiver, call, check, main, number, pay

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def create(gateway, key, path, body):
    """One POST to /v1 that must create."""
    status, made = call(f"{gateway}/v1/{path}", body, key)
    check(status in (200, 201), f"POST /v1/{path} creates", status, made)
    return made


def verified(webhook, headers, body):
    """What the library reads out of a delivery."""
    try:
        return webhook.verify(body, dict(headers.items()))
    except WebhookVerificationError as error:
        seen = dict(headers.items())
        raise Disagreement(f"the webhook does not verify: {error}\n  {seen}\n  {body!r}") from None


def refuses(webhook, headers, body):
    """Whether the library refuses it."""
    try:
        webhook.verify(body, dict(headers.items()))
    except WebhookVerificationError:
        return True
    return False


def run(sandbox, dev_json):
    with open(dev_json, encoding="utf-8") as file:
        dev = json.load(file)
    gateway, key = dev["gateway"].rstrip("/"), dev["secret_key"]
    receiver = Receiver(lambda _headers, _body: (204, b""))
    endpoint = create(gateway, key, "webhook_endpoints", {"url": receiver.url, "events": ["*"]})
    webhook = Webhook(endpoint["secret"])
    for channel in ("wechat.native", "alipay.qr"):
        order_no = number("pywh")
        asked = {"amount": 1200, "subject": "通宝", "channel": channel, "order_no": order_no}
        charge = create(gateway, key, "charges", asked)
        pay(sandbox, code=charge["action"]["code_url"])
        while True:
            headers, body = receiver.next(f"charge.succeeded for {channel}")
            event = verified(webhook, headers, body)
            check(refuses(webhook, headers, body + b" "), "a changed webhook fails")
            if event["type"] == "charge.succeeded":
                break
        seen = event["data"]["object"]
        check(seen["id"] == charge["id"], "the event is about the charge", event)
        check(seen["paid"] is True and seen["amount"] == 1200, "the charge is paid", event)
    status, _ = call(f"{gateway}/v1/webhook_endpoints/{endpoint['id']}", None, key, "DELETE")
    check(status in (200, 204), "the endpoint can be deleted", status)


main("webhooks.py (standardwebhooks)", run)
