"""The fenced blocks of the documents, and the commands of K2 in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from typer.main import get_command

from k2.cli import app

ROOT = Path(__file__).parents[2]
# Pages that people paste from.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(
        page
        for folder in ("tutorial", "how-to", "runbooks", "explanation")
        for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    ),
]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHELL = ("", "sh", "bash")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, line, language and text without its margin."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def is_shell(self) -> bool:
        """Whether it is typed into a terminal."""
        return self.language in _SHELL

    @property
    def name(self) -> str:
        """Page and line, for a test's name."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """Return its commands, a continued one as one; without comments and blank lines."""
        joined = re.sub(r" *\\\n *", " ", self.text)
        lines = (_without_comment(line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's blocks."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        margin = len(found[1])
        inner = "\n".join(line[margin:] for line in found[3].splitlines())
        yield Block(page, text[: found.start()].count("\n") + 1, found[2], inner)


def k2_calls(command: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of ``k2`` in a command line, those of ``$(k2 …)`` too."""
    for line in (command, *re.findall(r"\$\(([^)]*)\)", command)):
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, ""
        for begins, part in groupby(words, key=lambda word: set(word) <= set("();<>|&") and word):
            call = list(part)
            while call and re.fullmatch(r"\w+=.*", call[0]):
                call.pop(0)
            if not begins and call and call[0] == "k2":
                yield call[1:]


def _without_comment(line: str) -> str:
    """Cut a comment, which begins at a # outside quotes at the line's begin or behind a blank."""
    quote = ""
    for at, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (at == 0 or line[at - 1] == " "):
            return line[:at]
    return line


def refusal(arguments: list[str]) -> str | None:
    """What the command line says against arguments, which it only reads; None if it takes them."""
    command: Any = get_command(app._app)
    context = command.make_context("k2", list(arguments), resilient_parsing=True)
    try:
        while hasattr(command, "list_commands"):
            words = [*context._protected_args, *context.args]
            if not words:
                return None if command.invoke_without_command else "no command"
            name, command, rest = command.resolve_command(context, words)
            if command is None:
                return f"no command {name}"
            context = command.make_context(
                name,
                rest,
                parent=context,
                resilient_parsing=not rest and hasattr(command, "commands"),
            )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
