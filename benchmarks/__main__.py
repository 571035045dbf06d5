"""`python -m benchmarks [SCENARIO …]`: the worker on a real Kafka and PostgreSQL, and what it is measured against."""

import argparse
import asyncio
import sys
import traceback
from pathlib import Path
from time import monotonic

import asyncpg

from benchmarks.picture import picture
from benchmarks.report import compare, print_results, told_goals
from benchmarks.results import Results, read
from benchmarks.scenarios import ROUNDS, SCENARIOS, Bench
from relationship_worker.local.kafka import KAFKA
from relationship_worker.local.stack import Stack, running_stack

FOLDER = Path("bench-results")


def main() -> None:
    """Run, show tables and goals, write all figures as JSON and the picture beside it."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="\n".join(f"{name:14} {' '.join((run.__doc__ or '').split())}" for name, run in SCENARIOS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; without any: all"
    )
    options.add_argument("--rounds", type=int, default=ROUNDS, help="figures are medians of so many")
    options.add_argument(
        "--scale", type=float, default=1.0, help="of all counts; below 1 to see whether everything runs"
    )
    options.add_argument("--only", nargs="*", help="these contenders alone, in peers and history")
    options.add_argument("--out", type=Path, help="where to write; otherwise bench-results/SCENARIO.json or all.json")
    options.add_argument(
        "--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"), help="two runs' JSON; runs nothing"
    )
    chosen = options.parse_args()
    if chosen.compare:
        compare(*map(read, chosen.compare))
        return
    for name in set(chosen.scenarios) - SCENARIOS.keys():
        options.error(f"there is no scenario {name}")
    names = chosen.scenarios or list(SCENARIOS)
    results = Results(scale=chosen.scale)
    with running_stack(_say) as stack:
        bench = Bench(
            stack=stack, results=results, say=_say, rounds=chosen.rounds, scale=chosen.scale, only=chosen.only
        )
        for name in names:
            results.says[name] = " ".join((SCENARIOS[name].__doc__ or "").split())
            try:
                asyncio.run(SCENARIOS[name](bench))
            except (Exception, SystemExit) as why:  # the others are worth something without it
                traceback.print_exc()
                results.failed[name] = f"{type(why).__name__}: {why}"
        servers = asyncio.run(_servers(stack))
    out = chosen.out or FOLDER / f"{'-'.join(chosen.scenarios) or 'all'}.json"
    print_results(results)
    results.write(out, servers=servers, goals=told_goals(results))
    print(f"\nwritten: {out}")
    if "peers" in results.runs:
        out.with_suffix(".svg").write_text(picture(results))
    if results.failed:
        sys.exit(f"failed: {', '.join(results.failed)}")


async def _servers(stack: Stack) -> dict[str, str]:
    """Their versions."""
    postgres = await asyncpg.connect(stack.database_url)
    try:
        number = await postgres.fetchval("SHOW server_version")
    finally:
        await postgres.close()
    return {"postgresql": number, "kafka": KAFKA.rpartition(":")[2] if stack.kafka else "by KAFKA_BOOTSTRAP_SERVERS"}


_BEGUN = monotonic()


def _say(line: str) -> None:
    print(f"  {monotonic() - _BEGUN:5.0f} s  {line} …", file=sys.stderr)


if __name__ == "__main__":
    main()
