"""``k2 bars --plot``: candles and volume as files, and one sentence where that cannot be."""

import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from k2.bars.table import GOLD_OHLCV
from k2.cli.render.candle_plot import candle_plot
from k2.storage.delta import ensure_table
from tests.support.bars import gold_row, plain_bars

pytestmark = pytest.mark.unit

NINE = datetime(2026, 7, 7, 9, 0, tzinfo=UTC)


@pytest.fixture
def gold(home: Path) -> Path:
    moments = [NINE + timedelta(minutes=n) for n in (0, 1, 5)]
    bars = plain_bars([gold_row(n, timestamp=at) for n, at in enumerate(moments)])
    rows = [
        {**bar, "is_final": True, "revision": 0, "bar_date": bar["bar_start"].date()}
        for bar in bars.values()
    ]
    table = pa.Table.from_pylist(rows, schema=GOLD_OHLCV.schema)
    write_deltalake(ensure_table(home / "lake", GOLD_OHLCV), table, mode="append")
    return home


def bar(minute: int, open_: int, close: int, **other: Any) -> dict[str, Any]:
    prices = {"open": open_, "high": max(open_, close) + 1, "low": min(open_, close) - 1}
    return {
        **{name: Decimal(price) for name, price in prices.items()},
        **{"close": Decimal(close), "volume": Decimal(7), "is_final": True},
        "bar_start": NINE + timedelta(minutes=minute),
        **other,
    }


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("b.png", b"\x89PNG"),
        ("b.svg", b"<?xml"),
        ("b.html", b"<!DOCTYPE html>"),
        ("B.PNG", b"\x89"),
    ],
)
def test_a_plot_is_written_in_the_format_that_its_name_asks_for(k2, gold, tmp_path, name, begins):
    (tmp_path / name).write_text("of before")

    said = k2("bars", "BTC-USDT", "--plot", tmp_path / name)

    assert (said.code, said.out) == (0, f"3 bars in {tmp_path / name}.\n")
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [name]


def test_a_page_holds_market_axes_and_utc_as_text(k2, gold, tmp_path):
    k2("bars", "BTC-USDT", "--plot", tmp_path / "b.html")

    page = (tmp_path / "b.html").read_text()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", page)
    assert {"binance BTC-USDT 1m", "price", "volume", "UTC"} <= set(texts)
    assert "09:00" in " ".join(texts)
    assert "<script" not in page


def test_the_same_bars_give_the_same_file(k2, gold, tmp_path):
    for name in ("a.svg", "b.svg"):
        k2("bars", "BTC-USDT", "--plot", tmp_path / name)

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_each_bar_is_a_candle_from_open_to_close_at_its_time():
    bars = [bar(0, 10, 12), bar(1, 12, 9), bar(5, 9, 9, is_final=False)]

    prices, volumes = candle_plot(bars, 60, "A").axes

    bodies = [(body.get_y(), body.get_height(), body.get_alpha()) for body in prices.patches]
    assert bodies == [(10, 2, 1.0), (9, 3, 1.0), (9, 0, 0.5)]
    assert [column.get_height() for column in volumes.patches] == [7, 7, 7]
    starts = [round(body.get_center()[0] * 1440) for body in prices.patches]
    assert [start - starts[0] for start in starts] == [0, 1, 5]
    assert len({body.get_facecolor()[:3] for body in prices.patches}) == 2


def test_without_matplotlib_one_sentence_names_the_extra(k2, gold, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    said = k2("bars", "BTC-USDT", "--plot", tmp_path / "b.png")

    assert said.code == 2
    assert "pip install 'k2[plot]'" in said.err
    assert len(said.err.splitlines()) == 1
    assert k2("bars", "BTC-USDT").code == 0


@pytest.mark.parametrize("name", ["b.pdf", "b", ".png"])
def test_a_name_of_no_known_format_is_refused(k2, gold, tmp_path, name):
    said = k2("bars", "BTC-USDT", "--plot", tmp_path / name)

    assert said.code == 2
    assert "ends in .png, .svg or .html" in said.err


def test_a_folder_that_is_not_there_is_said(tmp_path, k2, gold):
    said = k2("bars", "BTC-USDT", "--plot", tmp_path / "no" / "b.svg")

    assert said.code == 2
    assert said.err == f"k2: Cannot write {tmp_path / 'no' / 'b.svg'}: No such file or directory.\n"
