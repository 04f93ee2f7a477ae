"""The rules that a decoded record must keep to be a trade.

Rules see the columns of :func:`k2.silver.normalize.normalize` and nothing else. They see no clock, so that
old Bronze gives the same verdicts when it is replayed. A rule whose subject is missing holds: only the rule
that requires the subject breaks.
"""

from k2.silver.rules.rule import Rule

# All times are in microseconds since 1970, UTC.
MAX_TRADE_IDS = 100_000  # that one aggregate covers: more are no order's fills but a broken message
FUTURE_TOLERANCE = 5 * 60 * 1_000_000
_FIRST_BLOCK = 1_230_940_800_000_000  # 2009-01-03, Bitcoin's: no exchange has a trade from before
_END = 9_214_646_400_000_000  # 2262-01-01: soon after, nanoseconds no longer fit a long

TRADE_RULES: tuple[Rule, ...] = (
    Rule("symbol_empty", "trim(exchange_symbol) <> ''"),
    Rule("symbol_unknown", "symbol_problem is distinct from 'symbol_unknown'"),
    Rule("symbol_ambiguous", "symbol_problem is distinct from 'symbol_ambiguous'"),
    Rule("instrument_not_supported", "symbol_problem is distinct from 'instrument_not_supported'"),
    Rule("trade_id_missing", "trade_id is not null"),
    # Null is no violation: an exchange without ids gives no range. A negative id names no
    # fill: it stands for one that is not known, and two such records would pass for the same fill.
    Rule(
        "trade_ids_not_a_range",
        "first_trade_id is null or coalesce(cast(last_trade_id as hugeint) - first_trade_id"
        f" between 0 and {MAX_TRADE_IDS - 1} and first_trade_id >= 0, false)",
    ),
    Rule("price_not_a_number", "price_sign is not null"),
    Rule("price_not_positive", "price_sign is null or price_sign > 0"),
    Rule("price_does_not_fit", "price_sign is null or price is not null"),
    Rule("quantity_not_a_number", "quantity_sign is not null"),
    Rule("quantity_not_positive", "quantity_sign is null or quantity_sign > 0"),
    Rule("quantity_does_not_fit", "quantity_sign is null or quantity is not null"),
    Rule("side_unknown", "side in ('BUY', 'SELL')"),
    Rule("timestamp_missing", "timestamp is not null"),
    Rule("timestamp_before_2009", f"timestamp is null or timestamp >= {_FIRST_BLOCK}"),
    Rule(
        "timestamp_in_future",
        f"timestamp is null or timestamp <= kafka_timestamp + {FUTURE_TOLERANCE}",
    ),
    Rule(
        "ingestion_timestamp_invalid",
        f"ingestion_timestamp >= {_FIRST_BLOCK} and ingestion_timestamp < {_END}",
    ),
)
