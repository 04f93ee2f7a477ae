import pytest

from benchmarks.varied import STANDARD, Variant, changed_words
from k2.jvm import spark
from k2.settings import Settings

pytestmark = pytest.mark.unit


def test_k2_as_it_is_needs_no_variables():
    assert STANDARD.environment() == {}


def test_a_setting_is_k2s_own_variable():
    found = Variant(settings={"table_writer": "spark"}).environment()

    assert found == {"K2_TABLE_WRITER": "spark"}


def test_a_flag_of_the_jvm_is_replaced_removed_or_added():
    assert changed_words(["-a", "-b"], {"-a": "-c"}) == ["-c", "-b"]
    assert changed_words(["-a", "-b"], {"-a": ""}) == ["-b"]
    assert changed_words(["-a", "-b"], {"new": "-d"}) == ["-a", "-b", "-d"]


def test_the_collector_that_levers_replace_is_the_one_that_k2_sets():
    assert "-XX:+UseSerialGC" in spark._java_options(Settings.load())
