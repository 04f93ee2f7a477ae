"""What a step must have taken is fixed at one moment: what comes later is no part of it."""

import pytest

from k2.bronze.table import bronze_trades
from k2.exchanges.kraken import KRAKEN
from k2.quality.step_goal import step_goal
from k2.silver.tables import silver_trades
from k2.storage.table import Layer
from tests.support.balanced_lake import TOPIC, bronze, commit, commit_kafka
from tests.support.streams import idle_stream

pytestmark = pytest.mark.unit


BRONZE = idle_stream(Layer.BRONZE, KRAKEN, bronze_trades(KRAKEN), unread=lambda: 0)
SILVER = idle_stream(Layer.SILVER, KRAKEN, silver_trades(KRAKEN), reads=(bronze_trades(KRAKEN),))


def test_bronze_has_to_reach_the_end_that_kafka_had(settings):
    goal = step_goal(settings, [BRONZE], {TOPIC: {0: (0, 10)}})
    left = [goal.rows_left()]

    for batch, end in enumerate((4, 10, 25)):
        commit_kafka(settings, end, batch=batch)
        left.append(goal.rows_left())

    assert left == [10, 6, 0, 0]


def test_silver_has_to_take_what_bronze_had(settings):
    bronze(settings, 0, 1)
    commit(settings, SILVER.app_id, bronze_trades(KRAKEN))
    bronze(settings, 2, 3, 4)
    goal = step_goal(settings, [SILVER], {})
    bronze(settings, 5)
    before = goal.rows_left()

    commit(settings, SILVER.app_id, bronze_trades(KRAKEN), batch=1)
    bronze(settings, 6)

    assert (before, goal.rows_left()) == (3, 0)


def test_a_stream_that_never_ran_has_everything_to_take(settings):
    bronze(settings, 0, 1)

    assert step_goal(settings, [SILVER], {}).rows_left() == 2
