"""The shape of the code: imports point down, modules stay small and are named for what they do.

The levels are those of docs/explanation/architecture.md.
"""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "k2"

LEVELS = [
    {"errors"},
    {"settings"},
    {"exchanges"},
    {"tables"},
    {"quality"},
    {"transforms"},
    {"io", "observability"},
    {"streams", "feeds", "quality_jobs"},
    {"runner", "local"},
    {"cli"},
]
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}

MOST_LINES = 250
# Names that say where code was put, not what it does.
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "base"}


def package_of(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def k2_imports(source: str) -> set[str]:
    """Packages of ``k2`` that a module names in an import, wherever in the module it stands."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "k2":
            modules |= {f"k2.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {module.split(".")[1] for module in modules if module.startswith("k2.")}


def upward_imports(sources: dict[str, str]) -> list[str]:
    """``package: imported`` for every import, among ``{package: source}``, that does not go down."""
    return [
        f"{package}: {target}"
        for package, source in sources.items()
        for target in sorted(k2_imports(source) - {package})
        if LEVEL.get(target, 99) >= LEVEL.get(package, -1)
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from k2.streams.silver import silver_trades_stream",
        "from k2 import streams",
        "import k2.streams.silver",
        "def late():\n    from k2.streams import silver",
        "from k2.observability import logs",
        "from k2.nowhere import thing",
    ],
)
def test_an_import_up_or_sideways_is_caught(source: str) -> None:
    assert len(upward_imports({"io": source})) == 1


def test_an_import_down_or_within_is_fine() -> None:
    assert upward_imports({"io": "from k2.tables import Table\nfrom k2.io.kafka import x"}) == []


def test_every_package_has_a_level() -> None:
    packages = {package_of(path) for path in SRC.rglob("*.py")} - {"__init__", "__main__"}

    assert packages <= set(LEVEL)


def test_imports_point_down() -> None:
    found = {
        str(path.relative_to(SRC)): upward_imports({package_of(path): path.read_text()})
        for path in SRC.rglob("*.py")
        if package_of(path) != "__main__"
    }

    assert {module: imports for module, imports in found.items() if imports} == {}


def test_jobs_import_the_command_line_only() -> None:
    found = {
        path.name: k2_imports(path.read_text()) - {"cli"} for path in (ROOT / "jobs").glob("*.py")
    }

    assert {name: imports for name, imports in found.items() if imports} == {}


# Allocators are told by the environment only, and what is told there is read by other programs.
OF_THE_ENVIRONMENT = {"settings.py", "io/allocators.py"}


def test_nothing_but_settings_reads_the_environment() -> None:
    readers = [
        name
        for path in SRC.rglob("*.py")
        if (name := str(path.relative_to(SRC))) not in OF_THE_ENVIRONMENT
        and reads_environment(path.read_text())
    ]

    assert readers == []


@pytest.mark.parametrize(
    "source",
    ["os.environ['K2_HOME']", "dict(os.environ)", "os.getenv('K2_HOME')", "from os import environ"],
)
def test_a_reader_of_the_environment_is_caught(source: str) -> None:
    assert reads_environment(source)


def test_setting_a_variable_for_a_child_process_is_fine() -> None:
    assert not reads_environment("os.environ['PYSPARK_PYTHON'] = sys.executable")


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    lengths = {
        str(path.relative_to(SRC)): len(path.read_text().splitlines()) for path in SRC.rglob("*.py")
    }

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_modules_are_named_for_what_they_do() -> None:
    vague = [
        str(path.relative_to(ROOT))
        for folder in (SRC, ROOT / "jobs", ROOT / "tests")
        for path in folder.rglob("*")
        if path.stem in VAGUE and path.suffix in ("", ".py")
    ]

    assert vague == []


def reads_environment(source: str) -> bool:
    """Tell whether a module looks at the environment; setting a variable for a child is no look."""
    tree = ast.parse(source)
    written = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    }
    names = {"environ", "getenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and id(node) not in written)
        or (isinstance(node, ast.ImportFrom) and any(a.name in names for a in node.names))
        for node in ast.walk(tree)
    )
