"""Read the metrics of running streams back from their pages: rates, quantiles, sums."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Scrape:
    """All samples of some pages, taken ``at`` a time (seconds, of any clock)."""

    at: float
    samples: tuple[tuple[str, Labels, float], ...] = ()

    @classmethod
    def of(cls, at: float, pages: Iterable[str]) -> "Scrape":
        """Parse pages in Prometheus' text format."""
        found = [
            (sample.name, sample.labels, float(sample.value))
            for page in pages
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        ]
        return cls(at, tuple(found))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return a series' values whose labels match."""
        wanted = labels.items()
        return [
            value for found, of, value in self.samples if found == name and wanted <= of.items()
        ]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the values."""
        return sum(self.values(name, **labels))

    def most(self, name: str, **labels: str) -> float:
        """Return the largest; 0 for none."""
        return max(self.values(name, **labels), default=0.0)

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Return a histogram's cumulative counts by upper bound, summed over the series that match."""
        counts: dict[float, float] = {}
        for found, of, value in self.samples:
            if found == f"{name}_bucket" and labels.items() <= of.items():
                bound = float(of["le"])
                counts[bound] = counts.get(bound, 0.0) + value
        return counts


@dataclass(frozen=True)
class ScrapeDelta:
    """What changed between two scrapes. A counter that was reset counts from zero."""

    before: Scrape
    after: Scrape

    def of(self, name: str, **labels: str) -> float:
        """Return how much a counter grew."""
        before, after = (reading.total(name, **labels) for reading in (self.before, self.after))
        return after - before if after >= before else after

    def per_minute(self, name: str, **labels: str) -> float:
        """Return how much a counter grows in a minute; 0 when no time went by."""
        seconds = self.after.at - self.before.at
        return 60 * self.of(name, **labels) / seconds if seconds > 0 else 0.0

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """Estimate a quantile of what was observed between the scrapes; None when nothing was."""
        before = self.before.buckets(name, **labels)
        after = self.after.buckets(name, **labels)
        return quantile(share, {bound: n - before.get(bound, 0.0) for bound, n in after.items()})


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """Estimate a quantile from cumulative counts, as Prometheus does: linear within a bucket."""
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    rank = share * buckets[bounds[-1]]
    for low, high in pairwise([0.0, *bounds]):
        below = buckets.get(low, 0.0)
        if buckets[high] >= rank:
            if high == float("inf"):
                return low
            return low + (high - low) * (rank - below) / max(buckets[high] - below, 1e-9)
    return bounds[-1]
