"""Starts workers that are to end from a process that has loaded all of it: a fork instead of a second of CPU each.

`python -m system.forks` is that process: a line of JSON starts a worker, and a line says which one has ended, and how.
"""

import asyncio
import importlib
import json
import os
import random
import selectors
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roads.driving import spawned

FORKED = "system.crashing_worker"
TESTS = Path(__file__).parents[1]
_LOADED_ONCE = (FORKED, "relationship_worker.app", "relationship_worker.logs")
_STARTED, _ENDED = "started", "ended"


@dataclass
class Forked:
    """As much of a process of asyncio as the plays use."""

    pid: int
    returncode: int | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        await self.over.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sent: int) -> None:
        """Nothing where it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass
class Forks:
    """Starts workers, in the place of `driving.spawned`."""

    _process: asyncio.subprocess.Process
    _live: dict[int, Forked] = field(default_factory=dict)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _started: asyncio.Queue[Forked] = field(default_factory=asyncio.Queue)

    async def spawn(self, program: Sequence[str], environment: Mapping[str, str], log: Path) -> Any:
        """A worker; others than those that are to end get a Python of their own."""
        if program[0] != FORKED:
            return await spawned(program, environment, log)
        log.touch()  # noqa: ASYNC240  # an empty file: a worker that is killed before it has begun has a log too
        asked = {"arguments": program[1:], "environment": dict(environment), "log": os.path.abspath(log)}  # noqa: ASYNC240  # reads nothing
        async with self._starting:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._started.get()

    async def follow(self) -> None:
        """Which have started and ended, until no more will."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            what, pid, *code = line.decode().split()
            if what == _STARTED:
                self._live[int(pid)] = Forked(int(pid))
                self._started.put_nowait(self._live[int(pid)])
            else:
                ended = self._live.pop(int(pid))
                ended.returncode = int(code[0])
                ended.over.set()
        for left in self._live.values():  # whoever waits for one would wait for ever
            left.kill()
            left.returncode = -signal.SIGKILL
            left.over.set()


@asynccontextmanager
async def forks() -> AsyncIterator[Forks]:
    """For as long as the block runs; its workers end before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "system.forks", cwd=TESTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    made = Forks(process)
    following = asyncio.create_task(made.follow())
    try:
        yield made
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await following


def main() -> None:
    """Until nobody asks any more."""
    for module in _LOADED_ONCE:
        importlib.import_module(module)
    asking = selectors.DefaultSelector()
    asking.register(sys.stdin.fileno(), selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in asking.select():
            if key.data is not None:
                _, status = os.waitpid(key.data, 0)
                asking.unregister(key.fd)
                os.close(key.fd)
                _say(_ENDED, key.data, os.waitstatus_to_exitcode(status))
                continue
            found = os.read(key.fd, 1 << 20)
            if not found:
                return
            *lines, rest = (rest + found).split(b"\n")
            for line in lines:
                pid = os.fork() or _become(asking, **json.loads(line))
                asking.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                _say(_STARTED, pid)


def _say(*words: object) -> None:
    os.write(sys.stdout.fileno(), (" ".join(str(word) for word in words) + "\n").encode())


def _become(asking: selectors.BaseSelector, arguments: list[str], environment: dict[str, str], log: str) -> int:
    """In a child: the worker. Never comes back."""
    code = 1
    try:
        for fd in [key.fd for key in asking.get_map().values() if key.data is not None]:
            os.close(fd)
        asking.close()
        nothing, file = os.open(os.devnull, os.O_RDWR), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for own, of in ((nothing, 0), (nothing, 1), (file, 2)):
            os.dup2(own, of)
        os.environ.clear()
        os.environ.update(environment)
        random.seed()
        sys.argv = ["relationship-worker", *arguments]
        from system.crashing_worker import run_to_the_end

        run_to_the_end()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
