"""Check environment variables that concern K2 or the programs that it starts."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import pyspark

from k2.cli.checks.check import Check, State
from k2.jvm.driver_environment import FOREIGN, has_name, is_utf8
from k2.observability.redaction import redacted
from k2.settings import Settings


def check_environment(settings: Settings, environment: Mapping[str, str]) -> Iterator[Check]:
    """Look at Spark, variables of other programs, proxies, the locale and the user."""
    yield _check_spark(environment)
    yield _check_foreign(environment)
    yield _check_proxies(settings)
    yield _check_locale(environment)
    yield _check_user()


def _check_spark(environment: Mapping[str, str]) -> Check:
    own = Path(pyspark.__file__).parent
    found = f"{pyspark.__version__} in {own}"
    other = environment.get("SPARK_HOME")
    if other and Path(other) != own:
        found += f"; SPARK_HOME={other} is for `spark-submit` alone"
    return Check("Spark", State.OK, found)


def _check_foreign(environment: Mapping[str, str]) -> Check:
    name = "Variables"
    if there := [variable for variable in FOREIGN if variable in environment]:
        return Check(name, State.OK, f"not passed on to the local Spark: {', '.join(there)}")
    return Check(name, State.OK, "none of another Spark, Hadoop or Java")


def _check_proxies(settings: Settings) -> Check:
    name = "Proxies"
    proxies = {scheme: url for scheme, url in getproxies().items() if scheme != "no"}
    if not proxies:
        return Check(name, State.OK, "none set")
    address = urlsplit(settings.registry)
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if address.hostname and proxy and not proxy_bypass(address.netloc):
        return Check(
            name,
            State.WARNING,
            redacted(f"the registry {settings.registry} is asked through {proxy}"),
            f"If the proxy does not know {address.hostname}, add it to NO_PROXY.",
        )
    return Check(name, State.OK, f"{', '.join(sorted(proxies))} set, and not used for this machine")


def _check_locale(environment: Mapping[str, str]) -> Check:
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        remedy = "Set PYTHONUTF8=1 or LC_ALL=C.UTF-8."
        return Check("Locale", State.WARNING, f"Python takes file names for {encoding}", remedy)
    if is_utf8(environment):
        return Check("Locale", State.OK, "UTF-8")
    return Check("Locale", State.OK, "not UTF-8; K2 takes C.UTF-8 for the local Spark")


def _check_user() -> Check:
    if has_name(os.getuid()):
        return Check("User", State.OK, "has a name")
    found = f"{os.getuid()} has no name, and Hadoop does not start without one"
    return Check("User", State.MISSING, found, "Add a line for it to /etc/passwd.")
