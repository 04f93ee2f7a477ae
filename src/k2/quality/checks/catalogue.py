"""Every quality check, in the order that they are listed in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from k2.errors import ConfigError
from k2.quality.checks.balance_check import check_recent_balance, check_whole_balance
from k2.quality.checks.check import Check, Severity
from k2.quality.checks.clock_drift import check_clock_drift
from k2.quality.checks.coverage_check import check_coverage
from k2.quality.checks.dead_letter_rate import check_dead_letters
from k2.quality.checks.freshness import check_freshness
from k2.quality.checks.late_data import check_late_data
from k2.quality.checks.price_sanity import check_prices
from k2.quality.checks.repeated_trades import check_repeated_trades
from k2.quality.checks.schema_drift import check_schema_drift

_MINUTES_5, _HOUR, _DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
# What has to show in some trades, or to be missing for a minute, is found within five minutes too.
_MINUTES_4 = timedelta(minutes=4)
_EVER = timedelta(days=36_500)
_TABLES_FOLLOW = timedelta(minutes=1)  # what the tables may be behind each other

CHECKS: tuple[Check, ...] = (
    Check(
        "dead-letters",
        "Share of dead letters, and reasons that are new",
        Severity.ERROR,
        _MINUTES_5,
        check_dead_letters,
        {"share": 0.05, "new_reason": 0.0},
        overlap=_TABLES_FOLLOW,
    ),
    Check(
        "freshness",
        "Exchanges and markets that are silent for longer than usual",
        Severity.ERROR,
        _MINUTES_5,
        check_freshness,
        {"exchange_seconds": 300.0, "market_seconds": 300.0, "times": 3.0},
    ),
    Check(
        "duplicates",
        "Trades that Silver or Gold has twice",
        Severity.ERROR,
        _MINUTES_5,
        check_repeated_trades,
        {"most": 0.0},
        overlap=_TABLES_FOLLOW,
    ),
    Check(
        "late-data",
        "Share of trades that reached the broker late",
        Severity.WARNING,
        _HOUR,
        check_late_data,
        {"share": 0.10, "least": 100.0},
    ),
    Check(
        "coverage",
        "Trades that did not come, by the numbers of the exchange; keeps ops_coverage",
        Severity.ERROR,
        _MINUTES_4,
        check_coverage,
        {"missing": 0.0},
        lookback=_EVER,
        catch_up=_EVER,
    ),
    Check(
        "prices",
        "Prices that jump, or disagree with other exchanges",
        Severity.WARNING,
        _MINUTES_5,
        check_prices,
        {"jump_mads": 10.0, "jump_share": 0.05, "cross_mads": 10.0, "cross_share": 0.02},
    ),
    Check(
        "clock-drift",
        "A step in the delay from an exchange to the broker",
        Severity.WARNING,
        _MINUTES_4,
        check_clock_drift,
        {"seconds": 2.0, "least": 5.0},
    ),
    Check(
        "schema-drift",
        "Writers' schemas that were not there before",
        Severity.WARNING,
        _MINUTES_5,
        check_schema_drift,
        {"most": 0.0},
    ),
    Check(
        "balance",
        "The newest records are where they must be, once",
        Severity.ERROR,
        _MINUTES_5,
        check_recent_balance,
        {"most": 0.0},
    ),
    Check(
        "balance-full",
        "Every record is where it must be, once",
        Severity.ERROR,
        _DAY,
        check_whole_balance,
        {"most": 0.0},
    ),
)


def checks_every(periods: Mapping[str, float]) -> tuple[Check, ...]:
    """Return all checks, each ``every`` as its definition says or, by name, so many seconds.

    Raises:
        ConfigError: a period is of a check that does not exist.
    """
    for name in periods:
        check_named(name)
    return tuple(
        (
            replace(check, every=timedelta(seconds=periods[check.name]))
            if check.name in periods
            else check
        )
        for check in CHECKS
    )


def check_named(name: str) -> Check:
    """Return a check by its name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    for check in CHECKS:
        if check.name == name:
            return check
    raise ConfigError(f"No check {name!r}; there are {', '.join(c.name for c in CHECKS)}.")
