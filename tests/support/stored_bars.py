"""What the stream of bars has stored, to compare with bars of plain Python."""

from datetime import UTC, datetime
from typing import Protocol

from k2.bars.table import GOLD_OHLCV
from k2.settings import Settings
from k2.storage.delta import open_table
from tests.fixtures.crypto_fixtures import Record
from tests.support.bars import Key

NINE = datetime(2026, 7, 7, 9, 0, 10, tzinfo=UTC)
FACTS = ("is_final", "revision", "bar_date")


class HasHome(Protocol):
    """What has tables."""

    settings: Settings


def stored(lake: HasHome) -> dict[Key, Record]:
    """Every stored bar by its key."""
    table = open_table(lake.settings.lake, GOLD_OHLCV)
    found = [] if table is None else table.to_pyarrow_table().to_pylist()
    bars = {
        (bar["exchange"], bar["symbol"], bar["timeframe"], bar["bar_start"].astimezone(UTC)): bar
        for bar in found
    }
    assert len(bars) == len(found), "a key is there twice"
    return bars


def numbers(bars: dict[Key, Record]) -> dict[Key, Record]:
    """Bars without what is set when they are stored."""
    return {
        key: {name: value for name, value in bar.items() if name not in FACTS}
        for key, bar in bars.items()
    }
