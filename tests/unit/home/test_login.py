"""How settings become the options of three clients, and where secrets are and are not."""

import stat

import pytest

from k2.errors import ConfigError
from k2.home.endpoints import find_endpoints
from k2.home.login import client_options, kafka_address, kafka_java_options, registry_address
from k2.settings import Settings

pytestmark = pytest.mark.unit

ODD = 'c4n4ry "\\ ü=#'


def settings(tmp_path, **given):
    return Settings.load(home=tmp_path / "home", kafka="kafka:9093", registry="http://r", **given)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_text(f"{ODD}\n")
    return path


def test_without_a_login_there_are_no_options(tmp_path):
    given = settings(tmp_path)

    assert client_options(kafka_address(given)) == {}
    assert client_options(registry_address(given)) == {}
    assert kafka_java_options(given) == {"security.protocol": "PLAINTEXT"}
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("by", ["variable", "file"])
def test_a_secret_comes_from_a_variable_or_a_file(tmp_path, file, by):
    secret = {"kafka_password": ODD} if by == "variable" else {"kafka_password_file": file}
    given = settings(tmp_path, kafka_security="SASL_SSL", kafka_username="k2", **secret)

    assert client_options(find_endpoints(given).kafka) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "k2",
        "sasl.password": ODD,
    }


def test_javas_options_name_a_file_that_only_its_owner_reads(tmp_path, file):
    login = {"kafka_username": "k2", "kafka_password_file": file}
    given = settings(tmp_path, kafka_security="SASL_SSL", kafka_sasl_mechanism="PLAIN", **login)

    options = kafka_java_options(given)

    path = given.run / "secrets" / "kafka.properties"
    assert options["sasl.jaas.config"] == f"${{file:{path}:sasl.jaas.config}}"
    assert not [value for value in options.values() if "c4n4ry" in value]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == (
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required"
        ' username="k2" password="c4n4ry \\\\"\\\\\\\\ \\u00fc=#";\n'
    )


def test_no_secret_is_in_what_settings_show(tmp_path):
    given = settings(tmp_path, kafka_password=ODD, registry_token=ODD, kafka_key_password=ODD)

    assert "c4n4ry" not in f"{given!r} {given.model_dump()} {kafka_address(given)!r}"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kafka_password_file": "/nowhere"}, "/nowhere cannot be read"),
        ({}, "no password"),
        ({"kafka_password": "a", "kafka_password_file": "/dev/null"}, "both set"),
        ({"kafka_password": "a", "kafka_ca_file": "/nowhere"}, "/nowhere cannot be read"),
    ],
)
def test_what_is_missing_or_doubled_is_a_sentence(tmp_path, given, why):
    login = {"kafka_security": "SASL_SSL", "kafka_username": "k2"}

    with pytest.raises(ConfigError, match=why):
        kafka_address(settings(tmp_path, **login, **given))


def test_the_registry_takes_a_token_before_a_name(tmp_path, file):
    name = {"registry_username": "k2", "registry_password": "p"}

    by_name = client_options(registry_address(settings(tmp_path, **name)))
    by_token = client_options(
        registry_address(settings(tmp_path, **name, registry_token_file=file))
    )

    assert by_name == {"basic.auth.user.info": "k2:p"}
    assert by_token["bearer.auth.token"] == ODD
    assert "basic.auth.user.info" not in by_token
