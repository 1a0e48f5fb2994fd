"""schemathesis against a gateway: makes the objects that it cannot make itself, then lets it go.

Usage: run.py DEV_JSON SEED EXAMPLES REPORT
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


def call(url, body=None, key=None):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def prepared(dev):
    """A paid charge, a refund of it, a day that is over, then a charge with a code."""
    gateway, sandbox, key = dev["gateway"], dev["sandbox"], dev["secret_key"]

    def order():
        body = {"amount": 1_000_000, "subject": "Tea", "channel": "wechat.native"}
        return call(f"{gateway}/v1/charges", body, key)

    paid = order()
    call(f"{sandbox}/_sandbox/pay", {"code": paid["action"]["code_url"]})
    while call(f"{gateway}/v1/charges/{paid['id']}", None, key)["status"] != "succeeded":
        pass
    refund = call(f"{gateway}/v1/refunds", {"charge": paid["id"], "amount": 1}, key)
    today = call(f"{sandbox}/_sandbox/clock", {"advance": "8h"})["now"][:10]
    call(f"{sandbox}/_sandbox/clock", {"advance": "28h"})
    return {
        "paid": paid["id"],
        "refund": refund["id"],
        "code": order()["id"],
        "day": today,
        "account": paid["account"],
    }


def main(dev_json, seed, examples, report):
    with open(dev_json, encoding="utf-8") as file:
        dev = json.load(file)
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(prepared(dev), file)
        file.flush()
        environment = {
            **os.environ,
            "PREPARED": file.name,
            "TONGBAO_TEST_KEY": dev["secret_key"],
            "PYTHONPATH": f"{os.environ['TONGBAO_TEST_PYTHONPATH']}{os.pathsep}{HERE}",
        }
        command = [sys.executable, "-m", "schemathesis.cli"]
        command += ["--config-file", os.path.join(HERE, "schemathesis.toml")]
        command += ["run", f"{dev['gateway']}/openapi.json", "--seed", seed]
        command += ["--max-examples", examples, "--report-json-path", report]
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
