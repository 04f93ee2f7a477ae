"""How streams look up writers' schemas."""

from typing import Protocol


class SchemaLookup(Protocol):
    """Looks up writers' schemas by their ids."""

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the Avro schema; None when the registry says that there is none.

        Raises:
            UnavailableError: the registry did not answer, which says nothing about the id.
        """
