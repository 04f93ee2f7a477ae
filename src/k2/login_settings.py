"""Settings for logging in to a Kafka and a schema registry of others, and for knowing them."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings


class LoginSettings(BaseSettings):
    """A secret is given by a variable, or by a file that holds nothing else."""

    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to connect to the brokers of K2_KAFKA."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in, where K2_KAFKA_SECURITY names SASL."
    )
    kafka_username: str = Field("", description="Name to log in to Kafka with.")
    kafka_password: SecretStr = Field(
        SecretStr(""), description="Password to log in to Kafka with."
    )
    kafka_password_file: Path | None = Field(None, description="File with the password.")
    kafka_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authorities that signed the brokers' certificates;"
        " empty: the system's.",
    )
    kafka_certificate_file: Path | None = Field(
        None, description="Client certificate (PEM), where brokers require one (mTLS)."
    )
    kafka_key_file: Path | None = Field(
        None, description="Private key of the client certificate (PEM, PKCS #8, not `BEGIN RSA …`)."
    )
    kafka_key_password: SecretStr = Field(SecretStr(""), description="Password of that key.")
    kafka_key_password_file: Path | None = Field(None, description="File with that password.")
    kafka_java_properties: Path | None = Field(
        None,
        description="File of further properties for Kafka's Java client in Spark, for example OAuth.",
    )
    kafka_librdkafka_properties: Path | None = Field(
        None, description="The same for librdkafka, which everything else in K2 uses."
    )
    registry_username: str = Field("", description="Name to log in to the registry with.")
    registry_password: SecretStr = Field(SecretStr(""), description="Password for the registry.")
    registry_password_file: Path | None = Field(None, description="File with that password.")
    registry_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for the registry, instead of name and password."
    )
    registry_token_file: Path | None = Field(None, description="File with that token.")
    registry_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authorities that signed the registry's certificate;"
        " empty: the system's.",
    )
