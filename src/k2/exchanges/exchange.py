"""What K2 takes from an exchange, as frozen data: no job, table or transform names an exchange."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# The V2 fields (and two parts of the symbol) that a definition must say how to get.
MAPPED_COLUMNS = frozenset(
    {
        "exchange_symbol",  # the exchange's own name of the market
        "base",  # of exchange_symbol alone: text of the base asset, not yet standardised, or null
        "quote",  # text of the quote asset, likewise
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

# Those of a market, not of a trade: SQL over ``exchange_symbol`` and nothing else.
OF_MARKET = frozenset({"base", "quote"})


@dataclass(frozen=True)
class Identity:
    """What makes two records the same trade. All texts are DuckDB's SQL over the raw record.

    ``space`` and ``number`` identify a trade wherever ``number`` is not null: within a space the
    exchange numbers its trades with increasing whole numbers. Where ``number`` is null the trade is
    identified by the text of ``fields``: every field of the trade, its time among them, and its
    position in its message.
    """

    space: str
    number: str
    fields: str


@dataclass(frozen=True)
class Exchange:
    """One exchange: names, raw schemas, the mapping to the V2 trade, and its identity.

    ``columns`` and ``vendor`` are DuckDB's SQL over the fields of the newest raw schema (the reader
    schema). External text must go through ``try_cast`` and the other functions that give null
    instead of failing. ``base`` and ``quote`` are SQL over ``exchange_symbol``.
    """

    name: str
    title: str
    raw_schemas: tuple[str, ...]
    columns: Mapping[str, str]
    identity: Identity
    vendor: Mapping[str, str] = field(default_factory=dict)
    ids_have_no_gaps: bool = False

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
