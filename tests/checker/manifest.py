"""Compares every table with a simulator's manifest: each record it sent, where it belongs."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.checker.bars import check_bars
from tests.checker.lake import EXCHANGES, Row, is_late, rows
from tests.checker.sent import Sent, facts_of, micros, units

Identity = tuple[Any, ...]

# What Silver can only say of bytes, and what it says of a decoded trade.
_NOT_DECODED = {
    *("wrong_magic", "truncated", "trailing_bytes", "empty", "null", "garbage"),
    *("unknown_schema_id", "oversized"),
}

_PLACE = ("partition", "offset")
_COLUMNS = (
    *("message_id", "trade_id", "exchange", "vendor_data", "symbol", "timestamp", "price"),
    *("quantity", "side", "kafka_timestamp"),
)


def check_manifest(home: Path, manifests: Iterable[Path]) -> list[str]:
    """Everything that the tables of ``home`` have otherwise than the manifests; empty when right.

    The home's topics must hold nothing else.
    """
    facts = [fact for path in manifests for fact in facts_of(path)]
    # Markets without trade ids of the exchange: K2's are hashes there.
    hashed = {(fact.exchange, fact.market) for fact in facts if fact.trade_id is None}
    problems: list[str] = []
    for exchange in EXCHANGES:
        of_exchange = [fact for fact in facts if fact.exchange == exchange]
        problems += _check_bronze(home, exchange, of_exchange)
        problems += _check_exchange(home, exchange, of_exchange, hashed)
    return problems + _check_gold(home, facts, hashed) + check_bars(home, facts)


def _check_bronze(home: Path, exchange: str, facts: list[Sent]) -> list[str]:
    """Every record once, under the key and with the broker's time that it was sent with."""
    table = f"bronze_{exchange}_trades"
    timed = {fact.broker_time_ms is not None for fact in facts} == {True}
    places: dict[int, list[int]] = {}
    stored: Counter[tuple[str, int | None]] = Counter()
    for row in rows(home, table, (*_PLACE, "key", "kafka_timestamp")):
        places.setdefault(row["partition"], []).append(row["offset"])
        time = micros(row["kafka_timestamp"]) // 1000 if timed else None
        stored[row["key"].decode(), time] += 1
    problems = [
        f"{table}: offsets of partition {partition} are not 0 … {len(offsets) - 1}, each once"
        for partition, offsets in places.items()
        if sorted(offsets) != list(range(len(offsets)))
    ]
    wanted = Counter((fact.market, fact.broker_time_ms if timed else None) for fact in facts)
    return problems + _differ(table, stored, wanted)


def _check_exchange(
    home: Path, exchange: str, facts: list[Sent], hashed: set[tuple[str, str]]
) -> list[str]:
    silver, dup, dlq = (f"{layer}_{exchange}_trades" for layer in ("silver", "dup", "dlq"))
    first: dict[str, tuple[Identity, tuple[int, int]]] = {}
    kept_at: dict[tuple[str, int], tuple[int, int]] = {}  # where a fill is, by its space and id
    symbol_of: dict[str, str] = {}  # of what a message id says before its number
    stored: Counter[Identity] = Counter()
    for row in rows(home, silver, (*_COLUMNS, *_PLACE, "first_trade_id", "last_trade_id")):
        identity = _identity_of_row(row, hashed)
        stored[identity] += 1
        place = row["partition"], row["offset"]
        first[row["message_id"]] = identity, place
        if row["first_trade_id"] is not None:
            space = row["message_id"][:-16]
            symbol_of[space] = row["symbol"]
            for number in range(row["first_trade_id"], row["last_trade_id"] + 1):
                kept_at[space, number] = place
    trades = Counter(_identity(fact) for fact in facts if fact.is_first)
    repeated: Counter[Identity] = Counter(
        (fact.symbol, fact.fills[0]) if fact.fills else _identity(fact)
        for fact in facts
        if fact.kind == "duplicate"
    )
    found: Counter[Identity] = Counter()
    problems = []
    for row in rows(home, dup, ("message_id", "reason", *_PLACE)):
        space, digits = row["message_id"][:-16], row["message_id"][-16:]
        known, place = first.get(row["message_id"], (None, None))
        if space in symbol_of:
            known = symbol_of[space], int(digits, 16)
            place = kept_at.get((space, int(digits, 16)))
        found[known or ("not in Silver", row["message_id"])] += 1
        if row["reason"] != "repeated":
            problems.append(f"{dup}: offset {row['offset']} {row['reason']}")
        if place is not None and (row["partition"], row["offset"]) <= place:
            problems.append(f"{dup}: offset {row['offset']} is before the one that stayed, {place}")
    return [
        *_differ(silver, stored, trades),
        *_differ(dup, found, repeated),
        *problems,
        *_check_dead_letters(home, dlq, [fact for fact in facts if fact.kind == "bad"]),
        *_check_places(home, exchange),
    ]


