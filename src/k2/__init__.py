"""K2: a trade lakehouse for crypto exchanges.

``Lake`` reads the stored tables, ``EXCHANGES`` are the definitions of the exchanges, and ``K2Error`` is
what K2 raises. Each name loads its module when it is first used: ``import k2`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k2.errors import ConfigError, ContractError, K2Error, UnavailableError
    from k2.exchanges import EXCHANGES, Exchange, Identity
    from k2.lake.lake import Lake
    from k2.silver.rules.rule import Rule
    from k2.storage.table import Table

__all__ = [
    "EXCHANGES",
    "ConfigError",
    "ContractError",
    "Exchange",
    "Identity",
    "K2Error",
    "Lake",
    "Rule",
    "Table",
    "UnavailableError",
]

_MODULES = {
    "EXCHANGES": "k2.exchanges",
    "ConfigError": "k2.errors",
    "ContractError": "k2.errors",
    "Exchange": "k2.exchanges",
    "Identity": "k2.exchanges",
    "K2Error": "k2.errors",
    "Lake": "k2.lake.lake",
    "Rule": "k2.silver.rules.rule",
    "Table": "k2.storage.table",
    "UnavailableError": "k2.errors",
}


def __getattr__(name: str) -> Any:
    """Load what the package offers; called by Python for a name that is not there yet."""
    if name not in _MODULES:
        raise AttributeError(f"module 'k2' has no attribute {name!r}")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
