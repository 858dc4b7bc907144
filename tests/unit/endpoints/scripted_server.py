"""A real HTTP server on loopback that answers by a script, for the rewards that call a service."""

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Reply:
    """One scripted answer: a status and a body (bytes, or anything JSON holds), after some seconds.

    `drip_seconds` sends the body a byte at a time, so that no single read is slow but the whole is.
    """

    def __init__(self, body, status=200, *, after_seconds=0.0, drip_seconds=0.0, headers=()):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.after_seconds = after_seconds
        self.drip_seconds = drip_seconds
        self.headers = dict(headers)


class ScriptedServer:
    """Answers the n-th request with the n-th reply of the script, the last one for ever.

    A reply may be a function of the request's JSON. `requests` has the JSON of each request, `headers` its
    headers, `most_at_once` the largest number that were open together.
    """

    def __init__(self, script):
        self.script = list(script)
        self.requests, self.headers = [], []
        self.open, self.most_at_once = 0, 0
        self.lock = threading.Lock()

    def next_reply(self, request, headers):
        with self.lock:
            self.requests.append(request)
            self.headers.append(headers)
            self.open += 1
            self.most_at_once = max(self.most_at_once, self.open)
            reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return reply(request) if callable(reply) else reply


@contextmanager
def serve(*script):
    """A running server and its address."""
    scripted = ScriptedServer(script)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = scripted.next_reply(request, self.headers)
            time.sleep(reply.after_seconds)
            with scripted.lock:
                scripted.open -= 1
            # A client that has waited long enough hangs up.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send(reply)

        def send(self, reply):
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if not reply.drip_seconds:
                self.wfile.write(reply.body)
                return
            for byte in reply.body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(reply.drip_seconds)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield scripted, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def dead_address():
    """An address on loopback where nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}"
