"""Which live service has a market, and what the exchange calls it there."""

from collections.abc import Iterable

from k2.errors import ConfigError
from k2.exchanges.live import LiveService
from k2.exchanges.live_services import LIVE_SERVICES

_PERPETUAL = "-PERP"


def market_name(service: LiveService, symbol: str) -> str:
    """Return the exchange's name of a symbol such as ``BTC-USDT`` or ``BTC-USDT-PERP``.

    Raises:
        ConfigError: it is no symbol, or of a kind that the service does not have.
    """
    base, _, rest = symbol.partition("-")
    if not base or not rest:
        raise ConfigError(f"{symbol!r} is no symbol; one is BASE-QUOTE, such as BTC-USDT.")
    is_derivative = service.name == "binance-usdm"
    if is_derivative != symbol.endswith(_PERPETUAL) and not (is_derivative and rest.count("-")):
        kind = (
            "perpetuals and futures, BTC-USDT-PERP" if is_derivative else "spot markets, BTC-USDT"
        )
        raise ConfigError(f"{symbol} is not of the service {service.name}, which has {kind}.")
    quote, _, term = rest.partition("-")
    if service.exchange == "binance":
        return f"{base}{quote}" if term in ("", "PERP") else f"{base}{quote}_{term[2:]}"
    separator = "/" if service.exchange == "kraken" else "-"
    return f"{base}{separator}{quote}"


def by_service(services: Iterable[LiveService], symbols: Iterable[str]) -> dict[str, list[str]]:
    """Return the exchange's names of the symbols, by the service that has them.

    A symbol goes to each service of an exchange that was asked for and that has its kind of market.

    Raises:
        ConfigError: no service has a symbol.
    """
    found: dict[str, list[str]] = {}
    chosen = list(services)
    for symbol in symbols:
        has_one = False
        problem = ""
        for service in chosen:
            try:
                name = market_name(service, symbol)
            except ConfigError as error:
                problem = str(error)
                continue
            found.setdefault(service.name, []).append(name)
            has_one = True
        if not has_one:
            raise ConfigError(problem or f"No live service is chosen for {symbol}.")
    return found


def known_services() -> str:
    """Name the live services in a sentence."""
    return ", ".join(LIVE_SERVICES)
