"""What happens on the way to the servers: delay, resets, silence, cuts, lost answers and late requests."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random

from system.blows import Fault
from system.proxy import Proxy
from system.shaken_stack import ShakenStack

SPELL = (2.0, 5.0)  # seconds that a fault of the network lasts
LATENCY = (0.02, 0.3)  # seconds each way
RESETS = 6  # one after the other
SLOW_EACH_WAY = 1.0  # seconds: an answer takes two
SLOW_SPELL = 12.0  # seconds: some answers, one after the other
COMMITS_AT_ONCE = 8  # whose answers are lost, on each way
AT_ONCE = 3  # answers to other statements that are lost, EndTxn that are held, on each way
TAKEN = "late EndTxn, TAKEN"  # as that of the transaction that was open then: it must never be
LOOK = 0.05  # seconds between two looks
CHANCE = 15.0  # seconds in which they can be: it needs something to do


@dataclass
class NetworkFaults:
    """On one way or on both, by chance: then one worker is struck, or all."""

    shaken: ShakenStack
    rng: Random
    counts: Counter[str]

    def strikes(self) -> dict[Fault, Callable[[], AbstractAsyncContextManager[None]]]:
        """By kind."""
        return {
            Fault.KAFKA_LATENCY: lambda: self._latency(self._kafka(), self.rng.uniform(*LATENCY)),
            Fault.KAFKA_RESET: lambda: self._resets(self._kafka()),
            Fault.KAFKA_HALF_OPEN: lambda: self._half_open(self._kafka()),
            Fault.KAFKA_CUT: lambda: self._cut(self._kafka()),
            Fault.POSTGRES_LATENCY: lambda: self._latency(self._postgres(), self.rng.uniform(*LATENCY)),
            Fault.POSTGRES_RESET: lambda: self._resets(self._postgres()),
            Fault.POSTGRES_HALF_OPEN: lambda: self._half_open(self._postgres()),
            Fault.POSTGRES_CUT: lambda: self._cut(self._postgres()),
            Fault.SLOW_DATABASE: self._slow_database,
            Fault.LOST_COMMITS: lambda: self._lost(commits=True),
            Fault.LOST_ANSWERS: lambda: self._lost(commits=False),
            Fault.LATE_ENDS: self._late_ends,
        }

    def _kafka(self) -> list[Proxy]:
        return self._some([way.kafka for way in self.shaken.ways])

    def _postgres(self) -> list[Proxy]:
        return self._some([way.postgres for way in self.shaken.ways])

    def _some(self, proxies: Sequence[Proxy]) -> list[Proxy]:
        return self.rng.sample(proxies, k=self.rng.randint(1, len(proxies)))

    @asynccontextmanager
    async def _latency(self, proxies: list[Proxy], seconds: float) -> AsyncIterator[None]:
        for proxy in proxies:
            proxy.seconds_each_way = seconds
        await asyncio.sleep(self.rng.uniform(*SPELL))
        for proxy in proxies:
            proxy.heal()
        yield

    @asynccontextmanager
    async def _resets(self, proxies: list[Proxy]) -> AsyncIterator[None]:
        for _ in range(RESETS):
            for proxy in proxies:
                proxy.reset()
            self.counts["network faults"] += len(proxies)
            await asyncio.sleep(self.rng.uniform(0.0, 1.0))
        yield

    @asynccontextmanager
    async def _half_open(self, proxies: list[Proxy]) -> AsyncIterator[None]:
        """The connections that nothing came through for a while are broken then, as a router does that has forgotten them."""
        self.counts["network faults"] += len(proxies)
        for proxy in proxies:
            proxy.swallow()
        await asyncio.sleep(self.rng.uniform(*SPELL))
        for proxy in proxies:
            proxy.reset()
            proxy.heal()
        yield

    @asynccontextmanager
    async def _cut(self, proxies: list[Proxy]) -> AsyncIterator[None]:
        self.counts["network faults"] += len(proxies)
        for proxy in proxies:
            proxy.cut()
        await asyncio.sleep(self.rng.uniform(*SPELL))
        for proxy in proxies:
            await proxy.open()
        yield

    @asynccontextmanager
    async def _slow_database(self) -> AsyncIterator[None]:
        for way in self.shaken.ways:
            way.postgres.seconds_each_way = SLOW_EACH_WAY
        await asyncio.sleep(SLOW_SPELL)
        for way in self.shaken.ways:
            way.postgres.heal()
        yield

    @asynccontextmanager
    async def _lost(self, *, commits: bool) -> AsyncIterator[None]:
        proxies = [way.postgres for way in self.shaken.ways]
        before = sum(proxy.lost for proxy in proxies)
        for proxy in proxies:
            if commits:
                proxy.lose_commits(COMMITS_AT_ONCE)
            else:
                proxy.lose_answers(AT_ONCE)
        await self._while(lambda: any(proxy.is_losing for proxy in proxies))
        for proxy in proxies:
            proxy.lose_no_more()
        what = "lost answers to COMMIT" if commits else "lost answers to statements"
        self.counts[what] += sum(proxy.lost for proxy in proxies) - before
        yield

    @asynccontextmanager
    async def _late_ends(self) -> AsyncIterator[None]:
        proxies = [way.kafka for way in self.shaken.ways]
        before = sum((proxy.late for proxy in proxies), Counter[int]())
        for proxy in proxies:
            proxy.hold_ends(AT_ONCE)
        await self._while(lambda: any(proxy.is_holding for proxy in proxies))
        for proxy in proxies:
            proxy.hold_no_more()
        for code, count in (sum((proxy.late for proxy in proxies), Counter[int]()) - before).items():
            self.counts[f"late EndTxn, answered with {code}" if code else TAKEN] += count
        yield

    async def _while(self, goes_on: Callable[[], bool]) -> None:
        for _ in range(int(CHANCE / LOOK)):
            if not goes_on():
                return
            await asyncio.sleep(LOOK)
