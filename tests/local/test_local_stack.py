"""The local stack: real servers that answer, and end with whoever started them."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from relationship_worker.local.stack import running_stack
from waiting import until

COMMAND = (sys.executable, "-m", "relationship_worker", "local")


@asynccontextmanager
async def started(temporary: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """The command `local`, once it has printed its settings; temporary folders go below `temporary`."""
    environment = {k: v for k, v in os.environ.items() if k not in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL")}
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        env={**environment, "TMPDIR": str(temporary)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    exported = {}
    for _ in range(2):
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode().strip()
        name, _, value = line.removeprefix("export ").partition("=")
        exported[name] = value
    try:
        yield process, exported
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder that PostgreSQL's own user may enter, too."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def test_both_servers_answer_under_the_settings_that_are_printed(temporary: Path):
    async with started(temporary) as (_, exported):
        connection = await asyncpg.connect(exported["DATABASE_URL"])
        version = await connection.fetchval("SHOW server_version")
        await connection.close()
        producer = AIOKafkaProducer(bootstrap_servers=exported["KAFKA_BOOTSTRAP_SERVERS"])
        await producer.start()
        await producer.stop()

    assert version.startswith("18")


async def test_both_end_and_leave_nothing_behind_when_their_starter_is_killed(temporary: Path):
    async with started(temporary) as (process, _):
        assert await servers_below(temporary)
        process.send_signal(signal.SIGKILL)

        await until("both servers to end", lambda: none_left(temporary))
        assert await stacks_in(temporary) == []


async def test_an_interrupt_ends_both_and_exits_0(temporary: Path):
    async with started(temporary) as (process, _):
        process.send_signal(signal.SIGINT)

        assert await asyncio.wait_for(process.wait(), 30) == 0
        assert await servers_below(temporary) == []
        assert await stacks_in(temporary) == []


def test_servers_of_the_environment_are_used_instead(monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres.example/relationships")

    with running_stack() as stack:
        told = (stack.kafka_bootstrap_servers, stack.database_url)

    assert told == ("kafka.example:9092", "postgresql://postgres.example/relationships")


async def servers_below(folder: Path) -> list[str]:
    """The processes that work in a folder below this one."""

    def look() -> list[str]:
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and str(folder) in os.readlink(process / "cwd"):
                    found.append(process.name)
            except OSError:
                continue  # it has just ended
        return found

    return await asyncio.to_thread(look)


async def none_left(folder: Path) -> bool:
    return not await servers_below(folder) and not await stacks_in(folder)


async def stacks_in(folder: Path) -> list[Path]:
    """The folders of stacks."""
    return await asyncio.to_thread(lambda: list(folder.glob("relationship-worker-stack-*")))
