"""What Spark's JVM prints goes to a file, not into what K2 says."""

import subprocess
import sys
from pathlib import Path

import pytest

from k2.jvm.driver import _output_to

pytestmark = pytest.mark.unit

CHILD = "import sys; print('to out'); print('to err', file=sys.stderr)"


def test_both_outputs_of_a_program_started_meanwhile_are_in_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "driver.log"

    with _output_to(log):
        later = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(0.5); {CHILD}"])
    later.wait()

    assert sorted(log.read_text().splitlines()) == ["to err", "to out"]
    assert capfd.readouterr() == ("", "")


def test_the_terminal_is_ours_again_afterwards_whatever_happened(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError), _output_to(tmp_path / "driver.log"):
        _ = 1 / 0

    subprocess.run([sys.executable, "-c", CHILD], check=True)

    assert capfd.readouterr() == ("to out\n", "to err\n")
