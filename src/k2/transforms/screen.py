"""Judge normalised records: a trade, or a dead letter with every reason. One row in, one row out."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from k2.quality.rule import Rule

RULE = "rule"
TRADE, DEAD_LETTER = "trade", "dead_letter"


def screen(trades: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add ``outcome`` (``trade`` or ``dead_letter``), ``error_type`` and ``error_reasons``.

    A record that did not decode keeps that one reason; the rules are not asked. Any other breaks
    each rule whose condition is not true, null included, and all of them are listed.
    """
    holds = [F.coalesce(F.expr(rule.holds), F.lit(False)) for rule in rules]
    is_clean = holds[0]
    for held in holds[1:]:
        is_clean = is_clean & held
    broken = F.array_compact(
        F.array(*(F.when(~held, rule.reason) for rule, held in zip(rules, holds, strict=True)))
    )
    undecoded = F.col("error_type").isNotNull()
    kept = [name for name in trades.columns if name not in ("error_type", "error_reason")]
    # Most records are clean: the array is only built for the others.
    reasons = F.when(undecoded, F.array("error_reason")).when(~is_clean, broken)
    judged = trades.select(*kept, "error_type", reasons.alias("error_reasons"))
    is_dead = F.col("error_reasons").isNotNull()
    return judged.select(
        *kept,
        F.when(is_dead, F.coalesce("error_type", F.lit(RULE))).alias("error_type"),
        "error_reasons",
        F.when(is_dead, DEAD_LETTER).otherwise(TRADE).alias("outcome"),
    )
