"""What Binance tells beside single trades of spot: aggregates of an order's fills, and contracts."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from k2.avro.encoding import Encoder
from k2.feeds.simulator.market import Market
from k2.feeds.simulator.raw_records import TradeDraft, raw_aggregate, raw_contract_trade
from k2.feeds.simulator.record import GroundTruth, RecordEncoder, SimulatedRecord

_SCHEMA = "binance_raw_trade_v2.avsc"
_CONTRACTS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT", "DOGEUSDT")
_FIRST_AGGREGATE, _FIRST_CONTRACT_TRADE = 3_000_000_000, 5_000_000_000
_MAX_FILLS = 5
# Of a contract's ids: those that no trade has, and those of trades beside the order book.
_FILLERS, _OFF_BOOK = 0.02, 0.02

_ALONE, _FIRST = 0.5, 0.75  # of aggregates: those without their trades, and up to here before them


class Shares(Protocol):
    """How much of it is wanted."""

    @property
    def aggregates(self) -> float:
        """Share of spot orders that an aggregate tells of."""

    @property
    def contracts(self) -> float:
        """Share of trades that are of a contract."""


class BinanceOrders:
    """Makes the records of orders, and numbers aggregates and contracts' trades."""

    def __init__(
        self,
        forms: Sequence[RecordEncoder],
        encoders: Mapping[str, Encoder],
        next_ids: Mapping[str, int],
    ) -> None:
        self._forms = forms
        self._encode = encoders.get(_SCHEMA)
        self.next_ids = {name: number for name, number in next_ids.items() if name.count(":") > 1}

    def records(
        self, market: int, draft: TradeDraft, kind: str, wanted: Shares, chances: Sequence[float]
    ) -> list[SimulatedRecord]:
        """Return the records that tell of an order; none where a single trade of spot does.

        ``chances`` are three random numbers from 0 to 1.
        """
        form = self._forms[market]
        if form.market.exchange != "binance":
            return []
        is_contract = form.market.symbol in _CONTRACTS and chances[0] < wanted.contracts
        if is_contract:
            return [self._contract_trade(form.market, draft, kind, chances[1])]
        if chances[1] < wanted.aggregates:
            return self._order(form, draft, kind, chances[0], chances[2])
        return []

    def _order(
        self, form: RecordEncoder, draft: TradeDraft, kind: str, size: float, told: float
    ) -> list[SimulatedRecord]:
        fills = min(2 + int(size * (_MAX_FILLS - 1)), draft.quantity)
        first, number = form.next_id, self._next("aggregate", form.market, _FIRST_AGGREGATE)
        ids = (first, first + fills - 1)
        raw = raw_aggregate(form.market, number, ids, draft)
        is_alone, is_first = told < _ALONE, told < _FIRST
        fact = _fact(form.market, draft, kind if is_first else "duplicate", number)
        aggregate = self._record(form.market, raw, fact._replace(ids=ids))
        if is_alone:
            form.next_id += fills
            return [aggregate]
        share, rest = divmod(draft.quantity, fills)
        sizes = [share + (at < rest) for at in range(fills)]
        parts = [draft._replace(quantity=quantity) for quantity in sizes]
        trades = [form.trade(part, "duplicate" if is_first else kind) for part in parts]
        return [aggregate, *trades] if is_first else [*trades, aggregate]

    def _contract_trade(
        self, market: Market, draft: TradeDraft, kind: str, chance: float
    ) -> SimulatedRecord:
        number = self._next("usdm", market, _FIRST_CONTRACT_TRADE)
        fact = _fact(market, draft, kind, number)._replace(contract=True)
        came_about = "MARKET"
        if chance < _FILLERS:
            came_about = "NA"
            fact = fact._replace(kind="bad", defect="filler", price="0", quantity="0")
        elif chance < _FILLERS + _OFF_BOOK:
            came_about = "INSURANCE_FUND"
            fact = fact._replace(counts=False)
        return self._record(market, raw_contract_trade(market, number, draft, came_about), fact)

    def _record(self, market: Market, raw: dict[str, object], fact: GroundTruth) -> SimulatedRecord:
        if self._encode is None:
            raise ValueError(f"no encoder for {_SCHEMA}")
        form = next(form for form in self._forms if form.market is market)
        return SimulatedRecord(form.topic, form.key, self._encode(raw), fact)

    def _next(self, series: str, market: Market, first: int) -> int:
        name = f"{market.exchange}:{market.symbol}:{series}"
        number = self.next_ids.get(name, first)
        self.next_ids[name] = number + 1
        return number


def _fact(market: Market, draft: TradeDraft, kind: str, number: int) -> GroundTruth:
    raw = raw_contract_trade(market, number, draft, "MARKET")
    return GroundTruth(
        *(kind, market.exchange, market.symbol, number, draft.moment_us // 1000 * 1000),
        *(raw["price"], raw["quantity"], "SELL" if draft.maker else "BUY"),
    )
