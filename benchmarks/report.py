"""What the benchmark found: a table, JSON, and a picture."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
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
    """The figures as JSON, for comparison with a later run, and a picture beside them."""
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    versions = {name: version(name) for name in ("aiokafka", "faststream", "asyncpg", "sqlalchemy")}
    found = {
        name: {"median": asdict(result.median(name)), "runs": [asdict(run) for run in runs]}
        for name, runs in result.runs.items()
    }
    told = {"machine": machine, "versions": versions, "load": asdict(result.load), "contenders": found}
    out.write_text(json.dumps(told, indent=1))
    out.with_suffix(".svg").write_text(_picture(result))
    print(f"written: {out} and {out.with_suffix('.svg')}")


def compare(before: Path, after: Path) -> None:
    """Two runs side by side. Machines differ, and the same one from day to day: so each figure also as a ratio to the bare
    client's of its own run."""
    runs = [json.loads(path.read_text())["contenders"] for path in (before, after)]
    print(f"{'':22}{'CPU µs/order':>24}{'against aiokafka':>24}{'orders/s':>24}")
    for name in runs[1]:
        if name in runs[0]:
            cpu, ratio, rate = [], [], []
            for run in runs:
                median = run[name]["median"]
                cpu.append(median["cpu_us_per_order"])
                rate.append(median["orders_per_second"])
                bare = run.get("aiokafka", {}).get("median", {}).get("cpu_us_per_order")
                ratio.append(cpu[-1] / bare if bare else float("nan"))
            print(
                f"{name:22}{cpu[0]:12.1f}{cpu[1]:12.1f}{ratio[0]:12.2f}{ratio[1]:12.2f}{rate[0]:12,.0f}{rate[1]:12,.0f}"
            )


_BAR, _LEFT, _WIDE = 26, 190, 300  # pixels: a bar with its gap, the names, the longest bar


def _picture(result: Result) -> str:
    """Two rows of bars: orders a second, and CPU for each order (on a scale that leaves FastStream's bar cut off)."""
    names = list(result.runs)
    panels = (
        ("orders/s: more is better", [result.median(name).orders_per_second for name in names], "{:,.0f}", None),
        ("CPU µs/order: less is better", [result.median(name).cpu_us_per_order for name in names], "{:.1f}", 60.0),
    )
    high = (len(names) + 2) * _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 110}" height="{2 * high}" '
        'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
    ]
    for panel, (title, values, form, cut) in enumerate(panels):
        top = panel * high
        most = min(max(values), cut or max(values))
        parts.append(f'<text x="8" y="{top + 20}" font-weight="bold">{title}</text>')
        for i, (name, value) in enumerate(zip(names, values, strict=True)):
            y = top + (i + 1) * _BAR + 6
            colour = "#1f6f8b" if name.startswith("worker") else "#b8c4cc"
            parts.append(
                f'<text x="8" y="{y + 14}">{name}</text>'
                f'<rect x="{_LEFT}" y="{y}" width="{_WIDE * min(value, most) / most:.0f}" height="18" fill="{colour}"/>'
                f'<text x="{_LEFT + _WIDE * min(value, most) / most + 6:.0f}" y="{y + 14}">{form.format(value)}</text>'
            )
    return "\n".join([*parts, "</svg>\n"])
