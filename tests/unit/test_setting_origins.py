"""What is set that is no setting, and secrets where others may read them."""

from pathlib import Path

import pytest

from k2.setting_origins import exposed_secrets, unknown_settings

pytestmark = pytest.mark.unit


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "k2.toml"


def test_keys_that_there_are_not_are_named_with_what_they_resemble(toml):
    toml.write_text('triger_seconds = 1\nK2_LOG_FORMAT = "json"\nNonsense = 1\nHOME = "x"\n')

    assert unknown_settings() == {
        "k2_log_format in k2.toml": " Did you mean log_format?",
        "nonsense in k2.toml": "",
        "triger_seconds in k2.toml": " Did you mean trigger_seconds?",
    }


def test_secrets_that_others_may_read_are_said(toml):
    toml.write_text('api_token = "0123456789abcdef"\nkafka_password = "x"\nui_port = 1\n')
    toml.chmod(0o644)
    exposed = exposed_secrets()
    toml.chmod(0o600)

    assert exposed == (
        "k2.toml holds api_token, kafka_password and others may read it: chmod 600 k2.toml."
    )
    assert exposed_secrets() is None
