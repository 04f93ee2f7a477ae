"""A simulated stream: trades, repeated ones, late ones and bad ones, the same for the same seed."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from k2.errors import ConfigError
from k2.exchanges import exchange_named
from k2.feeds.bad_records import BadKind, Value, bad_value, kinds_of
from k2.feeds.market import MARKETS, SCALE, Block, Market, Walk
from k2.feeds.parsed import RawRecord
from k2.feeds.wire import Encoder

_RECENT = 8_192  # how far back a recent duplicate goes
_OLD = 20_000  # sample of the whole stream, for old duplicates
_LATE_MINUTES = (6.0, 180.0)
_MAX_DELAY_US = 50_000  # from the trade to the feed


@dataclass(frozen=True)
class Simulation:
    """What to simulate. Shares are of all records, ``old_duplicates`` of the duplicates.

    Record i has the event time ``start_us + i × step_us``: never a clock's.
    """

    start_us: int
    step_us: float
    seed: int = 7
    duplicates: float = 0.02
    old_duplicates: float = 0.3
    late: float = 0.01
    bad: float = 0.005
    kraken_share: float = 0.2
    block_size: int = 1024

    def __post_init__(self) -> None:
        for name in ("duplicates", "old_duplicates", "late", "bad", "kraken_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: a share from 0 to 1 is wanted.")
        if self.duplicates + self.late + self.bad > 1:
            raise ConfigError("The shares of duplicates, late and bad records exceed 1 together.")
        if self.seed < 0 or self.step_us <= 0:
            raise ConfigError("The seed must not be negative and the rate must be above 0.")


@dataclass
class Progress:
    """Where a simulation stands, so that the next one continues: ids, prices, number of runs."""

    runs: int = 0
    next_ids: dict[str, int] = field(default_factory=dict)
    prices: list[float] | None = None


class Fact(NamedTuple):
    """What is true of a sent record. ``kind``: trade, late, duplicate or bad."""

    kind: str
    exchange: str
    symbol: str
    trade_id: int | None
    time_us: int
    price: str
    quantity: str
    side: str
    defect: str | None = None


class SimulatedRecord(NamedTuple):
    """One Kafka record to send, and the truth about it."""

    topic: str
    key: bytes
    value: Value
    fact: Fact


class SimulatedFeed:
    """Makes the records, a block at a time. ``progress`` is that after the last block made."""

    def __init__(
        self, simulation: Simulation, encoders: Mapping[str, Encoder], progress: Progress
    ) -> None:
        self._simulation = simulation
        self._random = np.random.default_rng([simulation.seed, progress.runs])
        self._walk = Walk(self._random, simulation.kraken_share, progress.prices)
        self._forms = [_Form(market, encoders[market.schema], progress) for market in MARKETS]
        self._runs = progress.runs + 1
        self._made = 0
        self._trades = 0
        self._recent: deque[SimulatedRecord] = deque(maxlen=_RECENT)
        self._sample: list[SimulatedRecord] = []
        self._late: deque[SimulatedRecord] = deque(maxlen=_RECENT)

    @property
    def progress(self) -> Progress:
        """What a later simulation needs to continue after the last block."""
        ids = {form.name: form.next_id for form in self._forms}
        return Progress(self._runs, ids, self._walk.prices)

    def blocks(self) -> Iterator[list[SimulatedRecord]]:
        """Yield blocks without end."""
        while True:
            yield self._block()

    def _block(self) -> list[SimulatedRecord]:
        wanted, size, draw = self._simulation, self._simulation.block_size, self._random
        trades = _columns(self._walk.block(size))
        fates = draw.random(size).tolist()
        picks = draw.random((size, 3)).tolist()
        minutes = draw.uniform(*_LATE_MINUTES, size).tolist()
        delays = draw.integers(1_000, _MAX_DELAY_US, size).tolist()
        bad_from = wanted.duplicates
        late_from = bad_from + wanted.bad
        trade_from = late_from + wanted.late
        records = []
        for i, (market, price, quantity, burst, maker, limit) in enumerate(trades):
            fate, form = fates[i], self._forms[market]
            moment = wanted.start_us + int((self._made + burst) * wanted.step_us) + (i - burst)
            received = wanted.start_us + int((self._made + i) * wanted.step_us) + delays[i]
            if fate < bad_from and self._recent:
                records.append(self._repeated(*picks[i]))
                continue
            is_late = late_from <= fate < trade_from
            if is_late:
                moment -= int(minutes[i] * 60_000_000)
            draft = _Draft(moment, received, price, quantity, maker, limit, i - burst)
            if bad_from <= fate < late_from:
                records.append(form.bad(draft, picks[i][0]))
                continue
            record = form.trade(draft, "late" if is_late else "trade")
            self._remember(record, is_late, picks[i][0])
            records.append(record)
        self._made += size
        return records

    def _remember(self, record: SimulatedRecord, is_late: bool, chance: float) -> None:
        self._recent.append(record)
        if is_late:
            self._late.append(record)
        self._trades += 1
        if len(self._sample) < _OLD:
            self._sample.append(record)
        elif (place := int(chance * self._trades)) < _OLD:
            self._sample[place] = record

    def _repeated(self, age: float, pool: float, place: float) -> SimulatedRecord:
        among: deque[SimulatedRecord] | list[SimulatedRecord] = self._recent
        if age < self._simulation.old_duplicates:
            among = self._late if pool < 0.5 and self._late else self._sample
        first = among[int(place * len(among))]
        return first._replace(fact=first.fact._replace(kind="duplicate"))


class _Draft(NamedTuple):
    moment_us: int
    received_us: int
    price: int
    quantity: int
    maker: bool
    limit: bool
    position: int


class _Form:
    """Gives drafts the form of one market's raw records and numbers them."""

    def __init__(self, market: Market, encode: Encoder, progress: Progress) -> None:
        exchange = exchange_named(market.exchange)
        self.name = f"{market.exchange}:{market.symbol}"
        self.next_id = progress.next_ids.get(self.name, market.first_id)
        self._market = market
        self._encode = encode
        self._topic = exchange.topic
        self._key = market.symbol.encode()
        self._bad_kinds = kinds_of(market.exchange)
        self._is_binance = market.exchange == "binance"
        self._numbered = market.first_id > 0
        self._decimals = market.decimals if self._numbered else max(5, market.decimals)

    def trade(self, draft: _Draft, kind: str) -> SimulatedRecord:
        raw = self._raw(draft)
        fact = self._fact(kind, draft, raw)
        self.next_id += 1
        return SimulatedRecord(self._topic, self._key, self._encode(raw), fact)

    def bad(self, draft: _Draft, chance: float) -> SimulatedRecord:
        # It carries the next trade's id: a dead letter must never keep the real trade out.
        kind: BadKind = self._bad_kinds[int(chance * len(self._bad_kinds))]
        raw = self._raw(draft)
        value = bad_value(kind, raw, self._encode)
        fact = self._fact("bad", draft, raw)._replace(defect=kind.name)
        return SimulatedRecord(self._topic, self._key, value, fact)

    def _fact(self, kind: str, draft: _Draft, raw: RawRecord) -> Fact:
        return Fact(
            kind,
            self._market.exchange,
            self._market.symbol,
            self.next_id if self._numbered else None,
            draft.moment_us // 1000 * 1000 if self._is_binance else draft.moment_us,
            raw["price"],
            raw["quantity"],
            "SELL" if draft.maker else "BUY",
        )

    def _raw(self, draft: _Draft) -> dict[str, Any]:
        quantity = f"{draft.quantity // SCALE}.{draft.quantity % SCALE:08d}"
        if self._is_binance:
            trade_ms = draft.moment_us // 1000
            return {
                "event_type": "trade",
                "event_time_ms": trade_ms,
                "symbol": self._market.symbol,
                "trade_id": self.next_id,
                "price": f"{draft.price // SCALE}.{draft.price % SCALE:08d}",
                "quantity": quantity,
                "trade_time_ms": trade_ms,
                "is_buyer_maker": draft.maker,
                "is_best_match": True,
                "ingestion_timestamp": draft.received_us,
            }
        whole, rest = divmod(draft.price, SCALE)
        raw = {
            "symbol": self._market.symbol,
            "price": f"{whole}.{f'{rest:08d}'[: self._decimals]}",
            "quantity": quantity,
            "trade_time_seconds": f"{draft.moment_us // 10**6}.{draft.moment_us % 10**6:06d}",
            "side": "s" if draft.maker else "b",
            "order_type": "l" if draft.limit else "m",
            "misc": "",
            "ingestion_timestamp": draft.received_us,
        }
        if self._numbered:
            raw |= {"trade_id": self.next_id, "sequence_in_message": draft.position}
        return raw


def _columns(block: Block) -> Iterator[tuple[int, int, int, int, bool, bool]]:
    return zip(
        block.market.tolist(),
        block.price.tolist(),
        block.quantity.tolist(),
        block.burst.tolist(),
        block.maker.tolist(),
        block.limit.tolist(),
        strict=True,
    )
