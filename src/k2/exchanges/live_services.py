"""All live services, and the one that is used for an exchange by default."""

from k2.errors import ConfigError
from k2.exchanges.binance.live import BINANCE_SERVICES
from k2.exchanges.coinbase.live import COINBASE_SERVICES
from k2.exchanges.kraken.live import KRAKEN_SERVICES
from k2.exchanges.live import LiveService

LIVE_SERVICES: dict[str, LiveService] = {
    service.name: service
    for services in (BINANCE_SERVICES, KRAKEN_SERVICES, COINBASE_SERVICES)
    for service in services
}


def services_of(exchange: str) -> list[LiveService]:
    """Return an exchange's services, the default one first."""
    return [service for service in LIVE_SERVICES.values() if service.exchange == exchange]


def service_named(name: str) -> LiveService:
    """Return a service by its name, or an exchange's default service by the exchange's name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if name in LIVE_SERVICES:
        return LIVE_SERVICES[name]
    if found := services_of(name):
        return found[0]
    raise ConfigError(f"Unknown live service {name!r}. Known: {', '.join(LIVE_SERVICES)}.")
