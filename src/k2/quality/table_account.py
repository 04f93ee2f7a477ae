"""Compare Bronze with Silver, dead letters and duplicates, and Silver with Gold, by offsets.

Blocks of offsets whose fingerprints agree are done. Of the others each record is looked at.
"""

# ruff: noqa: S608 — SQL of our own names, numbers and quoted paths

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k2.quality.kafka_account import MAX_NAMED, Found
from k2.quality.offset_blocks import OffsetBlocks, runs_of

_PLACE = '"partition", "offset"'
_OPEN = 'select * from dead_letters anti join resolved using ("partition", "offset")'
# By the set that it is added to: what each record of a step is in after it, and with which sign.
_STEPS = {
    # A resolved dead letter stays where it was, and is a trade or a duplicate besides.
    "bronze": {"silver": 1, "dead_letters": 1, "duplicates": 1, "resolved": -1},
    "silver": {"gold": 1},
}


@dataclass
class TableAccount:
    """What the comparison finds; ``in_flight``, by the set that has it, is still to reach the next."""

    blocks: OffsetBlocks
    differences: dict[str, Found] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_STEPS, 0))

    def compare(self, suspect: Iterable[tuple[int, int]] = ()) -> None:
        """Compare all of it; ``suspect`` blocks are looked at by record in any case."""
        resolved = """select distinct "partition", block from blocks where name = 'resolved'"""
        different = {*suspect, *self.blocks.all_of(resolved)}
        steps = {before: self._steps(before, after) for before, after in _STEPS.items()}
        for found in steps.values():
            different |= {(p, block) for p, block, _, is_same in found if not is_same}
        for before, found in steps.items():
            self.in_flight[before] = sum(
                n for p, block, n, _ in found if (p, block) not in different
            )
        for run in runs_of(different):
            with self.blocks.records(run):
                self._look_at(run.partition)

    def _steps(self, before: str, after: Mapping[str, int]) -> list[Any]:
        """Each block, what is in flight there, and whether ``after`` has all but that, or all."""
        signs = " ".join(f"when '{name}' then {sign}" for name, sign in after.items())
        return self.blocks.all_of(f"""
            with sums as (
                select "partition", block,
                    sum(if(name = '{before}', n, 0)) as n,
                    sum(if(name = '{before}', h, 0)) as h,
                    sum(if(name = '{before}_in_flight', n, 0)) as n_in_flight,
                    sum(if(name = '{before}_in_flight', h, 0)) as h_in_flight,
                    sum(n * case name {signs} else 0 end) as n_after,
                    sum(h * case name {signs} else 0 end) as h_after
                from blocks group by all
            )
            select "partition", block,
                if(n_after = n, 0, n_in_flight),
                (n_after = n and h_after = h)
                    or (n_after = n - n_in_flight and h_after = h - h_in_flight)
            from sums
            where n <> 0 or n_after <> 0 or h_after <> 0
        """)

    def _look_at(self, partition: int) -> None:
        judged = f"""
            select * from silver union all select * from duplicates union all ({_OPEN})
        """
        bronze = "select * from bronze"
        settled = f"select * from bronze anti join bronze_in_flight using ({_PLACE})"
        due = f"select * from silver anti join silver_in_flight using ({_PLACE})"
        trades = "select * from resolved_as_trade"
        doubles = "select * from resolved_as_duplicate"
        checks = {
            "in Bronze more than once": _repeated(bronze),
            "in Bronze, but in none of Silver, dead letters and duplicates": _missing(
                settled, judged
            ),
            "in Silver, dead letters or duplicates more than once": _repeated(judged),
            "in Silver, dead letters or duplicates, but not in Bronze": _missing(judged, bronze),
            "resolved more than once": _repeated("select * from resolved"),
            "resolved, but never a dead letter": _missing(
                "select * from resolved", "select * from dead_letters"
            ),
            "resolved as a trade, but not in Silver": _missing(trades, "select * from silver"),
            "resolved as a duplicate, but not among the duplicates": _missing(
                doubles, "select * from duplicates"
            ),
            "in Silver, but not in Gold": _missing(due, "select * from gold"),
            "in Gold more than once": _repeated("select * from gold"),
            "in Gold, but not in Silver": _missing("select * from gold", "select * from silver"),
        }
        for what, query in checks.items():
            if count := self.blocks.one(f"select count(*) from ({query})"):
                named = f'select "offset" from ({query}) order by all limit {MAX_NAMED}'
                offsets = [offset for (offset,) in self.blocks.all_of(named)]
                self.differences.setdefault(what, Found()).add(partition, offsets, count)
        for before, after in (("bronze", judged), ("silver", "select * from gold")):
            still = _missing(f"select * from {before}_in_flight", after)
            self.in_flight[before] += self.blocks.one(f"select count(*) from ({still})")


def _repeated(records: str) -> str:
    return f"select {_PLACE} from ({records}) group by all having count(*) > 1"


def _missing(records: str, elsewhere: str) -> str:
    return f"select distinct {_PLACE} from ({records}) anti join ({elsewhere}) using ({_PLACE})"
