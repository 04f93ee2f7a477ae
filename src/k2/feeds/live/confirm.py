"""Markets that no list of instruments has, asked for at the exchange before a feed begins."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import structlog

from k2.errors import K2Error, UnavailableError
from k2.exchanges.instruments import Fact
from k2.exchanges.listings import read_listing
from k2.exchanges.live import Answer
from k2.exchanges.live_services import LIVE_SERVICES
from k2.exchanges.rest import require_ok
from k2.feeds.live.plan import FeedPlan, FeedPlans, unknown_market

log = structlog.get_logger("k2.feeds")

_ANSWER_SECONDS = 15.0

# Asks for the list at an address, as the exchange gives it.
GetListing = Callable[[str], Answer]


def ask(url: str) -> Answer:
    """Ask for a list.

    Raises:
        UnavailableError: nobody answers.
    """
    try:
        response = httpx.get(url, timeout=_ANSWER_SECONDS, follow_redirects=False)
    except httpx.HTTPError as error:
        raise UnavailableError(f"{url} does not answer: {error!r}") from error
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, response.content)


def confirmed(plans: FeedPlans, get: GetListing = ask) -> list[FeedPlan]:
    """Return the plans with the markets that there are; what an exchange's list says of them is kept.

    An exchange whose list cannot be had stops nothing: it refuses what it does not know itself, but for
    Binance, which is silent then.

    Raises:
        ConfigError: none of the exchanges asked for has a market; names near ones.
    """
    kept: list[FeedPlan] = []
    listed: dict[str, list[str]] = {}
    for plan in plans.plans:
        facts = _facts(plan, get) if plan.unlisted else None
        if facts is None:
            kept.append(plan)
            continue
        found = {name: facts[name] for name in plan.unlisted if name in facts}
        _keep(plans, plan, found)
        absent = set(plan.unlisted) - found.keys()
        listed[plan.service.name] = [plans.names.symbol(plan.service, name) or "" for name in facts]
        kept.append(
            replace(plan, markets=tuple(m for m in plan.markets if m not in absent), unlisted=())
        )
    _require(plans, kept, listed)
    return [plan for plan in kept if plan.markets]


def _facts(plan: FeedPlan, get: GetListing) -> dict[str, Fact] | None:
    """What the exchange lists of the service's market, by name; None where it does not say."""
    service = plan.service
    if service.history is None:
        return None
    url = f"{plan.history_url}{service.history.listing}"
    try:
        content = require_ok(get(url), service.history.listing)
        facts = read_listing(content, service.exchange, url, service.market)
    except K2Error as error:
        log.warning(
            "markets_not_confirmed",
            service=service.name,
            markets=list(plan.unlisted),
            reason=str(error)[:200],
        )
        return None
    return {fact.name: fact for fact in facts if fact.market == service.market}


def _keep(plans: FeedPlans, plan: FeedPlan, facts: Mapping[str, Fact]) -> None:
    """Add what the exchange said of the markets to the home's list, which Silver reads."""
    if facts:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        plans.names.lists.load(plan.service.exchange, facts.values(), now)


def _require(plans: FeedPlans, kept: list[FeedPlan], listed: Mapping[str, list[str]]) -> None:
    there = {(plan.service.name, market) for plan in kept for market in plan.markets}
    for written, found in plans.asked.items():
        if there.isdisjoint(found):
            services = [LIVE_SERVICES[name] for name, _ in found]
            more = [symbol for service in services for symbol in listed.get(service.name, ())]
            raise unknown_market(written.rpartition(" ")[2], services, plans.names, more)
        for name, market in found:
            if (name, market) not in there:
                log.warning("market_not_offered", service=name, market=market)