def _check_places(home: Path, exchange: str) -> list[str]:
    """Every record of Bronze is in exactly one of the three tables."""
    bronze, *others = (
        Counter(
            (row["partition"], row["offset"])
            for row in rows(home, f"{layer}_{exchange}_trades", _PLACE)
        )
        for layer in ("bronze", "silver", "dup", "dlq")
    )
    return _differ(f"silver, dup and dlq of {exchange}", sum(others, Counter()), bronze)


def _check_dead_letters(home: Path, table: str, bad: list[Sent]) -> list[str]:
    wanted = Counter(fact.sha256 for fact in bad)
    defect_of = {fact.sha256: fact.defect for fact in bad}
    stored: Counter[str | None] = Counter()
    problems = []
    for row in rows(home, table, ("raw_record", "error_type", "error_reasons", "offset")):
        raw = row["raw_record"]
        digest = None if raw is None else hashlib.sha256(raw).hexdigest()
        stored[digest] += 1
        defect = defect_of.get(digest)
        allowed = ("decode", "schema") if defect in _NOT_DECODED else ("rule", "schema")
        if defect == "filler":
            allowed = ("filler",)
        if defect and row["error_type"] not in allowed:
            problems.append(
                f"{table}: {defect} is {row['error_type']!r} {row['error_reasons']}"
                f" at offset {row['offset']}"
            )
        if not row["error_reasons"]:
            problems.append(f"{table}: no reason at offset {row['offset']}")
    named = {digest: (defect_of.get(digest, "unknown bytes"), digest) for digest in stored | wanted}
    return problems + _differ(
        table,
        Counter({named[digest]: number for digest, number in stored.items()}),
        Counter({named[digest]: number for digest, number in wanted.items()}),
    )


def _check_gold(home: Path, facts: list[Sent], hashed: set[tuple[str, str]]) -> list[str]:
    problems = []
    stored: Counter[Identity] = Counter()
    marked: Counter[Identity] = Counter()
    for row in rows(home, "gold_trades", (*_COLUMNS, "is_late")):
        identity = _identity_of_row(row, hashed)
        stored[identity] += 1
        if row["is_late"] is not is_late(row):
            problems.append(f"gold_trades: is_late is {row['is_late']} for {identity}")
        elif row["is_late"]:
            marked[identity] += 1
    trades = [fact for fact in facts if fact.is_first]
    late = Counter(_identity(fact) for fact in trades if fact.kind == "late")
    problems += [f"gold_trades: sent as late, not marked: {identity}" for identity in late - marked]
    if all(fact.broker_time_ms is not None for fact in trades):
        # Else the sending decides which of the others were late as well.
        problems += [f"gold_trades: marked, not late: {identity}" for identity in marked - late]
    return _differ("gold_trades", stored, Counter(map(_identity, trades))) + problems


def _differ(table: str, stored: Counter[Any], wanted: Counter[Any]) -> list[str]:
    missing, extra = wanted - stored, stored - wanted
    return [f"{table}: missing {number} × {what}" for what, number in missing.items()] + [
        f"{table}: extra {number} × {what}" for what, number in extra.items()
    ]


def _identity(fact: Sent) -> Identity:
    number = None if fact.trade_id is None else str(fact.trade_id)
    return (
        *(fact.exchange, fact.market, fact.symbol, number),
        *(fact.time_us, fact.price, fact.quantity, fact.side),
    )


def _identity_of_row(row: Row, hashed: set[tuple[str, str]]) -> Identity:
    market = json.loads(row["vendor_data"])["exchange_symbol"]
    number = None if (row["exchange"], market) in hashed else row["trade_id"]
    return (
        *(row["exchange"], market, row["symbol"], number),
        *(micros(row["timestamp"]), units(row["price"]), units(row["quantity"]), row["side"]),
    )
