"""What the model says to a plan: all that must come out, and how much of it by the end of each round."""

from collections import Counter
from dataclasses import dataclass, field

from model.records import DEAD_LETTERS, DeadLetter, Expected, Reminder
from model.worker import Model
from system.plan import Plan

# Whether these go out hangs on the answer, which may be another one where an order was not caught up, or was answered
# beside a fact.
NOT_COUNTED = ("order.customer-number-missing", "order.customer-number-corrected")

OrderId = tuple[str, str]
"""(supplier_id, order_id): an order's identity."""


@dataclass
class Expectations:
    """The outputs in an order in which they may come, and the model as the last round left it."""

    plan: Plan
    model: Model = field(default_factory=Model)
    told: list[Expected] = field(default_factory=list)
    reminders: list[Reminder] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    by_round: list[Counter[str]] = field(default_factory=list)  # records of each topic that must be there at its end


def expectations(plan: Plan) -> Expectations:
    """Play the plan through the model, round by round."""
    expected = Expectations(plan=plan)
    counted: Counter[str] = Counter()
    for played in plan.rounds:
        for record in (*played.early, *played.relationships, *played.orders):
            for outcome in expected.model.take(record):
                if isinstance(outcome, DeadLetter):
                    expected.dead_letters.append(outcome)
                    counted[DEAD_LETTERS] += 1
                else:
                    expected.told.append(outcome)
                    counted[outcome.topic] += outcome.type not in NOT_COUNTED
        for reminder in expected.model.reminders_due(plan.now):
            expected.reminders.append(reminder)
            counted[reminder.topic] += not reminder.may_be_missing
        expected.model.settle()
        expected.by_round.append(counted.copy())
    return expected
