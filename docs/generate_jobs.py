"""The reference pages of jobs and of the API, from the kinds and from the OpenAPI document."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

from prometheus_client import CollectorRegistry

from k2.jobs.kinds import KINDS
from k2.jobs.model import JobState
from k2.jobs.outbox import JOB_EVENTS
from k2.service.app import make_app
from k2.settings import Settings

Rows = Callable[[tuple[str, ...], list[tuple[Any, ...]]], str]


def jobs(rows: Rows) -> Iterator[str]:
    """Every kind of job with its parameters, from ``k2.jobs.kinds``."""
    yield "# Jobs"
    yield (
        "What `k2 jobs submit KIND --param name=value` and `POST /v1/jobs` take. States:"
        f" {', '.join(JobState)}. Events: {', '.join(f'`io.k2.job.{name}`' for name in JOB_EVENTS)}."
    )
    yield rows(("kind", "what it does"), [(f"[`{k.name}`](#{k.name})", k.summary) for k in KINDS])
    for kind in KINDS:
        yield f"## {kind.name}"
        yield kind.summary
        required = set(kind.params.model_json_schema().get("required", ()))
        yield rows(
            ("parameter", "type", "default", "what it is"),
            [
                (
                    f"`{name}`",
                    _type(kind.params.model_json_schema()["properties"][name]),
                    "required" if name in required else f"`{field.default}`",
                    field.description or "",
                )
                for name, field in kind.params.model_fields.items()
            ],
        )


def api(rows: Rows) -> Iterator[str]:
    """Every route of the API, from the OpenAPI document of ``k2.service``."""
    document = make_app(Settings(), Mock(), CollectorRegistry()).openapi()
    yield "# API"
    yield (
        "`k2 serve` and `k2 up` answer on `http://127.0.0.1:8010`; `/docs` there tries requests out,"
        " `/openapi.json` is the document that this page is made of."
    )
    yield rows(
        ("request", "what it does"),
        [
            (f"`{method.upper()} {path}`", operation["description"].replace("\n", " "))
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
    )
    yield "## Errors"
    yield (
        'Each is `{"error": a sentence, "kind": a class, "request_id": …}` of'
        " [Errors](errors.md), with a status:"
    )
    answers = document["paths"]["/v1/jobs"]["post"]["responses"]
    yield rows(
        ("status", "when"),
        [
            (status, answer["description"])
            for status, answer in sorted(answers.items())
            if status >= "400"
        ],
    )
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "properties" in schema and name not in ("HTTPValidationError", "ValidationError"):
            yield f"## {name}"
            yield schema.get("description", "")
            yield rows(
                ("field", "type", "what it is"),
                [
                    (f"`{field}`", _type(facts), facts.get("description", ""))
                    for field, facts in schema["properties"].items()
                ],
            )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'values'}"
    bounds = [
        f"{word} {schema[key]:g}"
        for key, word in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if key in schema
    ]
    return " ".join([str(schema.get("type", "any")), *bounds])
