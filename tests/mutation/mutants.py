"""Which mutants there are of a module: cosmic-ray's, but for those that no run could tell apart."""

import ast
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.plugins import get_operator, operator_names

# `x is None` and `x == None` differ for no value of ours; the others want to be told variables.
_LEFT_OUT = ("Is_Eq", "Eq_Is", "IsNot_NotEq", "NotEq_IsNot", "VariableInserter", "VariableReplacer")


@dataclass(frozen=True)
class Mutant:
    """The ``occurrence``-th place in a file where an operator applies, on this line."""

    path: Path
    operator: str
    occurrence: int
    line: int

    def __str__(self) -> str:
        name = self.operator.removeprefix("core/")
        return f"{self.path}:{self.line} {name} #{self.occurrence}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module that a test could notice."""
    syntax = ast.parse(path.read_text())
    annotations = list(_annotations(syntax))
    tree = get_ast(path.read_text())
    for name in sorted(operator_names()):
        if name.endswith(_LEFT_OUT):
            continue
        operator: Any = get_operator(name)()
        occurrence = 0
        for node in ast_nodes(tree):
            for start, end in operator.mutation_positions(node):
                if not any(first <= start and end <= last for first, last in annotations):
                    yield Mutant(path, name, occurrence, start[0])
                occurrence += 1


def sample(mutants: Iterable[Mutant], size: int, seed: int) -> list[Mutant]:
    """Return ``size`` of the mutants, the same ones for the same seed."""
    everything = list(mutants)
    return random.Random(seed).sample(everything, min(size, len(everything)))


def _annotations(syntax: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where type annotations are: they change nothing that runs, or break the import."""
    for node in ast.walk(syntax):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if isinstance(found, ast.expr):
                end = (found.end_lineno or 0, found.end_col_offset or 0)
                yield (found.lineno, found.col_offset), end
