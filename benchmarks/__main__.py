"""`python -m benchmarks`: how fast one worker answers a backlog of orders, and what that costs."""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import make_url

from benchmarks.cpu import cpu_seconds, cpu_seconds_of, resident_bytes
from benchmarks.load import ORDER_BYTES, PARTITIONS, fill_orders, fill_relationships
from relationship_worker.local.stack import Stack, running_stack

WARM_UP = 0.15  # of the backlog: imports, connections, statements prepared, caches
STOP_AT = 0.95  # of the backlog: the last batches are small
PATIENCE = 300  # seconds for one run


@dataclass(frozen=True)
class Figures:
    """One run, between warm-up and the tail. CPU is user + system."""

    orders_per_second: float
    worker_cpu_us_per_order: float
    postgres_cpu_us_per_order: float
    resident_mib: float


def main() -> None:
    """Run, print a table, write the figures as JSON."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--orders", type=int, default=200_000)
    options.add_argument("--relationships", type=int, default=20_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--out", type=Path, default=Path("bench-results/orders.json"))
    chosen = options.parse_args()
    with running_stack(lambda line: print(f"  {line} …", file=sys.stderr)) as stack:
        runs = [asyncio.run(_run(stack, chosen.orders, chosen.relationships, seed)) for seed in range(chosen.runs)]
    names = list(asdict(runs[0]))
    medians = {name: statistics.median(getattr(run, name) for run in runs) for name in names}
    print(
        f"{chosen.orders} orders of {ORDER_BYTES} bytes, {PARTITIONS} partitions, {chosen.relationships} relationships"
    )
    print(f"{os.cpu_count()} cores shared with Kafka and PostgreSQL, Python {platform.python_version()}")
    print(f"{'':28}{'median':>10}  runs")
    for name in names:
        print(f"{name:28}{medians[name]:10.1f}  {', '.join(f'{getattr(run, name):.1f}' for run in runs)}")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    result = {"machine": machine, "options": {"orders": chosen.orders, "relationships": chosen.relationships}}
    chosen.out.write_text(json.dumps({**result, "medians": medians, "runs": [asdict(run) for run in runs]}, indent=1))


async def _run(stack: Stack, orders: int, relationships: int, seed: int) -> Figures:
    """A fresh database and fresh topics, the backlog loaded before the worker starts: its own command, its own process."""
    name = f"bench_{uuid4().hex[:12]}"
    admin = await asyncpg.connect(stack.database_url)
    await admin.execute(f"CREATE DATABASE {name}")
    url = make_url(stack.database_url).set(database=name).render_as_string(hide_password=False)
    prefix = f"{name}."
    environment = {**os.environ, **stack.environment, "DATABASE_URL": url}
    environment |= {"RELATIONSHIP_WORKER_TOPIC_PREFIX": prefix, "RELATIONSHIP_WORKER_GROUP": name}
    command = [sys.executable, "-m", "relationship_worker"]
    await asyncio.to_thread(subprocess.run, [*command, "init"], env=environment, check=True, stdout=subprocess.DEVNULL)
    await fill_relationships(url, relationships)
    await fill_orders(stack.kafka_bootstrap_servers, f"{prefix}orders", orders, relationships, seed=seed)
    with tempfile.TemporaryFile() as log:
        worker = await asyncio.create_subprocess_exec(*command, "run", env=environment, stderr=log)
        try:
            return await _measure(stack, worker.pid, name, prefix, orders)
        finally:
            worker.send_signal(signal.SIGTERM)
            await asyncio.wait_for(worker.wait(), 15)
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()


async def _measure(stack: Stack, pid: int, group: str, prefix: str, orders: int) -> Figures:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    places = [TopicPartition(f"{prefix}orders", partition) for partition in range(PARTITIONS)]

    async def done() -> int:
        return sum([await consumer.committed(place) or 0 for place in places])

    async def reached(count: float) -> tuple[int, float, float, float]:
        end = monotonic() + PATIENCE
        while (now := await done()) < count:
            assert monotonic() < end, f"{now} of {orders} orders after {PATIENCE} s"
            await asyncio.sleep(0.05)
        return now, monotonic(), cpu_seconds(pid), cpu_seconds_of("postgres")

    try:
        first = await reached(WARM_UP * orders)
        last = await reached(STOP_AT * orders)
    finally:
        await consumer.stop()
    count = last[0] - first[0]
    return Figures(
        orders_per_second=count / (last[1] - first[1]),
        worker_cpu_us_per_order=1e6 * (last[2] - first[2]) / count,
        postgres_cpu_us_per_order=1e6 * (last[3] - first[3]) / count,
        resident_mib=resident_bytes(pid) / 2**20,
    )


if __name__ == "__main__":
    main()
