"""The sinks that the settings and the installed packages name."""

from importlib.metadata import entry_points

from k2.errors import ConfigError
from k2.jobs.delivery.sink import Sink
from k2.settings import Settings

GROUP = "k2.event_sinks"


def sinks_of(settings: Settings) -> list[Sink]:
    """Return all sinks that are wanted.

    Raises:
        ConfigError: an address is none, two sinks have one name, or a package's sink cannot be made.
    """
    found: list[Sink] = []
    if settings.events_kafka:
        from k2.jobs.delivery.kafka import KafkaSink

        found.append(KafkaSink(settings))
    secret = settings.events_webhook_secret
    for url in filter(None, (part.strip() for part in settings.events_webhooks.split(","))):
        from k2.jobs.delivery.webhook import WebhookSink

        found.append(WebhookSink(url, secret.get_secret_value() if secret else ""))
    if settings.events_redis is not None:
        from k2.jobs.delivery.redis_streams import RedisSink

        found.append(RedisSink(settings.events_redis.get_secret_value()))
    for entry in entry_points(group=GROUP):
        try:
            made = entry.load()(settings)
        except Exception as error:
            raise ConfigError(
                f"The event sink {entry.name} ({entry.value}) cannot be made:"
                f" {type(error).__name__}: {error}."
            ) from error
        if made is not None:
            found.append(made)
    names = [sink.name for sink in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two event sinks are named {name}; name each address once.")
    return found
