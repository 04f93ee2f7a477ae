"""``k2 dlq`` for people and for scripts: what there is, each one closely, and all of it in a file."""

import base64
import json
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from k2.avro.schema_files import schema_text
from k2.exchanges.kraken import KRAKEN
from k2.settings import Settings
from k2.silver.tables import dead_letters, resolutions
from k2.topology import schema_cache
from tests.support.trades import BROKER_TIME, KRAKEN_V2_ID, append, framed, kraken_raw

pytestmark = pytest.mark.unit

TOPIC = KRAKEN.topic
READABLE = framed(kraken_raw(side="x"))
GARBAGE = b"\x06nonsense"


def letter(offset, raw, error_type="decode", reasons=("wrong_magic_byte",), schema_id=None):
    seen = BROKER_TIME + timedelta(minutes=offset)
    return {
        "raw_record": raw,
        "error_type": error_type,
        "error_reasons": list(reasons),
        "stage": "silver",
        "topic": TOPIC,
        "partition": 0,
        "offset": offset,
        "schema_id": schema_id,
        "kafka_timestamp": seen,
        "error_timestamp": seen,
        "dlq_date": seen.date(),
    }


def damage_pages(table):
    """Overwrite what a file's footer points at, so that only reading its rows finds it out."""
    file, *_ = table.rglob("*.parquet")
    content = file.read_bytes()
    size = int.from_bytes(content[-8:-4], "little") + 8
    file.write_bytes(b"PAR1" + b"\xff" * (len(content) - size - 4) + content[-size:])


@pytest.fixture
def letters(home):
    """Two of garbage, a null, one that breaks a rule, and one that a replay has put right."""
    stored = [
        letter(1, GARBAGE),
        letter(2, GARBAGE),
        letter(3, None, reasons=["null_value"]),
        letter(4, READABLE, "rule", ["side_unknown"], KRAKEN_V2_ID),
        letter(5, framed(kraken_raw()), "schema", ["unknown_schema_id"], 99),
    ]
    append(home / "lake", dead_letters(KRAKEN), stored)
    resolved = {
        "topic": TOPIC,
        "partition": 0,
        "offset": 5,
        "outcome": "trade",
        "message_id": "kraken-20260707-1",
        "replay_id": "r1",
        "resolved_at": BROKER_TIME,
        "kafka_timestamp": BROKER_TIME,
        "resolved_date": BROKER_TIME.date(),
    }
    append(home / "lake", resolutions(KRAKEN), [resolved])
    # As after a run: what the registry told is on disk.
    cache = schema_cache(Settings.load(home=home), "")
    cache.mkdir(parents=True)
    (cache / f"{KRAKEN_V2_ID}.avsc").write_text(schema_text("kraken_raw_trade_v2.avsc"))
    return stored


def listed(said):
    return {c["sample"]: c for c in json.loads(said.out)}


def test_the_list_has_a_cluster_for_each_way_to_be_wrong(k2, letters):
    found = listed(k2("dlq", "list", "--json"))

    assert {sample: c["count"] for sample, c in found.items()} == {
        f"{TOPIC}-0@1": 2,
        f"{TOPIC}-0@3": 1,
        f"{TOPIC}-0@4": 1,
        f"{TOPIC}-0@5": 1,
    }
    garbage, rule = found[f"{TOPIC}-0@1"], found[f"{TOPIC}-0@4"]
    assert (garbage["first_seen"] < garbage["last_seen"]) is True
    assert (rule["exchange"], rule["error_type"], rule["error_reasons"], rule["schema_id"]) == (
        *("kraken", "rule", ["side_unknown"]),
        KRAKEN_V2_ID,
    )
    assert [c["resolved"] for c in found.values()] == [False, False, False, True]


def test_the_list_for_people_keeps_the_resolved_ones_apart(k2, letters):
    said = k2("dlq", "list").out

    still_open, resolved = said.split("Resolved dead letters")
    assert "wrong_magic_byte" in still_open
    assert "unknown_schema_id" in resolved
    assert "unknown_schema_id" not in still_open


def test_the_list_of_another_exchange_is_empty(k2, letters):
    said = k2("dlq", "list", "--exchange", "binance")

    assert (said.code, said.out) == (0, "There are no dead letters.\n")


