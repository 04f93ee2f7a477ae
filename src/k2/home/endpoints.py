"""The addresses of Kafka and the schema registry: by settings, or from the note that `k2 up` left."""

import json
from dataclasses import dataclass

from k2.errors import ConfigError, UnavailableError
from k2.home.login import kafka_address, registry_address
from k2.settings import Settings


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the two services that feeds and streams need."""

    kafka: str
    registry: str


def find_endpoints(settings: Settings) -> Endpoints:
    """Return the addresses: a setting wins over ``run/endpoints.json``, the local stack's note.

    Raises:
        ConfigError: the home is no folder, or nobody may read it.
        UnavailableError: neither names them.
    """
    noted = _noted(settings)
    # Who is set is somebody's who may ask for a login; the local stack's asks for none.
    kafka = kafka_address(settings) or noted.get("kafka", "")
    registry = registry_address(settings) or noted.get("registry", "")
    for name, address, variable in (
        ("Kafka", kafka, "K2_KAFKA"),
        ("schema registry", registry, "K2_REGISTRY"),
    ):
        if not address:
            raise UnavailableError(
                f"No {name} is known for {settings.home}; start it with `k2 up`, or set {variable}."
            )
    return Endpoints(kafka, registry)


def _noted(settings: Settings) -> dict[str, str]:
    note = settings.run / "endpoints.json"
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(
            f"K2_HOME={settings.home} cannot be used: {error.strerror or error}. "
            "Set K2_HOME to a folder that can be written."
        ) from error
    except ValueError as error:
        raise UnavailableError(
            f"Cannot read {note} ({error}); start anew with `k2 down` and `k2 up`."
        ) from error
    return noted if isinstance(noted, dict) else {}
