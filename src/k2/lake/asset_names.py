"""The name of a trade's asset, such as Bitcoin: a column for readers that no table stores."""

from collections.abc import Sequence

from k2.exchanges.symbols import ASSET_NAME
from k2.sql import identifier, text

COLUMN = "asset_name"
_NAMES = " ".join(f"when {text(code)} then {text(name)}" for code, name in ASSET_NAME.items())
_NAME = f"case split_part(symbol, '-', 1) {_NAMES} end"


def with_asset_name(sql: str) -> str:
    """Return a query's rows, which have a ``symbol``, with ``asset_name`` as their last column.

    It is the name of the symbol's first part; null where K2 knows none.
    """
    return f"select *, {_NAME} as {COLUMN} from ({sql})"  # noqa: S608 — our own SQL


def chosen_with_asset_name(sql: str, columns: Sequence[str]) -> str:
    """Return ``columns`` of such rows in the wanted order; ``asset_name`` is one of them."""
    wanted = ", ".join(map(identifier, columns))
    return f"select {wanted} from ({with_asset_name(sql)})"  # noqa: S608 — checked names
