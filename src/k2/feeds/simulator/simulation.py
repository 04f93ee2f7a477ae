"""A simulated stream: trades, repeated ones, late ones and bad ones, the same for the same seed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from k2.avro.encoding import Encoder
from k2.errors import ConfigError
from k2.feeds.simulator.binance_orders import BinanceOrders
from k2.feeds.simulator.duplicate_pool import DuplicatePool
from k2.feeds.simulator.market import MARKETS
from k2.feeds.simulator.raw_records import TradeDraft
from k2.feeds.simulator.record import RecordEncoder, SimulatedRecord
from k2.feeds.simulator.walk import Block, Walk

_LATE_MINUTES = (6.0, 180.0)
_MAX_DELAY_US = 50_000  # from the trade to the feed


@dataclass(frozen=True)
class Simulation:
    """What to simulate. Shares are of all records, ``old_duplicates`` of the duplicates.

    ``aggregates`` is the share of Binance's spot orders that an aggregate of their fills tells of, alone
    or beside the trades; ``contracts`` that of Binance's trades that are of a perpetual contract.

    Record i has the event time ``start_us + i × step_us``: never a clock's. With ``broker_times``
    its Kafka timestamp is simulated too; without, it is that of the sending.
    """

    start_us: int
    step_us: float
    seed: int = 7
    duplicates: float = 0.02
    old_duplicates: float = 0.3
    late: float = 0.01
    bad: float = 0.005
    kraken_share: float = 0.2
    coinbase_share: float = 0.15
    block_size: int = 1024
    broker_times: bool = False
    aggregates: float = 0.0
    contracts: float = 0.0

    def __post_init__(self) -> None:
        shares = (
            *("duplicates", "old_duplicates", "late", "bad", "kraken_share", "coinbase_share"),
            *("aggregates", "contracts"),
        )
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: a share from 0 to 1 is wanted.")
        if self.duplicates + self.late + self.bad > 1:
            raise ConfigError("The shares of duplicates, late and bad records exceed 1 together.")
        if self.kraken_share + self.coinbase_share > 1:
            raise ConfigError("The shares of Kraken and Coinbase exceed 1 together.")
        if self.seed < 0 or self.step_us <= 0:
            raise ConfigError("The seed must not be negative and the rate must be above 0.")

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the trades by exchange; Binance has the rest."""
        rest = max(0.0, 1 - self.kraken_share - self.coinbase_share)
        return {"binance": rest, "kraken": self.kraken_share, "coinbase": self.coinbase_share}


@dataclass
class Progress:
    """Where a simulation stands, so that the next one continues: ids, assets' values, number of runs.

    ``prices`` are those of markets, which earlier versions noted and nobody reads.
    """

    runs: int = 0
    next_ids: dict[str, int] = field(default_factory=dict)
    values: dict[str, float] | None = None
    prices: list[float] | None = None


class SimulatedFeed:
    """Makes the records, a block at a time. ``progress`` is that after the last block made."""

    def __init__(
        self, simulation: Simulation, encoders: Mapping[str, Encoder], progress: Progress
    ) -> None:
        self._simulation = simulation
        self._random = np.random.default_rng([simulation.seed, progress.runs])
        self._walk = Walk(self._random, simulation.shares, progress.values)
        self._forms = [
            RecordEncoder(market, encoders[market.schema], progress.next_ids) for market in MARKETS
        ]
        self._orders = BinanceOrders(self._forms, encoders, progress.next_ids)
        self._runs = progress.runs + 1
        self._made = 0
        self._before = DuplicatePool()

    @property
    def progress(self) -> Progress:
        """What a later simulation needs to continue after the last block."""
        ids = {form.name: form.next_id for form in self._forms} | self._orders.next_ids
        return Progress(self._runs, ids, self._walk.rates.values)

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
        first_us = wanted.start_us + int(self._made * wanted.step_us)
        self._walk.rates.remember(first_us, wanted.step_us)
        records = []
        for i, (market, price, quantity, burst, maker, limit) in enumerate(trades):
            fate, form = fates[i], self._forms[market]
            moment = wanted.start_us + int((self._made + burst) * wanted.step_us) + (i - burst)
            received = wanted.start_us + int((self._made + i) * wanted.step_us) + delays[i]
            if fate < bad_from and self._before:
                records.append(self._sent(self._repeated(received, *picks[i]), received))
                continue
            is_late = late_from <= fate < trade_from
            if is_late:
                moment -= int(minutes[i] * 60_000_000)
                # As it was then: a trade that arrives late is no jump in the chart of its minute.
                price = self._walk.rates.price_at(market, moment, maker) or price
            draft = TradeDraft(moment, received, price, quantity, maker, limit, i - burst)
            if bad_from <= fate < late_from:
                records.append(self._sent(form.bad(draft, picks[i][0]), received))
                continue
            kind = "late" if is_late else "trade"
            told = self._orders.records(market, draft, kind, wanted, picks[i])
            for record in told or [form.trade(draft, kind)]:
                if record.fact.kind == kind:
                    self._before.remember(record, received, picks[i][0])
                records.append(self._sent(record, received))
        self._made += size
        return records

    def _repeated(self, now_us: int, age: float, pool: float, place: float) -> SimulatedRecord:
        if age < self._simulation.old_duplicates:
            first = self._before.old(now_us, pool, place)
        else:
            first = self._before.recent(now_us, place)
        return first._replace(fact=first.fact._replace(kind="duplicate"))

    def _sent(self, record: SimulatedRecord, now_us: int) -> SimulatedRecord:
        if not self._simulation.broker_times:
            return record
        return record._replace(broker_time_ms=now_us // 1000)


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
