"""Faults of every kind, on servers of a run's own: `cd tests && python -m system.chaos --seed 7`; see `make chaos`."""

import argparse
import logging
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from system.blows import Fault
from system.chaos_report import table
from system.crashes import Crashes
from system.episodes import Planned, plan, play_side_by_side
from system.long_run import LongRun
from system.scenario import Size

SLICE = Size(orders=2_400, relationships=400, inputs=1_000)
CRASHES_EACH_ROUND = 4  # in the slice: with those at the begin of a round some forty


def main() -> int:
    """0 where nothing differs, whatever happened."""
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of this side's clients, which see the servers go too
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(2**31)
    print(f"chaos: seed {seed}", flush=True)
    folder = Path(arguments.logs or tempfile.mkdtemp(prefix="relationship-worker-chaos-"))
    if arguments.hours:
        is_wrong = LongRun(seed=seed, folder=folder).play(arguments.hours * 3600)
    else:
        planned = _crashing(seed) if arguments.crashes else _slice(seed, arguments.only)
        episodes = play_side_by_side(planned, folder)
        print(table(episodes))
        is_wrong = any(episode.is_wrong for episode in episodes)
    print(f"logs of the workers are in {folder}")
    return 1 if is_wrong else 0


def _slice(seed: int, only: Sequence[str]) -> list[Planned]:
    """Everything once: half of the faults here, the others there, and workers that end amid their work."""
    faults = [fault for fault in Fault if not only or fault.name in only]
    halves = [half for half in (faults[::2], faults[1::2]) if half]
    planned = [plan(seed + number, SLICE, faults=half) for number, half in enumerate(halves)]
    return planned if only else planned + _crashing(seed + len(planned))


def _crashing(seed: int) -> list[Planned]:
    return [plan(seed, SLICE, crashes=Crashes(Random(seed), CRASHES_EACH_ROUND))]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="system.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="the same seed makes the same scenario and the same faults")
    parser.add_argument("--only", nargs="*", default=(), help="faults", choices=[fault.name for fault in Fault])
    parser.add_argument("--crashes", action="store_true", help="only workers that end amid their work")
    parser.add_argument("--hours", type=float, help="a long run: episode after episode, with seeds that follow")
    parser.add_argument("--logs", help="a folder for the workers' logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
