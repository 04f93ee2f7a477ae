"""The service beside nothing else: what it costs idle, and how fast it answers.

Records are sent at a steady rate, whether earlier ones are answered or not, as several clients would;
jobs are listed by one client, one request after the other.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

import httpx
import psutil

from benchmarks.home import Home, new_home
from benchmarks.processes import Sampler, wait_for

_IDLE_SECONDS = 60
_JOBS = 10_000
_RATE, _RATE_SECONDS = 200, 15
_LISTS = 300
_SETTLING_SECONDS = 15  # after its start a service looks at what earlier ones left


def service_api() -> dict[str, Any]:
    """Start ``k2 serve`` on an empty home; measure it idle, judging records, and listing jobs."""
    with new_home(api_port="0", metrics_port="0") as home:
        served = home.spawn("serve")
        try:
            note = home.folder / "run" / "api.json"
            wait_for(note.exists, 60, "the API")
            time.sleep(_SETTLING_SECONDS)
            idle = _idle(served.pid)
            url = json.loads(note.read_text())["url"]
            records = asyncio.run(_records(url, served.pid))
            _fill(home)
            with httpx.Client(base_url=url, timeout=30) as client:
                lists = {
                    "all": _timed(lambda: client.get("/v1/jobs")),
                    "of_a_state": _timed(lambda: client.get("/v1/jobs?state=failed")),
                    "of_a_kind": _timed(lambda: client.get("/v1/jobs?kind=maintain")),
                }
        finally:
            served.terminate()
            served.wait(60)
    return {"idle": idle, "records": records, f"lists_of_{_JOBS}_jobs": lists}


def _idle(pid: int) -> dict[str, Any]:
    with Sampler(pid) as sampler:
        time.sleep(_IDLE_SECONDS)
        # Pages that it shares with nobody else here count whole.
        memory = psutil.Process(pid).memory_full_info().pss
    cores = sampler.usage().streams_cpu / _IDLE_SECONDS
    return {"memory_mb": round(memory / 1e6, 1), "cores": round(cores, 4)}


async def _records(url: str, pid: int) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        await _judge(client, 0)  # the first loads what judges
        await _paced(client, _RATE)
        with Sampler(pid) as sampler:
            began = time.perf_counter()
            taken = await _paced(client, _RATE * _RATE_SECONDS)
            seconds = time.perf_counter() - began
    return _figures(taken) | {
        "per_second": round(len(taken) / seconds),
        "cores": round(sampler.usage().streams_cpu / seconds, 2),
    }


async def _paced(client: httpx.AsyncClient, count: int) -> list[float]:
    began = asyncio.get_running_loop().time()
    asked = []
    for number in range(count):
        await asyncio.sleep(began + number / _RATE - asyncio.get_running_loop().time())
        asked.append(asyncio.create_task(_judge(client, number)))
    return await asyncio.gather(*asked)


async def _judge(client: httpx.AsyncClient, number: int) -> float:
    now_ms = int(time.time() * 1000)
    message = {"e": "trade", "E": now_ms, "s": "BTCUSDT", "t": number, "p": "93500.10"}
    message |= {"q": "0.0012", "T": now_ms - 3, "m": False, "M": True}
    began = time.perf_counter()
    answer = await client.post("/v1/records/binance", json=message)
    taken = (time.perf_counter() - began) * 1000
    if answer.raise_for_status().json()["verdict"] != "trade":
        raise RuntimeError(f"not a trade: {answer.text}")
    return taken


def _timed(ask: Callable[[], httpx.Response]) -> dict[str, Any]:
    taken = []
    for _ in range(_LISTS):
        began = time.perf_counter()
        ask().raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
    return _figures(taken)


def _figures(milliseconds: list[float]) -> dict[str, Any]:
    cuts = quantiles(milliseconds, n=100)
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}


def _fill(home: Home) -> None:
    """Give the registry ended jobs, as many months leave them."""
    now_ms = int(time.time() * 1000)
    kinds, states = ("maintain", "quality-check", "dlq-replay"), ("completed", "failed")
    rows = [
        (f"bench-{i}", kinds[i % 3], "{}", states[i % 7 == 0], "run", now_ms, now_ms, now_ms)
        for i in range(_JOBS)
    ]
    database = sqlite3.connect(home.folder / "jobs.sqlite", timeout=30)
    try:
        with database:
            database.executemany(
                "INSERT INTO k2_job (id, kind, params, state, wish, submitted_ms, ended_ms, active_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
    finally:
        database.close()
