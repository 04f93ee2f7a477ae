"""The schema registry, with every schema it ever told kept on disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from k2.avro.schema_files import schema_text
from k2.errors import ContractError, UnavailableError
from k2.exchanges import Exchange

COMPATIBILITY = "BACKWARD_TRANSITIVE"

_NO_SUCH_SCHEMA = 40403
_INCOMPATIBLE = 409

T = TypeVar("T")


class SchemaRegistry:
    """A registry with the Confluent API at ``url``.

    ``cache`` is a folder of ``<id>.avsc`` files. An id never changes its schema, so what is there
    needs no registry; an id the registry does not know is asked for again every time.
    """

    def __init__(
        self, url: str, cache: Path | None = None, *, timeout: float = 5.0, attempts: int = 4
    ) -> None:
        self.url = url
        self._cache = cache
        self._known: dict[int, str] = {}
        self._attempts = attempts
        # Tenacity retries here; the client's own retries would multiply with it.
        self._client = SchemaRegistryClient({"url": url, "timeout": timeout, "max.retries": 0})

    def register(self, exchange: Exchange) -> dict[str, int]:
        """Register all raw schemas of ``exchange`` in order; return the id of each schema file.

        Registering what is registered already gives the same id.

        Raises:
            ContractError: the subject holds schemas that these are not compatible with.
            UnavailableError: the registry does not answer.
        """
        subject = exchange.subject
        self._call(lambda: self._client.set_compatibility(subject, COMPATIBILITY))
        ids = {file: self._register(subject, file) for file in exchange.raw_schemas}
        for file, schema_id in ids.items():
            self._write_cached(schema_id, schema_text(file))
        return ids

    def known(self) -> dict[int, str]:
        """Return the schemas that the cache on disk has, by id."""
        if self._cache is None or not self._cache.is_dir():
            return dict(self._known)
        files = {int(path.stem): path for path in self._cache.glob("[0-9]*.avsc")}
        return {**{id_: path.read_text("utf-8") for id_, path in files.items()}, **self._known}

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the schema's text, or None when the registry says that it has no such id.

        Raises:
            UnavailableError: the registry does not answer, or answers with a failure.
        """
        if schema_id < 0:
            return None
        known = self._known.get(schema_id) or self._read_cached(schema_id)
        if known is None:
            try:
                known = self._call(lambda: self._client.get_schema(schema_id)).schema_str
            except SchemaRegistryError as error:
                # A bare 404 is a wrong address, which says nothing about the id.
                if error.error_code == _NO_SUCH_SCHEMA:
                    return None
                raise self._unavailable(error) from error
            if known is None:
                raise UnavailableError(
                    f"The schema registry at {self.url} answered schema {schema_id} without a text."
                )
            self._write_cached(schema_id, known)
        self._known[schema_id] = known
        return known

    def _register(self, subject: str, file: str) -> int:
        schema = Schema(schema_text(file), "AVRO")
        try:
            return self._call(lambda: self._client.register_schema(subject, schema))
        except SchemaRegistryError as error:
            if error.http_status_code == _INCOMPATIBLE:
                raise ContractError(
                    f"{file} does not fit the schemas that {subject!r} has in the registry at"
                    f" {self.url} ({COMPATIBILITY}): {error.error_message}"
                ) from error
            raise self._unavailable(error) from error

    def _call(self, request: Callable[[], T]) -> T:
        patiently = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(multiplier=0.2, max=1.0),
            reraise=True,
        )
        try:
            return patiently(request)
        except SchemaRegistryError as error:
            if _may_pass(error):
                raise self._unavailable(error) from error
            raise
        # Whatever else the client's HTTP layer raises: refused, timed out, not an HTTP answer.
        except Exception as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"The schema registry at {self.url} does not answer ({error or type(error).__name__});"
            " check that it runs (`k2 status`), or set K2_REGISTRY."
        )

    def _read_cached(self, schema_id: int) -> str | None:
        if self._cache is None:
            return None
        try:
            return (self._cache / f"{schema_id}.avsc").read_text(encoding="utf-8") or None
        except FileNotFoundError:
            return None

    def _write_cached(self, schema_id: int, text: str) -> None:
        if self._cache is None:
            return
        self._cache.mkdir(parents=True, exist_ok=True)
        final = self._cache / f"{schema_id}.avsc"
        partial = self._cache / f".{schema_id}.avsc.{os.getpid()}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(final)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, SchemaRegistryError):
        return bool(error.http_status_code in (408, 429) or error.http_status_code >= 500)
    return True
