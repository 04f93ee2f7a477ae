"""``make mutants``: plant defects in the rules, one at a time, and see whether a test fails.

Works on a copy of the project, in one process: Spark starts once. Ends with 1 when fewer than the
wanted share of the mutants is noticed, or when the tests fail without any mutant.
"""

import argparse
import importlib
import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from pyspark.sql import SparkSession

from tests.mutation.mutants import Mutant, mutants_of, sample

ROOT = Path(__file__).parents[2]
PACKAGES = ("avro", "silver", "gold", "bars", "exchanges")
EVERYTHING = [f"tests/unit/{name}" for name in (*PACKAGES, "cases")]
WANTED = 0.95
# What a test may take under a mutant, which may loop for ever or fill the memory.
_SECONDS, _BYTES = 120, 6 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant, and after how many seconds."""

    mutant: str
    noticed: bool
    seconds: float


def main() -> int:
    """Run the chosen mutants; write ``reports/mutants.json``; return the exit code."""
    arguments = _parse()
    sys.dont_write_bytecode = True  # a cached mutant would outlive its file
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
    SparkSession.stop = lambda _self: None  # type: ignore[method-assign]  # one for all runs
    with tempfile.TemporaryDirectory(prefix="k2-mutants-") as folder:
        _copy(Path(folder))
        sys.path[:0] = [f"{folder}/src", folder]
        with chdir(folder):
            outcomes = list(_run(arguments.sample, arguments.seed, arguments.only))
    noticed = sum(outcome.noticed for outcome in outcomes)
    share = noticed / max(len(outcomes), 1)
    report = ROOT / "reports" / "mutants.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    print(f"{noticed} of {len(outcomes)} mutants noticed: {share:.1%} (wanted {WANTED:.0%}).")
    for outcome in outcomes:
        if not outcome.noticed:
            print(f"  survived: {outcome.mutant}")
    return 0 if share >= WANTED else 1


def _run(size: int, seed: int, only: str) -> Iterable[Outcome]:
    modules = sorted(path for name in PACKAGES for path in Path("src/k2", name).rglob("*.py"))
    chosen = sample(
        (m for path in modules for m in mutants_of(path) if only in str(path)), size, seed
    )
    nearest = sorted({_tests_of(mutant)[0][0] for mutant in chosen} - set(EVERYTHING))
    _require_green(nearest if only else EVERYTHING)
    for number, mutant in enumerate(chosen, 1):
        began = time.monotonic()
        with use_mutation(mutant.path, get_operator(mutant.operator)(), mutant.occurrence):
            noticed = any(_fails(tests) for tests in _tests_of(mutant))
        outcome = Outcome(str(mutant), noticed, round(time.monotonic() - began, 1))
        word = "noticed" if noticed else "SURVIVED"
        print(f"[{number}/{len(chosen)}] {word} {mutant} ({outcome.seconds} s)", flush=True)
        yield outcome


def _tests_of(mutant: Mutant) -> list[list[str]]:
    """The module's own tests first, which notice most; then those of its folder; then all that stand on it."""
    folder = Path("tests/unit") / mutant.path.parent.relative_to("src/k2")
    own = [folder / f"test_{mutant.path.stem}.py", folder]
    if mutant.path.stem == "live":  # an exchange's side of the live feed
        own.append(Path("tests/unit/feeds/live"))
    return [*([str(path)] for path in own if path.exists()), EVERYTHING]


def _fails(tests: list[str]) -> bool:
    for name in [name for name in sys.modules if name.split(".")[0] in ("k2", "tests")]:
        if not name.startswith("tests.mutation"):
            del sys.modules[name]
    importlib.invalidate_caches()
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--timeout", str(_SECONDS)]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        code = pytest.main([*options, *tests])
    return code != pytest.ExitCode.OK


def _require_green(tests: list[str]) -> None:
    """See that tests pass without a mutant: of a part of the paths only the nearest to them."""
    if tests and _fails(tests):
        raise SystemExit("The tests fail without any mutant: nothing can be said.")


def _copy(folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=150, help="How many mutants to try.")
    parser.add_argument("--seed", type=int, default=1, help="Which ones.")
    parser.add_argument("--only", default="", help="A part of the paths to take mutants of.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
