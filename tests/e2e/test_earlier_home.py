"""Homes that the code before this one wrote go on without loss, in whichever form the streams run."""

import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from deltalake import DeltaTable

from tests.support.home import K2Home

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ARCHIVE = Path(__file__).parents[1] / "data" / "homes" / "before-the-house.tar.zst"
SENT = {
    "clean": ["first.jsonl", "second.jsonl"],
    "killed": ["first.jsonl", "second.jsonl", "third.jsonl"],
}
# Nine places: a dead letter to the code that wrote the homes, a trade since prices have fourteen.
FITS_NOW = Decimal("1.123456789")
DAY_US = 86_400_000_000
Trade = tuple[str, str, int, Decimal, Decimal]
OF_COINBASE = 40  # trades, replayed and therefore in no manifest


def unpack(folder: Path) -> None:
    with (
        ARCHIVE.open("rb") as file,
        zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        archive.extractall(folder, filter="data")


def sent(manifests: list[Path]) -> list[Trade]:
    """The trades that were sent, each once, by what the exchange said of the first record of each.

    The archive leaves the simulator's numbers out, so that it begins with the same ones again.
    """
    lines = [json.loads(x) for file in manifests for x in file.read_text().splitlines()]
    # Trades now, so that another record of their number repeats them.
    fit_now = {numbered(x) for x in lines if x.get("defect") == "price_too_fine"}
    first: dict[tuple[object, ...], Trade] = {}
    for x in lines:
        if x["kind"] in ("trade", "late") and numbered(x) not in fit_now:
            price, quantity = Decimal(x["price"]), Decimal(x["quantity"])
            trade = (x["exchange"], x["symbol"], x["time_us"], price, quantity)
            first.setdefault(trade if x["trade_id"] is None else numbered(x), trade)
    return sorted(first.values())


def numbered(x: dict[str, Any]) -> tuple[object, ...]:
    """What names a trade that has a number: its day too, since a market may begin its numbers anew some day.

    The archive is of one day, and what a test sends of the day on which it runs.
    """
    return x["exchange"], x["symbol"], x["trade_id"], x["time_us"] // DAY_US


def stored(home: K2Home) -> list[Trade]:
    """Gold's trades, but for those of Coinbase and those whose price had too many places then."""
    columns = ["exchange", "vendor_data", "timestamp", "price", "quantity"]
    gold = DeltaTable(str(home.folder / "lake" / "gold_trades")).to_pyarrow_table(columns=columns)
    micros = gold["timestamp"].cast(pa.int64()).to_pylist()
    return sorted(
        (
            r["exchange"],
            json.loads(r["vendor_data"])["exchange_symbol"],
            us,
            r["price"],
            r["quantity"],
        )
        for us, r in zip(micros, gold.to_pylist(), strict=True)
        if r["exchange"] != "coinbase" and r["price"] != FITS_NOW
    )


@pytest.mark.parametrize(
    ("name", "chain_streams"), [("clean", "true"), ("killed", "true"), ("killed", "false")]
)
def test_an_earlier_home_goes_on_without_loss(
    home: K2Home, tmp_path: Path, name: str, chain_streams: str
) -> None:
    unpack(tmp_path)
    (tmp_path / name).rename(home.folder)
    home.environment["K2_CHAIN_STREAMS"] = chain_streams
    more = tmp_path / "more.jsonl"

    home.run("up", "--no-streams", "--feed", "none", "--detach")
    home.run("upgrade")  # its tables are of older versions
    home.json(
        *("simulate", "--rate", "max", "--count", 300, "--span", "3h", "--coinbase", 0),
        *("--manifest", more),
    )
    drained = home.json("drain")
    balance = home.json("balance")
    home.run("down")

    assert set(drained["backlog"].values()) == {0}
    assert balance["balanced"] is True
    assert home.rows("silver_coinbase_trades") == OF_COINBASE
    assert stored(home) == sent([*(tmp_path / file for file in SENT[name]), more])
