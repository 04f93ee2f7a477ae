"""What is measured. Each run ends with the balance; one that does not hold has no figures."""

import time
from typing import Any

from benchmarks.charts import line
from benchmarks.freshness import waits
from benchmarks.home import Home, new_home
from benchmarks.processes import Sampler, wait_for

_AFTER = 30.0  # seconds that a steady feed goes on


def catch_up(records: int, **options: str) -> dict[str, Any]:
    """Preload Kafka, then run the streams once: records a second, CPU a million, from Kafka to Gold."""
    with new_home(**options) as home:
        home.k2("up", "--feed", "none", "--no-streams", "--detach")
        home.k2("simulate", "--rate", "max", "--count", str(records), "--json")
        drain = home.spawn("drain", "--timeout", "1800s")
        with Sampler(drain.pid) as sampler:
            began = time.monotonic()
            first = wait_for(lambda: len(home.gold_log()) > 1, 900, "first Gold rows")
            code = drain.wait()
            seconds = time.monotonic() - began
            usage = sampler.usage()
        if code != 0:
            raise RuntimeError(f"drain ended with {code}")
        account = home.require_balance()
        gold = sum(exchange["gold"] for exchange in account["exchanges"])
        return {
            "records": records,
            "gold": gold,
            "seconds": round(seconds, 1),
            "first_gold_seconds": round(first, 1),
            "records_per_second": round(records / seconds),
            "cpu_seconds_per_million": round(usage.streams_cpu / records * 1e6, 1),
            "peak_memory_mb": round(usage.peak_memory / 1e6),
        }


def warm_start(**options: str) -> dict[str, Any]:
    """Seconds from ``k2 up`` to the first Gold row, on a home that has run before."""
    with new_home(**options) as home:
        _first_gold(home)
        home.k2("down")
        return {"seconds": round(_first_gold(home), 1)}


def sustained(rate: int, seconds: int, **options: str) -> dict[str, Any]:
    """A steady feed, open loop: freshness, lag over time, CPU and memory of everything."""
    with new_home(**options) as home:
        home.k2("up", "--feed", "simulate", "--rate", f"{rate}/s", "--detach")
        wait_for(lambda: len(home.gold_log()) > 3, 300, "Gold")
        time.sleep(20)  # what was waiting when the streams started is not the steady state
        begun = time.time()
        lags: list[int] = []
        with Sampler(home.owner()) as sampler:
            while time.time() - begun < seconds:
                time.sleep(1)
                lags.append(sum(stream["lag"] or 0 for stream in home.streams()))
            usage = sampler.usage()
        ended = time.time()
        time.sleep(_AFTER)  # what comes last is taken by the running service, not by the next one
        home.k2("down")
        home.k2("up", "--feed", "none", "--detach")
        home.k2("drain")
        home.require_balance()
        waited = waits(home)
        third = max(len(lags) // 3, 1)
        return {
            "rate": rate,
            "seconds": seconds,
            "freshness": waited.between(begun, ended),
            "freshness_by_minute": waited.by_minute(begun, ended),
            "lag_first_third": round(sum(lags[:third]) / third),
            "lag_last_third": round(sum(lags[-third:]) / third),
            "cores_streams_and_feed": round(usage.streams_cpu / seconds, 2),
            "cores_kafka_and_registry": round(usage.services_cpu / seconds, 2),
            "peak_memory_mb": round(usage.peak_memory / 1e6),
        }


def checks(rate: int, seconds: int, rounds: int) -> dict[str, Any]:
    """A steady feed with the scheduled quality checks and without them, in turns."""
    found: dict[str, list[dict[str, Any]]] = {"with": [], "without": []}
    for number in range(rounds):
        for name in sorted(found, reverse=bool(number % 2)):
            wanted = str(name == "with").lower()
            found[name].append(sustained(rate, seconds, quality_schedule=wanted))
    times = [
        one["freshness"]["p99"] / other["freshness"]["p99"]
        for one, other in zip(found["with"], found["without"], strict=True)
    ]
    return {"p99_times": [round(ratio, 2) for ratio in times], "runs": found}


def _first_gold(home: Home) -> float:
    before = len(home.gold_log())
    began = time.monotonic()
    up = home.spawn("up", "--feed", "simulate", "--rate", "500/s", "--detach")
    wait_for(lambda: len(home.gold_log()) > max(before, 1), 300, "first Gold row")
    seconds = time.monotonic() - began
    up.wait()
    return seconds


def as_markdown(steady: dict[str, Any]) -> str:
    """Return a steady feed's freshness by the minute, as a table and a chart."""
    minutes = steady["freshness_by_minute"]
    lines = [
        f"{steady['rate']:,} records a second, seconds from broker to Gold:",
        "",
        "| minute | p50 | p99 | most |",
        "| ---: | ---: | ---: | ---: |",
        *(f"| {n} | {m['p50']} | {m['p99']} | {m['max']} |" for n, m in enumerate(minutes, 1)),
    ]
    p99 = [minute["p99"] for minute in minutes]
    return "\n".join([*lines, "", line("p99 by the minute", "seconds", 1, p99)])
