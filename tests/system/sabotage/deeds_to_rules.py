"""What may be wrong with what is looked up, remembered and decided."""

import asyncio
import json
from collections.abc import Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from relationship_worker.domain.relationship import State, Version
from relationship_worker.kafka.enriched_records import EnrichedRecords
from relationship_worker.roads import answering, orders, reminders
from relationship_worker.roads.desk import Desk
from relationship_worker.roads.orders import Asked, OrdersRoad
from relationship_worker.storage import answers, deferrals, inbox
from relationship_worker.storage.answers import ToldBefore
from relationship_worker.storage.database import transaction
from relationship_worker.storage.known_facts import KnownFacts

TOGETHER = 1.5  # seconds; two clocks that tick twice a second both look in that time


def look_up_before_the_barrier() -> None:
    """Facts are looked up, and then it is waited for all that was published: too late for what was looked up."""
    looked_up: ContextVar[Any] = ContextVar("looked_up")
    answer, rule = OrdersRoad._answer, orders.rule

    async def wrong(self: OrdersRoad, asked: Sequence[Asked]) -> Any:
        async with transaction(self.database) as tx:
            looked_up.set(await rule(tx, self.known, asked, caught_up=True))
        return await answer(self, asked)

    async def looked_up_before(*_: Any, **__: Any) -> Any:
        return looked_up.get()

    async def never(*_: Any) -> None:
        return None

    OrdersRoad._answer, OrdersRoad._answer_at_once, orders.rule = wrong, never, looked_up_before


def look_numbers_up_by_customer_alone() -> None:
    """A customer of two suppliers has, at both, the number of the one whose order came first."""
    first: dict[str, str] = {}
    held, customers = KnownFacts.held, KnownFacts.customers

    def of_the_first(pairs: Any) -> Any:
        return [
            (supplier if customer is None else first.setdefault(customer, supplier), customer)
            for supplier, customer in pairs
        ]

    KnownFacts.held = lambda self, pairs, suppliers: held(self, of_the_first(pairs), suppliers)
    KnownFacts.customers = lambda self, tx, pairs: customers(self, tx, of_the_first(pairs))


def answer_by_the_newest_facts() -> None:
    """Whatever the order's time."""
    real = answering._rule_by_newest

    def wrong(*arguments: Any, **named: Any) -> Any:
        ruled, _ = real(*arguments, **named)
        return ruled, []

    answering._rule_by_newest = wrong


def write_orders_anew() -> None:
    """The order is read and written, as JSON libraries do it."""
    real = EnrichedRecords.record

    def wrong(self: EnrichedRecords, order: Any, *rest: Any) -> bytes:
        anew = json.dumps(json.loads(order.data), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return real(self, replace(order, data=anew), *rest)

    EnrichedRecords.record = wrong


def answer_a_further_event_anew() -> None:
    """An order that comes again is told what holds by now."""

    async def wrong(self: OrdersRoad, tx: Any, period: Any, fresh: Any, *, now: Any) -> dict[bytes, ToldBefore]:
        known = await answers.events_before(tx, {f.event_key for f in fresh})
        further = {f.event_key: f for f in reversed(fresh) if f.event_key not in known}
        await answers.remember_repeated(tx, list(further.values()), period=period, now=now)
        again = {key: ToldBefore(f.data_hash, f.answer, f.partition, f.offset, False) for key, f in further.items()}
        return known | again

    OrdersRoad._remember_further_events = wrong


def use_up_no_id() -> None:
    """The inbox is written and never asked."""
    real = inbox.use_up

    async def wrong(tx: Any, events: Any, *, now: Any) -> dict[bytes, bytes]:
        await real(tx, events, now=now)
        return {}

    inbox.use_up = wrong


def remind_without_a_lock() -> None:
    """Each worker's clock takes what is due, whoever else may be at it."""
    due_of = deferrals.due_of

    async def yes(*_: Any) -> bool:
        return True

    async def unlocked(*_: Any, **__: Any) -> dict[Any, Any]:
        return {}

    async def while_others_look(*arguments: Any, **named: Any) -> Any:
        due = await due_of(*arguments, **named)
        await asyncio.sleep(TOGETHER)
        return due

    reminders.alone, reminders.relationships, deferrals.due_of = yes, SimpleNamespace(lock=unlocked), while_others_look


def remind_of_what_was_decided() -> None:
    """A decision leaves the deferral's reminder as it is; only a further deferral replaces it."""
    real = Desk._note_deferral

    def wrong(self: Desk, pair: Any, version: Version, *rest: Any) -> None:
        if version.state is State.DEFERRED:
            real(self, pair, version, *rest)

    Desk._note_deferral = wrong
