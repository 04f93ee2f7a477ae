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

pytestmark = pytest.mark.unit

LISTS = {
    "binance": ("binance-spot.exchangeInfo.json", "binance-usdm.exchangeInfo.json"),
    "kraken": ("kraken.AssetPairs.json",),
    "coinbase": (),
}
# Of these a later stage decides more: which messages are of the same fills.
OF_FILLS = {"11"}


@pytest.fixture
def cases(shared_data: Path) -> Path:
    return shared_data.parent / "cases"


def case_names() -> list[str]:
    folder = Path(__file__).parents[4] / "shared" / "cases"
    return sorted(path.name.removesuffix(".ndjson") for path in folder.glob("*.ndjson"))


def loaded(cases: Path, exchange: str) -> Instruments:
    facts = shipped_instruments(exchange).rows()
    for name in LISTS[exchange]:
        facts = with_newer(facts, read_listing((cases / name).read_bytes(), exchange, name, None))
    return Instruments.of(facts)


def run(cases: Path, name: str, instruments: Instruments | None) -> tuple[dict[str, Any], Outcome]:
    expected = json.loads((cases / f"{name}.expect.json").read_text("utf-8"))
    messages = (cases / f"{name}.ndjson").read_bytes().splitlines()
    return expected, outcome_of(exchange_named(expected["exchange"]), messages, instruments)


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


@pytest.mark.parametrize("name", case_names())
def test_a_case_is_right_with_the_exchange_s_list(cases: Path, name: str) -> None:
    exchange = json.loads((cases / f"{name}.expect.json").read_text("utf-8"))["exchange"]

    expected, found = run(cases, name, loaded(cases, exchange))

    trades = [t for t in distinct(found.trades) if name[:2] not in OF_FILLS or "aggregate" not in t["trade_conditions"]]  # fmt: skip
    with_id = all(trade["trade_id"] for trade in expected["expect"])
    assert Counter(key(trade, with_id) for trade in trades) == Counter(
        key(trade, with_id) for trade in expected["expect"]
    )
    assert Counter(found.reasons) == Counter(expected["dead_letter_reasons"])
    assert len(found.rejected) == expected["rejected"]
    assert found.other == expected["ignored"]


@pytest.mark.parametrize("name", case_names())
def test_a_case_is_never_wrong_without_the_exchange_s_list(cases: Path, name: str) -> None:
    expected, found = run(cases, name, None)

    right = {key(trade, False) for trade in expected["expect"]}
    trades = [t for t in found.trades if name[:2] not in OF_FILLS or "aggregate" not in t["trade_conditions"]]  # fmt: skip
    assert {key(trade, False) for trade in trades} <= right
    assert set(found.reasons) <= {"symbol_unknown", "symbol_ambiguous"}
    assert found.other == expected["ignored"]


def test_what_a_list_leaves_open_a_later_one_answers(cases: Path) -> None:
    name = "04-binance-us-usd-quote-split"

    before, after = (run(cases, name, which)[1] for which in (None, loaded(cases, "binance")))

    assert Counter(before.reasons) == {"symbol_ambiguous": 1, "symbol_unknown": 1}
    assert (after.reasons, len(after.trades)) == ([], 6)
