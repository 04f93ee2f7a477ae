"""What a feed listens to: symbols from the lists of instruments, others from the exchange itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from k2.errors import ConfigError, UnavailableError
from k2.exchanges.instruments import Fact
from k2.exchanges.live import Answer
from k2.feeds.live.confirm import confirmed
from k2.feeds.live.plan import FeedPlans
from k2.home.instrument_lists import InstrumentLists
from k2.settings import Settings

pytestmark = pytest.mark.unit

ALL = ("binance", "kraken", "coinbase")


@pytest.fixture
def lists(tmp_path: Path) -> InstrumentLists:
    return InstrumentLists(Settings.load(home=tmp_path))


def planned(lists: InstrumentLists, *symbols: str, exchanges: tuple[str, ...] = ALL) -> FeedPlans:
    return FeedPlans.of_options(exchanges, symbols, lists)


def markets(plans: FeedPlans) -> dict[str, tuple[str, ...]]:
    return {plan.service.name: plan.markets for plan in plans.plans}


def of_file(folder: Path, text: str, lists: InstrumentLists) -> FeedPlans:
    file = folder / "feeds.toml"
    file.write_text(text)
    return FeedPlans.of_file(file, lists)


def answering(document: object, status: int = 200) -> Callable[[str], Answer]:
    return lambda _url: Answer(status, {}, json.dumps(document).encode())


def nobody(_url: str) -> Answer:
    raise UnavailableError("nobody answers")


def test_a_symbol_is_taken_from_each_exchange_that_can_have_it(lists: InstrumentLists) -> None:
    plans = planned(lists, "BTC-USDT")

    assert markets(plans) == {
        **{"binance-spot": ("BTCUSDT",), "kraken": ("BTC/USDT",)},
        "coinbase-exchange": ("BTC-USDT",),
    }
    assert {p.service.name: p.unlisted for p in plans.plans}["binance-spot"] == ()


@pytest.mark.parametrize(
    ("symbol", "name"), [("BTC-USDT-PERP", "BTCUSDT"), ("BTC-USDT-20261225", "BTCUSDT_261225")]
)
def test_a_derivative_is_taken_from_usdm_alone(
    symbol: str, name: str, lists: InstrumentLists
) -> None:
    assert markets(planned(lists, symbol)) == {"binance-usdm": (name,)}


def test_a_name_that_the_list_has_under_another_form_is_taken_as_listed(
    lists: InstrumentLists,
) -> None:
    lists.load("binance", [Fact("spot", "QQQTEST1", "QQQ", "USDT", "spot")], "2026-01-01")

    assert markets(planned(lists, "QQQ-USDT", exchanges=("binance",))) == {
        "binance-spot": ("QQQTEST1",)
    }


@pytest.mark.parametrize("symbol", ["BTC", "", "-", "BTC-", "-USDT", "BTC-USDT-OPTION", "BT C-U"])
def test_what_is_no_symbol_is_refused(symbol: str, lists: InstrumentLists) -> None:
    with pytest.raises(ConfigError, match="is no market of binance-spot"):
        planned(lists, symbol, exchanges=("binance",))


def test_an_unknown_symbol_is_refused_with_near_ones(lists: InstrumentLists) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean .*BTC-USDT"):
        planned(lists, "BTX-USDT", exchanges=("binance",))


def test_a_feed_without_symbols_is_refused(lists: InstrumentLists) -> None:
    with pytest.raises(ConfigError, match="needs symbols"):
        planned(lists)


def test_a_market_that_the_exchange_lists_is_taken_and_kept_for_the_next_start(
    lists: InstrumentLists,
) -> None:
    product = {"id": "BTC-USD", "base_currency": "BTC", "quote_currency": "USD"}

    plans = confirmed(planned(lists, "BTC-USD", exchanges=("coinbase",)), answering([product]))

    assert [plan.markets for plan in plans] == [("BTC-USD",)]
    again = planned(lists, "BTC-USD", exchanges=("coinbase",))
    assert [plan.unlisted for plan in again.plans] == [()]


def test_a_market_that_the_exchange_does_not_list_is_refused_with_its_near_ones(
    lists: InstrumentLists,
) -> None:
    product = {"id": "BTC-EUR", "base_currency": "BTC", "quote_currency": "EUR"}

    with pytest.raises(ConfigError, match=r"Did you mean BTC-EUR\?"):
        confirmed(planned(lists, "BTC-EUX", exchanges=("coinbase",)), answering([product]))


def test_an_exchange_without_the_market_is_left_out_where_another_has_it(
    lists: InstrumentLists,
) -> None:
    product = {"id": "ETH-USD", "base_currency": "ETH", "quote_currency": "USD"}

    plans = confirmed(
        planned(lists, "BTC-USDT", exchanges=("binance", "coinbase")), answering([product])
    )

    assert [plan.service.name for plan in plans] == ["binance-spot"]


@pytest.mark.parametrize(
    "get", [nobody, answering({}, 503), answering([]), answering({}, 404), answering("no list")]
)
def test_an_exchange_that_does_not_say_stops_no_start(
    get: Callable[[str], Answer], lists: InstrumentLists
) -> None:
    plans = confirmed(planned(lists, "BTC-USD", exchanges=("kraken",)), get)

    assert [plan.markets for plan in plans] == [("BTC/USD",)]


def test_what_the_list_has_is_not_asked_for(lists: InstrumentLists) -> None:
    def get(_url: str) -> Answer:
        raise AssertionError("asked")

    assert confirmed(planned(lists, "BTC-USDT", exchanges=("binance",)), get)


def test_a_file_names_services_markets_and_addresses(
    tmp_path: Path, lists: InstrumentLists
) -> None:
    text = (
        '[services.binance-spot-aggregates]\nmarkets = ["BTCUSDT"]\nsymbols = ["ETH-USDT"]\n'
        '[services.kraken]\nsymbols = ["BTC-USD"]\nurl = "ws://here"\nhistory_url = "http://here"\n'
    )

    plans = of_file(tmp_path, text, lists)

    assert markets(plans) == {
        "binance-spot-aggregates": ("BTCUSDT", "ETHUSDT"),
        "kraken": ("BTC/USD",),
    }
    assert (plans.plans[1].url, plans.plans[1].history_url) == ("ws://here", "http://here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no"),
        ("services = 1", "has no"),
        ("[services.nowhere]", "no live service 'nowhere'"),
        ("[services.kraken]\ncolour = 1", "does not know colour"),
        ("[services]\nkraken = 1", "does not know it"),
        ("[services.kraken]", "names no symbols"),
        ('[services.kraken]\nmarkets = ["BTCUSD"]', "BTCUSD is no market of kraken"),
        ("[[[", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(
    text: str, said: str, tmp_path: Path, lists: InstrumentLists
) -> None:
    with pytest.raises(ConfigError, match=said):
        of_file(tmp_path, text, lists)
