"""Simulated trades in the form of an exchange's raw records, and the truth about each."""

from collections.abc import Mapping
from typing import NamedTuple

from k2.avro.encoding import Encoder
from k2.exchanges import exchange_named
from k2.exchanges.parsing import RawRecord
from k2.feeds.simulator.bad_records import BadKind, Value, bad_value, kinds_of
from k2.feeds.simulator.market import Market
from k2.feeds.simulator.raw_records import TradeDraft, raw_record


class GroundTruth(NamedTuple):
    """What is true of a sent record. ``kind``: trade, late, duplicate or bad.

    ``ids`` are those of an aggregate's fills, first and last. A print of a contract that does not
    ``count`` is a trade and in no bar.
    """

    kind: str
    exchange: str
    symbol: str
    trade_id: int | None
    time_us: int
    price: str
    quantity: str
    side: str
    defect: str | None = None
    ids: tuple[int, int] | None = None
    contract: bool = False
    counts: bool = True


class SimulatedRecord(NamedTuple):
    """One Kafka record to send, and the truth about it.

    ``broker_time_ms`` is the Kafka timestamp to give it; None for that of the sending.
    """

    topic: str
    key: bytes
    value: Value
    fact: GroundTruth
    broker_time_ms: int | None = None


class RecordEncoder:
    """Gives drafts the form of one market's raw records and numbers them."""

    def __init__(self, market: Market, encode: Encoder, next_ids: Mapping[str, int]) -> None:
        exchange = exchange_named(market.exchange)
        self.name = f"{market.exchange}:{market.symbol}"
        self.next_id = next_ids.get(self.name, market.first_id)
        self.market = market
        self._encode = encode
        self.topic = exchange.topic
        self.key = market.symbol.encode()
        self._bad_kinds = kinds_of(market.exchange)
        self._is_binance = market.exchange == "binance"
        self._numbered = market.first_id > 0

    def trade(self, draft: TradeDraft, kind: str) -> SimulatedRecord:
        """Return the next trade of the market."""
        raw = self._raw(draft)
        fact = self._fact(kind, draft, raw)
        self.next_id += 1
        return SimulatedRecord(self.topic, self.key, self._encode(raw), fact)

    def bad(self, draft: TradeDraft, chance: float) -> SimulatedRecord:
        """Return a record with the defect that ``chance`` (0 to 1) picks."""
        # It carries the next trade's id: a dead letter must never keep the real trade out.
        kind: BadKind = self._bad_kinds[int(chance * len(self._bad_kinds))]
        raw = self._raw(draft)
        value = bad_value(kind, raw, self._encode)
        fact = self._fact("bad", draft, raw)._replace(defect=kind.name)
        return SimulatedRecord(self.topic, self.key, value, fact)

    def _fact(self, kind: str, draft: TradeDraft, raw: RawRecord) -> GroundTruth:
        return GroundTruth(
            kind,
            self.market.exchange,
            self.market.symbol,
            self.next_id if self._numbered else None,
            draft.moment_us // 1000 * 1000 if self._is_binance else draft.moment_us,
            raw["price"],
            raw["quantity"],
            "SELL" if draft.maker else "BUY",
        )

    def _raw(self, draft: TradeDraft) -> RawRecord:
        number = self.next_id if self._numbered else None
        return raw_record(self.market, number, draft)
