"""Every test is collected, and can fail: nothing is called a test that pytest never runs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# What judges without the word `assert`: functions that are called so.
JUDGES = re.compile(r"^(assert|require|check|expect|finish|submit_to_end|eventually|wait)")
IDS = {"ids": lambda path: str(path.relative_to(TESTS))}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, FUNCTION):
            yield node


def uncollected(path: Path, tree: ast.Module) -> list[str]:
    """Functions with the name of a test where or as pytest does not look for any."""
    at_top = {node for node in tree.body if isinstance(node, FUNCTION)}
    is_collected = path.name.startswith("test_")
    return [
        function.name
        for function in functions(tree)
        if function.name.endswith("_test")
        or (function.name.startswith("test") and not (is_collected and function in at_top))
        or (function.name.startswith("test") and not function.name.startswith("test_"))
    ]


def hidden(tree: ast.Module) -> list[str]:
    """Tests that a later one of the same name replaces."""
    names = [node.name for node in tree.body if isinstance(node, FUNCTION)]
    return sorted({name for name in names if name.startswith("test_") and names.count(name) > 1})


def toothless(tree: ast.Module) -> list[str]:
    """Tests that cannot fail: without any judgement, or comparing a thing with itself."""
    judging = {function.name for function in functions(tree) if judges(function, set())}
    return [
        function.name
        for function in functions(tree)
        if function.name.startswith("test_")
        and (not judges(function, judging) or compares_with_itself(function))
    ]


def judges(function: ast.AST, judging: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in judging | {"raises", "warns", "fail"} or JUDGES.match(name):
                return True
    return False


def compares_with_itself(function: ast.AST) -> bool:
    """Whether an assertion holds whatever the code does; a call may give another value each time."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Assert):
            continue
        if isinstance(node.test, ast.Constant | ast.Tuple):
            return True
        if isinstance(node.test, ast.Compare) and not any(
            isinstance(part, ast.Call) for part in ast.walk(node.test)
        ):
            sides = [ast.dump(side) for side in (node.test.left, *node.test.comparators)]
            if len(set(sides)) < len(sides):
                return True
    return False


@pytest.mark.parametrize("path", FILES, **IDS)
def test_what_is_called_a_test_is_collected_and_can_fail(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert (uncollected(path, tree), hidden(tree), toothless(tree)) == ([], [], [])


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("test_a.py", "def a_test(): assert f()"),
        ("a.py", "def test_a(): assert f()"),
        ("test_a.py", "def testing(): assert f()"),
        ("test_a.py", "def outer():\n    def test_a(): assert f()"),
        ("test_a.py", "class A:\n    def test_a(self): assert f()"),
    ],
)
def test_what_pytest_would_never_run_is_found(name: str, source: str) -> None:
    assert len(uncollected(TESTS / name, ast.parse(source))) == 1


def test_a_test_behind_another_of_its_name_is_found() -> None:
    tree = ast.parse("def test_a(): assert f()\ndef test_a(): assert g()")

    assert hidden(tree) == ["test_a"]


@pytest.mark.parametrize(
    "body",
    [
        "f()",
        "expected = 1; assert expected == expected",
        "assert row.price == row.price",
        "assert True",
        "assert (f(), 'a tuple is always true')",
    ],
)
def test_a_test_that_cannot_fail_is_found(body: str) -> None:
    assert toothless(ast.parse(f"def test_a(): {body}")) == ["test_a"]


@pytest.mark.parametrize(
    "body",
    [
        "assert f() == f()",
        "assert f() == 1",
        "\n    with pytest.raises(ValueError): f()",
        "\n    def g(): raise AssertionError\n    f(g)",
        "judged()\ndef judged(): assert f()",
    ],
)
def test_a_test_that_can_fail_is_none_of_those(body: str) -> None:
    assert toothless(ast.parse(f"def test_a(): {body}")) == []
