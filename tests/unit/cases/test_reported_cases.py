"""Cases after public bug reports: each message becomes the trade that the report says is right."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from k2.exchanges import exchange_named
from k2.exchanges.instruments import Instruments, shipped_instruments, with_newer
from k2.exchanges.listings import read_listing
from tests.support.cases import Outcome, outcome_of
from tests.support.recordings import CASES

pytestmark = pytest.mark.unit

# Of these a later stage decides more: which messages are of the same fills.
OF_FILLS = {"11"}
ALL = sorted(file.with_suffix("") for folder in CASES for file in folder.glob("*.ndjson"))


def loaded(case: Path) -> Instruments:
    """What is known once the lists that lie beside a case are loaded."""
    exchange = answer(case)["exchange"]
    facts = shipped_instruments(exchange).rows()
    for file in sorted(case.parent.glob(f"{exchange}*.json")):
        if not file.name.endswith(".expect.json"):
            facts = with_newer(facts, read_listing(file.read_bytes(), exchange, file.name, None))
    return Instruments.of(facts)


def answer(case: Path) -> dict[str, Any]:
    return json.loads(case.with_name(f"{case.name}.expect.json").read_text("utf-8"))


def run(case: Path, instruments: Instruments | None) -> tuple[dict[str, Any], Outcome]:
    expected = answer(case)
    messages = case.with_name(f"{case.name}.ndjson").read_bytes().splitlines()
    return expected, outcome_of(exchange_named(expected["exchange"]), messages, instruments)


def fills(case: Path, trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if case.name[:2] not in OF_FILLS:
        return trades
    return [trade for trade in trades if "aggregate" not in trade["trade_conditions"]]


def plain(number: Any) -> str:
    return format(Decimal(str(number)).normalize(), "f")


def key(trade: dict[str, Any], with_id: bool) -> tuple[Any, ...]:
    moment = trade["timestamp"]
    at = moment if isinstance(moment, str) else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    numbers = plain(trade["price"]), plain(trade["quantity"])
    return trade["symbol"], at, *numbers, trade["side"], trade["trade_id"] if with_id else None


def distinct(trades: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for trade in trades:
        first.setdefault(trade["message_id"], trade)
    return list(first.values())


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_case_is_right_with_the_exchange_s_list(case: Path) -> None:
    expected, found = run(case, loaded(case))

    with_id = all(trade["trade_id"] for trade in expected["expect"])
    assert Counter(key(trade, with_id) for trade in fills(case, distinct(found.trades))) == Counter(
        key(trade, with_id) for trade in expected["expect"]
    )
    assert Counter(found.reasons) == Counter(expected["dead_letter_reasons"])
    assert len(found.rejected) == expected["rejected"]
    assert found.other == expected["ignored"]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_case_is_never_wrong_without_the_exchange_s_list(case: Path) -> None:
    expected, found = run(case, None)

    right = {key(trade, False) for trade in expected["expect"]}
    assert {key(trade, False) for trade in fills(case, found.trades)} <= right
    assert set(found.reasons) <= {"symbol_unknown", "symbol_ambiguous"}
    assert found.other == expected["ignored"]


@pytest.mark.parametrize(
    ("name", "trades"),
    [("binance-names-that-a-list-splits", 3), ("04-binance-us-usd-quote-split", 6)],
)
def test_what_a_list_leaves_open_a_later_one_answers(name: str, trades: int) -> None:
    for case in (case for case in ALL if case.name == name):
        before, after = (run(case, which)[1] for which in (None, loaded(case)))

        assert Counter(before.reasons) == {"symbol_ambiguous": 1, "symbol_unknown": 1}
        assert (after.reasons, len(after.trades)) == ([], trades)
