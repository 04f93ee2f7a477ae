"""A local driver's environment: of another Spark, Hadoop, Java or locale nothing is left."""

import os
from pathlib import Path

import pyspark
import pytest

from k2.errors import ConfigError
from k2.jvm import driver_environment
from k2.jvm.driver_environment import FOREIGN, has_name, prepare_driver_environment

pytestmark = pytest.mark.unit


def prepared(environment, is_local=True):
    prepare_driver_environment(environment, is_local)
    return environment


@pytest.mark.parametrize("is_local", [True, False])
def test_the_spark_is_always_that_of_the_package(is_local):
    environment = prepared({"SPARK_HOME": "/opt/another/spark"}, is_local)

    assert environment["SPARK_HOME"] == str(Path(pyspark.__file__).parent)


def test_of_another_spark_hadoop_or_java_nothing_is_passed_on():
    environment = prepared({name: "/elsewhere" for name in FOREIGN} | {"PATH": "/bin"})

    assert set(environment) == {"PATH", "SPARK_HOME", "LC_ALL"}
    assert {"HADOOP_CONF_DIR", "JAVA_TOOL_OPTIONS", "SPARK_CONF_DIR"} <= set(FOREIGN)


def test_a_clusters_client_keeps_what_hadoop_is_told():
    environment = prepared({"HADOOP_CONF_DIR": "/etc/hadoop"}, is_local=False)

    assert environment["HADOOP_CONF_DIR"] == "/etc/hadoop"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "C.UTF-8"),
        ({"LC_ALL": "C"}, "C.UTF-8"),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE.ISO-8859-1"}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LC_ALL": "C.utf8"}, None),
    ],
)
def test_java_is_given_a_locale_in_which_every_name_can_be_opened(monkeypatch, given, wanted):
    monkeypatch.setattr(driver_environment.sys, "platform", "linux")

    assert prepared(dict(given)).get("LC_ALL") == (wanted or given.get("LC_ALL"))


def test_a_user_without_a_name_is_one_sentence(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4_294_000_000)

    assert not has_name(os.getuid())
    with pytest.raises(ConfigError, match=r"user 4294000000 has no name here.*/etc/passwd"):
        prepared({})
