"""The settings: from the environment, each with its unit, its default and its meaning."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

if TYPE_CHECKING:
    from relationship_worker.storage.access import Access

PREFIX = "RELATIONSHIP_WORKER_"


class InvalidSetting(Exception):
    """A setting makes no sense; the message is one line that names it."""


class Settings(BaseSettings):
    """What `relationship-worker settings` lists."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    kafka_bootstrap_servers: str = Field(
        default="localhost:9092", validation_alias="KAFKA_BOOTSTRAP_SERVERS", description="where Kafka is: host:port, …"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how Kafka is talked to: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that may have signed Kafka's certificate; empty: this machine's",
    )
    kafka_certificate_file: Path | None = Field(
        default=None, description="PEM file with the worker's own certificate, where Kafka asks for one (mTLS)"
    )
    kafka_key_file: Path | None = Field(
        default=None, description="PEM file with its key, not encrypted; empty: it lies in the certificate's file"
    )
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="how the worker says to Kafka who it is: SCRAM-SHA-512 or OAUTHBEARER"
    )
    kafka_username: str = Field(default="", description="user of SCRAM-SHA-512")
    kafka_password: SecretStr = Field(default=SecretStr(""), description="his password; better in a file")
    kafka_password_file: Path | None = Field(
        default=None, description="file with his password; read anew for each connection"
    )
    kafka_token_file: Path | None = Field(
        default=None, description="file with the token of OAUTHBEARER, which somebody else renews; read anew likewise"
    )
    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost:5432/postgres"),
        validation_alias="DATABASE_URL",
        description="where PostgreSQL is: postgresql://user:password@host:port/name",
    )
    database_ca_file: Path | None = Field(
        default=None, description="authorities that PostgreSQL's certificate is held against, PEM; empty: the system's"
    )
    database_certificate_file: Path | None = Field(
        default=None, description="certificate that PostgreSQL is shown, PEM; empty: none"
    )
    database_key_file: Path | None = Field(default=None, description="its key, PEM; empty: beside it in the same file")
    database_password_file: Path | None = Field(
        default=None, description="password for PostgreSQL, read at each new connection; empty: that in DATABASE_URL"
    )
    database_worker_role: str = Field(
        default="",
        description="role that init gives a worker's rights; empty: init and run are of one and the same role",
    )
    insecure: bool = Field(
        default=False,
        description="Kafka and PostgreSQL may be reached in plain text beyond loopback; else a start is refused",
    )
    group: str = Field(default="relationship-worker", min_length=1, description="consumer group")
    topic_prefix: str = Field(
        default="", pattern=r"^[A-Za-z0-9._-]*$", description="stands before the name of every topic"
    )
    partitions: int = Field(default=4, ge=1, le=1000, description="partitions of topics that init makes")
    replication: int | None = Field(
        default=None, ge=1, le=10, description="replicas of topics that init makes; empty: the broker's default"
    )
    min_insync_replicas: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="min.insync.replicas of topics that init makes; empty: the broker's default",
    )
    freshness_seconds: float = Field(
        default=2.0, ge=0, le=60, description="seconds that orders wait for decisions published before them, at most"
    )
    parked_hours: float = Field(
        default=24.0, gt=0, le=24 * 90, description="hours that a decision waits for its request; fractions allowed"
    )
    answers_days: int = Field(
        default=90,
        ge=1,
        le=3650,
        description="days that answers to orders are kept, at least; repeated orders find them",
    )
    inbox_days: int = Field(
        default=90, ge=1, le=3650, description="days that the ids of requests and decisions are kept, at least"
    )
    breaker_percent: int = Field(
        default=0,
        ge=0,
        le=100,
        description="percent of a partition's last records: where more are dead letters, it stands still; 0: never",
    )
    breaker_records: int = Field(
        default=200, ge=10, le=10_000, description="how many of a partition's last records the breaker looks at"
    )
    database_connections: int = Field(
        default=10, ge=2, le=100, description="PostgreSQL connections of a process, at most"
    )
    http_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="address that health and metrics are shown on; not beyond loopback by default",
    )
    http_port: int | None = Field(
        default=9464,
        ge=0,
        le=65535,
        description="port that they are shown on; 0: any free one, which the log names; empty: none",
    )
    traces_endpoint: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="where spans go, OTLP over HTTP: http://localhost:4318/v1/traces; empty: nowhere",
    )
    ready_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="seconds that the oldest undone record may wait, or the worker is not ready",
    )
    start_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="seconds that a start waits for Kafka and PostgreSQL, at most"
    )

    @field_validator(
        "replication",
        "min_insync_replicas",
        "http_port",
        "database_ca_file",
        "database_certificate_file",
        "database_key_file",
        "database_password_file",
        "kafka_ca_file",
        "kafka_certificate_file",
        "kafka_key_file",
        "kafka_sasl_mechanism",
        "kafka_password_file",
        "kafka_token_file",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("takes postgresql://user:password@host:port/name")
        return value

    @model_validator(mode="after")
    def _ids_outlive_what_is_parked(self) -> "Settings":
        if self.inbox_days * 24 < self.parked_hours:
            raise ValueError(
                f"{environment_name('inbox_days')}={self.inbox_days} is less than "
                f"{environment_name('parked_hours')}={self.parked_hours:g}: a parked decision's id would be forgotten"
            )
        return self

    @model_validator(mode="after")
    def _postgresql_is_reached_safely(self) -> "Settings":
        from relationship_worker.storage.access import way

        way(self.database_url.get_secret_value(), self.database_access)
        return self

    @property
    def database_access(self) -> "Access":
        """What is beside the address of PostgreSQL."""
        from relationship_worker.storage.access import Access

        return Access(
            ca_file=self.database_ca_file,
            certificate_file=self.database_certificate_file,
            key_file=self.database_key_file,
            password_file=self.database_password_file,
            insecure=self.insecure,
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment alone."""
        return (init_settings, env_settings)


def environment_name(field: str) -> str:
    """The variable that sets a field."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def read_settings(*, insecure: bool = False) -> Settings:
    """The settings as the environment has them; `insecure` also where the command line says so. Raises InvalidSetting."""
    try:
        return Settings(insecure=True) if insecure else Settings()
    except ValidationError as why:
        error = why.errors(include_input=False, include_url=False)[0]
        if not error["loc"]:
            raise InvalidSetting(
                f"the settings make no sense together: {error['msg'].removeprefix('Value error, ')}"
            ) from None
        place = str(error["loc"][0])
        name = environment_name(place) if place in Settings.model_fields else place
        raise InvalidSetting(
            f"the setting {name} makes no sense: {error['msg'].removeprefix('Value error, ')}"
        ) from None
