"""What the demo prints: a line per step while it works, then tables of what came out. Readable at 80 columns."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TextIO, TypeVar

from rich.padding import Padding
from rich.text import Text

from relationship_worker.local.demo_orders import Play, PlayedOrder
from relationship_worker.local.demo_outcome import Check, Outcome, Told
from relationship_worker.local.demo_story import (
    CUSTOMERS,
    DEFAULTS,
    ENDED,
    HASTY,
    NORTH,
    PARKED,
    PENDING_SOUTH,
    RECONSIDERED,
    RENUMBERED,
    SOUTH,
    UNNUMBERED,
    UNNUMBERED_SOUTH,
    Story,
    company_names,
)
from relationship_worker.views.screen import WIDTH, open_console, table

T = TypeVar("T")

SECONDS = 7  # columns of a step's time
NOBODY = "walk-in"


class Screen:
    """Prints to a terminal or into a file; both get the same lines."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._console = open_console(out)

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line as it is: what is to be copied is never broken."""
        self._console.print(text, style=style, soft_wrap=True)

    def note(self, text: str, *, indent: int = 0) -> None:
        """Something to read, broken into lines."""
        self._console.print(Padding.indent(Text(text, "dim"), indent) if indent else Text(text, "dim"))

    def heading(self, text: str, note: str = "") -> None:
        """What comes next."""
        self.line()
        self.line(text, "bold")
        if note:
            self.note(note)

    @contextmanager
    def step(self, doing: str) -> Iterator[list[str]]:
        """Shows what is being done, and then what was done: what the block puts into the list, and the time it took."""
        began = monotonic()
        done: list[str] = []
        with self._console.status(f"{doing} …"):
            yield done
        first, *more = done or [doing]
        seconds = f"{monotonic() - began:.1f} s"
        self.line(f"  {first:<{WIDTH - SECONDS - 2}}{seconds:>{SECONDS}}")
        for text in more:
            self.line(f"    {text}", "dim")

    def progress(self, text: str) -> None:
        """Something that a step does on its way."""
        self.line(f"    {text} …", "dim")

    @contextmanager
    def opened(self, opening: AbstractContextManager[T], doing: str, describe: Callable[[T], list[str]]) -> Iterator[T]:
        """A step that ends when something is open; it stays open for as long as the block runs."""
        with ExitStack() as at_the_end:
            with self.step(doing) as done:
                opened = at_the_end.enter_context(opening)
                done += describe(opened)
            yield opened

    def results(self, outcome: Outcome, story: Story, play: Play) -> None:
        """All tables."""
        self._orders(outcome, play)
        self._counts(outcome)
        self._relationships(outcome)
        self._refused(outcome)
        self._reminders(outcome)
        self._corrections(outcome, play)
        self._dead_letters(outcome)

    def checks(self, checks: Sequence[Check]) -> None:
        """What was held against what."""
        self.heading("Held against what was sent")
        for check in checks:
            self.line(f"  {'ok ' if check.holds else 'NOT SO '} {check.text}", None if check.holds else "bold red")

    def _orders(self, outcome: Outcome, play: Play) -> None:
        self.heading("Some of the orders, from enriched-orders")
        widths = {"order": 7, "customer": 8, "day": 5, "number": 9, "source": 7, "rule": 4, "reason": 34}
        self._console.print(table(widths, [], header=True))
        for caption, orders in _groups(play):
            self.note(f"· {caption}")
            rows: list[list[str | Text]] = []
            for order in orders:
                answer = outcome.first_answers[order.order_id].answer
                number = Text("null", "dim") if answer.number is None else Text(answer.number, "bold")
                customer, day = order.customer or NOBODY, f"{order.created_at:%m-%d}"
                rule, reason = str(answer.rule), answer.reason or ""
                rows.append([order.order_id, customer, day, number, answer.source, rule, reason])
            self._console.print(table(widths, rows))
        self.line(f"{play.hasty.order_id} as it lies there:")
        value = outcome.first_answers[play.hasty.order_id].value
        for at in range(0, len(value), WIDTH - 2):
            self.line(f"  {value[at : at + WIDTH - 2].decode()}", "dim")  # an ASCII text

    def _counts(self, outcome: Outcome) -> None:
        counts = Counter((one.answer.source, one.answer.reason or "", one.answer.rule) for one in outcome.enriched)
        self.heading(f"All {len(outcome.enriched)} by source and reason")
        widths = {"orders": 6, "source": 7, "rule": 4, "reason": 34}
        rows = [
            [f"{n:>6}", source, str(rule), reason] for (source, reason, rule), n in sorted(counts.items(), key=_by_rule)
        ]
        self._console.print(table(widths, rows, header=True))

    def _relationships(self, outcome: Outcome) -> None:
        self.heading(
            "The relationships, from relationship-events",
            f"Supplier {NORTH} has the default number {DEFAULTS[NORTH]}, supplier {SOUTH} has none. The companies "
            "are real, what happens to them here is not.",
        )
        widths = {"supplier": 8, "customer": 8, "company": 24, "state": 9, "number": 9, "version": 7}
        names, rows = company_names(), []
        for (supplier, customer), events in sorted(outcome.relationships.items()):
            state = next(told.data["state"] for told in reversed(events) if "state" in told.data)
            number = events[-1].data["customer_number"] or ""
            version = f"{events[-1].data['version']:>7}"
            rows.append([supplier, customer, names[customer], state, Text(number, "bold"), version])
        self._console.print(table(widths, rows, header=True))

    def _refused(self, outcome: Outcome) -> None:
        self.heading("Decisions that were refused, with the reason that the supplier reads")
        widths = {"relationship": 12, "decision": 33, "state": 8, "reason": 23}
        rows = [
            [_pair(told), *(told.data[name] for name in ("decision_type", "state", "reason"))]
            for told in outcome.refused
        ]
        self._console.print(table(widths, rows, header=True))

    def _reminders(self, outcome: Outcome) -> None:
        self.heading("Reminders: deferred requests that came due while no worker ran")
        widths = {"relationship": 12, "due_on": 10, "late": 9, "overdue": 7, "version": 7, "reason": 29}
        rows = []
        for told in outcome.reminders:
            late, overdue = _late(told.data["late_seconds"]), "yes" if told.data["overdue"] else "no"
            version = f"{told.data['version']:>7}"
            rows.append([_pair(told), told.data["due_on"], late, overdue, version, told.data["reason"] or ""])
        self._console.print(table(widths, rows, header=True))
        self.note("overdue: the day had passed when it was said. None for what was decided or deferred anew.")

    def _corrections(self, outcome: Outcome, play: Play) -> None:
        self.heading(f"Some of {len(outcome.corrections):,} corrections, from enriched-orders")
        created = {order.order_id: order.created_at.astimezone(UTC) for order in play.orders}
        widths = {"order": 7, "customer": 8, "created": 11, "told": 4, "now": 6, "as of": 11, "reason": 26}
        rows: list[list[str | Text]] = []
        for told in [one for one in outcome.corrections if one.data["order_id"] in created][:4]:
            before, now = told.data["previous"]["number"], told.data["customer_number"]
            as_of = datetime.fromisoformat(now["as_of"])
            rows.append([
                told.data["order_id"], told.data["customer_id"] or NOBODY, f"{created[told.data['order_id']]:%m-%d %H:%M}",
                Text(before or "null", "dim"), Text(now["number"], "bold"), f"{as_of:%m-%d %H:%M}", now["reason"],
            ])  # fmt: skip
        self._console.print(table(widths, rows, header=True))
        self.note(
            f"{SOUTH} named its default number when these had gone out. Each lies behind its order, under its key."
        )

    def _dead_letters(self, outcome: Outcome) -> None:
        self.heading("Dead letters: nothing waited for them, and they lie there as they came")
        widths = {"reason": 20, "topic": 22, "partition": 9, "offset": 6}
        self._console.print(table(widths, [], header=True))
        for letter in outcome.dead_letters:
            places = f"{letter.partition:>9}", f"{letter.offset:>6}"
            self._console.print(table(widths, [[letter.reason, letter.topic, *places]]))
            self.note(letter.detail, indent=2)


def _groups(play: Play) -> Iterator[tuple[str, list[PlayedOrder]]]:
    """A few orders for each thing that there is to see."""

    def of(customer: str | None, supplier: str | None = None) -> list[PlayedOrder]:
        found = [order for order in play.history if order.customer == customer]
        return [order for order in found if supplier in (None, order.supplier)]

    def around(customer: str, day: float) -> list[PlayedOrder]:
        first = play.history[0].created_at
        orders = of(customer)
        at = next(i for i, order in enumerate(orders) if order.created_at >= first + timedelta(days=day))
        return orders[at - 1 : at + 1]

    cast = {customer for customers in CUSTOMERS.values() for customer in customers}
    strangers = [order for order in play.history if order.customer and order.customer not in cast]
    largest = max(play.history, key=lambda order: len(order.sent.value))
    yield f"{RENUMBERED} got another number in between: each order has the one of its day", around(RENUMBERED, 24)
    yield f"{HASTY} got another number in the very second of its last order", [of(HASTY)[-1], play.hasty]
    yield f"{PARKED} was accepted before its request arrived", of(PARKED)[:1]
    yield f"{ENDED} was a partner until the relationship ended", around(ENDED, 30)
    yield f"{RECONSIDERED} was rejected first and accepted later", around(RECONSIDERED, 15)
    yield f"{UNNUMBERED} is a partner without a number: the default stands in", of(UNNUMBERED)[:2]
    yield "no partners: strangers, on the public and on a private catalogue", _one_of_each_channel(strangers)
    yield f"a walk-in of {len(largest.sent.value):,} bytes", [largest]
    yield f"supplier {SOUTH} has no default number: the order goes out all the same", [
        *of(UNNUMBERED_SOUTH)[:1], *of(PENDING_SOUTH)[:1], *of(None, SOUTH)[:1],
    ]  # fmt: skip
    yield (
        "documents, as they are: " + ", ".join(order.kind.split()[0] for order in play.documents[:4]),
        play.documents[:4],
    )


def _one_of_each_channel(orders: list[PlayedOrder]) -> list[PlayedOrder]:
    north = [order for order in orders if order.supplier == NORTH]
    public = next(order for order in north if b'"channel": "public"' in order.sent.value[:80])
    private = next(order for order in north if b'"channel": "private"' in order.sent.value[:80])
    return [public, private]


def _by_rule(item: tuple[tuple[str, str, int], int]) -> tuple[int, str, str]:
    (source, reason, rule), _ = item
    return rule, source, reason


def _pair(told: Told) -> str:
    return f"{told.data['supplier_id']}/{told.data['customer_id']}"


def _late(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600:02} h"
