"""Ports: those asked for are checked, others are free ones."""

import os
import socket
from collections.abc import Iterator

import pytest

from k2.errors import InUseError
from k2.home.ports import claimed, free_port, is_free, port_owner

pytestmark = pytest.mark.unit


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder_and_the_remedy(taken: int) -> None:
    with pytest.raises(
        InUseError, match=rf"Port {taken} for Kafka .*process {os.getpid()}.*K2_KAFKA_PORT"
    ):
        claimed(taken, "Kafka", "K2_KAFKA_PORT")


def test_a_port_taken_on_all_addresses_is_taken_on_loopback() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104
        assert not is_free(server.getsockname()[1])


def test_zero_takes_a_free_port() -> None:
    assert is_free(claimed(0, "Kafka", "K2_KAFKA_PORT"))


def test_a_free_port_asked_for_is_taken() -> None:
    port = free_port()

    assert claimed(port, "Kafka", "K2_KAFKA_PORT") == port


def test_nobody_holds_a_free_port() -> None:
    assert port_owner(claimed(0, "Kafka", "K2_KAFKA_PORT")) is None
