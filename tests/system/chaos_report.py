"""What a run of faults comes to, as a table; and what a long run is for."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from model.records import OUTPUT_TOPICS
from system.blows import Fault
from system.crash_points import IN_EPISODES, Point
from system.episodes import Episode

MOST_NAMED = 12  # points that were never reached
EACH_POINT = 50  # times that a worker is to end at each point of its work
KAFKA_RESTARTS = (Fault.KAFKA_CLEAN, Fault.KAFKA_HARD)
POSTGRES_RESTARTS = (Fault.POSTGRES_FAST, Fault.POSTGRES_IMMEDIATE, Fault.POSTGRES_KILLED)


@dataclass(frozen=True)
class Goals:
    """What a long run is to reach."""

    inputs: int = 300_000
    kills: int = 300
    kafka_restarts: int = 30
    postgres_restarts: int = 50
    lost_commits: int = 200
    network_faults: int = 500
    joins_and_leaves: int = 200
    late_ends: int = 100

    def are_reached(self, episodes: Sequence[Episode], reached: Counter[int]) -> bool:
        """All of them, and each point often enough."""
        counted = all(found >= wanted for found, wanted in self._counted(episodes).values())
        return counted and all(reached[number] >= EACH_POINT for number in range(len(IN_EPISODES)))

    def report(self, episodes: Sequence[Episode]) -> str:
        """How far it came."""
        parts = [f"{found} of {wanted} {what}" for what, (found, wanted) in self._counted(episodes).items()]
        return "reached: " + ", ".join(parts)

    def _counted(self, episodes: Sequence[Episode]) -> dict[str, tuple[int, int]]:
        made_of = sum((episode.made_of for episode in episodes), Counter[str]())
        faults = Counter(struck.fault for episode in episodes for struck in episode.struck)
        late = sum(count for what, count in made_of.items() if what.startswith("late EndTxn"))
        return {
            "inputs": (sum(episode.inputs for episode in episodes), self.inputs),
            "kills": (made_of["kills"], self.kills),
            "Kafka restarts": (sum(faults[fault] for fault in KAFKA_RESTARTS), self.kafka_restarts),
            "PostgreSQL restarts": (sum(faults[fault] for fault in POSTGRES_RESTARTS), self.postgres_restarts),
            "lost answers to COMMIT": (made_of["lost answers to COMMIT"], self.lost_commits),
            "network faults": (made_of["network faults"], self.network_faults),
            "joins and leaves": (made_of["joins"] + made_of["leaves"], self.joins_and_leaves),
            "late EndTxn": (late, self.late_ends),
        }


def table(episodes: Sequence[Episode]) -> str:
    """Faults by kind with their recovery times; what they were made of; the verdict by class; the seeds."""
    return "\n".join([*_faults(episodes), *_points(episodes), *_verdict(episodes)])


def _faults(episodes: Sequence[Episode]) -> list[str]:
    times: dict[Fault, list[float | None]] = {}
    for episode in episodes:
        for struck in episode.struck:
            times.setdefault(struck.fault, []).append(struck.seconds)
    waits: dict[Fault, list[float]] = {}
    for fault, seconds in (wait for episode in episodes for wait in episode.readers_waited):
        waits.setdefault(fault, []).append(seconds)
    lines = ["", f"{'fault':<62}{'times':>6}{'served again after p50':>24}{'p99':>8}{'most':>8}{'readers waited':>16}"]
    for fault in Fault:
        if fault in times:
            measured = sorted(seconds for seconds in times[fault] if seconds is not None)
            shown = [f"{quantile(measured, q):.1f} s" for q in (0.5, 0.99, 1.0)] if measured else ["–"] * 3
            waited = f"{max(waits[fault]):.1f} s" if fault in waits else "–"
            lines.append(f"{fault:<62}{len(times[fault]):>6}{shown[0]:>24}{shown[1]:>8}{shown[2]:>8}{waited:>16}")
    made_of = sum((episode.made_of for episode in episodes), Counter[str]())
    return [*lines, "made of: " + (", ".join(f"{count} {what}" for what, count in sorted(made_of.items())) or "–")]


def _points(episodes: Sequence[Episode]) -> list[str]:
    reached = sum((episode.reached for episode in episodes), Counter[int]())
    return points(reached, IN_EPISODES) if reached else []


def points(reached: Counter[int], of: Sequence[Point]) -> list[str]:
    """How often a worker ended at each of the points, which are counted from the first of all on."""
    never = [point.name for number, point in enumerate(of) if not reached[number]]
    named = "; ".join(never) if len(never) <= MOST_NAMED else f"{len(never)} of them"
    counted = [f"{reached[number]:>6}  {point.name}" for number, point in enumerate(of) if reached[number]]
    return [
        "",
        f"a worker ended amid its work {reached.total()} times, at {len(counted)} of {len(of)} points:",
        *counted,
        *([f"never reached: {named}"] if never else []),
    ]


def _verdict(episodes: Sequence[Episode]) -> list[str]:
    outputs = sum((episode.outputs for episode in episodes), Counter[str]())
    wrong = sum((episode.wrong for episode in episodes), Counter[str]())
    return [
        "",
        f"went in: {sum(episode.inputs for episode in episodes)} inputs",
        "came out: " + ", ".join(f"{outputs[topic]} {topic}" for topic in OUTPUT_TOPICS),
        "orders that went out before the decisions were caught up, and said so: "
        f"{sum(episode.not_caught_up for episode in episodes)}",
        f"a worker held {max((e.most_memory for e in episodes), default=0) / 2**20:.0f} MiB at the most",
        *(f"a worker ended by itself: {why}" for episode in episodes for why in episode.ended),
        *(f"TROUBLE, seed {episode.seed}: {trouble}" for episode in episodes for trouble in episode.troubles),
        "verdict: " + (", ".join(f"{count} × {kind}" for kind, count in wrong.items()) or "nothing differs"),
        "seeds: " + ", ".join(f"{episode.seed} ({episode.seconds:.0f} s)" for episode in episodes),
    ]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
