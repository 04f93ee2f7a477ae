"""The truth about a simulated stream, written beside it: one JSON line a record, and a summary."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Any

from k2.feeds.simulator.record import GroundTruth, SimulatedRecord

_EXCHANGE_AND_KIND = attrgetter("exchange", "kind")


class Tally:
    """Counts of what was sent, by exchange and kind, and of bad records by defect."""

    def __init__(self) -> None:
        self._kinds: Counter[tuple[str, str]] = Counter()
        self._defects: Counter[tuple[str, str]] = Counter()

    def count(self, facts: Iterable[GroundTruth]) -> None:
        """Count records."""
        facts = list(facts)
        self._kinds.update(map(_EXCHANGE_AND_KIND, facts))
        self._defects.update((fact.exchange, fact.defect) for fact in facts if fact.defect)

    @property
    def records(self) -> int:
        """Records in all."""
        return self._kinds.total()

    def by_kind(self) -> dict[str, int]:
        """Return records by kind, all exchanges together."""
        totals: Counter[str] = Counter()
        for (_, kind), number in self._kinds.items():
            totals[kind] += number
        return dict(totals)

    def as_json(self) -> dict[str, Any]:
        """Return per exchange: records, distinct trades, late ones of these, duplicates, bad ones."""
        return {
            exchange: self._of(exchange)
            for exchange in sorted({exchange for exchange, _ in self._kinds})
        }

    def _of(self, exchange: str) -> dict[str, Any]:
        kinds = {kind: number for (name, kind), number in self._kinds.items() if name == exchange}
        late = kinds.get("late", 0)
        defects = {d: number for (name, d), number in self._defects.items() if name == exchange}
        return {
            "records": sum(kinds.values()),
            "distinct_trades": kinds.get("trade", 0) + late,
            "late": late,
            "duplicates": kinds.get("duplicate", 0),
            "bad": kinds.get("bad", 0),
            "bad_by_defect": dict(sorted(defects.items())),
        }


class Manifest:
    """A file of JSON lines, continued when it exists, and ``<name>.summary.json`` beside it.

    A record is written before it is sent, so after a crash the file may name records that the
    broker never saw; the summary, which only a clean end writes, says ``"complete": true``.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._summary = path.with_name(f"{path.name}.summary.json")
        self._summary.unlink(missing_ok=True)
        self._file = path.open("a", encoding="ascii", buffering=1 << 20)

    def write(self, records: Iterable[SimulatedRecord]) -> None:
        """Write what is about to be sent."""
        self._file.writelines(map(_line, records))
        self._file.flush()

    def close(self) -> None:
        """Close the file; without a summary it stays marked as incomplete."""
        self._file.close()

    def complete(self, tally: Tally) -> None:
        """Write the summary: everything is with the broker."""
        summary = {"complete": True, "exchanges": tally.as_json()}
        self._summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="ascii")


def _line(record: SimulatedRecord) -> str:
    fact = record.fact
    line: dict[str, Any] = fact._asdict()
    for name, usual in GroundTruth._field_defaults.items():
        if line[name] == usual:
            del line[name]
    if fact.defect is not None:
        line["sha256"] = None if record.value is None else hashlib.sha256(record.value).hexdigest()
    if record.broker_time_ms is not None:
        line["broker_time_ms"] = record.broker_time_ms
    return json.dumps(line, separators=(",", ":")) + "\n"
