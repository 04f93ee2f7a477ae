"""What no request passes: a wrong host, no token, too often, too large, too long."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from k2.errors import ConfigError
from k2.jobs.engine import JobEngine

TOKEN = "a-secret-of-the-test"  # noqa: S105


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, "A token is missing"),
        ({"Authorization": "Bearer wrong"}, "The token is wrong"),
        ({"Authorization": f"Basic {TOKEN}"}, "The token is wrong"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "The token is wrong"),
    ],
)
def test_without_the_token_nothing_is_told(
    client_of: Callable[..., TestClient], headers: dict[str, str], sentence: str
) -> None:
    client = client_of(api_token=TOKEN)

    for path in ("/v1/jobs", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = client.get(path, headers=headers)

        assert answer.status_code == 401, path
        assert sentence in answer.json()["error"]
        assert TOKEN not in answer.text


def test_with_the_token_and_for_health_the_way_is_free(
    client_of: Callable[..., TestClient],
) -> None:
    client = client_of(api_token=TOKEN)

    answers = [
        client.get("/health"),
        client.get("/ready"),
        client.get("/v1/jobs", headers={"Authorization": f"Bearer {TOKEN}"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_who_asks_too_often_is_told_how_long_to_wait_and_is_right_to_come_back_then(
    client_of: Callable[..., TestClient],
) -> None:
    client = client_of(api_rate="3/2second")
    statuses = [client.get("/v1/kinds").status_code for _ in range(20)]
    refused = client.get("/v1/kinds")
    assert refused.status_code == 429

    threading.Event().wait(int(refused.headers["Retry-After"]))

    assert statuses.count(200) <= 6
    assert 1 <= int(refused.headers["Retry-After"]) <= 2
    assert "at most 3/2second" in refused.json()["error"]
    assert client.get("/v1/kinds").status_code == 200


def test_health_is_told_however_often(client_of: Callable[..., TestClient]) -> None:
    client = client_of(api_rate="1/minute")

    assert {client.get("/health").status_code for _ in range(5)} == {200}


def test_a_rate_that_is_none_is_said_at_the_start(client_of: Callable[..., TestClient]) -> None:
    with pytest.raises(ConfigError, match="K2_API_RATE='often' is no rate"):
        client_of(api_rate="often")


@pytest.mark.parametrize("said", [True, False])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    client_of: Callable[..., TestClient], said: bool
) -> None:
    client = client_of(api_max_body_bytes=2_000)
    body = b'{"kind": "' + b"x" * 3_000 + b'"}'

    def pieces() -> Iterator[bytes]:
        yield body

    answer = client.post("/v1/jobs", content=body if said else pieces())

    assert answer.status_code == 413
    assert "2,000 bytes are the most" in answer.json()["error"]


def test_a_message_that_grows_too_large_while_it_comes_is_refused(
    client_of: Callable[..., TestClient],
) -> None:
    client = client_of(api_max_body_bytes=2_000)

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 100

    answer = client.post("/v1/records/binance", content=pieces())

    assert answer.status_code == 413
    assert "2,000 bytes are the most" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
def test_a_page_of_another_site_gets_nothing(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get("/v1/jobs", headers=headers)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8001", 200),
        ("localhost", 200),
        ("[::1]:8001", 200),
        ("[2001:db8::1]:8001", 403),
        ("localhost.evil.example", 403),
    ],
)
def test_who_asks_this_machine_by_a_name_of_its_own_gets_an_answer(
    client: TestClient, host: str, status: int
) -> None:
    assert client.get("/v1/kinds", headers={"Host": host}).status_code == status


def test_a_request_has_an_id_its_own_where_it_is_one(client: TestClient) -> None:
    given = client.get("/v1/kinds", headers={"X-Request-ID": "mine-1"})
    made = client.get("/v1/kinds", headers={"X-Request-ID": "a b\tc"})

    assert given.headers["X-Request-ID"] == "mine-1"
    assert len(made.headers["X-Request-ID"]) == 16


def test_what_takes_too_long_is_given_up(
    client_of: Callable[..., TestClient], engine: JobEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(engine.registry), "counts", lambda _self: time.sleep(1.0))

    answer = client_of(api_timeout_seconds=0.2).get("/ready")

    assert answer.status_code == 504
    assert "Given up after 0.2 s" in answer.json()["error"]


def test_a_defect_is_a_sentence_and_no_traceback(
    client: TestClient, engine: JobEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: object) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(type(engine.registry), "counts", broken)

    answer = client.get("/ready")

    assert answer.status_code == 500
    assert answer.json()["error"].startswith("KeyError: a defect of K2")
    assert "secret detail" not in answer.text
