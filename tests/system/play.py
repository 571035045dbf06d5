"""Play one scenario by hand: `cd tests && python -m system.play --seed 7 --orders 2000`."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from model.records import OUTPUT_TOPICS
from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack, running_stack
from roads.driving import opened_road
from system.blows import blows
from system.expectations import Expectations, expectations
from system.judge import Verdict, judge
from system.player import PATIENT, Played, play
from system.scenario import Size, scenario


def main() -> int:
    """0 where nothing differs. Kafka and PostgreSQL are started for the run: what is there stays untouched."""
    arguments = _arguments()
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    size = Size(orders=arguments.orders, relationships=arguments.relationships, inputs=arguments.inputs)
    for variable in (KAFKA_VARIABLE, POSTGRES_VARIABLE):
        os.environ.pop(variable, None)
    print(f"seed {seed}, {size}", flush=True)
    expected = expectations(scenario(seed, datetime.now(UTC), size))
    folder = Path(arguments.logs or tempfile.mkdtemp(prefix="relationship-worker-play-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = monotonic()
    with running_stack(lambda line: print(line, file=sys.stderr)) as stack:
        played = asyncio.run(_played(stack, expected, arguments, folder))
    print(f"played in {monotonic() - began:.0f} s; logs of the workers are in {folder}")
    verdict = judged(expected, played)
    print(report(verdict, played, examples=arguments.examples))
    return 1 if verdict.differences or played.troubles else 0


async def _played(stack: Stack, expected: Expectations, arguments: argparse.Namespace, folder: Path) -> Played:
    async with opened_road(stack, stack.database_url, "play.", folder) as road:
        return await play(
            road,
            expected,
            blows(expected.plan.seed, len(expected.plan.rounds), kills=arguments.kills, stops=arguments.stops),
            workers=arguments.workers,
            freshness_seconds=arguments.freshness,
        )


def judged(expected: Expectations, played: Played) -> Verdict:
    """What the checker says to the rounds that were played."""
    plan = expected.plan
    planned = {
        record.place: record
        for round_ in plan.rounds
        for record in (*round_.early, *round_.relationships, *round_.orders)
    }
    for record in played.reading.inputs:
        assert replace(record, at=plan.now) == planned.get(record.place), f"{record.place} is not what was planned"
    if played.rounds < len(plan.rounds):
        expected = expectations(replace(plan, rounds=plan.rounds[: played.rounds]))
    return judge(expected, played.reading)


def report(verdict: Verdict, played: Played, examples: int = 5) -> str:
    """What differs, and what went wrong with the playing."""
    lines = [f"trouble: {trouble}" for trouble in played.troubles]
    lines += [str(struck) for struck in played.struck] + [f"ended by itself: {ended}" for ended in played.ended]
    counts = Counter(record.topic for record in played.reading.committed)
    told = ", ".join(f"{counts[topic]} {topic}" for topic in OUTPUT_TOPICS)
    return "\n".join([*lines, verdict.report(examples), f"{told}; {verdict.not_caught_up} orders were not caught up"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="system.play", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed makes the same scenario; random where left out")
    parser.add_argument("--orders", type=int, default=Size.orders)
    parser.add_argument("--relationships", type=int, default=Size.relationships)
    parser.add_argument("--inputs", type=int, default=Size.inputs, help="of relationships; settings come on top")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=2, help="workers that SIGKILL ends, each replaced")
    parser.add_argument("--stops", type=int, default=0, help="workers that SIGTERM ends, each replaced")
    parser.add_argument("--freshness", type=float, default=PATIENT, help="seconds that orders wait for decisions")
    parser.add_argument("--examples", type=int, default=5, help="of each class of differences")
    parser.add_argument("--logs", help="a folder for the workers' logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
