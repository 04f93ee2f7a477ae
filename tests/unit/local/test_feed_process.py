"""A feed that dies ends the run with its last words."""

import subprocess
import sys

import pytest

from k2.errors import FailedError
from k2.local.feed_process import require_feed
from k2.settings import Settings

pytestmark = pytest.mark.unit


def ended(program: str, settings: Settings) -> "subprocess.Popen[bytes]":
    """Run a program in the place of a feed, to its end."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    with (settings.logs / "feed.log").open("wb") as log:
        feed = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)
    feed.wait()
    return feed


def test_the_last_words_of_a_feed_are_why_the_run_ends(settings: Settings) -> None:
    feed = ended("print('k2: Kafka did not take 6 records.'); raise SystemExit(3)", settings)

    with pytest.raises(FailedError) as caught:
        require_feed(feed, settings)

    said = str(caught.value)
    assert said.startswith("The feed died (exit code 3): k2: Kafka did not take 6 records. (see ")
    assert str(settings.logs / "feed.log") in said


@pytest.mark.parametrize("has_log", [True, False])
def test_a_feed_without_last_words_is_named_by_its_exit_code(
    settings: Settings, has_log: bool
) -> None:
    feed = ended("import os; os._exit(1)", settings)
    if not has_log:
        (settings.logs / "feed.log").unlink()

    with pytest.raises(FailedError, match=r"^The feed died \(exit code 1\) \(see .*feed\.log\)\.$"):
        require_feed(feed, settings)


@pytest.mark.parametrize(
    "program", ["pass", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
)
def test_a_feed_that_was_through_or_was_ended_is_no_failure(
    settings: Settings, program: str
) -> None:
    require_feed(ended(program, settings), settings)
