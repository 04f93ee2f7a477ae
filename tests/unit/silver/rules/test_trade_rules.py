"""Rules as data."""

import pyarrow as pa
import pytest

from k2.silver.decimals import TYPES
from k2.silver.rules.rule import Rule
from k2.silver.rules.trade_rules import TRADE_RULES
from k2.sql import query

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("reason", ["", "Price", "price-positive", "1st", "a b", "_x"])
def test_a_reason_that_is_no_name_is_refused(reason):
    with pytest.raises(ValueError, match="lower-case words"):
        Rule(reason, "true")


def test_every_reason_occurs_once():
    reasons = [rule.reason for rule in TRADE_RULES]

    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("rule", TRADE_RULES, ids=lambda rule: rule.reason)
def test_no_rule_asks_the_clock_or_chance(rule):
    said = rule.holds.lower()

    assert not [word for word in ("current_", "now(", "rand", "uuid", "today") if word in said]


def test_a_row_of_nulls_breaks_every_rule_that_asks_for_its_subject():
    texts = ("exchange_symbol", "symbol", "symbol_problem", "trade_id", "side")
    longs = ("timestamp", "kafka_timestamp", "ingestion_timestamp", "first_trade_id")
    columns = {
        **{name: pa.nulls(1, pa.string()) for name in texts},
        **{name: pa.nulls(1, pa.int64()) for name in (*longs, "last_trade_id")},
        **{name: pa.nulls(1, kind) for name, kind in TYPES.items()},
        **{name: pa.nulls(1, pa.int8()) for name in ("price_sign", "quantity_sign")},
    }

    held = ", ".join(f"coalesce({rule.holds}, false) as {rule.reason}" for rule in TRADE_RULES)
    sql = f"select {held} from nothing"  # noqa: S608
    (answer,) = query(sql, nothing=pa.table(columns)).to_pylist()

    broken = {reason for reason, holds in answer.items() if not holds}
    assert broken >= {
        "symbol_empty",
        "trade_id_missing",
        "price_not_a_number",
        "quantity_not_a_number",
        "side_unknown",
        "timestamp_missing",
        "ingestion_timestamp_invalid",
    }
    # A reason is given once: the rules about a missing subject's value hold.
    assert not broken & {"price_not_positive", "price_does_not_fit", "timestamp_in_future"}
