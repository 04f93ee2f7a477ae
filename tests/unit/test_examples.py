"""The notebooks of ``examples/`` run from top to bottom, on a lake whose answers are known."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from k2.exchanges import EXCHANGES
from tests.support.stored_rows import store_bars, store_dead_letter, store_gold

pytestmark = pytest.mark.unit

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
NINE = dt.datetime(2026, 7, 7, 9, 0, tzinfo=dt.UTC)
# What a notebook has found out, when its last cell has run.
ASKED = """
import json
print(json.dumps([markets.rows()[0][:3], trades.height, bars.height, reasons.rows()]))
"""


def cells(notebook: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == kind]


def run(notebook: Path, home: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    code = "\n".join("".join(cell["source"]) for cell in cells(notebook, "code"))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code + more],
        cwd=EXAMPLES,
        env={**os.environ, "K2_HOME": str(home), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_what_it_printed(notebook):
    assert all(cell["outputs"] == [] for cell in cells(notebook, "code"))
    assert all(cell["execution_count"] is None for cell in cells(notebook, "code"))


def test_the_notebook_about_gold_answers_from_the_tables(tmp_path):
    times = [NINE + dt.timedelta(minutes=n) for n in range(3)]
    rows = [{"timestamp": at, "exchange": "binance", "symbol": "BTC-USDT"} for at in times]
    store_gold(tmp_path / "lake", *rows)
    store_gold(tmp_path / "lake", {"timestamp": NINE, "exchange": "kraken", "symbol": "BTC-USD"})
    store_bars(tmp_path / "lake", *rows)
    store_dead_letter(tmp_path / "lake", EXCHANGES[1])

    done = run(EXAMPLES / "ask-gold.ipynb", tmp_path, ASKED)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        ["binance", "BTC-USDT", 3],
        3,
        3,
        [["kraken", "price_not_positive", 1]],
    ]
