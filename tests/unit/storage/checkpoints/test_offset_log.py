"""A checkpoint kept in Spark's form: what a batch will have read, and that it is written."""

import json

import pytest

from k2.storage.checkpoints.offset_log import (
    NOTHING_YET,
    OffsetLog,
    Position,
    newest,
    next_version,
    table_offset,
)

pytestmark = pytest.mark.unit

# As Spark 4.0.2 and Delta 4.2.0 write them.
SPARKS_OFFSETS = (
    'v1\n{"batchWatermarkMs":1795305579884,"batchTimestampMs":1795305887212,'
    '"conf":{"spark.sql.shuffle.partitions":"2"}}\n'
    '{"sourceVersion":1,"reservoirId":"t","reservoirVersion":167,"index":-1,'
    '"isStartingVersion":false}\n-'
)
SPARKS_COMMIT = 'v1\n{"nextBatchWatermarkMs":1795305581830}'


@pytest.fixture
def log(tmp_path):
    return OffsetLog(tmp_path)


def spark_wrote(checkpoint, batch, commit=True):
    for kind, text in (("offsets", SPARKS_OFFSETS), ("commits", SPARKS_COMMIT)):
        (checkpoint / kind).mkdir(exist_ok=True)
        if commit or kind == "offsets":
            (checkpoint / kind / str(batch)).write_text(text)
            (checkpoint / kind / f".{batch}.crc").write_bytes(b"crc")


def test_a_stream_that_never_ran_has_read_nothing(log):
    assert log.position(2) == Position(0, (NOTHING_YET, NOTHING_YET))


def test_after_a_batch_of_sparks_comes_the_next_one(log, tmp_path):
    spark_wrote(tmp_path, 7)

    found = log.position(2)

    assert (found.batch, found.planned, found.watermark) == (8, None, 1795305581830)
    assert [next_version(start) for start in found.starts] == [167, 0]


def test_a_planned_batch_is_the_next_one_until_it_is_written(log):
    log.plan(0, ("a",), 5, 1)
    assert log.position(1) == Position(0, (NOTHING_YET,), ("a",), 5)

    log.commit(0, 6)
    assert log.position(1) == Position(1, ("a",), None, 6)

    log.plan(1, ("b",), 6, 2)
    assert log.position(1) == Position(1, ("a",), ("b",), 6)


def test_what_is_written_has_sparks_form(log, tmp_path):
    log.plan(3, (table_offset("t", 167), NOTHING_YET), 1795305579884, 1795305887212)
    log.commit(3, 1795305581830)

    version, header, *sources = (tmp_path / "offsets" / "3").read_text().split("\n")
    of_spark = SPARKS_OFFSETS.split("\n")
    assert (version, sources) == (of_spark[0], of_spark[2:])
    assert json.loads(header) == json.loads(of_spark[1]) | {"conf": {}}
    assert (tmp_path / "commits" / "3").read_text() == SPARKS_COMMIT


def test_a_checksum_of_sparks_does_not_outlive_its_file(log, tmp_path):
    spark_wrote(tmp_path, 7, commit=False)

    log.plan(7, ("a",), 0, 1)

    assert not (tmp_path / "offsets" / ".7.crc").exists()


def test_old_batches_go(log, tmp_path):
    spark_wrote(tmp_path, 0)
    for batch in range(1, 12):
        log.plan(batch, ("a",), 0, 1)
        log.commit(batch, 0)

    kept = sorted(path.name for path in (tmp_path / "offsets").iterdir())
    assert kept == sorted(map(str, range(2, 12)))
    assert newest(tmp_path / "commits") == 11


def test_a_log_that_is_not_there_has_no_batch(tmp_path):
    assert newest(tmp_path / "offsets") is None


@pytest.mark.parametrize("change", [{"index": 3}, {"isStartingVersion": True}])
def test_an_offset_within_a_version_leaves_no_whole_version(change):
    offset = json.loads(table_offset("t", 4)) | change

    assert next_version(json.dumps(offset)) is None
