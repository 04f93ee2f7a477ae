"""What can be set of jobs, of their API and of their events; a part of :class:`k2.settings.Settings`."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

Port = Annotated[int, Field(ge=0, le=65535)]


class JobSettings(BaseSettings):
    """Settings of the jobs' service."""

    ops_db: SecretStr | None = Field(
        None,
        description="PostgreSQL for the registry of jobs, as postgresql://user:password@host/name, needed"
        " where several machines run jobs; empty: SQLite in K2_HOME.",
    )
    jobs_executor: str = Field(
        "",
        max_length=100,
        description="Name of this instance among those that run jobs of one PostgreSQL; empty: made from"
        " the machine's and the home's.",
    )
    jobs_kept_days: float = Field(
        30.0,
        gt=0,
        description="Days that jobs which have ended, events and uploaded messages are kept.",
    )
    service: bool = Field(True, description="Let `k2 up` start the jobs' service (`k2 serve`).")
    api_host: str = Field(
        "127.0.0.1",
        description="Address on which the API listens; an address other than loopback requires"
        " K2_API_TOKEN.",
    )
    api_port: Port = Field(8010, description="Port of the API; 0 takes a free one.")
    api_token: SecretStr | None = Field(
        None, min_length=16, description="Bearer token that each request to the API must send."
    )
    api_rate: str = Field(
        "1000/second;20000/minute",
        description="Rate limit for each client of the API, in the notation of the library `limits`.",
    )
    api_max_body_bytes: int = Field(
        1_048_576, ge=1_024, description="Largest request body that the API accepts."
    )
    api_max_batch_bytes: int = Field(
        67_108_864,
        ge=1_024,
        description="Largest body of messages for a replay that the API accepts.",
    )
    api_timeout_seconds: float = Field(
        30.0, gt=0, description="Time after which the API aborts a request."
    )
    events_kafka: bool = Field(True, description="Send events to the Kafka topic `k2.events`.")
    events_webhooks: str = Field(
        "", description="Addresses to which events are posted, separated by commas."
    )
    events_webhook_secret: SecretStr | None = Field(
        None, description="Secret with which events to webhooks are signed (HMAC-SHA256)."
    )
    events_redis: SecretStr | None = Field(
        None,
        description="Redis, as redis://host:6379/0; events are added to its stream `k2.events`.",
    )
