"""The definition of an exchange, as frozen data: no job, table or transform names an exchange."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from k2.exchanges.names import SPOT, NameReader

# The V2 fields that a definition must say how to get.
MAPPED_COLUMNS = frozenset(
    {
        "exchange_symbol",  # the exchange's own name of the market
        "trade_id",  # string; null when the exchange gives none
        "price",  # text
        "quantity",  # text
        "side",  # BUY or SELL of the taker; null when unknown
        "timestamp",  # BIGINT, microseconds since 1970, UTC; null when it is none
        "trade_conditions",  # VARCHAR[]
        "source_sequence",  # BIGINT; null when there is none
        "ingestion_timestamp",  # BIGINT, likewise, when the feed received the message
    }
)


@dataclass(frozen=True)
class Identity:
    """What makes two records the same trade. All texts are DuckDB's SQL over the raw record.

    Within an ``id_space`` the exchange numbers its trades with increasing integers. A record covers
    the ids ``first`` to ``last``: a trade covers one id, an aggregate those of its fills. ``last`` is
    null or empty where it equals ``first``. Where ``first`` is null the trade is identified by the text of
    ``fields``: every field of the trade, its time among them, and its position in its message.

    ``is_dense`` says whether every id of a range is a trade, so that a range counts as that many trades. Where
    the exchange skips ids, a record counts as one trade.
    """

    id_space: str
    first: str
    fields: str
    last: str = ""
    is_dense: str = "true"


@dataclass(frozen=True)
class Numbering:
    """The numbers that prove completeness: a market skips none, so that a missing number is a missing trade.

    ``first`` and ``last`` are DuckDB's SQL over the columns of Silver; null where a trade proves nothing.
    """

    first: str = "first_trade_id"
    last: str = "last_trade_id"


@dataclass(frozen=True)
class Condition:
    """A trade condition whose trades do not count in every number of a bar, and the source of that.

    ``price`` are open, high, low and close, ``volume`` the three volumes, ``count`` the number of trades.
    """

    name: str
    source: str
    price: bool = False
    volume: bool = False
    count: bool = False

    def __post_init__(self) -> None:
        if not self.price and (self.volume or self.count):
            raise ValueError(
                f"condition {self.name!r}: a bar has no volume or count without a price, so that what"
                " counts towards no price counts towards nothing"
            )


@dataclass(frozen=True)
class Exchange:
    """One exchange: names, raw schemas, the mapping to the V2 trade, and its identity.

    ``columns`` and ``vendor`` are DuckDB's SQL over the fields of the newest raw schema (the reader
    schema). External text must go through ``try_cast`` and the other functions that give null
    instead of failing. ``market`` is SQL for which of ``markets`` a trade is of, and ``read_name`` reads
    what the exchange calls its instruments; what a name means is looked up (:mod:`k2.silver.markets`).
    ``filler`` tells whether a raw record is no trade, but says that the exchange gave an id to none.
    ``numbering`` is None where no numbers of the exchange prove that nothing is missing. A trade
    condition that ``conditions`` do not name counts towards everything in a bar.
    """

    name: str
    title: str
    raw_schemas: tuple[str, ...]
    columns: Mapping[str, str]
    identity: Identity
    read_name: NameReader
    market: str = f"'{SPOT}'"
    markets: tuple[str, ...] = (SPOT,)
    equity_code: str = "(?!)"  # a pattern of codes of assets that are tokenised stocks: none
    vendor: Mapping[str, str] = field(default_factory=dict)
    filler: str = "false"
    conditions: tuple[Condition, ...] = ()
    numbering: Numbering | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*", self.name):
            raise ValueError(f"exchange name {self.name!r}: lower-case letters and digits wanted")
        if not self.raw_schemas:
            raise ValueError(f"exchange {self.name}: at least one raw schema file is wanted")
        missing = MAPPED_COLUMNS - self.columns.keys()
        unknown = self.columns.keys() - MAPPED_COLUMNS
        if missing or unknown:
            raise ValueError(
                f"exchange {self.name}: columns missing {sorted(missing)}, unknown {sorted(unknown)}"
            )

    def asset_class(self, code: str) -> str:
        """Return the class of an asset that no list classifies: crypto or equity."""
        return "equity" if re.fullmatch(self.equity_code, code) else "crypto"

    @property
    def topic(self) -> str:
        """Kafka topic of the raw trades."""
        return f"market.crypto.trades.{self.name}.raw"

    @property
    def rejected_topic(self) -> str:
        """Kafka topic of the messages that the feed could not turn into a raw trade."""
        return f"market.crypto.feed.{self.name}.rejected"

    @property
    def subject(self) -> str:
        """Subject of the raw trade's schema in the registry."""
        return f"{self.topic}-value"

    @property
    def reader_schema(self) -> str:
        """File name in ``schemas/`` of the newest raw schema, into which all others are read."""
        return self.raw_schemas[-1]

    def validate(self, messages: Iterable[str | bytes], limit: int = 5) -> Any:
        """Run sample messages through the parser, the schema, the mapping and the rules.

        Returns:
            A :class:`k2.silver.validation.Validation`: counts by what became of the messages, and
            the first ``limit`` trades; it ``holds`` when there are trades and no dead letter.

        Raises:
            ConfigError: the exchange has no parser.
        """
        # By its name: the rules stand after the exchanges, and only this door leads to them.
        return import_module("k2.silver.validation").validate_messages(self, messages, limit)
