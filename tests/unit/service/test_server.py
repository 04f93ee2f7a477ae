"""The service's start: where it may listen, and what is taken."""

import socket

import pytest

from k2.errors import ConfigError, InUseError
from k2.service.server import JobService
from k2.settings import Settings
from tests.support.jobs import KINDS


def test_beyond_loopback_it_wants_a_token(settings: Settings) -> None:
    open_to_all = settings.model_copy(update={"api_host": "0.0.0.0"})  # noqa: S104

    with pytest.raises(ConfigError, match="set K2_API_TOKEN"):
        JobService(open_to_all, KINDS)


def test_a_token_that_is_too_short_is_refused() -> None:
    with pytest.raises(ConfigError, match="K2_API_TOKEN"):
        Settings.load(api_token="short")  # noqa: S106


def test_a_taken_port_is_said_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        service = JobService(settings.model_copy(update={"api_port": port}), KINDS)

        with pytest.raises(InUseError, match=f"Port {port} for the API is taken"):
            service.run()

    assert not (settings.home / "jobs.sqlite").exists()


def test_an_address_of_another_machine_is_said(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"api_host": "203.0.113.7"})
    with_token = elsewhere.model_copy(
        update={"api_token": Settings.load(api_token="x" * 16).api_token}
    )

    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.7"):
        JobService(with_token, KINDS).run()
