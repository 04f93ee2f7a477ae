"""What was loaded stays, what it meant before stays what it was, and every version used can be had again."""

import pytest

from k2.errors import ConfigError
from k2.exchanges.instruments import Fact, read_facts, shipped_instruments, write_facts
from k2.home.instrument_lists import InstrumentLists, merged
from k2.settings import Settings

pytestmark = pytest.mark.unit

NOW = "2026-09-10T00:00:00Z"
ABC = Fact("spot", "ABCUSDT", "ABC", "USDT", "spot")
XYZ = Fact("spot", "ABCUSDT", "XYZ", "USDT", "spot")


@pytest.fixture
def lists(tmp_path):
    return InstrumentLists(Settings(home=tmp_path))


def test_without_a_loaded_list_there_is_what_k2_ships(lists):
    assert lists.current("binance") == shipped_instruments("binance")
    assert lists.loaded("binance") == []


def test_what_is_loaded_is_there_beside_what_is_shipped(lists):
    lists.load("binance", [ABC], NOW)

    current = lists.current("binance").rows()
    assert ABC in current
    assert set(shipped_instruments("binance").rows()) < set(current)


def test_a_second_load_keeps_what_it_does_not_speak_of(lists):
    other = Fact("spot", "OTHERUSDT", "OTHER", "USDT", "spot")

    lists.load("binance", [ABC], NOW)
    lists.load("binance", [other], NOW)

    assert {ABC, other} <= set(lists.current("binance").rows())


def test_the_same_list_again_changes_nothing(lists):
    lists.load("binance", [ABC], NOW)
    before = lists.current("binance").version

    changed = lists.load("binance", [ABC], "2027-01-01")

    assert changed == []
    assert lists.current("binance").version == before


def test_another_meaning_holds_from_then_on_and_the_old_one_until_then(lists):
    lists.load("binance", [ABC], NOW)

    changed = lists.load("binance", [XYZ], "2026-10-01")

    assert changed == [(ABC, XYZ)]
    of_name = [fact for fact in lists.current("binance").rows() if fact.name == "ABCUSDT"]
    assert [(fact.base, fact.since, fact.until) for fact in of_name] == [
        ("ABC", "", "2026-10-01"),
        ("XYZ", "2026-10-01", ""),
    ]


def test_a_fact_with_its_own_times_stands_as_it_is():
    dated = Fact("spot", "ABCUSDT", "XYZ", "USDT", "spot", "", "", "2026-01-01", "")

    newer, changed = merged([ABC], [dated], NOW)

    assert (newer, changed) == ([dated], [])


def test_whoever_reads_lists_sees_a_load_of_another_process(lists, tmp_path):
    before = lists.current("binance")

    InstrumentLists(Settings(home=tmp_path)).load("binance", [ABC], NOW)

    assert lists.current("binance").version != before.version
    assert ABC in lists.current("binance").rows()


def test_a_version_that_was_used_can_be_had_again(lists):
    lists.load("binance", [ABC], NOW)
    used = lists.current("binance")
    lists.keep("binance", used)

    lists.load("binance", [XYZ], NOW)

    assert lists.version("binance", used.version) == used


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_used_version_that_is_lost_is_said(lists, tmp_path, damage):
    used = lists.current("binance")
    lists.keep("binance", used)
    (path,) = (tmp_path / "instruments" / "versions").iterdir()
    if damage == "gone":
        path.unlink()
    else:
        path.write_text(write_facts([ABC]))

    with pytest.raises(ConfigError, match="is missing or was changed"):
        lists.version("binance", used.version)


def test_a_list_is_read_as_it_was_written():
    facts = [ABC, Fact("usdm", '币,"安', "币", "USDT", "future", "20260925", "", NOW, NOW)]

    assert read_facts(write_facts(facts), "x") == sorted(facts, key=lambda fact: fact.row)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no list of instruments"),
        ("symbol,base\n", "no list of instruments"),
        (write_facts([]) + "spot,A\n", "line 2"),
        (write_facts([]) + "spot,,A,B,spot,,,,\n", "line 2"),
        (write_facts([]) + "spot,AB,A,B,spot,,,tomorrow,\n", "'tomorrow' is no time"),
    ],
)
def test_what_is_no_list_is_refused_with_its_place(text, why):
    with pytest.raises(ConfigError, match=why):
        read_facts(text, "list.csv")
