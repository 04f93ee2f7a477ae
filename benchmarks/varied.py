"""K2 with one lever moved: other Spark options, JVM flags, or another revision's source.

``python -m benchmarks.varied …`` is ``k2 …`` under what the environment says; :class:`Variant` says it.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_OPTIONS, _JAVA = "K2_BENCHMARK_SPARK_OPTIONS", "K2_BENCHMARK_JAVA_OPTIONS"


@dataclass(frozen=True)
class Variant:
    """What differs from K2 as it is.

    ``settings`` are K2's own; ``java`` replaces words of the driver's flags (an empty value removes
    one, a new one is added); ``revision`` is a commit whose ``src`` runs.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    java: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""

    def environment(self) -> dict[str, str]:
        """Return the variables for a process that shall run it."""
        found = {f"K2_{name.upper()}": value for name, value in self.settings.items()}
        if self.options or self.java or self.revision:
            found |= {_OPTIONS: json.dumps(dict(self.options)), _JAVA: json.dumps(dict(self.java))}
        if self.revision:
            here = Path(__file__).parents[1]
            found["PYTHONPATH"] = os.pathsep.join([str(_checked_out(self.revision)), str(here)])
        return found


STANDARD = Variant()


def _checked_out(revision: str) -> Path:
    """Return the ``src`` of a commit, unpacked once for each."""
    named = subprocess.run(
        ["git", "rev-parse", "--short", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    revision = named.stdout.strip()
    folder = Path(tempfile.gettempdir()) / f"k2-bench-source-{revision}"
    if not folder.exists():
        folder.mkdir()
        archive = subprocess.run(
            ["git", "archive", revision, "src", "schemas"], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "src"


def changed_words(words: Sequence[str], changes: Mapping[str, str]) -> list[str]:
    """Replace words; an empty one goes, and what replaces no word is added."""
    kept = [changes.get(word, word) for word in words]
    return [*filter(None, kept), *(new for old, new in changes.items() if old not in words)]


def _run() -> None:
    from k2.cli.app import main

    options, java = (json.loads(os.environ.get(name) or "{}") for name in (_OPTIONS, _JAVA))
    if options or java:
        _change(options, java)
    main()


def _change(options: Mapping[str, str], java: Mapping[str, str]) -> None:
    from k2.jvm import spark

    standard_options, standard_java = spark.session_options, spark._java_options

    def session_options(*arguments: Any) -> dict[str, str]:
        return {**standard_options(*arguments), **options}

    def java_options(*arguments: Any) -> list[str] | str:
        standard = standard_java(*arguments)
        if isinstance(standard, str):  # in older revisions
            return " ".join(changed_words(standard.split(), java))
        return changed_words(standard, java)

    spark.session_options, spark._java_options = session_options, java_options


if __name__ == "__main__":
    _run()
