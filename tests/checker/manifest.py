"""Compares Silver, duplicates, dead letters and Gold with a simulator's manifest."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.checker.expected import binance_assets, kraken_assets, moment
from tests.checker.lake import EXCHANGES, is_late, rows

Identity = tuple[Any, ...]

# What Silver can only say of bytes, and what it says of a decoded trade.
_NOT_DECODED = {
    *("wrong_magic", "truncated", "trailing_bytes", "empty", "null", "garbage"),
    *("unknown_schema_id", "oversized"),
}

_COLUMNS = (
    *("message_id", "trade_id", "exchange", "vendor_data", "symbol", "timestamp", "price"),
    *("quantity", "side", "kafka_timestamp"),
)


def check_manifest(home: Path, manifests: Iterable[Path]) -> list[str]:
    """Everything that the tables of ``home`` have otherwise than the manifests; empty when right.

    The home's topics must hold nothing else.
    """
    facts = [fact for path in manifests for fact in _facts(path)]
    # Markets without trade ids of the exchange: K2's are hashes there.
    hashed = {(fact["exchange"], fact["symbol"]) for fact in facts if fact["trade_id"] is None}
    problems: list[str] = []
    for exchange in EXCHANGES:
        of_exchange = [fact for fact in facts if fact["exchange"] == exchange]
        problems += _check_exchange(home, exchange, of_exchange, hashed)
    gold = Counter(_identity_of_row(row, hashed) for row in rows(home, "gold_trades", _COLUMNS))
    wanted = Counter({_identity(fact): 1 for fact in facts if fact["kind"] in ("trade", "late")})
    problems += _differ("gold_trades", gold, wanted)
    late = {_identity(fact) for fact in facts if fact["kind"] == "late"}
    for row in rows(home, "gold_trades", (*_COLUMNS, "is_late")):
        identity = _identity_of_row(row, hashed)
        if row["is_late"] is not is_late(row):
            problems.append(f"gold_trades: is_late is {row['is_late']} for {identity}")
        elif identity in late and not row["is_late"]:
            problems.append(f"gold_trades: sent as late, not marked: {identity}")
    return problems


def _facts(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="ascii") as lines:
        yield from map(json.loads, lines)


def _check_exchange(
    home: Path, exchange: str, facts: list[dict[str, Any]], hashed: set[tuple[str, str]]
) -> list[str]:
    silver, dup, dlq = (f"{layer}_{exchange}_trades" for layer in ("silver", "dup", "dlq"))
    message_ids: dict[str, Identity] = {}
    stored: Counter[Identity] = Counter()
    for row in rows(home, silver, _COLUMNS):
        identity = _identity_of_row(row, hashed)
        stored[identity] += 1
        message_ids[row["message_id"]] = identity
    trades = Counter({_identity(fact): 1 for fact in facts if fact["kind"] in ("trade", "late")})
    repeated = Counter(_identity(fact) for fact in facts if fact["kind"] == "duplicate")
    found = Counter(
        message_ids.get(row["message_id"], ("not in Silver", row["message_id"]))
        for row in rows(home, dup, ("message_id",))
    )
    return [
        *_differ(silver, stored, trades),
        *_differ(dup, found, repeated),
        *_check_dead_letters(home, dlq, [fact for fact in facts if fact["kind"] == "bad"]),
    ]


def _check_dead_letters(home: Path, table: str, bad: list[dict[str, Any]]) -> list[str]:
    wanted = Counter(fact["sha256"] for fact in bad)
    defect_of = {fact["sha256"]: fact["defect"] for fact in bad}
    stored: Counter[str | None] = Counter()
    problems = []
    for row in rows(home, table, ("raw_record", "error_type", "error_reasons", "offset")):
        raw = row["raw_record"]
        digest = None if raw is None else hashlib.sha256(raw).hexdigest()
        stored[digest] += 1
        defect = defect_of.get(digest)
        allowed = ("decode", "schema") if defect in _NOT_DECODED else ("rule", "schema")
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


def _differ(table: str, stored: Counter[Any], wanted: Counter[Any]) -> list[str]:
    missing, extra = wanted - stored, stored - wanted
    return [f"{table}: missing {number} × {what}" for what, number in missing.items()] + [
        f"{table}: extra {number} × {what}" for what, number in extra.items()
    ]


def _identity(fact: dict[str, Any]) -> Identity:
    assets = binance_assets if fact["exchange"] == "binance" else kraken_assets
    return (
        fact["exchange"],
        fact["symbol"],
        "-".join(assets(fact["symbol"])),
        None if fact["trade_id"] is None else str(fact["trade_id"]),
        moment(fact["time_us"]),
        Decimal(fact["price"]),
        Decimal(fact["quantity"]),
        fact["side"],
    )


def _identity_of_row(row: dict[str, Any], hashed: set[tuple[str, str]]) -> Identity:
    market = json.loads(row["vendor_data"])["exchange_symbol"]
    return (
        row["exchange"],
        market,
        row["symbol"],
        None if (row["exchange"], market) in hashed else row["trade_id"],
        row["timestamp"],
        row["price"],
        row["quantity"],
        row["side"],
    )
