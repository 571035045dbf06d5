"""Strikes: makes a fault happen, and measures how long it takes until every partition is served again."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from system.blows import Fault
from system.network_faults import NetworkFaults
from system.positions import Committed, Positions
from system.server_faults import ServerFaults
from system.shaken_stack import ShakenStack
from system.worker_faults import WorkerFaults
from system.workers import Workers
from waiting import until

RECOVERY_BOUND = 240.0  # seconds; beyond it something hangs, however busy the machine
IDLE = 3.0  # seconds in which nothing is left to do: there is nothing to measure recovery by
PAUSE = (0.2, 1.5)  # seconds between two faults: the next one strikes whatever is in hand then

Strike = Callable[[], AbstractAsyncContextManager[None]]
"""On entering the fault happens. From there on recovery counts. On leaving, what it took away is given back."""


@dataclass(frozen=True, kw_only=True)
class Struck:
    """A fault that happened; `seconds` is None where there was nothing to do meanwhile."""

    fault: Fault
    round: int
    seconds: float | None
    began: datetime
    ended: datetime  # all that it took away is given back

    def __str__(self) -> str:
        took = "nothing to do meanwhile" if self.seconds is None else f"served again after {self.seconds:.1f} s"
        return f"round {self.round}: {self.fault}: {took}"


@dataclass
class Striker:
    """Lets faults happen, one at a time."""

    workers: Workers
    positions: Positions
    rng: Random
    shaken: ShakenStack | None = None
    counts: Counter[str] = field(default_factory=Counter)  # what a fault is made of: joins, lost answers, late EndTxn
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def strike(self, fault: Fault, round_: int) -> Struck:
        """Returns once the partitions are served again and everything is given back."""
        async with self._one_at_a_time:
            if self.shaken is not None:
                await asyncio.sleep(self.rng.uniform(*PAUSE))
            began = datetime.now(UTC)
            async with self._strikes()[fault]():
                seconds = await self._recovered()
        return Struck(fault=fault, round=round_, seconds=seconds, began=began, ended=datetime.now(UTC))

    def _strikes(self) -> dict[Fault, Strike]:
        strikes = WorkerFaults(self.workers, self.positions, self.rng, self.counts).strikes()
        if self.shaken is not None:
            strikes |= ServerFaults(self.shaken, self.workers.road, self.rng).strikes()
            strikes |= NetworkFaults(self.shaken, self.rng, self.counts).strikes()
        return strikes

    async def _recovered(self) -> float | None:
        """How long it takes; None where nothing was to be done."""
        began = asyncio.get_running_loop().time()
        before: Committed = await until("Kafka to say what is committed", self._committed, seconds=RECOVERY_BOUND)
        idle_since: float | None = None
        while not await self.positions.have_moved(before):
            now = asyncio.get_running_loop().time()
            if not await self.positions.all_done():
                idle_since = None
            elif idle_since is None:
                idle_since = now
            elif now - idle_since > IDLE:
                return None
            assert now - began < RECOVERY_BOUND, f"partitions were not served again within {RECOVERY_BOUND:g} s"
            await self.workers.start_again()
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time() - began

    async def _committed(self) -> Committed | None:
        return await self.positions.committed()
