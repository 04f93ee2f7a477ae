"""What people see: amounts, times, sizes, and the live table."""

import io
import json
import re
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
    return shown_in(160, *streams)


def shown_in(width, *streams):
    console = Console(file=io.StringIO(), width=width)
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
    """A stream's cells; two blanks or more divide them."""
    line = next(line for line in text.splitlines() if name in line)
    return re.split(r" {2,}", line.strip())


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

    assert row == ["gold", "starting", "0", "0", "0.0 s", "–", "–"]


def test_only_silver_has_dead_letters_and_duplicates():
    bronze = replace(SILVER, name="bronze-kraken", layer="bronze")

    row = cells(shown(bronze), "bronze-kraken")

    assert row[-1] == "2.3 s"


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


@pytest.mark.parametrize("width", [80, 60, 40])
def test_names_and_states_of_streams_are_whole_however_narrow_it_is(width):
    streams = [
        replace(SILVER, name=f"{layer}-{exchange}", layer=layer, state=state, rows=123_456_789)
        for layer in ("bronze", "silver")
        for exchange, state in (("binance", "running"), ("coinbase", "retrying"))
    ]

    lines = shown_in(width, *streams).splitlines()

    assert all(len(line.rstrip()) <= width for line in lines if "Too narrow" not in line)
    for stream in streams:
        assert sum(f"{stream.name} " in line and stream.state in line for line in lines) == 1
    assert any("lag" in line for line in lines) or width < 80


MANY = {"name": "left", "price": "right", "note": "left", "place": "left"}
ROWS = [
    ["BTC", Decimal("12345678901.5"), "a long note of many words", "trades-0@1234"],
    ["ETH", Decimal("1.5"), "short", "trades-1@5"],
]


def test_a_list_that_is_too_wide_stays_a_list_and_drops_columns_by_importance(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")

    print_table("T", MANY, ROWS, drop=("note", "place"))

    out = capsys.readouterr().out
    assert "12,345,678,901.5" in out
    assert "trades-0@1234" in out
    assert "many words" not in out
    assert "Too narrow for: note" in " ".join(out.split())
    assert sum("BTC" in line for line in out.splitlines()) == 1


def test_where_nothing_can_be_dropped_the_longest_text_is_shortened_and_no_number(
    monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "50")

    print_table("T", MANY, ROWS)

    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "BTC" in line]
    assert len(line.rstrip()) <= 50
    assert "12,345,678,901.5" in line
    assert "…" in line
    assert "trades-0@1234" in line


def test_what_goes_to_another_program_has_every_column(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)

    print_table("T", MANY, ROWS * 3, drop=("note",))

    out = capsys.readouterr().out
    assert out.count("a long note of many words") == 3
    assert "…" not in out


def test_a_row_becomes_lines_where_that_is_asked_for_and_no_digit_is_broken_off(
    monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", "30")
    price = Decimal("12345678901.5")

    print_table("T", WIDE, [["BTC" * 5, price], ["ETH", Decimal("1.5")]], blocks=True)

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
