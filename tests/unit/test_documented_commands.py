"""Every command of K2 in a document is one that there is, with options that it takes.

That they do what the page says is for tests/e2e/test_documents.py, which types them.
"""

import re
import subprocess
import tomllib

import pytest

from tests.support.documents import PAGES, ROOT, Block, blocks, k2_calls, refusal

pytestmark = pytest.mark.unit

BLOCKS = [block for page in PAGES for block in blocks(page)]
SHELL = [block for block in BLOCKS if block.is_shell]


def test_there_are_commands_to_look_at():
    assert sum(len(list(k2_calls(c))) for block in SHELL for c in block.commands()) > 100


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_every_command_of_a_block_is_one_that_there_is(block: Block):
    refused = {
        " ".join(arguments): said
        for command in block.commands()
        for arguments in k2_calls(command)
        if (said := refusal(arguments)) is not None
    }

    assert refused == {}


@pytest.mark.parametrize(
    "command",
    [
        "k2 sideways",
        "k2 up --fast",
        "k2 show",
        "k2 up   until Ctrl-C",
        "k2 dlq lst",
        "K2_X=1 k2 bars --timeframe 7m BTC",
        'spark-submit --jars "$(k2 jar)" x.py',
        "true && k2 jobs list --stat running",
    ],
)
def test_a_command_that_there_is_not_is_found(command: str):
    assert [said for arguments in k2_calls(command) if (said := refusal(arguments))]


@pytest.mark.parametrize(
    "command",
    ["k2 status", "k2", "k2 jars | wc", "k2 balance --json > file.json", "echo k2 sideways"],
)
def test_a_command_that_there_is_passes(command: str):
    assert [said for arguments in k2_calls(command) if (said := refusal(arguments))] in (
        [],
        ["no command"],
    )


def test_k2_is_called_in_one_way():
    other = re.compile(r"uv run (--\S+ \S+ )?k2\b|\.venv/bin/(k2|python)\b|python -m k2\b")
    found = [
        f"{page.relative_to(ROOT)}: {m[0]}"
        for page in PAGES
        for m in other.finditer(page.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "toml"], ids=lambda block: block.name
)
def test_a_file_of_settings_is_toml(block: Block):
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.name)
def test_a_block_can_be_pasted_into_a_shell(block: Block):
    """What is no command names a language, and what explains one stands behind a #."""
    parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    unmarked = [line for line in block.commands() if re.search(r"[^\s\\] {3,}[^#\s]", line)]

    assert (parsed.stderr, unmarked) == ("", [])
