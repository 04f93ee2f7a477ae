"""The coverage ledger over HTTP."""

from collections.abc import Callable
from datetime import timedelta

from starlette.testclient import TestClient

from k2.quality.coverage.update import CoverageUpdate
from k2.quality.drill.planted_lake import EXCHANGES, NOW
from k2.settings import Settings
from tests.support.planted import healthy_lake


def test_the_hours_of_a_market_come_with_their_gaps(
    client_of: Callable[..., TestClient], settings: Settings
) -> None:
    lake = healthy_lake(settings)
    lake.remove(EXCHANGES[1], lambda row: 725 <= row["first_trade_id"] <= 730)
    lake.write_until(NOW + timedelta(minutes=10))
    CoverageUpdate(settings, NOW + timedelta(minutes=10), EXCHANGES).run(NOW - timedelta(days=1))
    client = client_of()
    client.app.state.settings = settings  # type: ignore[attr-defined]

    answer = client.get(
        "/v1/coverage",
        params={"exchange": "kraken", "symbol": "btc-usdt", "since": "2026-09-01T12:00"},
    )

    assert answer.status_code == 200
    (hour,) = answer.json()
    (gap,) = hour["gaps"]
    assert (hour["condition"], hour["missing"]) == ("pending", 6)
    assert (gap["first_id"], gap["last_id"], gap["class"], gap["state"]) == (
        *(725, 730, "unknown", "open"),
    )


def test_no_ledger_has_no_hours_and_a_wrong_time_is_said(client: TestClient) -> None:
    assert client.get("/v1/coverage").json() == []

    answer = client.get("/v1/coverage", params={"since": "yesterday"})

    assert answer.status_code == 422
    assert "yesterday" in answer.text
