"""What people see: amounts, times, sizes, and the live table."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

import pytest
from rich.console import Console

from k2.cli.render.printing import bytes_text, print_json, print_table, text_of
from k2.cli.render.streams import streams_table
from k2.observability.status import StreamStatus

pytestmark = pytest.mark.unit


class Metal(StrEnum):
    TIN = "tin"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (Decimal("63498.10000000"), "63,498.1"),
        (Decimal("100.00000000"), "100"),
        (Decimal("100"), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("0E-8"), "0"),
        (Decimal("0.00000001"), "0.00000001"),
        (Decimal("-0.10"), "-0.1"),
        (Metal.TIN, "tin"),
        ("[red]x", r"\[red]x"),
    ],
)
def test_a_value_is_printed_as_a_person_reads_it(value, text):
    assert text_of(value) == text


def test_no_digit_of_a_large_decimal_is_lost():
    value = Decimal("12345678901234567890.1234567890123456")

    assert text_of(value) == "12,345,678,901,234,567,890.1234567890123456"


def test_a_time_is_printed_in_utc_to_the_microsecond():
    there = datetime(2026, 7, 8, 1, 0, 2, 5, tzinfo=timezone(timedelta(hours=2)))

    assert text_of(there) == "2026-07-07 23:00:02.000005"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (5 * 10**9, "5.0 GB"),
        (2 * 10**12, "2.0 TB"),
        (3 * 10**15, "3000.0 TB"),
    ],
)
def test_a_size_has_its_unit(size, text):
    assert bytes_text(size) == text


def test_json_keeps_decimals_and_takes_enumerations_as_keys(capsys):
    value = {Metal.TIN: Decimal("1.2300"), "at": datetime(2026, 1, 2, tzinfo=UTC)}

    print_json(value)

    printed = json.loads(capsys.readouterr().out)
    assert printed == {"tin": "1.2300", "at": "2026-01-02T00:00:00+00:00"}


def test_brackets_are_text_and_not_markup(capsys):
    print_table("In [red]/home", {"name": "left"}, [["[bold]x[/bold]"]])

    out = capsys.readouterr().out
    assert "In [red]/home" in out
    assert "[bold]x[/bold]" in out


def shown(*streams):
    console = Console(file=io.StringIO(), width=160)
    console.print(streams_table((stream.public() for stream in streams), "K2"))
    return console.file.getvalue()


SILVER = StreamStatus(
    name="silver-kraken",
    layer="silver",
    exchange="kraken",
    state="running",
    rows=12_345,
    rows_per_second=678.4,
    batch_seconds=0.52,
    lag=1_000,
    freshness_seconds=2.34,
    dead_letters={"decode": 3, "rule": 4},
    duplicates=56,
)


def cells(text, name):
    line = next(line for line in text.splitlines() if name in line)
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_the_live_table_shows_what_each_stream_does():
    row = cells(shown(SILVER), "silver-kraken")

    assert row == [
        "silver-kraken",
        "running",
        *("12,345", "678", "0.5 s", "1,000", "2.3 s", "7", "56"),
    ]


def test_what_is_not_known_yet_is_a_dash_and_not_a_zero():
    fresh = StreamStatus("gold", "gold", None)

    row = cells(shown(fresh), "gold")

    assert row == ["gold", "starting", "0", "0", "0.0 s", "–", "–", "", ""]


def test_only_silver_has_dead_letters_and_duplicates():
    bronze = replace(SILVER, name="bronze-kraken", layer="bronze")

    row = cells(shown(bronze), "bronze-kraken")

    assert row[-2:] == ["", ""]


def test_every_streams_error_is_shown_as_text():
    first = replace(SILVER, state="retrying", error="Kafka does not answer [timeout].")
    second = replace(SILVER, name="gold", state="failed", error="The disk is full.")

    text = shown(first, second)

    assert "silver-kraken: Kafka does not answer [timeout]." in text
    assert "gold: The disk is full." in text


WIDE = {"name": "left", "price": "right"}


@pytest.mark.parametrize(
    ("columns", "lines"), [(14, ["name  price", "BTC       1"]), (10, ["name price"])]
)
def test_a_table_is_as_tight_as_the_terminal_wants(monkeypatch, capsys, columns, lines):
    monkeypatch.setenv("COLUMNS", str(columns))

    print_table("T", WIDE, [["BTC", 1]])

    out = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert set(lines) <= set(out)


def test_a_row_that_is_too_wide_becomes_lines_and_no_digit_is_broken_off(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    price = Decimal("12345678901.5")

    print_table("T", WIDE, [["BTC" * 5, price], ["ETH", Decimal("1.5")]])

    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        ["T"],
        ["name", "BTC" * 5],
        ["price", "12,345,678,901.5"],
        ["name", "ETH"],
        ["price", "1.5"],
    ]


def test_a_whole_second_is_printed_without_a_fraction():
    assert text_of(datetime(2026, 7, 8, 1, 0, 2, tzinfo=UTC)) == "2026-07-08 01:00:02"
