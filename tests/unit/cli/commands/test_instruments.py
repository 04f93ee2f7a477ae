"""``k2 instruments``: a list is loaded, looked at, and checked names are known or not."""

import json

import pytest

pytestmark = pytest.mark.unit


@pytest.fixture
def listing(tmp_path):
    def write(*symbols, name="exchangeInfo.json"):
        path = tmp_path / name
        listed = [
            {"symbol": symbol, "baseAsset": base, "quoteAsset": quote}
            for symbol, base, quote in symbols
        ]
        path.write_text(json.dumps({"symbols": listed}))
        return path

    return write


def show(k2, name, exchange="binance", *more):
    return json.loads(k2("instruments", "show", name, "--exchange", exchange, "--json", *more).out)


def test_a_loaded_list_says_what_a_name_means(k2, listing):
    (before,) = show(k2, "NEWUSDT", "binance", "--market", "spot")

    loaded = k2("instruments", "load", listing(("NEWUSDT", "NEW", "USDT")), "--exchange", "binance")

    (after,) = show(k2, "NEWUSDT", "binance", "--market", "spot")
    assert (before["symbol"], before["problem"]) == (None, "symbol_unknown")
    assert loaded.code == 0
    assert loaded.out == "Loaded 1 names of Binance: 1 of spot.\n"
    assert (after["symbol"], after["instrument_type"]) == ("NEW-USDT", "spot")


def test_a_name_is_shown_in_each_market_of_its_exchange(k2):
    shown = show(k2, "BTCUSDT")

    assert [(row["market"], row["symbol"], row["problem"]) for row in shown] == [
        ("spot", "BTC-USDT", None),
        ("usdm", "BTC-USDT-PERP", None),
        ("coinm", None, "instrument_not_supported"),
    ]


def test_a_renamed_asset_is_shown_with_its_times(k2):
    before, since = show(k2, "LUNA/USD", "kraken")

    assert (before["symbol"], before["until"]) == ("LUNA-USD", "2022-05-28T00:00:00Z")
    assert (since["symbol"], since["since"]) == ("LUNC-USD", "2022-05-28T00:00:00Z")


def test_a_name_that_means_something_else_now_is_said(k2, listing):
    first, second = ("ABCUSDT", "ABC", "USDT"), ("ABCUSDT", "AB", "CUSDT")
    k2("instruments", "load", listing(first), "--exchange", "binance")

    said = k2(
        *("instruments", "load", listing(second), "--exchange", "binance"),
        *("--since", "2026-09-25"),
    )

    assert "spot ABCUSDT meant ABC-USDT, now AB-CUSDT." in said.out
    old, new = show(k2, "ABCUSDT", "binance", "--market", "spot")
    assert (old["symbol"], old["until"]) == ("ABC-USDT", "2026-09-25T00:00:00Z")
    assert new["symbol"] == "AB-CUSDT"


def test_the_list_tells_what_is_shipped_from_what_was_loaded(k2, listing):
    k2("instruments", "load", listing(("NEWUSDT", "NEW", "USDT")), "--exchange", "binance")

    rows = json.loads(k2("instruments", "list", "--exchange", "binance", "--json").out)

    sources = {row["name"]: row["source"] for row in rows if row["market"] == "spot"}
    assert (sources["NEWUSDT"], sources["BTCUSDT"]) == ("loaded", "shipped")


def test_all_exchanges_are_listed_for_people(k2):
    said = k2("instruments", "list")

    assert said.code == 0
    assert "币安人生USDT" in said.out
    assert "LUNC" in said.out


def test_checked_names_that_mean_nothing_are_named_with_the_reason(k2, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("BTCUSDT\nNOBODYUSDT\n", encoding="utf-8")

    said = k2("instruments", "check", names, "USDTUSD", "--exchange", "binance", "--json")

    assert said.code == 1
    assert {row["name"]: row["problem"] for row in json.loads(said.out)} == {
        "NOBODYUSDT": "symbol_unknown",
        "USDTUSD": "symbol_ambiguous",
    }


def test_checked_names_that_are_known_are_fine(k2):
    said = k2("instruments", "check", "BTC/USD", "AAPLx/USD", "--exchange", "kraken")

    assert (said.code, said.out) == (0, "All 2 names are known.\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("load", "nowhere.json", "--exchange", "binance"), "nowhere.json cannot be read"),
        (("load", __file__, "--exchange", "binance"), "is no list of instruments"),
        (("load", __file__, "--exchange", "okx"), "Unknown exchange"),
        (("load", __file__, "--exchange", "kraken", "--market", "usdm"), "has no market 'usdm'"),
        (
            ("show", "BTCUSDT", "--exchange", "binance", "--market", "x"),
            "It has: spot, usdm, coinm",
        ),
    ],
)
def test_a_mistake_is_one_sentence(k2, arguments, why):
    said = k2("instruments", *arguments)

    assert said.code == 2
    assert why in " ".join(said.err.split())


def test_a_since_that_is_no_time_is_refused(k2, listing):
    path = listing(("NEWUSDT", "NEW", "USDT"))

    said = k2("instruments", "load", path, "--exchange", "binance", "--since", "soon")

    assert said.code == 2
    assert "'soon' is no time" in said.err


def test_a_replay_of_a_market_that_the_exchange_has_not_is_refused(k2, tmp_path):
    (tmp_path / "messages").write_text("{}\n")

    said = k2("replay", tmp_path / "messages", "--exchange", "kraken", "--market", "usdm")

    assert said.code == 2
    assert "Kraken has no market 'usdm'" in said.err
