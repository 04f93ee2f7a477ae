"""The front door: ten names, which cost nothing until they are used."""

import inspect
import resource
import subprocess
import sys

import pytest

import k2

pytestmark = pytest.mark.unit

EXPORTED = {
    "EXCHANGES",
    "ConfigError",
    "ContractError",
    "Exchange",
    "Identity",
    "K2Error",
    "Lake",
    "Rule",
    "Table",
    "UnavailableError",
}
HEAVY = ("pyspark", "duckdb", "pyarrow", "deltalake", "pydantic", "confluent_kafka")


def test_the_package_exports_ten_names() -> None:
    assert set(k2.__all__) == EXPORTED
    assert set(dir(k2)) >= EXPORTED


def test_every_exported_name_is_there_and_described() -> None:
    for name in k2.__all__:
        found = getattr(k2, name)
        assert name == "EXCHANGES" or inspect.getdoc(found)


def test_what_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lakes'"):
        _ = k2.Lakes


@pytest.mark.performance
def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, k2; print([m for m in {HEAVY!r} if m in sys.modules])"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert found.stdout == "[]\n"
    assert seconds < 0.3
