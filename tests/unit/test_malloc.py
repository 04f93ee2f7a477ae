"""A process that shall keep little of what it frees says so before anything allocates."""

import os
import platform
import subprocess
import sys

import pyarrow as pa
import pytest

pytestmark = pytest.mark.unit

PROGRAM = """
import os
from k2.malloc import limit_retention
limit_retention()
import pyarrow as pa
print(pa.default_memory_pool().backend_name, os.environ["MALLOC_ARENA_MAX"])
"""


needs_jemalloc = pytest.mark.skipif(
    "jemalloc" not in pa.supported_memory_backends(), reason="this build of PyArrow has no jemalloc"
)


def ran(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own, to its good end."""
    # Without what another test of this process may have chosen.
    chosen = ("ARROW_DEFAULT_MEMORY_POOL", "_RJEM_MALLOC_CONF", "MALLOC_ARENA_MAX")
    inherited = {name: value for name, value in os.environ.items() if name not in chosen}
    return subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def said(**environment: str) -> list[str]:
    return ran(PROGRAM, **environment).stdout.split()


@needs_jemalloc
def test_arrow_takes_the_pool_that_keeps_less() -> None:
    assert said()[0] == "jemalloc"


def test_a_pool_that_somebody_chose_stays() -> None:
    assert said(ARROW_DEFAULT_MEMORY_POOL="system")[0] == "system"


def test_the_table_writers_own_pools_are_few() -> None:
    """What delta-rs says of them at its end; the name of the variable is that of its build."""
    program = (
        "import os\n"
        "from k2.malloc import limit_retention\n"
        "limit_retention()\n"
        "os.environ['_RJEM_MALLOC_CONF'] += ',stats_print:true'\n"
        "import deltalake"
    )

    assert "opt.narenas: 2\n" in ran(program).stderr


def test_children_have_few_pools_too() -> None:
    assert said()[1] == "2"


@pytest.mark.parametrize("entry", ["k2.cli.app", "k2.cli.spark_submit.job"])
def test_importing_an_entry_point_imports_no_arrow(entry: str) -> None:
    """Arrow chooses its pool when it is imported, which must be after the entry has said which."""
    program = f"import sys, {entry}; print('pyarrow' in sys.modules)"

    assert ran(program).stdout.strip() == "False"


@needs_jemalloc
def test_a_job_takes_that_pool_too() -> None:
    program = (
        "import k2.cli.spark_submit.job\n"
        "assert k2.cli.spark_submit.job.main('gold', ['--help']) == 0\n"
        "import pyarrow as pa; print(pa.default_memory_pool().backend_name)"
    )

    assert ran(program).stdout.split()[-1] == "jemalloc"


HOLES = """
import ctypes
from pathlib import Path
from k2.malloc import give_back, limit_retention
limit_retention()
kilobytes = [bytes(20_000) for _ in range(5_000)]
kept, kilobytes = kilobytes[::10], None
def anonymous():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
before = anonymous()
give_back()
print(before - anonymous())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has to be asked")
def test_what_is_free_between_what_is_used_is_given_back() -> None:
    assert int(ran(HOLES).stdout) > 60_000
