"""The checker is checked: a faultless history has no differences, and each fault is found for what it is."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from model.corrections import AnsweredOrder, Course
from model.json_text import member
from model.records import DEAD_LETTERS, ENRICHED, EVENTS, REMINDERS, Correction, EnrichedOrder, Record
from model.resubmission import Deferral
from system.differences import Kind
from system.expectations import Expectations, expectations
from system.judge import Verdict, judge
from system.rendering import rendered, rendered_answer
from system.scenario import Size, scenario

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SMALL = Size(orders=900, relationships=160, inputs=700)


class History:
    """What a faultless worker wrote, to be spoilt."""

    def __init__(self, expected: Expectations, records: list[Record]) -> None:
        self.expected = expected
        self.records = list(records)

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

    def judged(self) -> Verdict:
        """What the checker says."""
        return judge(self.expected, self.records)


@pytest.fixture(scope="module")
def faultless() -> History:
    expected = expectations(scenario(6, NOW, SMALL))
    return History(expected, rendered(expected))


@pytest.fixture
def history(faultless: History) -> History:
    return History(faultless.expected, faultless.records)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_faultless_history_has_no_differences(seed: int) -> None:
    expected = expectations(scenario(seed, NOW, SMALL))

    verdict = judge(expected, rendered(expected))

    assert verdict.report() == "no differences"


def drop_an_order(history: History) -> None:
    history.records.remove(history.find(ENRICHED))


def drop_a_version(history: History) -> None:
    history.records.remove(history.event("relationship.requested", lambda data: data["version"] == 1))


def drop_a_complaint(history: History) -> None:
    history.records.remove(history.event("order.customer-number-missing"))


def double_an_order(history: History) -> None:
    history.add(history.find(ENRICHED))


def double_an_event(history: History) -> None:
    history.add(history.event("relationship.withdrawn"))


def swap_orders_of_a_key(history: History) -> None:
    first = history.find(ENRICHED, lambda record: (record.key or b"").startswith(b"shop-"))
    second = history.find(ENRICHED, lambda record: record.key == first.key and record != first)
    history.swap(first, second)


def part_orders_of_a_key(history: History) -> None:
    order = history.find(ENRICHED, lambda record: (record.key or b"").startswith(b"shop-"))
    history.put(order, replace(order, partition=(order.partition + 1) % 4))


def swap_versions(history: History) -> None:
    second = history.find(EVENTS, lambda record: json.loads(record.value or b"").get("version") == 2)
    history.swap(history.find(EVENTS, lambda record: record.key == second.key), second)


def renumber_a_version(history: History) -> None:
    history.tell(history.event("relationship.accepted"), version=77)


def take_a_wrong_turn(history: History) -> None:
    history.tell(history.event("relationship.accepted"), state="rejected")


def come_from_elsewhere(history: History) -> None:
    history.tell(history.event("relationship.accepted"), previous_state="ended")


def accept_what_is_refused(history: History) -> None:
    refused = history.event("relationship.decision-refused", lambda data: data["reason"] == "not_a_partner")
    history.head(refused, "ce_type", b"relationship.accepted")


def accept_what_is_stale(history: History) -> None:
    refused = history.event("relationship.decision-refused", lambda data: data["reason"] == "stale")
    history.head(refused, "ce_type", b"relationship.accepted")


def give_another_code(history: History) -> None:
    history.tell(history.event("relationship.decision-refused"), reason="because")


def forget_who_decided(history: History) -> None:
    accepted = history.event("relationship.accepted", lambda data: data["decided_by"] is not None)
    history.tell(accepted, decided_by=None)


def forget_a_leading_zero(history: History) -> None:
    order, record = history.order(lambda one: (one.answer.number or "").startswith("0"))
    history.answer(record, number=(order.answer.number or "")[1:])


def name_another_rule(history: History) -> None:
    history.answer(history.find(ENRICHED), rule=True)


def drop_a_flag(history: History) -> None:
    history.answer(history.order(lambda one: one.answer.flags == {"unknown_channel"})[1], flags=[])


def claim_to_be_behind(history: History) -> None:
    settled = history.order(lambda one: one.answer.rule == 1 and not one.behind)[1]
    history.answer(settled, number=None, source="none", rule=7, flags=["decisions_not_caught_up"])


def tell_an_outdated_answer(history: History) -> None:
    order, record = history.order(lambda one: any(answer.number != one.answer.number for answer in one.outdated))
    outdated = next(answer for answer in order.outdated if answer.number != order.answer.number)
    history.answer(record, **json.loads(rendered_answer(outdated)))


def round_a_price(history: History) -> None:
    record = history.find(ENRICHED, lambda one: b"1.10" in (one.value or b""))
    history.put(record, replace(record, value=(record.value or b"").replace(b"1.10", b"1.1")))


def lose_an_unknown_field(history: History) -> None:
    record = history.find(ENRICHED, lambda one: b'"x_0":' in (one.value or b""))
    history.put(record, replace(record, value=(record.value or b"").replace(b'"x_0":', b'"y_0":')))


def lose_a_key(history: History) -> None:
    record = history.find(ENRICHED, lambda one: one.key == b"")
    history.put(record, replace(record, key=None))


def take_the_producers_key(history: History) -> None:
    record = history.event("relationship.accepted")
    history.put(record, replace(record, key=b"erp-batch-1"))


def invent_an_order(history: History) -> None:
    history.head(history.find(ENRICHED), "ce_causationid", b"nobody sent this")


def correct_an_order(history: History) -> None:
    record = history.find(ENRICHED)
    history.add(record)
    history.head(history.records[-1], "ce_type", b"order.customer-number-corrected")


def correct_for_no_reason(history: History) -> None:
    record = history.correction()[1]
    other = history.event("relationship.accepted").header("ce_causationid") or ""
    history.add(record)
    history.head(history.records[-1], "ce_causationid", other.encode())
    history.head(history.records[-1], "ce_id", b"of its own")


def drop_a_correction(history: History) -> None:
    history.records.remove(history.correction()[1])


def double_a_correction(history: History) -> None:
    history.add(history.correction()[1])


def correct_by_another_fact(history: History) -> None:
    history.head(history.correction()[1], "ce_causationid", b"some other fact")


def correct_with_another_number(history: History) -> None:
    correction, record = history.correction()
    answer = json.loads(rendered_answer(correction.answer))
    history.tell(record, customer_number=answer | {"number": f"{answer['number']}0"})


def correct_as_of_the_creation(history: History) -> None:
    correction, record = history.correction(lambda one: one.answer.as_of != one.previous.as_of)
    answer = json.loads(rendered_answer(correction.answer))
    history.tell(record, customer_number=answer | {"as_of": correction.previous.as_of.isoformat()})


def forget_what_was_told_last(history: History) -> None:
    correction, record = history.correction(lambda one: one.previous.number is not None)
    answer = json.loads(rendered_answer(correction.previous))
    history.tell(record, previous=answer | {"number": None, "source": "none"})


def correct_another_customers_order(history: History) -> None:
    history.tell(history.correction()[1], customer_id="another")


def correct_under_another_key(history: History) -> None:
    record = history.correction()[1]
    history.put(record, replace(record, key=b"another"))


def correct_on_another_partition(history: History) -> None:
    record = history.correction()[1]
    history.put(record, replace(record, partition=(record.partition + 1) % 4, offset=1_000_000))


def correct_before_the_order(history: History) -> None:
    correction, record = history.correction()
    history.swap(record, history.first(correction))


def correct_backwards(history: History) -> None:
    first, second = next(
        order.courses[0].corrections[:2]
        for order in history.expected.model.orders.values()
        if len(order.courses) == 1 and len(order.courses[0].corrections) > 1
    )
    history.swap(history.corrected(first), history.corrected(second))


def correct_with_another_suppliers_number(history: History) -> None:
    correction, record = history.correction()
    suppliers = history.expected.plan.suppliers
    other = next(index for supplier, index in suppliers.items() if supplier != correction.supplier_id)
    answer = json.loads(rendered_answer(correction.answer))
    history.tell(record, customer_number=answer | {"number": f"{other:02}-00001-1"})


def use_a_facts_id_for_all_its_corrections(history: History) -> None:
    corrections = [one for one in history.expected.told if isinstance(one, Correction)]
    one, other = next((one, other) for one, other in itertools.pairwise(corrections) if one.cause == other.cause)
    ce_id = history.corrected(one).header("ce_id") or ""
    history.head(history.corrected(other), "ce_id", ce_id.encode())


def route_a_correction_by_the_old_number(history: History) -> None:
    history.head(history.correction(lambda one: one.previous.number)[1], "ce_customernumber", b"1")


def lose_the_facts_trace(history: History) -> None:
    correction, record = history.correction(lambda one: one.trace)
    history.head(record, correction.trace[0][0], None)


def tell_a_corrected_order_its_first_answer_again(history: History) -> None:
    orders = history.expected.model.orders
    order, record = history.order(
        lambda one: any(
            correction.turn < one.turn for correction in orders[one.supplier_id, one.order_id].courses[0].corrections
        )
    )
    first = orders[order.supplier_id, order.order_id].order
    history.answer(record, **json.loads(rendered_answer(first.answer)))


def invent_a_reminder(history: History) -> None:
    history.tell(history.find(REMINDERS), version=99)


def drop_a_dead_letter(history: History) -> None:
    history.records.remove(history.find(DEAD_LETTERS))


def mend_a_dead_letter(history: History) -> None:
    record = history.find(DEAD_LETTERS, lambda one: one.value)
    history.put(record, replace(record, value=b"{}"))


def give_another_reason(history: History) -> None:
    history.head(history.find(DEAD_LETTERS), "deadletter-reason", b"bad_luck")


def lose_an_original_header(history: History) -> None:
    record = history.find(DEAD_LETTERS, lambda one: one.header("ce_id"))
    history.head(record, "ce_id", None)


def double_a_dead_letter(history: History) -> None:
    history.add(history.find(DEAD_LETTERS))


def bury_a_good_record(history: History) -> None:
    history.head(history.find(DEAD_LETTERS), "deadletter-offset", b"999999")


def forget_a_reminder(history: History) -> None:
    mandatory = next(one for one in history.expected.reminders if not one.may_be_missing)
    history.records.remove(history.find(REMINDERS, lambda one: one.header("ce_causationid") == mandatory.cause.id))


def double_a_reminder(history: History) -> None:
    history.add(history.find(REMINDERS))


def remind_before_it_is_due(history: History) -> None:
    remind_of(history, history.deferral(superseded=False))


def remind_a_second_early(history: History) -> None:
    record = history.find(REMINDERS)
    due_at = datetime.fromisoformat(json.loads(record.value or b"")["due_at"])
    history.head(record, "ce_time", (due_at - timedelta(seconds=1)).isoformat().encode())


def remind_of_what_was_superseded(history: History) -> None:
    remind_of(history, history.deferral(superseded=True))


def remind_of(history: History, deferral: Deferral) -> None:
    about = {"supplier_id": deferral.supplier_id, "customer_id": deferral.customer_id, "version": deferral.version}
    history.add(history.find(REMINDERS))
    history.tell(history.records[-1], **about)


def give_another_suppliers_number(history: History) -> None:
    order, record = history.order(lambda one: one.answer.number)
    other = next(index for supplier, index in history.expected.plan.suppliers.items() if supplier != order.supplier_id)
    history.answer(record, number=f"{other:02}-00001-1")


def tell_another_supplier(history: History) -> None:
    accepted = history.event("relationship.accepted")
    own = json.loads(accepted.value or b"")["supplier_id"]
    history.tell(accepted, supplier_id=next(one for one in history.expected.plan.suppliers if one != own))


def lose_the_subject(history: History) -> None:
    history.head(history.find(ENRICHED), "ce_subject", None)


def route_wrongly(history: History) -> None:
    history.head(history.order(lambda one: one.answer.number)[1], "ce_customernumber", b"1")


def lose_the_trace(history: History) -> None:
    order, record = history.order(lambda one: one.trace)
    history.head(record, order.trace[0][0], None)


def use_an_id_twice(history: History) -> None:
    first = history.find(ENRICHED)
    second = history.find(ENRICHED, lambda record: record != first)
    history.head(second, "ce_id", (first.header("ce_id") or "").encode())


def write_no_json(history: History) -> None:
    record = history.find(EVENTS)
    history.put(record, replace(record, value=b"{"))


FAULTS = [
    (Kind.LOST, drop_an_order),
    (Kind.LOST, drop_a_complaint),
    (Kind.LOST, drop_a_version),
    (Kind.LOST, drop_a_correction),
    (Kind.LOST, correct_by_another_fact),
    (Kind.DUPLICATE, double_an_order),
    (Kind.DUPLICATE, double_an_event),
    (Kind.DUPLICATE, double_a_correction),
    (Kind.REORDERED, swap_orders_of_a_key),
    (Kind.REORDERED, part_orders_of_a_key),
    (Kind.REORDERED, swap_versions),
    (Kind.REORDERED, correct_on_another_partition),
    (Kind.REORDERED, correct_before_the_order),
    (Kind.REORDERED, correct_backwards),
    (Kind.VERSION_GAP, drop_a_version),
    (Kind.VERSION_GAP, renumber_a_version),
    (Kind.ILLEGAL_TRANSITION, take_a_wrong_turn),
    (Kind.ILLEGAL_TRANSITION, come_from_elsewhere),
    (Kind.ILLEGAL_TRANSITION, accept_what_is_refused),
    (Kind.STALE, accept_what_is_stale),
    (Kind.STALE, tell_an_outdated_answer),
    (Kind.WRONG_VALUE, give_another_code),
    (Kind.WRONG_VALUE, forget_who_decided),
    (Kind.WRONG_VALUE, forget_a_leading_zero),
    (Kind.WRONG_VALUE, name_another_rule),
    (Kind.WRONG_VALUE, drop_a_flag),
    (Kind.WRONG_VALUE, claim_to_be_behind),
    (Kind.WRONG_VALUE, correct_with_another_number),
    (Kind.WRONG_VALUE, correct_as_of_the_creation),
    (Kind.WRONG_VALUE, forget_what_was_told_last),
    (Kind.WRONG_VALUE, correct_another_customers_order),
    (Kind.WRONG_VALUE, tell_a_corrected_order_its_first_answer_again),
    (Kind.BYTES_CHANGED, round_a_price),
    (Kind.BYTES_CHANGED, lose_an_unknown_field),
    (Kind.KEY_CHANGED, lose_a_key),
    (Kind.KEY_CHANGED, take_the_producers_key),
    (Kind.KEY_CHANGED, correct_under_another_key),
    (Kind.GHOST, invent_an_order),
    (Kind.GHOST, correct_an_order),
    (Kind.GHOST, correct_by_another_fact),
    (Kind.GHOST, correct_for_no_reason),
    (Kind.GHOST, invent_a_reminder),
    (Kind.DEAD_LETTER_MISSING, drop_a_dead_letter),
    (Kind.DEAD_LETTER_ALTERED, mend_a_dead_letter),
    (Kind.DEAD_LETTER_ALTERED, give_another_reason),
    (Kind.DEAD_LETTER_ALTERED, lose_an_original_header),
    (Kind.DEAD_LETTER_EXTRA, double_a_dead_letter),
    (Kind.DEAD_LETTER_EXTRA, bury_a_good_record),
    (Kind.REMINDER_MISSED, forget_a_reminder),
    (Kind.REMINDER_DOUBLED, double_a_reminder),
    (Kind.REMINDER_EARLY, remind_before_it_is_due),
    (Kind.REMINDER_EARLY, remind_a_second_early),
    (Kind.REMINDER_VOID, remind_of_what_was_superseded),
    (Kind.CROSS_TENANT, give_another_suppliers_number),
    (Kind.CROSS_TENANT, tell_another_supplier),
    (Kind.CROSS_TENANT, correct_with_another_suppliers_number),
    (Kind.ENVELOPE, lose_the_subject),
    (Kind.ENVELOPE, route_wrongly),
    (Kind.ENVELOPE, lose_the_trace),
    (Kind.ENVELOPE, use_an_id_twice),
    (Kind.ENVELOPE, use_a_facts_id_for_all_its_corrections),
    (Kind.ENVELOPE, route_a_correction_by_the_old_number),
    (Kind.ENVELOPE, lose_the_facts_trace),
    (Kind.ENVELOPE, write_no_json),
]


@pytest.mark.parametrize(("kind", "spoil"), FAULTS, ids=[f"{kind}: {spoil.__name__}" for kind, spoil in FAULTS])
def test_a_fault_is_found_for_what_it_is(history: History, kind: Kind, spoil: Callable[[History], None]) -> None:
    spoil(history)

    assert kind in history.judged().kinds


def test_every_class_of_fault_is_tried() -> None:
    assert {kind for kind, _ in FAULTS} == set(Kind)


def test_an_order_beside_a_fact_may_have_known_it() -> None:
    plans = (expectations(scenario(seed, NOW, SMALL)) for seed in range(100))
    expected, answered = next(
        (plan, order) for plan in plans for order in plan.model.orders.values() if is_corrected_or_knew(order)
    )
    history = History(expected, rendered(expected))

    history.records.remove(history.corrected(answered.courses[0].corrections[0]))

    assert history.judged().report() == "no differences"


def is_corrected_or_knew(answered: AnsweredOrder) -> bool:
    """An order that is corrected once, or never, depending on whether its answer knew the fact."""
    told = [len(course.corrections) for course in answered.courses]
    return told[0] == 1 and 0 in told and answered.courses[told.index(0)].answer == answered.order.answer


def test_an_order_that_was_not_caught_up_says_so_and_its_answer_stands() -> None:
    expected = expectations(scenario(6, NOW, SMALL))
    history = History(expected, rendered(expected))
    order, record = history.order(lambda one: any(answer.number for answer in one.behind) and one.answer.number)
    behind = next(answer for answer in order.behind if answer.number)
    told = json.loads(rendered_answer(behind))

    history.answer(record, **told | {"flags": [*told["flags"], "decisions_not_caught_up"]})
    verdict = history.judged()

    assert (verdict.report(), verdict.not_caught_up) == ("no differences", 1)


def test_an_order_that_travels_beside_facts_may_have_known_all_of_them() -> None:
    plan = scenario(12, NOW, SMALL)
    swapped = replace(
        plan,
        rounds=tuple(replace(round_, early=(), orders=round_.early + round_.orders) for round_ in plan.rounds),
    )

    orders, late_orders = (expectations(played).model.orders for played in (plan, swapped))

    knew_all = {id_: courses_of(order)[-1] for id_, order in orders.items()}
    assert knew_all == {id_: courses_of(order)[0] for id_, order in late_orders.items()}
    assert sum(len(set(map(str, courses_of(order)))) > 1 for order in orders.values()) >= 20


def courses_of(answered: AnsweredOrder) -> list[list[object]]:
    """What the order may be told, one after the other: answers, and which facts corrected them."""
    return [[course.answer, *((one.cause, one.answer) for one in course.corrections)] for course in answered.courses]
