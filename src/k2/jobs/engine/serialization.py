"""How dbos writes values into its tables: as K2's JSON, and never by pickle."""

from typing import Any

from dbos import _serialization as dbos_serialization

from k2.errors import ConfigError
from k2.jobs import json_values


class JobJson(dbos_serialization.Serializer):
    """K2's JSON, as dbos calls it."""

    def serialize(self, data: Any) -> str:
        return json_values.dumps(data)

    def deserialize(cls, serialized_data: str) -> Any:
        return json_values.loads(serialized_data)

    def name(self) -> str:
        return "k2_json"


def refuse_pickle() -> None:
    """Let nothing be unpickled, whatever a row of the database says that it is."""

    def refuse(*_arguments: Any) -> Any:
        raise ConfigError("The jobs' registry holds a pickled value, which is never loaded.")

    for name in ("serialize", "deserialize"):
        setattr(dbos_serialization.DefaultSerializer, name, refuse)
