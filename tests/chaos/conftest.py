"""The same home as the end-to-end tests have."""

from tests.e2e.conftest import home

__all__ = ["home"]
