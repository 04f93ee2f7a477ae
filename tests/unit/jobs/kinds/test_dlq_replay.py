"""Dead letters judged again by a job: what is a trade now enters Silver, once."""

import pytest

from k2.errors import ConfigError
from k2.exchanges.kraken import KRAKEN
from k2.jobs.kinds import KINDS
from k2.jobs.model import Job, JobState
from k2.settings import Settings
from k2.silver.tables import silver_trades
from k2.storage.delta import open_table
from tests.support.jobs import engine_of, run_to_end
from tests.support.mixed_records import NEW_ID, NEW_SCHEMA, of_new_schema, trade
from tests.support.silver_lake import SilverLake

pytestmark = pytest.mark.unit


@pytest.fixture
def lake(settings: Settings) -> SilverLake:
    """A trade, one whose schema came to be known too late, and one that breaks a rule."""
    lake = SilverLake(settings)
    lake.take(trade(1), of_new_schema(2), trade(3, side="x"))
    lake.teach(NEW_ID, NEW_SCHEMA)
    return lake


def replayed(settings: Settings, **params: object) -> Job:
    """Run a job to its end."""
    with engine_of(settings, KINDS) as engine:
        return run_to_end(engine, "dlq-replay", params)


def trades(settings: Settings) -> list[int]:
    stored = open_table(settings.lake, silver_trades(KRAKEN))
    assert stored is not None
    return sorted(stored.to_pyarrow_table()["offset"].to_pylist())


def test_a_letter_whose_schema_is_known_now_becomes_a_trade_and_others_stay(
    lake: SilverLake,
) -> None:
    job = replayed(lake.settings, exchange="kraken")

    assert job.result is not None
    (found,) = job.result["exchanges"]
    assert (found["considered"], found["trades"], found["duplicates"]) == (2, 1, 0)
    assert trades(lake.settings) == [0, 1]


def test_a_letter_is_replayed_once(lake: SilverLake) -> None:
    replayed(lake.settings, exchange="kraken")

    again = replayed(lake.settings, exchange="kraken")

    assert again.result is not None
    assert (again.result["exchanges"][0]["considered"], again.rows_done) == (1, 1)
    assert trades(lake.settings) == [0, 1]


def test_a_reason_chooses_the_letters(lake: SilverLake) -> None:
    job = replayed(lake.settings, exchange="kraken", reason="side_unknown")

    assert job.result is not None
    assert job.result["exchanges"][0]["considered"] == 1
    assert trades(lake.settings) == [0]


def test_without_an_exchange_every_one_is_a_step(lake: SilverLake) -> None:
    job = replayed(lake.settings)

    assert job.result is not None
    assert [found["exchange"] for found in job.result["exchanges"]] == [
        *("binance", "kraken", "coinbase")
    ]
    assert (job.state, job.steps_done) == (JobState.COMPLETED, 3)


def test_a_home_without_letters_has_nothing_to_do_which_is_a_failure(settings: Settings) -> None:
    job = replayed(settings)

    assert job.error is not None
    assert "dlq-replay found nothing to do" in job.error["message"]


def test_an_exchange_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="krakn"):
        KINDS.named("dlq-replay").validated({"exchange": "krakn"})
