"""What is true of each record that was sent: the lines of a simulator's manifest."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from functools import cache
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

from tests.checker.expected import Trade, binance_assets, kraken_assets

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACTLY = Context(prec=60)
_MICROSECOND = timedelta(microseconds=1)


class Sent(NamedTuple):
    """One record. ``kind`` is trade, late, duplicate or bad; prices and quantities count 1e-8."""

    kind: str
    exchange: str
    market: str
    trade_id: int | None
    time_us: int
    price: int
    quantity: int
    side: str
    defect: str | None
    sha256: str | None
    broker_time_ms: int | None
    ids: tuple[int, int] | None = None  # of an aggregate's fills
    contract: bool = False
    counts: bool = True

    @property
    def fills(self) -> range:
        """The ids that it covers; none where the exchange gives none."""
        if self.ids is not None:
            return range(self.ids[0], self.ids[1] + 1)
        return range(0) if self.trade_id is None else range(self.trade_id, self.trade_id + 1)

    @property
    def is_first(self) -> bool:
        """Whether it is a trade that was not sent before."""
        return self.kind in ("trade", "late")

    @property
    def symbol(self) -> str:
        """The market in standard codes."""
        return _symbol(self.exchange, self.market) + ("-PERP" if self.contract else "")


def facts_of(path: Path) -> Iterator[Sent]:
    """Yield the facts in the order of sending."""
    with path.open(encoding="ascii") as lines:
        for line in lines:
            yield _sent(json.loads(line))


def sent_of(trade: Trade) -> Sent:
    """A recorded trade as if it had been simulated."""
    return Sent(
        *("trade", trade.exchange, trade.exchange_symbol, trade.source_sequence),
        *(micros(trade.timestamp), units(trade.price), units(trade.quantity), trade.side),
        *(None, None, None),
        contract=trade.instrument_type == "perpetual",
    )


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def units(value: Decimal) -> int:
    """How many 1e-8 a decimal is; it must be a whole number of them."""
    scaled = _EXACTLY.scaleb(value, 8)
    assert scaled == int(scaled), f"{value} has more than eight decimals"
    return int(scaled)


def _sent(line: dict[str, Any]) -> Sent:
    return Sent(
        *(intern(line["kind"]), intern(line["exchange"]), intern(line["symbol"])),
        *(line["trade_id"], line["time_us"]),
        *(units(Decimal(line["price"])), units(Decimal(line["quantity"])), intern(line["side"])),
        *(line.get("defect"), line.get("sha256"), line.get("broker_time_ms")),
        ids=(line["ids"][0], line["ids"][1]) if "ids" in line else None,
        contract=line.get("contract", False),
        counts=line.get("counts", True),
    )


@cache
def _symbol(exchange: str, market: str) -> str:
    if exchange == "coinbase":
        return market  # it names its markets as K2 does
    assets = binance_assets if exchange == "binance" else kraken_assets
    return "-".join(assets(market))
