"""The API in this process, over jobs that run."""

from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from k2.jobs.engine import JobEngine
from k2.service.app import make_app
from k2.settings import Settings
from tests.support.jobs import engine_of


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobEngine]:
    """An engine that runs, for all tests of a file."""
    with engine_of(Settings.load(home=tmp_path_factory.mktemp("service"))) as running:
        yield running


@pytest.fixture
def client_of(engine: JobEngine) -> Callable[..., TestClient]:
    """Make a client of the API with settings of the test's own."""

    def make(**settings: object) -> TestClient:
        chosen = Settings.load(home=engine.settings.home, **settings)
        app = make_app(chosen, engine.registry, CollectorRegistry())
        return TestClient(app, raise_server_exceptions=False)

    return make


@pytest.fixture
def client(client_of: Callable[..., TestClient]) -> TestClient:
    """A client of the API with the default settings."""
    return client_of()
