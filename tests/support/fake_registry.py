"""A schema registry of a test's own: a small HTTP server that answers as the test says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeRegistry:
    """Answers with what ``answers`` holds for method and path; notes what it was asked."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.bodies = []
        self.registered = {}  # text of a schema → its id, once any may be registered
        self.takes_any = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                outer.asked.append(f"{self.command} {path}")
                outer.bodies.append(self.rfile.read(length))
                status, body = outer.answer_to(f"{self.command} {path}", outer.bodies[-1])
                if isinstance(status, list):
                    status = status.pop(0) if len(status) > 1 else status[0]
                payload = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer_to(self, question, body):
        if question in self.answers:
            return self.answers[question]
        if self.takes_any and question.startswith("PUT /config/"):
            return 200, json.loads(body)
        if self.takes_any and question.endswith("/versions"):
            text = json.loads(body)["schema"]
            return 200, {"id": self.registered.setdefault(text, len(self.registered) + 1)}
        return 404, {"error_code": 40403, "message": "no"}


@contextmanager
def fake_registry() -> Iterator[FakeRegistry]:
    """Run one until the block ends."""
    registry = FakeRegistry()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()
