"""Name normalised records and apply the rules: V2 trades with every reason against each."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from k2.exchanges.exchange import Exchange
from k2.silver.identity import identities, message_ids
from k2.silver.rules.rule import Rule
from k2.sql import query, text

RULE = "rule"
FILLER = "filler"  # an id that the exchange used up without a trade: no defect
TRADE, DEAD_LETTER = "trade", "dead_letter"

_IDENTITY = ("identity_space", "first_trade_id", "identity_fields")
# What passes through untouched; names and judgements come to it.
_NAMED = (
    *("symbol", "asset_class", "timestamp", "price", "quantity", "currency", "side"),
    *("trade_conditions", "source_sequence", "ingestion_timestamp", "vendor_data"),
    *("instrument_type", "first_trade_id", "last_trade_id", "trade_count"),
)

# A broker's time is anything that a producer says; the rules add to it.
_LAST_US = 253_402_300_799_999_999  # of the year 9999


def apply_rules(
    normalized: pa.Table, broker_us: pa.ChunkedArray, exchange: Exchange, rules: Sequence[Rule]
) -> pa.Table:
    """Give records their names, and list the rules that each of them breaks, row by row.

    Args:
        normalized: the columns of :func:`k2.silver.normalize.normalize`.
        broker_us: the broker's timestamps, microseconds since 1970.
        exchange: whose records they are.
        rules: conditions on the columns above, on ``trade_id`` where it is required, and on
            ``kafka_timestamp``, which is ``broker_us``.

    Returns:
        The V2 fields without ``platform_sequence``, times as microseconds; ``instrument_type``;
        ``first_trade_id``, ``last_trade_id`` and ``trade_count``; and ``error_reasons``, null where a
        record breaks no rule, ``filler`` alone for a record which says that no trade has its id. A rule whose
        condition is null counts as broken: what is unknown is never accepted.
    """
    named = {name: normalized[name] for name in _NAMED}
    identity = identities(*(normalized[name] for name in _IDENTITY))
    named["message_id"] = message_ids(exchange.name, normalized["timestamp"], identity)
    named["trade_id"] = pc.coalesce(normalized["trade_id"], identity)
    named["exchange"] = pa.repeat(exchange.name, normalized.num_rows)
    return pa.table(named | {"error_reasons": _error_reasons(normalized, named, broker_us, rules)})


def _error_reasons(
    normalized: pa.Table,
    named: Mapping[str, pa.Array | pa.ChunkedArray],
    broker_us: pa.ChunkedArray,
    rules: Sequence[Rule],
) -> pa.ChunkedArray:
    seen = {name: named.get(name, normalized[name]) for name in normalized.column_names}
    seen["kafka_timestamp"] = pc.min_element_wise(broker_us, pa.scalar(_LAST_US, pa.int64()))
    sql = f"""
        select case when is_filler then [{text(FILLER)}] else {reasons(rules)} end as error_reasons
        from records
    """  # noqa: S608 — of our own definitions
    return query(sql, records=pa.table(seen))["error_reasons"]


def reasons(rules: Sequence[Rule]) -> str:
    """SQL for the list of the rules that a record breaks; null where it keeps them all."""
    is_clean = " and ".join(f"({rule.holds})" for rule in rules)
    # Most records are clean: the list is only made for the others.
    each = ", ".join(
        f"case when coalesce(({rule.holds}), false) then null else {text(rule.reason)} end"
        for rule in rules
    )
    broken = f"list_filter([{each}], lambda reason: reason is not null)"
    return f"case when {is_clean} then null else {broken} end"
