"""A history to be spoilt: all that a faultless worker wrote for a small plan, and how its readers found it."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from model.corrections import Course
from model.json_text import member
from model.records import ENRICHED, EVENTS, Correction, EnrichedOrder, Expected, Record
from model.resubmission import Deferral
from system.differences import Kind
from system.expectations import Expectations, expectations
from system.judge import Verdict, judge
from system.reading import Reading
from system.rendering import rendered_reading
from system.scenario import Size, scenario

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SMALL = Size(orders=900, relationships=160, inputs=700)


class History:
    """What a faultless worker wrote, to be spoilt."""

    def __init__(self, expected: Expectations, reading: Reading) -> None:
        self.expected = expected
        self.reading = reading
        self.records = list(reading.committed)
        self.readings: dict[str, Any] = {}

    @classmethod
    def of_seed(cls, seed: int) -> "History":
        """What a small plan leads to."""
        expected = expectations(scenario(seed, NOW, SMALL))
        return cls(expected, rendered_reading(expected))

    def copy(self) -> "History":
        """The same, to be spoilt without spoiling this one."""
        return History(self.expected, self.reading)

    def find(self, topic: str, where: Callable[[Record], object] = lambda record: True) -> Record:
        """The first output that fits."""
        return next(record for record in self.records if record.topic == topic and where(record))

    def event(self, type_: str, where: Callable[[dict[str, object]], object] = lambda data: True) -> Record:
        """The first relationship event of a type that fits."""
        return self.find(EVENTS, lambda one: one.header("ce_type") == type_ and where(json.loads(one.value or b"")))

    def order(self, where: Callable[[EnrichedOrder], object]) -> tuple[EnrichedOrder, Record]:
        """The first order that fits, and how it went out."""
        order = next(one for one in self.expected.told if isinstance(one, EnrichedOrder) and where(one))
        return order, self.find(ENRICHED, lambda record: record.header("ce_causationid") == order.cause.id)

    def correction(self, where: Callable[[Correction], object] = lambda one: True) -> tuple[Correction, Record]:
        """The first correction that fits, of an order that raced with nothing, and how it went out."""
        return next(
            (one, self.corrected(one))
            for one in self.expected.told
            if isinstance(one, Correction) and len(self.courses(one)) == 1 and where(one)
        )

    def corrected(self, one: Correction) -> Record:
        """How a correction went out."""
        ce_id = f":{one.cause.id}:{one.supplier_id}:{one.order_id}"
        return self.find(ENRICHED, lambda record: (record.header("ce_id") or "").endswith(ce_id))

    def courses(self, one: Correction) -> list[Course]:
        """The ways in which a corrected order may have gone on."""
        return self.expected.model.orders[one.supplier_id, one.order_id].courses

    def first(self, one: Correction) -> Record:
        """How the order went out that is corrected."""
        order = self.expected.model.orders[one.supplier_id, one.order_id].order
        return self.find(ENRICHED, lambda record: record.header("ce_causationid") == order.cause.id)

    def deferral(self, *, superseded: bool) -> Deferral:
        """A deferral of which nobody is reminded, since another came, or since it is not due."""
        told = {(one.subject, one.data["version"]) for one in self.expected.reminders}
        return next(
            one
            for one in self.expected.model.deferrals
            if one.superseded == superseded and (f"{one.supplier_id}/{one.customer_id}", one.version) not in told
        )

    def known_long_before(
        self, where: Callable[[EnrichedOrder], object] = lambda one: True
    ) -> tuple[EnrichedOrder, Record]:
        """The first order that fits, came once, and was answered by a version whose event could be read a round before."""
        orders = [one for one in self.expected.told if isinstance(one, EnrichedOrder)]
        times = Counter((one.supplier_id, one.order_id) for one in orders)
        read_at = {
            (one.data["supplier_id"], one.data["customer_id"], one.data["version"]): self.read_at(one)
            for one in self.expected.told
            if one.topic == EVENTS and one.data.get("version") and one.type != "relationship.decision-refused"
        }

        def fits(one: EnrichedOrder) -> bool:
            version = read_at.get((one.supplier_id, one.customer_id, one.answer.relationship_version))
            once = times[one.supplier_id, one.order_id] == 1
            return once and version is not None and version < self.read_at(one) and bool(where(one))

        return self.order(fits)

    def number_before(self, order: EnrichedOrder) -> str | None:
        """The number that a customer had as a partner before the one that the order was told, where it had another."""
        versions = self.expected.model.relationship(order.supplier_id, str(order.customer_id)).versions
        before = versions[: (order.answer.relationship_version or 1) - 1]
        numbers = [one.customer_number for one in before if one.state == "partner"]
        return next((number for number in numbers if number not in (None, order.answer.number)), None)

    def read_at(self, one: Expected) -> datetime:
        """When the first output of a cause was read live."""
        return next(
            self.reading.seen_at[record.place]
            for record in self.records
            if record.topic == one.topic
            and record.header("ce_causationid") == one.cause.id
            and record.header("ce_causationsource") == one.cause.source
        )

    def put(self, old: Record, new: Record) -> None:
        """One output in place of another."""
        self.records[self.records.index(old)] = new

    def tell(self, old: Record, **changes: object) -> None:
        """Other data in an output."""
        self.put(old, replace(old, value=json.dumps(json.loads(old.value or b"") | changes).encode()))

    def answer(self, old: Record, **changes: object) -> None:
        """Another answer beside the same order."""
        answer = json.loads(member(old.value or b"", "customer_number") or b"") | changes
        order = member(old.value or b"", "order") or b""
        headers = dict(old.headers)
        headers.pop("ce_customernumber", None)
        if answer["number"] is not None:
            headers["ce_customernumber"] = answer["number"].encode()
        value = b'{"customer_number":' + json.dumps(answer).encode() + b',"order":' + order + b"}"
        self.put(old, replace(old, value=value, headers=tuple(headers.items())))

    def correct(self, old: Record, **changes: object) -> None:
        """Another answer in a correction, which is routed by it."""
        answer = json.loads(old.value or b"")["customer_number"] | changes
        at = self.records.index(old)
        self.tell(old, customer_number=answer)
        self.head(self.records[at], "ce_customernumber", answer["number"].encode())

    def head(self, old: Record, name: str, value: bytes | None) -> None:
        """Another header, or none."""
        headers = tuple((of, value if of == name else was) for of, was in old.headers)
        self.put(old, replace(old, headers=tuple((of, was) for of, was in headers if was is not None)))

    def add(self, record: Record) -> None:
        """One more output, at the end."""
        self.records.append(replace(record, offset=1_000_000))

    def swap(self, one: Record, other: Record) -> None:
        """Each in the other's place."""
        here, there = self.records.index(one), self.records.index(other)
        self.records[here] = replace(other, offset=one.offset, partition=one.partition)
        self.records[there] = replace(one, offset=other.offset, partition=other.partition)

    def read_as(self, **readings: Any) -> None:
        """Readers of whom each saw something of its own."""
        self.readings = readings

    def judged(self) -> Verdict:
        """What the checker says to what the worker wrote, and to readers that all saw it, unless they are said not to."""
        places = {record.place for record in self.reading.committed}
        aborted = [record for record in self.reading.uncommitted if record.place not in places]
        seen_by_all = {"committed": self.records, "live": self.records, "uncommitted": [*self.records, *aborted]}
        return judge(self.expected, replace(self.reading, **seen_by_all | self.readings))


Spoilt = tuple[Callable[[History], None], set[Kind]]
"""What spoils a history, and the classes that must be found: the one of the fault, and those that follow from it."""
