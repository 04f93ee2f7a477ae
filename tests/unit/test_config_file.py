"""``k2.toml``: read where no variable is set, and named in every sentence about what it says."""

import os
from pathlib import Path

import pytest

from k2.errors import ConfigError
from k2.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "k2.toml"


def test_a_line_of_the_file_is_a_setting(toml):
    toml.write_text('home = "here"\ntrigger_seconds = 2.5\n[quality_thresholds]\n"a.b" = 1\n')

    settings = Settings.load()

    assert settings.home == toml.parent / "here"
    assert settings.trigger_seconds == 2.5
    assert settings.quality_thresholds == {"a.b": 1.0}


def test_a_variable_wins_over_the_file_and_an_option_over_both(toml, monkeypatch):
    toml.write_text("api_port = 1\nui_port = 1\nmetrics_port = 1\nchain_streams = true\n")
    monkeypatch.setenv("K2_UI_PORT", "2")
    monkeypatch.setenv("K2_METRICS_PORT", "2")
    monkeypatch.setenv("K2_FUSED", "false")  # the name that it had

    settings = Settings.load(metrics_port=3)

    assert (settings.api_port, settings.ui_port, settings.metrics_port) == (1, 2, 3)
    assert settings.chain_streams is False


def test_another_file_can_be_named_and_a_child_is_told_of_it(toml, monkeypatch, tmp_path):
    (tmp_path / "other.toml").write_text("api_port = 7\n")
    monkeypatch.setenv("K2_CONFIG", "other.toml")

    settings = Settings.load()

    assert settings.api_port == 7
    assert settings.environment()["K2_CONFIG"] == str(tmp_path / "other.toml")


def test_a_named_file_that_is_not_there_is_said(toml, monkeypatch):
    monkeypatch.setenv("K2_CONFIG", "nowhere.toml")

    with pytest.raises(ConfigError, match=r"^K2_CONFIG='nowhere.toml' is no file\.$"):
        Settings.load()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"api_port =\n", "k2.toml is no TOML: Invalid value"),
        (b"\xff\xfe", "k2.toml is no TOML: "),
        (b"api_port = 99999\n", "k2.toml: api_port = 99999: Input should be less than"),
        (b"[kafka]\nport = 1\n", "k2.toml: kafka = {'port': 1}: Input should be a valid string"),
        (b'home = "a[b"\n', "k2.toml: home = 'a[b': '[' may not be in its name"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_file(toml, content, sentence):
    toml.write_bytes(content)

    with pytest.raises(ConfigError) as raised:
        Settings.load()

    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


def test_a_wrong_variable_is_named_although_the_file_is_right(toml, monkeypatch):
    toml.write_text("api_port = 1\n")
    monkeypatch.setenv("K2_API_PORT", "99999")

    with pytest.raises(ConfigError, match=r"^K2_API_PORT='99999': "):
        Settings.load()


def test_a_variable_that_should_be_json_is_named(toml, monkeypatch):
    monkeypatch.setenv("K2_QUALITY_THRESHOLDS", "{")

    with pytest.raises(ConfigError, match=r"not JSON, .*quality_thresholds"):
        Settings.load()


def test_a_folder_of_that_name_is_no_file(toml):
    toml.mkdir()

    assert Settings.load().home == toml.parent / ".k2"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_said(toml):
    toml.touch(0o000)

    with pytest.raises(ConfigError, match=r"k2.toml cannot be read: Permission denied"):
        Settings.load()
