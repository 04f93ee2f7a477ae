import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from k2.storage import handles as open_tables
from k2.storage.handles import TableHandle

pytestmark = pytest.mark.unit


def append(path, number):
    write_deltalake(path, pa.table({"number": [number]}), mode="append")


def test_it_is_the_table_as_it_is_now(tmp_path):
    opened = TableHandle(tmp_path)
    versions = []
    for number in range(30):
        append(tmp_path, number)
        versions.append(opened.latest().version())

    assert versions == list(range(30))
    assert opened.latest().count() == 30


def test_it_is_opened_anew_after_some_commits_and_not_after_each(tmp_path, monkeypatch):
    times_opened = []

    def counted(path):
        times_opened.append(path)
        return DeltaTable(path)

    monkeypatch.setattr(open_tables, "DeltaTable", counted)
    append(tmp_path, 0)
    opened = TableHandle(tmp_path)
    for number in range(30):
        opened.latest()
        append(tmp_path, number)

    assert 2 <= len(times_opened) <= 5


def test_it_is_found_again_when_its_log_was_shortened_beyond_it(tmp_path):
    append(tmp_path, 0)
    opened = TableHandle(tmp_path)
    opened.latest()
    for number in range(1, 6):
        append(tmp_path, number)
    DeltaTable(tmp_path).create_checkpoint()
    for version in range(5):
        (tmp_path / "_delta_log" / f"{version:020}.json").unlink()

    assert opened.latest().version() == 5


def test_who_asks_rarely_may_let_it_follow_more_commits(tmp_path, monkeypatch):
    times_opened = []

    def counted(path):
        times_opened.append(path)
        return DeltaTable(path)

    monkeypatch.setattr(open_tables, "DeltaTable", counted)
    append(tmp_path, 0)
    opened = TableHandle(tmp_path, max_commits=20)
    for number in range(30):
        opened.latest()
        append(tmp_path, number)

    assert len(times_opened) == 2
