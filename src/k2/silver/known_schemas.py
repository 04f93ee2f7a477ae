"""Writers' schemas for who decides Bronze again, which works without a running registry."""

from dataclasses import dataclass
from pathlib import Path

from k2.avro.decode import UNKNOWN_SCHEMA
from k2.errors import UnavailableError
from k2.exchanges import Exchange
from k2.silver.schema_lookup import SchemaLookup
from k2.silver.tables import dead_letters
from k2.storage.scan import scan_table


@dataclass(frozen=True)
class KnownSchemas:
    """What the registry or its cache knows; where neither answers, what the dead letters say.

    An id that it did not know made dead letters, and does so again.
    """

    registry: SchemaLookup
    lake: Path
    exchange: Exchange

    def schema_by_id(self, schema_id: int) -> str | None:
        """Return the Avro schema; None where there is none.

        Raises:
            UnavailableError: nobody knows the id, and the registry does not answer.
        """
        try:
            return self.registry.schema_by_id(schema_id)
        except UnavailableError as error:
            wanted = [("error_type", "=", "schema"), ("schema_id", "=", schema_id)]
            letters = scan_table(self.lake, dead_letters(self.exchange), ["error_reasons"], wanted)
            reasons = letters.table()["error_reasons"].to_pylist()
            if any(UNKNOWN_SCHEMA in each for each in reasons):
                return None
            raise UnavailableError(
                f"Bronze of {self.exchange.title} has records of schema {schema_id}, which neither the"
                f" cache, nor the dead letters, nor a registry tells: {error}"
            ) from error
