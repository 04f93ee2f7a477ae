"""The shape of the code: folders follow the flow, imports point up the list, modules stay small.

The order is that of docs/explanation/architecture.md.
"""

import ast
import graphlib
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "k2"

# As a trade walks: a package imports from those before it and from itself.
ORDER = (
    *(
        "errors",
        "retry",
        "environment",
        "shipped",
        "login_settings",
        "job_settings",
        "config_file",
        "settings",
        "setting_origins",
        "sql",
        "periodic",
        "malloc",
        "exchanges",
        "avro",
        "home",
        "connectors",
        "jvm",
    ),
    *("storage", "observability", "engine", "feeds", "bronze", "silver", "gold", "bars", "quality"),
    "lake",
    *("upgrade", "topology", "offline", "jobs", "service", "local", "cli"),
)
LEVEL = {package: level for level, package in enumerate(ORDER)}

# Against the order, and still to be turned around.
TO_TURN_AROUND: dict[str, list[str]] = {}

# Arrow table in, Arrow table out: no session, settings, clock, randomness or client.
PURE = (
    *("sql.py", "avro", "silver/normalize.py", "silver/identity.py", "silver/decimals.py"),
    *("silver/markets.py", "silver/rules", "silver/transform.py", "silver/dedup/id_ranges.py"),
    *("gold/transform.py", "bars/aggregate.py", "bars/revisions.py"),
)
IMPURE = {
    *("time", "random", "os", "secrets", "uuid", "socket", "threading", "httpx"),
    *("confluent_kafka", "deltalake", "pyspark", "k2.settings", "k2.connectors", "k2.jvm"),
    "k2.home",
}
# Reads the schema files that ship with K2, which are part of its code.
NOT_PURE = {"avro/schema_files.py"}

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
        "from k2.silver.processor import silver_trades_stream",
        "from k2 import silver",
        "import k2.silver.processor",
        "def late():\n    from k2.silver import processor",
        "from k2.observability import logs",
        "from k2.nowhere import thing",
    ],
)
def test_an_import_against_the_order_is_caught(source: str) -> None:
    assert len(upward_imports({"storage": source})) == 1


def test_an_import_along_the_order_or_within_is_fine() -> None:
    assert upward_imports({"jvm": "from k2.home.paths import x\nfrom k2.jvm.jars import y"}) == []


def test_every_package_has_its_place() -> None:
    packages = {package_of(path) for path in SRC.rglob("*.py")} - {"__init__", "__main__"}

    assert packages <= set(LEVEL)


def test_imports_follow_the_order() -> None:
    found = {
        str(path.relative_to(SRC)): upward_imports({package_of(path): path.read_text()})
        for path in SRC.rglob("*.py")
        if package_of(path) not in ("__init__", "__main__")  # the doors, to all of it
    }

    assert {module: imports for module, imports in found.items() if imports} == TO_TURN_AROUND


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    return ".".join(("k2", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """The modules of K2 that a file imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("k2"):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= submodules or {str(node.module)}
    return found & known


def test_no_module_imports_itself_by_way_of_others() -> None:
    files = {module_of(path): path for path in SRC.rglob("*.py")}
    graph = {name: imported_modules(path, set(files)) for name, path in files.items()}

    assert list(graphlib.TopologicalSorter(graph).static_order())


def impure_imports(source: str) -> set[str]:
    """What a transform must not know, of what a module imports."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return {m for m in modules if any(m == bad or m.startswith(f"{bad}.") for bad in IMPURE)}


@pytest.mark.parametrize(
    "source", ["import time", "from k2.settings import Settings", "import httpx"]
)
def test_what_a_transform_must_not_know_is_caught(source: str) -> None:
    assert impure_imports(source)


def test_transforms_know_no_session_settings_clock_or_client() -> None:
    files = {
        path: str(path.relative_to(SRC))
        for name in PURE
        for path in ([SRC / name] if name.endswith(".py") else (SRC / name).rglob("*.py"))
    }
    found = {
        name: impure_imports(path.read_text())
        for path, name in files.items()
        if name not in NOT_PURE
    }

    assert {name: imports for name, imports in found.items() if imports} == {}


def test_stored_tables_are_read_in_one_way() -> None:
    """A pyarrow dataset over delta-rs's files may abort the process when it ends (ADR 0012)."""
    forbidden = ("to_pyarrow_dataset", "to_pyarrow_table", "pyarrow.dataset")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for folder in (SRC, ROOT / "jobs", ROOT / "docs")
        for path in (*folder.rglob("*.py"), *folder.rglob("*.md"), ROOT / "README.md")
        for word in forbidden
        if word in path.read_text(encoding="utf-8")
    ]

    assert found == []


def test_jobs_import_the_command_line_only() -> None:
    found = {
        path.name: k2_imports(path.read_text()) - {"cli"} for path in (ROOT / "jobs").glob("*.py")
    }

    assert {name: imports for name, imports in found.items() if imports} == {}


TESTS = ROOT / "tests"
# Rooms of tests that are of no package: what stands beside `src`, or goes through all of it.
OTHER_ROOMS = {"benchmarks", "cases", "checker", "cluster", "monitoring"}
# Both are parts of `settings` and of nothing else.
TESTED_AS_PARTS = {"job_settings", "login_settings"}


def test_only_end_to_end_tests_import_from_end_to_end_tests() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in TESTS.rglob("*.py")
        if path.relative_to(TESTS).parts[0] != "e2e"
        and re.search(r"^\s*(from|import) tests\.e2e\b", path.read_text(), re.MULTILINE)
    ]

    assert found == []


