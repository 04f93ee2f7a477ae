"""The registry's answers, refusals and failures, against a small HTTP server of the test's own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from k2.connectors.schema_registry import SchemaRegistry
from k2.errors import ContractError, UnavailableError
from k2.exchanges import exchange_named

pytestmark = pytest.mark.unit


class FakeRegistry:
    """Answers with what ``answers`` holds for method and path; notes what it was asked."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.bodies = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                outer.asked.append(f"{self.command} {path}")
                outer.bodies.append(self.rfile.read(length))
                status, body = outer.answers.get(
                    f"{self.command} {path}", (404, {"error_code": 40403, "message": "no"})
                )
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


@pytest.fixture
def fake():
    registry = FakeRegistry()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def test_a_known_schema_is_asked_for_once_and_then_read_from_disk(fake, tmp_path):
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": '"string"'})
    SchemaRegistry(fake.url, tmp_path / "cache").schema_by_id(7)
    fake.answers.clear()

    text = SchemaRegistry(fake.url, tmp_path / "cache").schema_by_id(7)

    assert text == '"string"'
    assert fake.asked == ["GET /schemas/ids/7"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["7.avsc"]


def test_an_unknown_id_is_none_and_never_remembered(fake, tmp_path):
    registry = SchemaRegistry(fake.url, tmp_path)
    assert registry.schema_by_id(7) is None
    fake.answers["GET /schemas/ids/7"] = (200, {"schema": '"int"'})

    assert registry.schema_by_id(7) == '"int"'


def test_a_negative_id_is_unknown_without_asking(fake):
    assert SchemaRegistry(fake.url).schema_by_id(-1) is None
    assert fake.asked == []


def test_a_failure_that_passes_is_not_seen(fake):
    fake.answers["GET /schemas/ids/7"] = ([500, 503, 200], {"schema": '"int"'})

    assert SchemaRegistry(fake.url).schema_by_id(7) == '"int"'
    assert len(fake.asked) == 3


@pytest.mark.parametrize("status", [500, 401, 429])
def test_a_failure_that_stays_is_unavailable_and_never_an_unknown_id(fake, tmp_path, status):
    fake.answers["GET /schemas/ids/7"] = (status, {"error_code": status, "message": "down"})

    with pytest.raises(UnavailableError, match=fake.url):
        SchemaRegistry(fake.url, tmp_path, attempts=2).schema_by_id(7)

    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_unavailable(fake):
    fake.server.shutdown()
    fake.server.server_close()

    with pytest.raises(UnavailableError, match="does not answer"):
        SchemaRegistry(fake.url, attempts=2).schema_by_id(7)


def test_a_server_that_is_no_registry_is_unavailable(fake):
    fake.answers["GET /schemas/ids/7"] = (200, ["hello"])

    with pytest.raises(UnavailableError):
        SchemaRegistry(fake.url, attempts=1).schema_by_id(7)


def test_all_versions_are_registered_in_order_under_a_transitive_subject(fake):
    kraken = exchange_named("kraken")
    path = f"/subjects/{kraken.subject}/versions"
    fake.answers[f"PUT /config/{kraken.subject}"] = (200, {"compatibility": "BACKWARD_TRANSITIVE"})
    fake.answers[f"POST {path}"] = (200, {"id": 5})

    ids = SchemaRegistry(fake.url).register(kraken)

    assert list(ids) == list(kraken.raw_schemas)
    assert fake.asked[0] == f"PUT /config/{kraken.subject}"
    assert json.loads(fake.bodies[0])["compatibility"] == "BACKWARD_TRANSITIVE"
    assert fake.asked.count(f"POST {path}") == 2


def test_an_incompatible_schema_breaks_the_contract(fake):
    binance = exchange_named("binance")
    fake.answers[f"PUT /config/{binance.subject}"] = (200, {"compatibility": "x"})
    fake.answers[f"POST /subjects/{binance.subject}/versions"] = (
        409,
        {"error_code": 409, "message": "incompatible"},
    )

    with pytest.raises(ContractError, match=r"binance_raw_trade_v1\.avsc"):
        SchemaRegistry(fake.url).register(binance)
