"""What a name means: as a list says, or as its only possible split says; never a guess."""

from dataclasses import replace

import pytest

from k2.exchanges import EXCHANGES
from k2.exchanges.binance import BINANCE
from k2.exchanges.coinbase import COINBASE
from k2.exchanges.instruments import Fact, Instruments, microseconds, shipped_instruments
from k2.exchanges.kraken import KRAKEN
from k2.exchanges.market_index import MarketIndex, Meaning

pytestmark = pytest.mark.unit

SHIPPED = {exchange.name: shipped_instruments(exchange.name) for exchange in EXCHANGES}


def index(exchange, *facts, shipped=True):
    known = SHIPPED[exchange.name].rows() if shipped else []
    return MarketIndex(exchange, Instruments.of([*known, *facts]))


def meaning(exchange, name, market="spot", *facts):
    (found,) = index(exchange, *facts).meanings(name, market)
    return found


@pytest.mark.parametrize(
    ("name", "market", "symbol", "kind"),
    [
        ("BTCUSDT", "spot", "BTC-USDT", "spot"),
        ("BTCUSDT", "usdm", "BTC-USDT-PERP", "perpetual"),
        ("BTCUSDT_260925", "usdm", "BTC-USDT-20260925", "future"),
        ("1000SHIBUSDT", "usdm", "1000SHIB-USDT-PERP", "perpetual"),
        ("币安人生USDT", "spot", "币安人生-USDT", "spot"),
        ("币安人生USDT", "usdm", "币安人生-USDT-PERP", "perpetual"),
        ("BNBUSD", "spot", "BNB-USD", "spot"),
        ("DOTUSD", "spot", "DOT-USD", "spot"),
        ("XRPRLUSD", "spot", "XRP-RLUSD", "spot"),
        ("BTCU", "spot", "BTC-U", "spot"),
        ("EUREURI", "spot", "EUR-EURI", "spot"),
        ("LUNAEUR", "spot", "LUNA-EUR", "spot"),
        ("CTKUSDT", "usdm", "CTK-USDT-PERP", "perpetual"),
    ],
)
def test_a_name_of_binance_says_its_instrument(name, market, symbol, kind):
    found = meaning(BINANCE, name, market)

    assert (found.symbol, found.instrument_type, found.problem) == (symbol, kind, None)
    assert found.asset_class == "crypto"


@pytest.mark.parametrize(
    ("name", "market", "problem"),
    [
        ("USDTUSD", "spot", "symbol_ambiguous"),  # USDT and USD, or USD and TUSD
        ("ARBUSD", "spot", "symbol_ambiguous"),  # ARB and USD, or AR and BUSD
        ("KSHIBUSD", "spot", "symbol_unknown"),
        ("NOBODYUSDT", "spot", "symbol_unknown"),
        ("USDT", "spot", "symbol_unknown"),
        ("btcusdt", "spot", "symbol_unknown"),
        ("BTC/USDT", "spot", "symbol_unknown"),
        ("NOT~A~MARKET", "spot", "symbol_unknown"),
        ("BTCUSDT_260925", "spot", "symbol_unknown"),
        ("BTCUSD_PERP", "usdm", "instrument_not_supported"),
        ("BTCUSD_PERP", "coinm", "instrument_not_supported"),
        ("BTCUSD_260925", "usdm", "instrument_not_supported"),
        ("BTCUSDT", "coinm", "instrument_not_supported"),
        ("BTC-260925-60000-C", "usdm", "instrument_not_supported"),
        ("DOGE-260925-0.175-P", "usdm", "instrument_not_supported"),
    ],
)
def test_a_name_that_means_no_instrument_says_why(name, market, problem):
    assert meaning(BINANCE, name, market) == Meaning(problem=problem)


@pytest.mark.parametrize(
    ("name", "symbol", "asset_class"),
    [
        ("BTC/USD", "BTC-USD", "crypto"),
        ("XBT/USD", "BTC-USD", "crypto"),
        ("XXBT/ZUSD", "BTC-USD", "crypto"),
        ("XDG/XBT", "DOGE-BTC", "crypto"),
        ("AAPLx/USD", "AAPLx-USD", "equity"),
        ("BRK.Bx/USD", "BRK.Bx-USD", "equity"),
        ("NEWx/EUR", "NEWx-EUR", "equity"),
        ("NEWCOIN/EUR", "NEWCOIN-EUR", "crypto"),
    ],
)
def test_a_name_of_kraken_keeps_its_assets_apart(name, symbol, asset_class):
    found = meaning(KRAKEN, name)

    assert (found.symbol, found.asset_class, found.problem) == (symbol, asset_class, None)


