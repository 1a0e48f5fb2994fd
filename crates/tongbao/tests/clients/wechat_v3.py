"""WeChat Pay API v3 against PyPI wechatpayv3, in platform-certificate mode and in public-key mode.

Usage: wechat_v3.py SANDBOX; the sandbox's clock and rules are changed, so it should be one that
nobody else lives by.
"""

import gzip
import hashlib
import json
import tempfile

from sandbox import (
    Disagreement, Receiver, advance, auth_code, check, credentials, main, number, pay, rules,
)

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


def refused(reply, status, code, what):
    """A refusal with this status and code; codes are spelt with and without underscores."""
    check(reply[0] == status, f"{what} answers {status}", *reply)
    name = json.loads(reply[1])["code"].replace("_", "")
    check(name == code, f"{what} is {code}", *reply)


def check_paid(trade, wechat, out_trade_no, total, trade_type="NATIVE"):
    """The members that a paid trade has, in a reply and in a notification alike."""
    want = {
        "appid": wechat["app_id"],
        "mchid": wechat["mch_id"],
        "out_trade_no": out_trade_no,
        "trade_state": "SUCCESS",
        "trade_type": trade_type,
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
    close = merchant.close(out_trade_no=out_trade_no)
    refused(close, 400, "ORDERPAID", "closing a paid order")


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
    query = merchant.query(out_trade_no=number("no"))
    refused(query, 404, "ORDERNOTEXIST", "query of an unknown order")


class Refunds:
    """The refunds of a new order, which is paid."""

    def __init__(self, sandbox, merchant, receiver, total=1234):
        self.sandbox, self.merchant, self.receiver, self.total = sandbox, merchant, receiver, total
        self.out_trade_no = number("py3")
        pay(sandbox, code=order(merchant, receiver, self.out_trade_no, total))
        receiver.next("the payment notification")

    def ask(self, out_refund_no, amount, total=None):
        """Asks for a refund; status and text."""
        return self.merchant.refund(
            out_refund_no=out_refund_no,
            out_trade_no=self.out_trade_no,
            amount={"refund": amount, "total": total or self.total, "currency": "CNY"},
            reason="退货 &<>",
            notify_url=self.receiver.url,
        )

    def accepted(self, out_refund_no, amount):
        """A refund that is accepted, and not more than that."""
        code, text = self.ask(out_refund_no, amount)
        check(code == 200, "a refund answers 200", code, text)
        refund = json.loads(text)
        self.check(refund, out_refund_no, amount)
        check(refund["status"] == "PROCESSING", "an accepted refund is PROCESSING", text)
        check("success_time" not in refund, "and has not arrived", text)
        check(refund["create_time"].endswith("+08:00"), "create_time is China time", text)
        return refund

    def query(self, out_refund_no, amount, status):
        """What a query says of a refund, which is as `status` says."""
        code, text = self.merchant.query_refund(out_refund_no=out_refund_no)
        check(code == 200, "the query of a refund answers 200", code, text)
        refund = json.loads(text)
        self.check(refund, out_refund_no, amount)
        check(refund["status"] == status, f"the refund is {status}", text)
        check(("success_time" in refund) == (status == "SUCCESS"), "success_time of it", text)
        return refund

    def check(self, refund, out_refund_no, amount):
        """The members that replies and notifications have."""
        check(refund["out_refund_no"] == out_refund_no, "it is our refund", refund)
        check(refund["out_trade_no"] == self.out_trade_no, "it is of our order", refund)
        check(refund["amount"]["refund"] == amount, "amount.refund is what was asked", refund)
        check(refund["amount"]["payer_refund"] == amount, "amount.payer_refund too", refund)
        check(refund["amount"]["total"] == self.total, "amount.total is the order's", refund)
        check(refund["refund_id"].startswith("50"), "refund_id begins with 50", refund)

    def notice(self, wechat, refund, status):
        """The notification of a refund's end, verified and opened by the client."""
        headers, body = self.receiver.next(f"the notification of a refund that is {status}")
        notice = self.merchant.callback(dict(headers.items()), body)
        check(notice, "the refund's notification verifies and opens", dict(headers.items()), body)
        check(notice["event_type"] == f"REFUND.{status}", "its event_type", notice)
        found = notice["resource"]
        self.check(found, refund["out_refund_no"], refund["amount"]["refund"])
        check(found["refund_status"] == status, f"refund_status is {status}", found)
        check(found["refund_id"] == refund["refund_id"], "refund_id is the same", found)
        check(found["mchid"] == wechat["mch_id"], "mchid is ours", found)
        check(("success_time" in found) == (status == "SUCCESS"), "success_time of it", found)
        changed = body.replace(b"encrypt-resource", b"encrypt-resourcf")
        opened = self.merchant.callback(dict(headers.items()), changed)
        check(not opened, "a changed notification of a refund fails")


def refunded_order(sandbox, wechat, merchant, receiver):
    """In two parts, each asked for twice, and no more than was paid; each end is notified."""
    refunds = Refunds(sandbox, merchant, receiver)
    one, two = number("py3r"), number("py3s")
    first = refunds.accepted(one, 500)
    code, text = refunds.ask(one, 500)
    again = json.loads(text)
    same = again.get("refund_id") == first["refund_id"]
    check(code == 200 and same, "the same number is the same refund", first, text)
    check(state(merchant, refunds.out_trade_no)["trade_state"] == "REFUND", "it is REFUND then")
    refused(refunds.ask(one, 400), 400, "INVALIDREQUEST", "the number with another amount")
    refused(refunds.ask(two, 734, 1233), 400, "INVALIDREQUEST", "a refund of another total")
    refused(refunds.ask(two, 735), 400, "INVALIDREQUEST", "a refund of more than is left")
    refunds.query(one, 500, "PROCESSING")
    advance(sandbox, "3s")
    refunds.notice(wechat, refunds.query(one, 500, "SUCCESS"), "SUCCESS")
    refunds.accepted(two, 734)
    advance(sandbox, "3s")
    refunds.notice(wechat, refunds.query(two, 734, "SUCCESS"), "SUCCESS")
    more = refunds.ask(number("py3t"), 1)
    refused(more, 400, "INVALIDREQUEST", "a refund of a fully refunded order")
    check(refunds.query(one, 500, "SUCCESS")["refund_id"] == first["refund_id"], "one stays one")


def refused_refunds(sandbox, merchant, receiver):
    """What cannot go back."""
    above = Refunds(sandbox, merchant, receiver).ask(number("py3r"), 1235)
    check(above[0] == 400, "a refund above the total is refused with 400", *above)
    unpaid = number("py3")
    order(merchant, receiver, unpaid)
    for out_trade_no in (unpaid, number("no")):
        reply = merchant.refund(
            out_refund_no=number("py3r"),
            out_trade_no=out_trade_no,
            amount={"refund": 1, "total": 1234, "currency": "CNY"},
        )
        refused(reply, 404, "RESOURCENOTEXISTS", "a refund of an unpaid or unknown order")
    unknown = merchant.query_refund(out_refund_no=number("no"))
    refused(unknown, 404, "RESOURCENOTEXISTS", "query of an unknown refund")


def abnormal_refund(sandbox, wechat, merchant, receiver):
    """A refund that the payer's account does not take goes to a card instead; the client encrypts
    the card with the platform's key."""
    refunds = Refunds(sandbox, merchant, receiver, 77727)
    out_refund_no = number("py3r")
    refunds.accepted(out_refund_no, 77727)
    advance(sandbox, "3s")
    refund = refunds.query(out_refund_no, 77727, "ABNORMAL")
    refunds.notice(wechat, refund, "ABNORMAL")
    code, text = merchant.abnormal_refund(
        refund_id=refund["refund_id"],
        out_refund_no=out_refund_no,
        type="USER_BANK_CARD",
        bank_type="ICBC_DEBIT",
        bank_account="6222000000000000000",
        real_name="张三",
    )
    check(code == 200, "another way for an abnormal refund answers 200", code, text)
    check(json.loads(text)["status"] == "PROCESSING", "the refund is under way again", text)
    advance(sandbox, "61s")
    refunds.notice(wechat, refunds.query(out_refund_no, 77727, "SUCCESS"), "SUCCESS")


def code_payment(sandbox, merchant, out_trade_no, auth, total):
    """The shop scans; status and text."""
    return merchant.pay(
        description="通宝 conformance",
        out_trade_no=out_trade_no,
        amount={"total": total, "currency": "CNY"},
        payer={"auth_code": auth},
        scene_info={"store_info": {"id": "0001"}},
        attach="附加 &<>",
        pay_type=WeChatPayType.CODEPAY,
    )


def scanned_order(sandbox, wechat, merchant):
    """Paid at once, taken back; a code that was used; a payer who is asked for a password."""
    out_trade_no, auth = number("py3b"), auth_code(sandbox, "wechat")
    code, text = code_payment(sandbox, merchant, out_trade_no, auth, 1234)
    check(code == 200, "a code payment answers 200", code, text)
    for trade in (json.loads(text), state(merchant, out_trade_no)):
        check_paid(trade, wechat, out_trade_no, 1234, "MICROPAY")
    used = code_payment(sandbox, merchant, number("py3b"), auth, 1234)
    refused(used, 400, "AUTHCODEINVALID", "a code that was used")
    reverse(merchant, out_trade_no)
    poor = code_payment(sandbox, merchant, number("py3b"), auth_code(sandbox, "wechat"), 77725)
    refused(poor, 403, "NOTENOUGH", "a payer without money")
    waiting = number("py3b")
    code, text = code_payment(sandbox, merchant, waiting, auth_code(sandbox, "wechat"), 100001)
    check(code == 200, "a payer who types a password is no error", code, text)
    check(json.loads(text)["trade_state"] == "USERPAYING", "it is USERPAYING", text)
    early = merchant.codepay_reverse(out_trade_no=waiting)
    refused(early, 400, "USERPAYING", "reversing while the password is typed")
    advance(sandbox, "16s")
    reverse(merchant, waiting)


def reverse(merchant, out_trade_no):
    """Takes a code payment back, twice."""
    for _ in range(2):
        code, text = merchant.codepay_reverse(out_trade_no=out_trade_no)
        check(code == 200, "reverse answers 200", code, text)
    check(state(merchant, out_trade_no)["trade_state"] == "REVOKED", "a reversed order is REVOKED")


def bills(sandbox, merchant, receiver):
    """Trade bills and a fund-flow bill of a day that is over, with our payment and our refund."""
    refunds = Refunds(sandbox, merchant, receiver)
    trade = state(merchant, refunds.out_trade_no)
    refund = refunds.accepted(number("py3r"), 500)
    paid_on, refunded_on = trade["success_time"][:10], refund["create_time"][:10]
    none = "NOSTATEMENTEXIST"
    refused(merchant.trade_bill(bill_date=refunded_on), 400, none, "the bill of a day under way")
    refused(merchant.fundflow_bill(bill_date=refunded_on), 400, none, "its fund-flow bill")
    advance(sandbox, "2d")
    receiver.next("the refund's notification")
    refused(merchant.trade_bill(bill_date="2020-02-29"), 400, none, "a day without trades")
    check_trade_bills(merchant, trade, refund, (paid_on, refunded_on))
    check_fund_bill(merchant, trade, refund, (paid_on, refunded_on))


def check_trade_bills(merchant, trade, refund, days):
    """The payment is in two of the three kinds of bill, the refund in the other two."""
    numbers = (trade["transaction_id"], trade["out_trade_no"])
    ours = {"微信订单号": numbers[0], "商户订单号": numbers[1], "商户数据包": "附加 &<>"}
    payment = {**ours, "交易状态": "SUCCESS", "订单金额": "12.34", "交易类型": "NATIVE"}
    returned = {
        **ours,
        "交易状态": "REFUND",
        "微信退款单号": refund["refund_id"],
        "商户退款单号": refund["out_refund_no"],
        "申请退款金额": "5.00",
        "退款状态": "SUCCESS",
    }
    kinds = {"ALL": (True, True), "SUCCESS": (True, False), "REFUND": (False, True)}
    for bill_type, expected in kinds.items():
        for wanted, day, there in zip((payment, returned), days, expected):
            reply = merchant.trade_bill(bill_date=day, bill_type=bill_type)
            rows = download(merchant, reply)
            found = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
            check(len(found) == there, f"the {bill_type} bill has {wanted}: {there}", rows)


def check_fund_bill(merchant, trade, refund, days):
    """Money in and money out, and the fees of both."""
    movements = (
        (days[0], trade["transaction_id"], trade["out_trade_no"], "收入", "12.34"),
        (days[0], trade["transaction_id"], trade["out_trade_no"], "支出", "0.07"),
        (days[1], refund["refund_id"], refund["out_refund_no"], "支出", "5.00"),
        (days[1], refund["refund_id"], refund["out_refund_no"], "收入", "0.03"),
    )
    names = ("微信支付业务单号", "业务凭证号", "收支类型", "收支金额(元)")
    for day, *wanted in movements:
        rows = download(merchant, merchant.fundflow_bill(bill_date=day))
        found = [row for row in rows if [row.get(name) for name in names] == wanted]
        check(len(found) == 1, f"the fund-flow bill has {wanted} once", rows)


def download(merchant, reply):
    """The rows of a bill, which is fetched with the client, unpacked and checked by its hash."""
    code, text = reply
    check(code == 200, "a bill answers 200", code, text)
    link = json.loads(text)
    check(link["hash_type"] == "SHA1", "the hash is SHA1", text)
    code, packed = merchant.download_bill(link["download_url"])
    check(code == 200, "the bill can be downloaded", code, packed)
    bill = gzip.decompress(packed)
    check(hashlib.sha1(bill).hexdigest() == link["hash_value"], "its hash is right", text, bill)
    lines = bill.decode("utf-8-sig").split("\r\n")
    check(bill.startswith(b"\xef\xbb\xbf") and lines.pop() == "", "BOM first, CRLF last", bill)
    head, summary = lines[0].split(","), lines[-1].removeprefix("`").split(",`")
    rows = [line.removeprefix("`").split(",`") for line in lines[1:-2]]
    check(all(len(row) == len(head) for row in rows), "each row has each column", lines)
    check(float(summary[0]) == len(rows), "the summary counts the rows", lines)
    return [dict(zip(head, row)) for row in rows]


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


def no_certificates(sandbox, wechat):
    """A merchant who never had certificates cannot use the client's certificate mode."""
    try:
        client(sandbox, wechat, False)
    except Exception:  # As above.
        return
    raise Disagreement("certificates were given to a merchant without them")


def everything(sandbox, wechat, merchant, receiver):
    """All that a merchant does."""
    paid_order(sandbox, wechat, merchant, receiver)
    closed_order(merchant, receiver)
    unknown_order(merchant)
    refunded_order(sandbox, wechat, merchant, receiver)
    refused_refunds(sandbox, merchant, receiver)
    abnormal_refund(sandbox, wechat, merchant, receiver)
    scanned_order(sandbox, wechat, merchant)
    bills(sandbox, merchant, receiver)


def run(sandbox):
    wechat = credentials(sandbox)["wechat"]
    receiver = Receiver(lambda _headers, _body: (204, b""))
    # Before, during and after the move from certificates to the public key.
    stages = (
        ("certificate", (False,)),
        ("both", (False, True)),
        ("public_key", (True,)),
    )
    for stage, modes in stages:
        rules(sandbox, wechat_keys=stage)
        for public_key_mode in modes:
            merchant = client(sandbox, wechat, public_key_mode)
            everything(sandbox, wechat, merchant, receiver)
    no_certificates(sandbox, wechat)
    rules(sandbox, wechat_keys="both")
    wrong_key(sandbox, wechat)


main("wechat_v3.py (wechatpayv3)", run)
