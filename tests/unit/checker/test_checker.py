"""The checker itself: right tables pass, and every defect that it is there for is found."""

import ast
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from k2.exchanges import EXCHANGES
from tests.checker.compare import compare
from tests.checker.expected import expected_trades
from tests.support.recordings import name_of, recorded_files, trades_in
from tests.unit.checker.stored import gold_row, store

pytestmark = pytest.mark.unit

CHECKER = Path(__file__).parents[2] / "checker"
RECORDED = [
    recording for exchange in EXCHANGES for recording in recorded_files(f"{exchange.name}/*")
]


def test_a_message_gives_the_trade_that_the_contract_says(expected):
    binance, version_2, version_1 = expected.values()

    assert (binance.symbol, binance.side, binance.price) == (
        "BTC-USDT",
        "SELL",
        Decimal("63551.02"),
    )
    assert binance.timestamp == datetime(2026, 7, 7, 22, 59, 17, 896000, UTC)
    assert binance.ingestion_timestamp == datetime(2026, 7, 7, 22, 59, 17, 900123, UTC)
    assert binance.trade_value_usd == Decimal("201.4567334")
    assert (version_2.symbol, version_2.side, version_2.trade_id) == ("ETH-USD", "BUY", "22")
    assert version_2.quantity == Decimal("0.00147959")
    assert (version_1.symbol, version_1.side, version_1.trade_id) == ("BTC-USD", "SELL", None)


def test_a_right_gold_has_no_problem(tmp_path, expected):
    store(tmp_path, "gold_trades", [gold_row(t, n) for n, t in enumerate(expected.values())])

    assert compare(tmp_path, expected) == []


def test_a_home_without_gold_misses_everything(tmp_path, expected):
    problems = compare(tmp_path, expected)

    assert [problem[:8] for problem in problems] == ["missing:"] * 3


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("price", Decimal("63551.02000001")),
        ("quantity", Decimal("0.00317001")),
        ("timestamp", datetime(2026, 7, 7, 22, 59, 17, 897000, UTC)),
        ("side", "BUY"),
        ("currency", "USD"),
        ("source_sequence", 12),
        ("asset_class", "equity"),
        ("message_id", "binance-20260708-0abc"),
        ("trade_value_usd", None),
        ("ingestion_timestamp", datetime(2026, 7, 7, 22, 59, 17, 900124, UTC)),
        ("vendor_data", "{}"),
        ("exchange_hour", 23),
        ("is_late", True),
        ("platform_sequence", 9),
    ],
)
def test_a_wrong_field_is_named(tmp_path, expected, field, wrong):
    first, *others = (gold_row(t, n) for n, t in enumerate(expected.values()))
    store(tmp_path, "gold_trades", [first | {field: wrong}, *others])

    (problem,) = compare(tmp_path, expected)

    assert problem.startswith("differs: ")
    assert field in problem


def test_a_trade_too_many_is_found_even_when_it_is_equal(tmp_path, expected):
    rows = [gold_row(t, n) for n, t in enumerate(expected.values())]
    store(tmp_path, "gold_trades", [*rows, rows[0] | {"message_id": "binance-20260707-again"}])

    assert [problem[:6] for problem in compare(tmp_path, expected)] == ["extra:"]


def test_a_message_id_twice_is_found(tmp_path, expected):
    rows = [gold_row(t, n) for n, t in enumerate(expected.values())]
    store(tmp_path, "gold_trades", [*rows[:2], rows[2] | {"message_id": rows[1]["message_id"]}])

    assert any("message_id twice" in problem for problem in compare(tmp_path, expected))


@pytest.mark.parametrize("recording", RECORDED, ids=name_of)
def test_a_recording_holds_as_many_trades_as_were_counted_in_it(recording):
    assert len(expected_trades([recording])) == trades_in(recording)


def test_the_checker_shares_no_code_with_k2():
    imported = {
        name
        for path in CHECKER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        if name
    }

    assert "deltalake" in imported
    assert not [name for name in imported if name.split(".")[0] == "k2"]
