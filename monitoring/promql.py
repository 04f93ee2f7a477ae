"""Look into PromQL: which metrics it names, and which of them are counters taken for gauges."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "15s"}
_COUNTER_FUNCTIONS = {"rate", "irate", "increase", "resets", "changes"}


def plain(query: str) -> str:
    """Replace Grafana's variables by values that select everything."""
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    return re.sub(r"\$\{?(job|instance)\}?", ".+", query)


def selectors(query: str) -> Iterator[tuple[Any, str | None]]:
    """Yield every selector of a query with the name of the function that is next around it."""
    yield from _walk(promql_parser.parse(plain(query)), None)


def metric_names(query: str) -> set[str]:
    """Return the metrics that a query names."""
    return {selector.name for selector, _ in selectors(query) if selector.name}


def matchers(selector: Any) -> dict[str, str]:
    """Return a selector's label matchers."""
    return {matcher.name: matcher.value for matcher in selector.matchers.matchers}


def bare_counters(query: str) -> set[str]:
    """Return counters whose raw value a query uses, which a restart sets back."""
    return {
        selector.name
        for selector, function in selectors(query)
        if re.search(r"_(total|bucket|count|sum)$", selector.name or "")
        and function not in _COUNTER_FUNCTIONS
    }


def _walk(node: Any, function: str | None) -> Iterator[tuple[Any, str | None]]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        yield node, function
    elif kind == "MatrixSelector":
        yield node.vector_selector, function
    elif kind == "Call":
        for argument in node.args:
            yield from _walk(argument, node.func.name)
    elif kind == "BinaryExpr":
        yield from _walk(node.lhs, function)
        yield from _walk(node.rhs, function)
    elif kind not in ("NumberLiteral", "StringLiteral"):
        yield from _walk(node.expr, function)
