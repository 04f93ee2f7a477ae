"""How many records a batch of Bronze takes, by their size and by what became of the batch before."""

import pytest

from k2.bronze import batch_limit
from k2.bronze.batch_limit import BatchLimit
from k2.bronze.topic_progress import bronze_checkpoint
from k2.errors import UnavailableError
from k2.exchanges.kraken import KRAKEN
from k2.settings import Settings
from k2.storage.checkpoints.offset_log import OffsetLog

pytestmark = pytest.mark.unit

TOPIC = KRAKEN.topic


class Reader:
    """A Kafka whose only partition has so many records, all of one size."""

    end, size, looked_at = 0, 0, None

    def __init__(self, _):
        pass

    def watermarks(self, _):
        return {0: (0, self.end)}

    def sizes(self, _, __, offsets):
        Reader.looked_at = offsets
        return [self.size] * len(offsets)


@pytest.fixture
def kafka(monkeypatch):
    monkeypatch.setattr(batch_limit, "CommittedReader", Reader)
    monkeypatch.setattr(Reader, "looked_at", None)

    def has(end, size):
        monkeypatch.setattr(Reader, "end", end)
        monkeypatch.setattr(Reader, "size", size)

    return has


@pytest.fixture
def limited(settings):
    settings = Settings.load(home=settings.home, max_kafka_bytes_per_batch=16_000_000)
    return BatchLimit(settings, bronze_checkpoint(settings, KRAKEN), TOPIC, "kafka:9092")


def plan(limit, end, batch=0, commit=False):
    log = OffsetLog(limit.checkpoint)
    log.plan(batch, (f'{{"{TOPIC}":{{"0":{end}}}}}',), 0, 0)
    if commit:
        log.commit(batch, 0)


def planned(limit):
    return sorted(path.name for path in (limit.checkpoint / "offsets").glob("[0-9]*"))


def test_few_records_are_not_looked_at(kafka, limited):
    kafka(end=31, size=8_000_000)

    assert limited.records(written=None) == limited.settings.max_records_per_batch
    assert Reader.looked_at is None


@pytest.mark.parametrize(
    ("size", "most"),
    [(100, 120_000), (64 * 1024, 244), (8_000_000, 2), (64_000_000, 1), (0, 120_000)],
)
def test_a_batch_takes_as_many_as_have_the_bytes_that_are_allowed(kafka, limited, size, most):
    kafka(end=12_000, size=size)

    assert limited.records(written=None) == most
    assert Reader.looked_at == list(range(0, 12_000, 1_000))


def test_what_is_read_is_not_looked_at(kafka, limited):
    kafka(end=12_000, size=100)
    plan(limited, 9_600, commit=True)

    limited.records(written=0)

    assert Reader.looked_at == list(range(9_600, 12_000, 200))


def test_a_plan_above_the_limit_that_no_table_has_is_made_anew(kafka, limited):
    kafka(end=12_000, size=64 * 1024)
    plan(limited, 100, commit=True)
    plan(limited, 12_000, batch=1)

    assert limited.records(written=0) == 244
    assert planned(limited) == ["0"]


def test_a_plan_that_the_table_has_stays_as_it_is(kafka, limited):
    kafka(end=12_000, size=64 * 1024)
    plan(limited, 12_000)

    limited.records(written=0)

    assert planned(limited) == ["0"]


def test_a_batch_that_dies_again_is_taken_in_ever_smaller_parts(kafka, limited):
    kafka(end=10_000, size=100)
    limits = []

    for _ in range(5):
        plan(limited, min([10_000, *limits]))
        limits.append(limited.records(written=None))

    assert limits == [10_000, 1_250, 64, 64, 64]


def test_all_of_a_batch_that_died_again_is_taken_in_the_smaller_parts_and_what_follows_is_not(
    kafka, limited
):
    kafka(end=20_000, size=100)
    for _ in range(2):
        plan(limited, 10_000)
        limits = limited.records(written=None)
    assert limits == 1_250

    for batch, end in enumerate(range(1_250, 10_000, 1_250)):
        plan(limited, end, batch, commit=True)
        limited.observe(1_250, 1_250 * 100)  # full, and no reason to start again
        assert limited.records(written=batch) == 1_250
    plan(limited, 10_000, 7, commit=True)

    assert limited.records(written=7) == 120_000


def test_a_part_that_dies_too_is_taken_in_parts_of_its_own(kafka, limited):
    kafka(end=10_000, size=100)
    limits = []
    for end in (10_000, 10_000, 1_250):
        plan(limited, end)
        limits.append(limited.records(written=None))
    plan(limited, 64, commit=True)
    kafka(end=10_000, size=100)

    assert limits == [10_000, 1_250, 64]
    assert limited.records(written=0) == 64


def test_records_that_become_large_make_the_query_start_again_with_a_limit_for_them(kafka, limited):
    kafka(end=0, size=0)
    assert limited.records(written=None) == 120_000

    with pytest.raises(UnavailableError, match="65,536 bytes now; batches have 244 at most"):
        limited.observe(100, 100 * 64 * 1024)

    assert limited.records(written=0) == 244
    limited.observe(244, 244 * 64 * 1024)


def test_records_that_become_small_again_make_it_start_again_once_batches_are_full(kafka, limited):
    kafka(end=12_000, size=64 * 1024)
    assert limited.records(written=None) == 244
    limited.observe(100, 100 * 100)  # it takes all there is: the limit is no hindrance

    with pytest.raises(UnavailableError, match="100 bytes now"):
        limited.observe(244, 244 * 100)

    kafka(end=0, size=0)
    assert limited.records(written=0) == 120_000


@pytest.mark.parametrize(
    ("rows", "nbytes"),
    [(3, 3 * 8_000_000), (200, 0), (244, 244 * 200_000), (244, 244 * 5_000)],
    ids=["a few", "elsewhere", "three times as large", "thirteen times smaller"],
)
def test_other_batches_leave_the_limit_as_it_is(kafka, limited, rows, nbytes):
    kafka(end=12_000, size=64 * 1024)
    limited.records(written=None)

    limited.observe(rows, nbytes)

    assert limited.records(written=None) == 244
