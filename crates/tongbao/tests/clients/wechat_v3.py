"""WeChat Pay API v3 against PyPI wechatpayv3, in platform-certificate mode and in public-key mode.

Usage: wechat_v3.py SANDBOX [DEV_JSON]
"""

import json
import tempfile

from sandbox import Disagreement, Receiver, check, credentials, main, number, pay

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core


def client(sandbox, wechat, public_key_mode, private_key=None):
    """The library with the sandbox as its gateway; its core is made by hand, because in certificate
    mode the constructor already downloads the certificates and knows no other host."""

    class SandboxCore(Core):
        def __setattr__(self, name, value):
            super().__setattr__(name, sandbox if name == "_gate_way" else value)

    import wechatpayv3.core

    arguments = dict(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=wechat["mch_id"],
        private_key=private_key or wechat["merchant_private_key"],
        cert_serial_no=wechat["merchant_serial"],
        appid=wechat["app_id"],
        apiv3_key=wechat["api_v3_key"],
        cert_dir=None if public_key_mode else tempfile.mkdtemp(),
        timeout=(5, 15),
    )
    if public_key_mode:
        arguments["public_key"] = wechat["platform_public_key"]
        arguments["public_key_id"] = wechat["platform_public_key_id"]
    original, wechatpayv3.core.Core = wechatpayv3.core.Core, SandboxCore
    try:
        return WeChatPay(**arguments)
    finally:
        wechatpayv3.core.Core = original


def foreign_key():
    """A private key that the sandbox's merchant does not have."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pkcs8 = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pkcs8, plain).decode()


def order(merchant, receiver, out_trade_no, total=1234):
    """Places a native order; gives its code_url."""
    code, text = merchant.pay(
        description="通宝 conformance",
        out_trade_no=out_trade_no,
        amount={"total": total, "currency": "CNY"},
        notify_url=receiver.url,
        attach="附加 &<>",
    )
    check(code == 200, "native order answers 200", code, text)
    url = json.loads(text).get("code_url", "")
    check(url.startswith("weixin://"), "native order answers with a code_url", text)
    return url


def state(merchant, out_trade_no):
    """What a query says."""
    code, text = merchant.query(out_trade_no=out_trade_no)
    check(code == 200, f"query of {out_trade_no} answers 200", code, text)
    return json.loads(text)


def check_paid(trade, wechat, out_trade_no, total):
    """The members that a paid trade has, in a reply and in a notification alike."""
    want = {
        "appid": wechat["app_id"],
        "mchid": wechat["mch_id"],
        "out_trade_no": out_trade_no,
        "trade_state": "SUCCESS",
        "trade_type": "NATIVE",
        "attach": "附加 &<>",
    }
    for name, value in want.items():
        check(trade.get(name) == value, f"{name} of a paid trade is {value}", trade)
    check(trade["amount"]["total"] == total, "amount.total is what was ordered", trade)
    check(trade["amount"]["payer_total"] == total, "amount.payer_total is the same", trade)
    check(len(trade["transaction_id"]) == 28, "transaction_id has 28 characters", trade)
    check(trade["payer"]["openid"], "the payer has an openid", trade)
    check(trade["success_time"].endswith("+08:00"), "success_time is China time", trade)


def paid_order(sandbox, wechat, merchant, receiver):
    """Order, pay, query, verified notification; a changed notification is refused by the client."""
    out_trade_no = number("py3")
    code_url = order(merchant, receiver, out_trade_no)
    check(state(merchant, out_trade_no)["trade_state"] == "NOTPAY", "a new order is NOTPAY")
    pay(sandbox, code=code_url)
    check_paid(state(merchant, out_trade_no), wechat, out_trade_no, 1234)
    headers, body = receiver.next("the payment notification")
    notice = merchant.callback(dict(headers.items()), body)
    check(notice, "the payment notification verifies and opens", dict(headers.items()), body)
    check(notice["event_type"] == "TRANSACTION.SUCCESS", "its event_type", notice)
    check_paid(notice["resource"], wechat, out_trade_no, 1234)
    changed = body.replace(b"encrypt-resource", b"encrypt-resourcf")
    check(changed != body, "the notification names its resource_type", body)
    check(not merchant.callback(dict(headers.items()), changed), "a changed notification fails")
    code, text = merchant.close(out_trade_no=out_trade_no)
    check(code == 400, "closing a paid order is refused with 400", code, text)
    paid = json.loads(text)["code"].replace("_", "")
    check(paid == "ORDERPAID", "closing a paid order is refused as paid", text)


def closed_order(merchant, receiver):
    """Close answers 204, twice; the order is CLOSED then."""
    out_trade_no = number("py3")
    order(merchant, receiver, out_trade_no)
    for _ in range(2):
        code, text = merchant.close(out_trade_no=out_trade_no)
        check(code == 204, "close answers 204", code, text)
    check(state(merchant, out_trade_no)["trade_state"] == "CLOSED", "a closed order is CLOSED")


def unknown_order(merchant):
    """A number that was never ordered."""
    code, text = merchant.query(out_trade_no=number("no"))
    check(code == 404, "query of an unknown order answers 404", code, text)
    name = json.loads(text)["code"].replace("_", "")
    check(name == "ORDERNOTEXIST", "query of an unknown order says so", text)


def wrong_key(sandbox, wechat):
    """Signed by another key: 401 SIGN_ERROR, and no certificates for it either."""
    stranger = client(sandbox, wechat, True, foreign_key())
    code, text = stranger.query(out_trade_no=number("no"))
    check(code == 401, "a request signed by another key answers 401", code, text)
    check(json.loads(text)["code"] == "SIGN_ERROR", "and SIGN_ERROR", text)
    try:
        client(sandbox, wechat, False, foreign_key())
    except Exception:  # The library raises a bare Exception when it gets no certificates.
        return
    raise Disagreement("certificates were given to a client with another key")


def run(sandbox, _dev_json=None):
    wechat = credentials(sandbox)["wechat"]
    receiver = Receiver(lambda _headers, _body: (204, b""))
    for public_key_mode in (False, True):
        merchant = client(sandbox, wechat, public_key_mode)
        paid_order(sandbox, wechat, merchant, receiver)
        closed_order(merchant, receiver)
        unknown_order(merchant)
    wrong_key(sandbox, wechat)


main("wechat_v3.py (wechatpayv3)", run)
