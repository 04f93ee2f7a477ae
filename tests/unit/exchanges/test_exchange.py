"""An exchange's definition refuses what would fail at midnight."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from k2.errors import ConfigError
from k2.exchanges import EXCHANGES, exchange_named
from k2.exchanges.binance import BINANCE
from k2.exchanges.kraken import KRAKEN
from k2.exchanges.symbols import DOLLARS

pytestmark = pytest.mark.unit

SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.mark.parametrize("name", ["", "Binance", "binance-us", "binance_us", "1st", "a b", "a/b"])
def test_a_name_that_is_no_table_or_topic_name_is_refused(name):
    with pytest.raises(ValueError, match="lower-case letters and digits"):
        replace(BINANCE, name=name)


def test_a_definition_without_schema_is_refused():
    with pytest.raises(ValueError, match="at least one raw schema"):
        replace(BINANCE, raw_schemas=())


@pytest.mark.parametrize("column", sorted(BINANCE.columns))
def test_a_definition_that_lacks_a_column_is_refused_by_its_name(column):
    columns = {name: sql for name, sql in BINANCE.columns.items() if name != column}

    with pytest.raises(ValueError, match=rf"missing \['{column}'\]"):
        replace(BINANCE, columns=columns)


def test_a_column_that_nobody_asked_for_is_refused():
    with pytest.raises(ValueError, match=r"unknown \['colour'\]"):
        replace(BINANCE, columns={**BINANCE.columns, "colour": "'red'"})


@pytest.mark.parametrize("exchange", [BINANCE, KRAKEN], ids=lambda exchange: exchange.name)
def test_topics_and_subject_are_those_of_the_contract(exchange):
    assert exchange.topic == f"market.crypto.trades.{exchange.name}.raw"
    assert exchange.subject == f"market.crypto.trades.{exchange.name}.raw-value"
    assert exchange.rejected_topic == f"market.crypto.feed.{exchange.name}.rejected"
    assert (SCHEMAS / exchange.reader_schema).is_file()


def test_the_newest_schema_is_the_reader():
    fields = json.loads((SCHEMAS / KRAKEN.reader_schema).read_text())["fields"]

    assert KRAKEN.reader_schema == KRAKEN.raw_schemas[-1]
    assert {"trade_id", "sequence_in_message"} <= {field["name"] for field in fields}


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
def test_an_exchange_is_found_by_its_name(exchange):
    assert exchange_named(exchange.name) is exchange


@pytest.mark.parametrize("name", ["", "BINANCE", "okx"])
def test_an_unknown_exchange_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match="Known: binance, kraken, coinbase") as refused:
        exchange_named(name)

    assert repr(name) in str(refused.value)


def test_dollars_are_standard_codes():
    assert {"USD", "USDT", "USDC"} <= set(DOLLARS)
    assert "EUR" not in DOLLARS
