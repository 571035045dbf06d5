"""`python -m benchmarks`: the worker beside what a team would write or pick instead, on a real Kafka and PostgreSQL."""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.contenders import contenders
from benchmarks.desk import inputs, reminders
from benchmarks.latency import measure
from benchmarks.load import Load
from benchmarks.report import Result, compare, print_table, write
from benchmarks.throughput import race
from relationship_worker.local.stack import running_stack

REMINDING = 20  # seconds that orders flow alone, and as many while reminders go out
WARM_UP = 5.0  # seconds of a latency run that don't count


def main() -> None:
    """Run, print a table, write the figures as JSON and a picture."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--orders", type=int, default=200_000)
    options.add_argument("--relationships", type=int, default=20_000)
    options.add_argument("--partitions", type=int, default=4)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--history", action="store_true", help="documents of a real history instead of uniform orders")
    options.add_argument("--only", nargs="*", help="these contenders alone")
    options.add_argument("--hot", action="store_true", help="all orders of one customer, in one partition")
    options.add_argument(
        "--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="two runs' JSON; runs nothing"
    )
    options.add_argument("--inputs", type=int, help="a backlog of requests and decisions instead of orders")
    options.add_argument("--reminders", type=int, help="deferrals due at once, with --rate orders a second beside them")
    options.add_argument("--rate", type=int, help="orders a second: measures latency instead of throughput")
    options.add_argument("--out", type=Path, default=Path("bench-results/orders.json"))
    chosen = options.parse_args()
    if chosen.compare:
        compare(*chosen.compare)
        return
    load = Load(
        orders=chosen.orders,
        relationships=chosen.relationships,
        partitions=chosen.partitions,
        history=chosen.history,
        hot=chosen.hot,
    )
    runners = contenders(chosen.only)
    able = [c for c in runners if c.unavailable is None]
    result = Result(load=load, runners=runners)
    with running_stack(lambda line: print(f"  {line} …", file=sys.stderr)) as stack:
        if chosen.inputs:
            for _ in range(chosen.rounds):
                print(asyncio.run(inputs(stack, able[0], chosen.inputs)))
            return
        if chosen.reminders:
            print(asyncio.run(reminders(stack, able[0], chosen.reminders, rate=chosen.rate or 1000, seconds=REMINDING)))
            return
        if chosen.rate:
            for seed in range(chosen.rounds):
                for runner in able:
                    found = asyncio.run(measure(stack, runner, load, rate=chosen.rate, warm_up=WARM_UP, seed=seed))
                    print(runner.name, found)
            return
        for seed in range(chosen.rounds):
            turns = able[seed % len(able) :] + able[: seed % len(able)]
            print(f"  round {seed + 1} of {chosen.rounds} …", file=sys.stderr)
            result.add(asyncio.run(race(stack, turns, load, seed=seed)))
    print_table(result)
    write(result, chosen.out)


if __name__ == "__main__":
    main()
