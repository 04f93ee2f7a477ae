"""The schema registry, with every schema it ever told kept on disk."""

import json
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from k2.avro.schema_files import schema_text
from k2.avro.schema_tree import parse_tree
from k2.connectors.schema_cache import SchemaCache
from k2.errors import ContractError, UnavailableError
from k2.exchanges import Exchange
from k2.home.login import client_options

COMPATIBILITY = "BACKWARD_TRANSITIVE"

_NO_SUCH_SUBJECT, _NO_SUCH_VERSION, _NO_SUCH_SCHEMA = 40401, 40402, 40403
_INCOMPATIBLE = 409
_ASK_AGAIN_SECONDS = 60.0  # a registry that did not confirm what it told before

T = TypeVar("T")
log = structlog.get_logger("k2.schema_registry")


class SchemaRegistry:
    """A registry with the Confluent API at ``url``.

    ``cache`` is a folder of ``<id>.avsc`` files, of this registry alone. What is there needs no
    registry; one that answers is asked once whether it still says the same. An id that the registry
    does not know is asked for again every time.
    """

    def __init__(
        self, url: str, cache: Path | None = None, *, timeout: float = 5.0, attempts: int = 4
    ) -> None:
        self.url = url
        self._cache = SchemaCache(cache)
        self._known: dict[int, str] = {}
        self._unconfirmed_until = 0.0
        self._attempts = attempts
        # Tenacity retries here; the client's own retries would multiply with it.
        options: dict[str, Any] = {"url": str(url), "timeout": timeout, "max.retries": 0}
        self._client = SchemaRegistryClient(options | client_options(url))

    def register(self, exchange: Exchange) -> dict[str, int]:
        """Register all raw schemas of ``exchange`` in order; return the id of each schema file.

        Registering what is registered already gives the same id.

        Raises:
            ContractError: the subject holds schemas that these are not compatible with, or an id is
                another schema's in the cache.
            UnavailableError: the registry does not answer.
        """
        subject = exchange.subject
        self._call(lambda: self._client.set_compatibility(subject, COMPATIBILITY))
        ids = {file: self._register(subject, file) for file in exchange.raw_schemas}
        for file, schema_id in ids.items():
            self._cache.check(schema_id, schema_text(file), self.url)
            self._cache.write(schema_id, schema_text(file))
        return ids

    def known(self) -> dict[int, str]:
        """Return the schemas that the cache on disk has, by id."""
        return {**self._cache.read_all(), **self._known}

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the schema's text, with all that it refers to; None when the registry has it not.

        Raises:
            UnavailableError: the registry does not answer, or answers with a failure.
            ContractError: the registry says another schema than it did before.
        """
        if schema_id < 0:
            return None
        if (known := self._known.get(schema_id)) is not None:
            return known
        kept = self._cache.read(schema_id)
        told = self._ask(schema_id) if kept is None else self._confirm(schema_id, kept)
        if told is not None:
            self._known[schema_id] = told
            if told != kept:
                self._cache.write(schema_id, told)
        return told or kept

    def newest_schemas(self, subjects: Iterable[str]) -> dict[str, str]:
        """Return the newest schema of each subject that there is.

        Raises:
            UnavailableError: the registry does not answer.
        """
        found = {}
        for subject in subjects:
            try:
                newest = self._call(partial(self._client.get_version, subject, "latest"))
            except SchemaRegistryError as error:
                if error.error_code not in (_NO_SUCH_SUBJECT, _NO_SUCH_VERSION):
                    raise self._unavailable(error) from error
                continue
            told = self._ask(newest.schema_id) if newest.schema_id is not None else None
            if told is not None:
                found[subject] = told
        return found

    def _confirm(self, schema_id: int, kept: str) -> str | None:
        """Ask whether the registry still says the same; None when it does not answer."""
        if time.monotonic() < self._unconfirmed_until:
            return None
        try:
            told = self._ask(schema_id, attempts=1)
        except UnavailableError:
            self._unconfirmed_until = time.monotonic() + _ASK_AGAIN_SECONDS
            return None
        if told is None:  # it was set up again, and what it told before is all there is of it
            log.warning("schema_gone_from_registry", schema_id=schema_id)
            return kept
        self._cache.check(schema_id, told, self.url)
        return told

    def _ask(self, schema_id: int, attempts: int | None = None) -> str | None:
        try:
            schema = self._call(lambda: self._client.get_schema(schema_id), attempts)
            if schema.schema_str is None:
                raise UnavailableError(
                    f"The schema registry at {self.url} answered schema {schema_id} without a text."
                )
            if schema.schema_type not in (None, "AVRO"):
                return json.dumps({"schemaType": schema.schema_type})  # which is no Avro
            if not schema.references:
                return schema.schema_str
            referred = self._referred(schema.references, set())
        except SchemaRegistryError as error:
            # A bare 404 is a wrong address, which says nothing about the id.
            if error.error_code in (_NO_SUCH_SCHEMA, _NO_SUCH_SUBJECT, _NO_SUCH_VERSION):
                return None
            raise self._unavailable(error) from error
        return _whole_text(schema.schema_str, referred)

    def _referred(
        self, references: Iterable[SchemaReference], seen: set[tuple[str, int]]
    ) -> list[str]:
        """Return the schemas referred to, each once and after those that it needs."""
        texts = []
        for reference in references:
            subject, version = str(reference.subject), int(reference.version or 0)
            if (subject, version) in seen:
                continue
            seen.add((subject, version))
            # What was deleted since is still what the records were written with.
            ask = partial(self._client.get_version, subject, version, deleted=True)
            told = self._call(ask).schema
            texts += self._referred(told.references or (), seen)
            texts.append(told.schema_str or "")
        return texts

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

    def _call(self, request: Callable[[], T], attempts: int | None = None) -> T:
        patiently = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(attempts or self._attempts),
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


def _whole_text(text: str, references: Iterable[str]) -> str:
    """A schema with all that it refers to; as it is where that does not make one."""
    try:
        return parse_tree(text, references).canonical_text()
    except ValueError:
        return text


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, SchemaRegistryError):
        return bool(error.http_status_code in (408, 429) or error.http_status_code >= 500)
    return True
