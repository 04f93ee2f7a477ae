"""Rates and quantiles are read back from metrics' pages as Prometheus would work them out."""

import pytest

from k2.observability.scrapes import Scrape, ScrapeDelta, quantile

PAGE = """\
# TYPE k2_records_processed_total counter
k2_records_processed_total{{stream="gold"}} {gold}
k2_records_processed_total{{stream="ohlcv"}} 7
# TYPE k2_e2e_latency_seconds histogram
k2_e2e_latency_seconds_bucket{{stream="gold",le="1.0"}} {fast}
k2_e2e_latency_seconds_bucket{{stream="gold",le="5.0"}} {all}
k2_e2e_latency_seconds_bucket{{stream="gold",le="+Inf"}} {all}
"""


def reading(at: float, gold: int = 0, fast: int = 0, all: int = 0) -> Scrape:
    return Scrape.of(at, [PAGE.format(gold=gold, fast=fast, all=all)])


def test_a_rate_is_of_the_time_between() -> None:
    change = ScrapeDelta(reading(100, gold=50), reading(130, gold=80))

    assert change.per_minute("k2_records_processed_total", stream="gold") == 60


def test_values_of_several_series_add_up() -> None:
    assert reading(0, gold=3).total("k2_records_processed_total") == 10


def test_a_counter_that_began_anew_did_not_shrink() -> None:
    change = ScrapeDelta(reading(100, gold=50), reading(130, gold=20))

    assert change.of("k2_records_processed_total", stream="gold") == 20


def test_no_time_is_no_rate() -> None:
    same = reading(100, gold=50)

    assert ScrapeDelta(same, same).per_minute("k2_records_processed_total") == 0


def test_a_quantile_is_of_what_was_observed_between() -> None:
    change = ScrapeDelta(reading(0, fast=100, all=100), reading(60, fast=100, all=104))

    assert change.quantile(0.5, "k2_e2e_latency_seconds", stream="gold") == pytest.approx(3.0)


def test_nothing_observed_has_no_quantile() -> None:
    assert (
        ScrapeDelta(reading(0, all=9), reading(60, all=9)).quantile(0.5, "k2_e2e_latency_seconds")
        is None
    )
    assert quantile(0.5, {}) is None


def test_what_is_beyond_the_last_bound_is_at_least_that() -> None:
    assert quantile(0.99, {1.0: 1, 5.0: 1, float("inf"): 10}) == 5.0
