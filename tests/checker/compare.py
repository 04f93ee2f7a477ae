"""Compares Gold with what the recordings say, field by field."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.checker.expected import Trade
from tests.checker.lake import Row, is_late, rows

_MESSAGE_ID = re.compile(r"[a-z0-9]+-\d{8}-\S+")


def compare(home: Path, expected: Mapping[Any, Trade]) -> list[str]:
    """Every missing, extra and differing trade of ``gold_trades``; empty when all is right."""
    wanted: dict[tuple[Any, ...], list[Trade]] = defaultdict(list)
    for trade in expected.values():
        wanted[_match_key(trade)].append(trade)
    problems, seen_ids = [], set()
    for row in rows(home, "gold_trades"):
        if row["message_id"] in seen_ids:
            problems.append(f"message_id twice: {row['message_id']}")
        seen_ids.add(row["message_id"])
        candidates = wanted.get(_row_key(row)) or wanted.get(_row_key(row, numbered=False)) or []
        if not candidates:
            problems.append(f"extra: {_name(row)}")
            continue
        trade = min(candidates, key=lambda one: len(differences(one, row)))
        candidates.remove(trade)
        problems += [f"differs: {_name(row)}: {text}" for text in differences(trade, row)]
    for left in wanted.values():
        problems += [f"missing: {trade.key}" for trade in left]
    return problems


def differences(trade: Trade, row: Row) -> list[str]:
    """What in a Gold row is not as expected."""
    found = list(_field_differences(trade, row))
    found += [f"{name} is null" for name in _REQUIRED if row[name] is None]
    if not str(row["message_id"]).startswith(trade.message_id_prefix) or not _MESSAGE_ID.fullmatch(
        str(row["message_id"])
    ):
        found.append(f"message_id {row['message_id']!r}, wanted {trade.message_id_prefix}…")
    vendor = json.loads(row["vendor_data"] or "{}")
    if vendor.get("exchange_symbol") != trade.exchange_symbol:
        found.append(f"vendor_data.exchange_symbol {vendor.get('exchange_symbol')!r}")
    if row["is_late"] is not is_late(row):
        found.append(f"is_late {row['is_late']}")
    if row["platform_sequence"] != row["offset"]:
        found.append(f"platform_sequence {row['platform_sequence']} at offset {row['offset']}")
    if not isinstance(row["trade_conditions"], list):
        found.append(f"trade_conditions {row['trade_conditions']!r}")
    return found


_PLACES = {"price": 14, "quantity": 10}
_REQUIRED = (
    *("message_id", "trade_id", "symbol", "exchange", "asset_class", "timestamp", "price"),
    *("quantity", "currency", "side", "ingestion_timestamp"),
)


def _field_differences(trade: Trade, row: Row) -> Iterable[str]:
    wanted: dict[str, Any] = {
        "symbol": trade.symbol,
        "instrument_type": trade.instrument_type,
        "exchange": trade.exchange,
        "asset_class": "crypto",
        "timestamp": trade.timestamp,
        "price": trade.price,
        "quantity": trade.quantity,
        "currency": trade.currency,
        "side": trade.side,
        "source_sequence": trade.source_sequence,
        "trade_value_usd": trade.trade_value_usd,
        "exchange_date": trade.exchange_date,
        "exchange_hour": trade.timestamp.hour,
    }
    if trade.trade_id is not None:
        wanted["trade_id"] = trade.trade_id
    if trade.ingestion_timestamp is not None:
        wanted["ingestion_timestamp"] = trade.ingestion_timestamp
    for name, value in wanted.items():
        if row[name] != value:
            yield f"{name} {row[name]!r}, wanted {value!r}"
        elif name in _PLACES and -int(row[name].as_tuple().exponent) != _PLACES[name]:
            yield f"{name} {row[name]!r} has not {_PLACES[name]} decimals"


def _match_key(trade: Trade) -> tuple[Any, ...]:
    if trade.trade_id is None:
        return ("fields", trade.exchange, trade.symbol, trade.timestamp)
    return ("id", trade.exchange, trade.symbol, trade.trade_id)


def _row_key(row: Row, numbered: bool = True) -> tuple[Any, ...]:
    if numbered:
        return ("id", row["exchange"], row["symbol"], row["trade_id"])
    return ("fields", row["exchange"], row["symbol"], row["timestamp"])


def _name(row: Row) -> str:
    return f"{row['exchange']} {row['symbol']} {row['trade_id']} at offset {row['offset']}"
