"""``simulate``: simulated trades into Kafka, some seconds of them a step."""

from functools import partial
from threading import Event, Thread
from time import time_ns
from typing import Any

from pydantic import Field

from k2.jobs.job_run import JobRun
from k2.jobs.kinds.kind import JobKind, JobParams
from k2.jobs.model import StepResult

_STEP_SECONDS = 4.0
_LOOK_SECONDS = 0.25


class SimulateParams(JobParams):
    """How many records, and how fast. The same seed on a new home gives the same records."""

    records: int = Field(ge=1, le=100_000_000, description="How many records.")
    rate: float = Field(500.0, gt=0, le=50_000, description="Records a second.")
    seed: int = Field(7, ge=0, le=2**31, description="Same seed, same records.")
    duplicates: float = Field(0.02, ge=0, le=1, description="Share of records sent before.")
    late: float = Field(0.01, ge=0, le=1, description="Share of trades over 5 min late.")
    bad: float = Field(0.005, ge=0, le=1, description="Share of bad records, of every kind.")
    kraken: float = Field(0.2, ge=0, le=1, description="Share of trades on Kraken.")
    coinbase: float = Field(0.15, ge=0, le=1, description="Share of trades on Coinbase.")


def run_simulate(run: JobRun, params: SimulateParams) -> dict[str, Any]:
    """Send what is asked for. Ids go on from the last simulation of the home, so that a step that
    runs again sends other records.
    """
    run.expect(params.records)
    size = max(int(params.rate * _STEP_SECONDS), 1)
    sent: dict[str, int] = {}
    while (done := sum(sent.values())) < params.records:
        count = min(size, params.records - done)
        data = run.step(f"send from {done + 1}", partial(_send, run, params, count)).data
        for name, records in data.items():
            sent[name] = sent.get(name, 0) + records
    return {"records": sent}


def _send(run: JobRun, params: SimulateParams, count: int) -> StepResult:
    from k2.avro.encoding import Encoder, encoder
    from k2.avro.schema_files import schema_text
    from k2.connectors.schema_registry import SchemaRegistry
    from k2.exchanges import EXCHANGES
    from k2.feeds.producer import FeedProducer
    from k2.feeds.simulator.feed_files import read_progress
    from k2.feeds.simulator.simulation import SimulatedFeed, Simulation
    from k2.feeds.simulator.simulator import FeedFiles, Schedule, Simulator
    from k2.feeds.topics import prepare_topics
    from k2.home.endpoints import find_endpoints
    from k2.home.locks import exclusive

    settings, endpoints = run.settings, find_endpoints(run.settings)
    registry = SchemaRegistry(endpoints.registry)
    encoders: dict[str, Encoder] = {}
    for exchange in EXCHANGES:
        prepare_topics(endpoints, exchange, settings.topic_partitions)
        for file, schema_id in registry.register(exchange).items():
            encoders[file] = encoder(schema_text(file), schema_id)
    simulation = Simulation(
        *(time_ns() // 1000, 1e6 / params.rate, params.seed, params.duplicates, 0.3),
        *(params.late, params.bad, params.kraken, params.coinbase),
        block_size=min(max(int(params.rate / 4), 16), 2_048),
    )
    progress = settings.run / "simulator.json"
    with exclusive(settings.run / "locks", ["simulator"], "a simulation"):
        feed = SimulatedFeed(simulation, encoders, read_progress(progress))
        with FeedProducer(endpoints.kafka) as producer:
            stop = Event()
            simulator = Simulator(
                feed, producer, Schedule(params.rate, count), FeedFiles(progress), stop=stop
            )
            _run_until_told(run, simulator, stop)
    tally = simulator.tally.as_json()
    records = {name: counts["records"] for name, counts in tally.items()}
    return StepResult(rows=sum(records.values()), data=records)


def _run_until_told(run: JobRun, simulator: Any, stop: Event) -> None:
    """Run it in a thread, so that the end of the process need not wait for the step's seconds: what
    was sent until then is the step's result.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            simulator.run()
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=work, name="k2-simulate")
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
        if run.stopping.is_set():
            stop.set()
    if failures:
        raise failures[0]


SIMULATE = JobKind("simulate", "Send simulated trades to Kafka.", SimulateParams, run_simulate)
