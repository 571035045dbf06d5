"""What happens to worker processes: they are killed, frozen, doubled, and given wrong clocks and full disks."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random

from system.blows import Fault
from system.positions import Positions
from system.workers import Worker, Workers

SESSION = 9.0  # seconds; the worker's session and a heartbeat
TRANSACTION = 19.0  # seconds; what the broker lets a transaction live, and its look at it
STORM = 5  # joins and leaves
ODD_SPELL = 8.0  # seconds that a worker with something odd is at work


@dataclass
class WorkerFaults:
    """Each picks a victim by chance."""

    workers: Workers
    positions: Positions
    rng: Random
    counts: Counter[str]

    def strikes(self) -> dict[Fault, Callable[[], AbstractAsyncContextManager[None]]]:
        """By kind."""
        return {
            Fault.STOPPED: self._stopped,
            Fault.KILLED: self._killed,
            Fault.ALL_KILLED: self._all_killed,
            Fault.GONE: self._gone,
            Fault.FROZEN: lambda: self._frozen(SESSION),
            Fault.FROZEN_LONG: lambda: self._frozen(TRANSACTION),
            Fault.STORM: self._storm,
            Fault.TWIN: self._twin,
            Fault.CLOCK: lambda: self._odd("system.off_clock_worker"),
            Fault.FULL_DISK: lambda: self._odd("system.full_disk_worker"),
        }

    @asynccontextmanager
    async def _stopped(self) -> AsyncIterator[None]:
        victim = self._victim()
        await self.workers.stop(victim)
        await self._start(instead_of=victim)
        yield

    @asynccontextmanager
    async def _killed(self) -> AsyncIterator[None]:
        victim = self._victim()
        await self._kill(victim)
        await self._start(instead_of=victim)
        yield

    @asynccontextmanager
    async def _all_killed(self) -> AsyncIterator[None]:
        """Nobody is left who could take over; the group learns of it when their sessions end."""
        victims = self.workers.live
        for victim in victims:
            await self._kill(victim)
        for victim in victims:
            await self._start(instead_of=victim)
        yield

    @asynccontextmanager
    async def _gone(self) -> AsyncIterator[None]:
        victim = self._victim()
        await self._kill(victim)
        yield
        await self._start(instead_of=victim)

    @asynccontextmanager
    async def _frozen(self, seconds: float) -> AsyncIterator[None]:
        """It wakes up in the belief that nothing happened, amid whatever it was about."""
        victim = self._victim()
        victim.send_signal(signal.SIGSTOP)
        wakes = asyncio.create_task(asyncio.sleep(seconds))
        try:
            yield
            await wakes
        finally:
            wakes.cancel()
            victim.send_signal(signal.SIGCONT)

    @asynccontextmanager
    async def _storm(self) -> AsyncIterator[None]:
        """More rebalances than a group has time for."""
        wanted = len(self.workers.live)
        for _ in range(STORM):
            if len(self.workers.live) > 1 and self.rng.random() < 0.5:
                await self.rng.choice((self._kill, self._stop))(self._victim())
            else:
                await self._start()
            await asyncio.sleep(self.rng.uniform(0.1, 1.5))
        while len(self.workers.live) > wanted:
            await self._stop(self._victim())
        while len(self.workers.live) < wanted:
            await self._start()
        yield

    @asynccontextmanager
    async def _twin(self) -> AsyncIterator[None]:
        """It takes all partitions whatever the group says: as if the same worker had been started twice."""
        twin = await self._start(module="system.twin_worker")
        await asyncio.sleep(ODD_SPELL)
        await self.workers.kill(twin)
        yield

    @asynccontextmanager
    async def _odd(self, module: str) -> AsyncIterator[None]:
        """One with something odd takes the place of another, and then an ordinary one again."""
        victim = self._victim()
        await self._kill(victim)
        odd = await self._start(instead_of=victim, module=module)
        yield
        await asyncio.sleep(ODD_SPELL)
        await self.workers.kill(odd)
        await self._start(instead_of=odd)

    def _victim(self) -> Worker:
        return self.rng.choice([worker for worker in self.workers.live if worker.returncode is None])

    async def _start(self, *, instead_of: Worker | None = None, module: str = "") -> Worker:
        self.counts["joins"] += 1
        return await self.workers.start(instead_of=instead_of, module=module)

    async def _kill(self, victim: Worker) -> None:
        self.counts["leaves"] += 1
        self.counts["kills"] += 1
        await self.workers.kill(victim)

    async def _stop(self, victim: Worker) -> None:
        self.counts["leaves"] += 1
        await self.workers.stop(victim)
