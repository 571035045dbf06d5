"""Settings of Kafka that make no sense together, and plain text beyond this machine, are refused in one line."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from typer.testing import CliRunner

from relationship_worker import cli
from relationship_worker.reaching_kafka import kafka_by
from relationship_worker.settings import InvalidSetting, Settings

BEYOND = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092, kafka:9092"}


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """`run` writes its log to what is the standard error then, which a test replaces for its own time."""
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


def settings(**given: str) -> Settings:
    return Settings(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_plain_text_beyond_loopback_is_refused(protocol: str):
    with pytest.raises(
        InvalidSetting, match=f"kafka:9092 is beyond this machine, .*{protocol} encrypts nothing.*--insec"
    ):
        kafka_by(settings(kafka_security_protocol=protocol, **BEYOND))


@pytest.mark.parametrize("servers", ["localhost:9092", "127.0.0.1:9092,[::1]:9092", "localhost"])
def test_plain_text_on_loopback_is_all_right(servers: str):
    assert kafka_by(settings(KAFKA_BOOTSTRAP_SERVERS=servers)).bootstrap_servers == servers


def test_plain_text_goes_beyond_where_somebody_says_so():
    assert not kafka_by(settings(insecure="1", **BEYOND)).access.is_encrypted


@pytest.mark.usefixtures("logs_as_before")
@pytest.mark.parametrize(
    "command",
    [("run",), ("init",), ("shadow", "--since", "1h"), ("dead-letters", "list"), ("dead-letters", "replay", "--all")],
)
def test_every_command_that_connects_refuses_it_and_takes_the_option(command: tuple[str, ...]):
    refused = CliRunner().invoke(cli.app, list(command), env=BEYOND)
    helped = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "200"})

    assert (refused.exit_code, len(refused.stderr.strip().splitlines())) == (cli.USAGE, 1)
    assert "kafka:9092 is beyond this machine" in refused.stderr
    assert "--insecure" in helped.stdout


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "needs RELATIONSHIP_WORKER_KAFKA_SASL_MECHANISM"),
        ({"kafka_sasl_mechanism": "OAUTHBEARER"}, "SECURITY_PROTOCOL=PLAINTEXT uses none"),
        ({"kafka_ca_file": "/ca.crt"}, "CA_FILE is set"),
        ({"kafka_certificate_file": "/tls.crt"}, "CERTIFICATE_FILE is set"),
        ({"kafka_key_file": "/tls.key"}, "KEY_FILE needs"),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "/none/ca.crt"}, "/none/ca.crt"),
        ({"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_password": "x"}, "needs RELATIONSHIP_WORKER_KAFKA_USERNAME"),
        ({"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_username": "x"}, "KAFKA_PASSWORD_FILE"),
        (
            {"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_username": "x", "kafka_password_file": "/none/password"},
            "/none/password can't be read",
        ),
        ({"kafka_sasl_mechanism": "OAUTHBEARER"}, "needs RELATIONSHIP_WORKER_KAFKA_TOKEN_FILE"),
        ({"kafka_sasl_mechanism": "OAUTHBEARER", "kafka_token_file": "/none/token"}, "/none/token can't be read"),
    ],
)
def test_what_would_be_ignored_or_is_missing_is_named(given: dict[str, str], named: str):
    protocol = (
        {}
        if "uses none" in named or "kafka_sasl_mechanism" not in given
        else {"kafka_security_protocol": "SASL_PLAINTEXT"}
    )

    with pytest.raises(InvalidSetting) as refused:
        kafka_by(settings(**{**protocol, **given}))

    assert named in str(refused.value)


def test_the_password_of_kafka_is_not_shown():
    shown = CliRunner().invoke(cli.app, ["settings"], env={"RELATIONSHIP_WORKER_KAFKA_PASSWORD": "hunter2"})

    assert shown.exit_code == 0
    assert "hunter2" not in shown.stdout
