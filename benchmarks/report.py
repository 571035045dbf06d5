"""What the benchmark found: a table, JSON, and a picture."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.load import ORDER_BYTES, Load
from benchmarks.throughput import Figures

NAMES = [f.name for f in fields(Figures)]


@dataclass(kw_only=True)
class Result:
    """All rounds of one run."""

    load: Load
    runners: list[Contender]
    runs: dict[str, list[Figures]] = field(default_factory=dict)

    def add(self, figures: dict[str, Figures]) -> None:
        """One round."""
        for name, found in figures.items():
            self.runs.setdefault(name, []).append(found)

    def median(self, name: str) -> Figures:
        """Of each figure by itself."""
        return Figures(**{f: statistics.median(getattr(run, f) for run in self.runs[name]) for f in NAMES})


def print_table(result: Result) -> None:
    """One line for each contender; ratios are the worker's CPU per order against the contender's."""
    size = "documents of a real history" if result.load.history else f"orders of {ORDER_BYTES} bytes"
    print(
        f"{result.load.orders} {size}, {result.load.partitions} partitions, {result.load.relationships} relationships"
    )
    print(f"{os.cpu_count()} cores shared with Kafka and PostgreSQL, Python {platform.python_version()}")
    print(f"{'':22}{'orders/s':>10}{'CPU µs':>9}{'PG µs':>8}{'Kafka µs':>10}{'RSS MiB':>9}{'ratio':>8}")
    for runner in result.runners:
        if runner.unavailable:
            print(f"{runner.name:22}{runner.unavailable}")
            continue
        m = result.median(runner.name)
        ratio = result.median("worker").cpu_us_per_order / m.cpu_us_per_order if "worker" in result.runs else 0
        print(
            f"{runner.name:22}{m.orders_per_second:10,.0f}{m.cpu_us_per_order:9.1f}{m.postgres_cpu_us_per_order:8.1f}"
            f"{m.kafka_cpu_us_per_order:10.1f}{m.resident_mib:9.0f}{ratio:8.2f}"
        )


def write(result: Result, out: Path) -> None:
    """The figures as JSON, for comparison with a later run."""
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    found = {
        name: {"median": asdict(result.median(name)), "runs": [asdict(run) for run in runs]}
        for name, runs in result.runs.items()
    }
    out.write_text(json.dumps({"machine": machine, "load": asdict(result.load), "contenders": found}, indent=1))
