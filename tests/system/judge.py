"""The checker: holds all that came out against all that went in."""

from collections import Counter
from dataclasses import dataclass

from model.records import DEAD_LETTERS, ENRICHED, EVENTS, REMINDERS, Record
from system.differences import Difference
from system.expectations import Expectations
from system.judge_corrections import CORRECTED, by_order, judge_corrections
from system.judge_dead_letters import judge_dead_letters
from system.judge_orders import judge_orders
from system.judge_relationships import judge_relationships
from system.judge_reminders import judge_reminders
from system.judge_staleness import judge_staleness
from system.judge_tenants import judge_tenants
from system.judge_transactions import judge_complaints, judge_transactions
from system.reading import Reading
from system.told import Told, read_told, repeated_ids


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong, and how many orders went out before the decisions were caught up (which is no fault)."""

    differences: tuple[Difference, ...]
    not_caught_up: int

    @property
    def kinds(self) -> set[str]:
        """The classes of what is wrong."""
        return {str(difference.kind) for difference in self.differences}

    def report(self, examples: int = 5) -> str:
        """Counts by class with a few examples each."""
        lines = []
        for kind, count in Counter(difference.kind for difference in self.differences).most_common():
            lines.append(f"{count} × {kind}")
            of_kind = [difference.what for difference in self.differences if difference.kind == kind]
            lines += [f"    {what}" for what in of_kind[:examples]]
        return "\n".join(lines) or "no differences"


def judge(expected: Expectations, reading: Reading) -> Verdict:
    """All that is wrong with what lies in the topics: by the model, and by what shows without one."""
    by_topic: dict[str, list[Record]] = {ENRICHED: [], EVENTS: [], REMINDERS: [], DEAD_LETTERS: []}
    for record in sorted(reading.committed, key=lambda record: record.place):
        by_topic[record.topic].append(record)
    differences = judge_transactions(reading)
    told: dict[str, list[Told]] = {}
    for topic in (ENRICHED, EVENTS, REMINDERS):
        readable = [read_told(record) for record in by_topic[topic]]
        differences += [broken for broken in readable if isinstance(broken, Difference)]
        told[topic] = [one for one in readable if isinstance(one, Told)]
    everything = [one for of_topic in told.values() for one in of_topic]
    differences += repeated_ids(everything)
    differences += judge_tenants(expected.plan.suppliers, everything)
    differences += judge_staleness(reading, told[ENRICHED], told[EVENTS])
    corrections = by_order([one for one in told[ENRICHED] if one.type == CORRECTED])
    orders = judge_orders(expected, [one for one in told[ENRICHED] if one.type != CORRECTED], corrections)
    differences += orders.differences
    differences += judge_complaints(orders.missing_numbers, everything)
    differences += judge_corrections(corrections, orders.firsts)
    differences += judge_relationships(expected, told[EVENTS], orders.missing_numbers)
    differences += judge_reminders(expected, told[REMINDERS])
    differences += judge_dead_letters(expected, by_topic[DEAD_LETTERS])
    return Verdict(differences=tuple(differences), not_caught_up=orders.not_caught_up)
