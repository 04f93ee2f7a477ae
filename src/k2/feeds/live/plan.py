"""What a live feed listens to: services and markets, from options or from a TOML file."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k2.errors import ConfigError
from k2.exchanges.live import LiveService
from k2.exchanges.live_services import LIVE_SERVICES, service_named
from k2.feeds.live.markets import by_service, known_services

_KEYS = {"symbols", "markets", "url", "history_url"}


@dataclass(frozen=True)
class FeedPlan:
    """One service to listen to. The addresses are the exchange's own unless a file says otherwise."""

    service: LiveService
    markets: tuple[str, ...]
    url: str
    history_url: str = ""


@dataclass
class FeedPlans:
    """Builds the plans of a feed."""

    plans: list[FeedPlan] = field(default_factory=list)

    @classmethod
    def of_options(cls, exchanges: Sequence[str], symbols: Sequence[str]) -> "FeedPlans":
        """Take each symbol from the usual service of each exchange, perpetuals from theirs.

        Raises:
            ConfigError: an exchange or a symbol is unknown.
        """
        if not symbols:
            raise ConfigError("A live feed needs symbols, such as --symbols BTC-USDT,ETH-USDT.")
        services = [service_named(name) for name in exchanges]
        if any(service.name == "binance-spot" for service in services):
            services.append(LIVE_SERVICES["binance-usdm"])
        chosen = by_service(services, symbols)
        return cls([_plan(LIVE_SERVICES[name], names, {}) for name, names in chosen.items()])

    @classmethod
    def of_file(cls, file: Path) -> "FeedPlans":
        """Read ``[services.<name>]`` tables with ``symbols`` or ``markets`` (the exchange's own names).

        Raises:
            ConfigError: the file is missing, no TOML, or has something that is not known.
        """
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file} cannot be read as TOML: {error}.") from error
        services = content.get("services")
        if not isinstance(services, dict) or not services:
            raise ConfigError(f"{file} has no [services.<name>]; known: {known_services()}.")
        return cls([_of_table(file, name, table) for name, table in services.items()])


def _of_table(file: Path, name: str, table: Any) -> FeedPlan:
    if name not in LIVE_SERVICES:
        raise ConfigError(f"{file}: no live service {name!r}; known: {known_services()}.")
    unknown = sorted(set(table) - _KEYS) if isinstance(table, dict) else ["it"]
    if unknown:
        raise ConfigError(f"{file}: [services.{name}] does not know {', '.join(unknown)}.")
    service = LIVE_SERVICES[name]
    names = [str(market) for market in table.get("markets", ())]
    names += by_service([service], map(str, table.get("symbols", ()))).get(name, [])
    if not names:
        raise ConfigError(f"{file}: [services.{name}] names no symbols.")
    return _plan(service, names, table)


def _plan(service: LiveService, names: Sequence[str], table: dict[str, Any]) -> FeedPlan:
    history = service.history.url if service.history else ""
    return FeedPlan(
        service,
        tuple(dict.fromkeys(names)),
        str(table.get("url", service.url)),
        str(table.get("history_url", history)),
    )
