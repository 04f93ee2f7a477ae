"""Judge normalised records: a trade, or a dead letter with every reason. One row in, one row out."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from k2.quality.rule import Rule

RULE = "rule"
TRADE, DEAD_LETTER = "trade", "dead_letter"


def screen(trades: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add ``outcome`` (``trade`` or ``dead_letter``), ``error_type`` and ``error_reasons``.

    A record that did not decode keeps that one reason; the rules are not asked. Any other breaks
    each rule whose condition is not true, null included, and all of them are listed.
    """
    fails = [~F.coalesce(F.expr(rule.holds), F.lit(False)) for rule in rules]
    # Of "not all hold", Spark's optimizer would undo one rule at each of its passes.
    is_broken = reduce(Column.__or__, fails)
    broken = F.array_compact(
        F.array(*(F.when(failed, rule.reason) for rule, failed in zip(rules, fails, strict=True)))
    )
    undecoded = F.col("error_type").isNotNull()
    kept = [name for name in trades.columns if name not in ("error_type", "error_reason")]
    # Most records are clean: the array is only built for the others.
    reasons = F.when(undecoded, F.array("error_reason")).when(is_broken, broken)
    judged = trades.select(*kept, "error_type", reasons.alias("error_reasons"))
    is_dead = F.col("error_reasons").isNotNull()
    return judged.select(
        *kept,
        F.when(is_dead, F.coalesce("error_type", F.lit(RULE))).alias("error_type"),
        "error_reasons",
        F.when(is_dead, DEAD_LETTER).otherwise(TRADE).alias("outcome"),
    )
