"""What the Python conformance scripts share: the sandbox's control paths and a local receiver of
notifications. It verifies nothing; that is left to the published libraries that the scripts
load."""

import http.server
import json
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(
    0,
    os.environ.get("TONGBAO_TEST_PYTHONPATH")
    or os.path.join(os.path.dirname(__file__), "../../../../target/clients/py"),
)

WAIT_SECONDS = 15


class Disagreement(Exception):
    """The client and the sandbox do not agree; the text says about what."""


def check(condition, what, *seen):
    """Raises with `what` and the bytes seen, unless `condition` holds."""
    if not condition:
        raise Disagreement(what + "".join(f"\n  seen: {item!r}" for item in seen))


def call(url, body=None, key=None, method=None):
    """One JSON call; gives the status and the decoded body, also of an error."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as reply:
            status, text = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def credentials(sandbox):
    """All that an SDK needs to be a merchant in the sandbox."""
    status, body = call(sandbox + "/_sandbox/credentials")
    check(status == 200, "GET /_sandbox/credentials answers 200", status, body)
    return body


def pay(sandbox, **what):
    """Plays the payer."""
    status, body = call(sandbox + "/_sandbox/pay", what)
    check(status == 200, f"the payer can pay {what}", status, body)
    return body


def advance(sandbox, by):
    """Moves the sandbox's clock."""
    status, body = call(sandbox + "/_sandbox/clock", {"advance": by})
    check(status == 200, f"the clock moves by {by}", status, body)


def rules(sandbox, **change):
    """Changes rules of the sandbox."""
    status, body = call(sandbox + "/_sandbox/rules", change)
    check(status == 200, f"the rules can be {change}", status, body)


def auth_code(sandbox, provider):
    """What the payer's phone shows to a merchant who scans."""
    status, body = call(sandbox + "/_sandbox/auth_codes")
    check(status == 200, "GET /_sandbox/auth_codes answers 200", status, body)
    return body[provider]["auth_code"]


def number(prefix):
    """An order number that no earlier run used."""
    return f"{prefix}{time.time_ns() % 10**17:017d}"


class Receiver:
    """An HTTP server on a free port that keeps what it is sent and answers as `reply` says."""

    def __init__(self, reply):
        self.messages = queue.Queue()
        messages = self.messages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                status, text = reply(self.headers, body)
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                messages.put((self.headers, body))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, what):
        """The next message, headers and body."""
        try:
            return self.messages.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise Disagreement(f"{what} did not come within {WAIT_SECONDS} s") from None


def main(name, run):
    """Runs a script; at the first disagreement prints it and exits with 1."""
    try:
        run(*[argument.rstrip("/") for argument in sys.argv[1:]])
    except Disagreement as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"{name}: agrees")
