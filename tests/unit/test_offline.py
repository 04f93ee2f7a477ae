"""Commands that work on a home's tables do so where no service runs, and ask one where it does."""

import json

import pytest

from k2.errors import UnavailableError
from k2.exchanges import exchange_named
from k2.gold.table import GOLD_TRADES
from k2.offline import local_streams, schemas_of, stored_tables
from k2.settings import Settings
from k2.topology import stream_names
from tests.support.stored_rows import store_gold

pytestmark = pytest.mark.unit


def test_all_streams_of_a_home_without_services_are_there(settings: Settings) -> None:
    streams = local_streams(settings)

    assert [stream.name for stream in streams] == stream_names()


def test_a_schema_that_was_kept_is_known_without_the_registry(settings: Settings) -> None:
    cache = settings.home / "registry-cache"
    cache.mkdir(parents=True)
    (cache / "7.avsc").write_text('"string"')

    assert schemas_of(settings).known() == {7: '"string"'}


def test_what_only_a_registry_could_say_fails_when_it_is_asked(settings: Settings) -> None:
    with pytest.raises(UnavailableError):
        schemas_of(settings).register(exchange_named("kraken"))


def test_where_a_registry_is_noted_it_is_asked(settings: Settings) -> None:
    settings.run.mkdir(parents=True)
    noted = {"kafka": "127.0.0.1:1", "registry": "http://127.0.0.1:2"}
    (settings.run / "endpoints.json").write_text(json.dumps(noted))

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:2"):
        schemas_of(settings).register(exchange_named("kraken"))


def test_stored_tables_are_those_that_there_are_with_what_lies_in_them(settings: Settings) -> None:
    assert stored_tables(settings) == []

    store_gold(settings.lake, {}, {})

    (gold,) = stored_tables(settings)
    assert (gold["table"], gold["rows"], gold["files"]) == (GOLD_TRADES.name, 2, 1)
    assert gold["bytes"] > 0
