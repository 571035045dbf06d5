"""What is played: each scenario by its name, alone or all in one go."""

from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from benchmarks import desk, footprint
from benchmarks.contenders import Contender, contenders, worker
from benchmarks.course import Database, database_of
from benchmarks.latency import measure
from benchmarks.load import Load
from benchmarks.results import Results
from benchmarks.throughput import race
from benchmarks.traces import collector, traced_worker
from relationship_worker.local.stack import Stack

RATE = 1_000  # orders a second where they flow
LATENCY_WARM_UP = (
    60  # seconds; a Kafka that has just started compiles itself on most of a core for the first half minute
)
ROUNDS = 3  # medians are of so many


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how large."""

    stack: Stack
    results: Results
    say: Callable[[str], None]
    rounds: int = ROUNDS
    scale: float = 1.0  # of all counts and times; below 1 to see whether everything runs
    only: Collection[str] | None = None  # these contenders

    def size(self, count: float) -> int:
        """So many, scaled."""
        return max(1, int(count * self.scale))

    async def race(
        self,
        scenario: str,
        runners: Sequence[Contender],
        load: Load,
        row: str = "{}",
        *,
        rounds: Collection[int] | None = None,
        database: Database | None = None,
    ) -> None:
        """Contenders in turns, round by round; `row` is made with the contender's name."""
        for seed in range(self.rounds) if rounds is None else rounds:
            turns = [*runners[seed % len(runners) :], *runners[: seed % len(runners)]]
            self.say(f"{scenario}: {row.format(', '.join(r.name for r in turns))}, round {seed + 1} of {self.rounds}")
            for name, figures in (await race(self.stack, turns, load, seed=seed, database=database)).items():
                self.results.add(scenario, row.format(name), figures)


async def peers(bench: Bench) -> None:
    """The worker beside what a team would write or pick instead: 300,000 orders of 1,044 bytes, 20,000 relationships"""
    runners = contenders(bench.only)
    bench.results.unavailable.update({r.name: r.unavailable for r in runners if r.unavailable})
    able = [r for r in runners if not r.unavailable]
    await bench.race("peers", able, Load(orders=bench.size(300_000)))


async def history(bench: Bench) -> None:
    """150,000 documents of a real history, 188 bytes to 68 KB, 2 KB on average"""
    runners = contenders(bench.only or ("worker", "aiokafka"))
    await bench.race("history", runners, Load(orders=bench.size(150_000), history=True))


async def hot(bench: Bench) -> None:
    """300,000 orders of one customer, in one partition of four"""
    await bench.race("hot", [worker()], Load(orders=bench.size(300_000), hot=True))


async def workers(bench: Bench) -> None:
    """400,000 orders, 4 and 32 partitions, 1 and 4 workers on one group: their CPU together, the memory of the largest"""
    for partitions in (4, 32):
        load = Load(orders=bench.size(400_000), partitions=partitions)
        await bench.race("workers", [worker(), worker(processes=4)], load, f"{{}}, {partitions} partitions")


async def relationships(bench: Bench) -> None:
    """200,000 orders by customers of 10 k, 1 M and 10 M relationships: all alike, or skewed by Zipf's law (0.64 is what the
    real history's customers have, with 1 a tenth of them orders nearly everything)"""
    async with AsyncExitStack() as databases:
        sizes = [
            (count, name, skews, await databases.enter_async_context(database_of(bench.stack)))
            for count, name, skews in (
                (10_000, "10 k", (0.0,)),
                (1_000_000, "1 M", (0.0,)),
                (10_000_000, "10 M", (0.0, 0.64, 1.0)),
            )
        ]
        for seed in range(bench.rounds):
            for count, name, skews, database in sizes:
                for skew in skews:
                    row = f"{{}}, {name}, skew {skew:g}" if skew else f"{{}}, {name}"
                    load = Load(orders=bench.size(200_000), relationships=bench.size(count), skew=skew)
                    await bench.race("relationships", [worker()], load, row, rounds=[seed], database=database)


async def changes(bench: Bench) -> None:
    """300,000 orders of 100,000 relationships, of which 10,000 a second change meanwhile; every answer is checked"""
    quiet = Load(orders=bench.size(300_000), relationships=bench.size(100_000))
    for seed in range(bench.rounds):
        await bench.race("changes", [worker()], quiet, "{}, no changes", rounds=[seed])
        busy = replace(quiet, changes_per_second=10_000)
        await bench.race("changes", [worker()], busy, "{}, 10,000 changes/s", rounds=[seed])


async def traces(bench: Bench) -> None:
    """300,000 orders that come with trace contexts: the worker whose spans go to a collector beside the one without"""
    with collector() as sink:
        runners = [worker(), traced_worker(sink.endpoint)]
        await bench.race("traces", runners, Load(orders=bench.size(300_000), traced=True))
    assert sink.requests, "no span has come: what ran was the worker without traces, twice"


async def latency(bench: Bench) -> None:
    """1,000 orders a second over 4 partitions for 20 s after 60 s: from the producer's send to a read_committed reader"""
    warm_up, counted = LATENCY_WARM_UP, max(20 * bench.scale, 2)
    load = Load(orders=int(RATE * (warm_up + counted)))
    for seed in range(bench.rounds):
        bench.say(f"latency: worker, round {seed + 1} of {bench.rounds}")
        bench.results.add("latency", "worker", await measure(bench.stack, load, rate=RATE, warm_up=warm_up, seed=seed))


async def inputs(bench: Bench) -> None:
    """60,000 requests and decisions through the careful lane"""
    for seed in range(bench.rounds):
        bench.say(f"inputs: worker, round {seed + 1} of {bench.rounds}")
        bench.results.add("inputs", "worker", await desk.inputs(bench.stack, bench.size(60_000)))


async def reminders(bench: Bench) -> None:
    """1,000,000 reminders due at the same instant, 1,000 orders a second before and meanwhile"""
    bench.say("reminders: worker, once")
    figures = await desk.reminders(bench.stack, bench.size(1_000_000), rate=RATE, seconds=20, warm_up=5)
    bench.results.add("reminders", "worker", figures)


async def backlog(bench: Bench) -> None:
    """A backlog of 2,000,000 orders, from its start to its end: memory"""
    await bench.race("backlog", [worker()], Load(orders=bench.size(2_000_000)), rounds=[0])


async def left_behind(bench: Bench) -> None:
    """What 300,000 orders of 1,000,000 relationships and 60,000 inputs leave behind, in bytes"""
    bench.say("left_behind: worker, once")
    load = Load(orders=bench.size(300_000), relationships=bench.size(1_000_000))
    bench.results.add("left_behind", "worker, orders", await footprint.of_orders(bench.stack, load))
    bench.results.add("left_behind", "worker, inputs", await footprint.of_inputs(bench.stack, bench.size(60_000)))


Scenario = Callable[[Bench], Coroutine[None, None, None]]
SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        peers,
        history,
        hot,
        workers,
        relationships,
        changes,
        traces,
        latency,
        inputs,
        reminders,
        backlog,
        left_behind,
    )
}
