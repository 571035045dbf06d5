"""A Kafka and a PostgreSQL of a run's own, which workers reach through proxies: half of them by either way."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from relationship_worker.local.kafka import Kafka, kafka_jars
from relationship_worker.local.postgres import Postgres
from relationship_worker.local.processes import free_port
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack
from system.kafka_proxy import KafkaProxy
from system.postgres_proxy import PostgresProxy
from system.proxy import HERE

WAYS = 2
LEAST_SESSION_MS = 500  # so that a worker that ends itself hundreds of times need not be missed for six seconds each


@dataclass(frozen=True)
class Way:
    """One way to both servers."""

    kafka: KafkaProxy
    postgres: PostgresProxy

    def settings(self, database_url: str) -> dict[str, str]:
        """What a worker that goes this way is given."""
        url = make_url(database_url).set(port=self.postgres.port)
        return {
            KAFKA_VARIABLE: f"{HERE}:{self.kafka.port}",
            POSTGRES_VARIABLE: url.render_as_string(hide_password=False),
        }


@dataclass(frozen=True)
class ShakenStack:
    """The servers, and the ways to them. Whoever judges goes straight to the servers."""

    stack: Stack
    ways: list[Way]


class _KafkaWithDoors(Kafka):
    """Has further listeners, each of which sends clients on to a proxy."""

    def __init__(self, folder: Path, jars: list[Path]) -> None:
        super().__init__(folder, jars)
        self.doors = [(free_port(), free_port()) for _ in range(WAYS)]
        """Of each: the broker's port, and the proxy's."""

    def _properties(self) -> str:
        names = [f"DOOR{number}" for number in range(WAYS)]
        doors = list(zip(names, self.doors, strict=True))
        properties = dict(line.split("=", 1) for line in super()._properties().splitlines())
        protocols = [f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names)]
        properties["listeners"] += "".join(f",{name}://{HERE}:{own}" for name, (own, _) in doors)
        properties["advertised.listeners"] += "".join(f",{name}://{HERE}:{proxy}" for name, (_, proxy) in doors)
        properties["listener.security.protocol.map"] = ",".join(protocols)
        properties["group.min.session.timeout.ms"] = str(LEAST_SESSION_MS)
        return "".join(f"{name}={value}\n" for name, value in properties.items())


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="relationship-worker-stack-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    return folder


@asynccontextmanager
async def shaken_stack() -> AsyncIterator[ShakenStack]:
    """For as long as the block runs."""
    folder = _new_folder()
    kafka = _KafkaWithDoors(folder / "kafka", kafka_jars(lambda line: None))
    postgres = Postgres(folder / "postgres")
    ways: list[Way] = []
    try:
        for server in (kafka, postgres):
            server.prepare()
            server.start()
        for broker_port, proxy_port in kafka.doors:
            way = Way(KafkaProxy(proxy_port, broker_port), PostgresProxy(free_port(), postgres.port))
            ways.append(way)
            await way.kafka.open()
            await way.postgres.open()
        stack = Stack(
            kafka_bootstrap_servers=kafka.bootstrap_servers, database_url=postgres.url, kafka=kafka, postgres=postgres
        )
        yield ShakenStack(stack, ways)
    finally:
        for way in ways:
            await way.kafka.close()
            await way.postgres.close()
        for server in (kafka, postgres):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
