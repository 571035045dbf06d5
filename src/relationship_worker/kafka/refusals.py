"""Why Kafka, or the worker on its behalf, says no: certificates, who one is, and rights, each by its name."""

import asyncio
import ssl
from collections.abc import Collection, Iterator, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.metadata import Topic, group_operations, may_see_transactions, topics
from relationship_worker.kafka.rights import Kind, Operation, Right, Role, rights

KNOCK_SECONDS = 5.0  # for one server; one that takes longer is away, and that is not a refusal
ACL_FILE = "deploy/kafka-acls.sh"
_NOT_ALLOWED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
_NUMBERS = {  # of operations in Kafka's protocol
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DESCRIBE: 8,
    Operation.DESCRIBE_CONFIGS: 10,
}
NOT_SAID = -(2**31)  # by brokers that don't tell what one may do: then what is tried says it
_TLS_ALERT = 0x1503  # how the answer of a server begins that speaks TLS and is not spoken to in it


class Refused(Exception):
    """Kafka is there and says no: waiting does not help. The message is one line that says to what."""


async def refusal(kafka: Connection, role: Role, error: BaseException | None = None) -> str | None:
    """Why the role is not let do its work, in one line; None where it is, and where Kafka is away. Never raises.

    `error`: what Kafka has answered, where that is known.
    """
    try:
        said = await _knock(kafka)
        if said is not None:
            return said
        lacking = await missing(kafka, role, refused=_named(error))
    except (KafkaError, OSError, TimeoutError):
        return None
    if lacking:
        return says(lacking)
    if is_refusal(error):
        return f"Kafka does not allow this user what it tries ({', '.join(_named(error)) or type(error).__name__})"
    return None


def is_refusal(error: BaseException | None) -> bool:
    """True where Kafka has said that the user may not do that."""
    return any(isinstance(one, _NOT_ALLOWED) for one in _chain(error))


async def missing(kafka: Connection, role: Role, *, refused: Collection[str] = ()) -> list[Right]:
    """Which of the role's rights the user does not have, as far as Kafka tells. Raises KafkaError.

    What may be done with a topic that is not there, it does not tell: `refused` has those that could not be made.
    """
    wanted = rights(role, kafka)
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        seen = await topics(admin, {right.name for right in wanted if right.kind is Kind.TOPIC})
        lacking = []
        for right in wanted:
            if right.kind is Kind.TOPIC:
                has = _allows_topic(seen.get(right.name), right, refused)
            elif right.kind is Kind.GROUP:
                has = allows(await group_operations(admin, right.name), right)
            else:
                has = await may_see_transactions(admin, right.name)
            if not has:
                lacking.append(right)
        return lacking
    finally:
        await admin.close()


def _allows_topic(topic: Topic | None, right: Right, refused: Collection[str]) -> bool:
    if topic is None:  # nothing more is told of it than that
        return right.operation in (Operation.CREATE, Operation.DESCRIBE_CONFIGS)
    if topic.partitions is not None:
        return allows(topic.operations, right)
    return right.operation is not Operation.CREATE or right.name not in refused


def allows(operations: int | None, right: Right) -> bool:
    """Whether a right is among those that a broker has told, as bits; None: nothing of it may be seen."""
    if operations is None:
        return False
    return operations == NOT_SAID or bool(operations >> _NUMBERS[right.operation] & 1)


def says(lacking: Sequence[Right]) -> str:
    """In one line."""
    return f"Kafka allows this user too little; it lacks {', '.join(map(str, lacking))}: see {ACL_FILE}"


async def _knock(kafka: Connection) -> str | None:
    """What keeps one from being let in; None where one server lets in, or none of them can be reached."""
    options = {**kafka.client_options(), "request_timeout_ms": int(KNOCK_SECONDS * 1000)}
    servers = options.pop("bootstrap_servers")
    said = None
    for host, port, _ in collect_hosts(servers):
        connection = AIOKafkaConnection(host, port, **options)
        server, let_in = f"Kafka at {host}:{port}", False
        try:
            async with asyncio.timeout(KNOCK_SECONDS):
                await connection.connect()
                let_in = True
                await connection.send(MetadataRequest([]))
            return None
        except (KafkaError, OSError, TimeoutError) as why:
            if not let_in:
                said = said or _sentence(server, kafka, why)
            elif kafka.access.mechanism is None:  # a port for SASL hangs up at the first request without it
                said = said or f"{server} hangs up: does that port ask for SASL ({_PROTOCOL})?"
        finally:
            closing = connection.close()
            if connection._protocol is not None:
                await asyncio.wait([closing], timeout=1)
    return said


_PROTOCOL = "RELATIONSHIP_WORKER_KAFKA_SECURITY_PROTOCOL"
_CERTIFICATE = "RELATIONSHIP_WORKER_KAFKA_CERTIFICATE_FILE"
_NOBODY_TRUSTED = (18, 19, 20, 21)  # of OpenSSL's reasons: the chain ends nowhere that is trusted
_OTHER_HOST = (62, 64)
_EXPIRED = 10


def _sentence(server: str, kafka: Connection, error: Exception) -> str | None:
    access = kafka.access
    for why in _chain(error):
        if isinstance(why, ssl.SSLCertVerificationError):
            return f"{server}: {_of_its_certificate(why)}"
        if isinstance(why, ssl.SSLError):
            return f"{server}: {_of_tls(why)}"
        if isinstance(why, SaslAuthenticationFailed):
            who = f"the user {access.username}" if access.username else "the worker"
            return f"{server} does not let {who} in by {access.mechanism}: {why.args[0] if why.args else 'no reason given'}"
        if isinstance(why, UnsupportedSaslMechanismError | IllegalSaslStateError):
            return f"{server} takes no {access.mechanism} (RELATIONSHIP_WORKER_KAFKA_SASL_MECHANISM, {_PROTOCOL})"
        if isinstance(why, asyncio.IncompleteReadError) and (why.expected or 0) >> 16 == _TLS_ALERT:
            return f"{server} speaks TLS: {_PROTOCOL}={access.protocol} does not"
    return None


def _of_its_certificate(why: ssl.SSLCertVerificationError) -> str:
    if why.verify_code == _EXPIRED:
        return "its certificate has expired"
    if why.verify_code in _OTHER_HOST:
        return f"its certificate is another host's ({why.verify_message.rstrip('.')})"
    if why.verify_code in _NOBODY_TRUSTED:
        return (
            "its certificate is signed by nobody whom RELATIONSHIP_WORKER_KAFKA_CA_FILE trusts "
            f"({why.verify_message.rstrip('.')})"
        )
    return f"its certificate is not taken ({why.verify_message.rstrip('.')})"


def _of_tls(why: ssl.SSLError) -> str:
    reason = (why.reason or (why.args[-1] if why.args else "")).upper()
    if "CERTIFICATE REQUIRED" in reason or "CERTIFICATE_REQUIRED" in reason:
        return f"it asks for a certificate of the worker's ({_CERTIFICATE})"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason or "UNKNOWN CA" in reason):
        return (
            f"it does not take the worker's certificate ({_CERTIFICATE}): is it in date, and signed by whom it trusts?"
        )
    return f"no TLS can be spoken there: does {_PROTOCOL} fit the port?"


def _named(error: BaseException | None) -> list[str]:
    """The topics, groups or ids that an error is about."""
    found = []
    for one in _chain(error):
        if isinstance(one, _NOT_ALLOWED):
            for subject in one.args:
                found += [subject] if isinstance(subject, str) else sorted(map(str, subject))
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
