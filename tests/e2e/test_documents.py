"""Every command of README, tutorial and how-tos is typed as it stands there, and does what it should.

They run in a folder of their own, page by page on one home, as somebody who reads them in order would. What
cannot run here is listed with its reason; tests/unit/test_documented_commands.py looks at those too.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import PAGES, ROOT, Block, blocks
from tests.support.home import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TYPED = [
    page for page in PAGES if page.parent in (ROOT, ROOT / "docs/tutorial", ROOT / "docs/how-to")
]
PATIENCE = 300.0

# Beginnings of commands, and why they are not typed here.
NOT_TYPED = {
    "make ": "the checkout's own targets; CI's jobs run them",
    "make": "prints the targets; tests/unit/test_setup.py reads them",
    "source .venv/bin/activate": "the test's PATH has it",
    "python -m pytest": "a test runs no tests",
    "k2 up --feed live": "asks the exchanges; tests/e2e/test_live_feed.py has some of its own",
    "k2 feed run": "likewise",
    "k2 up --monitoring": "tests/integration/monitoring runs it",
    "k2 status --watch": "goes on until Ctrl-C",
    "k2 logs --stream silver-kraken --follow": "goes on until Ctrl-C",
    "k2 jobs submit refill-gap": "asks the exchange",
    "sudo": "installs K2 on the machine; tests/e2e/test_wheel.py and test_service_unit.py are about it",
    "NAME=toy": "changes the checkout; the template's own tests do it in a copy",
    "cp -r src": "likewise",
    "mv src": "likewise",
    "sed -i": "likewise",
    "k2 serve": "`k2 up` runs it already",
    "k2 dlq show market.crypto.trades": "the offset is another lake's",
    "k2 jobs watch": "the id is another job's",
    "k2 jobs show": "likewise",
    "k2 jobs logs": "likewise",
    "k2 jobs pause": "likewise",
    "k2 jobs resume": "likewise",
    "k2 jobs cancel": "likewise",
    "k2 jobs retry": "likewise",
    "k2 quality show": "the id is another run's",
    "k2 coverage accept": "the gap is another lake's",
    "curl -s localhost:8010/v1/jobs/ID": "the id is a placeholder",
    "curl -N localhost:8010/v1/jobs/ID": "likewise",
    "curl -o exchangeInfo.json": "asks an exchange; the test has its answer",
    "spark-submit": "wants a cluster; tests/integration/cluster starts one",
    "spark-class": "likewise",
    "docker": "containers have not been started anywhere yet",
    "prometheus": "tests/integration/monitoring runs it",
    "promtool": "likewise",
    "amtool": "likewise",
    "K2_PROMETHEUS_URL": "Grafana is not installed",
    "export K2_HOME=/shared/k2": "a cluster's folder",
    "sqlite3": "the program is not installed everywhere",
    "k2 exchange validate SAMPLES": "a placeholder",
}
# Until Ctrl-C, so in the background here.
IN_BACKGROUND = {"k2 up": "k2 up --detach"}
# What a command ends with where all is well, if not with 0.
ENDS_WITH = {"k2 alerts": 3}  # without --monitoring nothing evaluates them


def reason(command: str) -> str | None:
    return next(
        (
            why
            for begin, why in NOT_TYPED.items()
            if command == begin.strip() or (begin != "make" and command.startswith(begin))
        ),
        None,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the commands are typed, with the files that pages take as given."""
    folder = tmp_path_factory.mktemp("typed")
    for name in ("jobs", "monitoring", "schemas", "docs"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "tests/data/cases/binance.exchangeInfo.json", folder / "exchangeInfo.json")
    (folder / "names.txt").write_text("BTCUSDT\nETHBTC\n")
    (folder / "recordings").mkdir()
    for to in ("recordings/binance.jsonl", "messages.ndjson"):
        finish(type_in(folder, f"k2 simulate --to s.ndjson --exchange binance && mv s.ndjson {to}"))
    yield folder
    type_in(folder, "k2 down")


def type_in(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "K2_HOME"}
    message = '{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1,"m":true,"M":true}'
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={
            **environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MESSAGE": message,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def finish(done: subprocess.CompletedProcess[str], code: int = 0) -> None:
    command = done.args[-1]
    assert done.returncode == code, f"$ {command}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    assert "Traceback" not in done.stderr, command  # `k2 logs` prints those that are in a log


def run_block(folder: Path, block: Block) -> None:
    assignments: list[str] = []  # hold for the rest of a block
    for command in block.commands():
        if reason(command) is not None:
            continue
        if re.fullmatch(r'(export )?\w+=("[^"]*"|\S+)', command):
            assignments.append(command)
            continue
        if command.startswith("k2 up") and (folder / ".k2/run/ready").exists():
            finish(type_in(folder, "k2 down"))  # a page begins where nothing runs
        typed = IN_BACKGROUND.get(command, command)
        finish(type_in(folder, "; ".join([*assignments, typed])), ENDS_WITH.get(command, 0))
    if assignments:
        finish(type_in(folder, "; ".join(assignments)))


@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(folder: Path, page: Path) -> None:
    python = ""
    if page.name != "README.md" and not (folder / ".k2/run/ready").exists():
        finish(type_in(folder, "k2 up --detach"))
        log = folder / ".k2/lake/gold_trades/_delta_log"  # pages take a lake with trades as given
        wait_until(lambda: len(list(log.glob("*.json"))) > 1)
    for block in blocks(page):
        if block.is_shell:
            run_block(folder, block)
        elif block.language == "python" and "webhook" not in block.text:  # of a receiver
            python += block.text + "\n"
            (folder / "typed.py").write_text(python)
            finish(type_in(folder, "python typed.py"))


def test_every_reason_is_for_a_command_that_a_page_has() -> None:
    commands = [c for page in TYPED for b in blocks(page) if b.is_shell for c in b.commands()]

    assert {begin for begin in NOT_TYPED if not any(c.startswith(begin) for c in commands)} == set()
