"""Aggregates and contracts in a simulated stream, and the manifest that knows their fills."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from k2.avro.encoding import encoder
from k2.avro.schema_files import schema_text
from k2.bronze.table import bronze_trades
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES
from k2.feeds.simulator.manifest import Manifest, Tally
from k2.feeds.simulator.simulation import Progress, SimulatedFeed, Simulation
from k2.settings import Settings
from k2.upgrade.build import Build
from k2.upgrade.plan import Workplace, make_plan
from tests.checker.manifest import check_manifest
from tests.checker.sent import facts_of
from tests.support.trades import append, bronze_row

pytestmark = pytest.mark.unit

START = 1_788_000_000_000_000
FILES = [file for exchange in EXCHANGES for file in exchange.raw_schemas]
SCHEMAS = {number: schema_text(file) for number, file in enumerate(FILES, 1)}
ENCODERS = {file: encoder(schema_text(file), number) for number, file in enumerate(FILES, 1)}


class Registry:
    """Knows the schemas by the numbers that the records have."""

    def schema_by_id(self, schema_id):
        return SCHEMAS.get(schema_id)


def simulated(count, progress=None, **shares):
    feed = SimulatedFeed(
        Simulation(START, 50_000.0, broker_times=True, **shares), ENCODERS, progress or Progress()
    )
    records = list(itertools.islice(itertools.chain.from_iterable(feed.blocks()), count))
    return records, feed.progress


def manifest_of(records, path):
    manifest = Manifest(path)
    manifest.write(records)
    manifest.close()
    tally = Tally()
    tally.count(record.fact for record in records)
    return tally


def test_tables_of_aggregates_and_contracts_are_as_the_manifest_says(tmp_path):
    records, _ = simulated(6_000, aggregates=0.4, contracts=0.3, bad=0.01, duplicates=0.05)
    manifest_of(records, tmp_path / "manifest")
    settings = Settings(home=tmp_path)
    workplace = Workplace(settings)
    for exchange in EXCHANGES:
        mine = [record for record in records if record.topic == exchange.topic]
        rows = [
            bronze_row(exchange, record.value, offset)
            | {
                "key": record.key,
                "kafka_timestamp": datetime.fromtimestamp(0, UTC)
                + timedelta(milliseconds=record.broker_time_ms),
            }
            for offset, record in enumerate(mine)
        ]
        for home in (settings, workplace.build):
            append(home.lake, bronze_trades(exchange), rows)

    plan = make_plan(settings, EXCHANGES)
    Build(workplace, plan, EXCHANGES, Registry()).run(lambda _: None)

    assert check_manifest(workplace.build.home, [tmp_path / "manifest"]) == []


def test_all_that_a_setting_promises_is_there(tmp_path):
    records, _ = simulated(6_000, aggregates=0.4, contracts=0.3)
    manifest_of(records, tmp_path / "manifest")
    facts = list(facts_of(tmp_path / "manifest"))

    aggregates = Counter(fact.kind for fact in facts if fact.ids)
    contracts = Counter(fact.kind for fact in facts if fact.contract)

    assert aggregates["trade"] > aggregates["duplicate"] > 20
    assert contracts["trade"] > 500
    assert contracts["bad"] > 5
    assert sum(not fact.counts for fact in facts) > 5
    assert {len(fact.fills) for fact in facts if fact.ids} == {2, 3, 4, 5}


def test_without_the_settings_there_is_neither():
    records, _ = simulated(2_000)

    assert not [r for r in records if r.fact.ids or r.fact.contract or not r.fact.counts]


def test_a_later_run_goes_on_with_the_numbers_of_contracts_and_aggregates(tmp_path):
    first, progress = simulated(2_048, aggregates=0.4, contracts=0.3)
    second, _ = simulated(2_048, progress, aggregates=0.4, contracts=0.3)

    def numbers(records, wanted):
        return {
            (r.fact.symbol, r.fact.trade_id)
            for r in records
            if wanted(r.fact) and r.fact.kind in ("trade", "late", "bad")
        }

    for wanted in (lambda fact: fact.contract, lambda fact: fact.ids is not None):
        assert numbers(first, wanted)
        assert not numbers(first, wanted) & numbers(second, wanted)


@pytest.mark.parametrize("name", ["aggregates", "contracts"])
def test_a_share_beyond_all_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name}=1.1"):
        simulated(1, **{name: 1.1})