def test_what_tests_share_does_not_stand_in_one_of_them() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in TESTS.rglob("*.py")
        if re.search(r"^\s*(from|import) tests\.\S*\btest_\w+", path.read_text(), re.MULTILINE)
    ]

    assert found == []


@pytest.mark.parametrize("tier", ["unit", "integration"])
def test_a_folder_of_tests_has_the_name_of_what_it_tests(tier: str) -> None:
    folders = {
        path.parent.relative_to(TESTS / tier)
        for path in (TESTS / tier).rglob("test_*.py")
        if path.parent != TESTS / tier
    }
    strays = {
        str(folder)
        for folder in folders
        if folder.parts[0] not in OTHER_ROOMS and not (SRC / folder).is_dir()
    }

    assert strays == set()


def test_every_package_has_unit_tests_where_one_looks_for_them() -> None:
    without = {
        package
        for package in {package_of(path) for path in SRC.rglob("*.py")}
        & set(ORDER) - TESTED_AS_PARTS
        if not (
            (TESTS / "unit" / f"test_{package}.py").is_file()
            or any((TESTS / "unit" / package).rglob("test_*.py"))
        )
    }

    assert without == set()


# Allocators are told by the environment only, and what is told there is read by other programs.
# The last asks whether spark-submit started it, which is no setting.
OF_THE_ENVIRONMENT = {
    *("settings.py", "config_file.py", "setting_origins.py"),
    *("malloc.py", "environment.py", "jvm/process_end.py"),
}


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


def test_only_the_jobs_engine_knows_dbos() -> None:
    importers = {
        str(path.relative_to(SRC).parent)
        for path in SRC.rglob("*.py")
        if re.search(r"^\s*(from|import) dbos\b", path.read_text(), re.MULTILINE)
    }

    assert importers == {"jobs/engine"}


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


# Words that K2 coined before it took the field's (docs/reference/glossary.md has these). Refused as a
# part of a module's, class's, function's, field's or constant's public name.
COINED_WORDS = {
    *("anew", "fused", "handed", "handing", "holder", "holding", "judge", "judged", "judgement"),
    *("leftovers", "ledgers", "lend", "lent", "redecide", "redecider", "slot", "slots", "told"),
    *("surroundings", "unlike", "unusable", "upkeep"),
}
# Words of everyday use, refused where they are a whole name.
COINED_NAMES = {
    *("forget", "gate", "given", "good", "hand", "left", "level", "pack", "packed"),
    *("readings", "room", "said", "screen", "settled", "shorten", "space", "taken"),
    *("texts", "turn", "Appended", "Arrivals", "BatchReport", "CatchingUp", "Collecting"),
    *("Decisions", "Follower", "KnownHours", "Measuring", "OpenTable"),
    *("PROBLEMS", "Payloads", "Reading", "STATIONS", "SeenTrades", "SentBefore", "Starter"),
    *("Taken", "Turn", "WarmUp", "WriteId", "carry_out", "goes_on", "leave_to_readers", "let_go"),
    *("take_back", "was_short", "with_room"),
}


def public_names(source: str) -> set[str]:
    """Names that a module offers to others: of classes, functions, methods, fields and constants."""
    names: set[str] = set()
    bodies = [ast.parse(source).body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
                bodies.append(node.body)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            elif isinstance(node, ast.Assign):
                names |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def coined(name: str) -> bool:
    """Tell whether a name, in snake case or camel case, is of the old dialect."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return name in COINED_NAMES or any(word.lower() in COINED_WORDS for word in words)


@pytest.mark.parametrize("name", ["FusedSink", "let_go", "KnownHours", "slots_before", "judge"])
def test_a_coined_name_is_caught(name: str) -> None:
    assert coined(name)


@pytest.mark.parametrize("name", ["StreamTask", "forget_offsets", "is_left_join", "Handler"])
def test_a_name_that_only_looks_like_one_is_fine(name: str) -> None:
    assert not coined(name)


def test_public_names_are_the_field_s_words() -> None:
    found = {
        str(path.relative_to(SRC)): sorted(filter(coined, {path.stem, *public_names(source)}))
        for path in SRC.rglob("*.py")
        if (source := path.read_text()) is not None
    }

    assert {module: names for module, names in found.items() if names} == {}


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
