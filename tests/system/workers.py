"""The worker processes of a run: which live, which were struck, and which have ended by themselves."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from roads.driving import Road
from system.crashes import Crashes
from system.shaken_stack import Way

END_BOUND = 30.0  # seconds in which a worker has to end that is asked to; ten, and on a busy machine some to be heard
_CANNOT_START = 3  # exit code of a worker that says why, and is to be started again

Worker = asyncio.subprocess.Process


@dataclass
class Workers:
    """Starts and ends them. Where there are several ways to the servers, workers take turns on them."""

    road: Road
    ways: Sequence[Way] = ()
    crashes: Crashes | None = None  # where workers are to end amid their work
    module: str = ""  # of the tests, that starts them; the worker's own where empty
    troubles: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # by themselves, with a reason, while a fault was about
    most_memory: int = 0  # bytes that a worker held at its height, seen as it ended
    _struck: list[Worker] = field(default_factory=list)
    _way_of: dict[Worker, int] = field(default_factory=dict)

    @property
    def live(self) -> list[Worker]:
        """Those that nobody has struck."""
        return [worker for worker in self.road.workers if worker not in self._struck]

    async def start(
        self, *arguments: str, instead_of: Worker | None = None, module: str = "", **settings: str
    ) -> Worker:
        """A worker, with these arguments of `run`; one that replaces another takes its way."""
        number = len(self.road.workers)
        if instead_of is not None:
            number = self._way_of.get(instead_of, number)
        if self.ways:
            settings = {**self.ways[number % len(self.ways)].settings(self.road.database_url), **settings}
        if self.crashes is not None and not module:
            module, settings = "system.crashing_worker", {**settings, **self.crashes.settings()}
        worker = await self.road.start(*arguments, module=module or self.module, **settings)
        self._way_of[worker] = number
        return worker

    async def kill(self, worker: Worker) -> None:
        """SIGKILL."""
        self._struck.append(worker)
        self._look_at_memory(worker)
        if worker.returncode is None:
            worker.kill()
        await worker.wait()

    async def stop(self, worker: Worker) -> None:
        """SIGTERM; it has to end in time, and well."""
        self._struck.append(worker)
        self._look_at_memory(worker)
        if worker.returncode is None:
            worker.terminate()
        try:
            await asyncio.wait_for(worker.wait(), END_BOUND)
        except TimeoutError:
            self.troubles.append(f"{self._log_name(worker)}: did not end within {END_BOUND:g} s of SIGTERM")
            await self.kill(worker)
            return
        self._judge_end(worker)

    async def stop_all(self) -> None:
        """SIGTERM to all."""
        await asyncio.gather(*(self.stop(worker) for worker in self.live))

    def ended_by_themselves(self) -> list[Worker]:
        """Those that nobody has asked to."""
        return [worker for worker in self.live if worker.returncode is not None]

    async def start_again(self) -> None:
        """What a supervisor does. A worker may end by itself where it says why."""
        for worker in self.ended_by_themselves():
            self._struck.append(worker)
            if self.crashes is not None and self.crashes.has_ended(worker.returncode or 0):
                await self.start(instead_of=worker)
                continue
            log = self.road.logs[self.road.workers.index(worker)]
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or [""]
            if worker.returncode == _CANNOT_START:
                self.ended.append(f"{log.name}: {last[0][:200]}")
            else:
                self.troubles.append(f"{log.name}: ended with {worker.returncode}: {last[0][:200]}")
            await self.start(instead_of=worker)

    def _judge_end(self, worker: Worker) -> None:
        """A worker that is asked to end exits with 0; one that had not said a word yet may end as any program does, and one
        that passes a point amid its work while it ends may end there."""
        if self.crashes is not None and self.crashes.has_ended(worker.returncode or 0):
            return
        log = self.road.logs[self.road.workers.index(worker)]
        had_begun = log.stat().st_size > 0
        if worker.returncode != 0 and (had_begun or worker.returncode != -signal.SIGTERM):
            self.troubles.append(f"exit code {worker.returncode}, see {log.name}")

    def _look_at_memory(self, worker: Worker) -> None:
        with suppress(OSError):  # it has ended
            for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.most_memory = max(self.most_memory, int(line.split()[1]) * 1024)

    def _log_name(self, worker: Worker) -> str:
        return self.road.logs[self.road.workers.index(worker)].name
