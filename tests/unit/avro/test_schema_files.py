"""The schemas are found in a checkout and in an installed package."""

import json

import pytest

from k2.avro.schema_files import schema_text
from k2.errors import ConfigError
from k2.exchanges import EXCHANGES

pytestmark = pytest.mark.unit


def test_every_raw_schema_of_every_exchange_is_there():
    for exchange in EXCHANGES:
        for file in exchange.raw_schemas:
            assert json.loads(schema_text(file))["type"] == "record"


def test_an_installed_package_has_them_inside(tmp_path):
    inside = tmp_path / "site-packages" / "k2" / "schemas"
    inside.mkdir(parents=True)
    (inside / "a.avsc").write_text("{}")

    assert schema_text("a.avsc", inside.parent) == "{}"


def test_an_unknown_schema_is_named_beside_the_known_ones():
    with pytest.raises(ConfigError, match=r"nope\.avsc.*kraken_raw_trade_v2\.avsc"):
        schema_text("nope.avsc")


def test_a_package_without_schemas_says_where_it_looked(tmp_path):
    with pytest.raises(ConfigError, match="missing"):
        schema_text("a.avsc", tmp_path / "lib" / "site-packages" / "k2")
