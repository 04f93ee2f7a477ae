"""Which trades count towards a bar's prices, volume and number of trades, by their exchange's definition."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from k2.exchanges import Exchange
from k2.sql import query, text

# What of a trade says how it counts.
COUNTED = ("exchange", "trade_conditions", "price", "quantity", "trade_count")


def counted(trades: pa.Table, exchanges: Sequence[Exchange]) -> pa.Table:
    """Return the trades without the values that, by their conditions, do not count in a bar.

    Args:
        trades: the columns of ``COUNTED``, among others.
        exchanges: a condition that their definitions do not name counts towards everything.

    Returns:
        The same rows and columns. ``price`` is null, or ``quantity`` or ``trade_count`` 0, where it
        does not count.
    """
    special = [condition.name for exchange in exchanges for condition in exchange.conditions]
    met = pc.is_in(pc.list_flatten(trades["trade_conditions"]), pa.array(special, pa.string()))
    if not pc.any(met).as_py():
        return trades
    columns = (
        ("price", "price", "null"),
        ("quantity", "volume", "0"),
        ("trade_count", "count", "0"),
    )
    replaced = ", ".join(
        f"case when {_counts(what, exchanges)} then {name} else {nothing} end as {name}"
        for name, what, nothing in columns
    )
    sql = f"select * replace ({replaced}) from trades"  # noqa: S608 — of our own definitions
    taken = query(sql, trades=trades)
    return pa.table({field.name: taken[field.name].cast(field.type) for field in trades.schema})


def _counts(what: str, exchanges: Sequence[Exchange]) -> str:
    """SQL for whether a trade counts towards something: none of its conditions says otherwise."""
    left_out = [
        f"exchange = {text(exchange.name)} and list_contains(trade_conditions, {text(condition.name)})"
        for exchange in exchanges
        for condition in exchange.conditions
        if not getattr(condition, what)
    ]
    return f"not coalesce({' or '.join(left_out)}, false)" if left_out else "true"
