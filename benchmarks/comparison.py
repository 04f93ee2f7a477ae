"""Side by side: stock Spark, a loader without Spark, and K2, on the same bytes in interleaved rounds.

Figures of one machine at one time compare; hence ratios are taken inside a round, and their median
and range over the rounds is what counts.
"""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from benchmarks.charts import bars
from benchmarks.contenders import Contender, Figures, k2, lean, stock
from benchmarks.flink import flink
from benchmarks.source import preloaded

CONTENDERS: Mapping[str, Contender] = {
    "stock": stock,
    "lean": lean,
    "lean-silver": lambda source: lean(source, silver_only=True),
    "k2": k2,
}
# Flink's job ends at a record that does not decode, so it has topics without any.
WITH_FLINK: Mapping[str, Contender] = {"flink": flink, "lean": lean, "k2": k2}
CLEAN = ("--bad", "0")
_RATIOS = (
    ("stock", "k2"),
    ("k2", "lean"),
    ("stock", "lean"),
    ("flink", "k2"),
    ("flink", "lean"),
)
_MEASURES = {
    "CPU-s per million": lambda f: f.cpu_per_million,
    "seconds to Gold": lambda f: f.seconds,
    "peak memory, MB": lambda f: f.peak_memory / 1e6,
}


def compare(
    records: int,
    rounds: int,
    names: Iterable[str] = tuple(CONTENDERS),
    contenders: Mapping[str, Contender] = CONTENDERS,
    feed: Iterable[str] = (),
) -> list[dict[str, Figures]]:
    """Measure every named contender once a round; each round starts with another of them.

    ``feed`` are options of ``k2 simulate``.
    """
    names = list(names)
    measured: list[dict[str, Figures]] = []
    with preloaded(records, *feed) as source:
        for round_ in range(rounds):
            order = names[round_ % len(names) :] + names[: round_ % len(names)]
            found = {}
            for name in order:
                found[name] = contenders[name](source)
                print(f"[{round_ + 1}/{rounds}] {_line(found[name])}", flush=True)
            measured.append({name: found[name] for name in names})
    return measured


def ratios(measured: list[dict[str, Figures]], of: str, to: str) -> list[float]:
    """Return, a round, how many times the CPU of ``to`` it is that ``of`` takes."""
    pairs = [(found.get(of), found.get(to)) for found in measured]
    return [a.cpu_per_million / b.cpu_per_million for a, b in pairs if a and b]


def summary(measured: list[dict[str, Figures]]) -> dict[str, Any]:
    """Return medians and ratios for the report."""
    names = list(measured[0])
    found: dict[str, Any] = {"rounds": [{n: f.public() for n, f in r.items()} for r in measured]}
    found["ratios"] = {
        f"{of} / {to}": spread(values)
        for of, to in _RATIOS
        if of in names and to in names and (values := ratios(measured, of, to))
    }
    return found


def spread(values: list[float]) -> dict[str, float]:
    """Return median and range."""
    found = {"median": median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def as_markdown(measured: list[dict[str, Figures]]) -> str:
    """Return the table of a comparison: medians, and in brackets the range over the rounds."""
    names = list(measured[0])
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for title, measure in _MEASURES.items():
        cells = [_cell([measure(found[name]) for found in measured]) for name in names]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    for layer in sorted({layer for f in measured[0].values() for layer in f.bytes_per_trade}):
        sizes = [measured[-1][name].bytes_per_trade.get(layer) for name in names]
        cells = ["" if size is None else f"{size:.0f}" for size in sizes]
        lines.append(f"| bytes per trade, {layer} | " + " | ".join(cells) + " |")
    for ratio, values in summary(measured)["ratios"].items():
        lines.append(
            f"\nCPU of {ratio}: **{values['median']}** ({values['least']} – {values['most']})"
        )
    return "\n".join(lines) + "\n" + _charts(measured)


def _charts(measured: list[dict[str, Figures]]) -> str:
    drawn = ("CPU-s per million", "seconds to Gold")
    return "".join(
        "\n"
        + bars(
            title, title, {n: median(_MEASURES[title](f[n]) for f in measured) for n in measured[0]}
        )
        for title in drawn
    )


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{median(values):.1f} ({min(values):.1f} – {max(values):.1f})"


def _line(found: Figures) -> str:
    return (
        f"{found.contender}: {found.cpu_per_million:.1f} CPU-s per million, {found.seconds:.1f} s,"
        f" {found.peak_memory / 1e6:.0f} MB {found.cpu_by_step or ''}"
    )
