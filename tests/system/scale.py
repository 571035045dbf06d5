"""Many workers on one group, measured and judged: `cd tests && python -m system.scale --partitions 64 --workers 16`."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from relationship_worker.local.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Stack, running_stack
from roads.driving import opened_road
from system.crowd import Found, Shape, play_crowd
from system.crowd_report import beyond_bounds, report

IDLE = Shape(partitions=4, workers=6, killed=2, leaving=1, orders_alone=True)  # more workers than partitions

PATIENCE = "300"  # seconds that `init` and a worker wait for servers: hundreds of partitions on a busy machine


def main() -> int:
    """0 where every bound was kept. Kafka and PostgreSQL are started for each run: what is there stays untouched."""
    arguments = _arguments()
    for variable in (KAFKA_VARIABLE, POSTGRES_VARIABLE):
        os.environ.pop(variable, None)
    os.environ["RELATIONSHIP_WORKER_START_SECONDS"] = PATIENCE
    quarter = arguments.workers // 4
    many = Shape(partitions=arguments.partitions, workers=arguments.workers, killed=quarter, leaving=quarter)
    return max([_measured(shape) for shape in (many, IDLE)])


def _measured(shape: Shape) -> int:
    folder = Path(tempfile.mkdtemp(prefix="relationship-worker-scale-"))
    print(f"\n{shape}; the workers' logs are in {folder}", flush=True)
    with running_stack(lambda line: print(line, file=sys.stderr)) as stack:
        found = asyncio.run(_played(stack, shape, folder))
    print(report(found), flush=True)
    return 1 if beyond_bounds(found) else 0


async def _played(stack: Stack, shape: Shape, folder: Path) -> Found:
    async with opened_road(stack, stack.database_url, "scale.", folder, partitions=shape.partitions) as road:
        return await play_crowd(road, shape, lambda line: print(line, flush=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="system.scale", description=__doc__)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--workers", type=int, default=16, help="a quarter of them is killed, then a quarter leaves")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
