"""Dead letters for people: clustered, found by their place, decoded where the bytes say."""

import pytest

from k2.exchanges import EXCHANGES
from k2.exchanges.kraken import KRAKEN
from k2.silver.dead_letters.report import (
    all_dead_letters,
    clusters,
    dead_letter_at,
    decoded,
    newest_dead_letters,
)
from k2.silver.tables import dead_letters
from tests.support.balanced_lake import TOPIC, dead_letter
from tests.support.trades import BINANCE_ID, SCHEMA_TEXT, append, binance_raw, framed, header

pytestmark = pytest.mark.unit


@pytest.fixture
def lake(tmp_path):
    rule = {"error_type": "rule", "error_reasons": ["price_not_positive", "side_unknown"]}
    letters = [dead_letter(7), dead_letter(3), dead_letter(5) | rule]
    append(tmp_path, dead_letters(KRAKEN), letters)
    return tmp_path


def test_like_ones_are_one_cluster_with_the_first_as_sample(lake):
    found = clusters(lake, EXCHANGES)

    assert [(c.exchange, c.error_reasons, c.count, c.sample) for c in found] == [
        ("kraken", ["wrong_magic_byte"], 2, f"{TOPIC}-0@3"),
        ("kraken", ["price_not_positive", "side_unknown"], 1, f"{TOPIC}-0@5"),
    ]


def test_a_lake_without_tables_has_no_clusters(tmp_path):
    assert clusters(tmp_path, EXCHANGES) == []


def test_one_is_found_by_its_place(lake):
    letter = dead_letter_at(lake, KRAKEN, TOPIC, 0, 5)

    assert letter is not None
    assert (letter["offset"], letter["error_type"], letter["outcome"]) == (5, "rule", None)


def test_there_is_none_where_there_is_none(lake):
    assert dead_letter_at(lake, KRAKEN, TOPIC, 0, 4) is None


def test_the_newest_come_first(lake):
    assert [letter["offset"] for letter in newest_dead_letters(lake, KRAKEN, 2)] == [7, 5]


def test_all_come_by_offset(lake):
    offsets = [o for batch in all_dead_letters(lake, KRAKEN) for o in batch["offset"].to_pylist()]

    assert offsets == [3, 5, 7]


def test_a_record_is_decoded_with_its_writers_schema():
    assert decoded(framed(binance_raw()), SCHEMA_TEXT) == binance_raw()


def test_bytes_after_the_record_are_not_held_against_it():
    assert decoded(framed(binance_raw()) + b"x", SCHEMA_TEXT) == binance_raw()


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\0\0\0", b"\1" + bytes(9), header(99) + b"x", header(BINANCE_ID) + b"\xff" * 40],
)
def test_what_cannot_be_decoded_is_nothing(value):
    assert decoded(value, SCHEMA_TEXT) is None
