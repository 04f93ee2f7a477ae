"""The recipe for a further exchange: its page is tried, and whatever is forgotten is named."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from k2.exchanges import EXCHANGES
from tests.support.exchange_places import PLACES, Place, exchanges_in, forgotten_places
from tests.support.recordings import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "how-to" / "add-an-exchange.md").read_text(encoding="utf-8")

# Line of the recipe's second step → the line that it stands after.
REGISTERED = {
    "src/k2/exchanges/__init__.py": (
        ("from k2.exchanges.toy import TOY\n", "from k2.exchanges.kraken import KRAKEN\n"),
        (", TOY", "(BINANCE, KRAKEN, COINBASE"),
    ),
    "src/k2/exchanges/parsers.py": (
        (
            "from k2.exchanges.toy.messages import parse_toy\n",
            "from k2.exchanges.parsing import Parser\n",
        ),
        ('    "toy": parse_toy,\n', '    "coinbase": parse_coinbase,\n'),
    ),
    "src/k2/exchanges/listings.py": (
        (
            "from k2.exchanges.toy.listing import read_toy_products\n",
            "from k2.exchanges.kraken.listing import read_asset_pairs\n",
        ),
        ('    "toy": read_toy_products,\n', '    "coinbase": read_products,\n'),
        (
            '    "toy": "products",\n',
            '    "coinbase": "products of Exchange or Advanced Trade",\n',
        ),
    ),
    "src/k2/exchanges/live_services.py": (
        (
            "from k2.exchanges.toy.live import TOY_SERVICES\n",
            "from k2.exchanges.live import LiveService\n",
        ),
        (", TOY_SERVICES", "(BINANCE_SERVICES, KRAKEN_SERVICES, COINBASE_SERVICES"),
    ),
}
MESSAGE = {
    "type": "trade",
    "product": "BTC-USD",
    "id": 7,
    "price": "60000.10",
    "size": "0.50000000",
    "side": "sell",
    "time": 1_772_539_201_000,
}
# What a program that uses the new exchange sees of it.
PROGRAM = """
import json, sys
from k2.exchanges import exchange_named
from k2.exchanges.listings import read_listing
from k2.exchanges.live_services import service_named

toy = exchange_named("toy")
result = toy.validate(sys.stdin.read().splitlines())
listed = read_listing(b'{"products":[{"id":"A-B","base":"A","quote":"B"}]}', "toy", "x.json", None)
trades = [{name: str(trade[name]) for name in ("symbol", "side", "price", "timestamp")}
          for trade in result.first_trades]
print(json.dumps({
    "trades": trades, "dead": list(result.dead_letters), "rejected": sum(result.rejected.values()),
    "listed": [fact.base for fact in listed], "live": service_named("toy").exchange,
}))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the recipe touches, after its commands were run as they stand there."""
    for folder in ("src/k2", "schemas"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    subprocess.run(["bash", "-euc", commands], cwd=tmp_path, check=True)
    for path, additions in REGISTERED.items():
        text = (tmp_path / path).read_text()
        for line, anchor in additions:
            assert anchor in text
            text = text.replace(anchor, anchor + line, 1)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_an_exchange_from_the_template_takes_trades(tree: Path) -> None:
    bad = MESSAGE | {"side": "both", "id": 8}
    messages = [MESSAGE, bad, MESSAGE | {"id": "9"}, {"type": "hello"}]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(map(json.dumps, messages)),
        env=os.environ | {"PYTHONPATH": str(tree / "src")},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (trade,) = found["trades"]
    assert (trade["symbol"], trade["side"], trade["price"]) == (
        "BTC-USD",
        "SELL",
        "60000.10000000000000",
    )
    assert trade["timestamp"].startswith("2026-03-03 12:00:01")
    assert ["side" in reason for reason in found["dead"]] == [True]
    assert (found["rejected"], found["listed"], found["live"]) == (1, ["A"], "toy")


def test_nothing_of_the_template_is_left_over(tree: Path) -> None:
    words = [
        str(file.relative_to(tree))
        for file in [
            *(tree / "src/k2/exchanges/toy").iterdir(),
            tree / "schemas/toy_raw_trade_v1.avsc",
        ]
        if "template" in file.read_text().lower()
    ]

    assert words == []


@pytest.mark.parametrize("name", exchanges_in(ROOT))
def test_an_exchange_stands_wherever_it_must(name: str) -> None:
    assert forgotten_places(ROOT, name) == []


def test_each_exchange_has_a_folder_and_each_folder_is_an_exchange() -> None:
    assert exchanges_in(ROOT) == sorted(exchange.name for exchange in EXCHANGES)


@pytest.mark.parametrize("forgotten", PLACES, ids=lambda place: place.path)
def test_a_place_that_a_new_exchange_forgot_is_named(tmp_path: Path, forgotten: Place) -> None:
    for place in PLACES:
        file = tmp_path / place.of("toy").path.replace("*", "x")
        file.parent.mkdir(parents=True, exist_ok=True)
        words = "" if place is forgotten else place.of("toy").words
        file.write_text((file.read_text() if file.exists() else "") + words + "\n")
    if not forgotten.words:
        (tmp_path / forgotten.of("toy").path.replace("*", "x")).unlink()

    assert forgotten_places(tmp_path, "toy") == [forgotten.path]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.path)
def test_the_page_names_each_place(place: Place) -> None:
    assert f"`{place.path.replace('{name}', 'NAME')}`" in PAGE
