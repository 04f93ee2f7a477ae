"""`k2 doctor --deep`: one line a thing, and for what is wrong the remedy."""

import json
import os
from types import SimpleNamespace

import pytest

from k2.cli.checks import environment, file_system, services
from k2.cli.checks.check import State
from k2.cli.checks.environment import check_environment
from k2.cli.checks.file_system import check_file_system
from k2.cli.checks.services import check_services
from k2.errors import ConfigError, ContractError, UnavailableError
from k2.exchanges import EXCHANGES
from k2.settings import Settings
from tests.support.trades import READER

pytestmark = pytest.mark.unit

DEEP = {
    *("File locks", "Hard links", "Inodes", "Clock", "Libraries"),
    *("Spark", "Variables", "Proxies", "Locale", "User", "Services"),
}


def by_name(checks):
    return {check.name: check for check in checks}


def remedied(check, state=State.MISSING):
    assert (check.state, bool(check.remedy)) == (state, True), check
    return check.found


def test_a_deep_look_has_a_line_for_each_thing_and_leaves_nothing(k2, home):
    shallow = json.loads(k2("doctor", "--json").out)["checks"]
    deep = json.loads(k2("doctor", "--deep", "--json").out)["checks"]

    names = {check["name"] for check in deep}
    assert names - {check["name"] for check in shallow} == DEEP
    assert all(check["remedy"] for check in deep if check["state"] != "ok")
    assert not home.exists()


def test_a_file_system_without_locks_links_or_inodes_is_told(settings, monkeypatch):
    monkeypatch.setattr(file_system, "find_lock_fault", lambda _: "it has no locks")
    monkeypatch.setattr(file_system, "find_link_fault", lambda _: "it has no hard links")
    few = SimpleNamespace(f_files=1_000_000, f_favail=900)
    monkeypatch.setattr(file_system.os, "statvfs", lambda _: few)
    monkeypatch.setattr(file_system, "native_library_options", lambda _: [])

    checks = by_name(check_file_system(settings))

    assert remedied(checks["File locks"]) == "it has no locks"
    assert remedied(checks["Hard links"]) == "it has no hard links"
    assert remedied(checks["Inodes"]) == "900 of 1,000,000 free"


def test_inodes_that_are_not_counted_are_no_fault(settings, monkeypatch):
    monkeypatch.setattr(file_system.os, "statvfs", lambda _: SimpleNamespace(f_files=0, f_favail=0))
    monkeypatch.setattr(file_system, "native_library_options", lambda _: [])

    assert by_name(check_file_system(settings))["Inodes"].state is State.OK


def test_libraries_that_nowhere_load_and_a_clock_apart_are_told(settings, monkeypatch):
    def refuse(_):
        raise ConfigError("Both are mounted noexec.")

    monkeypatch.setattr(file_system, "native_library_options", refuse)
    monkeypatch.setattr(file_system.time, "time", lambda: 0.0)

    checks = by_name(check_file_system(settings))

    assert checks["Libraries"].remedy == "Both are mounted noexec."
    assert remedied(checks["Libraries"]) == "Java can load none"
    assert "from this machine's" in remedied(checks["Clock"], State.WARNING)


def test_what_is_not_passed_on_is_named(settings):
    given = {"SPARK_HOME": "/opt/spark", "HADOOP_CONF_DIR": "/x", "JAVA_TOOL_OPTIONS": "-Xmx1g"}

    checks = by_name(check_environment(settings, given))

    assert "SPARK_HOME=/opt/spark is for `spark-submit` alone" in checks["Spark"].found
    assert "HADOOP_CONF_DIR, JAVA_TOOL_OPTIONS" in checks["Variables"].found
    assert "C.UTF-8" in checks["Locale"].found


def test_a_registry_behind_a_proxy_is_told_without_the_proxys_password(settings, monkeypatch):
    registry = Settings.load(home=settings.home, registry="http://registry.example:8081")
    monkeypatch.setattr(environment, "getproxies", lambda: {"http": "http://me:c4n4ry@proxy:3128"})
    monkeypatch.setattr(environment, "proxy_bypass", lambda _: False)

    checks = by_name(check_environment(registry, os.environ))

    assert "c4n4ry" not in remedied(checks["Proxies"], State.WARNING)
    assert by_name(check_environment(settings, os.environ))["Proxies"].state is State.OK


def test_a_user_without_a_name_is_told(settings, monkeypatch):
    monkeypatch.setattr(environment, "has_name", lambda _: False)

    remedied(by_name(check_environment(settings, os.environ))["User"])


@pytest.fixture
def reachable(settings, monkeypatch):
    """Kafka and a registry of which the test says what they answer."""
    answers = SimpleNamespace(
        topics={exchange.topic: {0: (0, 9)} for exchange in EXCHANGES},
        schemas={exchange.subject: READER.get(exchange.name) for exchange in EXCHANGES},
        failing=None,
        confirmed=lambda _id: None,
    )

    class Registry:
        def __init__(self, *_arguments, **_options):
            pass

        def newest_schemas(self, subjects):
            if answers.failing:
                raise answers.failing
            return {name: answers.schemas[name] for name in subjects if answers.schemas[name]}

        def known(self):
            return {7: "{}"}

        def schema_by_id(self, schema_id):
            return answers.confirmed(schema_id)

    monkeypatch.setattr(services, "SchemaRegistry", Registry)
    monkeypatch.setattr(services, "watermarks", lambda _, topic: answers.topics[topic])
    settings = Settings.load(home=settings.home, kafka="k:9092", registry="http://r:8081")
    return settings, answers


def test_services_that_answer_have_a_line_for_each_topic_and_schema(reachable):
    settings, _ = reachable

    checks = by_name(check_services(settings))

    assert {"Kafka", "Registry"} <= checks.keys()
    assert {f"Topic {exchange.topic}" for exchange in EXCHANGES} <= checks.keys()
    assert all(check.state is State.OK for name, check in checks.items() if "binance" in name)


def test_a_topic_that_is_not_there_and_a_foreign_schema_are_told(reachable):
    settings, answers = reachable
    first, second = EXCHANGES[:2]
    answers.topics[first.topic] = {}
    answers.schemas[second.subject] = '{"type": "record", "name": "Other", "fields": []}'

    checks = by_name(check_services(settings))

    assert remedied(checks[f"Topic {first.topic}"], State.WARNING) == "not there"
    assert "none of ours" in remedied(checks[f"Schema {second.subject}"])


def test_services_that_do_not_answer_are_told(reachable, monkeypatch):
    settings, answers = reachable
    answers.failing = UnavailableError("The registry does not answer.")

    def refuse(*_):
        raise UnavailableError("Kafka does not answer.")

    monkeypatch.setattr(services, "watermarks", refuse)

    checks = by_name(check_services(settings))

    assert remedied(checks["Kafka"]) == "k:9092 does not answer"
    assert remedied(checks["Registry"]) == "http://r:8081 does not answer"


def test_schemas_of_another_registry_are_told(reachable):
    settings, answers = reachable

    def refuse(_id):
        raise ContractError("Schema 7 is not the one before.")

    answers.confirmed = refuse

    remedied(by_name(check_services(settings))["Schemas kept"])
