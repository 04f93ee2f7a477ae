"""Plan what a live feed listens to: services and markets, from options or from a TOML file."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k2.errors import ConfigError, did_you_mean
from k2.exchanges.live import LiveService
from k2.exchanges.live_services import LIVE_SERVICES, service_named
from k2.feeds.live.markets import MarketName, MarketNames
from k2.home.instrument_lists import InstrumentLists

_KEYS = {"symbols", "markets", "url", "history_url"}


@dataclass(frozen=True)
class FeedPlan:
    """One service to listen to. The addresses are the exchange's own unless a file says otherwise.

    ``unlisted`` are those of the markets that no list of instruments has.
    """

    service: LiveService
    markets: tuple[str, ...]
    url: str
    history_url: str = ""
    unlisted: tuple[str, ...] = ()


@dataclass
class FeedPlans:
    """The plans of a feed. ``asked`` are, by what a user wrote, the services and names that it became."""

    names: MarketNames
    plans: list[FeedPlan] = field(default_factory=list)
    asked: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of_options(
        cls, exchanges: Sequence[str], symbols: Sequence[str], lists: InstrumentLists
    ) -> "FeedPlans":
        """Take each symbol from the usual service of each exchange that has it, perpetuals from theirs.

        Raises:
            ConfigError: an exchange is unknown, or a symbol to all of them; names near ones.
        """
        if not symbols:
            raise ConfigError("A live feed needs symbols, such as --symbols BTC-USDT,ETH-USDT.")
        services = [service_named(name) for name in exchanges]
        if any(service.name == "binance-spot" for service in services):
            services.append(LIVE_SERVICES["binance-usdm"])
        made = cls(MarketNames(lists))
        found: dict[str, list[MarketName]] = {}
        for symbol in symbols:
            for service in services:
                name = made.names.of_symbol(service, symbol)
                if name is not None:
                    found.setdefault(service.name, []).append(name)
                    made.asked.setdefault(symbol, []).append((service.name, name.name))
            if symbol not in made.asked:
                raise unknown_market(symbol, services, made.names)
        made.plans = [_plan(LIVE_SERVICES[name], markets, {}) for name, markets in found.items()]
        return made

    @classmethod
    def of_file(cls, file: Path, lists: InstrumentLists) -> "FeedPlans":
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
            raise ConfigError(f"{file} has no [services.<name>]; known: {_known_services()}.")
        made = cls(MarketNames(lists))
        for name, table in services.items():
            made._add(file, name, table)
        return made

    def _add(self, file: Path, name: str, table: Any) -> None:
        if name not in LIVE_SERVICES:
            raise ConfigError(f"{file}: no live service {name!r}; known: {_known_services()}.")
        unknown = sorted(set(table) - _KEYS) if isinstance(table, dict) else ["it"]
        if unknown:
            raise ConfigError(f"{file}: [services.{name}] does not know {', '.join(unknown)}.")
        service = LIVE_SERVICES[name]
        found = []
        for key, look_up in (("markets", self.names.of_name), ("symbols", self.names.of_symbol)):
            for written in map(str, table.get(key, ())):
                market = look_up(service, written)
                if market is None:
                    raise unknown_market(written, [service], self.names)
                found.append(market)
                self.asked.setdefault(f"{name} {written}", []).append((name, market.name))
        if not found:
            raise ConfigError(f"{file}: [services.{name}] names no symbols.")
        self.plans.append(_plan(service, found, table))


def unknown_market(
    written: str, services: Iterable[LiveService], names: MarketNames, more: Iterable[str] = ()
) -> ConfigError:
    """Return the error for a market that no service has; ``more`` are further symbols that there are."""
    services = list(services)
    near = did_you_mean(written, {*names.symbols(services), *more}, count=3)
    where = ", ".join(service.name for service in services)
    return ConfigError(
        f"{written} is no market of {where}.{near} A symbol is BASE-QUOTE, such as BTC-USDT, or"
        " BTC-USDT-PERP; `k2 instruments list` shows those that are known."
    )


def _plan(service: LiveService, markets: Sequence[MarketName], table: dict[str, Any]) -> FeedPlan:
    history = service.history.url if service.history else ""
    return FeedPlan(
        service,
        tuple(dict.fromkeys(market.name for market in markets)),
        str(table.get("url", service.url)),
        str(table.get("history_url", history)),
        tuple(dict.fromkeys(market.name for market in markets if not market.is_listed)),
    )


def _known_services() -> str:
    return ", ".join(LIVE_SERVICES)
