"""Coinbase, an exchange that is a definition only: from its messages to V2 trades."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from k2.exchanges.coinbase import COINBASE
from k2.feeds.recordings import Recording
from k2.silver.validation import Validation, validate_lines
from tests.checker.expected import expected_trades
from tests.support.recordings import name_of, recorded_files, trades_in

pytestmark = pytest.mark.integration

MATCH = {
    "type": "match",
    "trade_id": 700_000_001,
    "maker_order_id": "maker-1",
    "taker_order_id": "taker-1",
    "side": "buy",
    "size": "0.00000007",
    "price": "63519.29",
    "product_id": "BTC-USD",
    "sequence": 99_000_000_001,
    "time": "2026-07-07T22:58:16.833065Z",
}


def verdict_on(folder: Path, *messages: dict[str, Any]) -> Validation:
    samples = folder / "samples.ndjson"
    samples.write_text("\n".join(map(json.dumps, messages)))
    return verdict_on_file(samples)


def verdict_on_file(samples: Path) -> Validation:
    return validate_lines(COINBASE, Recording(samples), limit=1_000)


def test_a_match_becomes_a_v2_trade_field_by_field(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, MATCH)

    (trade,) = verdict.first_trades
    wanted = {
        "trade_id": "700000001",
        "symbol": "BTC-USD",
        "exchange": "coinbase",
        "asset_class": "crypto",
        "timestamp": datetime(2026, 7, 7, 22, 58, 16, 833065, UTC),
        "price": Decimal("63519.29"),
        "quantity": Decimal("0.00000007"),
        "currency": "USD",
        "side": "SELL",
        "trade_conditions": [],
        "source_sequence": 99_000_000_001,
        "platform_sequence": 0,
    }
    assert {name: trade[name] for name in wanted} == wanted
    assert trade["message_id"].startswith("coinbase-20260707-")
    assert json.loads(trade["vendor_data"]) == {
        "exchange_symbol": "BTC-USD",
        "message_type": "match",
        "maker_order_id": "maker-1",
        "taker_order_id": "taker-1",
    }


def test_a_selling_maker_means_a_buying_taker(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, MATCH | {"side": "sell"})

    assert [trade["side"] for trade in verdict.first_trades] == ["BUY"]


def test_a_last_match_is_the_match_it_repeats(tmp_path: Path) -> None:
    repeat = MATCH | {"type": "last_match"}
    next_one = MATCH | {"trade_id": 700_000_002}
    other_market = MATCH | {"product_id": "ETH-USD"}

    verdict = verdict_on(tmp_path, MATCH, repeat, next_one, other_market)

    assert (verdict.trades, verdict.repeated) == (4, 1)
    assert len({trade["message_id"] for trade in verdict.first_trades}) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"side": "both"}, "side"),
        ({"product_id": "BTCUSD"}, "symbol"),
        ({"price": "-1"}, "price"),
        ({"size": "0.00000000001"}, "quantity"),
        ({"time": "2008-07-07T22:58:16.833065Z"}, "timestamp"),
    ],
)
def test_a_bad_match_is_a_dead_letter_that_says_why(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    verdict = verdict_on(tmp_path, MATCH | change)

    assert not verdict.holds
    assert reason in " ".join(verdict.dead_letters)


def test_messages_without_a_trade_do_not_prove_a_definition(tmp_path: Path) -> None:
    verdict = verdict_on(tmp_path, {"type": "heartbeat"}, MATCH | {"price": 1})

    assert (verdict.other, sum(verdict.rejected.values()), verdict.holds) == (1, 1, False)


@pytest.mark.parametrize("recording", recorded_files("coinbase/exchange-*"), ids=name_of)
def test_a_recording_gives_what_an_independent_reading_does(recording: Path) -> None:
    fields = ("symbol", "timestamp", "price", "quantity", "currency", "side", "source_sequence")

    verdict = verdict_on_file(recording)

    found = {
        (row["vendor_data"], row["trade_id"]): {name: row[name] for name in fields}
        for row in verdict.first_trades
    }
    found = {
        (json.loads(vendor)["exchange_symbol"], number): row
        for (vendor, number), row in found.items()
    }
    wanted = {
        (trade.exchange_symbol, trade.trade_id): {name: getattr(trade, name) for name in fields}
        for trade in expected_trades([recording]).values()
    }
    assert found == wanted
    trades = trades_in(recording)
    assert (len(found), verdict.trades, verdict.repeated) == (trades, trades, 0)
