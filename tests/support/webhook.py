"""A receiver of webhooks that answers as a test wants: well, badly, slowly, elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Answers with the statuses of ``plan`` in turn, then with 204; keeps what it took."""

    def __init__(self, plan: list[int | str], headers: dict[str, str]) -> None:
        self.plan, self.headers = plan, headers
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.asked = 0
        self.ending = threading.Event()
        self.url = ""


@contextmanager
def receiver(*plan: int | str, **headers: str) -> Iterator[Receiver]:
    """Listen on loopback; ``hang`` in the plan is a request that is never answered."""
    found = Receiver(list(plan), headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = found.plan[found.asked] if found.asked < len(found.plan) else 204
            found.asked += 1
            if status == "hang":
                found.ending.wait(30)
                return
            if 200 <= int(status) < 300:
                names = {name.lower(): value for name, value in self.headers.items()}
                found.taken.append((names, body))
            self.send_response(int(status))
            for name, value in found.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
