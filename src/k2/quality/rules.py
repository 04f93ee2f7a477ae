"""The rules that a decoded record must keep to be a trade.

They see the columns of :func:`k2.transforms.normalize.normalize` and nothing else: no clock, so a
replay of old Bronze judges every record as the first run did. A rule whose subject is missing holds;
the rule that asks for the subject is the one that breaks.
"""

from k2.quality.rule import Rule

# In microseconds: adding an interval goes by the calendar, at many times the cost a row.
FUTURE_TOLERANCE = 5 * 60 * 1_000_000

TRADE_RULES: tuple[Rule, ...] = (
    Rule("symbol_empty", "exchange_symbol is not null and trim(exchange_symbol) <> ''"),
    Rule("symbol_unknown", "trim(exchange_symbol) = '' or symbol is not null"),
    Rule("trade_id_missing", "trade_id is not null"),
    Rule("price_not_a_number", "price_exact is not null or price_too_large"),
    Rule("price_not_positive", "price_exact is null or price_exact > 0"),
    Rule("price_does_not_fit", "price_exact is null and not price_too_large or price is not null"),
    Rule("quantity_not_a_number", "quantity_exact is not null or quantity_too_large"),
    Rule("quantity_not_positive", "quantity_exact is null or quantity_exact > 0"),
    Rule(
        "quantity_does_not_fit",
        "quantity_exact is null and not quantity_too_large or quantity is not null",
    ),
    Rule("side_unknown", "side is not null and side in ('BUY', 'SELL')"),
    Rule("timestamp_missing", "timestamp is not null"),
    # Bitcoin's first block: no exchange has a trade from before.
    Rule(
        "timestamp_before_2009", "timestamp is null or timestamp >= timestamp'2009-01-03T00:00:00Z'"
    ),
    Rule(
        "timestamp_in_future",
        "timestamp is null"
        f" or unix_micros(timestamp) <= unix_micros(kafka_timestamp) + {FUTURE_TOLERANCE}",
    ),
    Rule(
        "ingestion_timestamp_invalid",
        "ingestion_timestamp >= timestamp'2009-01-03T00:00:00Z'"
        " and ingestion_timestamp < timestamp'2262-01-01T00:00:00Z'",
    ),
)
