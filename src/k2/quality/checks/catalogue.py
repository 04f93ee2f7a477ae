"""Every quality check, in the order that they are listed in."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from k2.errors import ConfigError
from k2.quality.checks.check import Check, Severity, loaded_when_run

_MINUTES_5, _HOUR, _DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
# What has to show in some trades, or to be missing for a minute, is found within five minutes too.
_MINUTES_4 = timedelta(minutes=4)
_EVER = timedelta(days=36_500)
_TABLES_FOLLOW = timedelta(minutes=1)  # what the tables may be behind each other

check_recent_balance = loaded_when_run("balance_check", "check_recent_balance")
check_whole_balance = loaded_when_run("balance_check", "check_whole_balance")
check_clock_drift = loaded_when_run("clock_drift", "check_clock_drift")
check_coverage = loaded_when_run("coverage_check", "check_coverage")
check_dead_letters = loaded_when_run("dead_letter_rate", "check_dead_letters")
check_freshness = loaded_when_run("freshness", "check_freshness")
check_late_data = loaded_when_run("late_data", "check_late_data")
check_prices = loaded_when_run("price_sanity", "check_prices")
check_repeated_trades = loaded_when_run("repeated_trades", "check_repeated_trades")
check_schema_drift = loaded_when_run("schema_drift", "check_schema_drift")

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
