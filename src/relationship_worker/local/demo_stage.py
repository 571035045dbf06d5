"""Where the demo plays: a stack, a database and topics that nobody else uses, and the worker as a process of its own."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import make_url

from relationship_worker.kafka.connection import Connection
from relationship_worker.local.demo_traffic import DemoFailed
from relationship_worker.local.processes import Server
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack, running_stack

GROUP = "relationship-worker"
PREFIX_VARIABLE, GROUP_VARIABLE = "RELATIONSHIP_WORKER_TOPIC_PREFIX", "RELATIONSHIP_WORKER_GROUP"
INIT_SECONDS = 90  # schema and topics take one or two
ASK_SECONDS = 30  # a command takes half a second
COMMAND = (sys.executable, "-m", "relationship_worker")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the demo's worker is told by its environment."""

    kafka: Connection
    database_url: str

    @property
    def environment(self) -> dict[str, str]:
        """All that differs from the caller's own."""
        return {
            KAFKA_VARIABLE: self.kafka.bootstrap_servers,
            POSTGRES_VARIABLE: self.database_url,
            PREFIX_VARIABLE: self.kafka.prefix,
            GROUP_VARIABLE: self.kafka.group,
        }

    @property
    def shown(self) -> Mapping[str, str]:
        """The same for other eyes: no password, and no default."""
        url = make_url(self.database_url).render_as_string(hide_password=True)
        shown = {KAFKA_VARIABLE: self.kafka.bootstrap_servers, POSTGRES_VARIABLE: url}
        own = {PREFIX_VARIABLE: self.kafka.prefix, GROUP_VARIABLE: self.kafka.group} if self.kafka.prefix else {}
        return shown | own

    def init(self) -> int:
        """Run `init`; how many topics it made. Raises DemoFailed."""
        done = subprocess.run(
            [*COMMAND, "init"],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=INIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(f"init ended with exit code {done.returncode}: {_last_line(done.stderr)}")
        return done.stdout.count("made the topic")

    def asked(self, *arguments: str) -> str:
        """What a command prints. Raises DemoFailed."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=ASK_SECONDS,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(f"{arguments[0]} ended with exit code {done.returncode}: {_last_line(done.stderr)}")
        return done.stdout


@contextmanager
def opened_stage(say: Callable[[str], None]) -> Iterator[Stage]:
    """Servers of our own; on servers that the environment names, topics, group and database of our own, which go at the
    end: nothing that is there already is touched. Raises StackUnavailable, DemoFailed."""
    name = f"demo_{token_hex(4)}"
    with running_stack(say) as stack, ExitStack() as at_the_end:
        kafka = Connection(bootstrap_servers=stack.kafka_bootstrap_servers, group=GROUP)
        url = stack.database_url
        if stack.kafka is None:
            kafka = Connection(bootstrap_servers=stack.kafka_bootstrap_servers, group=name, prefix=f"{name}.")
            at_the_end.callback(lambda: asyncio.run(_remove_topics(kafka)))
        if stack.postgres is None:
            asyncio.run(_execute(stack, f"CREATE DATABASE {name}"))
            at_the_end.callback(lambda: asyncio.run(_execute(stack, f"DROP DATABASE {name} WITH (FORCE)")))
            url = make_url(url).set(database=name).render_as_string(hide_password=False)
        yield Stage(kafka=kafka, database_url=url)


class Worker(Server):
    """`relationship-worker run`, which ends with the demo, however that ends."""

    name = "the worker"

    def __init__(self, stage: Stage) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="relationship-worker-demo-")), port=0)
        self._stage = stage

    @property
    def log(self) -> Path:
        """What it says; stays when the demo is over."""
        return self.folder / "log"

    def command(self) -> list[str]:
        return [*COMMAND, "run"]

    def answers(self) -> bool:
        return '"started"' in self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raises DemoFailed where it has ended."""
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            raise DemoFailed(f"the worker ended with exit code {code}: {_last_line(self.log.read_text())}")

    def end(self) -> int | None:
        """SIGTERM; the exit code."""
        process = self._process
        self.stop()
        return process.returncode if process else None

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), **self._stage.environment}


async def _execute(stack: Stack, statement: str) -> None:
    connection = await asyncpg.connect(stack.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _remove_topics(kafka: Connection) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith(kafka.prefix)])
    finally:
        await admin.close()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no output"
