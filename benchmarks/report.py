"""What a run is shown as: a table for each scenario, the goals, and two runs side by side."""

from typing import Any

from benchmarks.goals import GOALS
from benchmarks.results import Results

_NAMES = {
    "cpu": "CPU",
    "postgres": "PG",
    "kafka": "Kafka",
    "rss": "RSS",
    "mib": "MiB",
    "percent": "%",
    "us/order": "µs/order",
    "us/input": "µs/input",
}
_LEFT, _WIDE = 34, 12  # characters: a row's name, and at the least a figure


def print_results(results: Results) -> None:
    """Every scenario's medians, then the goals."""
    for scenario, rows in results.runs.items():
        print(f"\n{scenario}: {results.says[scenario]}")
        names = list(dict.fromkeys(name for row in rows for name in results.median(scenario, row)))
        heads = [_head(name) for name in names]
        wide = [max(len(head) + 2, _WIDE) for head in heads]
        print(" " * _LEFT + "".join(f"{head:>{w}}" for head, w in zip(heads, wide, strict=True)))
        for row in rows:
            found = results.median(scenario, row)
            print(f"{row:{_LEFT}}" + "".join(f"{_text(found.get(n)):>{w}}" for n, w in zip(names, wide, strict=True)))
    for name, why in {**results.unavailable, **results.failed}.items():
        print(f"\n{name}: {why}")
    print(f"\n{'goals':70}{'goal':>10}{'found':>10}")
    for goal in told_goals(results):
        print(
            f"{goal['says']:70}{goal['bound']:>10}{goal['found']:10,.3g}  {'reached' if goal['reached'] else 'NOT reached'}"
        )


def told_goals(results: Results) -> list[dict[str, Any]]:
    """Those that something was measured for."""
    found = [(goal, goal.value(results)) for goal in GOALS]
    return [
        {"says": goal.says, "bound": goal.bound, "found": value, "reached": goal.reached(value)}
        for goal, value in found
        if value is not None
    ]


def compare(before: Results, after: Results) -> None:
    """Two runs' medians side by side. Machines differ, and the same one from day to day: where the bare client ran beside,
    CPU is also given as a ratio to its CPU in the same run."""
    for scenario, rows in after.runs.items():
        for row in rows:
            pair = [run.median(scenario, row) for run in (before, after)]
            bare = [run.figure(scenario, "aiokafka", "cpu_us_per_order") for run in (before, after)]
            for name in pair[1] if pair[0] else ():
                _print_pair(f"{scenario}: {row}", _head(name), [found.get(name) for found in pair])
                if name == "cpu_us_per_order" and None not in bare:
                    ratios = [found[name] / base for found, base in zip(pair, bare, strict=True) if base]
                    _print_pair(f"{scenario}: {row}", "CPU × bare client's", ratios)


def _print_pair(row: str, head: str, figures: list[float | None] | list[float]) -> None:
    before, after = figures
    change = f"{100 * (after / before - 1):+.0f} %" if before and after else ""
    print(f"{row:44}{head:24}{_text(before):>12}{_text(after):>12}{change:>9}")


def _head(name: str) -> str:
    """A figure's name for readers."""
    words = name.replace("_per_second", "/s").replace("_per_", "/").split("_")
    return " ".join(_NAMES.get(word, word) for word in words)


def _text(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
