"""Parse an exchange's names of markets: what a name alone says, before any list is consulted."""

from collections.abc import Callable
from dataclasses import dataclass

SPOT, PERPETUAL, FUTURE = "spot", "perpetual", "future"
SUPPORTED = (SPOT, PERPETUAL, FUTURE)


@dataclass(frozen=True, slots=True)
class Name:
    """What the form of a market's name tells.

    Either the name separates the codes ``base`` and ``quote``, or ``joined`` is both in one, which only known
    assets can split. ``is_supported`` is false for options and of contracts whose
    quantity counts contracts. ``expires`` is the day of a dated future, ``YYYYMMDD``.
    """

    base: str = ""
    quote: str = ""
    joined: str = ""
    instrument_type: str = SPOT
    expires: str | None = None
    is_supported: bool = True


# From a market's name and the market it is of, such as spot or usdm; None: it is no name at all.
NameReader = Callable[[str, str], Name | None]

NOT_SUPPORTED = Name(is_supported=False)


def separated_by(separator: str) -> NameReader:
    """Return a reader of names of two codes and a separator, such as ``BTC/USD``."""

    def read(name: str, market: str) -> Name | None:
        del market  # there is one
        base, found, quote = name.partition(separator)
        return Name(base, quote) if found and is_code(base) and is_code(quote) else None

    return read


def is_code(text: str) -> bool:
    """Tell whether a text can be an asset's code: letters and digits of any script, and points."""
    return text.replace(".", "").isalnum() and not text.startswith(".")
