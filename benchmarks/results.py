"""What a run of the benchmark found: scenarios, their rows, and each row's figures, round by round."""

import json
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.throughput import Figures

LIBRARIES = ("aiokafka", "faststream", "asyncpg", "sqlalchemy", "msgspec")


@dataclass(kw_only=True)
class Results:
    """All of one run; or, read from a file, of an earlier one."""

    scale: float
    says: dict[str, str] = field(default_factory=dict)  # of each scenario
    runs: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)  # scenario, row, round
    unavailable: dict[str, str] = field(default_factory=dict)  # contenders that can't run here, and why
    failed: dict[str, str] = field(default_factory=dict)  # scenarios, and why

    def add(self, scenario: str, row: str, figures: Figures) -> None:
        """One round."""
        self.runs.setdefault(scenario, {}).setdefault(row, []).append(figures)

    def median(self, scenario: str, row: str) -> Figures:
        """Of each figure by itself; empty where it was not run."""
        rounds = self.runs.get(scenario, {}).get(row, [])
        return {name: statistics.median(found[name] for found in rounds) for name in (rounds[0] if rounds else {})}

    def figure(self, scenario: str, row: str, name: str) -> float | None:
        """A median, if there is one."""
        return self.median(scenario, row).get(name)

    def of_workers(self, name: str) -> Iterable[float]:
        """Each median of this name, over all rows of the worker in all scenarios."""
        for scenario, rows in self.runs.items():
            for row in rows:
                found = self.figure(scenario, row, name)
                if found is not None and row.startswith("worker"):
                    yield found

    def write(self, out: Path, *, servers: dict[str, str], goals: list[dict[str, Any]]) -> None:
        """As JSON, for comparison with a later run."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        told = {
            "machine": {
                "cores": os.cpu_count(),
                "memory_gib": round(memory),
                "system": f"{platform.system()} {platform.machine()}",
            },
            "versions": {
                "python": platform.python_version(),
                **servers,
                **{name: version(name) for name in LIBRARIES},
            },
            "scale": self.scale,
            "unavailable": self.unavailable,
            "failed": self.failed,
            "goals": goals,
            "scenarios": {
                scenario: {
                    "says": self.says[scenario],
                    "rows": {row: {"median": self.median(scenario, row), "runs": runs} for row, runs in rows.items()},
                }
                for scenario, rows in self.runs.items()
            },
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(told, indent=1) + "\n")


def read(path: Path) -> Results:
    """What `write` wrote."""
    told = json.loads(path.read_text())
    return Results(
        scale=told["scale"],
        says={name: scenario["says"] for name, scenario in told["scenarios"].items()},
        runs={
            name: {row: found["runs"] for row, found in scenario["rows"].items()}
            for name, scenario in told["scenarios"].items()
        },
        unavailable=told["unavailable"],
        failed=told["failed"],
    )
