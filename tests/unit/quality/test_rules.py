"""Rules as data."""

import pytest

from k2.quality.rule import Rule
from k2.quality.rules import TRADE_RULES

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


def test_a_row_of_nulls_breaks_every_rule_that_asks_for_its_subject(spark):
    columns = {
        "exchange_symbol": "string",
        "symbol": "string",
        "trade_id": "string",
        "price": "decimal(18,8)",
        "price_exact": "decimal(38,18)",
        "price_too_large": "boolean",
        "quantity": "decimal(18,8)",
        "quantity_exact": "decimal(38,18)",
        "quantity_too_large": "boolean",
        "side": "string",
        "timestamp": "timestamp",
        "kafka_timestamp": "timestamp",
        "ingestion_timestamp": "timestamp",
    }
    nothing = [f"cast(null as {kind}) as {name}" for name, kind in columns.items()]
    # Whether a number is too large is known of every text.
    row = spark.range(1).selectExpr(
        *(sql for sql in nothing if "too_large" not in sql),
        "false as price_too_large",
        "false as quantity_too_large",
    )

    held = row.selectExpr(
        *(f"coalesce({rule.holds}, false) as {rule.reason}" for rule in TRADE_RULES)
    ).head()

    broken = {reason for reason, holds in held.asDict().items() if not holds}
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
