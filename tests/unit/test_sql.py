"""SQL over Arrow tables: rows keep their order, threads do not meet, nothing stays."""

import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest

from k2 import sql
from k2.sql import query, query_batches, text

pytestmark = pytest.mark.unit


def test_rows_keep_their_order():
    numbers = pa.table({"n": range(500_000)})

    found = query("select n, n * 2 as twice from numbers", numbers=numbers)

    assert found["n"].to_pylist() == list(range(500_000))


def test_threads_see_their_own_tables():
    def ask(number):
        table = pa.table({"n": [number] * 1_000})
        return set(query("select n from rows", rows=table)["n"].to_pylist())

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(100)))

    assert answers == [{number} for number in range(100)]


def test_a_question_asked_again_is_answered_of_the_new_rows():
    def twice(*numbers):
        return query("select n * 2 as twice from rows", rows=pa.table({"n": numbers}))

    answers = [twice(*range(count))["twice"].to_pylist() for count in (1, 5_000, 3, 0)]

    assert answers == [[n * 2 for n in range(count)] for count in (1, 5_000, 3)] + [[]]


def test_the_same_words_about_other_columns_are_another_question():
    texts = query("select n || n as twice from rows", rows=pa.table({"n": ["a"]}))
    numbers = query("select n || n as twice from rows", rows=pa.table({"n": [1]}))

    assert [texts["twice"].to_pylist(), numbers["twice"].to_pylist()] == [["aa"], ["11"]]


def test_a_question_that_failed_is_answered_when_its_rows_can_be():
    def whole(*values):
        rows = pa.table({"n": values})
        return query("select cast(n as integer) as n from rows", rows=rows)["n"].to_pylist()

    assert whole("1") == [1]
    with pytest.raises(duckdb.ConversionException):
        whole("one")
    assert whole("2", "3") == [2, 3]


def test_an_answered_question_holds_no_rows():
    rows = pa.table({"n": range(1_000_000)})
    before = pa.total_allocated_bytes()

    query("select sum(n) as n from rows", rows=rows)
    del rows

    assert pa.total_allocated_bytes() < before - 7_000_000


def test_what_was_gathered_for_a_large_answer_is_let_go():
    words = [f"some words about {number}" for number in range(200_000)]
    rows = pa.table({"n": range(200_000), "words": words})
    question = "select n, max(words) as words from rows group by n"
    query(question, rows=rows.slice(0, 10))

    query(question, rows=rows)

    held = query("select sum(memory_usage_bytes) as bytes from duckdb_memory()")["bytes"]
    assert held.to_pylist()[0] < 1_000_000


def test_of_many_questions_few_are_kept():
    one = pa.table({"n": [1]})
    questions = [f"select n + {more} as n from rows" for more in range(200)]  # noqa: S608
    answers = [query(question, rows=one)["n"].to_pylist() for question in questions]

    assert answers == [[1 + n] for n in range(200)]
    assert len(sql._KEPT) <= sql._MOST_KEPT


def test_a_question_about_files_is_not_kept():
    before = len(sql._KEPT)

    query("select 'a file of today' as file")

    assert len(sql._KEPT) == before


ASKED_AGAIN = """
import ctypes, os
import pyarrow as pa, pyarrow.parquet as pq
from k2.sql import query

class Allocated(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "used", "free", "keepcost"
    )]

c_library = ctypes.CDLL(None)
c_library.mallinfo2.restype = Allocated
one = pa.table({"n": [1]})

def ask(number):
    query("select n from rows where n > 0", rows=one)
    pq.write_table(one, f"{number}.parquet")
    query(f"select n from read_parquet('{number}.parquet')")
    os.unlink(f"{number}.parquet")

for number in range(100):
    ask(number)
before = c_library.mallinfo2().used
for number in range(100, 1_100):
    ask(number)
print(c_library.mallinfo2().used - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc tells what is allocated")
def test_asked_a_thousand_times_it_remembers_nothing(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", ASKED_AGAIN],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(said.stdout) < 100_000  # bytes


def test_a_question_is_planned_once():
    conditions = ", ".join(f"case when n > {n} then n end as n_{n}" for n in range(500))
    question = f"select {conditions} from rows"  # noqa: S608
    rows = pa.table({"n": [1]})

    def seconds():
        begun = time.perf_counter()
        query(question, rows=rows)
        return time.perf_counter() - begun

    first = seconds()
    assert min(seconds() for _ in range(10)) < first / 2


def test_a_table_is_forgotten_after_its_question():
    query("select 1 from rows", rows=pa.table({"n": [1]}))

    with pytest.raises(duckdb.CatalogException):
        query("select * from rows")


def test_a_question_that_fails_leaves_the_next_one_alone():
    with pytest.raises(duckdb.Error):
        query("select no_such_column from rows", rows=pa.table({"n": [1]}))

    assert query("select n from rows", rows=pa.table({"n": [2]}))["n"].to_pylist() == [2]


def test_an_error_after_the_first_rows_is_duckdbs_too():
    # So late that DuckDB, which reads ahead, has not met it before the first rows are asked for.
    late = "select if(n < 9_900_000, n, ('x' || n)::int) as n from range(10_000_000) t(n)"
    parts = query_batches(late, 2_048)

    assert next(parts).num_rows == 2_048
    with pytest.raises(duckdb.ConversionException):
        list(parts)


@pytest.mark.parametrize("value", ["", "plain", "it's", "''", "a\\b", "\N{PILE OF POO}"])
def test_a_text_is_quoted_as_sql_wants_it(value):
    assert query(f"select {text(value)} as said")["said"].to_pylist() == [value]


PROGRAM = """
import threading
import pyarrow as pa
from k2.sql import query

def ask():
    query("select n from rows", rows=pa.table({"n": [1]}))
    answered.set()
    threading.Event().wait()

answered = threading.Event()
threading.Thread(target=ask, daemon=True).start()
answered.wait()
"""


def test_a_program_with_threads_that_never_end_ends_quietly():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ASKED = """
from k2 import sql
from k2.sql import query, query_batches, utc_database

sql = "select cast(timestamptz '2026-07-01 12:00:00+00' as varchar) as t, current_setting('{setting}') as s"
database = utc_database()
for said in (
    query(sql).to_pylist()[0],
    next(query_batches(sql, 1)).to_pylist()[0],
    dict(zip("ts", database.execute(sql).fetchone())),
    dict(zip("ts", database.cursor().execute(sql).fetchone())),
):
    print(said["{column}"])
"""


def said(column, setting, zone):
    """What DuckDB says on a machine of a time zone, in a program without a file: once for each way to ask."""
    program = ASKED.format(column=column, setting=setting)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"TZ": zone},
        check=True,
    )
    return done.stdout.splitlines()


def test_a_long_question_draws_nothing_on_standard_output():
    """A job reads what its command prints, and of a program without a file DuckDB thinks that somebody types it."""
    assert said("s", "enable_progress_bar", "UTC") == ["False"] * 4


def test_times_are_utc_wherever_the_machine_is():
    assert said("t", "timezone", "America/New_York") == ["2026-07-01 12:00:00+00"] * 4
    assert said("s", "timezone", "America/New_York") == ["UTC"] * 4
