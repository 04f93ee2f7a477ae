"""Where the streams get writers' schemas from."""

from collections.abc import Iterable
from typing import Protocol


class Schemas(Protocol):
    """Where writers' schemas come from."""

    def known(self) -> dict[int, str]:
        """Return the schemas that are known without asking, by id."""

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the Avro schema; None when the registry says that there is none.

        Raises:
            UnavailableError: the registry did not answer, which says nothing about the id.
        """


def known_with(schemas: Schemas, ids: Iterable[int]) -> dict[int, str]:
    """Return what is known, and of ``ids`` besides what the registry has.

    Raises:
        UnavailableError: the registry did not answer.
    """
    known = schemas.known()
    for id_ in sorted(set(ids) - known.keys()):
        if (schema := schemas.schema_by_id(id_)) is not None:
            known[id_] = schema
    return known