def test_one_is_shown_by_its_place_in_hex_and_decoded(k2, letters):
    (shown,) = json.loads(k2("dlq", "show", f"{TOPIC}-0@4", "--json").out)

    assert (shown["hex"], shown["bytes"]) == (READABLE.hex(), len(READABLE))
    assert shown["decoded"] == kraken_raw(side="x")
    assert (shown["topic"], shown["partition"], shown["offset"]) == (TOPIC, 0, 4)


def test_what_cannot_be_decoded_is_shown_as_bytes_alone(k2, letters):
    garbage, null = (
        json.loads(k2("dlq", "show", f"{TOPIC}-0@{offset}", "--json").out)[0] for offset in (1, 3)
    )

    assert (garbage["hex"], garbage["decoded"]) == (GARBAGE.hex(), None)
    assert (null["hex"], null["bytes"], null["decoded"]) == (None, None, None)


def test_a_resolved_one_says_when_and_how(k2, letters):
    (shown,) = json.loads(k2("dlq", "show", f"{TOPIC}-0@5", "--json").out)

    assert (shown["outcome"], shown["replay_id"]) == ("trade", "r1")
    assert shown["resolved_at"]


def test_the_newest_of_an_exchange_are_shown(k2, letters):
    shown = json.loads(k2("dlq", "show", "--exchange", "kraken", "--limit", 2, "--json").out)

    assert [one["offset"] for one in shown] == [5, 4]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say which"),
        ([f"{TOPIC}-0@4", "--exchange", "kraken"], "Say which"),
        (["nonsense"], "'nonsense' is no record"),
        ([f"{TOPIC}-0@9"], f"{TOPIC}-0@9 is not a dead letter of Kraken"),
        (["some.topic-0@4"], "No exchange's topic is 'some.topic'"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(k2, letters, arguments, sentence):
    said = k2("dlq", "show", *arguments)

    assert said.code == 2
    assert sentence in said.err


def test_all_are_exported_as_lines_with_their_bytes(k2, letters, tmp_path):
    to = tmp_path / "letters.jsonl"

    said = k2("dlq", "export", "--exchange", "kraken", "--to", to)

    rows = [json.loads(line) for line in to.read_text().splitlines()]
    values = [row["raw_record"] and base64.b64decode(row["raw_record"]) for row in rows]
    assert said.out == f"5 dead letters in {to}.\n"
    assert [row["offset"] for row in rows] == [1, 2, 3, 4, 5]
    assert values == [row["raw_record"] for row in letters]
    assert [row["outcome"] for row in rows] == [None] * 4 + ["trade"]


def test_all_are_exported_as_parquet(k2, letters, tmp_path):
    to = tmp_path / "letters.parquet"

    k2("dlq", "export", "--exchange", "kraken", "--to", to)

    stored = pq.read_table(to)
    assert stored["raw_record"].to_pylist() == [row["raw_record"] for row in letters]
    assert stored["error_reasons"].to_pylist() == [row["error_reasons"] for row in letters]


@pytest.mark.parametrize("name", ["letters.csv", "missing/letters.jsonl"])
def test_a_file_that_cannot_be_written_is_named(k2, letters, tmp_path, name):
    said = k2("dlq", "export", "--exchange", "kraken", "--to", tmp_path / name)

    assert said.code == 2
    assert "letters" in said.err


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_table_that_breaks_off_leaves_the_file_that_was_there(
    k2, home, letters, tmp_path, ending
):
    to = tmp_path / f"letters.{ending}"
    to.write_text("what was there\n")
    damage_pages(home / "lake" / dead_letters(KRAKEN).name)

    said = k2("dlq", "export", "--exchange", "kraken", "--to", to)

    assert said.code == 1
    assert to.read_text() == "what was there\n"
    assert not list(tmp_path.glob(".*.draft"))


@pytest.mark.parametrize("arguments", [["export", "--to", "x.jsonl"], ["show"]])
def test_a_home_without_tables_is_named(k2, home, arguments):
    said = k2("dlq", *arguments, "--exchange", "kraken")

    assert said.code == 2
    assert str(home) in said.err
