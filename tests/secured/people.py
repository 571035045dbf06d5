"""Users of a secured Kafka: who they are to it, what they may do, and the commands that they call."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from typer.testing import CliRunner

from relationship_worker.cli import app
from relationship_worker.kafka.connection import Connection
from relationship_worker.kafka.rights import Kind, Operation, Right, Role, rights
from relationship_worker.local.stack import Stack
from relationship_worker.reaching_kafka import kafka_by
from relationship_worker.settings import PREFIX, Settings
from roads.driving import Road
from secured.broker import MTLS, OAUTH, SASL, SCRAM, SecuredKafka
from secured.certificates import Issued

ALLOW, LITERAL, PREFIXED = 3, 3, 4  # these and the numbers below: Kafka's protocol
KINDS = {Kind.TOPIC: 2, Kind.GROUP: 3, Kind.TRANSACTIONAL_ID: 5}
OPERATIONS = {
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DESCRIBE: 8,
    Operation.DESCRIBE_CONFIGS: 10,
}


@dataclass(frozen=True)
class Said:
    """What a command has said and how it ended."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """A road at a secured Kafka, and the users on it."""

    secured: SecuredKafka
    road: Road
    folder: Path

    @property
    def kafka(self) -> Connection:
        """As the tests themselves reach it: they may do all."""
        return Connection(
            bootstrap_servers=self.secured.bootstrap_servers, group=self.road.group, prefix=self.road.prefix
        )

    def by_tls(self, listener: str = MTLS, who: Issued | None = None, **more: str) -> dict[str, str]:
        """The settings of somebody with this certificate, or with none."""
        own = {"CERTIFICATE_FILE": str(who.certificate), "KEY_FILE": str(who.key)} if who else {}
        return self._settings(listener, {"SECURITY_PROTOCOL": "SSL", **own, **more})

    def by_password(self, user: str, password: str | None = None, **more: str) -> dict[str, str]:
        """The settings of somebody with a password in a file."""
        file = self.folder / f"{user}.password"
        file.write_text(f"{user[::-1] if password is None else password}\n")
        given = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": SASL[SCRAM], "USERNAME": user}
        return self._settings(SCRAM, {**given, "PASSWORD_FILE": str(file), **more})

    def by_token(self, token: str) -> dict[str, str]:
        """The settings of somebody with a token in a file."""
        file = self.folder / "token"
        file.write_text(token)
        given = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": SASL[OAUTH], "TOKEN_FILE": str(file)}
        return self._settings(OAUTH, given)

    def _settings(self, listener: str, own: Mapping[str, str]) -> dict[str, str]:
        given = {"CA_FILE": str(self.secured.authority.file), **own}
        named = {f"RELATIONSHIP_WORKER_KAFKA_{name}": value for name, value in given.items()}
        return {"KAFKA_BOOTSTRAP_SERVERS": self.secured.address(listener), **named}

    async def call(self, *arguments: str, **settings: str) -> Said:
        """Run a command to its end, in this process: there are many."""
        environment = {**self.road.environment, **settings}
        done = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    async def call_apart(self, *arguments: str, **settings: str) -> Said:
        """In a process of its own, as a command that leaves connections open where it is refused amid its start."""
        return Said(*await self.road.command(*arguments, **settings))

    def connection_of(self, settings: Mapping[str, str]) -> Connection:
        """As the user with these settings reaches Kafka."""
        own = {
            name.removeprefix(PREFIX).lower() if name.startswith(PREFIX) else name: v for name, v in settings.items()
        }
        return kafka_by(Settings(group=self.road.group, topic_prefix=self.road.prefix, **own))  # type: ignore[arg-type]

    async def allow(self, user: str, some: Iterable[Right]) -> None:
        """Give rights, one by one, as an administrator would."""
        await self._ask(CreateAclsRequest(*_acl(user, right)) for right in some)

    async def allow_role(self, role: Role, user: str | None = None) -> None:
        """All that a role needs."""
        await self.allow(user or role, rights(role, self.kafka))

    async def take_away(self, user: str, right: Right) -> None:
        """One right."""
        await self._ask([DeleteAclsRequest(*_acl(user, right))])

    async def _ask(self, requests: Iterable[CreateAclsRequest | DeleteAclsRequest]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.secured.bootstrap_servers)
        await admin.start()
        try:
            for request in requests:
                response = await admin._send_request(request)
                [result] = (
                    response.creation_responses if isinstance(request, CreateAclsRequest) else response.filter_responses
                )
                assert result[0] == 0, result
                if isinstance(request, DeleteAclsRequest):
                    assert len(result[2]) == 1, "nobody had that right"
        finally:
            await admin.close()


def _acl(user: str, right: Right) -> tuple[int, str, int, str, str, int, int]:
    pattern = PREFIXED if right.prefixed else LITERAL
    return (KINDS[right.kind], right.name, pattern, f"User:{user}", "*", OPERATIONS[right.operation], ALLOW)


@asynccontextmanager
async def opened_desk(secured: SecuredKafka, database_url: str, prefix: str, folder: Path) -> AsyncIterator[Desk]:
    """Nothing is made yet."""
    stack = Stack(kafka_bootstrap_servers=secured.bootstrap_servers, database_url=database_url)
    producer = AIOKafkaProducer(bootstrap_servers=secured.bootstrap_servers, enable_idempotence=True)
    await producer.start()
    road = Road(stack, database_url, prefix, producer, folder=folder)
    try:
        yield Desk(secured, road, folder)
    finally:
        await road.close()
