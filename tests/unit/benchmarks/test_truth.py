import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from benchmarks.truth import WrongResult, require_truth

pytestmark = pytest.mark.unit

SENT = [
    ("trade", "binance", "BTCUSDT", 7, 1_783_416_600_000_000, "61837.63", "0.001", "BUY"),
    ("duplicate", "binance", "BTCUSDT", 7, 1_783_416_600_000_000, "61837.63", "0.001", "BUY"),
    ("late", "kraken", "XBT/USD", None, 1_783_416_600_000_001, "61837.1", "0.002", "SELL"),
    ("bad", "kraken", "XBT/USD", None, 1_783_416_600_000_002, "n/a", "0.002", "SELL"),
]
FIELDS = ("kind", "exchange", "symbol", "trade_id", "time_us", "price", "quantity", "side")
GOLD = [
    ("binance", "BTCUSDT", "7", 1_783_416_600_000_000, "61837.63", "0.001", "BUY"),
    ("kraken", "XBT/USD", "a hash", 1_783_416_600_000_001, "61837.1", "0.002", "SELL"),
]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(dict(zip(FIELDS, s, strict=True))) + "\n" for s in SENT))
    return path


def stored(lake: Path, gold: list[tuple[str, ...]], dead_letters: int = 1) -> Path:
    kind = pa.decimal128(18, 8)
    rows = pa.table(
        {
            "exchange": [row[0] for row in gold],
            "vendor_data": [json.dumps({"exchange_symbol": row[1]}) for row in gold],
            "trade_id": [row[2] for row in gold],
            "timestamp": pa.array(
                [datetime.fromtimestamp(0, UTC).timestamp() + row[3] for row in gold], pa.int64()
            ).cast(pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal(row[4]) for row in gold], kind),
            "quantity": pa.array([Decimal(row[5]) for row in gold], kind),
            "side": [row[6] for row in gold],
        }
    )
    write_deltalake(lake / "gold_trades", rows)
    write_deltalake(lake / "dlq_kraken_trades", pa.table({"offset": list(range(dead_letters))}))
    return lake


def test_what_was_sent_is_the_truth(tmp_path, manifest):
    assert require_truth(stored(tmp_path / "lake", GOLD), manifest) == 2


@pytest.mark.parametrize(
    "gold",
    [
        GOLD[:1],
        [*GOLD, GOLD[0]],
        [("binance", "BTCUSDT", "8", *GOLD[0][3:]), GOLD[1]],
        [(*GOLD[0][:4], "61837.64", *GOLD[0][5:]), GOLD[1]],
        [GOLD[0], (*GOLD[1][:6], "BUY")],
    ],
    ids=["lost", "doubled", "another id", "another price", "another side"],
)
def test_anything_else_has_no_figures(tmp_path, manifest, gold):
    with pytest.raises(WrongResult):
        require_truth(stored(tmp_path / "lake", gold), manifest)


def test_a_lost_dead_letter_has_no_figures(tmp_path, manifest):
    with pytest.raises(WrongResult, match="dead letters of kraken"):
        require_truth(stored(tmp_path / "lake", GOLD, dead_letters=0), manifest)
