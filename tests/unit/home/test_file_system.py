"""File systems that K2 cannot use: said before anything is written, by name and with the remedy."""

import errno
import fcntl
import os

import pytest

from k2.errors import ConfigError
from k2.home.file_system import check_file_system, find_link_fault, find_lock_fault, is_noexec
from k2.home.locks import exclusive, is_held
from k2.home.paths import prepare_home

pytestmark = pytest.mark.unit


def refusing(number):
    """A call that a file system does not know."""

    def call(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def no_locks(monkeypatch, request):
    monkeypatch.setattr(fcntl, "flock", refusing(request.param))


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def no_links(monkeypatch, request):
    monkeypatch.setattr(os, "link", refusing(request.param))


def test_a_local_disk_has_what_is_needed_and_keeps_nothing_of_the_probe(tmp_path):
    check_file_system(tmp_path)

    assert find_lock_fault(tmp_path) is None
    assert find_link_fault(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_home_without_locks_is_refused(settings, no_locks):
    with pytest.raises(ConfigError, match=r"K2_HOME=.* no locks \(.*Set K2_HOME on another disk"):
        prepare_home(settings)


def test_a_home_whose_locks_do_not_hold_is_refused(settings, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)

    with pytest.raises(ConfigError, match="locks do not hold: two processes could write one table"):
        prepare_home(settings)


def test_a_home_without_hard_links_is_refused(settings, no_links):
    with pytest.raises(ConfigError, match=r"no hard links \(.*with which Delta commits"):
        prepare_home(settings)


def test_a_lock_that_the_file_system_does_not_know_is_no_bare_error(tmp_path, no_locks):
    with pytest.raises(ConfigError, match="has no locks"), exclusive(tmp_path, ["gold"], "test"):
        pass
    with pytest.raises(ConfigError, match="has no locks"):
        is_held(tmp_path, "gold")


def test_a_folder_whose_programs_may_not_run_is_told(tmp_path, monkeypatch):
    may_run = is_noexec(tmp_path)
    found = os.statvfs(tmp_path)
    mounted = type(found)((*found[:8], found.f_flag | os.ST_NOEXEC, *found[9:]))
    monkeypatch.setattr(os, "statvfs", lambda _: mounted)

    assert (may_run, is_noexec(tmp_path)) == (False, True)
