"""How clients of Kafka and the registry log in: options for librdkafka, Kafka's Java client and HTTP.

Spark shows the options of a source in its plans and hands them to executors. So secrets reach the Java
client by a file that only its owner can read, which the options name (Kafka's ``FileConfigProvider``).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from k2.errors import ConfigError
from k2.settings import Settings

_JAAS_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


class Address(str):
    """An address together with the ``client`` options for its service; as a string it is the address."""

    client: Mapping[str, str]

    def __new__(cls, address: str, client: Mapping[str, str]) -> "Address":
        """Return the address with its options."""
        made = super().__new__(cls, address)
        made.client = client
        return made


def client_options(address: str) -> dict[str, str]:
    """Return the options of an address; a plain string has none."""
    return dict(address.client) if isinstance(address, Address) else {}


def kafka_address(settings: Settings) -> Address:
    """Return ``K2_KAFKA`` with librdkafka's options.

    Raises:
        ConfigError: a file cannot be read, or name and password are not both there.
    """
    options: dict[str, str] = {}
    if settings.kafka_security != "PLAINTEXT":
        options["security.protocol"] = settings.kafka_security
    if _is_sasl(settings):
        name, password = _kafka_login(settings)
        options |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": name,
            "sasl.password": password,
        }
    if _is_ssl(settings):
        files = {
            "ssl.ca.location": settings.kafka_ca_file,
            "ssl.certificate.location": settings.kafka_certificate_file,
            "ssl.key.location": settings.kafka_key_file,
        }
        options |= {name: str(_readable(path)) for name, path in files.items() if path}
        if key_password := _key_password(settings):
            options["ssl.key.password"] = key_password
    return Address(settings.kafka, options | _properties(settings.kafka_librdkafka_properties))


def kafka_java_options(settings: Settings) -> dict[str, str]:
    """Return the options of Kafka's Java client, and write the file of secrets that they name.

    Raises:
        ConfigError: a file cannot be read or written, or name and password are not both there.
    """
    options: dict[str, str] = {"security.protocol": settings.kafka_security}
    secrets: dict[str, str] = {}
    folder = settings.run / "secrets"
    if _is_sasl(settings):
        name, password = _kafka_login(settings)
        options["sasl.mechanism"] = settings.kafka_sasl_mechanism
        secrets["sasl.jaas.config"] = (
            f"{_JAAS_MODULES[settings.kafka_sasl_mechanism]} required"
            f' username="{_quote(name)}" password="{_quote(password)}";'
        )
    if _is_ssl(settings):
        if settings.kafka_ca_file:
            options |= {
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(_readable(settings.kafka_ca_file)),
            }
        if settings.kafka_certificate_file and settings.kafka_key_file:
            pair = [settings.kafka_key_file, settings.kafka_certificate_file]
            pem = "\n".join(_readable(path).read_text() for path in pair)
            _write_secret(folder / "kafka-client.pem", pem)
            options |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(folder / "kafka-client.pem"),
            }
            if key_password := _key_password(settings):
                secrets["ssl.key.password"] = key_password
    # Its secrets, too, must not be in a plan; nobody knows which of the properties are.
    secrets |= _properties(settings.kafka_java_properties)
    if not secrets:
        return options
    path = folder / "kafka.properties"
    _write_secret(path, "".join(f"{key}={_escape(value)}\n" for key, value in secrets.items()))
    return {
        **options,
        "config.providers": "file",
        "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
        **{key: f"${{file:{path}:{key}}}" for key in secrets},
    }


def registry_address(settings: Settings) -> Address:
    """Return ``K2_REGISTRY`` with the options of its client.

    Raises:
        ConfigError: a file cannot be read.
    """
    options: dict[str, str] = {}
    token = _secret("K2_REGISTRY_TOKEN", settings.registry_token, settings.registry_token_file)
    password = _secret(
        "K2_REGISTRY_PASSWORD", settings.registry_password, settings.registry_password_file
    )
    if token:
        options |= {
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": token,
            "bearer.auth.logical.cluster": "",  # Confluent's cloud alone has them; its client insists
        }
    elif settings.registry_username:
        options["basic.auth.user.info"] = f"{settings.registry_username}:{password}"
    if settings.registry_ca_file:
        options["ssl.ca.location"] = str(_readable(settings.registry_ca_file))
    return Address(settings.registry, options)


def _is_sasl(settings: Settings) -> bool:
    return settings.kafka_security.startswith("SASL") and bool(settings.kafka_username)


def _is_ssl(settings: Settings) -> bool:
    return settings.kafka_security.endswith("SSL")


def _kafka_login(settings: Settings) -> tuple[str, str]:
    password = _secret("K2_KAFKA_PASSWORD", settings.kafka_password, settings.kafka_password_file)
    if not password:
        raise ConfigError(
            "K2_KAFKA_USERNAME is set, but no password: set K2_KAFKA_PASSWORD or _FILE."
        )
    return settings.kafka_username, password


def _key_password(settings: Settings) -> str:
    return _secret(
        "K2_KAFKA_KEY_PASSWORD", settings.kafka_key_password, settings.kafka_key_password_file
    )


def _secret(variable: str, value: SecretStr, file: Path | None) -> str:
    if file is None:
        return value.get_secret_value()
    if value.get_secret_value():
        raise ConfigError(f"{variable} and {variable}_FILE are both set; keep one of them.")
    return _readable(file).read_text(encoding="utf-8").rstrip("\r\n")


def _properties(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    lines = (line.strip() for line in _readable(file).read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _readable(path: Path) -> Path:
    path = path.expanduser().absolute()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    return path


def _write_secret(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        scratch.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _quote(value: str) -> str:
    """A value within the quotes of a JAAS configuration."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _escape(value: str) -> str:
    """A value of a Java properties file."""
    escaped = value.replace("\\", "\\\\")
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in escaped)
