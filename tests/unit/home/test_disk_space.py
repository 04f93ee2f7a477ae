"""What ends for want of room says so, also when there is room again."""

import errno
from collections import namedtuple
from collections.abc import Callable

import pytest

from k2.errors import FailedError, InUseError, UnavailableError
from k2.home import disk_space as room
from k2.home.disk_space import DiskSpace
from k2.settings import Settings

pytestmark = pytest.mark.unit

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the disk have so many bytes free, from now on."""

    def set_free(number: int) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Usage(10**9, 0, number))

    set_free(10**8)
    return set_free


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the clock, to be changed."""
    now = [1000.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.usefixtures("free")
def test_an_error_of_a_full_disk_has_a_remedy(settings: Settings) -> None:
    with (
        pytest.raises(FailedError, match="is full; make room or set K2_HOME"),
        DiskSpace(settings).named(),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("kind", [FailedError, UnavailableError])
def test_what_dies_on_a_full_disk_without_a_word_is_told_with_the_cause(
    settings: Settings, free: Callable[[int], None], kind: type[Exception]
) -> None:
    free(4096)

    with (
        pytest.raises(FailedError, match=r"^The feed died\. The disk of .* is full; make room"),
        DiskSpace(settings).named(),
    ):
        raise kind("The feed died.")


def test_the_cause_is_known_when_there_is_room_again_and_forgotten_after_a_while(
    settings: Settings, free: Callable[[int], None], clock: list[float]
) -> None:
    disk = DiskSpace(settings)
    free(4096)
    disk.look()
    free(10**8)

    clock[0] += 10
    with pytest.raises(FailedError, match="is full"), disk.named():
        raise FailedError("Kafka ended.")
    clock[0] += 600
    with pytest.raises(FailedError, match=r"^Kafka ended\.$"), disk.named():
        raise FailedError("Kafka ended.")


@pytest.mark.usefixtures("free")
def test_with_room_nothing_is_blamed_on_the_disk(settings: Settings) -> None:
    with pytest.raises(FailedError, match=r"^Kafka ended\.$"), DiskSpace(settings).named():
        raise FailedError("Kafka ended.")
    with pytest.raises(ConnectionRefusedError), DiskSpace(settings).named():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def test_what_has_another_cause_stays_as_it_is(
    settings: Settings, free: Callable[[int], None]
) -> None:
    free(0)

    with pytest.raises(InUseError, match=r"^Port 1 is taken\.$"), DiskSpace(settings).named():
        raise InUseError("Port 1 is taken.")
    with (
        pytest.raises(FailedError, match=r"^Stream gold: the disk is full\.$"),
        DiskSpace(settings).named(),
    ):
        raise FailedError("Stream gold: the disk is full.")


def test_a_home_that_is_gone_is_no_news(settings: Settings) -> None:
    assert not DiskSpace(settings).was_full
