"""``k2 coverage``: the table, the calendar, and accepting a gap."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from k2.cli.commands.coverage import coverage
from k2.exchanges.kraken import KRAKEN
from k2.quality.coverage.update import CoverageUpdate
from k2.quality.drill.defects import DRILL
from k2.quality.drill.planted_lake import EXCHANGES, NOW
from k2.settings import Settings
from tests.support.planted import healthy_lake

pytestmark = pytest.mark.unit

MISSING_RANGE = next(defect for defect in DRILL if defect.name == "missing-range")


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    lake = healthy_lake(settings)
    MISSING_RANGE.plant(lake, NOW + timedelta(minutes=3))
    lake.write_until(NOW + timedelta(minutes=10))
    later = NOW + timedelta(minutes=70)
    CoverageUpdate(settings, later, EXCHANGES).run(NOW - timedelta(days=9))
    monkeypatch.setenv("K2_HOME", str(settings.home))
    return settings


def ask(*arguments: str, columns: int = 80) -> Result:
    return CliRunner().invoke(coverage, list(arguments), env={"COLUMNS": str(columns)})


def test_the_table_the_calendar_and_the_gap_fit_in_eighty_columns(home: Settings) -> None:
    answer = ask("--since", "2026-09-01")

    assert answer.exit_code == 0
    lines = answer.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "kraken BTC-USDT" in lines
    assert "2026-09-01                      ████▒▒" in [line.rstrip("·") for line in lines]
    assert any("739-758 (20)" in line and "unknown" in line for line in lines)


def test_one_market_is_chosen_by_exchange_and_symbol(home: Settings) -> None:
    answer = ask("--since", "2026-09-01", "--exchange", "binance", "--symbol", "eth-usdt", "--json")

    rows = json.loads(answer.stdout)
    assert {(row["exchange"], row["symbol"]) for row in rows} == {("binance", "ETH-USDT")}
    assert [row["condition"] for row in rows][:2] == ["available", "available"]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_plot_is_written_as_its_name_asks(home: Settings, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"coverage.{ending}"

    answer = ask("--since", "2026-09-01", "--plot", str(file))

    assert answer.exit_code == 0
    content = file.read_bytes()
    if ending == "png":
        assert content.startswith(b"\x89PNG")
    else:
        assert b"kraken BTC-USDT" in content
        assert b"degraded" in content


def test_a_plot_of_another_kind_is_refused(home: Settings, tmp_path: Path) -> None:
    assert "a name that ends in" in str(ask("--plot", str(tmp_path / "x.pdf")).exception)


def test_an_accepted_gap_is_no_longer_open(home: Settings) -> None:
    reason = "the exchange had an outage"

    answer = ask("accept", "kraken", "BTC-USDT", "--ids", "739-758", "--reason", reason)

    assert answer.exit_code == 0
    assert "1 gaps, 20 trades" in answer.stdout
    rows = json.loads(ask("--since", "2026-09-01", "--exchange", KRAKEN.name, "--json").stdout)
    (gap,) = {gap["first_id"]: gap for row in rows for gap in row["gaps"]}.values()
    assert (gap["state"], gap["reason"]) == ("accepted", reason)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--ids", "1-5"], "No open gap of BTC-USDT on kraken is within that. Open: 739-758"),
        (["--ids", "x"], "'x' is no range of numbers"),
        ([], "Name the gap"),
        (["--from", "2026-09-01", "--to", "soon"], "'soon' is no time"),
    ],
)
def test_what_cannot_be_accepted_is_said_in_a_sentence(
    arguments: list[str], sentence: str, home: Settings
) -> None:
    answer = ask("accept", "kraken", "BTC-USDT", *arguments, "--reason", "x")

    assert sentence in str(answer.exception)


def test_a_home_without_a_ledger_says_how_to_get_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K2_HOME", str(settings.home))

    assert "`k2 quality run coverage` computes it" in str(ask().exception)
