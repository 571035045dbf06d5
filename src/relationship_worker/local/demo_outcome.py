"""What the output topics say at the end of the demo, and whether that is what had to come out."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from aiokafka import ConsumerRecord

from relationship_worker.local.demo_orders import Play, PlayedOrder
from relationship_worker.local.demo_story import LATE_DEFAULT, Story
from relationship_worker.local.demo_traffic import headers_of
from relationship_worker.messages import json_text
from relationship_worker.messages.orders import NOT_CAUGHT_UP, ORDER_ENRICHED, Answer, read_answer
from relationship_worker.messages.outgoing import DEAD_LETTERS, ENRICHED_ORDERS, RELATIONSHIP_EVENTS, REMINDERS

MISSING = "order.customer-number-missing"


@dataclass(frozen=True, kw_only=True)
class Enriched:
    """A record of `enriched-orders`: which event it answers, with what, and the order's bytes in its value."""

    event_id: str
    order_id: str
    answer: Answer
    order: bytes
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Told:
    """A record of `relationship-events` or `reminders`."""

    type: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record of `dead-letters`: its reason and where it lay."""

    reason: str
    detail: str
    topic: str
    partition: str
    offset: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that must be so, with the counts that say whether it is."""

    text: str
    holds: bool


class Outcome:
    """All records of the output topics, read as what they are."""

    def __init__(
        self,
        records: list[ConsumerRecord],
        rate: list[tuple[str, str | None]],
        corrections: list[ConsumerRecord],
        plain: Callable[[str], str],
    ):
        by_topic: dict[str, list[ConsumerRecord]] = {}
        for record in records:
            by_topic.setdefault(plain(record.topic), []).append(record)
        self.rate = rate
        self.corrections = [_told(record) for record in corrections]
        self.enriched = [_enriched(r) for r in by_topic.get(ENRICHED_ORDERS, []) if _type(r) == ORDER_ENRICHED]
        self.events = [_told(record) for record in by_topic.get(RELATIONSHIP_EVENTS, [])]
        self.reminders = [_told(record) for record in by_topic.get(REMINDERS, [])]
        self.dead_letters = [_dead_letter(record, plain) for record in by_topic.get(DEAD_LETTERS, [])]

    @cached_property
    def first_answers(self) -> dict[str, Enriched]:
        """By order id."""
        return {one.order_id: one for one in reversed(self.enriched)}

    @cached_property
    def relationships(self) -> dict[tuple[str, str], list[Told]]:
        """The versions of each relationship, as they came."""
        found: dict[tuple[str, str], list[Told]] = {}
        for event in self.events:
            if event.type.startswith("relationship.") and event.type != "relationship.decision-refused":
                found.setdefault((event.data["supplier_id"], event.data["customer_id"]), []).append(event)
        return found

    @cached_property
    def refused(self) -> list[Told]:
        """Decisions that the domain said no to."""
        return [event for event in self.events if event.type == "relationship.decision-refused"]

    @cached_property
    def missing(self) -> list[Told]:
        """Orders that went out without a number."""
        return [event for event in self.events if event.type == MISSING]


def check(outcome: Outcome, story: Story, play: Play, many: list[PlayedOrder]) -> list[Check]:
    """Hold what came out against what was sent."""
    return [
        *_checks_of_orders(outcome, story, play),
        *_checks_of_relationships(outcome, story, play),
        _check_of_many(outcome, story, many),
        _check_of_corrections(outcome, story, [*play.orders, *many]),
    ]


def _checks_of_orders(outcome: Outcome, story: Story, play: Play) -> list[Check]:
    sent = play.answered
    found = Counter(one.event_id for one in outcome.enriched)
    same = sum(one.order == sent[one.event_id].sent.value for one in outcome.enriched if one.event_id in sent)
    right = sum(_is_right(one, story, sent) for one in outcome.enriched if one.event_id in sent)
    first = outcome.first_answers
    numberless = {one.order_id for one in outcome.enriched if one.answer.number is None}
    numberless |= {order_id for order_id, number in outcome.rate if number is None}
    missing = Counter(told.data["order_id"] for told in outcome.missing)
    again = [one for one in outcome.enriched if one.event_id in {order.sent.event_id for order in play.told_again}]
    same_answer = sum(one.answer == first[one.order_id].answer for one in again)
    return [
        Check(
            text=f"{len(sent)} orders were to be answered, {len(found)} were, each once",
            holds=found == Counter(list(sent)),
        ),
        Check(text=f"{same} of {len(sent)} were passed on byte for byte", holds=same == len(sent)),
        Check(text=f"{right} of {len(sent)} carry the number of their own time", holds=right == len(sent)),
        Check(
            text=f"{len(play.repeated)} repeated events made {len(outcome.enriched) - len(found)} second outputs",
            holds=len(outcome.enriched) == len(found),
        ),
        Check(
            text=f"{same_answer} of {len(play.told_again)} orders that another event told again got their first answer",
            holds=same_answer == len(again) == len(play.told_again),
        ),
        Check(
            text=f"{missing.total():,} suppliers' notes of a missing number, one for each of {len(numberless):,} orders",
            holds=missing == Counter(numberless),
        ),
    ]


