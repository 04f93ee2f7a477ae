"""Name normalised records and apply the rules: V2 trades with every reason against each."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from k2.exchanges.exchange import Exchange
from k2.silver.identity import identities, message_ids
from k2.silver.rules.rule import Rule
from k2.sql import query

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

Truths = npt.NDArray[np.bool_]

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
    seen = {name: named.get(name, normalized[name]) for name in normalized.column_names}
    seen["kafka_timestamp"] = pc.min_element_wise(broker_us, pa.scalar(_LAST_US, pa.int64()))
    return pa.table(named | {"error_reasons": error_reasons(pa.table(seen), rules)})


def error_reasons(rows: pa.Table, rules: Sequence[Rule]) -> pa.Array:
    """Return the rules that each row breaks, as a list of texts; null where it keeps them all.

    Args:
        rows: the columns that the rules name, and ``is_filler``: such a row has ``filler`` alone.
        rules: a row breaks one whose condition is false or null.
    """
    # A condition a column, and the lists by numpy: DuckDB plans that in half the time.
    conditions = ", ".join(
        f"coalesce(({rule.holds}), false) as rule_{number}" for number, rule in enumerate(rules)
    )
    sql = f"select {conditions}, coalesce(is_filler, false) as is_filler from records"  # noqa: S608
    found = query(sql, records=rows)
    *keeps, is_filler = (_truths(column) for column in found.columns)
    is_broken = ~np.logical_and.reduce(keeps) | is_filler
    broken = np.flatnonzero(is_broken)
    fillers = is_filler[broken]
    breaks = np.vstack([fillers, *(~(kept[broken] | fillers) for kept in keeps)])
    row, reason = np.nonzero(breaks.T)
    counts = np.zeros(len(is_broken) + 1, np.int32)
    counts[broken + 1] = np.bincount(row, minlength=len(broken))
    names = pa.array([FILLER, *(rule.reason for rule in rules)])
    return pa.ListArray.from_arrays(
        pa.array(counts.cumsum(dtype=np.int32)),
        names.take(pa.array(reason)),
        mask=pa.array(~is_broken),
    )


def _truths(column: pa.ChunkedArray) -> Truths:
    truths: Truths = column.combine_chunks().to_numpy(zero_copy_only=False)
    return truths