@pytest.mark.parametrize("name", ["BTCUSD", "/USD", "BTC/", "BTC/USD/EUR", "B TC/USD", "BTC/~"])
def test_what_is_no_pair_of_kraken_is_unknown(name):
    assert meaning(KRAKEN, name).problem == "symbol_unknown"


def test_what_kraken_calls_luna_has_meant_another_coin_since_it_was_renamed():
    before, since = index(KRAKEN).meanings("LUNA/USD", "spot")

    renamed = microseconds("2022-05-28")
    assert (before.symbol, before.since, before.until) == ("LUNA-USD", None, renamed)
    assert (since.symbol, since.since, since.until) == ("LUNC-USD", renamed, None)
    assert meaning(KRAKEN, "LUNA2/USD").symbol == "LUNA-USD"


@pytest.mark.parametrize(
    ("name", "symbol", "problem"),
    [
        ("BTC-USD", "BTC-USD", None),
        ("00-USD", "00-USD", None),
        ("BIT-26SEP25-CDE", None, "instrument_not_supported"),
        ("BTC-PERP-INTX", None, "instrument_not_supported"),
        ("BTC", None, "symbol_unknown"),
        ("BTC-USD-EUR-GBP", None, "symbol_unknown"),
    ],
)
def test_a_product_of_coinbase_is_two_codes_or_a_contract(name, symbol, problem):
    found = meaning(COINBASE, name)

    assert (found.symbol, found.problem) == (symbol, problem)


def test_a_listed_name_is_what_the_list_says_however_it_splits():
    listed = Fact("spot", "USDTUSD", "USDT", "USD", "spot")

    assert meaning(BINANCE, "USDTUSD", "spot", listed).symbol == "USDT-USD"
    assert meaning(BINANCE, "USDTUSD", "usdm", listed).problem == "symbol_ambiguous"


def test_a_listed_instrument_of_another_kind_is_not_supported():
    listed = Fact("usdm", "XUSDT", "X", "USDT", "option")

    assert meaning(BINANCE, "XUSDT", "usdm", listed).problem == "instrument_not_supported"


def test_a_listed_asset_splits_further_names():
    listed = Fact("spot", "NEWUSDT", "NEW", "USDT", "spot")

    assert meaning(BINANCE, "NEWBTC", "spot", listed).symbol == "NEW-BTC"


def test_a_quote_that_splits_in_two_ways_is_ambiguous_whichever_is_longer():
    short = Fact("spot", "AUSD", "A", "USD", "spot")
    long = Fact("spot", "BXUSD", "B", "XUSD", "spot")
    base = Fact("spot", "AXBTC", "AX", "BTC", "spot")

    with_one = MarketIndex(BINANCE, Instruments.of([short, long]))
    with_two = MarketIndex(BINANCE, Instruments.of([short, long, base]))

    assert with_one.meanings("AXUSD", "spot")[0].symbol == "A-XUSD"
    assert with_two.meanings("AXUSD", "spot")[0].problem == "symbol_ambiguous"


def test_a_name_means_each_thing_in_its_own_time():
    first = Fact("spot", "ABCUSDT", "ABC", "USDT", "spot", until="2026-01-01")
    second = replace(first, base="XYZ", since="2026-02-01T12:00:00Z", until="")

    old, new = index(BINANCE, first, second).meanings("ABCUSDT", "spot")

    assert (old.symbol, old.until) == ("ABC-USDT", microseconds("2026-01-01"))
    assert (new.symbol, new.since) == ("XYZ-USDT", microseconds("2026-02-01T12:00:00"))


def test_a_version_is_of_the_facts_and_not_of_their_order():
    facts = [Fact("spot", name, name[0], "USDT", "spot") for name in ("AUSDT", "BUSDT")]

    assert Instruments.of(facts).version == Instruments.of(reversed(facts)).version
    assert Instruments.of(facts).version != Instruments.of(facts[:1]).version


def test_the_names_of_a_symbol_are_those_that_mean_it_now():
    was = Fact("spot", "ABCUSDT", "ABC", "USDT", "spot", until="2026-01-01")
    now = replace(was, base="XYZ", since="2026-01-01", until="")
    second_name = replace(now, name="XYZUSDT", since="")
    elsewhere = replace(second_name, market="usdm", name="XYZUSDTM")

    names = index(BINANCE, was, now, second_name, elsewhere, shipped=False).listed_symbols("spot")

    assert names == {"XYZ-USDT": ["ABCUSDT", "XYZUSDT"]}
