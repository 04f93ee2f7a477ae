"""The checker itself: right tables pass, and every defect that it is there for is found."""

import ast
import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.checker.compare import compare
from tests.checker.expected import expected_trades
from tests.checker.manifest import check_manifest

pytestmark = pytest.mark.unit

CHECKER = Path(__file__).parents[2] / "checker"
BROKER_TIME = datetime(2026, 7, 7, 23, 0, 10, tzinfo=UTC)

MESSAGES = (
    '1783465157900123456 {"stream":"btcusdt@trade","data":{"e":"trade","E":1783465157897,'
    '"s":"BTCUSDT","t":11,"p":"63551.02000000","q":"0.00317000","T":1783465157896,"m":true,"M":true}}',
    '{"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1774.14,'
    '"qty":0.00147959,"ord_type":"limit","trade_id":22,"timestamp":"2026-07-07T23:00:04.585581Z"}]}',
    '[9,[["354.11000000","0.89594024","1783465158.557535","s","l",""]],"trade","XBT/USD"]',
)


def gold_row(trade, offset, **changes):
    vendor = json.dumps({"exchange_symbol": trade.exchange_symbol})
    row = {
        "message_id": f"{trade.message_id_prefix}{offset}abc",
        "trade_id": trade.trade_id or "0123456789abcdef",
        "symbol": trade.symbol,
        "exchange": trade.exchange,
        "asset_class": "crypto",
        "timestamp": trade.timestamp,
        "price": trade.price,
        "quantity": trade.quantity,
        "currency": trade.currency,
        "side": trade.side,
        "trade_conditions": [],
        "source_sequence": trade.source_sequence,
        "ingestion_timestamp": trade.ingestion_timestamp or BROKER_TIME,
        "platform_sequence": offset,
        "vendor_data": vendor,
        "trade_value_usd": trade.trade_value_usd,
        "topic": "t",
        "partition": 0,
        "offset": offset,
        "kafka_timestamp": BROKER_TIME,
        "is_late": False,
        "exchange_date": trade.exchange_date,
        "exchange_hour": trade.timestamp.hour,
    }
    return row | changes


SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("message_id", "trade_id", "symbol", "exchange")),
        *((name, pa.string()) for name in ("asset_class", "currency", "side", "vendor_data")),
        *((name, pa.string()) for name in ("topic", "error_type")),
        *((n, pa.timestamp("us", "UTC")) for n in ("timestamp", "ingestion_timestamp")),
        ("kafka_timestamp", pa.timestamp("us", "UTC")),
        ("price", pa.decimal128(18, 8)),
        ("quantity", pa.decimal128(18, 8)),
        ("trade_value_usd", pa.decimal128(36, 16)),
        ("trade_conditions", pa.list_(pa.string())),
        ("error_reasons", pa.list_(pa.string())),
        *((name, pa.int64()) for name in ("source_sequence", "platform_sequence", "offset")),
        ("partition", pa.int32()),
        ("is_late", pa.bool_()),
        ("exchange_date", pa.date32()),
        ("exchange_hour", pa.int32()),
        ("raw_record", pa.binary()),
    ]
)


def store(home, table, rows):
    if not rows:
        return  # K2 writes some tables only when there are rows
    schema = pa.schema([SCHEMA.field(name) for name in rows[0]])
    write_deltalake(str(home / "lake" / table), pa.Table.from_pylist(rows, schema=schema))


@pytest.fixture
def expected(tmp_path):
    recording = tmp_path / "recorded.gz"
    recording.write_bytes(gzip.compress("\n".join((*MESSAGES, *MESSAGES)).encode()))
    return expected_trades([recording])


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


LATE = timedelta(hours=1)


@pytest.fixture
def simulated(tmp_path, expected):
    """A manifest of three trades, one of them late, a duplicate and a bad record; and its tables."""
    trades = list(expected.values())
    late = gold_row(trades[0], 0, kafka_timestamp=BROKER_TIME + LATE, is_late=True)
    gold = [late, *(gold_row(trade, n) for n, trade in enumerate(trades[1:], 1))]
    facts = [fact(trade, "trade") for trade in trades]
    facts[0]["kind"] = "late"
    facts.append(fact(trades[1], "duplicate"))
    bad = b"\x06nonsense"
    facts.append(
        fact(trades[0], "bad")
        | {"defect": "wrong_magic", "sha256": hashlib.sha256(bad).hexdigest()}
    )
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(one) + "\n" for one in facts))
    tables = {
        "gold_trades": gold,
        "silver_binance_trades": gold[:1],
        "silver_kraken_trades": gold[1:],
        "dup_kraken_trades": [{"message_id": gold[1]["message_id"]}],
        "dlq_binance_trades": [
            {"raw_record": bad, "error_type": "decode", "error_reasons": ["magic"], "offset": 7}
        ],
    }
    return manifest, tables


def fact(trade, kind):
    return {
        "kind": kind,
        "exchange": trade.exchange,
        "symbol": trade.exchange_symbol,
        "trade_id": trade.source_sequence,
        "time_us": round(trade.timestamp.timestamp() * 1_000_000),
        "price": str(trade.price),
        "quantity": str(trade.quantity),
        "side": trade.side,
    }


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
        *("gold_trades", "silver_binance_trades", "silver_kraken_trades"),
        *("dup_kraken_trades", "dlq_binance_trades"),
    ],
)
def test_a_row_too_few_and_a_row_too_many_are_found_in_every_table(tmp_path, simulated, table):
    rows = simulated[1][table]

    fewer = judged(tmp_path / "a", simulated, **{table: rows[:-1]})
    more = judged(tmp_path / "b", simulated, **{table: [*rows, rows[-1]]})

    assert any(problem.startswith(f"{table}: missing") for problem in fewer)
    assert any(problem.startswith(f"{table}: extra") for problem in more)


def test_a_late_trade_that_is_not_marked_is_found(tmp_path, simulated):
    gold = simulated[1]["gold_trades"]

    problems = judged(tmp_path, simulated, gold_trades=[gold[0] | {"is_late": False}, *gold[1:]])

    assert len(problems) == 1
    assert "is_late" in problems[0]


def test_a_dead_letter_of_the_wrong_type_or_without_reason_is_found(tmp_path, simulated):
    (letter,) = simulated[1]["dlq_binance_trades"]
    wrong = letter | {"error_type": "rule", "error_reasons": []}

    problems = judged(tmp_path, simulated, dlq_binance_trades=[wrong])

    assert len(problems) == 2


def test_the_recorded_files_hold_what_their_description_says(shared_data):
    counts = {
        "binance/spot-btc-eth-20260707.ndjson.gz": 1163,
        "binance/spot-btcusdt-20240809.recv-ns.gz": 10147,
        "binance/usdm-20210722.cryptofeed.jsonl.zst": 91,
        "kraken/v2-btc-eth-20260707.ndjson.gz": 17,
        "kraken/v1-20210417.cryptofeed.jsonl.zst": 10,
    }

    assert {name: len(expected_trades([shared_data / name])) for name in counts} == counts


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
