"""Bronze is decided again without a registry: from what it told before, or with the reason why not."""

from datetime import UTC, datetime

import pytest

from k2.errors import UnavailableError
from k2.exchanges.kraken import KRAKEN
from k2.silver.known_schemas import KnownSchemas
from k2.silver.tables import dead_letters
from tests.support.trades import append

pytestmark = pytest.mark.unit

TOLD, UNKNOWN, NEVER_SEEN = 1, 99, 7


class StoppedRegistry:
    """Answers from its cache, which has one schema."""

    def schema_by_id(self, schema_id: int) -> str | None:
        if schema_id == TOLD:
            return "a schema"
        raise UnavailableError("The registry does not answer.")


@pytest.fixture
def schemas(tmp_path) -> KnownSchemas:
    seen = datetime(2026, 7, 7, 9, 30, tzinfo=UTC)
    letter = {
        **{"raw_record": b"", "error_type": "schema", "error_reasons": ["unknown_schema_id"]},
        **{"stage": "silver", "topic": KRAKEN.topic, "partition": 0, "offset": 5},
        **{"schema_id": UNKNOWN, "kafka_timestamp": seen, "error_timestamp": seen},
        "dlq_date": seen.date(),
    }
    append(tmp_path, dead_letters(KRAKEN), [letter])
    return KnownSchemas(StoppedRegistry(), tmp_path, KRAKEN)


def test_what_the_registry_told_is_known(schemas):
    assert schemas.schema_by_id(TOLD) == "a schema"


def test_an_id_that_made_dead_letters_makes_them_again(schemas):
    assert schemas.schema_by_id(UNKNOWN) is None


def test_an_id_that_nobody_tells_is_named_with_the_reason(schemas):
    sentence = f"records of schema {NEVER_SEEN}, which neither .* The registry does not answer"

    with pytest.raises(UnavailableError, match=sentence):
        schemas.schema_by_id(NEVER_SEEN)
