"""Kafka shows who it is and the worker shows who it is: right, and wrong in each way, with one line that says which."""

import pytest

from relationship_worker.command_line import MISSING, USAGE
from relationship_worker.kafka.rights import Role
from secured.broker import ELSEWHERE, EXPIRED, MTLS, OAUTH, SCRAM
from secured.certificates import Authority
from secured.people import Desk, Said

INIT = "init"


def refused_with(said: Said, *words: str) -> None:
    last = said.err.strip().splitlines()[-1]
    assert said.code == MISSING, said
    assert last.startswith("relationship-worker: "), said
    for word in words:
        assert word in last, last


async def test_a_user_with_a_certificate_is_let_in(desk: Desk):
    await desk.allow_role(Role.INIT)

    said = await desk.call(INIT, **desk.by_tls(who=desk.secured.clients.issue("init")))

    assert said.code == 0, said
    assert f"made the topic {desk.road.prefix}orders" in said.out


async def test_a_user_with_a_password_is_let_in(desk: Desk):
    await desk.allow_role(Role.INIT)

    said = await desk.call(INIT, **desk.by_password("init"))

    assert said.code == 0, said


async def test_a_user_with_a_token_is_let_in(desk: Desk):
    await desk.allow_role(Role.INIT)

    said = await desk.call(INIT, **desk.by_token(desk.secured.tokens.token("init")))

    assert said.code == 0, said


@pytest.mark.parametrize(
    ("listener", "words"),
    [(EXPIRED, "its certificate has expired"), (ELSEWHERE, "its certificate is another host's (IP address mismatch")],
)
async def test_a_server_whose_certificate_is_not_right_is_named_with_the_reason(desk: Desk, listener: str, words: str):
    said = await desk.call(INIT, **desk.by_tls(listener))

    refused_with(said, f"Kafka at {desk.secured.address(listener)}: {words}")


async def test_a_server_whose_authority_is_not_trusted_is_named_with_the_setting(desk: Desk):
    other = Authority(desk.folder, "other")

    said = await desk.call(INIT, **desk.by_password("init", CA_FILE=str(other.file)))

    refused_with(said, "signed by nobody whom RELATIONSHIP_WORKER_KAFKA_CA_FILE trusts")


async def test_without_an_authority_of_its_own_the_machine_is_asked_whom_it_trusts(desk: Desk):
    said = await desk.call(INIT, **desk.by_password("init", CA_FILE=""))

    refused_with(said, "signed by nobody whom RELATIONSHIP_WORKER_KAFKA_CA_FILE trusts")


async def test_a_certificate_of_another_authority_is_not_taken(desk: Desk):
    other = Authority(desk.folder, "other").issue("init")

    said = await desk.call(INIT, **desk.by_tls(who=other))

    refused_with(said, "does not take the worker's certificate", "RELATIONSHIP_WORKER_KAFKA_CERTIFICATE_FILE")


async def test_a_missing_certificate_is_asked_for(desk: Desk):
    said = await desk.call(INIT, **desk.by_tls())

    refused_with(said, "it asks for a certificate of the worker's", "RELATIONSHIP_WORKER_KAFKA_CERTIFICATE_FILE")


async def test_a_wrong_password_is_said_with_the_user(desk: Desk):
    said = await desk.call(INIT, **desk.by_password("init", "wrong"))

    refused_with(said, "does not let the user init in by SCRAM-SHA-512", "invalid credentials")
    assert "wrong" not in said.err


async def test_a_token_that_has_expired_is_not_taken(desk: Desk):
    said = await desk.call(INIT, **desk.by_token(desk.secured.tokens.token("init", seconds=-3600)))

    refused_with(said, "does not let the worker in by OAUTHBEARER: the token is not taken", "invalid_token")


async def test_a_token_that_somebody_else_signed_is_not_taken(desk: Desk):
    from secured.broker import Tokens

    said = await desk.call(INIT, **desk.by_token(Tokens(desk.folder).token("init")))

    refused_with(said, "the token is not taken")


@pytest.mark.parametrize(
    ("listener", "given", "words"),
    [
        (SCRAM, {"SECURITY_PROTOCOL": "PLAINTEXT", "CA_FILE": ""}, "speaks TLS: RELATIONSHIP_WORKER_KAFKA_SECURITY"),
        (SCRAM, {"SECURITY_PROTOCOL": "SSL"}, "hangs up: does that port ask for SASL"),
        (OAUTH, {"SASL_MECHANISM": "SCRAM-SHA-512", "USERNAME": "init", "PASSWORD": "x"}, "takes no SCRAM-SHA-512"),
    ],
)
async def test_a_port_of_another_kind_is_said(desk: Desk, listener: str, given: dict[str, str], words: str):
    protocol = {"SECURITY_PROTOCOL": "SASL_SSL", **given}

    said = await desk.call(INIT, **desk.by_tls(listener, **protocol))

    refused_with(said, words)


async def test_a_file_that_is_no_certificate_is_named(desk: Desk):
    broken = desk.folder / "broken.pem"
    broken.write_text("no certificate")

    said = await desk.call(INIT, **desk.by_tls(MTLS, CA_FILE=str(broken)))

    assert said.code == USAGE
    assert str(broken) in said.err
    assert len(said.err.strip().splitlines()) == 1


async def test_a_key_of_another_certificate_is_named(desk: Desk):
    one, other = desk.secured.clients.issue("init"), desk.secured.clients.issue("other")

    said = await desk.call(INIT, **desk.by_tls(MTLS, one, KEY_FILE=str(other.key)))

    assert said.code == USAGE
    assert f"{one.certificate} and {other.key} are no certificate with its key" in said.err
