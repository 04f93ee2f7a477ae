"""Exchanges' own lists of markets, read as they are."""

import json
from pathlib import Path

import orjson
import pytest

from k2.errors import ConfigError
from k2.exchanges.instruments import Fact, write_facts
from k2.exchanges.listings import read_listing
from tests.support.recordings import CASES

pytestmark = pytest.mark.unit

LISTINGS = [file for folder in CASES for file in sorted(folder.glob("binance*.exchangeInfo.json"))]


def read(document, exchange, market=None):
    return read_listing(orjson.dumps(document), exchange, "list.json", market)


def of_binance(**said):
    return {"symbol": "BTCUSDT", "baseAsset": "BTC", "quoteAsset": "USDT", **said}


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        (of_binance(), Fact("spot", "BTCUSDT", "BTC", "USDT", "spot")),
        (
            of_binance(contractType="PERPETUAL", marginAsset="USDT", deliveryDate=4133404800000),
            Fact("usdm", "BTCUSDT", "BTC", "USDT", "perpetual"),
        ),
        (
            of_binance(contractType="TRADIFI_PERPETUAL", symbol="TSLAUSDT", baseAsset="TSLA",
                       marginAsset="USDT", underlyingType="EQUITY"),
            Fact("usdm", "TSLAUSDT", "TSLA", "USDT", "perpetual", "", "equity"),
        ),
        (
            of_binance(symbol="BTCUSDT_260925", contractType="CURRENT_QUARTER", marginAsset="USDT"),
            Fact("usdm", "BTCUSDT_260925", "BTC", "USDT", "future", "20260925"),
        ),
        (
            of_binance(symbol="BTCQ", contractType="NEXT_QUARTER", marginAsset="USDT",
                       deliveryDate=1790323200000),
            Fact("usdm", "BTCQ", "BTC", "USDT", "future", "20260925"),
        ),
        (
            of_binance(symbol="BTCUSD_PERP", quoteAsset="USD", contractType="PERPETUAL",
                       marginAsset="BTC", contractSize=100),
            Fact("coinm", "BTCUSD_PERP", "BTC", "USD", "coin_margined"),
        ),
        (
            of_binance(symbol="币安人生USDT", baseAsset="币安人生"),
            Fact("spot", "币安人生USDT", "币安人生", "USDT", "spot"),
        ),
    ],
)  # fmt: skip
def test_exchange_info_says_what_each_name_is(said, fact):
    assert read({"timezone": "UTC", "symbols": [said]}, "binance") == [fact]


def test_a_user_may_say_which_market_a_list_is_of():
    (fact,) = read({"symbols": [of_binance()]}, "binance", "usdm")

    assert (fact.market, fact.type) == ("usdm", "perpetual")


def test_options_are_listed_as_what_they_are():
    option = {"symbol": "BTC-260925-60000-C", "underlying": "BTCUSDT", "quoteAsset": "USDT"}

    (fact,) = read({"optionSymbols": [option]}, "binance")

    assert fact.type == "option"


def test_asset_pairs_name_a_pair_as_each_version_of_the_websocket_does():
    pairs = {
        "XXBTZUSD": {"wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT"},
        "AAPLxUSD": {"wsname": "AAPLx/USD", "aclass_base": "tokenized_asset"},
        "ETHUSD.d": {"altname": "ETHUSD.d"},
    }

    assert read({"error": [], "result": pairs}, "kraken") == [
        Fact("spot", "BTC/USD", "XBT", "USD", "spot"),
        Fact("spot", "XBT/USD", "XBT", "USD", "spot"),
        Fact("spot", "AAPLx/USD", "AAPLx", "USD", "spot", "", "equity"),
    ]


def test_products_of_both_services_of_coinbase_are_read():
    exchange = [{"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD"}]
    parts = {"base_currency_id": "BTC", "quote_currency_id": "USD"}
    advanced = {"products": [
        {"product_id": "BTC-USD", "product_type": "SPOT", **parts},
        {"product_id": "BIT-26SEP25-CDE", "product_type": "FUTURE", **parts},
    ]}  # fmt: skip

    spot = Fact("spot", "BTC-USD", "BTC", "USD", "spot")
    assert read(exchange, "coinbase") == [spot]
    assert [fact.type for fact in read(advanced, "coinbase")] == ["spot", "future"]


def test_k2_s_own_form_is_read_too():
    fact = Fact("asset", "LUNA", "LUNC", since="2022-05-28")

    assert read_listing(write_facts([fact]).encode(), "kraken", "x.csv", None) == [fact]


@pytest.mark.parametrize(
    ("content", "exchange"),
    [
        (b"{", "binance"),
        (b"{}", "binance"),
        (b'{"symbols":[{}]}', "binance"),
        (b'{"symbols":[7]}', "binance"),
        (b"[]", "coinbase"),
        (b'{"result":[]}', "kraken"),
        (b"[7]", "kraken"),
        (b"\xff", "binance"),
        (b"a,b\n", "binance"),
    ],
)
def test_what_is_no_list_is_refused_by_the_file_s_name(content, exchange):
    with pytest.raises(ConfigError, match=r"list\.json"):
        read_listing(content, exchange, "list.json", None)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.name)
def test_the_lists_of_the_cases_are_read(listing: Path):
    document = listing.read_bytes()

    facts = read_listing(document, "binance", "exchangeInfo.json", None)

    assert len(facts) == len(json.loads(document)["symbols"])
