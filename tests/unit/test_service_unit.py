"""The systemd unit starts commands that there are, and ends K2 as it wants to be ended."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from k2.cli.commands.down import _PATIENCE_SECONDS
from k2.errors import ConfigError
from k2.setting_origins import unknown_settings
from tests.support.documents import refusal

pytestmark = pytest.mark.unit

UNIT = Path(__file__).parents[2] / "systemd" / "k2.service"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser["Service"]


@pytest.mark.parametrize("name", ["ExecStartPre", "ExecStart"])
def test_it_starts_commands_that_there_are(service: configparser.SectionProxy, name: str) -> None:
    program, *arguments = shlex.split(service[name])

    assert program == "/opt/k2/bin/k2"
    assert refusal(arguments) is None


def test_its_variables_are_settings(
    service: configparser.SectionProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in service["Environment"].split():
        monkeypatch.setenv(*variable.split("=", 1))
    monkeypatch.setenv("K2_CONFIG", str(tmp_path / "k2.toml"))
    (tmp_path / "k2.toml").touch()

    assert unknown_settings() == {}


def test_a_wrong_setting_is_not_tried_again_and_a_stop_may_take_what_it_takes(
    service: configparser.SectionProxy,
) -> None:
    assert int(service["RestartPreventExitStatus"]) == ConfigError.exit_code
    assert int(service["TimeoutStopSec"]) > _PATIENCE_SECONDS


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_it(tmp_path: Path) -> None:
    here = tmp_path / "k2.service"  # with a program and a user that are there
    text = UNIT.read_text().replace("/opt/k2/bin/k2", "/bin/true")
    here.write_text(text.replace("User=k2", "User=root").replace("Group=k2", "Group=root"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True
    )

    said = [line for line in done.stderr.splitlines() if "k2.service" in line]
    assert (done.returncode, said) == (0, [])
