"""``k2 config``: every setting with where it is from, no secret, and what is wrong all at once."""

import json
from pathlib import Path

import pytest

from k2.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "k2.toml"


def test_every_setting_is_shown_with_its_origin(k2, toml, monkeypatch, home):
    (toml.parent / "password").write_text("c4n4ry")
    toml.write_text('trigger_seconds = 2\nkafka_password_file = "password"\n')
    monkeypatch.setenv("JAVA_HOME", "/java")

    found = {each["name"]: each for each in json.loads(k2("config", "--json").out)}

    assert set(found) == set(Settings.model_fields)
    assert {name: found[name]["origin"] for name in ("home", "java_home", "api_port")} == {
        "home": "environment (K2_HOME)",
        "java_home": "environment (JAVA_HOME)",
        "api_port": "default",
    }
    assert found["trigger_seconds"] == {
        **{"name": "trigger_seconds", "value": 2.0, "origin": "k2.toml"}
    }
    assert (found["kafka_password"]["value"], found["kafka_password"]["origin"]) == (
        "***",
        "file (password)",
    )


def test_those_that_are_set_can_be_shown_alone(k2, toml):
    said = k2("config", "show", "--set")

    assert said.code == 0
    assert "K2_HOME" in said.out
    assert "trigger_seconds" not in said.out


@pytest.mark.parametrize("arguments", [["--json"], [], ["check"], ["check", "--json"]])
def test_no_secret_is_shown(k2, toml, monkeypatch, arguments):
    toml.write_text('api_token = "c4n4ry-of-sixteen"\nkafka_password = "c4n4ry"\n')
    monkeypatch.setenv("K2_REGISTRY", "http://user:c4n4ry@host")
    monkeypatch.setenv("K2_OPS_DB", "postgresql://user:c4n4ry@host/db")

    said = k2("config", *arguments)

    assert "c4n4ry" not in said.out + said.err


def test_all_well_is_checked_with_0(k2, toml):
    said = k2("config", "check")

    assert (said.code, said.out) == (
        0,
        f"All {len(Settings.model_fields)} settings can be used.\n",
    )


def test_all_that_is_wrong_is_said_at_once_and_checked_with_2(k2, toml, monkeypatch):
    toml.write_text('triger_seconds = 3\nkafka_ca_file = "/no/ca.pem"\nregistry_token = "x"\n')
    toml.chmod(0o644)
    monkeypatch.setenv("K2_KAFKA_SECURITY", "SASL_PLAINTEXT")
    monkeypatch.setenv("K2_KAFKA_USERNAME", "me")
    monkeypatch.setenv("K2_TRIGER_SECONDS", "3")

    said = k2("config", "check")

    assert said.code == 2
    for part in (
        "K2_TRIGER_SECONDS is no setting of K2 and changes nothing. Did you mean K2_TRIGGER_SECONDS?",
        "triger_seconds in k2.toml is no setting",
        "kafka_ca_file = '/no/ca.pem' is no file.",
        "chmod 600 k2.toml",
        "K2_KAFKA_USERNAME is set, but no password",
    ):
        assert part in said.out
    assert json.loads(k2("config", "check", "--json").out)["problems"] == said.out.splitlines()


def test_a_value_that_cannot_be_used_is_checked_with_2(k2, toml):
    toml.write_text('log_level = "loud"\n')

    said = k2("config", "check")

    assert said.code == 2
    assert said.out.startswith("k2.toml: log_level = 'loud': ")
    assert k2("config").code == 2
