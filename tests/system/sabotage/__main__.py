"""Play sabotaged workers by hand: `cd tests && python -m system.sabotage --all`, or some by name."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, running_stack
from system.sabotage.found import found
from system.sabotage.plays import PLAYS


def main() -> int:
    """0 where each sabotaged worker is found, and nothing in the true ones. Both servers are started for the run."""
    parser = argparse.ArgumentParser(prog="system.sabotage", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(PLAYS))
    parser.add_argument("--all", action="store_true", help="sabotaged workers and true ones")
    parser.add_argument("--seed", type=int, help="random where left out")
    parser.add_argument("--at-once", type=int, default=3, help="plays side by side")
    arguments = parser.parse_args()
    names = list(PLAYS) if arguments.all else arguments.names
    if not names or not PLAYS.keys() >= set(names):
        parser.error(f"--all, or some of {', '.join(PLAYS)}")
    return sabotaged(names, arguments.seed, at_once=arguments.at_once)


def sabotaged(names: Sequence[str], seed: int | None = None, *, at_once: int = 3) -> int:
    """How many plays ended otherwise than they must; each is said in a line."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    for variable in (KAFKA_VARIABLE, POSTGRES_VARIABLE):
        os.environ.pop(variable, None)
    folder = Path(tempfile.mkdtemp(prefix="relationship-worker-sabotage-"))
    print(f"seed {seed}; logs of the workers are in {folder}", flush=True)
    began = monotonic()
    with running_stack(lambda line: print(line, file=sys.stderr)) as stack:
        played = asyncio.run(
            found(stack, names, seed, folder, at_once=at_once, say=lambda line: print(line, flush=True))
        )
    wrong = sum(not outcome.is_as_it_must_be for outcome in played)
    print(f"{len(names)} plays in {monotonic() - began:.0f} s, {wrong} not as they must be")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(), 1))
