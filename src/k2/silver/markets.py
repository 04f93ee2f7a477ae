"""The two assets of a market, worked out once for each name that an exchange has for one."""

import pyarrow as pa

from k2.exchanges.exchange import Exchange
from k2.exchanges.symbols import STANDARD_CODE
from k2.sql import query, text

_MOST = (
    10_000  # names remembered of an exchange, which has some thousand markets; garbage has no end
)
_KNOWN: dict[str, dict[str | None, tuple[str | None, str | None]]] = {}


def markets(exchange: Exchange, names: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return ``symbol`` (``BTC-USDT``) and quote currency, in standard codes, of markets' own names.

    Both are null where the exchange's definition does not know how to split the name.
    """
    named = names.combine_chunks().dictionary_encode()
    known = _KNOWN.setdefault(exchange.name, {None: (None, None)})
    own = named.dictionary.to_pylist()
    if news := [name for name in own if name not in known]:
        if len(known) + len(news) > _MOST:
            known = {None: (None, None)}  # another thread may be at the old ones
        split = query(_splitting(exchange), names=pa.table({"exchange_symbol": own}))
        known |= {row["name"]: (row["symbol"], row["currency"]) for row in split.to_pylist()}
        _KNOWN[exchange.name] = known
    pairs = [known[name] for name in own]
    symbols, currencies = (pa.array([pair[at] for pair in pairs], pa.string()) for at in (0, 1))
    return symbols.take(named.indices), currencies.take(named.indices)


def _splitting(exchange: Exchange) -> str:
    base, quote = (exchange.columns[asset] for asset in ("base", "quote"))
    return f"""
        select name, base || '-' || quote as symbol, quote as currency
        from (
            select name, {_standard("base")} as base, {_standard("quote")} as quote
            from (select exchange_symbol as name, {base} as base, {quote} as quote from names)
        )
    """  # noqa: S608 — of our own definitions


def _standard(asset: str) -> str:
    """SQL for the standard code of an asset's code on an exchange: BTC for XBT, itself for most."""
    others = " ".join(f"when {text(own)} then {text(code)}" for own, code in STANDARD_CODE.items())
    return f"case {asset} {others} else {asset} end"
