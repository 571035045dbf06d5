"""The local stack: both servers, started side by side, or those that the environment names."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relationship_worker.local.kafka import Kafka, kafka_jars
from relationship_worker.local.postgres import Postgres
from relationship_worker.local.processes import Server, StackUnavailable

KAFKA_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
POSTGRES_VARIABLE = "DATABASE_URL"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A Kafka and a PostgreSQL that answer. Those of the environment can't be stopped or started from here."""

    kafka_bootstrap_servers: str
    database_url: str
    kafka: Kafka | None = None
    postgres: Postgres | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a worker on this stack is given."""
        return {KAFKA_VARIABLE: self.kafka_bootstrap_servers, POSTGRES_VARIABLE: self.database_url}

    def stop_kafka(self, *, kill: bool = False) -> None:
        """End the broker; its data stays."""
        _own(self.kafka, KAFKA_VARIABLE).stop(signal.SIGKILL if kill else None)

    def start_kafka(self) -> None:
        """Start it again, on the same port with the same data."""
        _own(self.kafka, KAFKA_VARIABLE).start()

    def stop_postgres(self, mode: str = "fast") -> None:
        """End the database: `fast`, `immediate` (recovers at the next start) or `kill`."""
        signals = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}
        _own(self.postgres, POSTGRES_VARIABLE).stop(signals[mode])

    def start_postgres(self) -> None:
        """Start it again, on the same port with the same data."""
        _own(self.postgres, POSTGRES_VARIABLE).start()


def _own(server: Server | None, variable: str) -> Server:
    if server is None:
        raise StackUnavailable(f"{variable} is set: that server is not this stack's to stop or start")
    return server


@contextmanager
def running_stack(say: Callable[[str], None] = lambda line: None) -> Iterator[Stack]:
    """A stack for as long as the block runs; it ends with this process in any case. Raises StackUnavailable.

    KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL, where set, are used instead of starting that server.
    """
    folder = Path(tempfile.mkdtemp(prefix="relationship-worker-stack-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    servers: list[Server] = []
    try:
        there = os.environ.get(KAFKA_VARIABLE), os.environ.get(POSTGRES_VARIABLE)
        kafka = None if there[0] else Kafka(folder / "kafka", kafka_jars(say))
        postgres = None if there[1] else Postgres(folder / "postgres")
        servers = [server for server in (kafka, postgres) if server is not None]
        if servers:
            say("starting " + " and ".join(server.name for server in servers))
            with ThreadPoolExecutor() as pool:
                list(pool.map(_prepare_and_start, servers))
        yield Stack(
            kafka_bootstrap_servers=there[0] or (kafka.bootstrap_servers if kafka else ""),
            database_url=there[1] or (postgres.url if postgres else ""),
            kafka=kafka,
            postgres=postgres,
        )
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _prepare_and_start(server: Server) -> None:
    server.prepare()
    server.start()
