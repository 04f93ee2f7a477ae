"""The HTTP application, put together."""

from importlib import metadata

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from k2.jobs.registry import Registry
from k2.service.answers import add_handlers
from k2.service.guard import Guard, parse_rates
from k2.service.routes import events, health, jobs, lake, records, streams
from k2.settings import Settings

_DESCRIPTION = (
    "Durable jobs of K2, what its streams do and what its tables hold. Beyond loopback every request"
    " brings a token. Errors are one sentence of JSON."
)


def make_app(settings: Settings, registry: Registry, metrics: CollectorRegistry) -> FastAPI:
    """Return the application over a registry.

    Raises:
        ConfigError: a setting of the API cannot be used.
    """
    parse_rates(settings)  # the middleware is made at the first request only
    app = FastAPI(
        title="K2",
        version=metadata.version("k2"),
        description=_DESCRIPTION,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.registry = registry
    app.state.metrics = metrics
    app.state.validators = {}
    for routes in (health, jobs, events, streams, lake, records):
        app.include_router(routes.router)
    add_handlers(app)
    app.add_middleware(Guard, settings=settings)
    return app
