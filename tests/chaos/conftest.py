"""A home for each test, of which no process outlives it."""

from tests.support.home import home

__all__ = ["home"]
