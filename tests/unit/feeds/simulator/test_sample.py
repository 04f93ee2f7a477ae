"""Sample recordings: an exchange's own messages, which its parser reads back to the simulated records."""

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard

from k2.exchanges import EXCHANGES, exchange_named
from k2.exchanges.parsers import PARSERS
from k2.feeds.recorded_exchange import require_exchange
from k2.feeds.recordings import Recording
from k2.feeds.simulator.messages import message_of
from k2.feeds.simulator.sample import write_sample
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.silver.validation import validate_lines

pytestmark = pytest.mark.unit

NAMES = [exchange.name for exchange in EXCHANGES]
START_US = 1_783_414_800_000_000  # 2026-07-07T09:00Z
SIMULATION = Simulation(START_US, 2_000.0, duplicates=0.1)


def raw_records(simulation: Simulation) -> list[tuple[str, dict[str, Any]]]:
    """Return the records of a simulation before they are encoded, each with its exchange."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def keep(exchange: str):
        return lambda raw: seen.append((exchange, dict(raw))) or b""

    encoders = {s: keep(e.name) for e in EXCHANGES for s in e.raw_schemas}
    list(islice(SimulatedFeed(simulation, encoders, Progress()).blocks(), 3))
    return seen


def test_each_message_is_parsed_to_the_record_that_it_was_made_of():
    records = raw_records(Simulation(START_US, 2_000.0, bad=0, aggregates=0.3, contracts=0.3))

    for exchange, raw in records:
        parsed = PARSERS[exchange](message_of(exchange, raw), raw["ingestion_timestamp"])
        (found,) = parsed.trades
        said = {name: value for name, value in raw.items() if value is not None}
        assert said.items() <= found.items() | {
            ("sequence_in_message", raw.get("sequence_in_message"))
        }
    assert {exchange for exchange, _ in records} == set(NAMES)
    assert any(raw.get("event_type") == "aggTrade" for _, raw in records)
    assert any("trade_id" not in raw for exchange, raw in records if exchange == "kraken")


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_becomes_trades_and_no_dead_letter(tmp_path: Path, name: str):
    exchange = exchange_named(name)
    write_sample(SIMULATION, exchange, 300, tmp_path / "s.ndjson")

    require_exchange(tmp_path / "s.ndjson", exchange)  # it is known for what it is
    found = validate_lines(exchange, iter(Recording(tmp_path / "s.ndjson")))

    assert (found.messages, found.trades) == (300, 300)
    assert found.rejected == {}
    assert found.dead_letters == {}
    assert found.repeated > 0


@pytest.mark.parametrize(
    ("name", "unpack"),
    [
        ("s.ndjson", bytes),
        ("s.ndjson.gz", gzip.decompress),
        (
            "s.ndjson.zst",
            lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        ),
    ],
)
def test_a_sample_is_packed_as_its_name_says_and_the_same_every_time(tmp_path, name, unpack):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_sample(SIMULATION, exchange_named("kraken"), 50, tmp_path / folder / name)

    packed = (tmp_path / "a" / name).read_bytes()
    assert packed == (tmp_path / "b" / name).read_bytes()
    lines = unpack(packed).splitlines()
    assert len(lines) == 50
    assert all(json.loads(line) for line in lines)
    assert [file.name for file in (tmp_path / "a").iterdir()] == [name]
