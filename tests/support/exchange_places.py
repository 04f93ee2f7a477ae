"""Every place in which an exchange stands, so that what a new one forgot is named.

Read as text: the tree may be a copy, and what is forgotten there may not even be imported.
"""

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A file, which may be a glob, and the words in it. ``{name}`` is binance, ``{NAME}`` BINANCE."""

    path: str
    words: str

    def of(self, name: str) -> "Place":
        return Place(
            *(text.replace("{name}", name).replace("{NAME}", name.upper()) for text in self)
        )


PLACES = (
    # What the exchange is.
    Place("src/k2/exchanges/{name}/__init__.py", "{NAME} = Exchange("),
    Place("src/k2/exchanges/{name}/messages.py", "def parse_{name}("),
    Place("src/k2/exchanges/{name}/listing.py", "Fact("),
    Place("src/k2/exchanges/{name}/live.py", "{NAME}_SERVICES = ("),
    Place("src/k2/exchanges/{name}/instruments.csv", "market,name,base,quote,type"),
    Place("schemas/{name}_raw_trade_v1.avsc", "RawTrade"),
    # Where K2 looks it up.
    Place("src/k2/exchanges/__init__.py", "import {NAME}\n"),
    Place("src/k2/exchanges/parsers.py", '"{name}": parse_{name},'),
    Place("src/k2/exchanges/listings.py", '"{name}": read_'),
    Place("src/k2/exchanges/live_services.py", "import {NAME}_SERVICES\n"),
    # What shows that it is right.
    Place("tests/data/recordings/{name}/*", ""),
    Place("tests/data/cases/{name}-*.expect.json", '"exchange": "{name}"'),
    Place("tests/support/recordings.py", '"{name}/'),
    Place("tests/support/messages.py", '"{name}": {name}_message'),
    Place("tests/checker/expected.py", 'exchange="{name}"'),
    Place("tests/checker/lake.py", '"{name}"'),
    Place("tests/fixtures/crypto_fixtures.py", "def {name}_raw_trade("),
    Place("tests/unit/test_schemas.py", '"{name}": factory.{name}_raw_trade'),
    Place("tests/unit/test_topology.py", '"silver-{name}"'),
    # What runs and watches it.
    Place("docker-compose.yml", "jobs/silver.py, --exchange, {name}]"),
    Place("monitoring/prometheus/prometheus.yml", "# silver-{name}\n"),
    Place("monitoring/prometheus/prometheus.cluster.yml", "- silver-{name}:"),
    # What `make docs` writes.
    Place("docs/reference/exchanges.md", "market.crypto.trades.{name}.raw"),
)


def forgotten_places(root: Path, name: str) -> list[str]:
    """Return the paths, as in the recipe, in which an exchange of a tree does not stand."""
    return [place.path for place in PLACES if not stands_in(root, place.of(name))]


def stands_in(root: Path, place: Place) -> bool:
    """Tell whether a file of a place holds its words; a place without words wants a file."""
    files = (file for file in root.glob(place.path) if file.is_file())
    return any(place.words in file.read_text(encoding="utf-8") for file in files)


def exchanges_in(root: Path) -> list[str]:
    """Return the exchanges that have a folder in a tree."""
    folders = (root / "src" / "k2" / "exchanges").glob("[a-z]*/__init__.py")
    return sorted(file.parent.name for file in folders)
