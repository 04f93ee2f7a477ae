"""Which services a run starts: none that a setting names elsewhere."""

import pytest

from k2.home.login import client_options
from k2.local.services.find import find_services
from k2.settings import Settings

pytestmark = pytest.mark.unit


def test_without_settings_kafka_and_the_registry_are_ours(settings: Settings) -> None:
    found = find_services(settings)

    assert [service.name for service in found.services] == ["registry", "kafka"]
    assert found.endpoints.kafka == f"127.0.0.1:{found.services[1].port}"
    assert f":{found.services[0].port}/" in found.endpoints.registry


@pytest.mark.parametrize(
    ("given", "started"),
    [
        ({"kafka": "broker:9092"}, ["registry"]),
        ({"registry": "http://schemas:8081"}, ["kafka"]),
        ({"kafka": "broker:9092", "registry": "http://schemas:8081"}, []),
    ],
)
def test_what_a_setting_names_is_used_and_not_started(
    settings: Settings, given: dict[str, str], started: list[str]
) -> None:
    found = find_services(settings.model_copy(update=given))

    assert [service.name for service in found.services] == started
    assert set(given.values()) <= set(found.endpoints)
    assert set(found.archives) <= set(started)


def test_the_services_of_others_get_the_logins_that_they_ask_for(settings: Settings) -> None:
    login = {"kafka_security": "SASL_SSL", "kafka_username": "k2", "kafka_password": "secret"}
    token = {"kafka": "broker:9093", "registry": "https://schemas", "registry_token": "token"}

    found = find_services(Settings.load(home=settings.home, **login, **token)).endpoints

    assert client_options(found.kafka)["sasl.username"] == "k2"
    assert client_options(found.registry)["bearer.auth.token"] == "token"