def _is_right(one: Enriched, story: Story, sent: dict[str, PlayedOrder]) -> bool:
    order = sent[one.event_id]
    if NOT_CAUGHT_UP in one.answer.flags:  # past the bound an order goes on with what is known, and says so
        return True
    expected = story.expected_number(order.supplier, order.customer, order.created_at)
    return (one.answer.number, one.answer.source) == expected


def _checks_of_relationships(outcome: Outcome, story: Story, play: Play) -> list[Check]:
    must = story.made + Counter(sent.made for sent in play.unreadable)
    events = Counter(event.type for event in outcome.events if event.type != MISSING)
    must_events = Counter({name: count for name, count in must.items() if name and "." in name})
    letters = Counter(letter.reason for letter in outcome.dead_letters)
    must_letters = Counter({name: count for name, count in must.items() if name and "." not in name})
    gapless = sum(
        [event.data["version"] for event in events] == list(range(1, len(events) + 1))
        for events in outcome.relationships.values()
    )
    reminded = [(told.data["supplier_id"], told.data["customer_id"]) for told in outcome.reminders]
    return [
        Check(
            text=f"{events.total()} events about relationships, {must_events.total()} were due",
            holds=events == must_events,
        ),
        Check(
            text=f"{gapless} of {len(outcome.relationships)} relationships have versions 1, 2, 3 … without gaps",
            holds=gapless == len(outcome.relationships),
        ),
        Check(
            text=f"{len(reminded)} reminders, {len(story.reminders)} were due",
            holds=sorted(reminded) == sorted(story.reminders),
        ),
        Check(text=f"{letters.total()} dead letters, {must_letters.total()} were due", holds=letters == must_letters),
    ]


def _check_of_many(outcome: Outcome, story: Story, many: Iterable[PlayedOrder]) -> Check:
    expected = {
        order.order_id: story.expected_number(order.supplier, order.customer, order.created_at)[0] for order in many
    }
    right = sum(order_id in expected and number == expected[order_id] for order_id, number in outcome.rate)
    return Check(
        text=f"{right:,} of {len(expected):,} more orders came out with their number, each once",
        holds=right == len(expected) == len(outcome.rate) == len(dict(outcome.rate)),
    )


def to_be_corrected(story: Story, orders: Iterable[PlayedOrder]) -> set[str]:
    """The ids of the orders that the late default reaches."""
    return {o.order_id for o in orders if story.is_to_be_corrected(o.supplier, o.customer, o.created_at)}


def _check_of_corrections(outcome: Outcome, story: Story, orders: list[PlayedOrder]) -> Check:
    expected = to_be_corrected(story, orders)
    told = Counter(one.data["order_id"] for one in outcome.corrections)
    right = sum(
        one.data["previous"]["number"] is None and one.data["customer_number"]["number"] == LATE_DEFAULT
        for one in outcome.corrections
    )
    return Check(
        text=f"{right:,} corrections by the late default, one for each of {len(expected):,} orders",
        holds=set(told) == expected and told.total() == right == len(expected),
    )


def _type(record: ConsumerRecord) -> str | None:
    return headers_of(record).get("ce_type")


def _enriched(record: ConsumerRecord) -> Enriched:
    headers = headers_of(record)
    members = json_text.members(record.value)
    return Enriched(
        event_id=headers["ce_causationid"],
        order_id=headers["ce_subject"],
        answer=read_answer(members["customer_number"].decode()),
        order=members["order"],
        value=record.value,
    )


def _told(record: ConsumerRecord) -> Told:
    return Told(type=headers_of(record)["ce_type"], data=json.loads(record.value))


def _dead_letter(record: ConsumerRecord, plain: Callable[[str], str]) -> DeadLetter:
    headers = headers_of(record)
    return DeadLetter(
        reason=headers["deadletter-reason"],
        detail=headers["deadletter-detail"],
        topic=plain(headers["deadletter-topic"]),
        partition=headers["deadletter-partition"],
        offset=headers["deadletter-offset"],
    )
