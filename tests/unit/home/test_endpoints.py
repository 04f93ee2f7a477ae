"""Where Kafka and the registry are, and how amounts are read."""

import json

import pytest

from k2.cli.options import rate_of, seconds_of
from k2.errors import ConfigError, UnavailableError
from k2.home.endpoints import Endpoints, find_endpoints
from k2.settings import Settings

pytestmark = pytest.mark.unit


def note(settings, content):
    settings.run.mkdir(parents=True)
    (settings.run / "endpoints.json").write_text(content)


def test_the_note_of_the_local_stack_is_found(settings):
    note(settings, json.dumps({"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:8"}))

    assert find_endpoints(settings) == Endpoints("127.0.0.1:9", "http://127.0.0.1:8")


def test_a_setting_wins_over_the_note(tmp_path):
    settings = Settings.load(home=tmp_path, kafka="broker:1")
    note(settings, json.dumps({"kafka": "127.0.0.1:9", "registry": "http://127.0.0.1:8"}))

    assert find_endpoints(settings) == Endpoints("broker:1", "http://127.0.0.1:8")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kafka": "127.0.0.1:9"}'])
def test_a_note_that_does_not_name_both_is_an_outage_with_a_remedy(settings, content):
    note(settings, content)

    with pytest.raises(UnavailableError, match="k2 up"):
        find_endpoints(settings)


def test_no_note_at_all_says_how_to_start(settings):
    with pytest.raises(UnavailableError, match=r"No Kafka .*k2 up"):
        find_endpoints(settings)


@pytest.mark.parametrize(
    ("text", "rate"), [("2000/s", 2000.0), ("0.5", 0.5), ("500", 500.0), ("max", None)]
)
def test_a_rate_is_records_a_second(text, rate):
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["0", "0/s", "-1", "fast", "", "1/m", "nan", "1e3", "٣"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ConfigError, match="not a rate"):
        rate_of(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60.0), ("5m", 300.0), ("1h", 3600.0), ("1.5", 1.5)]
)
def test_a_duration_has_a_unit_or_is_seconds(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["0s", "s", "", "-5s", "1d", "inf"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigError, match="not a duration"):
        seconds_of(text)


def test_a_home_below_a_file_is_a_wrong_setting_and_not_an_outage(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"K2_HOME=.*file/home cannot be used"):
        find_endpoints(Settings.load(home=tmp_path / "file" / "home", kafka="k:1", registry="r"))
