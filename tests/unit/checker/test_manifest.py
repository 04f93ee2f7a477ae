"""The comparison with a manifest: right tables pass, and a wrong row in any of them is named."""

import hashlib
import json
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.checker.manifest import check_manifest
from tests.support.bars import plain_bars
from tests.unit.checker.stored import BROKER_TIME, gold_row, silver_row, store

pytestmark = pytest.mark.unit

AN_HOUR_LATER = BROKER_TIME + timedelta(hours=1)
BAD = b"\x06nonsense"


@pytest.fixture
def simulated(tmp_path, expected):
    """A manifest of three trades, one of them late, a duplicate and a bad record; and its tables."""
    trades = binance, kraken, version_1 = list(expected.values())
    gold = [
        gold_row(binance, 0, kafka_timestamp=AN_HOUR_LATER, is_late=True),
        gold_row(kraken, 0),
        gold_row(version_1, 1),
    ]
    facts = [
        fact(binance, "late", AN_HOUR_LATER),
        *(fact(trade, "trade", BROKER_TIME) for trade in trades[1:]),
        fact(kraken, "duplicate", AN_HOUR_LATER),
        fact(binance, "bad", BROKER_TIME)
        | {"defect": "wrong_magic", "sha256": hashlib.sha256(BAD).hexdigest()},
    ]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(one) + "\n" for one in facts))
    letter = {"raw_record": BAD, "error_type": "decode", "error_reasons": ["magic"]}
    tables = {
        "bronze_binance_trades": [
            bronze_row(b"BTCUSDT", 0, AN_HOUR_LATER),
            bronze_row(b"BTCUSDT", 1, BROKER_TIME),
        ],
        "bronze_kraken_trades": [
            bronze_row(b"ETH/USD", 0, BROKER_TIME),
            bronze_row(b"XBT/USD", 1, BROKER_TIME),
            bronze_row(b"ETH/USD", 2, AN_HOUR_LATER),
        ],
        "silver_binance_trades": [silver_row(gold[0])],
        "silver_kraken_trades": [silver_row(row) for row in gold[1:]],
        "dup_kraken_trades": [
            {
                "message_id": gold[1]["message_id"],
                "reason": "repeated",
                "partition": 0,
                "offset": 2,
            },
        ],
        "dlq_binance_trades": [letter | {"partition": 0, "offset": 1}],
        "gold_trades": gold,
        "gold_ohlcv": [
            bar | {"is_final": False, "revision": 0, "bar_date": bar["bar_start"].date()}
            for bar in plain_bars(gold).values()
        ],
    }
    return manifest, tables


def fact(trade, kind, broker_time):
    return {
        "kind": kind,
        "exchange": trade.exchange,
        "symbol": trade.exchange_symbol,
        "trade_id": trade.source_sequence,
        "time_us": round(trade.timestamp.timestamp() * 1_000_000),
        "price": str(trade.price),
        "quantity": str(trade.quantity),
        "side": trade.side,
        "broker_time_ms": round(broker_time.timestamp() * 1000),
    }


def bronze_row(key, offset, broker_time):
    return {"key": key, "partition": 0, "offset": offset, "kafka_timestamp": broker_time}


def judged(home, simulated, **changes):
    manifest, tables = simulated
    for table, rows in (tables | changes).items():
        store(home, table, rows)
    return check_manifest(home, [manifest])


def test_tables_as_the_manifest_says_have_no_problem(tmp_path, simulated):
    assert judged(tmp_path, simulated) == []


@pytest.mark.parametrize(
    "table",
    [
        *("bronze_binance_trades", "bronze_kraken_trades", "gold_trades", "gold_ohlcv"),
        *("silver_binance_trades", "silver_kraken_trades"),
        *("dup_kraken_trades", "dlq_binance_trades"),
    ],
)
def test_a_row_too_few_and_a_row_too_many_are_found_in_every_table(tmp_path, simulated, table):
    rows = simulated[1][table]

    fewer = judged(tmp_path / "a", simulated, **{table: rows[:-1]})
    more = judged(tmp_path / "b", simulated, **{table: [*rows, rows[-1]]})

    assert any(problem.startswith(f"{table}: missing") for problem in fewer)
    assert any(problem.startswith(f"{table}: extra") for problem in more)


@pytest.mark.parametrize(
    ("table", "column", "value", "problem"),
    [
        ("bronze_kraken_trades", "offset", 7, "offsets of partition 0"),
        ("bronze_kraken_trades", "kafka_timestamp", BROKER_TIME, "extra 1 × ('ETH/USD'"),
        ("silver_kraken_trades", "price", Decimal("1774.14000001"), "extra 1 ×"),
        ("silver_kraken_trades", "offset", 3, "silver, dup and dlq of kraken"),
        ("dup_kraken_trades", "offset", 0, "is before the one that stayed"),
        ("dup_kraken_trades", "reason", "overlaps", "offset 2 overlaps"),
        ("gold_trades", "side", "BUY", "extra 1 ×"),
        ("gold_trades", "is_late", True, "is_late is True"),
    ],
)
def test_a_wrong_value_is_found(tmp_path, simulated, table, column, value, problem):
    *others, last = simulated[1][table]

    problems = judged(tmp_path, simulated, **{table: [*others, last | {column: value}]})

    assert any(problem in text for text in problems), problems


def test_a_trade_that_came_late_and_was_not_sent_so_is_found(tmp_path, simulated):
    *others, last = simulated[1]["gold_trades"]
    late = last | {"kafka_timestamp": AN_HOUR_LATER, "is_late": True}

    problems = judged(tmp_path, simulated, gold_trades=[*others, late])

    assert [problem[:30] for problem in problems] == ["gold_trades: marked, not late:"]


def test_a_late_trade_that_is_not_marked_is_found(tmp_path, simulated):
    late, *others = simulated[1]["gold_trades"]

    problems = judged(tmp_path, simulated, gold_trades=[late | {"is_late": False}, *others])

    assert any("is_late is False" in problem for problem in problems)


def test_a_dead_letter_of_the_wrong_type_or_without_reason_is_found(tmp_path, simulated):
    (letter,) = simulated[1]["dlq_binance_trades"]
    wrong = letter | {"error_type": "rule", "error_reasons": []}

    problems = judged(tmp_path, simulated, dlq_binance_trades=[wrong])

    assert len(problems) == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, Decimal("0.5")) for name in ("open", "high", "low", "close", "vwap")),
        *((name, Decimal("0.5")) for name in ("volume", "taker_buy_volume", "quote_volume")),
        ("trade_count", 2),
        ("is_final", True),
    ],
)
def test_a_wrong_number_of_a_bar_is_named(tmp_path, simulated, column, value):
    *others, last = simulated[1]["gold_ohlcv"]

    problems = judged(tmp_path, simulated, gold_ohlcv=[*others, last | {column: value}])

    assert len(problems) == 1
    assert problems[0].startswith("gold_ohlcv: ")
    assert f": {column} is " in problems[0]
