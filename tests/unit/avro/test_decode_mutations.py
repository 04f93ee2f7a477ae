"""Ten thousand damaged records at once: each is a trade or a dead letter, and nothing raises."""

import json
import random
from datetime import timedelta
from io import BytesIO

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from k2.avro.decode import decode
from k2.exchanges.kraken import KRAKEN
from k2.silver.transform import to_silver
from tests.fixtures.crypto_fixtures import CryptoDataFactory
from tests.support.trades import (
    INSTRUMENTS,
    KRAKEN_V1_ID,
    KRAKEN_V2_ID,
    READER,
    SCHEMA_TEXT,
    bronze_table,
    each,
    framed,
    header,
    kraken_raw,
)

pytestmark = pytest.mark.unit

COUNT = 10_000
WRITERS = {id_: SCHEMA_TEXT[id_] for id_ in (KRAKEN_V1_ID, KRAKEN_V2_ID)}
PARSED = {id_: parse_schema(json.loads(text)) for id_, text in WRITERS.items()}


def corpus(seed=20260707):
    """Good records of both versions, most of them damaged in one to three places."""
    chance = random.Random(seed)
    trades = CryptoDataFactory().kraken_sequence(COUNT, timedelta(minutes=4))
    for trade in trades:
        if chance.random() < 0.5:
            v1 = {k: v for k, v in trade.items() if k not in ("trade_id", "sequence_in_message")}
            value = bytearray(framed(v1, KRAKEN_V1_ID))
        else:
            value = bytearray(framed(trade, KRAKEN_V2_ID))
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            damage(value, chance)
        yield bytes(value)


def damage(value, chance):
    place = chance.randrange(len(value) + 1)
    match chance.randrange(7):
        case 0 if value:
            value[place - 1] ^= 1 << chance.randrange(8)
        case 1:
            del value[place:]
        case 2:
            value[place:place] = chance.randbytes(chance.randrange(1, 9))
        case 3:
            del value[place : place + chance.randrange(1, 9)]
        case 4:
            # A varint that claims a lot.
            value[place : place + 1] = b"\xff" * chance.randrange(1, 10) + b"\x0f"
        case 5:
            value[:5] = header(chance.choice((KRAKEN_V1_ID, KRAKEN_V2_ID, 99)))
        case _:
            value[5:] = chance.randbytes(chance.randrange(200))


def is_a_record(value):
    """What another Avro library says: known id, readable, and the same bytes when written again."""
    schema = PARSED.get(int.from_bytes(value[1:5], "big"))
    if len(value) < 5 or value[0] or schema is None:
        return False
    try:
        record = schemaless_reader(BytesIO(value[5:]), schema, None)
        again = BytesIO()
        schemaless_writer(again, schema, record)
    except UnicodeDecodeError:
        return None  # test_text_that_is_not_unicode_does_not_decode
    except (EOFError, ValueError, IndexError, OverflowError, MemoryError, TypeError):
        return False
    return again.getvalue() == value[5:]


@pytest.fixture(scope="module")
def values():
    return list(corpus())


@pytest.fixture(scope="module")
def bronze(values):
    return bronze_table(KRAKEN, values)


def test_a_damaged_record_decodes_exactly_when_another_library_agrees(bronze, values):
    found = decode(bronze["value"], WRITERS, READER["kraken"])

    decoded = set(found.rows.tolist())
    assert sorted([*found.rows, *found.unread]) == list(range(COUNT))
    wanted = {offset: is_a_record(value) for offset, value in enumerate(values)}
    assert [o for o, sure in wanted.items() if sure is not None and sure != (o in decoded)] == []
    assert COUNT * 0.2 < len(decoded) < COUNT * 0.8


def test_every_record_is_a_trade_or_a_dead_letter_with_reasons(bronze, values):
    rows = each(to_silver(bronze, KRAKEN, WRITERS, READER["kraken"], INSTRUMENTS["kraken"]))

    assert sorted(row.offset for row in rows) == list(range(COUNT))
    assert COUNT * 0.2 < sum(row.outcome == "trade" for row in rows) < COUNT * 0.8
    for row in rows:
        if row.outcome == "trade":
            assert row.error_type is row.error_reasons is row.raw_record is row.stage is None
            assert None not in (row.message_id, row.price, row.quantity, row.timestamp, row.side)
        else:
            assert row.outcome == "dead_letter"
            assert row.error_type in ("decode", "schema", "rule")
            assert row.error_reasons
            assert bytes(row.raw_record) == values[row.offset]
            assert row.price is row.timestamp is None


def test_judging_again_gives_the_same_rows(bronze):
    first, second = (
        to_silver(bronze, KRAKEN, WRITERS, READER["kraken"], INSTRUMENTS["kraken"]).sort_by(
            "offset"
        )
        for _ in range(2)
    )

    assert first.equals(second)


def test_text_that_is_not_unicode_does_not_decode():
    value = framed(kraken_raw(misc="??")).replace(b"??", b"\xff\xfe")

    (row,) = each(
        to_silver(
            bronze_table(KRAKEN, [value]), KRAKEN, WRITERS, READER["kraken"], INSTRUMENTS["kraken"]
        )
    )

    assert (row.outcome, row.error_reasons) == ("dead_letter", ["invalid_utf8"])
