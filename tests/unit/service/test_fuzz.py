"""Nothing that the OpenAPI document allows, or forbids, is answered with a defect."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from prometheus_client import CollectorRegistry
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from k2.jobs.engine import JobEngine
from k2.service.app import make_app
from k2.settings import Settings
from tests.support.jobs import engine_of

CHECKS = [
    *(not_a_server_error, status_code_conformance),
    *(content_type_conformance, response_schema_conformance),
]


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: object, value: object) -> bytes:
    return value.encode() if isinstance(value, str) else repr(value).encode()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobEngine]:
    with engine_of(Settings.load(home=tmp_path_factory.mktemp("fuzzed"))) as running:
        yield running


# Of schemathesis's own strategies.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_every_request_has_an_answer_that_the_document_promises(fuzzed: JobEngine) -> None:
    chosen = Settings.load(home=fuzzed.settings.home, api_rate="100000/second")
    app = make_app(chosen, fuzzed.registry, CollectorRegistry())
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    tried = []

    for found in document.get_all_operations():
        operation = found.ok()
        tried.append(operation.label)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with suppress(Unsatisfiable):  # what has no parameters cannot be asked wrongly
                fuzz(operation, mode)

    assert len(tried) >= 15


def fuzz(operation: Any, mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    ask()
