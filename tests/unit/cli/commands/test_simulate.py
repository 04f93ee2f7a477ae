"""``k2 simulate --to``: a sample recording without Kafka, and what is wrong in a sentence."""

import json

import pytest

pytestmark = pytest.mark.unit


def test_a_sample_needs_no_kafka_and_can_be_validated(k2, tmp_path, home):
    said = k2("simulate", "--to", tmp_path / "s.ndjson", "--exchange", "coinbase", "--count", 20)

    assert (said.code, said.out) == (0, f"20 messages of Coinbase in {tmp_path / 's.ndjson'}.\n")
    assert json.loads((tmp_path / "s.ndjson").read_text().splitlines()[0])["type"] == "match"
    assert k2("exchange", "validate", tmp_path / "s.ndjson", "--exchange", "coinbase").code == 0
    assert not home.exists()


def test_a_sample_has_a_thousand_messages_unless_another_number_is_wanted(k2, tmp_path):
    k2("simulate", "--to", tmp_path / "s.ndjson", "--exchange", "kraken")

    assert len((tmp_path / "s.ndjson").read_bytes().splitlines()) == 1_000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--to wants --exchange"),
        (["--exchange", "krakn"], "kraken"),
        (["--exchange", "kraken", "--late", "3"], "a share from 0 to 1"),
    ],
)
def test_what_is_missing_or_wrong_is_said(k2, tmp_path, arguments, sentence):
    said = k2("simulate", "--to", tmp_path / "s.ndjson", *arguments)

    assert said.code == 2
    assert sentence in said.err
    assert not (tmp_path / "s.ndjson").exists()


def test_a_file_that_cannot_be_written_is_said(k2, tmp_path):
    said = k2("simulate", "--to", tmp_path / "no" / "s.ndjson", "--exchange", "kraken")

    assert said.code == 2
    assert said.err.startswith(f"k2: Cannot write {tmp_path / 'no' / 's.ndjson'}: No such file")
