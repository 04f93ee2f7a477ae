"""Map raw records of one exchange to V2 trades, valid or not. One row in, one row out."""

from collections.abc import Set

import pyarrow as pa

from k2.exchanges.exchange import Exchange
from k2.exchanges.instruments import Instruments
from k2.silver.decimals import TYPES, from_text
from k2.silver.identity import space_hashes
from k2.silver.markets import look_up
from k2.sql import query

# Microseconds of the years 1 to 9999: a time beyond them is none.
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999

# Of a definition that names a field of the raw record for one of these, the column is that field's.
_MAY_BE_FIELDS = frozenset({"exchange_symbol", "price", "quantity", "ingestion_timestamp"})

# What is done once the definition has spoken: markets, numbers and hashes have ways of their own.
_MAPPED = (
    *("exchange_symbol", "trade_id", "side", "timestamp", "trade_conditions", "source_sequence"),
    *("ingestion_timestamp", "vendor_data", "identity_fields"),
    *("first_trade_id", "last_trade_id", "trade_count", "is_filler"),
)


def normalize(raw: pa.Table, exchange: Exchange, instruments: Instruments) -> pa.Table:
    """Map raw records to V2 trades by the exchange's definition, row by row.

    Args:
        raw: fields of the exchange's newest raw schema.
        exchange: whose records they are.
        instruments: what its markets' names mean.

    Returns:
        The V2 fields that come from the exchange, times as microseconds since 1970 (int64), and
        ``instrument_type``; for the rules ``exchange_symbol``, ``symbol_problem`` (why the name means no
        instrument), ``price_sign``, ``quantity_sign`` (null: no number) and ``is_filler``; for the
        trade's identity ``identity_space`` (a hash), ``first_trade_id``, ``last_trade_id`` and
        ``identity_fields``; and ``trade_count``. What cannot be mapped is null, and
        :mod:`k2.silver.rules.trade_rules` has a rule for it.
    """
    fields = {name: exchange.columns[name] for name in _MAY_BE_FIELDS}
    kept = {name: raw[field] for name, field in fields.items() if field in raw.column_names}
    found = query(_mapping(exchange, _MAY_BE_FIELDS - kept.keys()), raw=raw)
    mapped = kept | {name: found[name] for name in found.column_names}
    columns = {name: mapped[name] for name in _MAPPED}
    placed = (mapped[name] for name in ("exchange_symbol", "market", "timestamp"))
    columns |= look_up(exchange, instruments, *placed)
    for name in TYPES:
        columns[name], columns[f"{name}_sign"] = from_text(name, mapped[name])
    return pa.table(columns | {"identity_space": space_hashes(mapped["identity_space"])})


def _mapping(exchange: Exchange, others: Set[str]) -> str:
    """The mapping in two steps: what the definition says, and what K2 makes of it.

    ``others`` are those of ``_MAY_BE_FIELDS`` that are none.
    """
    said = dict(exchange.columns) | {
        "market": exchange.market,
        "identity_space": exchange.identity.id_space,
        "first_trade_id": exchange.identity.first,
        "last_trade_id": exchange.identity.last or exchange.identity.first,
        # Where there is an id, nobody asks for the fields.
        "identity_fields": (
            f"case when ({exchange.identity.first}) is null then {exchange.identity.fields} end"
        ),
        "trade_count": _trade_count(exchange),
        "is_filler": exchange.filler,
        "vendor_data": _vendor_data(exchange),
    }
    first = ", ".join(f"{sql} as {name}" for name, sql in said.items())
    return f"""
        select {''.join(f"{name}, " for name in sorted(others))}market, trade_id, side,
            case when timestamp between {_FIRST_US} and {_LAST_US} then timestamp end as timestamp,
            cast(trade_conditions as varchar[]) as trade_conditions,
            cast(source_sequence as bigint) as source_sequence, vendor_data,
            identity_space, cast(first_trade_id as bigint) as first_trade_id,
            cast(last_trade_id as bigint) as last_trade_id, identity_fields,
            cast(trade_count as bigint) as trade_count, is_filler
        from (select {first} from raw)
    """  # noqa: S608 — of our own definitions


def _trade_count(exchange: Exchange) -> str:
    """SQL for how many trades a record counts as; a rule rejects what is no range of ids."""
    first, last = exchange.identity.first, exchange.identity.last
    if not last:
        return "1"
    count = f"try_cast(cast({last} as hugeint) - ({first}) + 1 as bigint)"
    # Most records cover one id: only of others are numbers of 128 bits reckoned with.
    one = f"({first}) = ({last}) or ({exchange.identity.is_dense}) is not true"
    return f"case when {one} then 1 else coalesce({count}, 1) end"


def _vendor_data(exchange: Exchange) -> str:
    """SQL for a JSON object of the exchange's own fields, without those that are null."""
    name = exchange.columns["exchange_symbol"]
    parts = ["'{\"exchange_symbol\":'", f"coalesce(to_json({name}), 'null')"]
    parts += [f"',\"{field}\":' || to_json({sql})" for field, sql in exchange.vendor.items()]
    return f"concat({', '.join(parts)}, '}}')"
