"""A live feed beside a local websocket server: trades a second of one process, and its way to Kafka.

The server is a process of its own that sends the documented messages of Binance's spot trades.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Consumer
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.home import Home, new_home
from benchmarks.processes import Sampler

_TOPIC = "market.crypto.trades.binance.raw"
_WARM_SECONDS = 3.0
_METRICS_PORT = 8030


def live_feed(flood: int = 300_000, rate: int = 2_000, seconds: int = 30) -> dict[str, Any]:
    """Flood one feed process, then send to it steadily, then nothing at all."""
    with new_home() as home:
        home.k2("up", "--feed", "none", "--no-streams", "--detach")
        flooded = _run(home, count=flood, rate=0, seconds=0)
        steady = _run(home, count=rate * seconds, rate=rate, seconds=seconds)
        idle = _run(home, count=1, rate=1, seconds=20)
    return {
        "trades_per_second": round(flood / flooded["seconds"]),
        "cores": round(flooded["cpu"] / flooded["seconds"], 2),
        "trades_per_cpu_second": round(flood / flooded["cpu"]),
        "receive_to_consumer_ms": steady["latency_ms"],
        # By the producer's own statistics of the last 5 s: its queue, there and back.
        "receive_to_broker_p99_ms": round(steady["broker_seconds"] * 1000, 1),
        "idle_cores": round(idle["cpu"] / idle["seconds"], 4),
    }


def _run(home: Home, count: int, rate: int, seconds: int) -> dict[str, Any]:
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live_feed", str(count), str(rate)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    config = Path(home.folder, "feeds.toml")
    address = f'url = "ws://127.0.0.1:{port}/stream"\nhistory_url = "http://127.0.0.1:1"\n'
    config.write_text(f'[services.binance-spot]\nmarkets = ["BTCUSDT"]\n{address}')
    for state in (home.folder / "run" / "feeds").glob("*.json"):
        state.unlink()  # each run has numbers of its own
    consumer = Consumer(
        {
            **{"bootstrap.servers": home.kafka(), "group.id": f"bench-{port}"},
            **{"auto.offset.reset": "latest", "fetch.wait.max.ms": 5},
        }
    )
    consumer.subscribe([_TOPIC])
    consumer.poll(5.0)
    feed = home.spawn("feed", "run", "--config", str(config))
    waits: list[float] = []
    found, first, last, cpu = 0, 0.0, 0.0, 0.0
    idle_until = time.monotonic() + 60 + seconds
    with Sampler(feed.pid) as sampler:
        while found < count and time.monotonic() < idle_until:
            one = consumer.poll(0.05)
            # To ask for many with a timeout would wait for all of them.
            messages = [] if one is None else [one, *consumer.consume(1_000, 0)]
            now = time.time()
            if messages and not found:
                first = time.monotonic()
            for message in messages:
                found += 1
                waits.append(now * 1000 - message.timestamp()[1])
            last = time.monotonic() if messages else last
        if count == 1:
            before = sampler.usage().streams_cpu
            time.sleep(seconds)
            cpu, first, last = sampler.usage().streams_cpu - before, 0.0, float(seconds)
        else:
            cpu = sampler.usage().streams_cpu
    broker_seconds = _broker_seconds()
    consumer.close()
    feed.terminate()
    feed.wait()
    server.terminate()
    server.wait()
    if found < count:
        raise RuntimeError(f"{found:,} of {count:,} trades came")
    waits = sorted(waits[int(rate * _WARM_SECONDS) :] or waits)
    quantiles = {
        f"p{q}": round(waits[min(len(waits) * q // 100, len(waits) - 1)]) for q in (50, 99)
    }
    return {
        **{"seconds": max(last - first, 0.001), "cpu": cpu, "latency_ms": quantiles},
        "broker_seconds": broker_seconds,
    }


def _broker_seconds() -> float:
    page = httpx.get(f"http://127.0.0.1:{_METRICS_PORT}/metrics", timeout=10.0).text
    found = re.findall(r"^k2_feed_broker_latency_seconds\{.*\} (\S+)$", page, re.MULTILINE)
    return max(map(float, found), default=0.0)


async def _serve(count: int, rate: int) -> None:
    async def send(socket: ServerConnection) -> None:
        request = json.loads(await socket.recv())
        await socket.send(json.dumps({"result": None, "id": request["id"]}))
        base = time.time_ns() // 1_000_000
        began = time.monotonic()
        for number in range(count):
            data = (
                f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{base},"s":"BTCUSDT",'
                f'"t":{number},"p":"61837.63000000","q":"0.00012000","T":{base},"m":true,"M":true}}}}'
            )
            await socket.send(data)
            ahead = number / rate - (time.monotonic() - began) if rate else 0.0
            if ahead > 0.001:
                await asyncio.sleep(ahead)
        await socket.wait_closed()

    async with serve(send, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
